"""Parallelogram, rhombus, trapezoid, regular polygons and figures with steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import Exact, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, polar

from .construction import angle, area, between, dist, draw_triple, foot, perimeter
from .triangles import SINES

Points = Mapping[str, Point]


def _sample_parallelogram(lots: Lots, level: int) -> Numbers | None:
    base, side = lots.integer(4, 8 + 3 * level), lots.integer(3, 6 + 3 * level)
    if not 0.5 <= side / base <= 1.6:
        return None
    if level <= 4:
        # The height is given, and the side, which is of no use.
        height = lots.integer(2, side - 1) if side > 3 else 2
        return (0, base, side, height) if 0.5 <= height / side <= 0.93 else None
    return 1, base, side, lots.choice((30, 45, 60, 120, 135, 150))


def _build_parallelogram(numbers: Numbers, n: Names) -> Figure:
    kind, base, side, third = numbers
    turn = math.degrees(math.asin(third / side)) if kind == 0 else float(third)
    d = polar(turn, side)
    points = {"A": (0.0, 0.0), "B": (float(base), 0.0), "C": (d[0] + base, d[1]), "D": d}
    scene = Scene().add(**points).polygon("ABCD", 0).name("ABCD", n).side("AB", base)
    stem = f"{n('ABCD')} is a parallelogram."
    if kind == 0:
        scene.add(H=foot(d, points["A"], points["B"])).line("DH", dashed=True).right("DHB")
        scene.side("DH", third).side("BC", side)
        drawn = f"{n('AB')} = {base}, {n('BC')} = {side}, and the height from {n('D')} on {n('AB')} is {third}."
        answer: Value = base * third
        steps = ["area = base * height", f"{base} * {third} = {answer}"]
        wrong: list[Value] = [base * side, Fraction(base * third, 2), 2 * (base + side), side * third]
    else:
        scene.side("AD", side).angle("DAB", value=third)
        drawn = f"{n('AB')} = {base}, {n('AD')} = {side}, and the angle at {n('A')} is {third} degrees."
        answer = SINES[third] * base * side
        steps = [f"area = {n('AB')} * {n('AD')} * sin({third})", f"{base} * {side} * {SINES[third]} = {answer}"]
        wrong = [base * side, answer / 2, root(3) * base * side / 2, root(2) * base * side / 2]
    return Figure(scene, stem, drawn, "Find its area.", steps, answer, wrong)


def _measure_four(at: Points, numbers: Numbers) -> float:
    return area(at["A"], at["B"], at["C"], at["D"])


def _sample_rhombus(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 0 if level <= 2 else 2)
    if kind and level <= 5:
        p, q, _ = (2 * side for side in draw_triple(lots, level))
    else:
        p, q = lots.integer(4, 10 + 4 * level), lots.integer(4, 10 + 4 * level)
    return (kind, p, q) if 0.4 <= p / q <= 2.5 and p != q else None


def _build_rhombus(numbers: Numbers, n: Names) -> Figure:
    kind, p, q = numbers
    points = {"A": (-p / 2, 0.0), "C": (p / 2, 0.0), "B": (0.0, -q / 2), "D": (0.0, q / 2), "O": (0.0, 0.0)}
    scene = Scene().add(**points).polygon("ABCD", 0).line("AC BD").right("DOC").ticks("AB BC CD DA")
    scene.name("ABCD", n)
    stem, side = f"{n('ABCD')} is a rhombus.", root(Fraction(p * p + q * q, 4))
    if kind < 2:
        scene.side("OA", str(Fraction(p, 2)), p / 2).side("OB", str(Fraction(q, 2)), q / 2)
        drawn = f"Its diagonals meet at O, with O{n('A')} = {Fraction(p, 2)} and O{n('B')} = {Fraction(q, 2)}."
        if kind == 0:
            answer: Value = Fraction(p * q, 2)
            steps = [f"The diagonals are {p} and {q}", f"area = {p} * {q} / 2 = {answer}"]
            wrong: list[Value] = [p * q, Fraction(p * q, 4), Fraction(p * q, 8), p + q]
            asked = "Find its area."
        else:
            answer = side * 4
            steps = [
                "The diagonals cut each other into halves at a right angle",
                f"side = sqrt(({Fraction(p, 2)})^2 + ({Fraction(q, 2)})^2) = {side}",
                f"perimeter = 4 * {side} = {answer}",
            ]
            wrong = [2 * (p + q), side * 2, side, root(p * p + q * q) * 4]
            asked = "Find its perimeter."
        return Figure(scene, stem, drawn, asked, steps, answer, wrong)
    square = Fraction(p * p + q * q, 4)
    scene.side("AB", str(side), float(side)).side("OA", str(Fraction(p, 2)), p / 2)
    drawn = f"Its diagonals meet at O, with O{n('A')} = {Fraction(p, 2)} and {n('AB')} = {side}."
    steps = [
        "The diagonals cut each other into halves at a right angle",
        f"O{n('B')}^2 = {square} - {Fraction(p * p, 4)} = {Fraction(q * q, 4)}, so O{n('B')} = {Fraction(q, 2)}",
        f"{n('BD')} = 2 * {Fraction(q, 2)} = {q}",
    ]
    return Figure(scene, stem, drawn, f"Find {n('BD')}.", steps, q, [Fraction(q, 2), p, side, root(square + p * p)])


def _measure_rhombus(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 2:
        return dist(at["B"], at["D"])
    corners = at["A"], at["B"], at["C"], at["D"]
    return area(*corners) if numbers[0] == 0 else perimeter(*corners)


def _sample_trapezoid(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 3)
    a, b, h = lots.integer(5, 9 + 3 * level), lots.integer(3, 7 + 3 * level), lots.integer(3, 6 + 2 * level)
    if level <= 3 and (a + b) % 2:
        return None
    shift = lots.integer(1, max(1, a - b))
    return (kind, a, b, h, shift) if a - b >= 2 and shift < a - b and 0.35 <= h / a <= 0.9 and b / a > 0.3 else None


def _build_trapezoid(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, h, shift = numbers
    points = {"A": (0.0, 0.0), "B": (float(a), 0.0), "C": (float(shift + b), float(h)), "D": (float(shift), float(h))}
    scene = Scene().add(**points).polygon("ABCD", 0).arrows("AB DC").name("ABCD", n)
    stem = f"{n('ABCD')} is a trapezoid with {n('AB')} parallel to {n('DC')}."
    middle = Fraction(a + b, 2)
    if kind in (0, 2):
        scene.add(H=(float(shift), 0.0)).line("DH", dashed=True).right("DHB").side("DC", b)
        scene.side("DH", h)
    if kind == 0:
        scene.side("AB", a)
        drawn = f"{n('AB')} = {a}, {n('DC')} = {b}, and the height is {h}."
        answer: Value = middle * h
        steps = [f"area = ({a} + {b})/2 * {h} = {answer}"]
        return Figure(scene, stem, drawn, "Find its area.", steps, answer, [(a + b) * h, a * h, b * h, a * b])
    if kind == 2:
        # The area is told, the long side is asked for.
        size = middle * h
        stem += f" Its area is {size}."
        drawn = f"{n('DC')} = {b}, and the height is {h}."
        steps = [f"{n('AB')} + {n('DC')} = 2 * {size} / {h} = {a + b}", f"{n('AB')} = {a + b} - {b} = {a}"]
        return Figure(scene, stem, drawn, f"Find {n('AB')}.", steps, a, [a + b, size / h, size / h - b + 1, b])
    scene.add(E=between(points["A"], points["D"], 0.5), F=between(points["B"], points["C"], 0.5))
    scene.line("EF").name("EF", n).ticks("AE ED").ticks("BF FC", 2)
    stem += f" {n('E')} and {n('F')} are the middles of {n('AD')} and {n('BC')}."
    if kind == 1:
        scene.side("AB", a).side("DC", b)
        drawn, answer = f"{n('AB')} = {a} and {n('DC')} = {b}.", middle
        steps = [f"{n('EF')} = ({a} + {b})/2 = {answer}"]
        return Figure(scene, stem, drawn, f"Find {n('EF')}.", steps, answer, [a + b, Fraction(a - b, 2), a - b])
    scene.side("AB", a).side("EF", str(middle), float(middle))
    drawn = f"{n('AB')} = {a} and {n('EF')} = {middle}."
    steps = [f"{n('AB')} + {n('DC')} = 2 * {middle} = {a + b}", f"{n('DC')} = {a + b} - {a} = {b}"]
    return Figure(scene, stem, drawn, f"Find {n('DC')}.", steps, b, [a - middle, Fraction(a, 2), 2 * a - middle])


def _measure_trapezoid(at: Points, numbers: Numbers) -> float:
    kind = numbers[0]
    if kind == 0:
        return area(at["A"], at["B"], at["C"], at["D"])
    start, end = ("AB", "EF", "AB", "DC")[kind]
    return dist(at[start], at[end])


REGULAR = {
    3: "triangle",
    4: "square",
    5: "pentagon",
    6: "hexagon",
    7: "heptagon",
    8: "octagon",
    9: "nonagon",
    10: "decagon",
}


def _sample_regular(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 4)
    sides = lots.integer(5, min(12, 7 + level))
    if kind == 1:
        return 1, sides, lots.integer(2, 10 + 10 * level)
    if kind == 2:  # an isosceles triangle of two sides
        return 2, sides, 0
    if kind == 3:  # the area, of those that have a handy one
        return 3, lots.choice((3, 6)), lots.integer(2, 4 + 3 * level)
    if kind == 4:  # two polygons on one side
        inner = lots.integer(3, sides - 1)
        # The angle between them needs room for a mark.
        return (4, sides, inner) if 360 / inner - 360 / sides >= 26 else None
    return kind, sides, lots.integer(0, 1)


def _build_regular(numbers: Numbers, n: Names) -> Figure:
    kind, count, third = numbers
    radius = 1.0 if kind != 3 and kind != 1 else third / (2 * math.sin(math.pi / count))
    corners = [polar(360 * i / count, radius) for i in range(count)]
    roles = "ABCDEFGHJKLM"[:count]
    scene = Scene().add(**dict(zip(roles, corners, strict=True))).polygon(roles, 0)
    inner = Fraction(180 * (count - 2), count)
    name = REGULAR.get(count, f"polygon with {count} sides")
    # The number of sides is to be counted in the picture.
    stem, drawn = f"{n('AB')} is a side of a regular polygon.", f"It is a {name}."
    if kind == 0:
        stem = f"{n('AB')} and {n('BC')} are sides of a regular polygon."
        if third % 2:
            scene.name("ABC", n).add(X=between(corners[0], corners[1], 1.45)).line("BX").angle("XBC", "?")
            answer: Value = Fraction(360, count)
            steps = [f"It has {count} sides", f"All exterior angles together are 360 degrees: 360/{count} = {answer}"]
            words = "How many degrees is an exterior angle?"
        else:
            scene.name("ABC", n).angle("ABC", "?")
            answer, total = inner, 180 * (count - 2)
            steps = [f"It has {count} sides", f"180 * ({count} - 2) = {total}", f"{total}/{count} = {inner}"]
            words = "How many degrees is an interior angle?"
        asked = "How many degrees is the angle marked ?"
        wrong: list[Value] = [
            180 - Fraction(answer),
            180 * (count - 2),
            Fraction(180, count),
            Fraction(180 * (count - 1), count),
        ]
        return Figure(scene, stem, drawn, asked, steps, answer, wrong, words)
    if kind == 1:
        scene.side("AB", third).name("AB", n)
        answer = count * third
        drawn += f" {n('AB')} = {third}."
        steps = [f"It has {count} sides", f"{count} * {third} = {answer}"]
        return Figure(
            scene, stem, drawn, "Find its perimeter.", steps, answer, [answer - third, answer + third, 2 * third]
        )
    if kind == 2:
        scene.line("AC").name("ABC", n)
        answer = Fraction(180, count)
        steps = [
            f"It has {count} sides, so angle {n('ABC')} = {inner}",
            f"{n('AB')} = {n('BC')}, so angle {n('BAC')} = (180 - {inner})/2 = {answer}",
        ]
        drawn += f" {n('A')}, {n('B')} and {n('C')} are three corners in a row."
        asked = f"How many degrees is angle {n('BAC')}?"
        return Figure(scene, stem, drawn, asked, steps, answer, [inner, Fraction(360, count), inner / 2, 90 - answer])
    if kind == 3:
        scene.side("AB", third)
        factor = 1 if count == 3 else 6
        answer = root(3) * third * third / 4 * factor
        steps = [f"area of an equilateral triangle: sqrt(3)/4 * {third}^2 = {root(3) * third * third / 4}"]
        steps.append(f"area = {answer}" if count == 3 else f"The hexagon holds 6 of them: area = {answer}")
        drawn += f" {n('AB')} = {third}."
        scene.name("AB", n)
        wrong = [third * third * factor, root(3) * third * third / 2 * factor, Exact.of(third * third) * count / 2]
        return Figure(scene, stem, drawn, "Find its area.", steps, answer, wrong)
    # A smaller regular polygon stands on the side AB, inside.
    small = Fraction(180 * (third - 2), third)
    side, a, b = dist(corners[0], corners[1]), corners[0], corners[1]
    heading = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    place, inside = b, []
    for i in range(1, third - 1):
        place = polar(heading + 360 * i / third, side, place)
        inside.append(place)
    names = "PQRSTUVWXY"[: len(inside)]
    scene.add(**dict(zip(names, inside, strict=True))).name("AB", n)
    scene.line(" ".join(f"{p}{q}" for p, q in zip("B" + names, names + "A", strict=True)))
    scene.angle(f"{roles[-1]}A{names[-1]}", "?")
    answer = inner - small
    stem = f"Both polygons are regular and share the side {n('AB')}."
    drawn = f"The outer one has {count} sides, the inner one has {third}."
    steps = [
        f"The interior angles: 180 * {count - 2}/{count} = {inner} and 180 * {third - 2}/{third} = {small}",
        f"? = {inner} - {small} = {answer}",
    ]
    words = f"How many degrees is the angle at {n('A')} between the two polygons?"
    return Figure(
        scene,
        stem,
        drawn,
        "How many degrees is the angle marked ?",
        steps,
        answer,
        [inner, small, Fraction(answer, 2)],
        words,
    )


def _measure_regular(at: Points, numbers: Numbers) -> float:
    kind, count, third = numbers
    corners = [at[role] for role in "ABCDEFGHJKLM" if role in at]
    if kind == 0:
        return angle(corners[0], corners[1], corners[2]) if third % 2 == 0 else angle(at["X"], corners[1], corners[2])
    if kind == 1:
        return perimeter(*corners)
    if kind == 2:
        return angle(corners[1], corners[0], corners[2])
    if kind == 3:
        return area(*corners)
    last = "PQRSTUVWXY"[third - 3]
    return angle(corners[-1], corners[0], at[last])


def _sample_steps(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1)
    a, b = lots.integer(5, 26 + 5 * level), lots.integer(5, 26 + 5 * level)
    c, d = lots.integer(2, a - 2), lots.integer(2, b - 2)
    if not 0.5 <= a / b <= 2 or min(c, a - c) / a < 0.25 or min(d, b - d) / b < 0.25:
        return None
    if level <= 4:
        return kind, a, b, c, d, 0
    # A T: the notch is on both sides.
    e = lots.integer(1, a - c - 1)
    return (kind, a, b, c, d, e) if min(e, a - c - e) / a >= 0.16 and c / a > 0.22 else None


def _build_steps(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c, d, e = numbers
    w, h = float(a), float(b)
    if e == 0:
        # An L: from the rectangle a x b a corner of (a - c) x (b - d) is missing at the top right.
        points = {
            "A": (0.0, 0.0),
            "B": (w, 0.0),
            "C": (w, float(d)),
            "D": (float(c), float(d)),
            "E": (float(c), h),
            "F": (0.0, h),
        }
        scene = Scene().add(**points).polygon("ABCDEF", 0)
        scene.side("AB", a).side("FA", b).side("EF", c).side("BC", d)
        drawn = f"A rectangle of {a} by {b} lacks a corner; the side opposite {a} is {c}, that opposite {b} is {d}."
        size, around = a * b - (a - c) * (b - d), 2 * (a + b)
        first = f"{a} * {b} - {a - c} * {b - d}"
        wrong = [a * b, a * d + b * c, a * d + c * b - 2 * c * d, a + b + c + d]
    else:
        # A T upside down: a bar of a x d with a post of c x (b - d) on it, e from the left.
        points = {
            "A": (0.0, 0.0), "B": (w, 0.0), "C": (w, float(d)), "D": (float(e + c), float(d)),
            "E": (float(e + c), h), "F": (float(e), h), "G": (float(e), float(d)), "H": (0.0, float(d)),
        }  # fmt: skip
        scene = Scene().add(**points).polygon("ABCDEFGH", 0)
        scene.side("AB", a).side("EF", c).side("HA", d).side("FG", b - d)
        drawn = f"On a bar of {a} by {d} stands a post of {c} by {b - d}, with bar left free on both sides."
        size, around = a * d + c * (b - d), 2 * (a + b)
        first = f"{a} * {d} + {c} * {b - d}"
        wrong = [a * b, a * d + c * b, a * d, a + b + c + d]
    scene.right("FAB" if e == 0 else "HAB")
    stem = "All angles of the figure are right angles."
    if kind == 0:
        return Figure(scene, stem, drawn, "Find its area.", [f"area = {first} = {size}"], size, wrong)
    steps = [f"The pieces facing each way are as long as the whole: {a} and {b}", f"2 * ({a} + {b}) = {around}"]
    if e:
        steps[0] = (
            f"The height is {d} + {b - d} = {b}; the pieces facing each way are as long as the whole: {a} and {b}"
        )
    shorter: list[Value] = [a + b + c + d, around - c, around + d, size]
    return Figure(scene, stem, drawn, "Find its perimeter.", steps, around, shorter)


def _measure_steps(at: Points, numbers: Numbers) -> float:
    corners = [at[role] for role in "ABCDEFGH" if role in at]
    return area(*corners) if numbers[0] == 0 else perimeter(*corners)


QUADRILATERALS = (
    DiagramFamily("parallelogram_area", _sample_parallelogram, _build_parallelogram, _measure_four),
    DiagramFamily("rhombus", _sample_rhombus, _build_rhombus, _measure_rhombus),
    DiagramFamily("trapezoid", _sample_trapezoid, _build_trapezoid, _measure_trapezoid),
    DiagramFamily("regular_polygon", _sample_regular, _build_regular, _measure_regular),
    DiagramFamily("right_angled_figure", _sample_steps, _build_steps, _measure_steps),
)
