"""A small drawing surface over Pillow: supersampled lines and arcs, and labels that stay crisp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Colour = tuple[int, int, int]


@lru_cache(maxsize=64)
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the font that comes with Pillow at ``size`` pixels, loaded once."""
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=8192)
def _stamp(text: str, font_size: int) -> tuple[Image.Image, int, int]:
    """A text drawn once: its coverage, mode "L", and where its corner stands from its centre."""
    font = load_font(font_size)
    left, top, right, bottom = font.getbbox(text, anchor="mm")
    left, top = math.floor(left), math.floor(top)
    image = Image.new("L", (max(1, math.ceil(right) - left), max(1, math.ceil(bottom) - top)), 0)
    ImageDraw.Draw(image).text((-left, -top), text, font=font, fill=255, anchor="mm")
    return image, left, top


def arc_points(centre: Point, radius: float, start: float, end: float) -> list[Point]:
    """Returns points of a circle from the angle ``start`` to ``end`` in degrees, a few pixels apart."""
    steps = max(6, int(abs(end - start) / 360 * radius * 1.6))
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles]


class Canvas:
    """A square picture. Coordinates are pixels of the finished picture, x to the right and y down.

    Lines are drawn on a surface ``oversample`` times as large and averaged down. Labels are put on last, at the size of
    the finished picture: FreeType smooths them itself, and averaging would only blur small digits.

    Args:
        size: Width and height in pixels.
        background: Colour that every untouched pixel keeps exactly.
        oversample: 1 draws lines at full sharpness with hard edges, 2 smooths them.
        wobble: How far a stroke strays from its line in pixels, as one drawn by hand does; 0 draws straight.
        grid: Colour of squared paper under everything, or None.
    """

    def __init__(
        self,
        size: int,
        background: Colour,
        oversample: int = 2,
        wobble: float = 0.0,
        grid: Colour | None = None,
    ) -> None:
        self.size = size
        self._factor = oversample
        self._wobble = wobble
        self._strokes = 0
        self._image = Image.new("RGB", (size * oversample, size * oversample), background)
        self._draw = ImageDraw.Draw(self._image)
        self._labels: list[tuple[float, float, str, int, Colour]] = []
        if grid is not None:
            step, full = max(8, round(size / 16)), size * oversample
            for place in range(step // 2, size, step):
                self._draw.line([(place * oversample, 0), (place * oversample, full)], fill=grid)
                self._draw.line([(0, place * oversample), (full, place * oversample)], fill=grid)

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        # With a factor of f the centre of a pixel x is at f * x + (f - 1) / 2 of the large surface.
        factor = self._factor
        shift = (factor - 1) / 2
        return [(x * factor + shift, y * factor + shift) for x, y in points]

    def _pixels(self, width: float) -> int:
        return max(1, round(width * self._factor))

    def line(self, start: Point, end: Point, colour: Colour, width: float = 1.0) -> None:
        """Draws a straight line, ``width`` pixels thick."""
        self._stroke(self._scaled([start, end]), colour, self._pixels(width))

    def _stroke(self, points: list[Point], colour: Colour, width: int) -> None:
        """Draws an open line through points of the large surface, by hand where the canvas wobbles."""
        if self._wobble == 0.0:
            self._draw.line(points, fill=colour, width=width, joint="curve" if len(points) > 2 else None)
            return
        # Two slow waves across the line, other ones for every stroke: smooth, and the same in every process.
        self._strokes += 1
        factor, phase = self._factor, 1.7 * self._strokes
        total = sum(math.dist(start, end) for start, end in zip(points, points[1:], strict=False)) or 1.0
        bent: list[Point] = []
        before = 0.0
        for (x, y), (to_x, to_y) in zip(points, points[1:], strict=False):
            length = math.hypot(to_x - x, to_y - y) or 1.0
            steps = max(1, int(length / (7 * factor)))
            for i in range(steps + 1):
                share = i / steps
                done = before + share * length
                along = done / (22 * factor)
                off = math.sin(2.1 * along + phase) + 0.6 * math.sin(4.7 * along + 1.7 * phase)
                # The ends stay where they are, so that corners close.
                off *= self._wobble * factor * min(1.0, 4 * min(done, total - done) / total)
                across_x, across_y = -(to_y - y) / length * off, (to_x - x) / length * off
                bent.append((x + (to_x - x) * share + across_x, y + (to_y - y) * share + across_y))
            before += length
        self._draw.line(bent, fill=colour, width=width, joint="curve")

    def dashes(self, points: Sequence[Point], colour: Colour, width: float = 1.0, dash: float = 4.0) -> None:
        """Draws a line through points in dashes of ``dash`` pixels, with gaps as long."""
        carried = 0.0
        for (x, y), (to_x, to_y) in zip(points, points[1:], strict=False):
            length = math.hypot(to_x - x, to_y - y)
            if length == 0:
                continue
            place = -carried
            while place < length:
                begin, end = max(place, 0.0), min(place + dash, length)
                if end > begin:
                    ends = [(x + (to_x - x) * t / length, y + (to_y - y) * t / length) for t in (begin, end)]
                    self._draw.line(self._scaled(ends), fill=colour, width=self._pixels(width))
                place += 2 * dash
            carried = (carried + length) % (2 * dash)

    def path(self, points: Sequence[Point], colour: Colour, width: float = 1.0) -> None:
        """Draws an open line through points, with round joints."""
        self._stroke(self._scaled(points), colour, self._pixels(width))

    def area(self, corners: Sequence[Point], fill: Colour) -> None:
        """Fills a figure without an outline."""
        self._draw.polygon(self._scaled(corners), fill=fill)

    def disc(self, centre: Point, radius: float, fill: Colour) -> None:
        """Fills a circle without an outline."""
        (x, y) = self._scaled([centre])[0]
        reach = radius * self._factor
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)

    def circle(self, centre: Point, radius: float, colour: Colour, width: float = 1.0) -> None:
        """Draws the outline of a circle; the middle of the line is on the circle."""
        if self._wobble:
            self.path(arc_points(centre, radius, 0.0, 360.0), colour, width)
            return
        (x, y) = self._scaled([centre])[0]
        pixels = self._pixels(width)
        # Pillow lays the line inside the box.
        reach = radius * self._factor + pixels / 2
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=pixels)

    def polygon(
        self, corners: Sequence[Point], outline: Colour, width: float = 1.0, fill: Colour | None = None
    ) -> None:
        """Draws a closed figure with round joints."""
        points = self._scaled(corners)
        if fill is not None:
            self._draw.polygon(points, fill=fill)
        if self._wobble:
            for start, end in zip(points, [*points[1:], points[0]], strict=True):
                self._stroke([start, end], outline, self._pixels(width))
            return
        self._draw.line([*points, points[0], points[1]], fill=outline, width=self._pixels(width), joint="curve")

    def angle_arc(
        self, corner: Point, towards: Point, and_towards: Point, radius: float, colour: Colour, width: float = 1.0
    ) -> None:
        """Draws the arc of an angle (below 180 degrees) around ``corner``, between the directions of two points."""
        (cx, cy) = self._scaled([corner])[0]
        first, second = (
            math.degrees(math.atan2(y - corner[1], x - corner[0])) % 360 for x, y in (towards, and_towards)
        )
        if (second - first) % 360 > 180:
            first, second = second, first
        reach = radius * self._factor
        box = (cx - reach, cy - reach, cx + reach, cy + reach)
        self._draw.arc(box, first, second, fill=colour, width=self._pixels(width))

    def tick(self, start: Point, end: Point, length: float, colour: Colour, width: float = 1.0) -> None:
        """Crosses the middle of the side from ``start`` to ``end`` with a short stroke: sides so marked are equal."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        norm = math.hypot(dx, dy) or 1.0
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        half_x, half_y = -dy / norm * length / 2, dx / norm * length / 2
        self.line((x - half_x, y - half_y), (x + half_x, y + half_y), colour, width)

    def right_angle(
        self, corner: Point, towards: Point, and_towards: Point, side: float, colour: Colour, width: float = 1.0
    ) -> None:
        """Marks a right angle with a small square at ``corner``."""
        steps = []
        for x, y in (towards, and_towards):
            norm = math.hypot(x - corner[0], y - corner[1]) or 1.0
            steps.append(((x - corner[0]) / norm * side, (y - corner[1]) / norm * side))
        (ax, ay), (bx, by) = steps
        cx, cy = corner
        path = [(cx + ax, cy + ay), (cx + ax + bx, cy + ay + by), (cx + bx, cy + by)]
        self._draw.line(self._scaled(path), fill=colour, width=self._pixels(width))

    def label(self, centre: Point, text: str, font_size: int, colour: Colour) -> None:
        """Writes ``text`` around ``centre``, over everything else."""
        self._labels.append((*centre, text, font_size, colour))

    def to_array(self) -> np.ndarray:
        """Returns the picture: shape (size, size, 3), dtype uint8."""
        image = self._image.reduce(self._factor) if self._factor > 1 else self._image
        draw = ImageDraw.Draw(image)
        for x, y, text, font_size, colour in self._labels:
            # Whole pixels keep the strokes of a digit the same wherever it stands.
            stamp, left, top = _stamp(text, font_size)
            draw.bitmap((round(x) + left, round(y) + top), stamp, fill=colour)
        return np.array(image)
