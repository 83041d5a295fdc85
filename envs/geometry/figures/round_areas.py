"""Sectors, rings and what is left of a square: answers with pi."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import PI, Exact, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Name, Names, Scene, arc, polar

from .construction import angle, area, dist

Points = Mapping[str, Point]
CENTRE = (0.0, 0.0)


def _sample_sector(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 4 else 2)
    turn = lots.choice((60, 90, 120) if level <= 3 else (40, 45, 60, 72, 80, 90, 100, 108, 120, 135, 140, 150, 160))
    return kind, turn, lots.integer(2, 24 + 4 * level)


def _build_sector(numbers: Numbers, n: Names) -> Figure:
    kind, turn, r = numbers
    path = arc(CENTRE, r, 0, turn)
    scene = Scene().add(O=CENTRE, A=polar(0, r), B=polar(turn, r)).fill([CENTRE, *path], 0)
    scene.line("OA OB").curve(path).name("OAB", n).side("OA", r).angle("AOB", value=turn)
    share = Fraction(turn, 360)
    stem = f"O{n('AB')} is a sector of a circle with centre O."
    drawn = f"The radius is {r} and the angle at O is {turn} degrees."
    length, size = PI * share * 2 * r, PI * share * r * r
    steps = [f"It is {turn}/360 = {share} of the circle"]
    if kind == 0:
        steps.append(f"area = {share} * pi * {r}^2 = {size}")
        return Figure(scene, stem, drawn, "Find its area.", steps, size, [length, PI * r * r, PI * share * r, size * 2])
    if kind == 1:
        steps.append(f"arc = {share} * 2 * pi * {r} = {length}")
        return Figure(scene, stem, drawn, "Find the length of its arc.", steps, length, [size, length / 2, PI * 2 * r])
    around = length + 2 * r
    steps += [f"arc = {share} * 2 * pi * {r} = {length}", f"With the two radii: perimeter = {around}"]
    return Figure(
        scene, stem, drawn, "Find its perimeter.", steps, around, [length, length + r, length / 2 + 2 * r, size]
    )


def _measure_sector(at: Points, numbers: Numbers) -> float:
    r, turn = dist(at["O"], at["A"]), math.radians(angle(at["A"], at["O"], at["B"]))
    return (turn * r * r / 2, turn * r, turn * r + 2 * r)[numbers[0]]


def _sample_ring(lots: Lots, level: int) -> Numbers | None:
    kind = 0 if level <= 4 else lots.integer(0, 1)
    if kind == 1:
        # A chord of the outer circle that touches the inner one: the ring has the area pi (chord / 2)^2.
        inner, half = lots.integer(2, 14 + 3 * level), lots.integer(3, 15 + 3 * level)
        return (1, half, inner) if 0.5 <= inner / half <= 1.4 else None
    inner, outer = lots.integer(2, 20 + 4 * level), lots.integer(4, 40 + 5 * level)
    return (0, outer, inner) if 0.3 <= inner / outer <= 0.75 else None


def _build_ring(numbers: Numbers, n: Names) -> Figure:
    kind, big, inner = numbers
    outer = float(big) if kind == 0 else math.hypot(big, inner)
    scene = Scene().add(O=CENTRE).circle("O", outer, 0).circle("O", inner, -1).dots("O")
    stem = "Two circles have the same centre, and the ring between them is shaded."
    if kind == 0:
        scene.add(A=polar(25, outer), B=polar(150, inner)).line("OA OB").side("OA", big).side("OB", inner).name("AB", n)
        answer: Value = PI * (big * big - inner * inner)
        stem += f" O{n('A')} and O{n('B')} are radii."
        drawn = f"O{n('A')} = {big} and O{n('B')} = {inner}."
        steps = [f"pi * {big}^2 - pi * {inner}^2 = {answer}"]
        wrong: list[Value] = [
            PI * (big - inner) ** 2,
            PI * (big * big + inner * inner),
            PI * 2 * (big - inner),
            PI * big * big,
        ]
    else:
        scene.add(A=(-float(big), -float(inner)), B=(float(big), -float(inner)), M=(0.0, -float(inner)))
        scene.line("AB").name("AB", n).side("MB", big).dots("M")
        scene.marks.append(Name("M", n("C")))
        answer = PI * big * big
        stem += f" {n('AB')} is a chord of the outer circle that touches the inner one at {n('C')}."
        drawn = f"{n('CB')} = {big}."
        steps = [
            f"The radii R and r and half the chord make a right triangle: R^2 - r^2 = {big}^2 = {big * big}",
            f"pi * (R^2 - r^2) = {answer}",
        ]
        wrong = [PI * 4 * big * big, PI * 2 * big, PI * big, Exact.of(big * big)]
    return Figure(scene, stem, drawn, "Find the shaded area.", steps, answer, wrong)


def _measure_ring(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 0:
        return math.pi * (dist(at["O"], at["A"]) ** 2 - dist(at["O"], at["B"]) ** 2)
    return math.pi * (dist(at["O"], at["A"]) ** 2 - dist(at["O"], at["M"]) ** 2)


def _sample_shaded(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 2 else 5)
    side = lots.integer(2, 40 + 3 * level)
    if level <= 4:
        side *= 2
    other = lots.integer(3, 10 + 5 * level) if kind == 4 else 0
    return (kind, side, other) if kind != 4 or 0.5 <= other / side <= 1.5 else None


def _build_shaded(numbers: Numbers, n: Names) -> Figure:
    kind, side, other = numbers
    s, half = float(side), side / 2
    corners = {"A": CENTRE, "B": (s, 0.0), "C": (s, s), "D": (0.0, s)}
    scene = Scene().add(**corners)
    square, quarter = Exact.of(side * side), PI * side * side / 4
    if kind == 0:
        scene.add(O=(half, half)).polygon("ABCD", 0).circle("O", half, -1).side("AB", side)
        stem, drawn = (
            f"A circle is cut out of the square {n('ABCD')} and touches all its sides.",
            f"The side of the square is {side}.",
        )
        asked, answer = "Find the shaded area.", square - quarter
        steps = [
            f"Square: {side}^2 = {side * side}; circle: pi * ({Fraction(side, 2)})^2 = {quarter}",
            f"area = {answer}",
        ]
        wrong: list[Value] = [square - PI * side * side, quarter, square - PI * side, square + quarter]
    elif kind == 1:
        scene.polygon("ABCD", 0).fill([CENTRE, *arc(CENTRE, s, 0, 90)], -1).curve(arc(CENTRE, s, 0, 90)).side(
            "AB", side
        )
        scene.polygon("ABCD")
        stem, drawn = (
            f"A quarter of a circle around {n('A')} is cut out of the square {n('ABCD')}.",
            f"The side of the square, and the radius, is {side}.",
        )
        asked, answer = "Find the shaded area.", square - quarter
        steps = [f"Square: {side}^2 = {side * side}; quarter circle: pi * {side}^2/4 = {quarter}", f"area = {answer}"]
        wrong = [square - PI * side * side, quarter, square - PI * side * side / 2, PI * side * side / 2]
    elif kind == 2:
        # Two quarter circles around opposite corners: the lens.
        lens = [*arc(CENTRE, s, 0, 90), *arc((s, s), s, 180, 270)]
        scene.fill(lens, 0).polygon("ABCD").curve(arc(CENTRE, s, 0, 90)).curve(arc((s, s), s, 180, 270)).side(
            "AB", side
        )
        stem = (
            f"In the square {n('ABCD')} quarter circles are drawn around {n('A')} and {n('C')}, from corner to corner."
        )
        drawn, asked, answer = (
            f"The side of the square is {side}.",
            "Find the shaded area between them.",
            quarter * 2 - square,
        )
        steps = [
            "The two quarters cover the square, and the part between them twice",
            f"2 * {quarter} - {side * side} = {answer}",
        ]
        wrong = [square - quarter, quarter, square * 2 - quarter * 2, quarter - square / 2]
    elif kind == 3:
        # The square in the circle.
        r = root(2) * side / 2
        scene.add(O=(half, half)).circle("O", float(r), 0).polygon("ABCD", -1).side("AB", side)
        stem, drawn = f"The square {n('ABCD')} has its corners on a circle.", f"The side of the square is {side}."
        size = PI * side * side / 2
        asked, answer = "Find the shaded area: the circle without the square.", size - square
        steps = [f"radius^2 = {side}^2/2 = {Fraction(side * side, 2)}", f"area = {size} - {side * side} = {answer}"]
        wrong = [quarter - square / 2, PI * side * side - square, size, PI * side * side * 2 - square]
    elif kind == 4:
        # A rectangle with a half circle on it.
        scene = Scene().add(A=CENTRE, B=(s, 0.0), C=(s, float(other)), D=(0.0, float(other)))
        bow = arc((half, float(other)), half, 0, 180)
        scene.fill([CENTRE, (s, 0.0), *bow], 0).line("AB BC DA").line("CD", dashed=True).curve(bow)
        scene.side("AB", side).side("BC", other)
        stem = f"On the side {n('CD')} of the rectangle {n('ABCD')} stands half a circle."
        drawn = f"The rectangle is {side} wide and {other} high."
        asked, answer = "Find the area of the whole figure.", Exact.of(side * other) + PI * side * side / 8
        steps = [
            f"Rectangle: {side} * {other} = {side * other}",
            f"Half circle: pi * ({Fraction(side, 2)})^2/2 = {PI * side * side / 8}",
            f"area = {answer}",
        ]
        wrong = [
            Exact.of(side * other) + quarter, Exact.of(side * other) + PI * side * side / 2,
            Exact.of(side * other), Exact.of(side * other) - PI * side * side / 8,
        ]  # fmt: skip
    else:
        # Four quarter circles of half the side are cut out of the corners.
        scene.polygon("ABCD", 0)
        for (x, y), start in (((0.0, 0.0), 0), ((s, 0.0), 90), ((s, s), 180), ((0.0, s), 270)):
            path = arc((x, y), half, start, start + 90)
            scene.fill([(x, y), *path], -1).curve(path)
        scene.polygon("ABCD").side("AB", side)
        stem = f"Around every corner of the square {n('ABCD')} a quarter circle is cut out, as far as the middle."
        drawn, asked, answer = f"The side of the square is {side}.", "Find the area that is left.", square - quarter
        steps = [
            f"Four quarters make a circle of radius {Fraction(side, 2)}: {quarter}",
            f"area = {side * side} - {quarter} = {answer}",
        ]
        wrong = [square - PI * side * side, quarter, square - quarter / 4, square - PI * side]
    scene.name("ABCD", n)
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_shaded(at: Points, numbers: Numbers) -> float:
    kind = numbers[0]
    square, side = area(at["A"], at["B"], at["C"], at["D"]), dist(at["A"], at["B"])
    disc = math.pi * side * side / 4
    if kind == 2:
        return 2 * disc - square
    if kind == 3:
        return math.pi * dist(at["O"], at["A"]) ** 2 - square
    return square + disc / 2 if kind == 4 else square - disc


ROUND_AREAS = (
    DiagramFamily("sector", _sample_sector, _build_sector, _measure_sector),
    DiagramFamily("ring", _sample_ring, _build_ring, _measure_ring),
    DiagramFamily("shaded_area", _sample_shaded, _build_shaded, _measure_shaded),
)
