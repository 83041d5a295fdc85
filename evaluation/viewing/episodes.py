"""One kept episode as a page shows it: what was shown and said, turn by turn and token by token.

Whatever stands in the file is taken as data of somebody else: every value is brought to the type that the page expects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from .curves import number
from .index import outcome_of

Spell = Callable[[Sequence[int]], "list[str] | None"]
IMAGE_NAME = re.compile(r"images/\d{1,9}\.png")
MOST_FACT = 2000


def describe_episode(row: dict[str, Any], spell: Spell, address: dict[str, str]) -> dict[str, Any]:
    """An episode's line as plain values for the page.

    Args:
        row: the line, parsed.
        spell: what each id writes; None where nobody knows.
        address: of the episode's folder: what leads to its images, beside their names.

    Returns:
        "environment", "key", "group", "context", "stop", "outcome", "failure", "reward", "facts", "turns" and "final";
        a turn has "messages", "text", "thought", "answer", "actions", "well_formed", "reward", "parts", "cut_off",
        "version", "prompt_tokens" and "tokens" (None for a reply without any).

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is no episode.
    """
    failure = row.get("failure")
    turns = [_describe_turn(turn, spell, address) for turn in row["turns"]]
    return {
        "environment": str(row["env_id"]),
        "key": [int(part) for part in row.get("key") or ()],
        "group": int(row.get("group") or 0),
        "context": str(row.get("context", "")),
        "stop": str(row.get("stop_reason", "")),
        "outcome": outcome_of(row),
        "failure": None if failure is None else str(failure),
        "reward": round(sum(turn["reward"] for turn in turns), 9),
        "facts": {str(name): str(value)[:MOST_FACT] for name, value in (row.get("facts") or {}).items()},
        "turns": turns,
        "final": [_describe_message(message, address) for message in row.get("final_messages") or ()],
    }


def _describe_turn(turn: dict[str, Any], spell: Spell, address: dict[str, str]) -> dict[str, Any]:
    parts = turn.get("reward_parts") or {}
    return {
        "messages": [_describe_message(message, address) for message in turn["messages"]],
        "text": str(turn["text"]),
        "thought": str(turn.get("thought", "")),
        "answer": str(turn.get("answer", "")),
        "actions": [str(action) for action in turn.get("actions") or ()],
        "well_formed": bool(turn.get("well_formed")),
        "reward": number(turn.get("reward")) or 0.0,
        "parts": {str(name): number(value) for name, value in parts.items()},
        "cut_off": bool(turn.get("cut_off")),
        "version": int(turn.get("version") or 0),
        "prompt_tokens": len(turn.get("prompt_ids") or ()),
        "tokens": _describe_tokens(turn, spell),
    }


def _describe_tokens(turn: dict[str, Any], spell: Spell) -> dict[str, Any] | None:
    """The reply's tokens as columns of one length; a column that nobody kept is None."""
    ids = [int(token) for token in turn.get("reply_ids") or ()]
    if not ids:
        return None
    credit = turn.get("credit") or {}
    columns = {"logprobs": turn.get("logprobs")} | {key: credit.get(key) for key in ("advantages", "returns", "values")}
    learned = credit.get("learned")
    return {
        "ids": ids,
        "texts": spell(ids),
        **{key: _column(values, len(ids)) for key, values in columns.items()},
        "learned": [bool(value) for value in learned] if learned is not None and len(learned) == len(ids) else None,
    }


def _column(values: Any, length: int) -> list[float | None] | None:
    if not isinstance(values, list) or len(values) != length:
        return None
    return [number(value) for value in values]


def _describe_message(message: dict[str, Any], address: dict[str, str]) -> dict[str, Any]:
    parts = []
    for part in message["content"]:
        if part["type"] == "text":
            parts.append({"text": str(part["text"])})
        elif IMAGE_NAME.fullmatch(str(part["image"])):
            parts.append({"image": "/image?" + urlencode({**address, "name": part["image"]})})
        else:
            parts.append({"text": f"[a picture outside of the folder: {part['image']!s:.80}]"})
    return {"role": str(message["role"]), "parts": parts}
