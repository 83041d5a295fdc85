"""Two answers, read: the same, different, or not to be decided here. It is never a guess."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from . import ring as exact
from .grammar import Expression, read_expression
from .reading import (
    Answer,
    ContradictionError,
    Equation,
    Items,
    Matrix,
    Number,
    Region,
    Words,
    is_prose,
    is_words,
    read_answer,
)
from .regions import End, is_same_end
from .ring import TooLargeError, UnreadableError
from .samples import combine
from .units import DEGREE, PERCENT, RADIAN, Unit

ROUNDED_DIGITS = 6
LETTER = re.compile(r"[A-Za-z](?:_.*)?|\\[a-z]+")


class GoldReading:
    """A right answer, read once.

    Attributes:
        text: as cleaned.
        answer: what it is, or None if it cannot be compared exactly.
        too_large: whether that is because it would cost too much.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.answer: Answer | None = None
        self.too_large = False
        try:
            self.answer = read_answer(text)
        except TooLargeError:
            self.too_large = True
        except UnreadableError:
            pass


def decide(gold: GoldReading, text: str, tolerance: float = 0.0) -> bool | None:
    """Whether an answer equals the right one; None where that cannot be decided exactly.

    Args:
        gold: the right answer.
        text: the answer, cleaned.
        tolerance: how far a number may be from the right one, relative to it; 0 for not at all.

    Raises:
        TooLargeError: to read the answer would cost too much.
    """
    if gold.text == text:
        return True
    if not text:
        return False
    if isinstance(gold.answer, Words):
        return _same_words(gold.answer.text, text)
    if is_words(text):
        return False
    if gold.text.replace(" ", "") == text.replace(" ", "") or (
        len(text) == 1 and gold.text.casefold() == text.casefold()
    ):
        return True
    try:
        return _decide_read(gold.answer, text, tolerance)
    except ContradictionError:
        return False


def _decide_read(gold: Answer | None, text: str, tolerance: float) -> bool | None:
    answer = _read(text, glued=False)
    if answer is None and gold is not None and is_prose(text):
        return False  # whoever multiplied its letters would find something in it
    if gold is None:
        return None
    verdict = None if answer is None else same(gold, answer, tolerance)
    if verdict is not True and text[-1].isalpha():
        # 5m is five times m, or five metres.
        metric = _read(text, glued=True)
        verdict = True if metric is not None and same(gold, metric, tolerance) else verdict
    return verdict


def _read(text: str, glued: bool) -> Answer | None:
    try:
        return read_answer(text, glued)
    except (TooLargeError, ContradictionError):
        raise
    except UnreadableError:
        return None


def _same_words(gold: str, text: str) -> bool:
    one, other = (" ".join(word.casefold().strip("\"'?!. ").split()) for word in (gold, text))
    if one == other or one.removeprefix("the ") == other.removeprefix("the "):
        return True
    if len(gold) > 3 or not any(character in "*^\\+/=_" for character in text):
        return False
    # Two or three letters can be a product, and what stands beside them an expression.
    try:
        values = [read_expression(word).value for word in (gold, text)]
    except UnreadableError:
        return False
    return values[0] is not None and values[1] is not None and exact.is_equal(values[0], values[1]) is True


