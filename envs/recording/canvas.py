"""A picture that is drawn on in units, so that a page looks the same in every size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .lettering import fit, load_font, spell_out

Colour = tuple[int, int, int]
PAGE, PANEL, LINE = (247, 247, 244), (255, 255, 255), (214, 216, 220)
INK, GRAY, BLUE, GREEN, RED = (26, 28, 33), (92, 97, 106), (24, 84, 160), (20, 112, 60), (170, 36, 36)
SMALLEST_FONT, READABLE_FONT = 6, 10
# A whole multiple must fill so much of the side that it could have.
FILLED = 0.8


@dataclass(frozen=True)
class Place:
    """A rectangle of a page, in units."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def inner(self, margin: float) -> Place:
        """The rectangle without a margin on each side."""
        return Place(self.left + margin, self.top + margin, self.width - 2 * margin, self.height - 2 * margin)


class Canvas:
    """A picture and a pen.

    Args:
        size: width and height in pixels.
        unit: pixels of one unit.
    """

    def __init__(self, size: tuple[int, int], unit: float) -> None:
        self.unit = unit
        self.width, self.height = size[0] / unit, size[1] / unit
        self.picture = Image.new("RGB", size, PAGE)
        self.pen = ImageDraw.Draw(self.picture)

    def pixels(self, place: Place) -> tuple[int, int, int, int]:
        """The corners of a place in pixels: left, top, right and bottom, the latter two outside of it."""
        corners = place.left, place.top, place.right, place.bottom
        left, top, right, bottom = (round(corner * self.unit) for corner in corners)
        return left, top, right, bottom

    def fill(self, place: Place, colour: Colour, outline: Colour | None = None, radius: float = 0) -> None:
        """Fill a place, maybe with round corners."""
        left, top, right, bottom = self.pixels(place)
        box = left, top, max(left, right - 1), max(top, bottom - 1)
        if radius:
            self.pen.rounded_rectangle(box, radius * self.unit, fill=colour, outline=outline)
        else:
            self.pen.rectangle(box, fill=colour, outline=outline)

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """The font in a size in units."""
        return load_font(max(SMALLEST_FONT, round(size * self.unit)))

    def sizes(self, size: float, *shares: float) -> list[float]:
        """A size and shares of it, without those that nobody could read."""
        return [size, *(size * share for share in shares if size * share * self.unit >= READABLE_FONT)]

    def measure(self, text: str, size: float) -> float:
        """How wide a text is, in units."""
        return self.font(size).getlength(text) / self.unit

    def text(self, x: float, y: float, text: str, size: float, colour: Colour = INK, *, right: bool = False) -> None:
        """Write a line whose top left corner, or top right one, is at (x, y)."""
        position = round(x * self.unit), round(y * self.unit)
        self.pen.text(position, spell_out(text), colour, self.font(size), anchor="ra" if right else "la")

    def fitted(self, text: str, size: float, width: float) -> str:
        """A text cut to one line of a width."""
        return fit(text, lambda part: self.measure(part, size), width)

    def rule(self, left: float, y: float, right: float, colour: Colour = LINE) -> None:
        """Draw a horizontal line."""
        ends = round(left * self.unit), round(y * self.unit), round(right * self.unit), round(y * self.unit)
        self.pen.line(ends, fill=colour, width=max(1, round(2 * self.unit)))

    def image(self, place: Place, image: np.ndarray) -> None:
        """Paste an image into the middle of a place, as large as it goes.

        Args:
            place: where.
            image: shape (height, width, 3), dtype uint8. Small ones grow by whole multiples of every pixel, which
                keeps them sharp and even, or, where that would leave much of the place empty, to its very size with
                edges a pixel soft; larger ones than the place shrink smoothly.
        """
        left, top, right, bottom = self.pixels(place)
        rows, columns = image.shape[:2]
        scale = min((right - left) / columns, (bottom - top) / rows)
        picture = Image.fromarray(image)
        if int(scale) >= FILLED * scale:
            picture = picture.resize((columns * int(scale), rows * int(scale)), Image.Resampling.NEAREST)
        else:
            shape = max(1, int(columns * scale)), max(1, int(rows * scale))
            if scale > 1:
                # Each pixel a square first, so that only the edges between them are soft in the end.
                larger = math.ceil(scale)
                picture = picture.resize((columns * larger, rows * larger), Image.Resampling.NEAREST)
            picture = picture.resize(shape, Image.Resampling.BOX if scale > 1 else Image.Resampling.LANCZOS)
        corner = left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2
        self.picture.paste(picture, corner)


def signed(value: float) -> str:
    """A reward with its sign."""
    return f"{value:+.2f}" if round(value, 2) else "0.00"


def colour_of(value: float) -> Colour:
    """The colour of a reward by its sign."""
    if not round(value, 2):
        return GRAY
    return GREEN if value > 0 else RED
