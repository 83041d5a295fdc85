"""Angles that are written as expressions in x."""

from __future__ import annotations

from fractions import Fraction

from .lots import Lots


def degrees(value: int | Fraction) -> str:
    """Writes a number of degrees for a label."""
    return f"{float(value):g}°"


def write_linear(factor: int, constant: int) -> str:
    """Writes ``3x + 10``."""
    head = "x" if factor == 1 else f"{factor}x"
    return head if constant == 0 else f"{head} {'+' if constant > 0 else '-'} {abs(constant)}"


def draw_linear(lots: Lots, value: int, x: int, most: int = 5) -> tuple[int, int] | None:
    """Draws ``factor * x + constant`` of a given value, with a constant that is not too large."""
    factor = lots.integer(1, most)
    constant = value - factor * x
    return (factor, constant) if -60 <= constant <= 60 else None


def solve_sum(total: int, one: tuple[int, int], other: tuple[int, int]) -> tuple[list[str], int]:
    """Solves one + other = total for x, step by step."""
    factor, constant = one[0] + other[0], one[1] + other[1]
    x = (total - constant) // factor
    steps = [
        f"({write_linear(*one)}) + ({write_linear(*other)}) = {total}",
        f"{write_linear(factor, 0)} = {total - constant}",
        f"x = {total - constant}/{factor} = {x}",
    ]
    return steps, x
