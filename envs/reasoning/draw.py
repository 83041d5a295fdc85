"""Many small random choices out of one large random integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Draws by taking digits off an integer, in whatever base the next draw needs.

    NumPy takes microseconds for one small integer, this a fraction of one. The pool has to be larger by many bits than
    the product of all spans that are drawn from it: what is left over is the bias, and an empty pool draws the first
    of everything.

    Args:
        pool: A uniform random integer of a fixed number of bits.
    """

    __slots__ = ("pool",)

    def __init__(self, pool: int) -> None:
        self.pool = pool

    def integer(self, low: int, high: int) -> int:
        """Draws an integer from low to high, both included."""
        self.pool, value = divmod(self.pool, high - low + 1)
        return low + value

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """Draws ``count`` integers from low to high, both included."""
        return [self.integer(low, high) for _ in range(count)]

    def nonzero(self, low: int, high: int) -> int:
        """Draws an integer from low < 0 to high > 0 that is not 0."""
        value = self.integer(low, high - 1)
        return value + 1 if value >= 0 else value

    def flip(self) -> bool:
        """Draws True or False."""
        self.pool, value = divmod(self.pool, 2)
        return value == 1

    def choice(self, options: Sequence[T]) -> T:
        """Draws one of the options."""
        self.pool, index = divmod(self.pool, len(options))
        return options[index]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Draws ``count`` different ones of the options, in random order."""
        left = list(options)
        for place in range(count):
            other = self.integer(place, len(left) - 1)
            left[place], left[other] = left[other], left[place]
        return left[:count]

    def distinct(self, low: int, high: int, count: int) -> list[int]:
        """Draws ``count`` different integers from low to high, both included, in random order."""
        return self.sample(range(low, high + 1), count)
