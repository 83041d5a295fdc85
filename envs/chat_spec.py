"""ChatSpec: how a world is spoken to; and how any Gymnasium world is described that does not say so itself."""

# What users hand in is checked, whatever its type says; NumPy's and Gymnasium's types are partly unknown.
# pyright: reportUnnecessaryIsInstance=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text

from lmmr1.envs.errors import UserError
from lmmr1.envs.known_worlds import known_world
from lmmr1.envs.messages import Message, Part, image_part, is_image, text_part
from lmmr1.envs.reply import count_numbers
from lmmr1.envs.spaces import Utterance

MAX_NUMBERS = 512
MIN_IMAGE_SIDE, MIN_GRAY_SIDE = 16, 32


@dataclass(frozen=True)
class ChatSpec:
    """How a world is spoken to. A world carries its own as ``env.unwrapped.chat_spec``.

    Attributes:
        instructions: the rules, the goal, and what to answer; the first thing that an agent reads.
        action_names: for a ``Discrete`` action space, the name of each action from ``start`` up; else None:
            the answer is then the action itself (text), or its numbers (``Box``, ``Discrete``, ...).
        max_actions: how many native steps one answer may hold.
        describe: (observation, info) -> parts of the next message; None builds them from the spaces.
        opening: (observation, info) -> the messages that open an episode, the user's last; a system message among them
            stands in place of the instructions. None opens with the instructions and what ``describe`` gives.
        needs_thought: whether a reply with an empty thought earns nothing for its form; not where the answer has only
            to be read off.

    Raises:
        UserError: max_actions is below 1, or the names are empty, repeated, or hold a comma.
    """

    instructions: str
    action_names: tuple[str, ...] | None = None
    max_actions: int = 1
    describe: Callable[[Any, dict[str, Any]], list[Part]] | None = None
    opening: Callable[[Any, dict[str, Any]], list[Message]] | None = None
    needs_thought: bool = True

    def __post_init__(self) -> None:
        """Check the fields."""
        if isinstance(self.max_actions, bool) or not isinstance(self.max_actions, int) or self.max_actions < 1:
            raise UserError(f"max_actions must be a whole number of at least 1, not {self.max_actions!r}")
        if self.action_names is None:
            return
        folded = [name.casefold() for name in self.action_names]
        if len(set(folded)) < len(folded):
            raise UserError(f"action_names must differ by more than their case: {', '.join(self.action_names)}")
        if any(not name or name != name.strip() or "," in name for name in self.action_names):
            raise UserError(f"action_names must be words without commas or outer spaces: {self.action_names}")

    @classmethod
    def default_for(cls, env: gym.Env[Any, Any]) -> ChatSpec:
        """Build a spec from the action space of any environment, and from what is known of it.

        Raises:
            UserError: an action of that space cannot be written as text.
        """
        name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        known, actions = known_world(env), describe_actions(env.action_space)
        if known is None:
            return cls(f"You act in the environment {name}. {actions}")
        actions = f"The actions are {', '.join(known.actions)}. Answer with an action."
        told = " ".join(part for part in (f"You act in the environment {name}.", known.goal, actions) if part)
        return cls(told, known.actions)


@runtime_checkable
class Speaking(Protocol):
    """A world that says itself how it is spoken to."""

    @property
    def chat_spec(self) -> ChatSpec:
        """How this world is spoken to."""
        ...


def describe_actions(space: gym.Space[Any]) -> str:
    """Say in one sentence what an action is.

    Raises:
        UserError: an action of that space cannot be written as text.
    """
    if isinstance(space, (Utterance, Text)):
        return "Your answer is passed on as it is."
    if isinstance(space, Discrete):
        names = [str(int(space.start) + index) for index in range(min(int(space.n), 10))]
        if space.n <= len(names):
            return f"The actions are {', '.join(names)}. Answer with an action."
        return f"An action is a whole number from {space.start} to {space.start + space.n - 1}. Answer with an action."
    if isinstance(space, Box):
        kind = "whole number" if np.issubdtype(space.dtype, np.integer) else "number"
        return _describe_numbers(space.low, space.high, kind)
    if isinstance(space, MultiDiscrete):
        return _describe_numbers(space.start, space.start + space.nvec - 1, "whole number")
    if isinstance(space, MultiBinary):
        return _describe_numbers(np.zeros(space.shape), np.ones(space.shape), "whole number")
    raise UserError(
        f"the action space {space} cannot be spoken to: wrap the environment so that its actions are "
        "Discrete, Box, MultiDiscrete, MultiBinary or text"
    )


