"""Drawing of lots: small random choices, cheaply, from one generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
BLOCK = 32


class Lots:
    """Random choices in plain Python numbers.

    A call of a numpy generator for one number costs as much as a line on the canvas, so numbers are drawn 32 at a time.

    Args:
        rng: Source of randomness; it moves on by whole blocks.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def unit(self) -> float:
        """Returns a number from 0 up to, not including, 1."""
        if not self._block:
            self._block = self._rng.random(BLOCK).tolist()
        return self._block.pop()

    def integer(self, low: int, high: int) -> int:
        """Returns an integer from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def uniform(self, low: float, high: float) -> float:
        """Returns a number between low and high."""
        return low + self.unit() * (high - low)

    def chance(self, probability: float) -> bool:
        """Returns True that often."""
        return self.unit() < probability

    def choice(self, items: Sequence[Item]) -> Item:
        """Returns one of the items, each equally likely."""
        return items[int(self.unit() * len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Returns the items in random order."""
        return self.pick(items, len(items))

    def pick(self, items: Sequence[Item], count: int) -> list[Item]:
        """Returns ``count`` of the items, in random order."""
        rest = list(items)
        for i in range(count):
            j = i + int(self.unit() * (len(rest) - i))
            rest[i], rest[j] = rest[j], rest[i]
        return rest[:count]

    def distinct(self, low: int, high: int, count: int) -> list[int]:
        """Returns ``count`` different integers from low to high, both included."""
        found: list[int] = []
        while len(found) < count:
            number = self.integer(low, high)
            if number not in found:
                found.append(number)
        return found
