"""Expressions at sample points: where two of them differ there, they are different. Never proof that they are equal."""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

POINTS = 2
LARGEST = 1e12

FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "cot": lambda x: 1 / cmath.tan(x), "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x),
    "ln": cmath.log, "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan,
}  # fmt: skip
CONSTANTS = {"\\pi": complex(math.pi), "e": complex(math.e), "#i": 1j}


@dataclass(frozen=True)
class Samples:
    """What an expression is worth at the sample points, the letters replaced by fixed numbers between 0.6 and 1.9.

    Attributes:
        values: one number a point.
        scale: the largest absolute value met on the way there, which bounds what rounding can have done.
    """

    values: tuple[complex, ...]
    scale: float

    def differs(self, other: Samples) -> bool:
        """Whether the two differ at every point by more than rounding explains."""
        slack = 1e-9 * max(1.0, self.scale, other.scale)
        return all(
            abs(one - two) > max(1e-6 * max(abs(one), abs(two)), slack)
            for one, two in zip(self.values, other.values, strict=True)
        )


def sample_number(value: float) -> Samples | None:
    """A number, the same at every point; None where it is too large."""
    return _checked([complex(value)] * POINTS, 1.0)


def sample_letter(name: str) -> Samples:
    """A letter: a constant, or a number that depends on its name and the point alone."""
    if name in CONSTANTS:
        return Samples((CONSTANTS[name],) * POINTS, 4.0)
    draws = [zlib.crc32(f"{name} {point}".encode("utf-8", "replace")) / 2**32 for point in range(POINTS)]
    return Samples(tuple(complex(0.6 + 1.3 * draw) for draw in draws), 2.0)


def combine(operation: Callable[..., complex], *operands: Samples | None) -> Samples | None:
    """Apply an operation point by point; None where an operand is None or a result is not a moderate number."""
    known = [operand for operand in operands if operand is not None]
    if len(known) < len(operands):
        return None
    try:
        results = [operation(*values) for values in zip(*(operand.values for operand in known), strict=True)]
    except (ArithmeticError, ValueError):
        return None
    return _checked(results, max(operand.scale for operand in known))


def raise_power(base: complex, exponent: complex) -> complex:
    """``base ** exponent`` where every convention agrees.

    Raises:
        ValueError: the power is one of several, or too large.
    """
    whole = exponent.imag == 0 and exponent.real == int(exponent.real) and abs(exponent.real) < 1e6
    positive = abs(base.imag) < 1e-12 and base.real > 1e-9
    if not whole and not positive:
        raise ValueError("several values")
    if abs(base) > 0 and abs(exponent * math.log(abs(base))) > 60:
        raise ValueError("too large")
    return base ** int(exponent.real) if whole else cmath.exp(exponent * math.log(base.real))


def _checked(values: list[complex], scale: float) -> Samples | None:
    sizes = [abs(value) for value in values]
    # A quotient of almost nothing is as unsure as it is large.
    if not all(math.isfinite(size) and size < LARGEST for size in sizes):
        return None
    return Samples(tuple(values), max(scale, *sizes))
