"""Messages: the shape in which worlds and agents speak, that of the usual chat interfaces.

A message has a role and a list of parts; a part is a piece of text or one picture. Pictures are
plain arrays here: nothing on this floor knows about tokens, templates or transport formats.
"""

# What users hand in is checked, whatever its type says; NumPy's and Gymnasium's types are partly unknown.
# pyright: reportUnnecessaryIsInstance=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

import numpy as np

from lmmr1.envs.errors import UserError


class TextPart(TypedDict):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """A picture: an array of shape (height, width, 3), dtype uint8, red-green-blue, 0 to 255."""

    type: Literal["image"]
    image: np.ndarray


Part = TextPart | ImagePart


class Message(TypedDict):
    """What one side says in one go."""

    role: Literal["system", "user", "assistant"]
    content: list[Part]


class StopReason(str, Enum):
    """Why an episode ended. Only ``TASK_ENDED`` is the task's own end; the others stopped it from outside."""

    TASK_ENDED = "task_ended"
    STEP_LIMIT = "step_limit"
    TURN_LIMIT = "turn_limit"
    CONTEXT_LIMIT = "context_limit"
    FAILED = "failed"

    def __str__(self) -> str:
        """The plain value, the same on every version of Python."""
        return self.value


@dataclass(frozen=True)
class Solution:
    """What an expert would say now: how it thinks, and the answer in the words that the world accepts."""

    thought: str
    answer: str


@runtime_checkable
class Solvable(Protocol):
    """A world that knows a right answer for the state that it is in."""

    def solution(self) -> Solution:
        """Return a right answer for the present state."""
        ...


def is_image(value: Any) -> bool:
    """Whether ``value`` is an array of shape (height, width, 3), dtype uint8, with at least one pixel."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 3
        and value.shape[2] == 3
        and value.size > 0
    )


def text_part(text: str) -> TextPart:
    """Wrap a piece of text.

    Raises:
        UserError: ``text`` is not a string.
    """
    if not isinstance(text, str):
        raise UserError(f"a text part must be a string, not {type(text).__name__}")
    return {"type": "text", "text": text}


def image_part(image: np.ndarray) -> ImagePart:
    """Wrap a picture. The pixels are copied, so that a world may reuse its frame buffer, and can't be written to.

    Args:
        image: shape (height, width, 3), dtype uint8.

    Raises:
        UserError: the array has another shape or dtype, or no pixels.
    """
    if not is_image(image):
        found = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UserError(f"an image must be an array of shape (height, width, 3) and dtype uint8, not {found}")
    pixels = image.copy()
    pixels.setflags(write=False)
    return {"type": "image", "image": pixels}


def _parts(contents: tuple[Part | str, ...]) -> list[Part]:
    return [text_part(content) if isinstance(content, str) else content for content in contents]


def system(*contents: Part | str) -> Message:
    """Build a system message; strings become text parts."""
    return {"role": "system", "content": _parts(contents)}


def user(*contents: Part | str) -> Message:
    """Build a user message; strings become text parts."""
    return {"role": "user", "content": _parts(contents)}


def assistant(text: str) -> Message:
    """Build an assistant message, which is always text."""
    return {"role": "assistant", "content": [text_part(text)]}


def message_text(message: Message) -> str:
    """Join the text parts of a message, in order and with nothing in between."""
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


def message_images(message: Message) -> list[np.ndarray]:
    """List the pictures of a message in order; each of shape (height, width, 3), dtype uint8, not copied."""
    return [part["image"] for part in message["content"] if part["type"] == "image"]
