"""Right triangles: a side, the altitude, the special ones, two in a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import product

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import Exact, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers
from lmmr1.envs.diagrams.scene import Names, Scene

from .construction import dist, draw_triple, foot

Points = Mapping[str, Point]


def _legs(lots: Lots, level: int) -> tuple[int, int] | None:
    a, b = lots.integer(2, 4 + 3 * level), lots.integer(2, 4 + 3 * level)
    return (a, b) if 0.33 <= a / b <= 3 else None


def _sample_side(lots: Lots, level: int) -> Numbers | None:
    hidden = lots.integer(0, 2)
    if level <= 3 or (level <= 6 and lots.chance(0.5)):
        a, b, c = draw_triple(lots, level)
        return hidden, a * a, b * b
    legs = _legs(lots, level)
    if legs is None:
        return None
    a, b = legs
    if hidden == 0:
        return hidden, a * a, b * b
    # A leg is asked for: the hypotenuse and the other leg are whole numbers.
    c = max(a, b) + lots.integer(1, 2 + level)
    leg = min(a, b)
    rest = c * c - leg * leg
    if not 0.1 <= rest / (leg * leg) <= 10:
        return None
    return (1, rest, leg * leg) if hidden == 1 else (2, leg * leg, rest)


def _build_side(numbers: Numbers, n: Names) -> Figure:
    hidden, a2, b2 = numbers
    a, b, c = root(a2), root(b2), root(a2 + b2)
    # C is the right angle; a = BC, b = CA, c = AB.
    scene = Scene().add(C=(0.0, 0.0), B=(float(a), 0.0), A=(0.0, float(b)))
    scene.polygon("ABC", 0).right("ACB").name("ABC", n)
    sides = {"AB": c, "BC": a, "CA": b}
    asked = ("AB", "BC", "CA")[hidden]
    given = [side for side in sides if side != asked]
    for side in given:
        scene.side(side, str(sides[side]), float(sides[side]))
    stem = f"Triangle {n('ABC')} has a right angle at {n('C')}."
    drawn = " ".join(f"{n(side)} = {sides[side]}." for side in given)
    x, y = (sides[side] for side in given)
    if hidden == 0:
        steps = [
            f"The hypotenuse: {n('AB')}^2 = {n('BC')}^2 + {n('CA')}^2 = {a2} + {b2} = {a2 + b2}",
            f"{n('AB')} = sqrt({a2 + b2}) = {c}",
        ]
        wrong = [a + b, root(abs(a2 - b2) or 1), c * c]
    else:
        rest, other = (a2, b2) if hidden == 1 else (b2, a2)
        steps = [
            f"The hypotenuse is {n('AB')}: {n(asked)}^2 = {a2 + b2} - {other} = {rest}",
            f"{n(asked)} = sqrt({rest}) = {sides[asked]}",
        ]
        wrong = [x - y, root(a2 + b2 + other), x + y]
    return Figure(scene, stem, drawn, f"Find {n(asked)}.", steps, sides[asked], wrong)


def _measure_side(at: Points, numbers: Numbers) -> float:
    start, end = ("AB", "BC", "CA")[numbers[0]]
    return dist(at[start], at[end])


def _sample_altitude(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 0 if level <= 2 else 2)
    if level <= 5:
        a, b, c = draw_triple(lots, level)
        return kind, a, b, 0
    # The two pieces of the hypotenuse are given: h = sqrt(pq).
    p, q = lots.integer(2, 3 * level), lots.integer(2, 3 * level)
    return (3 + lots.integer(0, 1), p, q, 0) if 0.25 <= p / q <= 4 else None


def _build_altitude(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, _ = numbers
    stem = f"Triangle {n('ABC')} has a right angle at {n('C')}; {n('CD')} is the altitude to {n('AB')}."
    if kind < 3:
        c = root(a * a + b * b)
        whole = int(float(c) + 0.5)
        points = {"C": (0.0, 0.0), "B": (float(a), 0.0), "A": (0.0, float(b))}
        answer = (Fraction(a * b, whole), Fraction(a * a, whole), Fraction(b * b, whole))[kind]
        asked = ("CD", "BD", "AD")[kind]
        steps = [f"{n('AB')} = sqrt({a}^2 + {b}^2) = {whole}"]
        if kind == 0:
            steps.append(f"The area in two ways: {n('CD')} = {a} * {b} / {whole} = {answer}")
        else:
            leg = a if kind == 1 else b
            steps.append(f"By similar triangles {n(asked)} = {leg}^2 / {whole} = {answer}")
        wrong = [Fraction(a * b, 2), Fraction(whole, 2), Fraction(a + b, 2), Fraction(a * b, a + b)]
        labels = {"BC": a, "CA": b}
    else:
        # p = AD and q = DB
        points = {"A": (0.0, 0.0), "B": (float(a + b), 0.0), "C": (float(a), float(root(a * b)))}
        labels = {"AD": a, "DB": b}
        if kind == 3:
            asked, answer = "CD", root(a * b)
            steps = [f"By similar triangles {n('CD')}^2 = {n('AD')} * {n('DB')} = {a} * {b} = {a * b}"]
            wrong = [Fraction(a + b, 2), a * b, root(a * a + b * b)]
        else:
            asked, answer = "AC", root(a * (a + b))
            steps = [f"By similar triangles {n('AC')}^2 = {n('AD')} * {n('AB')} = {a} * {a + b} = {a * (a + b)}"]
            wrong = [root(a * b), root(b * (a + b)), a * (a + b)]
        steps.append(f"{n(asked)} = sqrt({a * b if kind == 3 else a * (a + b)}) = {answer}")
    scene = Scene().add(**points)
    scene.add(D=foot(points["C"], points["A"], points["B"]))
    scene.polygon("ABC").line("CD").right("ACB").right("CDB").name("ABCD", n)
    for side, length in labels.items():
        scene.side(side, length)
    drawn = " ".join(f"{n(side)} = {length}." for side, length in labels.items())
    return Figure(scene, stem, drawn, f"Find {n(asked)}.", steps, answer, wrong)


def _measure_altitude(at: Points, numbers: Numbers) -> float:
    start, end = ("CD", "BD", "AD", "CD", "AC")[numbers[0]]
    return dist(at[start], at[end])


def _sample_special(lots: Lots, level: int) -> Numbers | None:
    given, asked = lots.distinct(0, 2, 2)
    half = lots.integer(0, 1)
    if half and {given, asked} == {0, 1}:
        return None  # the two legs of the half square are equal: nothing to work out
    size = lots.integer(2, 6 + 6 * level)
    if level <= 3:
        size *= 2
    return half, given, asked, size, lots.integer(0, 1) if level >= 6 else 0


def _build_special(numbers: Numbers, n: Names) -> Figure:
    half, given, asked, size, rooted = numbers
    # The sides with the shortest as 1: the legs 1, sqrt(3) and 2, or 1, 1 and sqrt(2). Short leg BC, long leg CA.
    ratios = (Exact.of(1), Exact.of(1), root(2)) if half else (Exact.of(1), root(3), Exact.of(2))
    sides = ("BC", "CA", "AB")
    factor = Exact.of(size) * (root(2 if half else 3) if rooted else 1)
    unit = factor * _inverse(ratios[given])
    lengths = [ratio * unit for ratio in ratios]
    scene = Scene().add(C=(0.0, 0.0), B=(float(lengths[0]), 0.0), A=(0.0, float(lengths[1])))
    scene.polygon("ABC", 0).right("ACB").name("ABC", n)
    shown = 45 if half else 60
    scene.angle("ABC", value=shown)
    label = str(size) if not rooted else f"{size}*sqrt({2 if half else 3})"
    scene.side(sides[given], label, float(lengths[given]))
    answer = lengths[asked]
    rule = "1 : 1 : sqrt(2)" if half else "1 : sqrt(3) : 2"
    steps = [
        f"The angles are {shown}, {90 - shown} and 90 degrees, so {n('BC')} : {n('CA')} : {n('AB')} = {rule}",
        f"{n(sides[asked])} = {answer}",
    ]
    wrong = [factor * 2, factor / 2, factor * root(3), factor * root(2), factor * root(3) / 3]
    stem = f"Triangle {n('ABC')} has a right angle at {n('C')}."
    drawn = f"The angle at {n('B')} is {shown} degrees and {n(sides[given])} = {label}."
    return Figure(scene, stem, drawn, f"Find {n(sides[asked])}.", steps, answer, wrong)


def _inverse(value: Exact) -> Exact:
    """One over a number of a single root."""
    ((radicand, _), factor) = next(iter(value.terms.items()))
    return root(radicand) / (factor * radicand)


def _measure_special(at: Points, numbers: Numbers) -> float:
    start, end = ("BC", "CA", "AB")[numbers[2]]
    return dist(at[start], at[end])


@lru_cache(maxsize=1)
def _whole_chains() -> tuple[Numbers, ...]:
    """Three sides at right angles to one another in turn, none much longer, with a whole number from end to end."""
    sides = product(range(2, 31), repeat=3)
    return tuple(
        (a, b, d)
        for a, b, d in sides
        if math.isqrt(a * a + b * b + d * d) ** 2 == a * a + b * b + d * d and max(a, b, d) <= 3 * min(a, b, d)
    )


def _sample_chain(lots: Lots, level: int) -> Numbers | None:
    if level <= 2:
        return lots.choice(_whole_chains())
    a, b, d = (lots.integer(2, 8 + 2 * level) for _ in range(3))
    return (a, b, d) if max(a, b, d) <= 3 * min(a, b, d) else None


def _build_chain(numbers: Numbers, n: Names) -> Figure:
    a, b, d = numbers
    c2 = a * a + b * b
    c = c2**0.5
    # ABC has its right angle at B, ACD at C; D lies on the other side of AC.
    points = {"B": (0.0, 0.0), "A": (0.0, float(a)), "C": (float(b), 0.0)}
    points["D"] = (b + d * a / c, d * b / c)
    scene = Scene().add(**points).polygon("ABCD").line("AC").right("ABC").right("ACD").name("ABCD", n)
    for side, length in (("AB", a), ("BC", b), ("CD", d)):
        scene.side(side, length)
    answer = root(c2 + d * d)
    steps = [
        f"In triangle {n('ABC')}: {n('AC')}^2 = {a}^2 + {b}^2 = {c2}",
        f"In triangle {n('ACD')}: {n('AD')}^2 = {c2} + {d}^2 = {c2 + d * d}",
        f"{n('AD')} = sqrt({c2 + d * d}) = {answer}",
    ]
    wrong = [root(c2) + d, root(b * b + d * d), a + b + d, root(abs(c2 - d * d) or 2)]
    stem = f"In the figure angles {n('ABC')} and {n('ACD')} are right angles."
    drawn = f"{n('AB')} = {a}, {n('BC')} = {b} and {n('CD')} = {d}."
    return Figure(scene, stem, drawn, f"Find {n('AD')}.", steps, answer, wrong)


def _measure_chain(at: Points, numbers: Numbers) -> float:
    return dist(at["A"], at["D"])


RIGHT_TRIANGLES = (
    DiagramFamily("right_triangle_side", _sample_side, _build_side, _measure_side),
    DiagramFamily("altitude_to_hypotenuse", _sample_altitude, _build_altitude, _measure_altitude),
    DiagramFamily("special_right_triangle", _sample_special, _build_special, _measure_special),
    DiagramFamily("right_triangle_chain", _sample_chain, _build_chain, _measure_chain),
)
