r"""The accuracy reward: is this answer the same as that one?

Three verdicts, because "wrong" and "could not be verified" are two different things. Almost all answers are
decided here, exactly and at once (``answers/``): words, options, numbers, units, lists, intervals, matrices,
equations, polynomials and roots. Only what is left goes to math-verify (the extra ``lmmr1[math]``), which reads
LaTeX with sympy. An answer comes from a policy that is being optimised against this rule, so that half runs in
worker processes that are killed when they take too long or a gigabyte; see ``symbolic.py``.
"""

# What users hand in is checked, whatever its type says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from lmmr1.envs.errors import UserError
from lmmr1.envs.reply import ANSWER, END_THINK, last_answer
from lmmr1.envs.rewards.symbolic import close_grader, compare_symbolically, set_workers

from .answers.choices import match_choices, match_letter, match_letters
from .answers.cleaning import MAX_LENGTH, clean_answer, restore_latex, unbox
from .answers.comparison import GoldReading, decide
from .answers.reading import read_number
from .answers.ring import TooLargeError

__all__ = [
    "MAX_LENGTH", "Judgement", "Verdict", "check_gold", "clean_answer", "close_grader", "configure_grader", "grade",
    "judge", "read_number",
]  # fmt: skip

MAX_SYMBOLIC_LENGTH = 600  # of an answer that only sympy could compare
MAX_DEPTH = 40
CACHE_SIZE = 16_384
# What would only cost time: numbers in powers of powers, exponents of five digits, factorials of factorials.
EXPLOSIVE = re.compile(
    r"[0-9)}] *\^[ {(]*[0-9]+[ {}()]*\^[ {(]*[0-9]|\^[ {(]*[0-9]{5}|\^[ {(]*[0-9]+ *\^|![ )}]*!|[0-9]{5} *[)}]? *!"
    r"|\\binom *\{[^{}]*(?:\^|[0-9]{5})"
)
# No value and no list: math-verify picks a number out of it ("40 or not 40", the time 0:36).
UNANSWERABLE = re.compile(r"\bnot\b|\\(?:neg|lnot)\b|[0-9] *: *[0-9]", re.IGNORECASE)


class Verdict(str, Enum):
    """What a comparison with the right answer found."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNVERIFIABLE = "unverifiable"

    def __str__(self) -> str:
        """The plain value, the same on every version of Python."""
        return self.value


Path = Literal["fast", "cache", "symbolic"]


@dataclass(frozen=True)
class Judgement:
    """A verdict and how it came about.

    Attributes:
        verdict: what was found.
        path: "fast" (exactly, in this process), "cache" (as the same pair before) or "symbolic" (by math-verify).
        seconds: how long it took by the clock.
    """

    verdict: Verdict
    path: Path
    seconds: float


class _Cache:
    """The most recent symbolic verdicts and right answers as read; shared by threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.verdicts: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self.golds: OrderedDict[str, GoldReading] = OrderedDict()

    def find(self, key: tuple[str, str]) -> Verdict | None:
        with self.lock:
            verdict = self.verdicts.get(key)
            if verdict is not None:
                self.verdicts.move_to_end(key)
            return verdict

    def keep(self, key: tuple[str, str], verdict: Verdict) -> None:
        with self.lock:
            self.verdicts[key] = verdict
            while len(self.verdicts) > self.size:
                self.verdicts.popitem(last=False)

    def read_gold(self, gold: str) -> GoldReading:
        reading = self.golds.get(gold)
        if reading is None:
            reading = GoldReading(clean_answer(gold))
            with self.lock:
                self.golds[gold] = reading
                while len(self.golds) > min(self.size, 4_096):
                    self.golds.popitem(last=False)
        return reading


_cache = _Cache(CACHE_SIZE)


