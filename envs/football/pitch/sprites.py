"""What stands on the pitch: players, rings, marker and ball, each drawn once per size, with smooth edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .layout import LEFT_COLOUR, RIGHT_COLOUR

DIRECTIONS = 24  # so many ways that a player's nose can point
DETAIL = 8
DARK, WHITE, MARK, SHADE = (16, 18, 24), (255, 255, 255), (235, 24, 52), (0, 0, 0)
# Shirt numbers need this radius of a player to be read.
MIN_RADIUS_OF_NUMBERS = 6.3


@dataclass(frozen=True, eq=False)
class Sprite:
    """A small picture with smooth edges, to be laid over others.

    Attributes:
        colour: its colours times its opacity; shape (height, width, 3), uint16.
        rest: 256 minus its opacity, for each colour the same; shape (height, width, 3), uint16.
        origin: the pixel, x and y, that lies on the place it is drawn at.
    """

    colour: np.ndarray
    rest: np.ndarray
    origin: tuple[int, int]


def lay(picture: np.ndarray, sprite: Sprite, x: float, y: float) -> None:
    """Draw a sprite at a place; what leaves the picture is cut off.

    Args:
        picture: shape (height, width, 3), uint8; is changed.
        sprite: what to draw.
        x: the column of its origin.
        y: the row of its origin.
    """
    colour, rest = sprite.colour, sprite.rest
    height, width, _ = colour.shape
    left, top = round(x) - sprite.origin[0], round(y) - sprite.origin[1]
    if left < 0 or top < 0 or left + width > picture.shape[1] or top + height > picture.shape[0]:
        rows = slice(max(0, -top), max(0, min(height, picture.shape[0] - top)))
        columns = slice(max(0, -left), max(0, min(width, picture.shape[1] - left)))
        colour, rest = colour[rows, columns], rest[rows, columns]
        left, top = max(0, left), max(0, top)
        height, width, _ = colour.shape
    under = picture[top : top + height, left : left + width]
    mixed = np.multiply(under, rest)
    mixed >>= 8
    mixed += colour
    under[...] = mixed


def _draw(half: int, paint: Callable[[ImageDraw.ImageDraw, float], None]) -> Sprite:
    """A sprite of at most 2 * half + 1 pixels around its origin; `paint` gets the middle in its own, finer pixels."""
    side = 2 * half + 1
    image = Image.new("RGBA", (side * DETAIL, side * DETAIL), (0, 0, 0, 0))
    paint(ImageDraw.Draw(image), side * DETAIL / 2)
    fine = np.asarray(image, np.float64).reshape(side, DETAIL, side, DETAIL, 4)
    opacity = fine[..., 3:] / 255
    # Colours are weighed by their opacity: the mean of the colours alone would darken the edges.
    over = (fine[..., :3] * opacity).mean(axis=(1, 3))
    rest = np.round(256 * (1 - opacity.mean(axis=(1, 3)))).astype(np.uint16)
    rows, columns = (np.flatnonzero((rest < 256).any(axis=(axis, 2))) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # Rounded down, so that colour and what shines through never add up to more than 255.
    colour, rest = np.floor(over[box]).astype(np.uint16), np.repeat(rest[box], 3, axis=2)
    for array in (colour, rest):
        array.setflags(write=False)
    return Sprite(colour, rest, (half - int(columns[0]), half - int(rows[0])))


def _circle(draw: ImageDraw.ImageDraw, middle: float, radius: float, colour: tuple[int, ...]) -> None:
    r = radius * DETAIL
    draw.ellipse((middle - r, middle - r, middle + r, middle + r), fill=colour)


class Sprites:
    """The sprites for players of one size; each is drawn when it is first needed.

    Args:
        radius: of a player, in pixels.
    """

    def __init__(self, radius: float) -> None:
        self.radius = radius
        self.edge = max(0.9, 0.2 * radius)
        self.player = cache(self._player)
        self.ring = cache(self._ring)
        self.ball = cache(self._ball)
        self.shadow = cache(self._shadow)
        self.markers = {is_above: self._marker(is_above) for is_above in (True, False)}
        self.speck = self._speck()

    def _player(self, is_left: bool, is_keeper: bool, direction: int, number: int) -> Sprite:
        """A player: a disc, or a square for a keeper, with a nose that points where it runs.

        Args:
            is_left: which team's colour.
            is_keeper: a square, not a disc.
            direction: 0 to DIRECTIONS - 1, from the right clockwise; -1 for one that stands.
            number: on its shirt; shown where there is room.
        """
        radius, edge = self.radius, self.edge
        shirt, ink = (LEFT_COLOUR, DARK) if is_left else (RIGHT_COLOUR, WHITE)
        rim = DARK if is_left else (226, 234, 255)

        def shape(draw: ImageDraw.ImageDraw, middle: float, size: float, nose: float, colour: tuple[int, ...]) -> None:
            if direction >= 0:
                angle = 2 * math.pi * direction / DIRECTIONS
                corners = [(angle, nose), (angle + 1.0, size), (angle - 1.0, size)]
                points = [(middle + math.cos(a) * r * DETAIL, middle + math.sin(a) * r * DETAIL) for a, r in corners]
                draw.polygon(points, fill=colour)
            if is_keeper:
                half = 0.92 * size * DETAIL
                draw.rectangle((middle - half, middle - half, middle + half, middle + half), fill=colour)
            else:
                _circle(draw, middle, size, colour)

        def paint(draw: ImageDraw.ImageDraw, middle: float) -> None:
            shape(draw, middle, radius + 0.35 * edge, 2.0 * radius + edge, (*rim, 255))
            shape(draw, middle, radius - 0.65 * edge, 2.0 * radius - 0.9 * edge, (*shirt, 255))
            if radius >= MIN_RADIUS_OF_NUMBERS:
                font = ImageFont.load_default(1.42 * radius * DETAIL * (0.82 if number > 9 else 1))
                draw.text((middle, middle), str(number), (*ink, 255), font=font, anchor="mm")

        return _draw(math.ceil(2.0 * radius + edge) if direction >= 0 else math.ceil(radius + edge), paint)

    def _ring(self, colour: tuple[int, int, int], gap: float) -> Sprite:
        """A ring around a player; `gap` is its inner radius in radii of a player."""
        inner = gap * self.radius
        outer = inner + max(1.3, 0.34 * self.radius)

        def paint(draw: ImageDraw.ImageDraw, middle: float) -> None:
            _circle(draw, middle, outer + 0.5, (*SHADE, 110))
            _circle(draw, middle, outer, (*colour, 255))

        return _draw(math.ceil(outer + 1), paint)

    def _marker(self, is_above: bool) -> Sprite:
        """A triangle above a controlled player, or below it, that points at it."""
        r, way = self.radius, -1 if is_above else 1
        tip, base, half = 1.9 * r, 1.9 * r + max(4.5, 1.25 * r), max(3.4, 0.95 * r)

        def paint(draw: ImageDraw.ImageDraw, middle: float) -> None:
            for grow, colour in ((max(1.0, 0.2 * r), WHITE), (0.0, MARK)):
                wide = half + 1.5 * grow
                points = [(0.0, tip - 1.6 * grow), (wide, base + grow), (-wide, base + grow)]
                draw.polygon([(middle + x * DETAIL, middle + way * y * DETAIL) for x, y in points], fill=(*colour, 255))

        return _draw(math.ceil(base + 2), paint)

    def _ball(self, size: int) -> Sprite:
        """The ball, `size` sixths larger than on the ground."""
        radius = max(2.3, 0.56 * self.radius) * (1 + size / 6)

        def paint(draw: ImageDraw.ImageDraw, middle: float) -> None:
            _circle(draw, middle, radius + max(1.0, 0.18 * self.radius), (*DARK, 255))
            _circle(draw, middle, radius, (*WHITE, 255))
            if radius > 4:
                _circle(draw, middle, 0.3 * radius, (*DARK, 255))

        return _draw(math.ceil(radius + 2), paint)

    def _shadow(self, size: int) -> Sprite:
        """The shadow of a ball in the air."""
        radius = max(2.3, 0.56 * self.radius) * (1 + size / 12)
        return _draw(math.ceil(radius + 1), lambda draw, middle: _circle(draw, middle, radius, (*SHADE, 120)))

    def _speck(self) -> Sprite:
        """A dot on the way that the ball is taking."""
        radius = max(1.0, 0.2 * self.radius)
        return _draw(math.ceil(radius + 1), lambda draw, middle: _circle(draw, middle, radius, (*WHITE, 235)))


def nose_direction(way_x: float, way_y: float) -> int:
    """The nearest of the DIRECTIONS to a way in pixels or metres."""
    return round(math.atan2(way_y, way_x) / (2 * math.pi) * DIRECTIONS) % DIRECTIONS
