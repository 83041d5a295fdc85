"""What a family of scale-true diagrams is, and how one question of a split is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lmmr1.envs.errors import UserError
from lmmr1.envs.reasoning.problems import MAX_DRAWS, split_of

from .canvas import Point
from .exact import Exact
from .lots import Lots
from .scene import Names, Scene

Numbers = tuple[int, ...]
Value = int | Fraction | Exact | str
# Without I and O, which look like numbers; O is also the name of centres.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ"
ROLES = 8


@dataclass(frozen=True)
class Figure:
    """A problem as a family builds it.

    Attributes:
        scene: The exact figure.
        stem: What the text says even when the diagram is there.
        drawn: What only the diagram shows, in words; left out of the text beside a diagram.
        asked: The question itself.
        steps: The worked solution, a sentence or an equation each.
        answer: The exact answer.
        wrong: Answers that typical errors lead to; equal ones and the right one among them do no harm.
        in_words: The question where there is no picture that it could point at; empty for the same one.
    """

    scene: Scene
    stem: str
    drawn: str
    asked: str
    steps: Sequence[str]
    answer: Value
    wrong: Sequence[Value]
    in_words: str = ""


@dataclass(frozen=True)
class DiagramFamily:
    """A kind of question about a diagram.

    Attributes:
        name: The name users choose it by.
        sample: ``(lots, level) -> numbers`` with level in 1..10, or None when the draw has to be made again.
        build: ``(numbers, names) -> Figure``.
        measure: ``(points, numbers) -> value``: the answer by ruler and protractor from the drawn points, in units of
            the scene; of the numbers it may use only those that say what is asked.
    """

    name: str
    sample: Callable[[Lots, int], Numbers | None]
    build: Callable[[Numbers, Names], Figure]
    measure: Callable[[Mapping[str, Point], Numbers], float | str | tuple[float, ...]]


@dataclass(frozen=True)
class Question:
    """One question with everything that can be shown of it.

    Attributes:
        family: Name of the family.
        numbers: The numbers that the problem is made of; with ``family`` they decide the split.
        letters: What the points are called.
        text: The question beside the diagram, which shows the rest.
        words: The question complete in words.
        steps: The worked solution, line by line.
        answer: The exact answer as text.
        value: The exact answer.
        errors: What typical errors lead to; see `wrong`.
        scene: The exact figure.
    """

    family: str
    numbers: Numbers
    letters: str
    text: str
    words: str
    steps: tuple[str, ...]
    answer: str
    value: Value
    errors: tuple[Value, ...]
    scene: Scene

    @property
    def wrong(self) -> tuple[str, ...]:
        """At least three wrong answers as text, those of typical errors first."""
        return wrong_answers(self.value, self.errors)


def make_question(family: DiagramFamily, numbers: Numbers, letters: str = "ABCDEFGH") -> Question:
    """Returns the question that these numbers make, its points called by these letters."""
    figure = family.build(numbers, Names(letters))
    return Question(
        family.name,
        numbers,
        letters,
        " ".join(part for part in (figure.stem, figure.asked) if part),
        " ".join(part for part in (figure.stem, figure.drawn, figure.in_words or figure.asked) if part),
        tuple(map(_tidy, figure.steps)),
        str(figure.answer),
        figure.answer,
        tuple(figure.wrong),
        figure.scene,
    )


def _tidy(step: str) -> str:
    """Leaves out a part of an equation that only repeats the one before, as in ``AB = sqrt(2) = sqrt(2)``."""
    parts = step.split(" = ")
    return " = ".join(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])


def wrong_answers(answer: Value, wrong: Sequence[Value], count: int = 3) -> tuple[str, ...]:
    """Returns at least ``count`` answers that are not the right one, those of typical errors first.

    Numbers are filled up with near ones; an answer that is positive stays among positive ones.

    Raises:
        ValueError: A word or a point came with too few wrong ones.
    """
    if isinstance(answer, str):
        found = tuple(dict.fromkeys(str(value) for value in wrong if str(value) != answer))
        if len(found) < count:
            raise ValueError(f"{answer!r} needs {count} wrong answers beside it, not {found}")
        return found
    exact = Exact.of(answer)
    taken, texts = [float(exact)], []
    near = [exact * Fraction(n, d) for n, d in ((2, 1), (1, 2), (3, 2), (3, 1), (4, 3), (3, 4))]
    if set(exact.terms) <= {(1, 0)}:
        near = [exact + n for n in (1, -1, 2, -2, 10, 5, 3)] + near
    for value in (*wrong, *near):
        if len(texts) == count:
            break
        assert not isinstance(value, str), "a number's wrong answers are numbers"
        size = float(Exact.of(value))
        if all(abs(size - other) > 1e-9 * max(1.0, abs(other)) for other in taken) and (size > 0 or taken[0] <= 0):
            taken.append(size)
            texts.append(str(Exact.of(value)))
    return tuple(texts)


def draw_letters(lots: Lots) -> str:
    """Draws names for points: mostly any letters, else a run of the alphabet such as A, B, C."""
    if lots.chance(0.95):
        return "".join(lots.pick(ALPHABET, ROLES))
    start = lots.integer(0, len(ALPHABET) - ROLES)
    return ALPHABET[start : start + ROLES]


def in_split(family: str, numbers: Numbers, split: str) -> bool:
    """Tells whether a problem belongs to a split; that is decided by its numbers, whatever its points are called."""
    return split == "all" or split_of(family, numbers) == split


def sample_question(lots: Lots, family: DiagramFamily, level: int, split: str) -> Question:
    """Draws one question of a family.

    Raises:
        UserError: The family has none at this level in this split.
    """
    for _ in range(MAX_DRAWS):
        numbers = family.sample(lots, level)
        if numbers is not None and in_split(family.name, numbers, split):
            return make_question(family, numbers, draw_letters(lots))
    raise UserError(f"no {split} problem of {family.name} at level {level}; choose another level or split")