def configure_grader(*, workers: int | None = None, cache_size: int = CACHE_SIZE) -> None:
    """Say how this process grades; without a call it is as with the defaults.

    Args:
        workers: how many worker processes compare symbolically at most, each started when it is first needed; None
            for as many as there are processors, four at most. 0 compares in this process: nothing is started, and
            nothing can be killed, so only the main thread has the time limit (where the system has such a timer),
            and memory has none. For tests, and for answers that nobody optimises.
        cache_size: how many symbolic verdicts are remembered, and at most as many right answers; 0 for none.

    Raises:
        UserError: one of them is not a whole number of at least 0.
    """
    global _cache
    for name, value in (("workers", workers), ("cache_size", cache_size)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise UserError(f"{name} must be a whole number of at least 0, not {value!r}")
    close_grader()
    set_workers(workers)
    _cache = _Cache(cache_size)


def grade(gold: str, answer: str, *, choices: Sequence[str] | None = None, tolerance: float = 0.0) -> Verdict:
    """Compare an answer with the right one: the verdict of ``judge``, whose arguments these are."""
    return judge(gold, answer, choices=choices, tolerance=tolerance).verdict


def judge(gold: str, answer: str, *, choices: Sequence[str] | None = None, tolerance: float = 0.0) -> Judgement:
    r"""Compare an answer with the right one, and say how it was done.

    Numbers are compared exactly (0.5 = 1/2 = 50 %, but 0.333 is not 1/3; only six digits or more stand for a number
    that does not end), words and options as texts without regard to case. Units are converted where both have one,
    and may be left out. A list without brackets or in braces is compared without regard to order, one in round or
    square brackets in order. Letters without a value are variables, and expressions are compared for all their values.

    Args:
        gold: the right answer, alone: a number, an expression, a list, an equation, a word, an option's letter.
        answer: the answer to be judged, alone or a whole reply, of which the last ``<answer>`` counts; it may stand
            in ``\boxed{}``, of which the last one counts, or between dollars. One of more than 2,000 characters is
            different without further work.
        choices: of a multiple-choice question, the texts of the options in the order of their letters. Letter and
            text are then the same answer.
        tolerance: how far a number may be from the right one, relative to it.

    Returns:
        EQUAL, DIFFERENT, or UNVERIFIABLE (the right answer cannot be read, or the comparison would run or ran out of
        time or memory), with the path and the time.

    Raises:
        UserError: symbolic comparison is needed, and math-verify is not installed.
    """
    began = time.perf_counter()
    verdict, path = _judge(unbox(gold).strip(), unbox(_spoken(answer)).strip(), choices, tolerance)
    return Judgement(verdict, path, time.perf_counter() - began)


def _spoken(reply: str) -> str:
    """The answer of a reply: what its last ``<answer>`` holds, else what follows its thought; else all of it."""
    return last_answer(reply) if ANSWER in reply else reply.rpartition(END_THINK)[2]


def _judge(gold: str, answer: str, choices: Sequence[str] | None, tolerance: float) -> tuple[Verdict, Path]:
    if gold == answer and gold:
        return Verdict.EQUAL, "fast"
    if not gold or len(gold) > MAX_LENGTH:
        return Verdict.UNVERIFIABLE, "fast"
    if len(answer) > MAX_LENGTH:
        return Verdict.DIFFERENT, "fast"
    if _depth(answer) > MAX_DEPTH:
        return Verdict.UNVERIFIABLE, "fast"
    reading, answer = _cache.read_gold(gold), clean_answer(answer)
    if not reading.text:
        return Verdict.UNVERIFIABLE, "fast"
    try:
        equal = _match_option(reading.text, answer, choices)
        if equal is None:
            equal = decide(reading, answer, tolerance)
    except TooLargeError:
        return Verdict.UNVERIFIABLE, "fast"
    if equal is not None:
        return Verdict.EQUAL if equal else Verdict.DIFFERENT, "fast"
    if UNANSWERABLE.search(answer) and not UNANSWERABLE.search(reading.text):
        return Verdict.DIFFERENT, "fast"
    explosive = reading.too_large or EXPLOSIVE.search(answer) or EXPLOSIVE.search(reading.text)
    if explosive or len(answer) > MAX_SYMBOLIC_LENGTH:
        return Verdict.UNVERIFIABLE, "fast"
    key = reading.text, answer
    verdict = _cache.find(key)
    if verdict is not None:
        return verdict, "cache"
    verdict = Verdict(compare_symbolically(*map(restore_latex, key)))
    _cache.keep(key, verdict)
    return verdict, "symbolic"


def _match_option(gold: str, answer: str, choices: Sequence[str] | None) -> bool | None:
    if choices is not None:
        equal = match_choices(gold, answer, choices)
        if equal is not None:
            return equal
    if len(gold) == 1 and gold in "ABCDEFGHIJ":
        return match_letter(gold, answer)
    return match_letters(gold, answer)


def check_gold(gold: object, *, choices: Sequence[str] | None = None) -> None:
    """Make sure that answers can be compared with this one, before anything is trained on it.

    Args:
        gold: the right answer of a row of data, whatever it is.
        choices: as in ``judge``; the right answer must then be the letter or the text of one of them.

    Raises:
        UserError: it is no text, empty, longer than 2,000 characters, no choice, or cannot be read or evaluated; the
            message is a reason that fits behind a file and a row. Also if math-verify is needed to read it, and is
            not installed.
    """
    if not isinstance(gold, str):
        raise UserError(f"the right answer is {type(gold).__name__}, not text")
    text = unbox(gold).strip()
    if len(text) > MAX_LENGTH:
        raise UserError(f"the right answer has {len(text)} characters; at most {MAX_LENGTH} can be graded")
    cleaned = clean_answer(text)
    if not cleaned:
        raise UserError("the right answer is empty")
    shown = gold if len(gold) <= 60 else gold[:59] + "\u2026"
    if choices is not None:
        if match_choices(cleaned, cleaned, choices) is None:
            raise UserError(f"the right answer {shown!r} is none of the {len(choices)} choices")
        return
    if _depth(text) > MAX_DEPTH:
        raise UserError(f"the right answer {shown!r} is nested too deeply to be graded")
    reading = GoldReading(cleaned)
    if reading.answer is not None:
        return
    if reading.too_large or EXPLOSIVE.search(cleaned):
        raise UserError(f"the right answer {shown!r} is too large to be evaluated")
    # Compared with what only looks different, it has to be read.
    latex = restore_latex(cleaned)
    if compare_symbolically(latex, f"{{{latex}}}") != "equal":
        raise UserError(f"the right answer {shown!r} cannot be read as mathematics, an option or words")


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        deepest = max(deepest, depth)
    return deepest
