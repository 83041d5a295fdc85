"""A scene: the exact figure behind a diagram, before it is turned, scaled and drawn.

Coordinates are in the units of the problem, x to the right and y up. A label carries the value that it stands for, so
that a test can hold it against the coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .canvas import Colour, Point

# A pale tint (a number of the palette) or an exact colour.
Tint = int | Colour


@dataclass(frozen=True)
class Line:
    """A straight line between two points."""

    start: str
    end: str
    dashed: bool = False
    weight: float = 1.0
    colour: Colour | None = None


@dataclass(frozen=True)
class Area:
    """A filled figure without an outline, through coordinates."""

    corners: tuple[Point, ...]
    tint: Tint


@dataclass(frozen=True)
class Ring:
    """The outline of a circle around a point."""

    centre: str
    radius: float


@dataclass(frozen=True)
class Disc:
    """A filled circle around coordinates."""

    centre: Point
    radius: float
    tint: Tint


@dataclass(frozen=True)
class Curve:
    """An open line through coordinates; a faint one is part of the ground, and labels may stand on it."""

    path: tuple[Point, ...]
    dashed: bool = False
    weight: float = 1.0
    colour: Colour | None = None
    faint: bool = False


@dataclass(frozen=True)
class AngleMark:
    """The arc of the angle start-corner-end (below 180 degrees), with a label; ``reach`` scales the arc."""

    start: str
    corner: str
    end: str
    text: str
    value: float | None
    reach: float


@dataclass(frozen=True)
class RightMark:
    """The small square of a right angle."""

    start: str
    corner: str
    end: str


@dataclass(frozen=True)
class SideLabel:
    """A label beside the line between two points; ``value`` is its length."""

    start: str
    end: str
    text: str
    value: float | None


@dataclass(frozen=True)
class Ticks:
    """Short strokes across a side: sides with as many are equal."""

    start: str
    end: str
    count: int


@dataclass(frozen=True)
class Arrow:
    """An arrow head in the middle of a line: lines with one are parallel."""

    start: str
    end: str


@dataclass(frozen=True)
class Dot:
    """A point that is drawn as one."""

    point: str
    size: float = 1.0


@dataclass(frozen=True)
class Name:
    """The name of a point, near it."""

    point: str
    text: str


@dataclass(frozen=True)
class Text:
    """A text around fixed coordinates; ``size`` is relative to the usual label."""

    place: Point
    text: str
    size: float = 1.0
    colour: Colour | None = None


Mark = Line | Area | Ring | Disc | Curve | AngleMark | RightMark | SideLabel | Ticks | Arrow | Dot | Name | Text


@dataclass
class Scene:
    """Points and what is drawn on them.

    Attributes:
        upright: True keeps the scene as it is; else it is turned and mirrored at random.
        frame: (left, bottom, right, top) that fills the picture exactly; None fits what is drawn.
        points: The coordinates by role, such as "A"; what they are called in the picture is up to ``name``.
        marks: What is drawn, in order.
    """

    upright: bool = False
    frame: tuple[float, float, float, float] | None = None
    points: dict[str, Point] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def add(self, **points: Point) -> Scene:
        """Adds points by role."""
        self.points.update(points)
        return self

    def line(self, pairs: str, dashed: bool = False, weight: float = 1.0) -> Scene:
        """Draws lines between points of one letter each: ``line("AB CD")``."""
        self.marks += [Line(pair[0], pair[1], dashed, weight) for pair in pairs.split()]
        return self

    def polygon(self, corners: str, tint: Tint | None = None) -> Scene:
        """Draws a closed figure through points of one letter each."""
        if tint is not None:
            self.marks.append(Area(tuple(self.points[corner] for corner in corners), tint))
        self.marks += [Line(start, end) for start, end in zip(corners, corners[1:] + corners[0], strict=True)]
        return self

    def fill(self, corners: Sequence[Point], tint: Tint) -> Scene:
        """Fills a figure through coordinates."""
        self.marks.append(Area(tuple(corners), tint))
        return self

    def circle(self, centre: str, radius: float, tint: Tint | None = None) -> Scene:
        """Draws a circle."""
        if tint is not None:
            self.marks.append(Disc(self.points[centre], radius, tint))
        self.marks.append(Ring(centre, radius))
        return self

    def curve(
        self,
        path: Sequence[Point],
        dashed: bool = False,
        weight: float = 1.0,
        colour: Colour | None = None,
        faint: bool = False,
    ) -> Scene:
        """Draws an open line through coordinates."""
        self.marks.append(Curve(tuple(path), dashed, weight, colour, faint))
        return self

    def angle(self, corners: str, text: str = "", value: float | None = None, reach: float = 1.0) -> Scene:
        """Marks an angle by its three points; a number without text is written with a degree sign."""
        text = f"{value:g}°" if not text and value is not None else text
        self.marks.append(AngleMark(corners[0], corners[1], corners[2], text, value, reach))
        return self

    def right(self, corners: str) -> Scene:
        """Marks a right angle by its three points."""
        self.marks.append(RightMark(*corners))
        return self

    def side(self, ends: str, text: object, value: float | None = None) -> Scene:
        """Writes a length beside the line between two points; a number is its own value."""
        if value is None and not isinstance(text, str):
            value = float(text)  # pyright: ignore[reportArgumentType]
        self.marks.append(SideLabel(ends[0], ends[1], str(text), value))
        return self

    def ticks(self, pairs: str, count: int = 1) -> Scene:
        """Marks sides as equal."""
        self.marks += [Ticks(pair[0], pair[1], count) for pair in pairs.split()]
        return self

    def arrows(self, pairs: str) -> Scene:
        """Marks lines as parallel."""
        self.marks += [Arrow(pair[0], pair[1]) for pair in pairs.split()]
        return self

    def dots(self, points: Sequence[str], size: float = 1.0) -> Scene:
        """Draws points as dots."""
        self.marks += [Dot(point, size) for point in points]
        return self

    def name(self, points: str, names: Names) -> Scene:
        """Writes the names of points."""
        self.marks += [Name(point, names(point)) for point in points]
        return self

    def text(self, x: float, y: float, text: object, size: float = 1.0, colour: Colour | None = None) -> Scene:
        """Writes a text around fixed coordinates."""
        self.marks.append(Text((x, y), str(text), size, colour))
        return self


class Names:
    """What points are called: ``names("ABC")`` is the text for the points in the roles A, B and C.

    Args:
        letters: The letters of the roles A, B, C and so on; the role O keeps its own letter.
    """

    def __init__(self, letters: str) -> None:
        self.letters = letters

    def __call__(self, roles: str) -> str:
        """Returns the names of the roles, in order."""
        return "".join(role if role == "O" else self.letters["ABCDEFGH".index(role)] for role in roles)


def polar(angle: float, radius: float = 1.0, centre: Point = (0.0, 0.0)) -> Point:
    """Returns the point at an angle in degrees and a distance from a centre."""
    turn = math.radians(angle)
    return centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)


def arc(centre: Point, radius: float, start: float, end: float, flat: float = 1.0) -> list[Point]:
    """Returns points of a circle, or of an ellipse ``flat`` times as high as wide, between two angles in degrees."""
    steps = max(8, int(abs(end - start) / 7.5))
    points = (polar(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(centre[0] + radius * x, centre[1] + radius * flat * y) for x, y in points]
