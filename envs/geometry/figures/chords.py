"""Tangents, chords and secants of a circle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, polar

from .construction import angle, dist, draw_triple

Points = Mapping[str, Point]
CENTRE = (0.0, 0.0)


def _sample_tangent(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 2)
    if level <= 6:
        a, b, c = draw_triple(lots, level)
        r, square = min(a, b) if lots.chance(0.5) else max(a, b), c * c
    else:
        r = lots.integer(2, 20 + 2 * level)
        square = lots.integer(r + 2, 3 * r) ** 2
    return (kind, r, square) if 1.4 <= square / (r * r) <= 8 else None


def _build_tangent(numbers: Numbers, n: Names) -> Figure:
    kind, r, square = numbers
    d, t = root(square), root(square - r * r)
    whole = round(float(d))
    touch = math.degrees(math.acos(r / float(d)))
    scene = Scene().add(O=CENTRE, P=(float(d), 0.0), T=polar(touch, r))
    roles = {"A": scene.points.pop("P"), "B": scene.points.pop("T")}
    scene.add(**roles).circle("O", float(r)).line("AB OB OA").right("OBA").dots("O").name("OAB", n)
    stem = f"{n('AB')} touches the circle with centre O at {n('B')}."
    if kind == 0:
        scene.side("OB", r).side("OA", whole)
        drawn, asked, answer = f"O{n('B')} = {r} and O{n('A')} = {whole}.", f"Find {n('AB')}.", t
        steps = [
            f"The radius O{n('B')} is at a right angle to the tangent",
            f"{n('AB')}^2 = {whole}^2 - {r}^2 = {square - r * r}",
            f"{n('AB')} = {t}",
        ]
        wrong: list[Value] = [whole - r, root(square + r * r), t * t, Fraction(whole, 2)]
    elif kind == 1:
        scene.side("OB", r).side("AB", str(t), float(t))
        drawn, asked, answer = f"O{n('B')} = {r} and {n('AB')} = {t}.", f"Find O{n('A')}.", d
        steps = [
            f"The radius O{n('B')} is at a right angle to the tangent",
            f"O{n('A')}^2 = {r}^2 + ({t})^2 = {square}",
            f"O{n('A')} = {d}",
        ]
        wrong = [t + r, root(abs(square - 2 * r * r) or 3), t * 2, 2 * r]
    else:
        scene.add(C=polar(-touch, r)).line("AC OC").right("OCA").name("C", n).side("OB", r).side("OA", whole)
        stem = f"{n('AB')} and {n('AC')} touch the circle with centre O at {n('B')} and {n('C')}."
        drawn, asked, answer = (
            f"O{n('B')} = {r} and O{n('A')} = {whole}.",
            f"Find the area of {n('AB')}O{n('C')}.",
            t * r,
        )
        steps = [
            f"{n('AB')}^2 = {whole}^2 - {r}^2 = {square - r * r}, so {n('AB')} = {t}",
            f"{n('AB')}O{n('C')} is two right triangles with the legs {r} and {t}: area = {r} * {t} = {answer}",
        ]
        wrong = [t * r / 2, t * r * 2, Fraction(r * whole), Fraction(r * whole, 2)]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_tangent(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 2:
        return dist(at["A"], at["B"]) * dist(at["O"], at["B"])
    return dist(at["A"], at["B"]) if numbers[0] == 0 else dist(at["O"], at["A"])


def _sample_two_tangents(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 3)
    apex = lots.integer(36, 90)
    return (kind, apex) if apex % 2 == 0 or kind < 2 or level >= 5 else None


def _build_two_tangents(numbers: Numbers, n: Names) -> Figure:
    kind, apex = numbers
    central = 180 - apex
    touch = central / 2
    scene = Scene().add(O=CENTRE, A=(1 / math.cos(math.radians(touch)), 0.0), B=polar(touch), C=polar(-touch))
    scene.circle("O", 1.0).line("AB AC").dots("O").name("OABC", n)
    stem = f"{n('AB')} and {n('AC')} touch the circle with centre O at {n('B')} and {n('C')}."
    if kind == 0:
        scene.line("OB OC").angle("BAC", value=apex)
        drawn, asked = f"Angle {n('BAC')} is {apex} degrees.", f"How many degrees is angle {n('B')}O{n('C')}?"
        answer: Value = central
        steps = [f"At {n('B')} and {n('C')} the angles are 90 degrees", f"360 - 90 - 90 - {apex} = {central}"]
        wrong: list[Value] = [apex, 360 - apex, 2 * apex, 90 - Fraction(apex, 2)]
    elif kind == 1:
        scene.line("OB OC").angle("BOC", value=central)
        drawn, asked = f"Angle {n('B')}O{n('C')} is {central} degrees.", f"How many degrees is angle {n('BAC')}?"
        answer = apex
        steps = [f"At {n('B')} and {n('C')} the angles are 90 degrees", f"360 - 90 - 90 - {central} = {apex}"]
        wrong = [central, Fraction(central, 2), 90 - Fraction(apex, 2), 2 * apex]
    elif kind == 2:
        scene.line("BC").angle("BAC", value=apex)
        drawn, asked = f"Angle {n('BAC')} is {apex} degrees.", f"How many degrees is angle {n('ABC')}?"
        answer = Fraction(central, 2)
        steps = [f"{n('AB')} = {n('AC')}, as both are tangents from {n('A')}", f"(180 - {apex})/2 = {answer}"]
        wrong = [central, apex, 90 - answer, 180 - answer]
    else:
        # D on the circle, on the far side of the centre.
        scene.add(D=polar(160.0)).line("DB DC").name("D", n).angle("BAC", value=apex)
        stem += f" {n('D')} lies on the longer arc {n('BC')}."
        drawn, asked = f"Angle {n('BAC')} is {apex} degrees.", f"How many degrees is angle {n('BDC')}?"
        answer = Fraction(central, 2)
        steps = [
            f"Angle {n('B')}O{n('C')} = 360 - 90 - 90 - {apex} = {central}",
            f"The inscribed angle is half of it: {central}/2 = {answer}",
        ]
        wrong = [central, apex, Fraction(apex, 2), 180 - apex]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_two_tangents(at: Points, numbers: Numbers) -> float:
    start, corner, end = ("BOC", "BAC", "ABC", "BDC")[numbers[0]]
    return angle(at[start], at[corner], at[end])


def _sample_chord(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 2)
    if level <= 5:
        a, b, c = draw_triple(lots, level)
        return kind, a, b, c
    c = lots.integer(4, 8 + 2 * level)
    a = lots.integer(2, c - 1)
    # a is the distance of the chord, which is 2 sqrt(c^2 - a^2).
    return (0, a, 0, c) if 0.3 <= a / c <= 0.9 else None


def _build_chord(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c = numbers
    half = root(c * c - a * a)
    scene = Scene().add(O=CENTRE, A=(-float(half), -float(a)), B=(float(half), -float(a)), M=(0.0, -float(a)))
    scene.circle("O", float(c)).line("AB OM").right("OMB").dots("O").name("OAB", n)
    stem = f"{n('AB')} is a chord of the circle with centre O."
    if kind == 0:
        scene.line("OA").side("OA", c).side("OM", a)
        drawn = f"The radius is {c}, and the distance of {n('AB')} from O is {a}."
        steps = [
            f"Half the chord: sqrt({c}^2 - {a}^2) = sqrt({c * c - a * a}) = {half}",
            f"{n('AB')} = 2 * {half} = {half * 2}",
        ]
        wrong: list[Value] = [half, root(c * c + a * a) * 2, 2 * (c - a), 2 * c]
        return Figure(scene, stem, drawn, f"Find {n('AB')}.", steps, half * 2, wrong)
    if kind == 1:
        scene.line("OA").side("OA", c).side("MB", b)
        drawn = f"The radius is {c}, and half of {n('AB')} is {b}."
        steps = [f"distance^2 = {c}^2 - {b}^2 = {a * a}", f"distance = {a}"]
        asked = f"What is the distance of {n('AB')} from O?"
        return Figure(
            scene,
            stem,
            drawn,
            asked,
            steps,
            a,
            [c - b, root(c * c + b * b), Fraction(c, 2), root(abs(c * c - 4 * b * b) or 2)],
        )
    scene.side("OM", a).side("MB", b)
    drawn = f"Half of {n('AB')} is {b}, and its distance from O is {a}."
    steps = [f"radius^2 = {a}^2 + {b}^2 = {c * c}", f"radius = {c}"]
    return Figure(scene, stem, drawn, "Find the radius.", steps, c, [a + b, b, root(a * a + 4 * b * b), 2 * c])


def _measure_chord(at: Points, numbers: Numbers) -> float:
    return (dist(at["A"], at["B"]), dist(at["O"], at["M"]), dist(at["O"], at["A"]))[numbers[0]]


def _sample_chords(lots: Lots, level: int) -> Numbers | None:
    if level <= 3:
        # The fourth piece is whole: all four come from four factors.
        p, q, r, s = (lots.integer(1, 3 + level) for _ in range(4))
        a, b, c = p * q, r * s, p * r
    else:
        a, b, c = (lots.integer(2, 5 + 2 * level) for _ in range(3))
    d = a * b / c
    turn = lots.integer(60, 120)
    lengths = (a, b, c, d)
    return (a, b, c, turn) if max(lengths) <= 3.2 * min(lengths) and c not in (a, b) else None


def _circle_through(p: Point, q: Point, r: Point) -> tuple[Point, float]:
    """The centre and the radius of the circle through three points."""
    (ax, ay), (bx, by), (cx, cy) = p, q, r
    turn = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    x = ((ax**2 + ay**2) * (by - cy) + (bx**2 + by**2) * (cy - ay) + (cx**2 + cy**2) * (ay - by)) / turn
    y = ((ax**2 + ay**2) * (cx - bx) + (bx**2 + by**2) * (ax - cx) + (cx**2 + cy**2) * (bx - ax)) / turn
    return (x, y), dist((x, y), p)


def _build_chords(numbers: Numbers, n: Names) -> Figure:
    a, b, c, turn = numbers
    answer = Fraction(a * b, c)
    # The chords AB and CD meet at E, the origin.
    points = {"A": (-float(a), 0.0), "B": (float(b), 0.0), "C": polar(turn + 180, c), "D": polar(turn, float(answer))}
    points["E"] = CENTRE
    centre, radius = _circle_through(points["A"], points["B"], points["C"])
    scene = Scene().add(**points, O=centre).circle("O", radius).line("AE EB CE ED").name("ABCDE", n)
    scene.side("AE", a).side("EB", b).side("CE", c)
    stem = f"The chords {n('AB')} and {n('CD')} of a circle meet at {n('E')}."
    drawn = f"{n('AE')} = {a}, {n('EB')} = {b} and {n('CE')} = {c}."
    steps = [f"{n('AE')} * {n('EB')} = {n('CE')} * {n('ED')}", f"{n('ED')} = {a} * {b} / {c} = {answer}"]
    wrong: list[Value] = [Fraction(a * c, b), Fraction(b * c, a), abs(a + b - c), Fraction(a + b, 2)]
    return Figure(scene, stem, drawn, f"Find {n('ED')}.", steps, answer, wrong)


def _measure_chords(at: Points, numbers: Numbers) -> float:
    return dist(at["E"], at["D"])


def _sample_secant(lots: Lots, level: int) -> Numbers | None:
    # From A a tangent AT and a line through the circle at B and C: AT^2 = AB * AC.
    if level <= 2:
        # With AB = m p^2 and AC = m q^2 the tangent is m p q.
        m, p, step = lots.integer(1, 9), lots.integer(1, 5), lots.integer(1, 5)
        near, inside = m * p * p, m * step * (2 * p + step)
    else:
        near, inside = lots.integer(2, 18 + 2 * level), lots.integer(3, 40 + 4 * level)
    square = near * (near + inside)
    whole = math.isqrt(square) ** 2 == square
    if not 0.6 <= inside / near <= 4:
        return None
    kind = lots.integer(0, 1) if whole else 0
    return kind, near, inside, lots.integer(3, 7)


def _build_secant(numbers: Numbers, n: Names) -> Figure:
    kind, near, inside, bow = numbers
    square = near * (near + inside)
    t = root(square)
    # The line lies on the x axis; the centre stands above the middle of the chord.
    centre = near + inside / 2, inside / 2 * bow / 8
    radius = dist(centre, (float(near), 0.0))
    away = dist(centre, CENTRE)
    lean = math.degrees(math.atan2(centre[1], centre[0])) + math.degrees(math.acos(float(t) / away))
    points = {
        "A": CENTRE,
        "B": (float(near), 0.0),
        "C": (float(near + inside), 0.0),
        "D": polar(lean, float(t)),
        "O": centre,
    }
    scene = Scene().add(**points).circle("O", radius).line("AB BC AD").name("ABCD", n).side("AB", near)
    stem = f"{n('AD')} touches the circle at {n('D')}; a line from {n('A')} meets the circle at {n('B')} and {n('C')}."
    rule = f"{n('AD')}^2 = {n('AB')} * {n('AC')}"
    if kind == 0:
        scene.side("BC", inside)
        drawn = f"{n('AB')} = {near} and {n('BC')} = {inside}."
        steps = [f"{rule} = {near} * ({near} + {inside}) = {square}", f"{n('AD')} = {t}"]
        wrong: list[Value] = [root(near * inside), near + inside, Fraction(2 * near + inside, 2), t * 2]
        return Figure(scene, stem, drawn, f"Find {n('AD')}.", steps, t, wrong)
    scene.side("AD", str(t), float(t))
    drawn = f"{n('AB')} = {near} and {n('AD')} = {t}."
    steps = [
        f"{rule}, so {n('AC')} = {t}^2 / {near} = {near + inside}",
        f"{n('BC')} = {near + inside} - {near} = {inside}",
    ]
    whole = math.isqrt(square)
    wrong = [near + inside, whole - near, Fraction(whole, near), inside + near + near]
    return Figure(scene, stem, drawn, f"Find {n('BC')}.", steps, inside, wrong)


def _measure_secant(at: Points, numbers: Numbers) -> float:
    return dist(at["A"], at["D"]) if numbers[0] == 0 else dist(at["B"], at["C"])


CHORDS = (
    DiagramFamily("tangent_length", _sample_tangent, _build_tangent, _measure_tangent),
    DiagramFamily("two_tangents", _sample_two_tangents, _build_two_tangents, _measure_two_tangents),
    DiagramFamily("chord_and_radius", _sample_chord, _build_chord, _measure_chord),
    DiagramFamily("intersecting_chords", _sample_chords, _build_chords, _measure_chords),
    DiagramFamily("tangent_and_secant", _sample_secant, _build_secant, _measure_secant),
)
