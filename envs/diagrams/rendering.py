"""From a scene to a picture: a pose, a scale, strokes, labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .canvas import Canvas, Colour, Point, arc_points
from .lots import Lots
from .placement import CLEARANCE, Label, NoRoomError, Placer, around_point, beside_line, inside_angle, text_box
from .scene import (
    AngleMark,
    Area,
    Arrow,
    Curve,
    Disc,
    Dot,
    Line,
    Mark,
    Name,
    RightMark,
    Ring,
    Scene,
    SideLabel,
    Text,
    Ticks,
    Tint,
)
from .styles import STYLE_TABLE, Style, mix_colours

POSES = 12
# Hues that stay apart on white, on grey and on a dark board; the first is that of the figure.
TINTS: tuple[Colour, ...] = ((70, 130, 220), (230, 150, 40), (60, 170, 90), (190, 80, 170), (215, 75, 65))


@dataclass(frozen=True)
class Stroke:
    """A line in pixels: a path, or a circle where ``radius`` is not 0 (its centre is then the only point)."""

    points: tuple[Point, ...]
    width: float
    dashed: bool = False
    radius: float = 0.0
    colour: Colour | None = None
    solid: bool = False
    faint: bool = False


@dataclass
class Layout:
    """A scene in pixels.

    Attributes:
        size: Width and height of the picture.
        points: Every point of the scene in pixels, y down.
        unit: Pixels per unit of the scene.
        fills: Filled figures, corners in pixels, and discs as (centre, radius), each with its tint.
        strokes: All lines.
        labels: All texts, with their boxes.
        colours: Of the labels that have their own, by number.
    """

    size: int
    points: dict[str, Point]
    unit: float
    fills: list[tuple[tuple[Point, ...], float, Tint]]
    strokes: list[Stroke]
    labels: list[Label]
    colours: dict[int, Colour]

    def measured(self) -> dict[str, Point]:
        """Returns the points as drawn, in units of the scene and y up: what a ruler on the picture would tell."""
        return {name: (x / self.unit, -y / self.unit) for name, (x, y) in self.points.items()}


class _Pose:
    """A turn, a mirror, a scale and a shift."""

    def __init__(self, scene: Scene, size: int, lots: Lots, margin: float) -> None:
        self.scale, self.shift = 1.0, (0.0, 0.0)
        angle = 0.0 if scene.upright else lots.uniform(0, 2 * math.pi)
        self.flip = -1.0 if not scene.upright and lots.chance(0.5) else 1.0
        self.cos, self.sin = math.cos(angle), math.sin(angle)
        if scene.frame is not None:
            left, bottom, right, top = scene.frame
            xs, ys, margin = [left, right], [-bottom, -top], 0.0
        else:
            xs, ys = self._extent(scene)
        width, height = max(xs) - min(xs), max(ys) - min(ys)
        room = size - 2 * margin
        self.scale = min(room / max(width, 1e-9), room / max(height, 1e-9))
        if scene.frame is None:
            self.scale *= lots.uniform(0.9, 1.0)
        spare_x, spare_y = room - width * self.scale, room - height * self.scale
        place = (0.5, 0.5) if scene.frame is not None else (lots.uniform(0.25, 0.75), lots.uniform(0.25, 0.75))
        self.shift = (
            margin + spare_x * place[0] - min(xs) * self.scale,
            margin + spare_y * place[1] - min(ys) * self.scale,
        )

    def _extent(self, scene: Scene) -> tuple[list[float], list[float]]:
        reaches = [(self(point), 0.0) for point in scene.points.values()]
        for mark in scene.marks:
            if isinstance(mark, Ring):
                reaches.append((self(scene.points[mark.centre]), mark.radius))
            elif isinstance(mark, Curve):
                reaches += [(self(point), 0.0) for point in mark.path]
        xs = [x + side * reach for (x, _), reach in reaches for side in (-1, 1)]
        ys = [y + side * reach for (_, y), reach in reaches for side in (-1, 1)]
        return xs, ys

    def __call__(self, point: Point) -> Point:
        """Returns a point in pixels."""
        x, y = point[0] * self.flip, point[1]
        x, y = x * self.cos - y * self.sin, x * self.sin + y * self.cos
        return x * self.scale + self.shift[0], self.shift[1] - y * self.scale


def lay_out(scene: Scene, lots: Lots, size: int = 224) -> Layout:
    """Finds a pose in which every label has its place.

    Args:
        scene: What to draw.
        lots: Source of the pose.
        size: Width and height in pixels.

    Raises:
        NoRoomError: There is none among a dozen poses.
    """
    base = max(9, round(size * 0.058))
    for attempt in range(POSES):
        # The last poses may write a little smaller, never under nine pixels.
        font_size = base if attempt < 8 else max(9, base - 2)
        try:
            return _lay_out_once(scene, _Pose(scene, size, lots, margin=size * 0.105), size, font_size)
        except NoRoomError:
            if attempt == POSES - 1:
                raise
    raise AssertionError("the loop returns or raises")


def _lay_out_once(scene: Scene, pose: _Pose, size: int, font_size: int) -> Layout:
    points = {name: pose(point) for name, point in scene.points.items()}
    layout = Layout(size, points, pose.scale, [], [], [], {})
    mark_size = size / 224
    for mark in scene.marks:
        _add_strokes(mark, layout, pose, mark_size)
    placer = Placer(_ink(layout))
    centre = _middle(points)
    for kind in (Text, AngleMark, SideLabel, Name):
        for mark in scene.marks:
            if isinstance(mark, kind):
                _place(mark, scene, layout, placer, pose, centre, font_size)
    layout.labels = placer.labels
    return layout


def _add_strokes(mark: Mark, layout: Layout, pose: _Pose, mark_size: float) -> None:
    at, line = layout.points, max(1.0, 1.8 * mark_size)
    strokes = layout.strokes
    if isinstance(mark, Line):
        strokes.append(Stroke((at[mark.start], at[mark.end]), line * mark.weight, mark.dashed, colour=mark.colour))
    elif isinstance(mark, Area):
        layout.fills.append((tuple(pose(corner) for corner in mark.corners), 0.0, mark.tint))
    elif isinstance(mark, Disc):
        layout.fills.append(((pose(mark.centre),), mark.radius * pose.scale, mark.tint))
    elif isinstance(mark, Ring):
        strokes.append(Stroke((at[mark.centre],), line, radius=mark.radius * pose.scale))
    elif isinstance(mark, Curve):
        path = tuple(pose(point) for point in mark.path)
        strokes.append(Stroke(path, line * mark.weight, mark.dashed, colour=mark.colour, faint=mark.faint))
    elif isinstance(mark, AngleMark):
        strokes.append(Stroke(_angle_arc(mark, at, mark_size), max(1.0, 1.1 * mark_size)))
    elif isinstance(mark, RightMark):
        strokes.append(Stroke(_right_mark(mark, at, mark_size), max(1.0, 1.1 * mark_size)))
    elif isinstance(mark, Ticks):
        _add_ticks(mark, at, strokes, mark_size)
    elif isinstance(mark, Arrow):
        strokes.append(Stroke(_arrow_head(mark, at, mark_size), line))
    elif isinstance(mark, Dot):
        strokes.append(Stroke((at[mark.point],), 1.0, radius=2.3 * mark_size * mark.size, solid=True))


def _towards(start: Point, end: Point) -> Point:
    length = math.dist(start, end) or 1.0
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def arc_radius(mark: AngleMark, at: dict[str, Point], mark_size: float) -> float:
    """Returns the radius of the arc of an angle in pixels: wider where the angle is narrow."""
    (ax, ay), (bx, by) = (_towards(at[mark.corner], at[end]) for end in (mark.start, mark.end))
    width = math.acos(max(-1.0, min(1.0, ax * bx + ay * by)))
    legs = min(math.dist(at[mark.corner], at[end]) for end in (mark.start, mark.end))
    return min((13 + 6 * max(0.0, 1.0 - width)) * mark_size * mark.reach, 0.55 * legs)


def _angle_arc(mark: AngleMark, at: dict[str, Point], mark_size: float) -> tuple[Point, ...]:
    corner = at[mark.corner]
    first, second = (
        math.degrees(math.atan2(at[end][1] - corner[1], at[end][0] - corner[0])) for end in (mark.start, mark.end)
    )
    turn = (second - first + 180) % 360 - 180
    return tuple(arc_points(corner, arc_radius(mark, at, mark_size), first, first + turn))


def _right_mark(mark: RightMark, at: dict[str, Point], mark_size: float) -> tuple[Point, ...]:
    (x, y), side = at[mark.corner], 8 * mark_size
    (ax, ay), (bx, by) = (_towards(at[mark.corner], at[end]) for end in (mark.start, mark.end))
    return (
        (x + ax * side, y + ay * side),
        (x + (ax + bx) * side, y + (ay + by) * side),
        (x + bx * side, y + by * side),
    )


def _add_ticks(mark: Ticks, at: dict[str, Point], strokes: list[Stroke], mark_size: float) -> None:
    start, end = at[mark.start], at[mark.end]
    x, y = _towards(start, end)
    for i in range(mark.count):
        off = (i - (mark.count - 1) / 2) * 4 * mark_size
        middle_x, middle_y = (start[0] + end[0]) / 2 + x * off, (start[1] + end[1]) / 2 + y * off
        half = 4.5 * mark_size
        ends = (middle_x - y * half, middle_y + x * half), (middle_x + y * half, middle_y - x * half)
        strokes.append(Stroke(ends, max(1.0, 1.3 * mark_size)))


def _arrow_head(mark: Arrow, at: dict[str, Point], mark_size: float) -> tuple[Point, ...]:
    start, end = at[mark.start], at[mark.end]
    x, y = _towards(start, end)
    # Off the middle, so that it does not meet a tick or a label there.
    tip = start[0] + (end[0] - start[0]) * 0.62, start[1] + (end[1] - start[1]) * 0.62
    back, half = 7 * mark_size, 4 * mark_size
    return (
        (tip[0] - x * back - y * half, tip[1] - y * back + x * half),
        tip,
        (tip[0] - x * back + y * half, tip[1] - y * back - x * half),
    )


def _ink(layout: Layout) -> Image.Image:
    """Draws all strokes, a little thicker, on a mask."""
    image = Image.new("L", (layout.size, layout.size), 0)
    draw = ImageDraw.Draw(image)
    for stroke in layout.strokes:
        if stroke.faint:
            continue
        width = round(stroke.width) + 2 * CLEARANCE
        if stroke.radius:
            (x, y), reach = stroke.points[0], stroke.radius + width / 2
            box = (x - reach, y - reach, x + reach, y + reach)
            draw.ellipse(box, fill=1 if stroke.solid else None, outline=1, width=width)
        else:
            draw.line(stroke.points, fill=1, width=width)
            # A line has no caps; its ends keep their distance too.
            for x, y in (stroke.points[0], stroke.points[-1]):
                draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return image


def _middle(points: dict[str, Point]) -> Point:
    xs, ys = zip(*points.values(), strict=True) if points else ((0.0,), (0.0,))
    return sum(xs) / len(xs), sum(ys) / len(ys)


def _place(
    mark: Text | AngleMark | SideLabel | Name,
    scene: Scene,
    layout: Layout,
    placer: Placer,
    pose: _Pose,
    centre: Point,
    font_size: int,
) -> None:
    at = layout.points
    if isinstance(mark, Text):
        size = max(8, round(font_size * mark.size))
        x, y = pose(mark.place)
        # Words side by side stand on one line, whether or not they have letters that reach below it.
        _, top, _, bottom = text_box(mark.text, size)
        y += (top + bottom) / 2
        if mark.colour is not None:
            layout.colours[len(placer.labels)] = mark.colour
        placer.place(mark.text, size, [(x, y)])
    elif isinstance(mark, AngleMark):
        if mark.text:
            radius = arc_radius(mark, at, layout.size / 224)
            places = inside_angle(at[mark.corner], at[mark.start], at[mark.end], radius, mark.text, font_size)
            rivals = [at[other.corner] for other in scene.marks if isinstance(other, AngleMark)]
            places = _nearest(places, at[mark.corner], rivals)
            placer.place(mark.text, font_size, places, sight=(at[mark.corner], radius + CLEARANCE + 3))
    elif isinstance(mark, SideLabel):
        start, end = at[mark.start], at[mark.end]
        outward = (start[0] + end[0]) / 2 - centre[0], (start[1] + end[1]) / 2 - centre[1]
        placer.place(mark.text, font_size, beside_line(start, end, outward, mark.text, font_size))
    else:
        point = at[mark.point]
        outward = _away(mark.point, scene, at) or (point[0] - centre[0], point[1] - centre[1])
        placer.place(mark.text, font_size, around_point(point, outward, mark.text, font_size))


def _nearest(places: Iterable[Point], own: Point, others: Sequence[Point]) -> Iterator[Point]:
    """Leaves out places that are nearer to the corner of another marked angle than to their own."""
    for place in places:
        if all(math.dist(place, own) <= math.dist(place, other) for other in others):
            yield place


def _away(point: str, scene: Scene, at: dict[str, Point]) -> Point | None:
    """The direction away from the lines that end at a point, or None where they balance."""
    x = y = 0.0
    for mark in scene.marks:
        if isinstance(mark, Line) and point in (mark.start, mark.end):
            towards = _towards(at[point], at[mark.end if point == mark.start else mark.start])
            x, y = x - towards[0], y - towards[1]
    return (x, y) if math.hypot(x, y) > 0.2 else None


def paint(layout: Layout, lots: Lots, style: str = "paper", labels: bool = True) -> np.ndarray:
    """Draws a layout.

    Args:
        layout: What `lay_out` returned.
        lots: Source of the colour of the figure.
        style: A name of `STYLE_TABLE`.
        labels: False leaves the texts away, so that a test can see what lies under them.

    Returns:
        Shape (size, size, 3), dtype uint8.
    """
    look = STYLE_TABLE[style]
    canvas = Canvas(layout.size, look.background, look.oversample, look.stray, look.grid)
    low, high = look.outline
    ink: Colour = (lots.integer(low, high), lots.integer(low, high), lots.integer(low, high))
    shift = lots.integer(0, len(TINTS) - 1)
    # Faint lines show through tints, as squared paper does, and not through what has a colour of its own.
    _fill(canvas, [fill for fill in layout.fills if isinstance(fill[2], int)], shift, look)
    faint = mix_colours(ink, look.background, 0.25)
    _draw_strokes(canvas, [stroke for stroke in layout.strokes if stroke.faint], faint)
    _fill(canvas, [fill for fill in layout.fills if not isinstance(fill[2], int)], shift, look)
    _draw_strokes(canvas, [stroke for stroke in layout.strokes if not stroke.faint], ink)
    if labels:
        for number, label in enumerate(layout.labels):
            canvas.label(label.centre, label.text, label.font_size, layout.colours.get(number, look.text))
    return canvas.to_array()


def _fill(canvas: Canvas, fills: list[tuple[tuple[Point, ...], float, Tint]], shift: int, look: Style) -> None:
    for points, radius, tint in fills:
        fill = _tint(tint, shift, look)
        if radius:
            canvas.disc(points[0], radius, fill)
        else:
            canvas.area(points, fill)


def _draw_strokes(canvas: Canvas, strokes: list[Stroke], ink: Colour) -> None:
    for stroke in strokes:
        colour = stroke.colour or ink
        if stroke.solid:
            canvas.disc(stroke.points[0], stroke.radius, colour)
        elif stroke.radius:
            canvas.circle(stroke.points[0], stroke.radius, colour, stroke.width)
        elif stroke.dashed:
            canvas.dashes(stroke.points, colour, stroke.width)
        else:
            canvas.path(stroke.points, colour, stroke.width)


def _tint(tint: Tint, shift: int, look: Style) -> Colour:
    if isinstance(tint, tuple):
        return tint
    if tint < 0:  # a hole: the ground again
        return look.background
    return mix_colours(TINTS[(tint + shift) % len(TINTS)], look.background, 0.24)
