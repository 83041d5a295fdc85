"""Figures in figures: how many triangles or rectangles, and what two squares cover."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Line, Names, Scene

from .construction import area, between, dist, meet, triangle_by_angles

Points = Mapping[str, Point]


def _sample_count(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1)
    most = 1 + (level + 1) // 2
    across, down = lots.integer(1, min(5, most)), lots.integer(0 if level <= 6 else 1, min(4, most - 1))
    if kind == 0:
        return 0, across, down, lots.integer(48, 75), lots.integer(48, 75)
    return 1, across + 1, down + 1, lots.integer(10, 16), lots.integer(7, 12)


def _build_count(numbers: Numbers, n: Names) -> Figure:
    kind, across, down, one, other = numbers
    scene = Scene()
    if kind == 0:
        corners = triangle_by_angles(one, other)
        scene.add(A=corners[0], B=corners[1], C=corners[2]).polygon("ABC")
        for i in range(1, across + 1):
            _add_line(scene, f"u{i}", corners[0], between(corners[1], corners[2], i / (across + 1)))
        for i in range(1, down + 1):
            share = i / (down + 1)
            _add_line(scene, f"v{i}", between(corners[0], corners[1], share), between(corners[0], corners[2], share))
        pairs, rows = math.comb(across + 2, 2), down + 1
        answer = pairs * rows
        stem = f"Count triangles of every size in {n('ABC')}."
        drawn = (
            f"From {n('A')} {across} more lines run to the opposite side, and {down} lines run parallel to that side."
        )
        steps = [
            f"Two of the {across + 2} lines from the corner make the sides: {across + 2} * {across + 1} / 2 = {pairs}",
            f"One of {rows} lines makes the base: {pairs} * {rows} = {answer}",
        ]
        asked = "How many triangles are in the figure?"
        wrong: list[Value] = [(across + 1) * rows, pairs, answer - 1, answer + rows]
    else:
        scene.add(A=(0.0, 0.0), B=(float(one), 0.0), C=(float(one), float(other)), D=(0.0, float(other))).polygon(
            "ABCD"
        )
        for i in range(1, across):
            x = one * i / across
            _add_line(scene, f"u{i}", (x, 0.0), (x, float(other)))
        for i in range(1, down):
            y = other * i / down
            _add_line(scene, f"v{i}", (0.0, y), (float(one), y))
        ways, more = math.comb(across + 1, 2), math.comb(down + 1, 2)
        answer = ways * more
        stem, drawn = (
            f"Count rectangles of every size in {n('ABCD')}.",
            f"The rectangle is cut into {across} columns and {down} rows.",
        )
        steps = [
            f"Left and right side: {across + 1} * {across} / 2 = {ways} ways",
            f"Top and bottom: {down + 1} * {down} / 2 = {more} ways",
            f"{ways} * {more} = {answer}",
        ]
        asked = "How many rectangles are in the figure?"
        wrong = [across * down, across * down + 1, (across + 1) * (down + 1), answer - 1]
    scene.name("ABCD"[: 3 + kind], n)
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _add_line(scene: Scene, name: str, start: Point, end: Point) -> None:
    scene.points[name + "+"], scene.points[name + "-"] = start, end
    scene.marks.append(Line(name + "+", name + "-"))


def _measure_count(at: Points, numbers: Numbers) -> float:
    # Counted one by one, from the lines as drawn.
    corners = "ABC" if numbers[0] == 0 else "ABCD"
    lines = [(at[p], at[q]) for p, q in zip(corners, corners[1:] + corners[0], strict=True)]
    lines += [(at[name], at[name[:-1] + "-"]) for name in at if name.endswith("+")]
    if numbers[0] == 0:
        triples = (_crossings(three) for three in combinations(lines, 3))
        return float(sum(1 for points in triples if len(points) == 3 and area(*points) > 1e-6))
    along = [line for line in lines if _is_parallel(line, lines[0])]
    across = [line for line in lines if not _is_parallel(line, lines[0])]
    return float(len(list(combinations(along, 2))) * len(list(combinations(across, 2))))


def _is_parallel(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    (p, q), (r, s) = one, other
    cross = (q[0] - p[0]) * (s[1] - r[1]) - (q[1] - p[1]) * (s[0] - r[0])
    return abs(cross) < 1e-6 * dist(p, q) * dist(r, s)


def _crossings(lines: Sequence[tuple[Point, Point]]) -> list[Point]:
    """Where three lines meet each other in pairs, if every pair does on both of its lines."""
    found = []
    for one, other in combinations(lines, 2):
        if _is_parallel(one, other):
            return []
        point = meet(*one, *other)
        if any(abs(dist(p, point) + dist(point, q) - dist(p, q)) > 1e-6 * dist(p, q) for p, q in (one, other)):
            return []
        found.append(point)
    return found


def _sample_squares(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 0 if level <= 3 else 1)
    a, b = lots.integer(6, 26 + 5 * level), lots.integer(6, 26 + 5 * level)
    wide, high = lots.integer(1, min(a, b) - 1), lots.integer(1, min(a, b) - 1)
    small = min(a, b)
    if not (0.3 * small <= wide <= 0.75 * small and 0.3 * small <= high <= 0.75 * small and 0.55 <= a / b <= 1.8):
        return None
    return kind, a, b, wide, high


def _build_squares(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, wide, high = numbers
    x, y = float(a - wide), float(a - high)
    points = {
        "A": (0.0, 0.0), "B": (float(a), 0.0), "C": (float(a), float(a)), "D": (0.0, float(a)),
        "E": (x, y), "F": (x + b, y), "G": (x + b, y + b), "H": (x, y + b),
        "P": (float(a), y), "Q": (x, float(a)),
    }  # fmt: skip
    scene = Scene().add(**points)
    overlap = [points[role] for role in "EPCQ"]
    scene.fill([points[role] for role in "ABCD"], 0).fill([points[role] for role in "EFGH"], 0)
    if kind == 1:
        scene.fill(overlap, -1)
    scene.polygon("ABCD").polygon("EFGH").side("AB", a).side("GF", b).side("EP", wide).side("EQ", high)
    stem = "Two squares overlap in a rectangle."
    drawn = f"Their sides are {a} and {b}; the rectangle is {wide} by {high}."
    both = a * a + b * b
    if kind == 0:
        answer = both - wide * high
        asked = "What area do they cover together?"
        steps = [f"{a}^2 + {b}^2 = {both}", f"The overlap counts once: {both} - {wide} * {high} = {answer}"]
        wrong: list[Value] = [both, both - 2 * wide * high, (a + b - wide) * (a + b - high), both + wide * high]
    else:
        answer = both - 2 * wide * high
        asked = "Find the area that is covered by one of them only."
        steps = [f"{a}^2 + {b}^2 = {both}", f"The overlap is in neither: {both} - 2 * {wide} * {high} = {answer}"]
        wrong = [both, both - wide * high, wide * high, answer + high]
    return Figure(scene, stem, drawn, asked, steps, answer, wrong)


def _measure_squares(at: Points, numbers: Numbers) -> float:
    overlap = area(at["E"], at["P"], at["C"], at["Q"])
    both = area(*(at[role] for role in "ABCD")) + area(*(at[role] for role in "EFGH"))
    return both - overlap * (1 + numbers[0])


COUNTING = (
    DiagramFamily("figures_in_a_figure", _sample_count, _build_count, _measure_count),
    DiagramFamily("overlapping_squares", _sample_squares, _build_squares, _measure_squares),
)
