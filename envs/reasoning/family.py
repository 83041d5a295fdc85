"""What a problem and a family of problems are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """One problem with its worked solution.

    Attributes:
        family: Name of the family.
        numbers: The numbers that the problem is made of; with ``family`` they identify it.
        question: The question in words, complete without a picture.
        thought: The numbers, a colon and the steps, ``;`` between them. What follows the last ``=`` is the answer.
        answer: The exact answer, an integer or a fraction in lowest terms.
    """

    family: str
    numbers: Numbers
    question: str
    thought: str
    answer: str


@dataclass(frozen=True)
class Wording:
    """How a family puts its numbers: the question, the steps of the solution (each ``left=right``), the answer."""

    question: str
    steps: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Family:
    """A kind of problem.

    Attributes:
        name: The name users choose it by.
        sample: ``(rng, level) -> numbers`` with level in 1..10, or None when the draw has to be made again.
        word: ``numbers -> Wording``.
    """

    name: str
    sample: Callable[[np.random.Generator, int], Numbers | None]
    word: Callable[[Numbers], Wording]

    def problem(self, numbers: Numbers) -> Problem:
        """Returns the problem that these numbers make."""
        wording = self.word(numbers)
        thought = ",".join(map(str, numbers)) + ":" + ";".join(wording.steps)
        return Problem(self.name, numbers, wording.question, thought, wording.answer)
