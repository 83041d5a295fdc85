"""Exact values of plane geometry: sums of rational multiples of square roots and of pi."""

from __future__ import annotations

import math
from fractions import Fraction

Number = int | Fraction
Key = tuple[int, int]


def _split_square(number: int) -> tuple[int, int]:
    """Returns (s, r) with number = s * s * r and r free of squares."""
    square, rest, factor = 1, number, 2
    while factor * factor <= rest:
        while rest % (factor * factor) == 0:
            rest //= factor * factor
            square *= factor
        factor += 1
    return square, rest


class Exact:
    """A number such as ``5/2``, ``3*sqrt(2)/2`` or ``16 - 4*pi``, kept exactly.

    Args:
        terms: ``{(radicand, power of pi): rational factor}``, radicands free of squares; the value is the sum of
            factor * sqrt(radicand) * pi ** power.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[Key, Number]) -> None:
        self.terms = {key: Fraction(factor) for key, factor in terms.items() if factor}

    @classmethod
    def of(cls, value: Number | Exact) -> Exact:
        """Returns the value as an exact number."""
        return value if isinstance(value, Exact) else cls({(1, 0): value})

    def __add__(self, other: Number | Exact) -> Exact:
        """The sum."""
        terms: dict[Key, Number] = dict(self.terms)
        for key, factor in Exact.of(other).terms.items():
            terms[key] = terms.get(key, 0) + factor
        return Exact(terms)

    def __mul__(self, other: Number | Exact) -> Exact:
        """The product."""
        terms: dict[Key, Number] = {}
        for (root, power), factor in self.terms.items():
            for (other_root, other_power), other_factor in Exact.of(other).terms.items():
                square, rest = _split_square(root * other_root)
                key = rest, power + other_power
                terms[key] = terms.get(key, 0) + factor * other_factor * square
        return Exact(terms)

    def __sub__(self, other: Number | Exact) -> Exact:
        """The difference."""
        return self + Exact.of(other) * -1

    def __truediv__(self, other: Number) -> Exact:
        """The quotient by a rational number."""
        return self * (Fraction(1) / other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __float__(self) -> float:
        """The nearest floating-point number, but for rounding of the terms."""
        terms = (float(factor) * math.sqrt(root) * math.pi**power for (root, power), factor in self.terms.items())
        return sum(terms, 0.0)

    def __str__(self) -> str:
        """The value as plain text, rational part first: ``2 + 3*sqrt(5)/2``, ``16 - 4*pi``."""
        text = ""
        for (root, power), factor in sorted(self.terms.items()):
            sign, size = ("-" if factor < 0 else "+"), abs(factor)
            parts = [f"sqrt({root})"] * (root > 1) + (["pi"] if power == 1 else [f"pi^{power}"] * (power != 0))
            if size.numerator != 1 or not parts:
                parts.insert(0, str(size.numerator))
            term = "*".join(parts) + (f"/{size.denominator}" if size.denominator != 1 else "")
            text += f" {sign} {term}" if text else ("-" if factor < 0 else "") + term
        return text or "0"


PI = Exact({(1, 1): 1})


def root(value: Number) -> Exact:
    """Returns the square root of a rational number that is not negative."""
    value = Fraction(value)
    # sqrt(p / q) = sqrt(p * q) / q
    square, rest = _split_square(value.numerator * value.denominator)
    return Exact({(rest, 0): Fraction(square, value.denominator)})
