"""The messages of a row: chat messages as they were written, or a question with its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .refusals import RowError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
PLACEHOLDER = "<image>"
# As some data sets write it: the number of the picture, from 1.
NUMBERED = re.compile(r"<image_?(\d{1,3})>")
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Draft:
    """A message whose pictures are still references: an int is the number of a picture of the row."""

    role: Role
    parts: tuple[str | int, ...]


def write_question(text: str, pictures: int) -> tuple[Draft, ...]:
    """Make a user's message of a question; each ``<image>`` stands for a picture, else all come before the text.

    Raises:
        RowError: there are another number of placeholders than of pictures.
    """
    return (Draft("user", _place(text, range(pictures))),)


def read_messages(value: Any, loose: Sequence[Any] = ()) -> tuple[tuple[Draft, ...], tuple[Any, ...]]:
    """Read chat messages, as a list or as a JSON text of one.

    Args:
        value: ``[{"role": ..., "content": text or parts}]``; a part is ``{"type": "text", "text": ...}``,
            ``{"type": "image", "image": reference}`` or ``{"type": "image_url", "image_url": {"url": reference}}``.
        loose: pictures of another column; they belong where the texts say ``<image>``, or before the last text.

    Returns:
        The messages, and the references of their pictures.

    Raises:
        RowError: these are no messages, or the last one is not the user's.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError("bad messages", f"the messages are not readable as JSON: {error}") from error
    if not isinstance(value, list) or not value:
        raise RowError("bad messages", f"the messages are {_shown(value)}, not a list of messages")
    pictures: list[Any] = []
    drafts = [_read_message(message, pictures) for message in value]
    if drafts[-1].role != "user":
        raise RowError("bad messages", f"the last message is the {drafts[-1].role}'s; the user has to ask last")
    if any(draft.role == "system" for draft in drafts[1:]):
        raise RowError("bad messages", "a system message stands behind another message")
    if loose and not pictures:
        drafts = _place_loose(drafts, len(loose))
        pictures = list(loose)
    return tuple(drafts), tuple(pictures)


def add_choices(drafts: Sequence[Draft], choices: Sequence[str]) -> tuple[Draft, ...]:
    """Write the options under the question, each behind its letter."""
    if not choices:
        return tuple(drafts)
    listed = "".join(f"\n({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    *before, last = drafts
    return (*before, Draft(last.role, (*last.parts, listed)))


def question_text(drafts: Sequence[Draft]) -> str:
    """The text that the user's messages hold; where there are several pictures, ``<image>`` says where they stand."""
    parts = [part for draft in drafts if draft.role == "user" for part in (*draft.parts, "\n")]
    mark = PLACEHOLDER if sum(isinstance(part, int) for part in parts) > 1 else ""
    return "".join(mark if isinstance(part, int) else part for part in parts).strip()


def _read_message(message: Any, pictures: list[Any]) -> Draft:
    if not isinstance(message, dict) or "role" not in message or "content" not in message:
        raise RowError("bad messages", f"a message is {_shown(message)}, not a role and a content")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise RowError("bad messages", f"a message's role is {_shown(role)}, not one of {', '.join(ROLES)}")
    if isinstance(content, str):
        return Draft(role, (content,))
    if not isinstance(content, list):
        raise RowError("bad messages", f"the content of a message is {_shown(content)}, not a text or a list of parts")
    parts: list[str | int] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif kind in ("image", "image_url") and part.get(kind) is not None:
            if role != "user":
                raise RowError("bad messages", f"a message of the {role} holds a picture; only the user's may")
            reference = part[kind]
            if kind == "image_url" and isinstance(reference, dict):
                reference = reference.get("url")
            parts.append(len(pictures))
            pictures.append(reference)
        else:
            raise RowError("bad messages", f"a part of a message is {_shown(part)}, not a text or an image")
    return Draft(role, tuple(parts))


def _place_loose(drafts: Sequence[Draft], count: int) -> list[Draft]:
    texts = [draft for draft in drafts if draft.role == "user"]
    marked = [draft for draft in texts if any(PLACEHOLDER in str(part) for part in draft.parts)]
    placed, first = [], 0
    for draft in drafts:
        text = "".join(map(str, draft.parts))
        if draft in marked:
            number = min(text.count(PLACEHOLDER), count - first) if draft is not marked[-1] else count - first
            placed.append(Draft("user", _place(text, range(first, first + number))))
            first += number
        elif not marked and draft is texts[-1]:
            placed.append(Draft("user", _place(text, range(count))))
        else:
            placed.append(draft)
    return placed


def _place(text: str, pictures: range) -> tuple[str | int, ...]:
    pieces = text.split(PLACEHOLDER)
    if len(pieces) == 1:
        return _place_numbered(text, pictures) if NUMBERED.search(text) else (*pictures, text)
    if len(pieces) - 1 != len(pictures):
        reason = f"the text says {PLACEHOLDER} {len(pieces) - 1} times, but the row has {len(pictures)} pictures"
        raise RowError("bad pictures", reason)
    parts: list[str | int] = [pieces[0]]
    for picture, piece in zip(pictures, pieces[1:], strict=True):
        parts += [picture, piece]
    return tuple(part for part in parts if part != "")


def _place_numbered(text: str, pictures: range) -> tuple[str | int, ...]:
    """Each picture where it is first named; those that are not, before the text."""
    parts: list[str | int] = []
    named: list[int] = []
    place = 0
    for mark in NUMBERED.finditer(text):
        number = int(mark[1])
        if not 1 <= number <= len(pictures):
            raise RowError("bad pictures", f"the text says {mark[0]}, but the row has {len(pictures)} pictures")
        picture = pictures[number - 1]
        parts += [text[place : mark.start()], f"(picture {number})" if picture in named else picture]
        named.append(picture)
        place = mark.end()
    unnamed = [picture for picture in pictures if picture not in named]
    return tuple(part for part in (*unnamed, *parts, text[place:]) if part != "")


def _shown(value: Any) -> str:
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value)[:60] if plain else f"a {type(value).__name__}"
