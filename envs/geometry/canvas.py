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


class Canvas:
    """A square picture. Coordinates are pixels of the finished picture, x to the right and y down.

    Lines are drawn on a surface ``oversample`` times as large and averaged down. Labels are put on last, at the size of
    the finished picture: FreeType smooths them itself, and averaging would only blur small digits.

    Args:
        size: Width and height in pixels.
        background: Colour that every untouched pixel keeps exactly.
        oversample: 1 draws lines at full sharpness with hard edges, 2 smooths them.
    """

    def __init__(self, size: int, background: Colour, oversample: int = 2) -> None:
        self.size = size
        self._factor = oversample
        self._image = Image.new("RGB", (size * oversample, size * oversample), background)
        self._draw = ImageDraw.Draw(self._image)
        self._labels: list[tuple[float, float, str, int, Colour]] = []

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        # With a factor of f the centre of a pixel x is at f * x + (f - 1) / 2 of the large surface.
        factor = self._factor
        shift = (factor - 1) / 2
        return [(x * factor + shift, y * factor + shift) for x, y in points]

    def _pixels(self, width: float) -> int:
        return max(1, round(width * self._factor))

    def line(self, start: Point, end: Point, colour: Colour, width: float = 1.0) -> None:
        """Draws a straight line, ``width`` pixels thick."""
        self._draw.line(self._scaled([start, end]), fill=colour, width=self._pixels(width))

    def polygon(
        self, corners: Sequence[Point], outline: Colour, width: float = 1.0, fill: Colour | None = None
    ) -> None:
        """Draws a closed figure with round joints."""
        points = self._scaled(corners)
        if fill is not None:
            self._draw.polygon(points, fill=fill)
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
            draw.text((round(x), round(y)), text, font=load_font(font_size), fill=colour, anchor="mm")
        return np.array(image)
