"""One call of an environment as a value: what it gave, checked, or what went wrong. A bad world makes nothing raise."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.messages import Message, StopReason, is_image
from lmmr1.envs.reply import Reply

FaultKind = Literal["crash", "garbage", "hang", "death"]
MAX_ERROR_LENGTH = 300


@dataclass(frozen=True)
class Fault:
    """What went wrong in one call.

    Attributes:
        kind: "crash" (it raised), "garbage" (it returned what no environment may return), "hang" (it did not come back
            in time) or "death" (its process ended).
        error: one line that says what happened.
        seconds: how long the call took.
    """

    kind: FaultKind
    error: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Opening:
    """What a reset gave: the opening messages, and how many seconds it took."""

    messages: list[Message]
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a turn gave.

    Attributes:
        messages: the new ones.
        reward: finite; `reward_parts` add up to it.
        reply: the reply, taken apart.
        actions: names of the native actions that ran.
        success: what the world says, or None.
        stop_reason: why the episode ended, or None while it goes on.
        seconds: how long the turn took.
    """

    messages: list[Message]
    reward: float
    reward_parts: dict[str, float]
    reply: Reply
    actions: list[str]
    success: bool | None
    stop_reason: StopReason | None
    seconds: float = 0.0


class _GarbageError(Exception):
    """An environment returned what none may return; the message says what."""


def run_reset(env: ChatEnv, seed: int) -> Opening | Fault:
    """Reset an environment."""
    began = time.perf_counter()
    try:
        result = env.reset(seed=seed)
        messages = _read_opening(result)
    except (Exception, SystemExit) as error:  # a world that calls sys.exit() ends its episode, not the run
        return _fault(error, time.perf_counter() - began)
    return Opening(messages, time.perf_counter() - began)


def run_step(env: ChatEnv, text: str) -> Outcome | Fault:
    """Give a reply to an environment."""
    began = time.perf_counter()
    try:
        result = env.step(text)
        outcome = _read_outcome(result, began)
    except (Exception, SystemExit) as error:  # a world that calls sys.exit() ends its episode, not the run
        return _fault(error, time.perf_counter() - began)
    return outcome


def describe_error(error: BaseException) -> str:
    """The kind of an error and its first line, cut to a length that fits into a table."""
    text = " ".join(str(error).split())
    text = text if len(text) <= MAX_ERROR_LENGTH else text[: MAX_ERROR_LENGTH - 3] + "..."
    return f"{type(error).__name__}: {text}"


def _fault(error: Exception | SystemExit, seconds: float) -> Fault:
    if isinstance(error, _GarbageError):
        return Fault("garbage", str(error), seconds)
    return Fault("crash", describe_error(error), seconds)


def _read_opening(result: Any) -> list[Message]:
    _demand(isinstance(result, tuple) and len(result) == 2, f"reset returned {_shown(result)}, not two values")
    return _read_messages(result[0])


def _read_outcome(result: Any, began: float) -> Outcome:
    _demand(isinstance(result, tuple) and len(result) == 5, f"step returned {_shown(result)}, not five values")
    messages, reward, _, _, info = result
    _demand(isinstance(info, Mapping), f"info is {_shown(info)}, not a mapping")
    reward = _read_number("the reward", reward)
    parts, reply, actions = info.get("reward_parts"), info.get("reply"), info.get("actions")
    success, stop_reason = info.get("success"), info.get("stop_reason")
    _demand(isinstance(parts, Mapping), f"reward_parts is {_shown(parts)}, not a mapping")
    assert isinstance(parts, Mapping)
    _demand(isinstance(reply, Reply), f"reply is {_shown(reply)}, not a Reply")
    assert isinstance(reply, Reply)
    _demand(isinstance(actions, list), f"actions is {_shown(actions)}, not a list")
    assert isinstance(actions, list)
    _demand(success is None or isinstance(success, bool), f"success is {_shown(success)}, not a bool or None")
    stopped = stop_reason is None or isinstance(stop_reason, StopReason)
    _demand(stopped, f"stop_reason is {_shown(stop_reason)}, not a StopReason or None")
    return Outcome(
        _read_messages(messages),
        reward,
        {str(name): _read_number(f"the reward's part {name}", part) for name, part in parts.items()},
        reply,
        [str(action) for action in actions],
        success,
        stop_reason,
        time.perf_counter() - began,
    )


def _read_number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _GarbageError(f"{name} is {_shown(value)}, not a number") from error
    _demand(math.isfinite(number), f"{name} is {number}")
    return number


def _read_messages(messages: Any) -> list[Message]:
    _demand(isinstance(messages, (list, tuple)), f"the messages are {_shown(messages)}, not a list")
    for message in messages:
        well = isinstance(message, Mapping) and isinstance(message.get("content"), list) and "role" in message
        _demand(well, f"a message is {_shown(message)}, not a role and a content")
        for part in message["content"]:
            known = isinstance(part, Mapping) and part.get("type") in ("text", "image")
            _demand(known, f"a part of a message is {_shown(part)}, not a text or an image")
            right = isinstance(part.get("text"), str) if part["type"] == "text" else is_image(part.get("image"))
            _demand(right, f"a part of a message of type {part['type']} holds {_shown(part.get(part['type']))}")
    return list(messages)


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise _GarbageError(message)


def _shown(value: Any) -> str:
    # The repr of a stranger's object may raise or be endless: only plain values are quoted.
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value)[:80] if plain else f"a {type(value).__name__}"
