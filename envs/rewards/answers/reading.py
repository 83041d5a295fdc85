"""A cleaned answer's text to what it is: a number, an equation, a list, a matrix, a region, or words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from . import ring as exact
from .cleaning import CLOSE_SET, OPEN_SET
from .grammar import PLAIN, Expression, constant, read_expression
from .regions import Region, is_region, read_region
from .ring import UnreadableError
from .units import Unit, split_unit

MAX_ITEMS = 60

WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*\??|[^\W\d_]+(?:[ '-][^\W\d_]{2,})+")
# Letters that mean a number or a function to a mathematician are not words.
MATHEMATICAL_WORDS = PLAIN | frozenset("tau cot sec csc inf infinity oo".split())
DECIMAL = re.compile(r"[+-]? ?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
FRACTION = re.compile(r"([+-]?)\\frac *\{ *([+-]?[0-9.,]+) *\} *\{ *([+-]?[0-9.,]+) *\}")
MIXED = re.compile(r"([+-]?)([0-9]+) +([0-9]+)/([0-9]+)")
GROUPED = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:[, ][0-9]{3})+)(?![0-9,])")
PROSE = re.compile(r"(?<![\\A-Za-z{])[a-zA-Z]{4,}")
MATRIX = re.compile(r"\\begin\{([pbBvV]?(?:small)?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}", re.DOTALL)
NAME = re.compile(
    r"(?:[A-Za-z]|\\[A-Za-z]+)(?:_(?:[A-Za-z0-9]|\{[^{}]*\}))?'?|[A-Za-z]\([^()=]*\)"
    r"|(?:\\angle|\\triangle|m\\angle|\\overline) ?\{?[A-Z ]{1,5}\}?|[A-Z]{2,4}"
    r"|[A-Za-z][a-z]{2,}(?: [a-z]+){0,3}|(?:area|perimeter|volume)\b[^=]*"
)
CONJUNCTIONS = re.compile(r" (?:or|and) ")


@dataclass(frozen=True)
class Number:
    """A number or an expression.

    Attributes:
        expression: what it is worth, without its unit.
        unit: its unit, or None.
        name: what stood to the left of an equals sign, or "".
        digits: how many significant digits it was written with, if it is a plain decimal number; else 0.
        glued: whether the unit may be a letter of the expression as well (``5m``).
    """

    expression: Expression
    unit: Unit | None = None
    name: str = ""
    digits: int = 0
    glued: bool = False


@dataclass(frozen=True)
class Equation:
    """An equation between two expressions, written as ``sides`` that are equal."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Items:
    """Several answers: between brackets, or (both "") bare, or (both ":") a ratio."""

    items: tuple[Answer, ...]
    opening: str
    closing: str


@dataclass(frozen=True)
class Matrix:
    """Rows of answers."""

    rows: tuple[tuple[Answer, ...], ...]


@dataclass(frozen=True)
class Words:
    """Words that mean what they say."""

    text: str


Answer = Number | Equation | Items | Matrix | Region | Words


class ContradictionError(UnreadableError):
    """An equation of numbers that are not equal: whoever wrote it gave two answers."""


def read_answer(text: str, glued: bool = False) -> Answer:
    """Read a cleaned text.

    Args:
        text: what ``clean_answer`` returned.
        glued: whether letters right behind a number are its unit.

    Raises:
        UnreadableError: it is nothing that can be compared exactly.
        TooLargeError: it would cost too much.
    """
    if not text:
        raise UnreadableError("nothing")
    if (value := read_number(text)) is not None:
        return _plain(text, value)
    if is_words(text):
        return Words(text)
    if match := MATRIX.fullmatch(text):
        return _read_matrix(match[1], match[2])
    if is_region(text):
        return read_region(text)
    if "\\pm" in text:
        return _read_plus_minus(text, glued)
    items = _read_items(text, glued)
    if items is not None:
        return items
    if text[0] == OPEN_SET and text[-1] == CLOSE_SET:
        text = text[1:-1].strip()  # a set of one is that one
    if "=" in text or "\\approx" in text:
        return _read_equation(text, glued)
    if re.fullmatch(r"[0-9.]+(?: ?: ?[0-9.]+)+", text):
        return _read_ratio(text)
    return _read_quantity(text, glued)


