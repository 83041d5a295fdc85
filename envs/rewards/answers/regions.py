r"""Sets of real numbers: intervals, inequalities, their unions and intersections, single points left in or out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from . import ring as exact
from .cleaning import CLOSE_SET, OPEN_SET
from .grammar import Expression, read_expression
from .ring import UnreadableError

MAX_PIECES = 24

SIGNS = re.compile(r"\\le(?![a-z])|\\ge(?![a-z])|\\ne(?![a-z])|<|>|(?<![<>])=")
SIGN_OF_REGION = re.compile(
    r"\\(?:le|ge|ne|cup|cap|in|infty|mathbb|emptyset|setminus)(?![a-z])|[<>]|\ball real numbers?\b"
    r"|\bno (?:real )?solutions?\b"
)
INTERVAL = re.compile(r"([(\[])(.*),(.*)([)\]])", re.DOTALL)
VARIABLE = re.compile(r"[A-Za-z]|\\[a-z]+")
REALS = ("\\mathbb{R}", "all real numbers", "all real number", "all reals", "reals")
EMPTY = ("\\emptyset", "no solution", "no solutions", "no real solution", "no real solutions", OPEN_SET + CLOSE_SET)
BUILDER = re.compile(OPEN_SET + r" *([A-Za-z])(?: *\\in *\\mathbb\{R\})? *(?:\\mid|\||:) *(.*)" + CLOSE_SET, re.DOTALL)


@dataclass(frozen=True)
class End:
    """An end of a piece: where, and whether it belongs to it. Infinite ends have no expression."""

    place: float
    expression: Expression | None
    closed: bool


Piece = tuple[End, End]


@dataclass(frozen=True)
class Region:
    """A set of real numbers: disjoint pieces in order, and the letter that it was said of, or ""."""

    pieces: tuple[Piece, ...]
    letter: str = ""


BELOW, ABOVE = End(-math.inf, None, False), End(math.inf, None, False)


def is_region(text: str) -> bool:
    """Whether a text looks like an interval or an inequality rather than a number or a list."""
    return SIGN_OF_REGION.search(text) is not None


def read_region(text: str) -> Region:
    """Read a cleaned text.

    Raises:
        UnreadableError: it is no region whose ends are known numbers.
    """
    text = text.strip()
    if match := BUILDER.fullmatch(text):
        text = match[2].strip()
    if text in EMPTY:
        return Region(())
    for conjunction, operation in ((r" or |\\cup(?![a-z])", _unite), (r" and |\\cap(?![a-z])", _intersect)):
        parts = re.split(conjunction, text)
        if len(parts) > 1:
            regions = [read_region(part) for part in parts[:MAX_PIECES]]
            letters = {region.letter for region in regions} - {""}
            if len(letters) > 1 or len(parts) > MAX_PIECES:
                raise UnreadableError("a region of several letters")
            pieces = regions[0].pieces
            for region in regions[1:]:
                pieces = operation(pieces, region.pieces)
            return Region(pieces, letters.pop() if letters else "")
    head, within, tail = text.partition("\\in ")
    if within:
        if not VARIABLE.fullmatch(head.strip()):
            raise UnreadableError("a member that is no letter")
        return Region(read_region(tail).pieces, head.strip())
    base, minus, points = text.partition("\\setminus")
    if minus:
        return Region(_intersect(read_region(base).pieces, _complement(_read_points(points.strip()))))
    if text in REALS:
        return Region(((BELOW, ABOVE),))
    if match := INTERVAL.fullmatch(text):
        low, high = _read_end(match[2], match[1] == "["), _read_end(match[3], match[4] == "]")
        if low.place > high.place or (low.place == high.place and not (low.closed and high.closed)):
            raise UnreadableError("an interval that ends before it begins")
        return Region(((low, high),))
    if text[:1] == OPEN_SET:
        return Region(_read_points(text))
    if "," in text:
        parts = [read_region(part) for part in text.split(",")[:MAX_PIECES]]
        letters = {part.letter for part in parts}
        if not all(is_region(part) for part in text.split(",")) or len(letters) != 1:
            raise UnreadableError("a list of inequalities")
        # "x < 1, x > 2" means either; "x \ne 1, x \ne 2" means both.
        operation = _intersect if "\\ne" in text else _unite
        pieces = parts[0].pieces
        for part in parts[1:]:
            pieces = operation(pieces, part.pieces)
        return Region(pieces, letters.pop())
    return _read_inequality(text)


def _read_inequality(text: str) -> Region:
    signs, sides = SIGNS.findall(text), [side.strip() for side in SIGNS.split(text)]
    at = [
        index for index, side in enumerate(sides) if VARIABLE.fullmatch(side) and side not in ("\\infty", "\\pi", "e")
    ]
    if not signs or len(sides) > 3 or len(at) != 1 or "=" in signs:
        raise UnreadableError("an inequality")
    (middle,) = at
    pieces: tuple[Piece, ...] = ((BELOW, ABOVE),)
    for index, sign in enumerate(signs):
        if middle not in (index, index + 1):
            raise UnreadableError("an inequality that does not bound its letter")
        left = middle == index
        end = _read_end(sides[index + 1 if left else index], sign in ("\\le", "\\ge"))
        if sign == "\\ne":
            point = End(end.place, end.expression, True)
            bound = _complement(((point, point),))
        elif (sign in ("<", "\\le")) == left:
            bound = ((BELOW, end),)
        else:
            bound = ((end, ABOVE),)
        pieces = _intersect(pieces, bound)
    return Region(pieces, sides[middle])


def _read_end(text: str, closed: bool) -> End:
    text = text.strip()
    if text.lstrip("+- ") in ("\\infty", "infty", "infinity", "inf", "oo"):
        return BELOW if text.startswith("-") else ABOVE
    expression = read_expression(text)
    place = expression.real()
    if place is None:
        raise UnreadableError("an end that is no known number")
    return End(place, expression, closed)


def _read_points(text: str) -> tuple[Piece, ...]:
    if not (text[:1] in "{" + OPEN_SET and text[-1:] in "}" + CLOSE_SET):
        raise UnreadableError("a set of points")
    pieces: tuple[Piece, ...] = ()
    for item in text[1:-1].split(",")[:MAX_PIECES]:
        end = _read_end(item, True)
        pieces = _unite(pieces, ((end, end),))
    return pieces


def _order(one: End, other: End) -> int:
    """-1, 0 or 1: where one end lies, seen from the other, whether they are closed aside."""
    if math.isinf(one.place) or math.isinf(other.place):
        return (one.place > other.place) - (one.place < other.place)
    if is_same_end(one, other):
        return 0
    if abs(one.place - other.place) <= 1e-9 * max(1.0, abs(one.place)):
        raise UnreadableError("two ends that cannot be told apart")
    return 1 if one.place > other.place else -1


def is_same_end(one: End, other: End) -> bool:
    """Whether two ends lie in the same place, exactly."""
    if one.expression is None or other.expression is None:
        return one.place == other.place
    if one.expression.value is None or other.expression.value is None:
        return False
    return exact.is_equal(one.expression.value, other.expression.value) is True


def _intersect(one: tuple[Piece, ...], other: tuple[Piece, ...]) -> tuple[Piece, ...]:
    pieces = []
    for low, high in one:
        for low_2, high_2 in other:
            start, end = _inner(low, low_2, 1), _inner(high, high_2, -1)
            order = _order(start, end)
            if order < 0 or (order == 0 and start.closed and end.closed):
                pieces.append((start, end))
    return tuple(pieces)


def _inner(one: End, other: End, sign: int) -> End:
    order = sign * _order(one, other)
    return (one if not one.closed else other) if order == 0 else (one if order > 0 else other)


def _unite(one: tuple[Piece, ...], other: tuple[Piece, ...]) -> tuple[Piece, ...]:
    if len(one) + len(other) > MAX_PIECES:
        raise UnreadableError("too many pieces")
    pieces: list[Piece] = []
    for low, high in sorted((*one, *other), key=lambda piece: (piece[0].place, not piece[0].closed)):
        if pieces:
            last_low, last_high = pieces[-1]
            order = _order(low, last_high)
            if order < 0 or (order == 0 and (low.closed or last_high.closed)):
                further = _order(high, last_high)
                end = high if further > 0 or (further == 0 and high.closed) else last_high
                pieces[-1] = (last_low, end)
                continue
        pieces.append((low, high))
    return tuple(pieces)


def _complement(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    gaps, start = [], BELOW
    for low, high in pieces:
        if not math.isinf(low.place):
            gaps.append((start, End(low.place, low.expression, not low.closed)))
        start = End(high.place, high.expression, not high.closed)
    if not math.isinf(start.place) or start is BELOW:
        gaps.append((start, ABOVE))
    return tuple(gaps)
