"""From a reply's text to the thought, the answer and the actions that the answer names. Pure functions.

Everything here takes time linear in the length of the reply, whatever the reply is, and evaluates
nothing: a reply comes from a policy that is being optimised against this very code.
"""

# NumPy's and Gymnasium's types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from lmmr1.envs.errors import UserError

THINK, END_THINK, ANSWER, END_ANSWER = "<think>", "</think>", "<answer>", "</answer>"
TAGS = (THINK, END_THINK, ANSWER, END_ANSWER)


@dataclass(frozen=True)
class Reply:
    """A reply, taken apart.

    Attributes:
        text: the whole reply as it came.
        thought: what stood between the thinking tags, stripped; empty where there was none.
        answer: what stood between the answer tags, stripped; never a part of the thought.
        well_formed: whether the text follows the reply format exactly.
        problem: if it does not, one sentence that says why, fit to be shown to who wrote it; else None.
    """

    text: str
    thought: str
    answer: str
    well_formed: bool
    problem: str | None


class ReplyFormat(Protocol):
    """How a reply is written, and read."""

    @property
    def name(self) -> str:
        """The key in ``REPLY_FORMATS``."""
        ...

    @property
    def instructions(self) -> str:
        """One or two sentences for the instructions of a world."""
        ...

    def parse(self, text: str) -> Reply:
        """Take a reply apart, in linear time; never raises."""
        ...

    def write(self, thought: str, answer: str) -> str:
        """Write a reply that ``parse`` reads back.

        Raises:
            UserError: the thought or the answer holds a tag of the format, or the answer is empty.
        """
        ...


@dataclass(frozen=True)
class ThinkAnswerFormat:
    """``<think>...</think><answer>...</answer>`` and nothing else but white space around and between."""

    name: str = "think_answer"
    instructions: str = (
        "Think first, then answer. Reply in exactly this form: "
        "<think>your reasoning</think><answer>your answer</answer>"
    )

    def parse(self, text: str) -> Reply:
        """See ``ReplyFormat.parse``."""
        problem = self._find_problem(text)
        thought = text.partition(THINK)[2].partition(END_THINK)[0].strip()
        answer = last_answer(text)
        if problem is None and not answer:
            problem = "The answer between <answer> and </answer> was empty."
        return Reply(text, thought, answer, problem is None, problem)

    def _find_problem(self, text: str) -> str | None:
        for tag in TAGS:
            count = text.count(tag)
            if count != 1:
                return f"The reply must hold {tag} exactly once, but it came {count} times."
        head, _, rest = text.partition(THINK)
        _, _, rest = rest.partition(END_THINK)
        gap, _, rest = rest.partition(ANSWER)
        _, found, tail = rest.partition(END_ANSWER)
        if not found:
            return f"The reply must hold {THINK}, {END_THINK}, {ANSWER} and {END_ANSWER} in this order."
        if head.strip() or gap.strip() or tail.strip():
            return "The reply must hold no text outside of its thought and its answer."
        return None

    def write(self, thought: str, answer: str) -> str:
        """See ``ReplyFormat.write``."""
        _check_writable(thought, answer)
        return f"{THINK}{thought}{END_THINK}{ANSWER}{answer}{END_ANSWER}"


@dataclass(frozen=True)
class AnswerOnlyFormat:
    """``<answer>...</answer>`` and nothing else but white space around it."""

    name: str = "answer_only"
    instructions: str = "Reply in exactly this form, without any explanation: <answer>your answer</answer>"

    def parse(self, text: str) -> Reply:
        """See ``ReplyFormat.parse``."""
        stripped, answer, problem = text.strip(), last_answer(text), None
        if text.count(ANSWER) != 1 or text.count(END_ANSWER) != 1:
            problem = f"The reply must hold {ANSWER} and {END_ANSWER} exactly once."
        elif not (stripped.startswith(ANSWER) and stripped.endswith(END_ANSWER)):
            problem = "The reply must hold no text outside of its answer."
        elif not answer:
            problem = "The answer between <answer> and </answer> was empty."
        return Reply(text, "", answer, problem is None, problem)

    def write(self, thought: str, answer: str) -> str:
        """See ``ReplyFormat.write``; the thought is left out."""
        _check_writable("", answer)
        return f"{ANSWER}{answer}{END_ANSWER}"


@dataclass(frozen=True)
class PlainFormat:
    """The whole reply is the answer."""

    name: str = "plain"
    instructions: str = "Reply with the answer alone."

    def parse(self, text: str) -> Reply:
        """See ``ReplyFormat.parse``."""
        answer = text.strip()
        problem = None if answer else "The reply was empty."
        return Reply(text, "", answer, problem is None, problem)

    def write(self, thought: str, answer: str) -> str:
        """See ``ReplyFormat.write``; the thought is left out."""
        if not answer.strip():
            raise UserError("a reply cannot be written without an answer")
        return answer


REPLY_FORMATS: dict[str, ReplyFormat] = {
    reply_format.name: reply_format for reply_format in (ThinkAnswerFormat(), AnswerOnlyFormat(), PlainFormat())
}


