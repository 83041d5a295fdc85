"""Solids in an oblique view: box, cylinder, cone and pyramid.

Width and height are true to scale, depth is drawn at half its length under 35 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import PI, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Name, Names, Scene, arc, polar

from .construction import dist, draw_triple

Points = Mapping[str, Point]
DEPTH = 0.5
SLANT = 35.0
# Circles seen from the side.
FLAT = 0.38


def _back(point: Point, depth: float) -> Point:
    return polar(SLANT, DEPTH * depth, point)


def _sample_box(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 4 else 2)
    a, b, c = (lots.integer(2, 5 + 2 * level) for _ in range(3))
    return (kind, a, b, c) if max(a, b, c) <= 2.5 * min(a, b, c) else None


def _build_box(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c = numbers
    front = {"A": (0.0, 0.0), "B": (float(a), 0.0), "C": (float(a), float(b)), "D": (0.0, float(b))}
    scene = Scene(upright=True).add(**front)
    scene.add(**{new: _back(front[old], c) for new, old in zip("EFGH", "ABCD", strict=True)})
    scene.fill([front[role] for role in "ABCD"], 0)
    scene.line("AB BC CD DA BF FG GC GH HD").line("AE EF EH", dashed=True)
    scene.side("AB", a).side("BC", b).side("CG", str(c))
    stem = f"The solid is a box with the edges {n('AB')}, {n('BC')} and {n('CD')}."
    drawn = f"{n('AB')} = {a}, {n('BC')} = {b} and {n('CD')} = {c}."
    # The letters follow three edges from corner to corner.
    scene.name("AB", n).marks += [Name("C", n("C")), Name("G", n("D"))]
    if kind == 0:
        answer: Value = a * b * c
        steps = [f"{a} * {b} * {c} = {answer}"]
        asked, wrong = "Find its volume.", [a + b + c, 2 * (a * b + b * c + c * a), a * b + c, a * b * c * 2]
    elif kind == 1:
        answer = 2 * (a * b + b * c + c * a)
        steps = [
            f"The faces: {a * b}, {b * c} and {c * a}, each twice",
            f"2 * ({a * b} + {b * c} + {c * a}) = {answer}",
        ]
        asked, wrong = "Find its surface area.", [a * b + b * c + c * a, a * b * c, 4 * (a + b + c), answer - 2 * a * b]
    else:
        square = a * a + b * b + c * c
        answer = root(square)
        scene.line("AG", dashed=True)
        steps = [f"{n('AD')}^2 = {a}^2 + {b}^2 + {c}^2 = {square}", f"{n('AD')} = {answer}"]
        asked, drawn = f"Find {n('AD')}.", drawn + " They follow one another, each at a right angle to the others."
        wrong = [root(a * a + b * b), a + b + c, root(a * a + c * c), root(b * b + c * c)]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_box(at: Points, numbers: Numbers) -> float:
    a, b, c = dist(at["A"], at["B"]), dist(at["A"], at["D"]), dist(at["B"], at["F"]) / DEPTH
    return (a * b * c, 2 * (a * b + b * c + c * a), math.sqrt(a * a + b * b + c * c))[numbers[0]]


def _sample_cylinder(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 3)
    r, h = lots.integer(2, 9 + level), lots.integer(3, 20 + 3 * level)
    return (kind, r, h) if 0.6 <= h / (2 * r) <= 1.6 else None


def _build_cylinder(numbers: Numbers, n: Names) -> Figure:
    kind, r, h = numbers
    low, top = (0.0, 0.0), (0.0, float(h))
    scene = Scene(upright=True).add(
        A=(-float(r), 0.0), B=(float(r), 0.0), C=(float(r), float(h)), D=(-float(r), float(h)), O=top
    )
    scene.fill(arc(top, r, 0, 360, FLAT), 0).curve(arc(top, r, 0, 360, FLAT)).line("AD BC OC")
    scene.curve(arc(low, r, 180, 360, FLAT)).curve(arc(low, r, 0, 180, FLAT), dashed=True)
    scene.dots("O").side("OC", r).side("BC", h).name("OBC", n)
    stem = f"The solid is a cylinder. O{n('C')} is a radius, and {n('BC')} is as long as its height."
    drawn = f"O{n('C')} = {r} and {n('BC')} = {h}."
    side, lid = PI * 2 * r * h, PI * r * r
    if kind == 0:
        answer: Value = lid * h
        steps = [f"volume = pi * {r}^2 * {h} = {answer}"]
        asked, wrong = "Find its volume.", [side, PI * r * h, PI * 4 * r * r * h, lid + h]
    elif kind == 1:
        answer = side
        steps = [f"The side, rolled out, is 2 * pi * {r} wide and {h} high", f"2 * pi * {r} * {h} = {answer}"]
        asked, wrong = "Find the area of its curved side.", [lid * h, PI * r * h, side + lid * 2, PI * 2 * r]
    elif kind == 2:
        answer = side + lid * 2
        steps = [f"Side: {side}; two lids: 2 * pi * {r}^2 = {lid * 2}", f"surface = {answer}"]
        asked, wrong = "Find its whole surface area.", [side, side + lid, lid * h, lid * 2]
    else:
        # The volume is told; the height stays in the words only.
        scene.marks = [mark for mark in scene.marks if mark not in Scene().side("BC", h).marks]
        volume = lid * h
        stem, drawn = f"{stem} Its volume is {volume}.", f"O{n('C')} = {r}."
        answer = h
        steps = [f"The base is pi * {r}^2 = {lid}", f"height = {volume} / ({lid}) = {h}"]
        asked, wrong = "Find its height.", [h * r, Fraction(h, 2), 2 * h, h + r]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_cylinder(at: Points, numbers: Numbers) -> float:
    r, h = dist(at["O"], at["C"]), dist(at["B"], at["C"])
    return (math.pi * r * r * h, 2 * math.pi * r * h, 2 * math.pi * r * (r + h), h)[numbers[0]]


def _sample_cone(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 3)
    r, h, _ = draw_triple(lots, level)
    if kind == 0 or (level >= 6 and kind == 1):
        r, h = lots.integer(2, 12 + level), lots.integer(3, 30 + 2 * level)
    return (kind, r, h) if 0.6 <= h / (2 * r) <= 1.7 else None


def _build_cone(numbers: Numbers, n: Names) -> Figure:
    kind, r, h = numbers
    low = (0.0, 0.0)
    # The sides touch the ellipse of the base a little above its widest place.
    lift = math.degrees(math.asin(min(1.0, FLAT * r / h)))
    touch = arc(low, r, lift, 180 - lift, FLAT)
    scene = Scene(upright=True).add(O=low, A=(0.0, float(h)), B=(float(r), 0.0), P=touch[0], Q=touch[-1])
    scene.fill([(0.0, float(h)), *arc(low, r, 180 - lift, 360 + lift, FLAT)], 0)
    scene.line("AP AQ").curve(arc(low, r, 180 - lift, 360 + lift, FLAT)).curve(touch, dashed=True)
    scene.line("OA OB", dashed=True).right("AOB").dots("O").side("OB", r)
    s = root(r * r + h * h)
    stem = f"The solid is a cone with its tip at {n('A')}; O{n('B')} is a radius of its base."
    drawn = f"O{n('B')} = {r} and the height O{n('A')} is {h}."
    scene.side("OA", h).name("AB", n)
    if kind == 0:
        answer: Value = PI * r * r * h / 3
        steps = [f"volume = pi * {r}^2 * {h} / 3 = {answer}"]
        asked, wrong = "Find its volume.", [PI * r * r * h, PI * r * r * h / 2, PI * r * h, PI * 2 * r * h / 3]
    elif kind == 1:
        answer = s
        steps = [f"slant^2 = {r}^2 + {h}^2 = {r * r + h * h}", f"slant = {answer}"]
        asked, wrong = (
            "How long is the line from its tip to the edge of its base?",
            [r + h, root(abs(h * h - r * r) or 2), 2 * r],
        )
    elif kind == 2:
        answer = PI * r * s
        steps = [f"slant = sqrt({r}^2 + {h}^2) = {s}", f"side = pi * {r} * {s} = {answer}"]
        asked, wrong = "Find the area of its curved side.", [PI * r * h, PI * r * s * 2, PI * r * (s + r), PI * r * r]
    else:
        answer = PI * r * (s + r)
        steps = [f"slant = sqrt({r}^2 + {h}^2) = {s}", f"surface = pi * {r} * {s} + pi * {r}^2 = {answer}"]
        asked, wrong = "Find its whole surface area.", [PI * r * s, PI * r * (h + r), PI * r * r * h / 3, PI * r * r]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_cone(at: Points, numbers: Numbers) -> float:
    r, h = dist(at["O"], at["B"]), dist(at["O"], at["A"])
    s = math.hypot(r, h)
    return (math.pi * r * r * h / 3, s, math.pi * r * s, math.pi * r * (s + r))[numbers[0]]


def _sample_pyramid(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 0 if level <= 3 else 2)
    if kind and level <= 7:
        half, h, _ = draw_triple(lots, level)
        side = 2 * half
    else:
        side, h = lots.integer(2, 18 + 3 * level), lots.integer(3, 18 + 3 * level)
    return (kind, side, h) if 0.6 <= h / side <= 1.6 else None


def _build_pyramid(numbers: Numbers, n: Names) -> Figure:
    kind, side, h = numbers
    a, b = (0.0, 0.0), (float(side), 0.0)
    d, c = _back(a, side), _back(b, side)
    foot = (a[0] + c[0]) / 2, (a[1] + c[1]) / 2
    scene = Scene(upright=True).add(A=a, B=b, C=c, D=d, O=foot, E=(foot[0], foot[1] + h))
    scene.fill([a, b, c, d], 0).line("AB BC AE BE CE").line("CD DA DE OE", dashed=True).dots("O")
    scene.side("AB", side).side("OE", h)
    stem = f"The solid is a pyramid with a square base and its tip {n('C')} over the middle of the base."
    drawn = f"The side {n('AB')} of the base is {side}, and the height is {h}."
    scene.name("AB", n).marks.append(Name("E", n("C")))
    slant = root(h * h + Fraction(side * side, 4))
    if kind == 0:
        answer: Value = Fraction(side * side * h, 3)
        steps = [f"volume = {side}^2 * {h} / 3 = {answer}"]
        asked, wrong = (
            "Find its volume.",
            [side * side * h, Fraction(side * side * h, 2), Fraction(2 * side * h, 3), side * h],
        )
    elif kind == 1:
        answer = slant
        steps = [f"s^2 = {h}^2 + ({Fraction(side, 2)})^2 = {h * h + Fraction(side * side, 4)}", f"s = {answer}"]
        asked = "How high is each of its triangular faces, measured along the face?"
        wrong = [root(h * h + side * side), h + Fraction(side, 2), root(h * h + Fraction(side * side, 2)), Fraction(h)]
    else:
        answer = slant * 2 * side + side * side
        steps = [
            f"The height of a face: sqrt({h}^2 + ({Fraction(side, 2)})^2) = {slant}",
            f"The four faces: 4 * {side} * {slant} / 2 = {slant * 2 * side}",
            f"With the base of {side * side}: surface = {answer}",
        ]
        asked = "Find its whole surface area."
        wrong = [slant * 2 * side, slant * 4 * side + side * side, Fraction(2 * side * h + side * side), slant * side]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_pyramid(at: Points, numbers: Numbers) -> float:
    side, h = dist(at["A"], at["B"]), dist(at["O"], at["E"])
    slant = math.hypot(h, side / 2)
    return (side * side * h / 3, slant, 2 * side * slant + side * side)[numbers[0]]


SOLIDS = (
    DiagramFamily("box", _sample_box, _build_box, _measure_box),
    DiagramFamily("cylinder", _sample_cylinder, _build_cylinder, _measure_cylinder),
    DiagramFamily("cone", _sample_cone, _build_cone, _measure_cone),
    DiagramFamily("pyramid", _sample_pyramid, _build_pyramid, _measure_pyramid),
)
