"""One call of an environment as a value: what it gave, checked, or what went wrong. A bad world makes nothing raise."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, Solution, StopReason, is_image
from lmmr1.envs.reply import Reply, ReplyFormat

Kind = TypeVar("Kind")
FaultKind = Literal["crash", "garbage", "hang", "death", "unverifiable"]
MAX_ERROR_LENGTH = 300
MAX_FACT_LENGTH = 600
# What of an info has a field of its own.
_FIELDS = {"reward_parts", "reply", "actions", "success", "stop_reason", "native_steps", "turn"}


@dataclass(frozen=True)
class Fault:
    """What went wrong in one call.

    Attributes:
        kind: "crash" (it raised), "garbage" (it returned what no environment may return), "hang" (it did not come back
            in time), "death" (its process ended), or "unverifiable" (it could not tell whether the answer is right: so
            nothing is paid for it, and nothing learned from it).
        error: one line that says what happened.
        seconds: how long the call took.
    """

    kind: FaultKind
    error: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Opening:
    """What a reset gave: the opening messages, how many seconds it took, and what the info says in plain values."""

    messages: list[Message]
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


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
        facts: what else the world's info says in plain words and finite numbers, such as "family", "score" or "gold".
    """

    messages: list[Message]
    reward: float
    reward_parts: dict[str, float]
    reply: Reply
    actions: list[str]
    success: bool | None
    stop_reason: StopReason | None
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Advice:
    """What an environment's own expert would do now, and in which words a reply says it.

    Attributes:
        solution: what it would do; None where the environment does not know, with `problem` saying why.
        action_names: of the environment's named actions; empty where they have no names.
        reply_format: how a reply is written.
        seconds: how long it took.
    """

    solution: Solution | None
    problem: str
    action_names: tuple[str, ...]
    reply_format: ReplyFormat
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
    return Opening(messages, time.perf_counter() - began, _read_facts(result[1]))


def run_step(env: ChatEnv, text: str) -> Outcome | Fault:
    """Give a reply to an environment."""
    began = time.perf_counter()
    try:
        result = env.step(text)
        outcome = _read_outcome(result, began)
        if result[4].get("verdict") == "unverifiable":
            return Fault("unverifiable", "the answer could not be verified", outcome.seconds)
    except (Exception, SystemExit) as error:  # a world that calls sys.exit() ends its episode, not the run
        return _fault(error, time.perf_counter() - began)
    return outcome


def run_solve(env: ChatEnv) -> Advice | Fault:
    """Ask an environment for its solution; that it knows none is an answer, not a fault."""
    began = time.perf_counter()
    names, problem = env.chat_spec.action_names or (), ""
    try:
        solution = env.solution()
        _read_kind("the solution", solution, Solution, "a Solution")
    except UserError as error:
        solution, problem = None, str(error)
    except (Exception, SystemExit) as error:
        return _fault(error, time.perf_counter() - began)
    return Advice(solution, problem, names, env.reply_format, time.perf_counter() - began)


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
    if not (isinstance(result, tuple) and len(result) == 2):
        raise _GarbageError(f"reset returned {_shown(result)}, not two values")
    return _read_messages(result[0])


def _read_outcome(result: Any, began: float) -> Outcome:
    if not (isinstance(result, tuple) and len(result) == 5):
        raise _GarbageError(f"step returned {_shown(result)}, not five values")
    messages, reward, _, _, info = result
    info = _read_kind("info", info, Mapping, "a mapping")
    reward = _read_number("the reward", reward)
    parts = _read_kind("reward_parts", info.get("reward_parts"), Mapping, "a mapping")
    reply = _read_kind("reply", info.get("reply"), Reply, "a Reply")
    actions = _read_kind("actions", info.get("actions"), list, "a list")
    success, stop_reason = info.get("success"), info.get("stop_reason")
    if success is not None:
        _read_kind("success", success, bool, "a bool or None")
    if stop_reason is not None:
        _read_kind("stop_reason", stop_reason, StopReason, "a StopReason or None")
    return Outcome(
        _read_messages(messages),
        reward,
        {str(name): _read_number(f"the reward's part {name}", part) for name, part in parts.items()},
        reply,
        [str(action) for action in actions],
        success,
        stop_reason,
        time.perf_counter() - began,
        _read_facts(info),
    )


def _read_facts(info: Any) -> dict[str, Any]:
    if not isinstance(info, Mapping):
        return {}
    facts = {str(name): _fact(value) for name, value in info.items() if name not in _FIELDS}
    return {name: fact for name, fact in facts.items() if fact is not None}


def _fact(value: Any) -> bool | int | float | str | None:
    """What of an info can be kept with an episode: plain values, no more than a line of text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value[:MAX_FACT_LENGTH]
    return value if isinstance(value, (bool, int)) else None


def _read_kind(name: str, value: Any, kind: type[Kind], wanted: str) -> Kind:
    if not isinstance(value, kind):
        raise _GarbageError(f"{name} is {_shown(value)}, not {wanted}")
    return value


def _read_number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _GarbageError(f"{name} is {_shown(value)}, not a number") from error
    if not math.isfinite(number):
        raise _GarbageError(f"{name} is {number}")
    return number


def _read_messages(messages: Any) -> list[Message]:
    if not isinstance(messages, (list, tuple)):
        raise _GarbageError(f"the messages are {_shown(messages)}, not a list")
    for message in messages:
        if not (isinstance(message, Mapping) and isinstance(message.get("content"), list) and "role" in message):
            raise _GarbageError(f"a message is {_shown(message)}, not a role and a content")
        for part in message["content"]:
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind not in ("text", "image"):
                raise _GarbageError(f"a part of a message is {_shown(part)}, not a text or an image")
            if not (isinstance(part.get("text"), str) if kind == "text" else is_image(part.get("image"))):
                raise _GarbageError(f"a part of a message of type {kind} holds {_shown(part.get(kind))}")
    return list(messages)


def _shown(value: Any) -> str:
    # The repr of a stranger's object may raise or be endless: only plain values are quoted.
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value)[:80] if plain else f"a {type(value).__name__}"
