"""Exact arithmetic for answers: quotients of sums of products of rational numbers, roots, pi and letters.

A term is a rational coefficient times powers of primes (exponents between 0 and 1: the square root of 12 is 2 times
3 to the 1/2), of the imaginary unit (0 or 1), and of letters, pi and e among them (any exponent). Such products are
linearly independent over the rationals (for the roots: A. S. Besicovitch, J. London Math. Soc. 15 (1940), 3-6), so
two sums are equal if and only if their terms are, and two quotients if their cross products are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

MAX_TERMS = 64
MAX_BITS = 14_000  # a number of this size can still be written out by every Python
MAX_POWER = 4_000
MAX_WORK = 20_000  # products of two terms that one answer may cost
MAX_PRIME = 10_000
IMAGINARY = "#i"

Exponent = int | Fraction
Term = tuple[tuple[str, Exponent], ...]
Sum = dict[Term, Fraction]
ONE: Sum = {(): Fraction(1)}


class UnreadableError(Exception):
    """A text, or a value, that this exact arithmetic does not cover."""


class TooLargeError(UnreadableError):
    """A value that it covers in principle, but that would cost too much."""


@dataclass(frozen=True)
class Value:
    """A quotient of two sums.

    Attributes:
        top: the numerator; an empty sum is 0.
        bottom: the denominator; never empty.
        certain: whether values that differ in form differ as numbers. Not so where a letter stands for something
            that obeys laws of its own, such as a sine.
    """

    top: Sum
    bottom: Sum
    certain: bool = True

    def rational(self) -> Fraction | None:
        """The value as a rational number, or None if it is none."""
        if self.bottom != ONE or any(term != () for term in self.top):
            return None
        return self.top.get((), Fraction(0))

    def letters(self) -> set[str]:
        """The names in it, pi and e included, the bases of roots and the imaginary unit not."""
        return {name for part in (self.top, self.bottom) for term in part for name, _ in term if name[0] != "#"}

    def key(self) -> str:
        """A text that is the same for values of the same form."""
        lead = self.bottom[min(self.bottom, key=repr)]
        parts = [sorted((repr(term), value / lead) for term, value in part.items()) for part in (self.top, self.bottom)]
        return repr(parts)


def number(value: Fraction | int) -> Value:
    """The value of a rational number."""
    return Value({(): Fraction(value)} if value else {}, ONE)


def letter(name: str, certain: bool = True) -> Value:
    """The value of a letter."""
    return Value({((name, 1),): Fraction(1)}, ONE, certain)


def is_equal(one: Value, other: Value) -> bool | None:
    """Whether two values are the same; None where that cannot be told here."""
    ring = Ring()
    try:
        same = one == other or ring.product(one.top, other.bottom) == ring.product(other.top, one.bottom)
    except UnreadableError:
        return None
    return True if same else (False if one.certain and other.certain else None)


def is_proportional(one: Sum, other: Sum) -> bool:
    """Whether one sum is the other times a number that is not 0.

    Raises:
        TooLargeError: the sums are too long to tell.
    """
    ring = Ring()
    if not one or not other:
        return not one and not other
    leads = [_lead(part) for part in (one, other)]
    return ring.product(one, leads[1]) == ring.product(other, leads[0])


def _lead(part: Sum) -> Sum:
    """The coefficient, a number, of the first product of letters."""
    split = [(tuple(f for f in term if f[0][0] == "#"), tuple(f for f in term if f[0][0] != "#")) for term in part]
    first = min((letters for _, letters in split), key=repr)
    return {numbers: part[term] for term, (numbers, letters) in zip(part, split, strict=True) if letters == first}


class Ring:
    """The operations; one object for one answer, whose cost it counts."""

    def __init__(self) -> None:
        self.work = 0

    def add(self, one: Value, other: Value, sign: int = 1) -> Value:
        """``one + sign * other``."""
        certain = one.certain and other.certain
        if one.bottom == other.bottom:
            return self._quotient(self._sum(one.top, other.top, sign), one.bottom, certain)
        tops = self.product(one.top, other.bottom), self.product(other.top, one.bottom)
        return self._quotient(self._sum(*tops, sign), self.product(one.bottom, other.bottom), certain)

    def multiply(self, one: Value, other: Value) -> Value:
        """``one * other``."""
        top, bottom = self.product(one.top, other.top), self.product(one.bottom, other.bottom)
        return self._quotient(top, bottom, one.certain and other.certain)

    def divide(self, one: Value, other: Value) -> Value:
        """``one / other``.

        Raises:
            UnreadableError: the other is 0.
        """
        if not other.top:
            raise UnreadableError("division by zero")
        return self.multiply(one, Value(other.bottom, other.top, other.certain))

    def power(self, base: Value, exponent: Value) -> Value:
        """``base ** exponent``; a letter of its own where the exponent is no rational number."""
        wanted = exponent.rational()
        if wanted is None:
            if not base.top:
                raise UnreadableError("a power of zero")
            return letter(f"{base.key()}^{exponent.key()}", certain=False)
        if wanted.denominator == 1:
            return self._whole_power(base, int(wanted))
        return self._root_power(base, wanted)

    def root(self, base: Value, degree: int) -> Value:
        """The real root where there is one; of a negative number the square root is imaginary."""
        if not 2 <= degree <= 12:
            raise UnreadableError("the degree of a root")
        rational = base.rational()
        if rational is not None and rational < 0:
            positive = self._root_power(number(-rational), Fraction(1, degree))
            if degree % 2:
                return self.multiply(number(-1), positive)
            if degree == 2:
                return self.multiply(letter(IMAGINARY), positive)
        return self._root_power(base, Fraction(1, degree))

    def _whole_power(self, base: Value, exponent: int) -> Value:
        if abs(exponent) > MAX_POWER:
            raise TooLargeError("an exponent")
        if exponent < 0:
            if not base.top:
                raise UnreadableError("division by zero")
            base, exponent = Value(base.bottom, base.top, base.certain), -exponent
        if exponent == 0:
            if not base.top:
                raise UnreadableError("0 to the 0")
            return number(1)
        result = base
        for bit in bin(exponent)[3:]:
            result = self.multiply(result, result)
            if bit == "1":
                result = self.multiply(result, base)
        return result

    def _root_power(self, base: Value, exponent: Fraction) -> Value:
        """A power with a fraction for its exponent, of one term with a positive coefficient."""
        if not base.top:
            if exponent < 0:
                raise UnreadableError("division by zero")
            return base
        if len(base.top) > 1 or base.bottom != ONE or abs(exponent) > 64:
            raise UnreadableError("a root of a sum")
        ((term, coefficient),) = base.top.items()
        if coefficient < 0 or exponent.denominator > 12:
            raise UnreadableError("a root of a negative number")
        factors: dict[str, Exponent] = {}
        for name, power in term:
            # The square root of x squared is not x for every x.
            if name == IMAGINARY or (name[0] != "#" and power != 1 and Fraction(power).denominator == 1):
                raise UnreadableError("a root of a power")
            factors[name] = power * exponent
        for part, sign in ((coefficient.numerator, 1), (coefficient.denominator, -1)):
            for prime, count in _factorise(part).items():
                name = f"#{prime}"
                factors[name] = factors.get(name, 0) + sign * count * exponent
        reduced, scale = _reduce(factors)
        return Value({reduced: scale}, ONE, base.certain)

    def _sum(self, one: Sum, other: Sum, sign: int) -> Sum:
        total = dict(one)
        for term, coefficient in other.items():
            value = total.get(term, Fraction(0)) + sign * coefficient
            if value:
                total[term] = value
            else:
                total.pop(term, None)
        return self._checked(total)

    def product(self, one: Sum, other: Sum) -> Sum:
        """The product of two sums.

        Raises:
            TooLargeError: it is too long, or this answer has cost too much already.
        """
        if one == ONE or other == ONE:
            return other if one == ONE else one
        total: Sum = {}
        for term, coefficient in one.items():
            for term_2, coefficient_2 in other.items():
                self.work += 1 + (coefficient.numerator.bit_length() + coefficient_2.numerator.bit_length()) // 512
                if self.work > MAX_WORK:
                    raise TooLargeError("the work")
                joined, scale = (term or term_2, 1) if not (term and term_2) else _join(term, term_2)
                value = total.get(joined, 0) + coefficient * coefficient_2 * scale
                if value:
                    total[joined] = value
                else:
                    total.pop(joined, None)
        return self._checked(total)

    def _checked(self, total: Sum) -> Sum:
        if len(total) > MAX_TERMS:
            raise TooLargeError("the number of terms")
        for value in total.values():
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
                raise TooLargeError("a number")
        return total

    def _quotient(self, top: Sum, bottom: Sum, certain: bool) -> Value:
        if not bottom:
            raise UnreadableError("division by zero")
        if not top:
            return Value({}, ONE, certain)
        if bottom == ONE or len(bottom) > 1:
            return Value(top, bottom, certain)
        ((term, coefficient),) = bottom.items()
        inverse, scale = _reduce({name: -power for name, power in term})
        return Value(self.product(top, {inverse: scale / coefficient}), ONE, certain)


def _join(one: Term, other: Term) -> tuple[Term, Fraction]:
    factors: dict[str, Exponent] = dict(one)
    for name, power in other:
        factors[name] = factors.get(name, 0) + power
    return _reduce(factors)


def _reduce(factors: dict[str, Exponent]) -> tuple[Term, Fraction]:
    """Bring exponents into their ranges; returns the term and the rational number that was split off."""
    scale = Fraction(1)
    kept: list[tuple[str, Exponent]] = []
    for name, power in factors.items():
        if name == IMAGINARY:
            turns = int(power) % 4
            scale = -scale if turns >= 2 else scale
            power = turns % 2
        elif name[0] == "#":
            whole = math.floor(power)
            if abs(whole) > MAX_POWER:
                raise TooLargeError("an exponent")
            scale *= Fraction(int(name[1:])) ** whole
            power -= whole
        if power:
            kept.append((name, int(power) if Fraction(power).denominator == 1 else Fraction(power)))
    return tuple(sorted(kept)), scale


def _factorise(value: int) -> dict[int, int]:
    factors: dict[int, int] = {}
    prime = 2
    while prime * prime <= value:
        while value % prime == 0:
            value //= prime
            factors[prime] = factors.get(prime, 0) + 1
        prime += 1 if prime == 2 else 2
        if prime > MAX_PRIME:
            root = math.isqrt(value)
            if root * root == value and root < MAX_PRIME**2:
                return {**factors, root: factors.get(root, 0) + 2}
            raise UnreadableError("a root of a number with large factors")
    if value > 1:
        factors[value] = factors.get(value, 0) + 1
    return factors