def is_words(text: str) -> bool:
    """Whether a text is a word, or words, rather than a product of letters."""
    return bool(WORDS.fullmatch(text)) and text.casefold() not in MATHEMATICAL_WORDS and not set(text) <= set("xyz")


def is_prose(text: str) -> bool:
    """Whether a text holds a word of four letters that is no command, function or unit: no mathematics."""
    return any(match.group() not in MATHEMATICAL_WORDS for match in PROSE.finditer(text))


def read_number(text: str) -> Fraction | None:
    r"""Read an exact number: ``-3``, ``1,000``, ``0.25``, ``1.2e3``, ``3/4``, ``\frac{3}{4}``, ``1 3/4``.

    Returns:
        The number, or None if the text is none of these (or divides by zero).
    """
    text = text.strip()
    if len(text) > 400:
        return None
    if match := FRACTION.fullmatch(text):
        sign, top, bottom = match.groups()
        return _divide(_read_decimal(top), _read_decimal(bottom), sign)
    if match := MIXED.fullmatch(text):
        sign, whole, top, bottom = match.groups()
        part = _divide(Fraction(int(top)), Fraction(int(bottom)), "")
        return None if part is None else (int(whole) + part) * (-1 if sign == "-" else 1)
    top, slash, bottom = text.partition("/")
    if slash:
        return _divide(_read_decimal(top), _read_decimal(bottom), "") if "/" not in bottom else None
    return _read_decimal(text)


def _divide(top: Fraction | None, bottom: Fraction | None, sign: str) -> Fraction | None:
    if top is None or bottom is None or bottom == 0:
        return None
    return -top / bottom if sign == "-" else top / bottom


def _read_decimal(text: str) -> Fraction | None:
    text = text.strip()
    mantissa = re.split("[eE]", text, maxsplit=1)[0]
    if not DECIMAL.fullmatch(text) or not any(character.isdigit() for character in mantissa):
        return None
    # "- 3" is how some write -3.
    return Fraction(text.replace(",", "").replace(" ", ""))


def _plain(text: str, value: Fraction) -> Number:
    decimal = "." in text and "/" not in text and "frac" not in text
    digits = len(re.split("[eE]", text)[0].replace(".", "").replace(",", "").lstrip("+- 0")) if decimal else 0
    return Number(constant(value), digits=digits)


def _read_quantity(text: str, glued: bool) -> Number:
    number, unit = split_unit(text, glued)
    number = GROUPED.sub(lambda match: match[1].replace(",", "").replace(" ", ""), number)
    if (value := read_number(number)) is not None:
        plain = _plain(number, value)
        return Number(plain.expression, unit, digits=plain.digits, glued=glued)
    return Number(read_expression(number), unit, glued=glued and unit is not None)


def _read_equation(text: str, glued: bool) -> Answer:
    approximate = text.split("\\approx")
    # "the root of 2 \approx 1.414" is the root of 2; what follows is a remark.
    sides = [side.strip() for side in approximate[0].split("=")]
    if len(approximate) > 1 and not approximate[0].strip():
        sides = [approximate[1].strip()]
    if not all(sides) or len(sides) > 6:
        raise UnreadableError("an equation without a side")
    if len(sides) == 1:
        return read_answer(sides[0], glued)
    name = ""
    if NAME.fullmatch(sides[0]) and sides[0] not in ("\\pi", "e", "i"):
        name, sides = sides[0].replace(" ", ""), sides[1:]
    answers = [read_answer(side, glued) for side in sides]
    if len(answers) == 1:
        answer = answers[0]
        return _named(answer, name) if isinstance(answer, Number) else answer
    numbers = [answer for answer in answers if isinstance(answer, Number)]
    if len(numbers) < len(answers):
        raise UnreadableError("an equation of other things than numbers")
    if all(number.expression.is_constant() for number in numbers):
        return _named(_read_chain(numbers), name)
    if len(numbers) > 2 or name:
        raise UnreadableError("a chain of equations")
    return Equation(numbers[0].expression, numbers[1].expression)


def _read_chain(numbers: list[Number]) -> Number:
    """The one number that several sides are; a last side may be the first one rounded."""
    first, *others = numbers
    for other in others:
        if exact.is_equal(_exact(first), _exact(other)) is False:
            sizes = [number.expression.real() or 0.0 for number in (first, other)]
            if other.digits < 3 or abs(sizes[0] - sizes[1]) > 10.0 ** (1 - other.digits) * abs(sizes[0]):
                raise ContradictionError("an equation that does not hold")
    return first


