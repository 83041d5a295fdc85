"""What a problem and a family of problems are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .draw import Draw

Numbers = tuple[int, ...]
AREAS = (
    "arithmetic",
    "algebra",
    "number theory",
    "combinatorics",
    "probability",
    "sequences",
    "units",
    "logic",
    "word problems",
)
# 64-bit words of randomness for one problem: the first two choose its phrasing, the others its numbers.
POOL_WORDS = 12
VOICE_BITS = 128
VOICE_MASK = (1 << VOICE_BITS) - 1


def fill_pool(rng: np.random.Generator) -> int:
    """Draws the randomness of one problem, an integer of 64 * POOL_WORDS bits, in one call of the generator."""
    return int.from_bytes(rng.bit_generator.random_raw(POOL_WORDS).tobytes(), "little")


@dataclass(frozen=True)
class Problem:
    r"""One problem with its worked solution.

    Attributes:
        family: Name of the family.
        numbers: What the problem is made of, as integers; with ``family`` they identify it and decide its split.
        question: The question in words, complete without a picture.
        thought: The worked solution. In the families of the group "primer" the numbers, a colon and the steps, ``;``
            between them; what follows the last ``=`` is the answer. In all others a line for each step, the last of
            which says ``The answer is \boxed{...}.``
        answer: The exact answer: an integer, a fraction in lowest terms, a decimal, a surd in LaTeX, a tuple, a list, a
            word, or the letter of an option.
        voice: Which names, things and phrasing the question uses; no part of what it asks.
    """

    family: str
    numbers: Numbers
    question: str
    thought: str
    answer: str
    voice: int = 0


class Wording(NamedTuple):
    """How a family puts its numbers: the question, the steps of the solution, the answer."""

    question: str
    steps: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Family:
    """A kind of problem with one phrasing; those of the group "primer" are all of this class.

    Attributes:
        name: The name users choose it by.
        sample: ``(rng, level) -> numbers`` with level in 1..10, or None when the draw has to be made again.
        word: ``numbers -> Wording``.
    """

    name: str
    sample: Callable[[np.random.Generator, int], Numbers | None]
    word: Callable[[Numbers], Wording]

    def draw(self, rng: np.random.Generator, level: int) -> tuple[Numbers, int] | None:
        """Draws numbers and a voice, which is always 0 here; None when the draw has to be made again."""
        numbers = self.sample(rng, level)
        return None if numbers is None else (numbers, 0)

    def content(self, numbers: Numbers) -> Numbers:
        """Returns what decides the split: the numbers themselves."""
        return numbers

    def problem(self, numbers: Numbers, voice: int = 0) -> Problem:
        """Returns the problem that these numbers make."""
        wording = self.word(numbers)
        thought = ",".join(map(str, numbers)) + ":" + ";".join(wording.steps)
        return Problem(self.name, numbers, wording.question, thought, wording.answer)


@dataclass(frozen=True)
class TextFamily:
    """A kind of problem in words that may be put in several ways.

    Attributes:
        name: The name users choose it by.
        area: One of ``AREAS``.
        sample: ``(draw, level) -> numbers`` with level in 1..10, or None when the draw has to be made again.
        word: ``(numbers, draw) -> Wording``; the draw chooses names and phrasing, never what is asked.
    """

    name: str
    area: str
    sample: Callable[[Draw, int], Numbers | None]
    word: Callable[[Numbers, Draw], Wording]

    def draw(self, rng: np.random.Generator, level: int) -> tuple[Numbers, int] | None:
        """Draws numbers and a voice; None when the draw has to be made again."""
        pool = fill_pool(rng)
        numbers = self.sample(Draw(pool >> VOICE_BITS), level)
        return None if numbers is None else (numbers, pool & VOICE_MASK)

    def content(self, numbers: Numbers) -> Numbers:
        """Returns what decides the split: the numbers themselves."""
        return numbers

    def problem(self, numbers: Numbers, voice: int = 0) -> Problem:
        """Returns the problem that these numbers make, put in the words of this voice."""
        wording = self.word(numbers, Draw(voice))
        thought = "\n".join(wording.steps) + f"\nThe answer is \\boxed{{{wording.answer}}}."
        return Problem(self.name, numbers, wording.question, thought, wording.answer, voice)
