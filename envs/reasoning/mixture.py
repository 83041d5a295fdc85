"""Which family and which level the next problem has."""

from __future__ import annotations

import difflib
import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError

from .draw import Draw
from .splits import SPLITS, TWO_WAY

LEVELS = range(1, 11)
MOST_TOLD = 40  # names in a message of one line
Level = int | Sequence[int] | Mapping[Any, float]
Families = str | Sequence[str] | Mapping[str, float]


@dataclass(frozen=True)
class Mixture:
    """Things to choose from, equally likely or by weight.

    Attributes:
        things: What is chosen from.
        bounds: Running sums of the weights, the last of which is 1; None when all are equally likely.
    """

    things: tuple[Any, ...]
    bounds: tuple[float, ...] | None = None

    def choose(self, rng: np.random.Generator) -> Any:
        """Draws one; where there is only one, nothing is taken from the generator."""
        if len(self.things) == 1:
            return self.things[0]
        if self.bounds is None:
            return self.things[int(rng.integers(len(self.things)))]
        return self._weighted(rng.random())

    def pick(self, draw: Draw) -> Any:
        """Draws one from a pool."""
        if len(self.things) == 1:
            return self.things[0]
        if self.bounds is None:
            return draw.choice(self.things)
        return self._weighted(draw.integer(0, 2**53 - 1) / 2**53)

    def _weighted(self, chance: float) -> Any:
        assert self.bounds is not None
        return self.things[min(bisect_right(self.bounds, chance), len(self.things) - 1)]


def _weigh(what: str, weights: Mapping[Any, Any]) -> Mixture:
    for name, weight in weights.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and math.isfinite(weight)
        if not number or weight <= 0:
            raise UserError(f"{what}: the weight of {name} is {weight!r}; give a number above 0")
    total = math.fsum(weights.values())
    return Mixture(tuple(weights), tuple(itertools.accumulate(weight / total for weight in weights.values())))


def mix_families(
    families: Families | None, known: Sequence[str], groups: Mapping[str, Sequence[str]] | None = None
) -> Mixture:
    """Reads the argument ``families`` of an environment.

    Args:
        families: Names, one name, a mapping of names to weights, or None for all of ``known``.
        known: All names there are.
        groups: Names that stand for several. A weight of a group is shared among its families.

    Raises:
        UserError: A name is unknown, none is given, or a weight is not a number above 0.
    """
    groups = groups or {}
    if not isinstance(families, Mapping):
        return Mixture(check_families(families, known, groups))
    check_families(tuple(families), known, groups)
    _weigh("families", families)
    weights: dict[str, float] = {}
    for name, weight in families.items():
        members = groups.get(name, (name,))
        for member in members:
            weights[member] = weights.get(member, 0) + weight / len(members)
    return _weigh("families", weights)


def check_families(
    families: Families | None, known: Sequence[str], groups: Mapping[str, Sequence[str]] | None = None
) -> tuple[str, ...]:
    """Returns the chosen names, groups spelled out, all of ``known`` for None.

    Raises:
        UserError: A name is unknown, or none is given.
    """
    groups = groups or {}
    told = ", ".join(known)
    if len(known) > MOST_TOLD:
        told = f"the groups {', '.join(groups)}, or names in lmmr1.envs.reasoning.FAMILIES"
    if families is None:
        return tuple(known)
    if not isinstance(families, Iterable):
        raise UserError(f"families is {families!r}; give a list of names of: {told}")
    names = (families,) if isinstance(families, str) else tuple(families)
    if not names:
        raise UserError("families is empty; leave it out for all of: " + told)
    for name in names:
        if name not in known and name not in groups:
            close = difflib.get_close_matches(str(name), [*known, *groups], n=1, cutoff=0.7)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise UserError(f"families: {name!r} is not a family here{meant}; choose from {told}")
    return tuple(dict.fromkeys(member for name in names for member in groups.get(name, (name,))))


def mix_levels(level: Level) -> Mixture:
    """Reads the argument ``level`` of an environment: an integer, a pair (lowest, highest), or a mapping to weights.

    Raises:
        UserError: It is none of these, or a level is not an integer from 1 to 10.
    """
    if isinstance(level, Mapping):
        if not level:
            raise UserError("level is an empty mapping; give levels and their weights, such as {1: 2, 2: 1}")
        # What has been through JSON has its keys as text.
        read = {int(key) if isinstance(key, str) and key.isdecimal() else key: value for key, value in level.items()}
        for key in read:
            check_level(key)
        return _weigh("level", read)
    if isinstance(level, (list, tuple)):
        if len(level) != 2:
            raise UserError(f"level is {level!r}; a range has two ends, such as [1, 10]")
        low, high = (check_level(end) for end in level)
        if low > high:
            raise UserError(f"level is {level!r}; the lower end comes first: [{high}, {low}]")
        return Mixture(tuple(range(low, high + 1)))
    return Mixture((check_level(level),))


def check_level(level: Any) -> int:
    """Returns the level.

    Raises:
        UserError: It is not an integer from 1 to 10.
    """
    if isinstance(level, bool) or not isinstance(level, int) or level not in LEVELS:
        raise UserError(f"level is {level!r}; give an integer from 1 (small numbers) to 10")
    return level


def check_split(split: str, families: Iterable[str] = ()) -> str:
    """Returns the split.

    Raises:
        UserError: It is not one of ``SPLITS``, or a family has no problems in it.
    """
    if split not in SPLITS:
        raise UserError(f"split is {split!r}; choose from {', '.join(SPLITS)}")
    if split == "validation":
        for name in families:
            if name in TWO_WAY:
                raise UserError(
                    f"{name} has no validation problems, only train and test, as all families of the group primer;"
                    " choose other families or another split"
                )
    return split
