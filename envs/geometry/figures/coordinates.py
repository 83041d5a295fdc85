"""Points on squared paper: distance, middle, slope, area, image."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene

from .construction import area, dist

Points = Mapping[str, Point]


def _reach(level: int) -> int:
    return 4 if level <= 3 else 6 if level <= 7 else 8


def draw_axes(reach: int) -> Scene:
    """Returns squared paper with axes from -reach to reach; the numbers stand along its edges."""
    low, high = -1.16 * reach, 1.06 * reach
    scene = Scene(upright=True, frame=(-1.3 * reach, -1.3 * reach, high, high)).add(O=(0.0, 0.0))
    r = float(reach)
    for i in range(-reach, reach + 1):
        scene.curve([(float(i), -r), (float(i), r)], faint=True).curve([(-r, float(i)), (r, float(i))], faint=True)
        if i % 2 == 0:
            scene.text(i, low, i, 0.75).text(low, i, i, 0.75)
    scene.curve([(0.0, -r), (0.0, r)], weight=0.8).curve([(-r, 0.0), (r, 0.0)], weight=0.8)
    return scene


def _point(x: object, y: object) -> str:
    return f"({x}, {y})"


def _spots(lots: Lots, reach: int, count: int) -> list[tuple[int, int]]:
    """Draws points off the edge, so that their names have room."""
    return [(lots.integer(1 - reach, reach - 1), lots.integer(1 - reach, reach - 1)) for _ in range(count)]


def _sample_segment(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 2)
    (ax, ay), (bx, by) = _spots(lots, _reach(level), 2)
    dx, dy = bx - ax, by - ay
    if abs(dx) + abs(dy) < 3 or dx == 0 or dy == 0:
        return None
    if level <= 3 and (kind == 1 and (dx % 2 or dy % 2) or kind == 2 and dy % dx):
        return None
    return kind, _reach(level), ax, ay, bx, by


def _build_segment(numbers: Numbers, n: Names) -> Figure:
    kind, reach, ax, ay, bx, by = numbers
    scene = draw_axes(reach).add(A=(float(ax), float(ay)), B=(float(bx), float(by)))
    scene.line("AB").dots("AB").name("AB", n)
    dx, dy = bx - ax, by - ay
    drawn = f"{n('A')} is the point {_point(ax, ay)} and {n('B')} the point {_point(bx, by)}."
    if kind == 0:
        square = dx * dx + dy * dy
        answer: Value = root(square)
        asked = f"How long is {n('AB')}?"
        steps = [
            f"{n('A')} = {_point(ax, ay)}, {n('B')} = {_point(bx, by)}: {abs(dx)} across and {abs(dy)} up or down",
            f"{n('AB')} = sqrt({abs(dx)}^2 + {abs(dy)}^2) = sqrt({square}) = {answer}",
        ]
        wrong: list[Value] = [abs(dx) + abs(dy), root(abs(dx * dx - dy * dy) or 2), square, max(abs(dx), abs(dy))]
    elif kind == 1:
        x, y = Fraction(ax + bx, 2), Fraction(ay + by, 2)
        answer = _point(x, y)
        asked = f"Which point is the middle of {n('AB')}?"
        steps = [f"x = ({ax} + {bx})/2 = {x}", f"y = ({ay} + {by})/2 = {y}", f"middle = {answer}"]
        wrong = [
            _point(ax + bx, ay + by),
            _point(y, x),
            _point(Fraction(dx, 2), Fraction(dy, 2)),
            _point(x + 1, y),
            _point(x, y - 1),
        ]
    else:
        answer = Fraction(dy, dx)
        asked = f"What is the slope of the line {n('AB')}?"
        steps = [
            f"{n('A')} = {_point(ax, ay)}, {n('B')} = {_point(bx, by)}",
            f"slope = ({by} - {ay})/({bx} - {ax}) = {dy}/{dx} = {answer}",
        ]
        wrong = [Fraction(dx, dy), -answer, Fraction(-dx, dy), answer + 1]
    return Figure(scene, "", drawn, asked.replace("  ", " "), steps, answer, wrong)


def _seen(at: Points, role: str) -> Point:
    """The coordinates of a point, read off the axes."""
    return at[role][0] - at["O"][0], at[role][1] - at["O"][1]


def _measure_segment(at: Points, numbers: Numbers) -> float | tuple[float, ...]:
    (ax, ay), (bx, by) = _seen(at, "A"), _seen(at, "B")
    if numbers[0] == 1:
        return (ax + bx) / 2, (ay + by) / 2
    return dist((ax, ay), (bx, by)) if numbers[0] == 0 else (by - ay) / (bx - ax)


def _sample_grid_area(lots: Lots, level: int) -> Numbers | None:
    count = 3 if level <= 4 else lots.integer(3, 4)
    spots = _spots(lots, _reach(level), count)
    if level <= 2:
        # One side lies along the paper's lines.
        spots[1] = spots[1][0], spots[0][1]
    if len({*spots}) < count or area(*((float(x), float(y)) for x, y in spots)) < 3:
        return None
    if not _is_convex(spots):
        return None
    return _reach(level), *(number for spot in spots for number in spot)


def _is_convex(spots: list[tuple[int, int]]) -> bool:
    """Tells whether the corners turn the same way all around, none by little."""
    turns = []
    for i, (x, y) in enumerate(spots):
        (px, py), (qx, qy) = spots[i - 1], spots[(i + 1) % len(spots)]
        cross = (x - px) * (qy - y) - (y - py) * (qx - x)
        size = ((x - px) ** 2 + (y - py) ** 2) ** 0.5 * ((qx - x) ** 2 + (qy - y) ** 2) ** 0.5
        turns.append(cross / size if size else 0.0)
    return min(turns) > 0.35 or max(turns) < -0.35


def _corners(numbers: Numbers) -> list[tuple[int, int]]:
    return list(zip(numbers[1::2], numbers[2::2], strict=True))


def _build_grid_area(numbers: Numbers, n: Names) -> Figure:
    spots = _corners(numbers)
    roles = "ABCD"[: len(spots)]
    scene = draw_axes(numbers[0])
    for role, (x, y) in zip(roles, spots, strict=True):
        scene.points[role] = float(x), float(y)
    scene.polygon(roles, 0).dots(roles).name(roles, n)
    products = [x * v - u * y for (x, y), (u, v) in zip(spots, spots[1:] + spots[:1], strict=True)]
    total = sum(products)
    answer = Fraction(abs(total), 2)
    places = ", ".join(f"{n(role)}{_point(*spot)}" for role, spot in zip(roles, spots, strict=True))
    steps = [
        f"The corners: {places}",
        f"Shoelace: {' + '.join(f'({product})' for product in products)} = {total}",
        f"area = {abs(total)}/2 = {answer}",
    ]
    xs, ys = [x for x, _ in spots], [y for _, y in spots]
    box = (max(xs) - min(xs)) * (max(ys) - min(ys))
    kind = "triangle" if len(spots) == 3 else "quadrilateral"
    stem, drawn = f"{n(roles)} is a {kind} on squared paper.", f"Its corners are {places}."
    wrong: list[Value] = [abs(total), Fraction(box, 2), box, answer + Fraction(1, 2)]
    return Figure(scene, stem, drawn, "Find its area.", steps, answer, wrong)


def _measure_grid_area(at: Points, numbers: Numbers) -> float:
    return area(*(at[role] for role in "ABCD" if role in at))


IMAGES = (
    ("is reflected in the x axis", lambda x, y: (x, -y), "(x, y) goes to (x, -y)"),
    ("is reflected in the y axis", lambda x, y: (-x, y), "(x, y) goes to (-x, y)"),
    ("is reflected in the line y = x", lambda x, y: (y, x), "(x, y) goes to (y, x)"),
    ("is turned by 180 degrees about the origin", lambda x, y: (-x, -y), "(x, y) goes to (-x, -y)"),
    ("is turned by 90 degrees counterclockwise about the origin", lambda x, y: (-y, x), "(x, y) goes to (-y, x)"),
    ("is turned by 90 degrees clockwise about the origin", lambda x, y: (y, -x), "(x, y) goes to (y, -x)"),
)


def _sample_image(lots: Lots, level: int) -> Numbers | None:
    kinds = 2 if level <= 2 else 4 if level <= 5 else 6
    kind, second = lots.integer(0, kinds - 1), lots.integer(0, kinds - 1) if level >= 7 else -1
    spots = _spots(lots, _reach(level), 3)
    if len({*spots}) < 3 or not _is_convex(spots) or area(*((float(x), float(y)) for x, y in spots)) < 3:
        return None
    which = lots.integer(0, 2)
    x, y = spots[which]
    if abs(x) == abs(y) or x == 0 or y == 0 or kind == second:
        return None
    return _reach(level), *(number for spot in spots for number in spot), kind, second, which


def _build_image(numbers: Numbers, n: Names) -> Figure:
    *head, kind, second, which = numbers
    spots = _corners(tuple(head))
    scene = draw_axes(numbers[0])
    for role, (x, y) in zip("ABC", spots, strict=True):
        scene.points[role] = float(x), float(y)
    scene.polygon("ABC", 0).dots("ABC").name("ABC", n)
    role, (x, y) = "ABC"[which], spots[which]
    told, move, rule = IMAGES[kind]
    stem = f"Triangle {n('ABC')} {told}"
    places = ", ".join(f"{n(r)}{_point(*spot)}" for r, spot in zip("ABC", spots, strict=True))
    steps = [f"{n(role)} = {_point(x, y)}"]
    if second >= 0:
        between = move(x, y)
        steps.append(f"First: {rule}, which gives {_point(*between)}")
        more, move, rule = IMAGES[second]
        stem += f", and the image {more}"
        result = move(*between)
        steps.append(f"Then: {rule}, so the image = {_point(*result)}")
    else:
        result = move(x, y)
        steps.append(f"{rule}, so the image = {_point(*result)}")
    wrong = [_point(*image(x, y)) for _, image, _ in IMAGES] + [_point(x, y)]
    asked = f"Where does {n(role)} go?"
    return Figure(scene, stem + ".", f"The corners are {places}.", asked, steps, _point(*result), wrong)


def _measure_image(at: Points, numbers: Numbers) -> tuple[float, ...]:
    *_, kind, second, which = numbers
    x, y = _seen(at, "ABC"[which])
    for move in (kind, second):
        if move >= 0:
            x, y = IMAGES[move][1](x, y)
    return x, y


COORDINATES = (
    DiagramFamily("grid_segment", _sample_segment, _build_segment, _measure_segment),
    DiagramFamily("grid_area", _sample_grid_area, _build_grid_area, _measure_grid_area),
    DiagramFamily("grid_image", _sample_image, _build_image, _measure_image),
)
