"""Angles: at a point, at parallels, in isosceles triangles, behind a line from a corner, in quadrilaterals."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.linear import degrees, draw_linear, solve_sum, write_linear
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, polar

from .construction import angle, between, dist, meet, triangle_by_angles

Points = Mapping[str, Point]


def _sample_isosceles(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 2 else 2 if level <= 5 else 3)
    base = lots.integer(25, 75)
    if kind == 1 and level >= 4 and lots.chance(0.5):
        # The apex is odd, so the base angle has a half.
        return 1, 180 - 2 * base + lots.choice((-1, 1)), 0, 0
    if kind == 3:
        x = lots.integer(5, 30)
        expression = draw_linear(lots, base, x)
        other = draw_linear(lots, 180 - 2 * base, x)
        return (3, *expression, *other) if expression and other else None
    if kind == 1:
        return 1, 180 - 2 * base, 0, 0
    return kind, base, 0, 0


def _build_isosceles(numbers: Numbers, n: Names) -> Figure:
    kind, value, *rest = numbers
    stem = f"In triangle {n('ABC')}, {n('AB')} = {n('AC')}."
    if kind == 3:
        return _build_isosceles_in_x(numbers, n, stem)
    apex = value if kind == 1 else 180 - 2 * value
    base = Fraction(180 - apex, 2)
    scene = _isosceles(base, n)
    if kind == 0:
        scene.angle("ABC", degrees(base), float(base))
        drawn, asked = f"The angle at {n('B')} is {base} degrees.", f"How many degrees is the angle at {n('A')}?"
        answer: Value = apex
        steps = [f"The angles at {n('B')} and {n('C')} are equal", f"180 - 2 * {base} = {apex}"]
        wrong: list[Value] = [base, 180 - base, Fraction(180 - base, 2)]
    elif kind == 1:
        scene.angle("BAC", degrees(apex), float(apex))
        drawn, asked = f"The angle at {n('A')} is {apex} degrees.", f"How many degrees is the angle at {n('B')}?"
        answer = base
        steps = [f"The angles at {n('B')} and {n('C')} are equal", f"(180 - {apex})/2 = {base}"]
        wrong = [180 - apex, apex, Fraction(apex, 2), 180 - 2 * apex]
    else:
        # The base is carried on beyond C.
        scene.add(D=between(scene.points["B"], scene.points["C"], 1.45)).line("CD").name("D", n)
        outer = 180 - base
        scene.angle("ACD", degrees(outer), float(outer))
        drawn = f"{n('D')} lies on the line {n('BC')} beyond {n('C')}, and angle {n('ACD')} is {outer} degrees."
        asked, answer = f"How many degrees is angle {n('BAC')}?", apex
        steps = [
            f"The angles at {n('B')} and {n('C')} of the triangle are 180 - {outer} = {base}",
            f"180 - 2 * {base} = {apex}",
        ]
        wrong = [base, Fraction(outer, 2), outer - apex, 180 - outer + apex]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _isosceles(base: Fraction, n: Names) -> Scene:
    corners = triangle_by_angles(float(base), float(base))
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2])
    return scene.polygon("ABC").ticks("AB AC").name("ABC", n)


def _build_isosceles_in_x(numbers: Numbers, n: Names, stem: str) -> Figure:
    _, factor, constant, *apex_text = numbers
    at_base, at_apex = (factor, constant), (apex_text[0], apex_text[1])
    steps, x = solve_sum(180, (2 * factor, 2 * constant), at_apex)
    apex = at_apex[0] * x + at_apex[1]
    base = Fraction(180 - apex, 2)
    left, top = write_linear(*at_base), write_linear(*at_apex)
    scene = _isosceles(base, n).angle("ABC", left, float(base)).angle("BAC", top, float(apex))
    drawn = f"In degrees, the angle at {n('B')} is {left} and the angle at {n('A')} is {top}."
    steps = [
        f"The angle at {n('C')} is {left} as well, and all three add up to 180",
        *steps,
        f"The angle at {n('A')}: {top} = {at_apex[0]} * {x} + ({at_apex[1]}) = {apex}",
    ]
    asked = f"How many degrees is the angle at {n('A')}?"
    return Figure(scene, stem, drawn, asked, steps, apex, [base, x, 180 - apex])


def _measure_isosceles(at: Points, numbers: Numbers) -> float:
    return angle(at["A"], at["B"], at["C"]) if numbers[0] == 1 else angle(at["B"], at["A"], at["C"])


def _sample_cevian(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 2)
    at_b, at_c, part = lots.integer(28, 75), lots.integer(28, 75), lots.integer(24, 70)
    if kind == 2:
        # AD = DC: the angle DAC equals that at C.
        part = 180 - at_b - 2 * at_c
    rest = 180 - at_b - at_c - part
    return (kind, at_b, at_c, part) if part >= 22 and rest >= 22 else None


def _build_cevian(numbers: Numbers, n: Names) -> Figure:
    kind, at_b, at_c, part = numbers
    rest = 180 - at_b - at_c - part
    corners = triangle_by_angles(at_b, at_c)
    outer = 180 - at_b - part  # the angle ADB
    direction = polar(180 + at_b + part, 1.0, corners[0])
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2])
    scene.add(D=meet(corners[0], direction, corners[1], corners[2])).polygon("ABC").line("AD").name("ABCD", n)
    stem = f"In triangle {n('ABC')}, {n('D')} lies on {n('BC')}."
    scene.angle("ABC", value=at_b)
    if kind == 2:
        stem += f" {n('AD')} = {n('DC')}."
        scene.ticks("AD DC").angle("ACB", value=at_c)
        drawn = f"The angle at {n('B')} is {at_b} degrees and the angle at {n('C')} is {at_c} degrees."
        asked = f"How many degrees is angle {n('BAD')}?"
        steps = [
            f"{n('AD')} = {n('DC')}, so angle {n('DAC')} = {at_c}",
            f"angle {n('BAD')} = 180 - {at_b} - {at_c} - {at_c} = {part}",
        ]
        wrong: list[Value] = [at_c, 180 - at_b - at_c, 2 * at_c, at_b]
        return Figure(scene, stem, drawn, asked, steps, part, wrong)
    scene.angle("BAD", value=part)
    if kind == 0:
        drawn = f"The angle at {n('B')} is {at_b} degrees and angle {n('BAD')} is {part} degrees."
        asked, answer = f"How many degrees is angle {n('ADC')}?", at_b + part
        steps = [f"It is an exterior angle of triangle {n('ABD')}", f"{at_b} + {part} = {answer}"]
        wrong = [outer, 180 - at_b, 180 - part]
    else:
        scene.angle("ACB", value=at_c)
        drawn = f"The angle at {n('B')} is {at_b}, the angle at {n('C')} {at_c} and angle {n('BAD')} {part} degrees."
        asked, answer = f"How many degrees is angle {n('DAC')}?", rest
        steps = [
            f"The whole angle at {n('A')} is 180 - {at_b} - {at_c} = {part + rest}",
            f"{part + rest} - {part} = {rest}",
        ]
        wrong = [part + rest, outer, part, at_b + part]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_cevian(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 0:
        return angle(at["A"], at["D"], at["C"])
    return angle(at["D"], at["A"], at["C"]) if numbers[0] == 1 else angle(at["B"], at["A"], at["D"])


def _sample_point(lots: Lots, level: int) -> Numbers | None:
    count = 3 if level <= 4 else lots.integer(3, 4)
    least = 28
    parts = [lots.integer(least, 95) for _ in range(count - 1)]
    parts.append(180 - sum(parts))
    if parts[-1] < least or 90 in parts:
        return None
    if level <= 3:
        return 0, *parts
    x = lots.integer(5, 20)
    expressions = [draw_linear(lots, part, x) for part in parts]
    flat = [number for expression in expressions if expression for number in expression]
    return (x, *parts, *flat) if len(flat) == 2 * count else None


def _split_point(numbers: Numbers) -> tuple[list[int], list[tuple[int, int]]]:
    if numbers[0] == 0:
        return list(numbers[1:]), []
    count = (len(numbers) - 1) // 3
    flat = numbers[1 + count :]
    return list(numbers[1 : 1 + count]), list(zip(flat[::2], flat[1::2], strict=True))


def _build_point(numbers: Numbers, n: Names) -> Figure:
    parts, expressions = _split_point(numbers)
    scene = Scene().add(O=(0.0, 0.0), A=(-5.0, 0.0), B=(5.0, 0.0))
    rays, turned = "B", 0
    for role, part in zip("CDE", parts[:-1], strict=False):
        turned += part
        scene.points[role] = polar(turned, 5.0)
        rays += role
    rays += "A"
    scene.line("AO OB").line(" ".join("O" + role for role in rays[1:-1])).name(rays, n).dots("O")
    pairs = [rays[i] + "O" + rays[i + 1] for i in range(len(parts))]
    stem = f"{n('A')}, O and {n('B')} lie on one line."
    if not expressions:
        for pair, part in zip(pairs[:-1], parts[:-1], strict=True):
            scene.angle(pair, value=part)
        drawn = "On one side of it: " + ", ".join(
            f"angle {n(p)} = {v}" for p, v in zip(pairs[:-1], parts[:-1], strict=True)
        )
        known = " - ".join(map(str, parts[:-1]))
        steps = ["The angles on one side of a line add up to 180", f"180 - {known} = {parts[-1]}"]
        wrong: list[Value] = [360 - sum(parts[:-1]), sum(parts[:-1]), abs(90 - parts[-1]) or 1, 180 - parts[0]]
        return Figure(
            scene, stem, drawn + " degrees.", f"How many degrees is angle {n(pairs[-1])}?", steps, parts[-1], wrong
        )
    texts = [write_linear(*expression) for expression in expressions]
    for pair, part, text in zip(pairs, parts, texts, strict=True):
        scene.angle(pair, text, float(part))
    factor, constant = (sum(column) for column in zip(*expressions, strict=True))
    drawn = "On one side of it, in degrees: " + ", ".join(
        f"angle {n(p)} = {t}" for p, t in zip(pairs, texts, strict=True)
    )
    steps = [
        "The angles on one side of a line add up to 180",
        f"{write_linear(factor, constant)} = 180",
        f"{write_linear(factor, 0)} = {180 - constant}",
        f"x = {180 - constant}/{factor} = {numbers[0]}",
    ]
    wrong = [Fraction(360 - constant, factor), Fraction(180 + constant, factor), Fraction(180, factor), parts[0]]
    return Figure(scene, stem, drawn + ".", "Find x.", steps, numbers[0], wrong)


def _measure_point(at: Points, numbers: Numbers) -> float:
    parts, expressions = _split_point(numbers)
    if not expressions:
        return angle(at["D"], at["O"], at["A"])
    factor, constant = expressions[0]
    return (angle(at["B"], at["O"], at["C"]) - constant) / factor


def _sample_quadrilateral(lots: Lots, level: int) -> Numbers | None:
    a, b, c = (lots.integer(58, 125) for _ in range(3))
    d = 360 - a - b - c
    if not 55 <= d <= 130 or not 160 <= b + c <= 225:
        return None
    corners = _place_quadrilateral(a, b, c)
    if min(dist(p, q) for p, q in zip(corners, corners[1:] + corners[:1], strict=True)) < 2.4 or corners[3][1] < 1.5:
        return None
    if level <= 4:
        return 0, a, b, c
    x = lots.integer(8, 30)
    one, two = draw_linear(lots, a, x), draw_linear(lots, d, x)
    return (1, a, b, c, *one, *two) if one and two else None


def _place_quadrilateral(a: int, b: int, c: int) -> tuple[Point, Point, Point, Point]:
    """The corners A, B, C and D from the angles at the first three; D is below BC where they make no such figure."""
    corner_a, corner_b, corner_c = polar(b, 4.6), (0.0, 0.0), (6.0, 0.0)
    beyond, up = polar(b + 180 + a, 1.0, corner_a), polar(180 - c, 1.0, corner_c)
    corner_d = meet(corner_a, beyond, corner_c, up)
    ahead = (corner_d[0] - corner_a[0]) * (beyond[0] - corner_a[0]) + (corner_d[1] - corner_a[1]) * (
        beyond[1] - corner_a[1]
    )
    return corner_a, corner_b, corner_c, corner_d if ahead > 0 else (corner_d[0], -1.0)


def _build_quadrilateral(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c, *rest = numbers
    d = 360 - a - b - c
    scene = Scene().add(**dict(zip("ABCD", _place_quadrilateral(a, b, c), strict=True)))
    scene.polygon("ABCD", 0).name("ABCD", n)
    scene.angle("ABC", value=b).angle("BCD", value=c)
    stem = f"{n('ABCD')} is a quadrilateral."
    if kind == 0:
        scene.angle("DAB", value=a)
        drawn = f"The angles at {n('A')}, {n('B')} and {n('C')} are {a}, {b} and {c} degrees."
        steps = ["The angles of a quadrilateral add up to 360", f"360 - {a} - {b} - {c} = {d}"]
        wrong: list[Value] = [180 - d, abs(540 - a - b - c), 180 - a, 180 - b]
        return Figure(scene, stem, drawn, f"How many degrees is the angle at {n('D')}?", steps, d, wrong)
    one, two = (rest[0], rest[1]), (rest[2], rest[3])
    scene.angle("DAB", write_linear(*one), float(a)).angle("CDA", write_linear(*two), float(d))
    left, right = write_linear(*one), write_linear(*two)
    places = f"{n('A')}, {n('B')}, {n('C')} and {n('D')}"
    drawn = f"In degrees, the angles at {places} are {left}, {b}, {c} and {right}."
    solved, x = solve_sum(360 - b - c, one, two)
    steps = ["The angles of a quadrilateral add up to 360", f"360 - {b} - {c} = {360 - b - c}", *solved]
    wrong = [Fraction(360 - one[1] - two[1], one[0] + two[0]), a, d, x + 5]
    return Figure(scene, stem, drawn, "Find x.", steps, x, wrong)


def _measure_quadrilateral(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 0:
        return angle(at["C"], at["D"], at["A"])
    return (angle(at["D"], at["A"], at["B"]) - numbers[5]) / numbers[4]


ANGLES = (
    DiagramFamily("isosceles_angle", _sample_isosceles, _build_isosceles, _measure_isosceles),
    DiagramFamily("angle_with_cevian", _sample_cevian, _build_cevian, _measure_cevian),
    DiagramFamily("angles_on_a_line", _sample_point, _build_point, _measure_point),
    DiagramFamily("quadrilateral_angle", _sample_quadrilateral, _build_quadrilateral, _measure_quadrilateral),
)
