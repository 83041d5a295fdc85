"""All families of problems, and how one problem of a split is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmmr1.envs.errors import UserError

from .draw import Draw
from .families import TEXT_FAMILIES
from .family import AREAS, VOICE_BITS, VOICE_MASK, Family, Numbers, Problem, TextFamily, fill_pool
from .mixture import (
    LEVELS,
    Families,
    Level,
    Mixture,
    check_families,
    check_level,
    check_split,
    mix_families,
    mix_levels,
)
from .primer import WORDS
from .reasoning_gym import PREFIX, ForeignFamily, check_foreign_level, find_foreign
from .shapes import SHAPES
from .splits import SPLITS, TWO_WAY, is_test, split_of

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "GROUPS",
    "LEVELS",
    "MAX_DRAWS",
    "SPLITS",
    "TWO_WAY",
    "Family",
    "Numbers",
    "Problem",
    "ProblemSource",
    "TextFamily",
    "check_families",
    "check_level",
    "check_split",
    "find_family",
    "is_test",
    "sample_problem",
    "split_of",
]

FAMILIES: dict[str, Family | TextFamily] = {family.name: family for family in (*SHAPES, *WORDS, *TEXT_FAMILIES)}
# What None stands for. The others, the group "primer", are short questions for tiny models.
DEFAULT_FAMILIES = tuple(family.name for family in TEXT_FAMILIES)
GROUPS: dict[str, tuple[str, ...]] = {
    "primer": tuple(family.name for family in (*SHAPES, *WORDS)),
    **{area: tuple(family.name for family in TEXT_FAMILIES if family.area == area) for area in AREAS},
}
# A draw is accepted with a chance of at least 1 in 200 in every family and split: so many failures mean a broken one.
MAX_DRAWS = 2_000


def find_family(name: str) -> Family | TextFamily | ForeignFamily:
    """Returns the family of a name.

    Raises:
        UserError: There is none.
    """
    family = FAMILIES.get(name)
    if family is not None:
        return family
    if name.startswith(PREFIX):
        return find_foreign(name)
    check_families((name,), tuple(FAMILIES))
    raise AssertionError(name)


@dataclass(frozen=True)
class ProblemSource:
    """Where an environment's problems come from.

    Attributes:
        families: Names of families.
        levels: Levels.
        split: One of ``SPLITS``.
        pooled: Whether all families draw from a pool. Where some do not, each choice is a call of the generator, in the
            order in which it always was: what a seed means to the group "primer" never changes.
    """

    families: Mixture
    levels: Mixture
    split: str
    pooled: bool

    @classmethod
    def of(cls, families: Families | None = None, level: Level = 1, split: str = "all") -> ProblemSource:
        """Reads the arguments; see `sample_problem`.

        Raises:
            UserError: A family, the level or the split is not one there is.
        """
        chosen = DEFAULT_FAMILIES if families is None else families
        names = (chosen,) if isinstance(chosen, str) else chosen if isinstance(chosen, Iterable) else ()
        foreign = [find_foreign(name).name for name in names if isinstance(name, str) and name.startswith(PREFIX)]
        mixture, levels = mix_families(chosen, (*FAMILIES, *foreign), GROUPS), mix_levels(level)
        for name in foreign:
            for each in levels.things:
                check_foreign_level(name, each)
        pooled = all(isinstance(FAMILIES.get(name), TextFamily) for name in mixture.things)
        return cls(mixture, levels, check_split(split, mixture.things), pooled)

    def draw(self, rng: np.random.Generator) -> Problem:
        """Draws one problem: its family, its level, its numbers.

        Raises:
            UserError: The family has no problem of this level in this split.
        """
        if self.pooled:
            # Everything from one pool: no call of the generator but the one that fills it.
            pool = fill_pool(rng)
            draw = Draw(pool >> VOICE_BITS)
            family, level = FAMILIES[self.families.pick(draw)], self.levels.pick(draw)
            assert isinstance(family, TextFamily)
            numbers = family.sample(draw, level)
            drawn = None if numbers is None else (numbers, pool & VOICE_MASK)
        else:
            family, level = find_family(self.families.choose(rng)), self.levels.choose(rng)
            drawn = family.draw(rng, level)
        for _ in range(MAX_DRAWS):
            if drawn is not None:
                if self.split == "all" or split_of(family.name, family.content(drawn[0])) == self.split:
                    return family.problem(*drawn)
            drawn = family.draw(rng, level)
        raise UserError(f"no {self.split} problem of {family.name} at level {level}; choose another level or split")


def sample_problem(
    rng: np.random.Generator, families: Families | None = None, level: Level = 1, split: str = "all"
) -> Problem:
    """Draws one problem: first the family, then the level, then its numbers.

    Args:
        rng: Source of randomness.
        families: Names from ``FAMILIES``, ``GROUPS`` or reasoning-gym, each family equally likely, or a mapping of
            names to weights, or None for all of ``DEFAULT_FAMILIES``.
        level: 1 (small numbers) to 10, a pair (lowest, highest), or a mapping of levels to weights.
        split: "train", "validation" and "test" share no problem; "all" yields all three.

    Raises:
        UserError: A family, the level or the split is not one there is.
    """
    if isinstance(families, Mapping) or isinstance(level, Mapping):
        return ProblemSource.of(families, level, split).draw(rng)
    names = tuple(families) if isinstance(families, list) else families
    return _source_of(names, tuple(level) if isinstance(level, list) else level, split).draw(rng)


# Whoever draws one problem at a time says the same again and again.
@lru_cache(maxsize=256, typed=True)
def _source_of(families: Families | None, level: Level, split: str) -> ProblemSource:
    return ProblemSource.of(families, level, split)
