"""Units: what follows a number, what it measures, and how much of the base unit it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Unit:
    """A unit of measure.

    Attributes:
        dimensions: what it measures, as powers of base dimensions; an unknown word is a dimension of its own.
        factor: how many of the base unit it is.
    """

    dimensions: Dimensions
    factor: Fraction


def _table() -> dict[str, Unit]:
    rows: dict[str, tuple[str, str | int | Fraction]] = {}

    def add(dimension: str, **names: str | int | Fraction) -> None:
        for name, factor in names.items():
            for word in name.split("__"):
                rows[word] = (dimension, factor)

    add("length", m__meter__metre=1, km__kilometer__kilometre=1000, dm__decimeter__decimetre="0.1", nm="1e-9")
    add("length", cm__centimeter__centimetre="0.01", mm__millimeter__millimetre="0.001", µm__micron="1e-6")
    add("length", inch__inches__in="0.0254", ft__foot__feet="0.3048", yd__yard="0.9144", mi__mile="1609.344")
    add("mass", kg__kilogram=1, g__gram="0.001", mg__milligram="1e-6", t__tonne=1000, lb__lbs__pound="0.45359237")
    add("mass", oz__ounce="0.028349523125")
    add("time", s__sec__second=1, min__mins__minute=60, h__hr__hrs__hour=3600, d__day=86400, week=604800)
    add("time", ms__millisecond="0.001", yr__year=31536000)
    add("volume", l__L__liter__litre=1, ml__mL__milliliter__millilitre="0.001", gallon__gal="3.785411784")
    add("angle", degree__deg=1, radian__rad=0)
    add("money", dollar__USD=1, cent=Fraction(1, 100))
    add("euro", euro__EUR=1)
    add("count", dozen=12)
    add("kelvin", K__kelvin=1)
    add("byte", byte__B=1, KB=1000, MB=10**6, GB=10**9)
    add("current", A__amp__ampere=1)
    add("amount", mol__mole=1)
    table = {name: Unit(((dimension, 1),), Fraction(factor)) for name, (dimension, factor) in rows.items()}
    # A litre is a cubic decimetre.
    for name in [name for name, unit in table.items() if unit.dimensions == (("volume", 1),)]:
        table[name] = Unit((("length", 3),), table[name].factor / 1000)
    table |= {"\u00b0": table["degree"], "$": table["dollar"], "\u20ac": table["euro"], "%": Unit((), Fraction(1, 100))}
    table |= {"percent": table["%"], "per cent": table["%"]}
    newton = (("length", 1), ("mass", 1), ("time", -2))
    joule, watt = (("length", 2), ("mass", 1), ("time", -2)), (("length", 2), ("mass", 1), ("time", -3))
    for names, dimensions in (
        ("N newton", newton),
        ("J joule", joule),
        ("W watt", watt),
        ("Hz hertz", (("time", -1),)),
    ):
        for name in names.split():
            table |= {name: Unit(dimensions, Fraction(1)), f"k{name}": Unit(dimensions, Fraction(1000))}
    table |= {"kilojoule": table["kJ"], "kilowatt": table["kW"]}
    table |= {"mph": Unit((("length", 1), ("time", -1)), Fraction("0.44704"))}
    table |= {
        "kmh": Unit((("length", 1), ("time", -1)), Fraction(5, 18)),
        "kph": Unit((("length", 1), ("time", -1)), Fraction(5, 18)),
    }
    return table


MAX_LENGTH = 300  # of a text with a unit: the search for it is quadratic
UNITS = _table()
RADIAN = UNITS["radian"]
DEGREE = UNITS["degree"]
PERCENT = UNITS["%"]
FACTOR = re.compile(
    r"(?P<power>square|sq\.?|cubic|cu\.?)? ?(?P<name>[^\W\d_]+|[\u00b0$%\u20ac])\.?"
    r"(?: ?\^ ?\{? ?(?P<exponent>-?[1-4]) ?\}?)?"
)
UNKNOWN = re.compile(r"[^\W\d_]{3,}(?:[ -][^\W\d_]+){0,2}")
POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
# Words that follow a number without being what it counts.
NOT_COUNTED = frozenset(
    "and or plus minus times over of not to the is if when for by but then than maybe possibly either else with "
    "squared cubed only where divided mod sin cos tan log exp sqrt half third".split()
)
ANY_UNIT = frozenset(["unit", "units", "square units", "sq units", "cubic units", "units squared", "square unit"])
TRAILING = re.compile(
    r"(?P<number>.*[0-9)}!.]|(?:.*[^A-Za-z\\])?\\pi) ?"
    r"(?P<unit>[$%\u00b0\u20ac\u00b5A-Za-z][^0-9]*(?:\^ ?\{? ?-?[1-4] ?\}?[^0-9]*)*)",
    re.DOTALL,
)
LEADING = re.compile(r"(?P<sign>-?) ?(?P<unit>[$\u20ac]) ?(?P<number>[0-9.].*)")


@lru_cache(maxsize=512)
def read_unit(text: str) -> Unit | None:
    """Read a unit: ``cm``, ``square metres``, ``m/s^2``, ``km per hour``; an unknown word is a unit of its own.

    Returns:
        The unit; one without dimensions and with factor 1 for "units"; None if the text is no unit.
    """
    text = text.strip().strip("{}").strip()
    if not text or len(text) > 40:
        return None
    if text in ANY_UNIT:
        return Unit((), Fraction(1))
    if text in UNITS:
        return UNITS[text]
    dimensions: dict[str, int] = {}
    factor, sign = Fraction(1), 1
    for piece in re.split(r"(/| per |\*|\\cdot| )", re.sub(r"(square|cubic|sq\.?|cu\.?) ", r"\1_", text)):
        piece = piece.strip().replace("_", " ")
        if piece in ("/", "per"):
            sign = -1
        elif piece not in ("", "*", "\\cdot"):
            match = FACTOR.fullmatch(piece)
            unit = _look_up(match["name"]) if match else None
            if match is None or unit is None:
                return _unknown(text)
            power = sign * POWERS.get((match["power"] or "").rstrip("."), 1) * int(match["exponent"] or 1)
            factor *= unit.factor**power if unit.factor else 1
            for name, count in unit.dimensions:
                dimensions[name] = dimensions.get(name, 0) + power * count
            if unit == RADIAN:
                return RADIAN if piece == text else None
    return Unit(tuple(sorted((name, power) for name, power in dimensions.items() if power)), factor)


def _look_up(name: str) -> Unit | None:
    for form in (name, name.removesuffix("s"), name.removesuffix("es")):
        for word in (form, form.casefold()):
            if word in UNITS and (len(word) > 1 or word == name):
                return UNITS[word]
    return None


def _unknown(text: str) -> Unit | None:
    words = text.casefold().replace("-", " ").split()
    if not UNKNOWN.fullmatch(text) or any(word in NOT_COUNTED for word in words):
        return None
    return Unit(((words[-1].removesuffix("s"), 1),), Fraction(1))


def split_unit(text: str, glued: bool) -> tuple[str, Unit | None]:
    """Split a number from its unit.

    Args:
        text: the cleaned text.
        glued: whether ``5m`` is five metres (else five times m); with a space it always is.

    Returns:
        The number and its unit, or the whole text and None.
    """
    if match := LEADING.fullmatch(text):
        return match["sign"] + match["number"], UNITS[match["unit"]]
    match = TRAILING.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        return text, None
    number, phrase = match["number"], match["unit"]
    space = text[len(number)] == " "
    if not (glued or space or phrase[0] in "$%\u00b0\u20ac"):
        return text, None
    unit = read_unit(phrase)
    return (text, None) if unit is None else (number.strip(), unit)