def _describe_numbers(low: np.ndarray, high: np.ndarray, kind: str) -> str:
    if len(np.unique(low)) == len(np.unique(high)) == 1:
        span = f"between {low.flat[0]:g} and {high.flat[0]:g}"
    else:
        span = f"between [{_join(low)}] and [{_join(high)}]"
    return f"An action is {count_numbers(low.size, kind)}, {span}. Answer with an action."


def describe_observation(observation: Any, space: gym.Space[Any], frame: Any) -> list[Part]:
    """Describe an observation by its space alone.

    An image observation is shown. A rendered frame, if there is one and the observation holds no image of
    its own, is shown as well, and stands for a ``Discrete`` observation, whose bare number would say
    nothing beside it. Everything else is written out.

    Args:
        observation: an element of ``space``.
        space: the observation space.
        frame: the rendered frame: an image of shape (height, width, 3), dtype uint8, or a text, as it may be
            written for a terminal (see `plain_text`); anything else is no frame.
    """
    drawn = image_part(frame) if is_image(frame) else None
    if isinstance(frame, str):
        drawn = text_part(plain_text(frame))
    if isinstance(observation, Mapping) and isinstance(space, Dict):
        parts: list[Part] = []
        for key, subspace in space.spaces.items():
            value = observation[key]
            image = _as_image(value, subspace)
            if image is not None:
                parts.append(image_part(image))
            else:
                text = write_value(value)
                parts.append(text_part(f"{text}\n" if isinstance(value, str) else f"{key}: {text}\n"))
    else:
        image = _as_image(observation, space)
        text = observation if isinstance(observation, str) else f"Observation: {write_value(observation)}"
        parts = [image_part(image) if image is not None else text_part(text)]
    if drawn is None or any(part["type"] == "image" for part in parts):
        return parts
    return [drawn] if isinstance(space, Discrete) else [drawn, *parts]


def plain_text(frame: str) -> str:
    """A frame written for a terminal, without its control sequences: what is lit up stands in [ ], in colour in ( )."""

    def marked(match: re.Match[str]) -> str:
        lit = any(code[0] == "4" or code[:2] == "10" for code in match[1].split(";") if len(code) > 1)
        return f"[{match[2]}]" if lit else f"({match[2]})"

    return re.sub(r"\x1b\[[\d;]*m", "", re.sub(r"\x1b\[([\d;]+)m(.*?)\x1b\[0m", marked, frame)).strip("\n") + "\n"


def write_value(value: Any) -> str:
    """Write an observation as text: numbers with four significant digits, a grid in rows.

    At most 512 numbers of an array are written, and the text says so where there are more.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {write_value(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return "; ".join(write_value(item) for item in value)
    array = np.asarray(value)
    if array.dtype == object:
        return str(value)
    if array.size > MAX_NUMBERS:
        return f"{_join(array.reshape(-1)[:MAX_NUMBERS])} (the first {MAX_NUMBERS} of {array.size} numbers)"
    if array.ndim == 2:
        return "\n".join(_join(row) for row in array)
    return _join(array)


def _join(array: Any) -> str:
    return ", ".join(
        str(number) if isinstance(number, (int, str)) else f"{number:.4g}" for number in np.ravel(array).tolist()
    )


def _as_image(value: Any, space: gym.Space[Any]) -> np.ndarray | None:
    # Small uint8 arrays are grids of symbols far more often than they are pictures.
    if not isinstance(space, Box) or space.dtype != np.uint8 or not isinstance(value, np.ndarray):
        return None
    if is_image(value) and min(value.shape[:2]) >= MIN_IMAGE_SIDE:
        return value
    gray = value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value
    if gray.ndim == 2 and min(gray.shape) >= MIN_GRAY_SIDE:
        return np.repeat(gray[..., None], 3, axis=2)
    return None
