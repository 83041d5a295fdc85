"""The right answer of a row: read from its column, and checked before anybody is asked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.rewards import accuracy
from lmmr1.envs.rewards.accuracy import clean_answer, read_number

from .conversation import LETTERS
from .refusals import RowError

MOST_CHARACTERS = 512
ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
OPTION = re.compile(r"\(?([A-Z])[).:]?")
WORD = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_gold(value: Any) -> str:
    r"""Read the right answer.

    Of a text that holds more than the answer, that is the last ``<answer>``, what follows the last ``####`` (GSM8K), or
    the last ``\boxed{}``.

    Raises:
        RowError: it is no text or number, is empty, or is too long to be an answer.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise RowError("bad answer", f"the answer is {_kind(value)}, not a text or a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RowError("bad answer", f"the answer is {value}")
        value = int(value) if value.is_integer() and abs(value) < 1e15 else value
    text = check_text("answer", str(value)).strip()
    if tags := ANSWER_TAG.findall(text):
        text = tags[-1].strip()
    elif "####" in text:
        text = text.rpartition("####")[2].strip()
    elif len(text) > MOST_CHARACTERS and "\\boxed{" in text:
        text = clean_answer(text[text.rfind("\\boxed{") :])
    if not text:
        raise RowError("bad answer", "the answer is empty")
    if len(text) > MOST_CHARACTERS:
        raise RowError("bad answer", f"the answer has {len(text)} characters; {MOST_CHARACTERS} are the most")
    return text


def read_option(value: Any, choices: Sequence[str]) -> str:
    """Find the right one among options: by its text, by its letter, or, for a whole number, by its place from 0 up.

    Returns:
        Its letter.

    Raises:
        RowError: the answer is none of the options.
    """
    gold = read_gold(value)
    same = [letter for letter, choice in zip(LETTERS, choices, strict=False) if choice.strip() == gold]
    if len(same) > 1:
        raise RowError("bad choices", f"the options {' and '.join(same)} are both the answer, {gold!r}")
    if same:
        return same[0]
    letter = OPTION.fullmatch(clean_answer(gold))
    if letter is not None and LETTERS.index(letter[1]) < len(choices):
        return letter[1]
    if isinstance(value, int) and 0 <= value < len(choices):
        return LETTERS[value]
    raise RowError("bad answer", f"the answer {gold[:60]!r} is none of the {len(choices)} options")


def kind_of(gold: str) -> str:
    """What a right answer is: "option", "number", "words", or "expression", which takes algebra to read."""
    text = clean_answer(gold)
    if len(text) == 1 and text in LETTERS:
        return "option"
    if read_number(text) is not None:
        return "number"
    return "words" if WORD.fullmatch(text) else "expression"


def check_gold(gold: str, choices: Sequence[str]) -> None:
    """Make sure that an answer can be compared with this right one.

    Raises:
        RowError: it cannot be read.
        MissingExtraError: it takes math-verify to read, which is not installed.
    """
    try:
        accuracy.check_gold(gold, choices=choices or None)
    except MissingExtraError:
        raise
    except UserError as error:
        raise RowError("ungradable answer", str(error)) from error


def check_text(name: str, text: str) -> str:
    """Return a text that can be shown.

    Raises:
        RowError: it holds a NUL character, or half of a surrogate pair.
    """
    if "\0" in text:
        raise RowError("bad text", f"the {name} holds a NUL character")
    if LONE_SURROGATE.search(text):
        raise RowError("bad text", f"the {name} holds half of a surrogate pair, which is no character")
    return text


def _kind(value: Any) -> str:
    return {type(None): "missing", bool: f"{value}", dict: "a mapping", list: "a list"}.get(
        type(value), f"a {type(value).__name__}"
    )