def same(gold: Answer, answer: Answer, tolerance: float = 0.0) -> bool | None:
    """Whether two answers are the same; None where that cannot be decided exactly."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return _same_numbers(gold, answer, tolerance)
    if isinstance(gold, Equation) or isinstance(answer, Equation):
        return _same_equations(gold, answer)
    if isinstance(gold, Region) or isinstance(answer, Region):
        return _same_regions(gold, answer)
    if isinstance(gold, Matrix) or isinstance(answer, Matrix):
        return _same_matrices(gold, answer, tolerance)
    if isinstance(gold, Words) and isinstance(answer, Words):
        return _same_words(gold.text, answer.text)
    if isinstance(gold, Items) and isinstance(answer, Items):
        return _same_items(gold, answer, tolerance)
    return False


def _same_numbers(gold: Number, answer: Number, tolerance: float) -> bool | None:
    if gold.name and answer.name and not _same_name(gold.name, answer.name):
        return False
    unit, other = gold.unit, answer.unit
    if unit is not None and other is not None:
        if unit.dimensions != other.dimensions or RADIAN in (unit, other):
            angles = {unit, other} == {DEGREE, RADIAN}
            return _same_expressions(_radians(gold), _radians(answer), gold, answer, tolerance) if angles else False
        return _same_expressions(_scaled(gold, unit), _scaled(answer, other), gold, answer, tolerance)
    verdict = _same_expressions(gold.expression, answer.expression, gold, answer, tolerance)
    # A percentage is a number too, and an angle in degrees one in radians.
    for one, two in ((gold, answer), (answer, gold)):
        if verdict is not True and one.unit == PERCENT:
            verdict = _either(verdict, _same_expressions(_scaled(one, PERCENT), two.expression, one, two, tolerance))
        elif verdict is not True and one.unit == DEGREE and _holds_pi(two.expression):
            verdict = _either(verdict, _same_expressions(_radians(one), two.expression, one, two, tolerance))
    return verdict


def _either(one: bool | None, other: bool | None) -> bool | None:
    return True if other is True else (None if None in (one, other) else False)


def _same_name(one: str, other: str) -> bool:
    """Whether two names can be those of the same thing; only letters are told apart."""
    return not (LETTER.fullmatch(one) and LETTER.fullmatch(other)) or one.casefold() == other.casefold()


def _holds_pi(expression: Expression) -> bool:
    return expression.value is not None and "\\pi" in expression.value.letters()


def _scaled(number: Number, unit: Unit) -> Expression:
    return _times(number.expression, exact.number(unit.factor), float(unit.factor))


def _radians(number: Number) -> Expression:
    if number.unit != DEGREE:
        return number.expression
    factor = exact.Value({(("\\pi", 1),): Fraction(1, 180)}, exact.ONE)
    return _times(number.expression, factor, math.pi / 180)


def _times(expression: Expression, factor: exact.Value, size: float) -> Expression:
    value = None
    if expression.value is not None:
        try:
            value = exact.Ring().multiply(expression.value, factor)
        except UnreadableError:
            value = None
    return Expression(value, combine(lambda x: x * size, expression.samples))


def _same_expressions(one: Expression, two: Expression, gold: Number, answer: Number, tolerance: float) -> bool | None:
    verdict = None
    if one.value is not None and two.value is not None:
        verdict = exact.is_equal(one.value, two.value)
        if verdict is True:
            return True
    if (gold.digits or answer.digits or tolerance) and _is_close(one, two, gold, answer, tolerance):
        return True
    if verdict is None and one.samples is not None and two.samples is not None and one.samples.differs(two.samples):
        return False
    return verdict


def _is_close(one: Expression, two: Expression, gold: Number, answer: Number, tolerance: float) -> bool:
    """Whether numbers are within the tolerance, or one is the other written out to six digits or more.

    Only what does not end can be written out: 0.333333 stands for 1/3, but 0.1000001 is not 0.1, and 1.41 has too
    few digits to stand for the square root of 2.
    """
    sizes = [_size(one), _size(two)]
    if None in sizes:
        return False
    first, second = (size for size in sizes if size is not None)
    gap = abs(first - second)
    if gap <= tolerance * abs(first):
        return True
    for written, size, other, expression in ((gold, first, second, two), (answer, second, first, one)):
        if written.digits >= ROUNDED_DIGITS and not _ends(expression) and size:
            unit = 10.0 ** (math.floor(math.log10(abs(size))) + 1 - min(written.digits, 12))
            # Rounded, or cut off.
            if abs(size - other) < unit * (1.0 if abs(size) < abs(other) else 0.500001):
                return True
    return False


def _size(expression: Expression) -> float | None:
    if expression.samples is None or (expression.value is not None and not expression.is_constant()):
        return None
    values = set(expression.samples.values)
    value = values.pop()
    return value.real if not values and value.imag == 0 else None


def _ends(expression: Expression) -> bool:
    """Whether a number has finitely many decimal places."""
    value = expression.value.rational() if expression.value is not None else None
    if value is None:
        return False
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _same_equations(gold: Answer, answer: Answer) -> bool | None:
    one, other = _difference(gold), _difference(answer)
    if one is None or other is None:
        # 3 = x + 1 is a statement about x, not a number: it has not been solved.
        return None if isinstance(gold, Equation) == isinstance(answer, Equation) else False
    if not (one.certain and other.certain):
        return None
    try:
        return exact.is_proportional(one.top, other.top)
    except TooLargeError:
        return None


def _difference(answer: Answer) -> exact.Value | None:
    if isinstance(answer, Equation):
        left, right = answer.left.value, answer.right.value
    elif isinstance(answer, Number) and LETTER.fullmatch(answer.name) and answer.unit is None:
        left, right = exact.letter(answer.name), answer.expression.value
    else:
        return None
    if left is None or right is None:
        return None
    try:
        return exact.Ring().add(left, right, -1)
    except UnreadableError:
        return None


def _same_regions(gold: Answer, answer: Answer) -> bool | None:
    regions = [_as_region(gold), _as_region(answer)]
    one, other = regions
    if one is None or other is None:
        return False
    if one.letter and other.letter and one.letter.casefold() != other.letter.casefold():
        return False
    if len(one.pieces) != len(other.pieces):
        return False
    pairs = zip(one.pieces, other.pieces, strict=True)
    ends = [pair for piece, piece_2 in pairs for pair in zip(piece, piece_2, strict=True)]
    return all(first.closed == second.closed and is_same_end(first, second) for first, second in ends)


def _as_region(answer: Answer) -> Region | None:
    if isinstance(answer, Region):
        return answer
    if not isinstance(answer, Items) or answer.opening not in ("(", "[", "{"):
        return None
    ends = []
    for item in answer.items:
        place = item.expression.real() if isinstance(item, Number) and item.unit is None else None
        if place is None or not isinstance(item, Number):
            return None
        ends.append((place, item.expression))
    if answer.opening == "{":
        points = [End(place, expression, True) for place, expression in sorted(ends, key=lambda end: end[0])]
        return Region(tuple((point, point) for point in points))
    if len(ends) != 2 or ends[0][0] >= ends[1][0]:
        return None
    (low, start), (high, end) = ends
    return Region(((End(low, start, answer.opening == "["), End(high, end, answer.closing == "]")),))


def _same_matrices(gold: Answer, answer: Answer, tolerance: float) -> bool | None:
    one, other = _as_rows(gold), _as_rows(answer)
    if one is None or other is None:
        return False
    if not (isinstance(gold, Matrix) and isinstance(answer, Matrix)) and 1 in (len(one), len(other)):
        # A vector may be written as a column, a row, or a point.
        one, other = (
            (tuple(item for row in rows for item in row),) if _is_vector(rows) else rows for rows in (one, other)
        )
    if [len(row) for row in one] != [len(row) for row in other]:
        return False
    return _all(
        same(a, b, tolerance) for row, row_2 in zip(one, other, strict=True) for a, b in zip(row, row_2, strict=True)
    )


def _is_vector(rows: tuple[tuple[Answer, ...], ...]) -> bool:
    return len(rows) == 1 or all(len(row) == 1 for row in rows)


def _as_rows(answer: Answer) -> tuple[tuple[Answer, ...], ...] | None:
    if isinstance(answer, Matrix):
        return answer.rows
    if not isinstance(answer, Items) or answer.opening not in ("(", "["):
        return None
    rows = tuple(item.items for item in answer.items if isinstance(item, Items) and item.opening in ("(", "["))
    if not rows:
        return (answer.items,)
    return rows if len(rows) == len(answer.items) else None


def _all(verdicts) -> bool | None:
    found = list(verdicts)
    return False if False in found else (None if None in found else True)


def _same_items(gold: Items, answer: Items, tolerance: float) -> bool | None:
    if len(gold.items) != len(answer.items):
        return False
    bare = "" in (gold.opening, answer.opening)
    if not bare and (gold.opening, gold.closing) != (answer.opening, answer.closing):
        # (1, 2) is a point or an open interval, [1, 2] a closed one: the brackets are part of the answer.
        return False
    if {gold.opening, answer.opening} <= {"", "{"}:
        return _same_in_any_order(gold.items, answer.items, tolerance)
    return _all(same(one, other, tolerance) for one, other in zip(gold.items, answer.items, strict=True))


def _same_in_any_order(gold: tuple[Answer, ...], answer: tuple[Answer, ...], tolerance: float) -> bool | None:
    left, sure = list(answer), True
    for item in gold:
        verdicts = [same(item, other, tolerance) for other in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            sure = False
        else:
            return False
    return True if sure else None