def _exact(number: Number) -> exact.Value:
    if number.expression.value is None:
        raise UnreadableError("a number that is not known exactly")
    return number.expression.value


def _named(number: Number, name: str) -> Number:
    return Number(number.expression, number.unit, name or number.name, number.digits, number.glued)


def _read_ratio(text: str) -> Answer:
    parts = [Fraction(part.strip()) for part in text.split(":") if part.strip().replace(".", "", 1).isdigit()]
    if len(parts) != text.count(":") + 1 or not all(parts):
        raise UnreadableError("a ratio")
    if len(parts) == 2:
        return Number(constant(parts[0] / parts[1]))
    return Items(tuple(Number(constant(part / parts[0])) for part in parts), ":", ":")


def _read_plus_minus(text: str, glued: bool) -> Items:
    if text.count("\\pm") != 1 or "," in text:
        raise UnreadableError("several signs of plus and minus")
    head, _, tail = text.partition("\\pm")
    name, equals, head = head.rpartition("=")
    both = [_read_quantity(f"{head}{sign}{tail}".strip(), glued) for sign in "+-"]
    return Items(tuple(_named(number, name.strip() if equals else "") for number in both), "", "")


def _read_items(text: str, glued: bool) -> Items | None:
    """A list, with or without brackets; None if the text is a single thing."""
    name = ""
    if match := re.match(r"(?:[A-Za-z]|[A-Za-z] *\\in) *= *(?=[(\[\u2983{]|\\langle)", text):
        name, text = match.group(), text[match.end() :]
    text = text.replace("\\langle", "(").replace("\\rangle", ")").strip()
    if text[0] in "([{" + OPEN_SET and text[-1] in ")]}" + CLOSE_SET and _spans(text):
        pieces = _split(text[1:-1])
        if len(pieces) == 1 and text[0] == OPEN_SET:
            return None
        if len(pieces) != 1:
            opening, closing = ("{", "}") if text[0] in "{" + OPEN_SET else (text[0], text[-1])
            return Items(tuple(read_answer(piece, glued) for piece in pieces), opening, closing)
        return None
    if name:
        return None
    pieces = _split(text)
    if len(pieces) < 2:
        return None
    return Items(tuple(read_answer(piece, glued) for piece in pieces), "", "")


def _spans(text: str) -> bool:
    """Whether the first bracket ends with the last one."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character in "([{" + OPEN_SET) - (character in ")]}" + CLOSE_SET)
        if depth == 0:
            return at == len(text) - 1
    return False


def _split(text: str) -> list[str]:
    """Split at the commas, semicolons and conjunctions that stand in no bracket; commas of thousands stay."""
    text = CONJUNCTIONS.sub(",", text.replace(", and ", ",").replace(", or ", ",").replace(";", ","))
    spaced = ", " in text
    pieces, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "([{" + OPEN_SET) - (character in ")]}" + CLOSE_SET)
        if character == "," and depth == 0 and not (spaced and _is_thousands(text, at)):
            pieces.append(text[start:at].strip())
            start = at + 1
    pieces.append(text[start:].strip())
    if len(pieces) > MAX_ITEMS:
        raise exact.TooLargeError("the number of items")
    if len(pieces) > 1 and not all(pieces):
        raise UnreadableError("an empty item")
    return pieces if pieces != [""] else []


def _is_thousands(text: str, at: int) -> bool:
    after = text[at + 1 : at + 5]
    return text[at - 1 : at].isdigit() and after[:3].isdigit() and len(after[:3]) == 3 and not after[3:].isdigit()


def _read_matrix(kind: str, body: str) -> Matrix:
    if kind.startswith(("v", "V")):
        raise UnreadableError("a determinant")
    if body.count("&") + body.count("\\\\") > MAX_ITEMS:
        raise exact.TooLargeError("the number of entries")
    lines = [line for line in re.split(r"\\\\|\\cr", body.replace("\\hline", "")) if line.strip()]
    rows = tuple(tuple(read_answer(cell.strip()) for cell in line.split("&")) for line in lines)
    if not rows or len({len(row) for row in rows}) > 1:
        raise UnreadableError("a matrix")
    return Matrix(rows)
