"""All families of problems, and how one problem of a split is drawn."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

from lmmr1.envs.errors import UserError

from .arithmetic import ARITHMETIC
from .family import Family, Numbers, Problem
from .shapes import SHAPES

FAMILIES: dict[str, Family] = {family.name: family for family in (*SHAPES, *ARITHMETIC)}
LEVELS = range(1, 11)
SPLITS = ("all", "train", "test")
# A draw is accepted with a chance of at least 1 in 20 in every family, so this many failures mean a broken family.
MAX_DRAWS = 2_000


def is_test(family: str, numbers: Numbers) -> bool:
    """Tells whether a problem is held out for testing.

    The split is a function of the content alone: one problem in ten, by the BLAKE2b hash of ``family:numbers``,
    the same on every machine, at every level and for words and pictures alike.
    """
    text = f"{family}:{','.join(map(str, numbers))}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % 10 == 0


def check_families(families: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Returns the chosen names, all of ``known`` for None.

    Raises:
        UserError: A name is unknown, or none is given.
    """
    if families is None:
        return tuple(known)
    if not isinstance(families, Iterable):
        raise UserError(f"families is {families!r}; give a list of names of: {', '.join(known)}")
    names = (families,) if isinstance(families, str) else tuple(families)
    if not names:
        raise UserError("families is empty; leave it out for all of: " + ", ".join(known))
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.7)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise UserError(f"families: {name!r} is not a family here{meant}; choose from {', '.join(known)}")
    return names


def check_level(level: int) -> int:
    """Returns the level.

    Raises:
        UserError: It is not an integer from 1 to 10.
    """
    if isinstance(level, bool) or not isinstance(level, int) or level not in LEVELS:
        raise UserError(f"level is {level!r}; give an integer from 1 (small numbers) to 10")
    return level


def check_split(split: str) -> str:
    """Returns the split.

    Raises:
        UserError: It is not one of "all", "train" and "test".
    """
    if split not in SPLITS:
        raise UserError(f"split is {split!r}; choose from {', '.join(SPLITS)}")
    return split


def sample_problem(
    rng: np.random.Generator, families: Sequence[str] | None = None, level: int = 1, split: str = "all"
) -> Problem:
    """Draws one problem: first the family, each equally likely, then its numbers.

    Args:
        rng: Source of randomness.
        families: Names from ``FAMILIES``, or None for all of them.
        level: 1 (small numbers) to 10.
        split: "train" never yields what "test" yields; "all" yields both.

    Raises:
        UserError: A family, the level or the split is not one there is.
    """
    names = check_families(families, tuple(FAMILIES))
    check_level(level)
    check_split(split)
    family = FAMILIES[names[int(rng.integers(len(names)))]]
    for _ in range(MAX_DRAWS):
        numbers = family.sample(rng, level)
        if numbers is not None and (split == "all" or is_test(family.name, numbers) == (split == "test")):
            return family.problem(numbers)
    raise UserError(f"no {split} problem of {family.name} at level {level}; choose another level or split")
