"""Angles in circles: inscribed, in a semicircle, in a quadrilateral."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import root
from lmmr1.envs.diagrams.linear import write_linear
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, polar

from .construction import angle, dist, draw_triple

Points = Mapping[str, Point]
CENTRE = (0.0, 0.0)


def _sample_inscribed(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 2)
    inscribed = lots.integer(25, 78)
    # Where on the far arc the corner stands, in degrees from one end.
    room = 360 - 2 * inscribed
    place = lots.integer(room * 3 // 10, room * 7 // 10)
    if kind == 2:
        # The angle OAB of the isosceles triangle is given.
        return (2, inscribed, place) if inscribed <= 66 else None
    if level >= 5 and kind == 0 and lots.chance(0.5):
        return 3, 2 * inscribed - 1, place  # an odd central angle
    return kind, inscribed, place


def _build_inscribed(numbers: Numbers, n: Names) -> Figure:
    kind, value, place = numbers
    central = value if kind == 3 else 2 * value
    inscribed = Fraction(central, 2)
    scene = Scene().add(O=CENTRE, A=polar(0), B=polar(central), C=polar(central + place))
    scene.circle("O", 1.0).dots("O").line("CA CB").name("OABC", n)
    stem = f"{n('A')}, {n('B')} and {n('C')} lie on the circle with centre O."
    text = f"{float(inscribed):g}"
    if kind in (0, 3):
        scene.line("OA OB").angle("AOB", value=central)
        drawn = f"Angle {n('A')}O{n('B')} is {central} degrees, and {n('C')} lies on the longer arc."
        asked, answer = f"How many degrees is angle {n('ACB')}?", inscribed
        steps = ["An inscribed angle is half the central angle over the same arc", f"{central}/2 = {answer}"]
        wrong: list[Value] = [central, 180 - inscribed, 180 - central, 2 * central]
    elif kind == 1:
        scene.line("OA OB").angle("ACB", f"{text}°", float(inscribed))
        drawn = (
            f"Angle {n('ACB')} is {inscribed} degrees, and {n('C')} lies on the longer arc from {n('A')} to {n('B')}."
        )
        asked, answer = f"How many degrees is angle {n('A')}O{n('B')}?", Fraction(central)
        steps = ["A central angle is twice the inscribed angle over the same arc", f"2 * {inscribed} = {answer}"]
        wrong = [inscribed, 180 - central, inscribed / 2, 180 - inscribed]
    else:
        base = 90 - inscribed
        scene.line("OA OB AB").angle("OAB", value=float(base))
        drawn = f"Angle O{n('AB')} is {base} degrees, and {n('C')} lies on the longer arc from {n('A')} to {n('B')}."
        asked, answer = f"How many degrees is angle {n('ACB')}?", inscribed
        steps = [
            f"O{n('A')} = O{n('B')}, so angle {n('A')}O{n('B')} = 180 - 2 * {base} = {central}",
            f"angle {n('ACB')} = {central}/2 = {answer}",
        ]
        wrong = [base, central, base / 2, 180 - base]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_inscribed(at: Points, numbers: Numbers) -> float:
    return angle(at["A"], at["C" if numbers[0] != 1 else "O"], at["B"])


def _sample_thales(lots: Lots, level: int) -> Numbers | None:
    if level <= 3:
        # The angle at A, or that at the centre over the same arc.
        return (0, lots.integer(24, 66), 0) if lots.chance(0.4) else (2, lots.integer(48, 132), 0)
    if level <= 7:
        a, b, c = draw_triple(lots, level)
        return 1, a, c
    c = lots.integer(5, 10 + 2 * level)
    a = lots.integer(2, c - 1)
    return (1, a, c) if 0.38 <= a / c <= 0.92 else None


def _build_thales(numbers: Numbers, n: Names) -> Figure:
    kind, value, whole = numbers
    radius = whole / 2 if kind == 1 else 1.0
    # C is turned from B by twice the angle at A.
    turn = (2 * value, 2 * math.degrees(math.asin(value / whole)) if whole else 0.0, value)[kind]
    scene = Scene().add(O=CENTRE, A=(-radius, 0.0), B=(radius, 0.0), C=polar(turn, radius))
    scene.circle("O", radius).dots("O").polygon("ABC", 0).name("ABC", n)
    stem = f"{n('AB')} is a diameter of the circle, and {n('C')} lies on the circle."
    if kind == 0:
        scene.angle("CAB", value=value).name("O", n)
        drawn, asked = f"The angle at {n('A')} is {value} degrees.", f"How many degrees is angle {n('ABC')}?"
        steps = [f"The angle at {n('C')} is 90 degrees, by Thales", f"90 - {value} = {90 - value}"]
        return Figure(
            scene, stem, drawn, asked, steps, 90 - value, [value, 180 - value, 2 * value, Fraction(180 - value, 2)]
        )
    if kind == 2:
        half = Fraction(value, 2)
        scene.line("OC").angle("BOC", value=value).name("O", n)
        drawn = f"O is the centre, and angle {n('B')}O{n('C')} is {value} degrees."
        asked = f"How many degrees is angle {n('ABC')}?"
        steps = [
            f"O{n('B')} = O{n('C')}, so the angles at {n('B')} and {n('C')} of triangle {n('B')}O{n('C')} are equal",
            f"(180 - {value})/2 = {90 - half}",
        ]
        return Figure(scene, stem, drawn, asked, steps, 90 - half, [half, value, 180 - value, 180 - half])
    scene.side("AB", whole).side("BC", value)
    other = root(whole * whole - value * value)
    drawn = f"{n('AB')} = {whole} and {n('BC')} = {value}."
    steps = [
        f"The angle at {n('C')} is 90 degrees, by Thales",
        f"{n('CA')}^2 = {whole}^2 - {value}^2 = {whole * whole - value * value}",
        f"{n('CA')} = {other}",
    ]
    wrong: list[Value] = [
        whole - value,
        root(whole * whole + value * value),
        Fraction(whole, 2),
        Fraction(whole + value, 2),
    ]
    return Figure(scene, stem, drawn, f"Find {n('CA')}.", steps, other, wrong)


def _measure_thales(at: Points, numbers: Numbers) -> float:
    return dist(at["A"], at["C"]) if numbers[0] == 1 else angle(at["A"], at["B"], at["C"])


def _sample_cyclic(lots: Lots, level: int) -> Numbers | None:
    # The four arcs between the corners, in degrees, even so that every angle is whole.
    arcs = [2 * lots.integer(24, 62) for _ in range(3)]
    arcs.append(360 - sum(arcs))
    if not 44 <= arcs[-1] <= 130:
        return None
    at_a, at_b = (arcs[1] + arcs[2]) // 2, (arcs[2] + arcs[3]) // 2
    if at_a == 90 or at_b == 90:
        return None
    if level <= 4:
        return 0, *arcs, 0, 0, 0, 0
    x = lots.integer(6, 30)
    factor, other = lots.distinct(1, 5, 2)
    one, two = at_a - factor * x, 180 - at_a - other * x
    return (1, *arcs, factor, one, other, two) if abs(one) <= 60 and abs(two) <= 60 else None


def _build_cyclic(numbers: Numbers, n: Names) -> Figure:
    kind, ab, bc, cd, da, factor, one, other, two = numbers
    at_a, at_b = (bc + cd) // 2, (cd + da) // 2
    scene = Scene().add(O=CENTRE, A=polar(0), B=polar(ab), C=polar(ab + bc), D=polar(ab + bc + cd))
    scene.circle("O", 1.0).polygon("ABCD").name("ABCD", n)
    stem = f"{n('ABCD')} is a quadrilateral with its corners on a circle."
    if kind == 0:
        scene.angle("DAB", value=at_a).angle("ABC", value=at_b)
        drawn = f"The angle at {n('A')} is {at_a} degrees, the angle at {n('B')} {at_b} degrees."
        steps = ["Opposite angles in a circle add up to 180", f"180 - {at_a} = {180 - at_a}"]
        wrong: list[Value] = [180 - at_b, at_a, abs(360 - 2 * at_a), 360 - at_a - at_b]
        return Figure(scene, stem, drawn, f"How many degrees is the angle at {n('C')}?", steps, 180 - at_a, wrong)
    left, right = write_linear(factor, one), write_linear(other, two)
    scene.angle("DAB", left, float(at_a)).angle("BCD", right, float(180 - at_a))
    total, constant = factor + other, one + two
    x = (180 - constant) // total
    drawn = f"In degrees, the angle at {n('A')} is {left} and the angle at {n('C')} is {right}."
    steps = [
        f"Opposite angles in a circle add up to 180: ({left}) + ({right}) = 180",
        f"{write_linear(total, 0)} = {180 - constant}",
        f"x = {180 - constant}/{total} = {x}",
    ]
    wrong = [
        Fraction(360 - constant, total),
        Fraction(abs(one - two) or 7, abs(factor - other)),
        at_a,
        Fraction(180, total),
    ]
    return Figure(scene, stem, drawn, "Find x.", steps, x, wrong)


def _measure_cyclic(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 0:
        return angle(at["B"], at["C"], at["D"])
    return (angle(at["D"], at["A"], at["B"]) - numbers[6]) / numbers[5]


CIRCLES = (
    DiagramFamily("inscribed_angle", _sample_inscribed, _build_inscribed, _measure_inscribed),
    DiagramFamily("angle_in_a_semicircle", _sample_thales, _build_thales, _measure_thales),
    DiagramFamily("cyclic_quadrilateral", _sample_cyclic, _build_cyclic, _measure_cyclic),
)