def last_answer(text: str) -> str:
    """Returns what the last ``<answer>`` behind the thought holds; "" where there is none."""
    # Only what follows the last end of a thought can be an answer. A thought that never ends swallows the
    # whole reply: paying for an answer found inside of it would teach a policy to think no thought to its end.
    end = text.rfind(END_THINK)
    if end >= 0:
        text = text[end + len(END_THINK) :]
    text = text.partition(THINK)[0]
    start = text.rfind(ANSWER)
    return text[start + len(ANSWER) :].partition(END_ANSWER)[0].strip() if start >= 0 else ""


def _check_writable(thought: str, answer: str) -> None:
    if not answer.strip():
        raise UserError("a reply cannot be written without an answer")
    for tag in TAGS:
        if tag in thought or tag in answer:
            raise UserError(f"a reply cannot be written: its thought or answer holds the tag {tag}")


@dataclass(frozen=True)
class Orders:
    """The actions that an answer names.

    Attributes:
        actions: what ``env.step`` takes, one element for each native step; empty if there is a problem.
        names: the same actions in words, for the log and the film.
        problem: one sentence that says why the answer is no legal action, or None.
    """

    actions: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    problem: str | None = None


# A number of at most 40 characters; no names, no operators, no digits of other scripts, no NaN or infinity.
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def read_orders(answer: str, space: Space[Any], action_names: Sequence[str] | None, max_actions: int) -> Orders:
    """Read the actions that an answer names.

    Named actions (a ``Discrete`` space with ``action_names``) are separated by commas and compared without
    regard to case; without names a ``Discrete`` action is its number. A ``Box``, ``MultiDiscrete`` or
    ``MultiBinary`` action is its numbers, separated by commas; several such actions by semicolons.

    Args:
        answer: the text of the answer.
        space: the action space of the world.
        action_names: the name of each action of a ``Discrete`` space, from ``space.start`` up.
        max_actions: the most actions that one answer may hold.

    Returns:
        The actions, or the problem. Numbers outside of the space are a problem; they are never clipped.

    Raises:
        UserError: the space is of a kind that cannot be written as text.
    """
    if isinstance(space, Discrete):
        separator, read_one = ",", _read_discrete
    elif isinstance(space, (Box, MultiDiscrete, MultiBinary)):
        separator, read_one = ";", _read_numbers
    else:
        raise UserError(f"an action of {space} cannot be read from text")
    # Counted before it is split: a megabyte of commas must cost no more than a look.
    count = answer.count(separator) + 1
    if count > max_actions:
        limit = "one action" if max_actions == 1 else f"at most {max_actions} actions"
        return Orders(problem=f"The answer may hold {limit}, but it held {count}.")
    actions: list[Any] = []
    names: list[str] = []
    for item in answer.split(separator):
        action, name, problem = read_one(item.strip(), space, action_names)
        if problem is not None:
            return Orders(problem=problem)
        actions.append(action)
        names.append(name)
    return Orders(tuple(actions), tuple(names))


def _read_discrete(item: str, space: Any, action_names: Sequence[str] | None) -> tuple[int, str, str | None]:
    start, end = int(space.start), int(space.start + space.n)
    if action_names is None:
        number = int(item) if WHOLE_NUMBER.fullmatch(item) else None
        if number is None or not start <= number < end:
            return 0, "", f'"{quote(item)}" is not an action; an action is a whole number from {start} to {end - 1}.'
        return number, str(number), None
    for index, name in enumerate(action_names):
        if len(item) == len(name) and item.casefold() == name.casefold():
            return start + index, name, None
    return 0, "", f'"{quote(item)}" is not an action; the actions are {", ".join(action_names)}.'


def _read_numbers(item: str, space: Any, _: Sequence[str] | None) -> tuple[np.ndarray | None, str, str | None]:
    if len(item) >= 2 and item[0] + item[-1] in ("[]", "()"):
        item = item[1:-1]
    wanted = int(np.prod(space.shape))
    count = item.count(",") + 1
    if count != wanted:
        return None, "", f"An action is {count_numbers(wanted)}, but the answer held {count}."
    whole = np.issubdtype(space.dtype, np.integer)
    pattern, kind = (WHOLE_NUMBER, "whole number") if whole else (NUMBER, "number")
    numbers: list[float] = []
    for word in (word.strip() for word in item.split(",")):
        if len(word) > 40 or not pattern.fullmatch(word):
            return None, "", f'"{quote(word)}" is not a {kind}.'
        numbers.append(int(word) if whole else float(word))
    with np.errstate(over="ignore"):
        action = np.array(numbers, dtype=np.int64 if whole else np.float64).reshape(space.shape)
        cast = action.astype(space.dtype)
    exact = np.array_equal(action, cast) if whole else bool(np.isfinite(cast).all())
    if not exact or not space.contains(cast):
        return None, "", f'"{quote(item)}" is outside of the allowed range.'
    return cast, ", ".join(f"{number:g}" for number in cast.reshape(-1).tolist()), None


def count_numbers(count: int, kind: str = "number") -> str:
    """Say how many numbers an action is made of ("a number", "3 numbers separated by commas")."""
    return f"a {kind}" if count == 1 else f"{count} {kind}s separated by commas"


def quote(text: str, max_length: int = 40) -> str:
    """Cut a piece of a reply so that it can be quoted in a sentence: short, one line, printable."""
    cut = text if len(text) <= max_length else text[: max_length - 1] + "\u2026"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)
