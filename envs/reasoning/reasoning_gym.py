"""The data sets of reasoning-gym as families, named ``reasoning-gym/leg_counting`` and so on.

reasoning-gym (https://github.com/open-thought/reasoning-gym, Apache-2.0) is the extra ``lmmr1[reasoning-gym]``. Its
data sets score answers themselves. Not all of these scores can be a reward: ``REFUSED`` says which ones and why. Of the
others an answer counts only with the full score, so that no part of an answer is worth anything.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.rewards.accuracy import Verdict, read_number

from .family import Numbers, Problem

PREFIX = "reasoning-gym/"
SEEDS = 1 << 31
# A scorer is written for answers; what is longer than any of them is not read.
MAX_ANSWER_LENGTH = 16_384
MAX_QUESTION_LENGTH = 65_536

_NO_GOLD = "it has no right answer of its own, only a scorer of play"
_HASH_SEED = "its questions differ between processes (they depend on PYTHONHASHSEED)"
_EVALUATES = "its scorer runs the answer as Python code"
REFUSED = {
    "composite": "it is a mixture of the others; give their names as families",
    "boxnet": _NO_GOLD,
    "graph_color": _NO_GOLD,
    "propositional_logic": _NO_GOLD,
    "rubiks_cube": _NO_GOLD,
    "rush_hour": _NO_GOLD,
    "game_of_life_halting": "its scorer gives full marks to any text",
    "knight_swap": "its curriculum cannot be built",
    "isomorphic_strings": _HASH_SEED,
    "polynomial_multiplication": _HASH_SEED,
    "ransom_note": _HASH_SEED,
    "word_ladder": _HASH_SEED,
    "countdown": _EVALUATES,
    "puzzle24": _EVALUATES,
    "n_queens": _EVALUATES,
    "simple_integration": _EVALUATES,
    "intermediate_integration": _EVALUATES,
}
# There is one right text, and it is compared: three of these scorers would run other texts as Python code, the others
# pay for texts in which the right one occurs among others.
EXACT = frozenset(
    (
        "binary_matrix",
        "figlet_font",
        "fraction_simplification",
        "knights_knaves",
        "letter_jumble",
        "spell_backward",
        "spiral_matrix",
        "string_insertion",
    )
)
# Its scorer takes the last number of any text; its answers are plain numbers and read as such.
NUMBERS = frozenset(("gsm_symbolic",))
# Beyond these levels one question takes more than some seconds, or for ever.
HARDEST = {"arc_1d": 6, "bf": 6, "jugs": 4, "zebra_puzzles": 6}


@dataclass(frozen=True)
class ForeignFamily:
    """A data set of reasoning-gym.

    Attributes:
        name: ``PREFIX`` and the name it has there.
    """

    name: str

    def draw(self, rng: np.random.Generator, level: int) -> tuple[Numbers, int] | None:
        """Draws the seed of a question; None where the data set cannot build one of it."""
        numbers = (int(rng.integers(SEEDS)), level)
        return None if _build(self.name, *numbers) is None else (numbers, 0)

    def content(self, numbers: Numbers) -> Numbers:
        """Returns what decides the split: a hash of the question, because several seeds may ask the same."""
        question = self.problem(numbers).question
        return (int.from_bytes(blake2b(question.encode(), digest_size=8).digest(), "big"),)

    def problem(self, numbers: Numbers, voice: int = 0) -> Problem:
        """Returns the question of a seed and a level; reasoning-gym has no worked solutions.

        Raises:
            UserError: The data set cannot build it.
        """
        built = _build(self.name, *numbers)
        if built is None:
            raise UserError(f"{self.name} has no question of seed {numbers[0]} at level {numbers[1]}")
        return Problem(self.name, numbers, built[1]["question"], "", built[1]["answer"])


def find_foreign(name: str) -> ForeignFamily:
    """Returns the family of a name that begins with ``PREFIX``.

    Raises:
        UserError: There is no such data set, or it is refused.
        MissingExtraError: reasoning-gym is not installed.
    """
    short = name.removeprefix(PREFIX)
    known, _ = _registry()
    if short in REFUSED:
        raise UserError(f"families: {name!r} cannot be used for training: {REFUSED[short]}")
    if short not in known:
        close = difflib.get_close_matches(short, known, n=1, cutoff=0.6)
        meant = f"; did you mean {PREFIX}{close[0]}?" if close else ""
        raise UserError(f"families: reasoning-gym has no data set {short!r}{meant}")
    return ForeignFamily(name)


def foreign_names() -> tuple[str, ...]:
    """Names all families of reasoning-gym that are not refused.

    Raises:
        MissingExtraError: reasoning-gym is not installed.
    """
    return tuple(PREFIX + name for name in sorted(_registry()[0]) if name not in REFUSED)


def check_foreign_level(name: str, level: int) -> None:
    """Checks that a data set has a level: its curriculum, from its first to its last step, is spread over 1 to 10.

    Raises:
        UserError: It has no curriculum and the level is not 1, or the level cannot be built.
    """
    short = name.removeprefix(PREFIX)
    if level > HARDEST.get(short, 10):
        raise UserError(f"{name}: level {level} takes too long to build; the highest is {HARDEST[short]}")
    try:
        _configure(short, 0, level)
    except AssertionError as error:
        raise UserError(f"{name} cannot be built at level {level}: {error}") from error


def grade_foreign(problem: Problem, answer: str) -> Verdict:
    """Grades an answer by the data set's own scorer: only the full score is right.

    Returns:
        EQUAL or DIFFERENT. Text that the scorer cannot read is DIFFERENT.
    """
    answer = answer.strip()
    if answer == problem.answer.strip():
        return Verdict.EQUAL
    if not answer or len(answer) > MAX_ANSWER_LENGTH:
        return Verdict.DIFFERENT
    short = problem.family.removeprefix(PREFIX)
    if short in EXACT:
        return Verdict.EQUAL if answer.split() == problem.answer.split() else Verdict.DIFFERENT
    # "40 or not 40" is no answer, whatever a scorer makes of it.
    if short in NUMBERS or problem.answer.strip() in answer:
        gold, number = read_number(problem.answer), read_number(answer)
        return Verdict.EQUAL if gold is not None and gold == number else Verdict.DIFFERENT
    built = _build(problem.family, *problem.numbers)
    assert built is not None
    dataset, entry = built
    try:
        score = dataset.score_answer(answer, entry)
    except Exception:  # a scorer may stumble over any text in any way; the text is then not the answer
        return Verdict.DIFFERENT
    return Verdict.EQUAL if score >= 1 else Verdict.DIFFERENT


@lru_cache(maxsize=1)
def _registry() -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables of data sets and of curricula."""
    try:
        from reasoning_gym.factory import CURRICULA, DATASETS  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("Asking questions of reasoning-gym", "reasoning-gym", "reasoning-gym") from error
    return DATASETS, CURRICULA


def _configure(short: str, seed: int, level: int) -> Any:
    datasets, curricula = _registry()
    if short not in curricula:
        if level != 1:
            raise UserError(f"{PREFIX}{short} has no levels in reasoning-gym; leave level at 1")
        return datasets[short][1](seed=seed, size=1)
    curriculum = curricula[short]()
    for name, attribute in curriculum.attributes.items():
        curriculum.set_attr_level(name, (level - 1) * (len(attribute.levels) - 1) // 9)
    return curriculum.generate_configuration({"seed": seed, "size": 1})


@lru_cache(maxsize=256)
def _build(name: str, seed: int, level: int) -> tuple[Any, dict[str, Any]] | None:
    """A data set of one question and that question; None where it says that there is none of this seed."""
    short = name.removeprefix(PREFIX)
    try:
        dataset = _registry()[0][short][0](config=_configure(short, seed, level))
        return dataset, dataset[0]
    except (AssertionError, RuntimeError):
        return None
