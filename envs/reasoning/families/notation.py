"""How exact values are written: fractions in lowest terms, decimals without rounding, polynomials, lists of words."""

from __future__ import annotations

import math
from collections.abc import Sequence


def ratio(top: int, bottom: int) -> str:
    """Writes top / bottom in lowest terms: ``3/4``, ``-2``."""
    common = math.gcd(top, bottom) if bottom > 0 else -math.gcd(top, bottom)
    top, bottom = top // common, bottom // common
    return str(top) if bottom == 1 else f"{top}/{bottom}"


def reduced(top: int, bottom: int) -> str:
    """Writes a fraction and, where they differ, its lowest terms: ``6/8 = 3/4``, ``3/4``."""
    text, lowest = f"{top}/{bracketed(bottom)}", ratio(top, bottom)
    return text if text == lowest else f"{text} = {lowest}"


def counted(number: int, thing: str) -> str:
    """Writes a number of things: ``1 letter``, ``3 letters``."""
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def decimal(scaled: int, places: int) -> str:
    """Writes scaled / 10**places without zeros at the end: ``12.5``, ``-3``."""
    if places == 0:
        return str(scaled)
    whole, part = divmod(abs(scaled), 10**places)
    digits = str(part).rjust(places, "0").rstrip("0")
    return ("-" if scaled < 0 else "") + (f"{whole}.{digits}" if digits else str(whole))


def signed(number: int) -> str:
    """Writes a number as what is added: ``+ 5``, ``- 5``."""
    return f"+ {number}" if number >= 0 else f"- {-number}"


def bracketed(number: int) -> str:
    """Writes a number as a factor: ``5``, ``(-5)``."""
    return str(number) if number >= 0 else f"({number})"


def polynomial(coefficients: Sequence[int], letter: str = "x") -> str:
    """Writes a polynomial, highest power first: ``2x^2 - x + 7``."""
    text, degree = "", len(coefficients) - 1
    for power, factor in zip(range(degree, -1, -1), coefficients, strict=True):
        if factor == 0:
            continue
        size = abs(factor)
        digits = "" if size == 1 and power else str(size)
        term = digits + ("" if power == 0 else letter if power == 1 else f"{letter}^{power}")
        if text:
            text += (" - " if factor < 0 else " + ") + term
        else:
            text = ("-" if factor < 0 else "") + term
    return text or "0"


def listed(words: Sequence[str]) -> str:
    """Joins words: ``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def chain(numbers: Sequence[int]) -> str:
    """Writes a sum with its value: ``3 + 5 - 2 = 6``; a single number alone."""
    first, *rest = numbers
    if not rest:
        return str(first)
    return " ".join([str(first), *map(signed, rest)]) + f" = {sum(numbers)}"
