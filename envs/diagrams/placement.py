"""Where labels stand: beside what they belong to, on nothing else.

The strokes of the drawing are laid on a mask, a little thicker than they are drawn. A label takes the first of its
candidate places that is inside the picture, free of ink and clear of the labels before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from .canvas import Point, load_font

CLEARANCE = 2


@dataclass(frozen=True)
class Label:
    """A text and its place: the centre, the box (left, top, right, bottom) in pixels, the size of the font."""

    text: str
    centre: Point
    box: tuple[int, int, int, int]
    font_size: int


class NoRoomError(Exception):
    """A label has no free place; another pose may have one."""


@lru_cache(maxsize=4096)
def text_box(text: str, font_size: int) -> tuple[int, int, int, int]:
    """Returns the box of a text around its anchor "mm" (left, top, right, bottom) in pixels."""
    left, top, right, bottom = load_font(font_size).getbbox(text, anchor="mm")
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


class Placer:
    """Keeps track of what is taken.

    Args:
        ink: A square picture of mode "L": not 0 where strokes are, with their clearance.
    """

    def __init__(self, ink: Image.Image) -> None:
        self.size = ink.width
        self._ink = np.asarray(ink)
        self.labels: list[Label] = []

    def place(
        self, text: str, font_size: int, candidates: Iterable[Point], sight: tuple[Point, float] | None = None
    ) -> Label:
        """Puts a label at the first free candidate.

        Args:
            text: What is written.
            font_size: Its size.
            candidates: Centres in pixels, the best first.
            sight: A point and a distance: from that far off the point no line may come before the label.

        Raises:
            NoRoomError: None of them is free.
        """
        left, top, right, bottom = text_box(text, font_size)
        for x, y in candidates:
            # Labels are written at whole pixels around the middle of their box.
            middle_x, middle_y = round(x - (left + right) / 2), round(y - (top + bottom) / 2)
            box = middle_x + left, middle_y + top, middle_x + right, middle_y + bottom
            if self.is_free(box) and (sight is None or self._is_seen(sight, (x, y))):
                label = Label(text, (middle_x, middle_y), box, font_size)
                self.labels.append(label)
                return label
        raise NoRoomError(f"no room for {text!r}")

    def is_free(self, box: tuple[int, int, int, int]) -> bool:
        """Tells whether a box is inside the picture, without ink, and clear of all labels."""
        left, top, right, bottom = box
        if left < 2 or top < 2 or right > self.size - 2 or bottom > self.size - 2:
            return False
        for label in self.labels:
            other = label.box
            if left < other[2] + 4 and other[0] < right + 4 and top < other[3] + 3 and other[1] < bottom + 3:
                return False
        return not self._ink[top:bottom, left:right].any()

    def _is_seen(self, sight: tuple[Point, float], place: Point) -> bool:
        (x, y), start = sight
        length = math.dist((x, y), place)
        for step in range(math.ceil(start), int(length), 2):
            share = step / length
            if self._ink[round(y + (place[1] - y) * share), round(x + (place[0] - x) * share)]:
                return False
        return True


def around_point(point: Point, outward: Point, text: str, font_size: int) -> Iterator[Point]:
    """Yields places for the name of a point, beginning in the direction ``outward``."""
    left, top, right, bottom = text_box(text, font_size)
    half_x, half_y = (right - left) / 2, (bottom - top) / 2
    start = math.atan2(outward[1], outward[0])
    for gap in (4.0, 7.0, 11.0):
        for step in range(17):
            turn = start + (step + 1) // 2 * (1 if step % 2 else -1) * math.pi / 9
            x, y = math.cos(turn), math.sin(turn)
            # The distance at which the box just clears a circle around the point.
            reach = gap + min(half_x / max(abs(x), 1e-9), half_y / max(abs(y), 1e-9))
            yield point[0] + x * reach, point[1] + y * reach


def beside_line(start: Point, end: Point, outward: Point, text: str, font_size: int) -> Iterator[Point]:
    """Yields places beside the middle of a line, first on the side of ``outward``."""
    left, top, right, bottom = text_box(text, font_size)
    half_x, half_y = (right - left) / 2, (bottom - top) / 2
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    x, y = -dy / length, dx / length
    if x * outward[0] + y * outward[1] < 0:
        x, y = -x, -y
    for gap in (4.0, 6.5):
        reach = gap + abs(x) * half_x + abs(y) * half_y
        for side in (1, -1):
            for share in (0.5, 0.44, 0.56, 0.38, 0.62, 0.3, 0.7):
                yield start[0] + dx * share + side * x * reach, start[1] + dy * share + side * y * reach


def inside_angle(corner: Point, start: Point, end: Point, radius: float, text: str, font_size: int) -> Iterator[Point]:
    """Yields places between the legs of an angle, near its bisector and beyond its arc."""
    left, top, right, bottom = text_box(text, font_size)
    half_x, half_y = (right - left) / 2, (bottom - top) / 2
    first = math.atan2(start[1] - corner[1], start[0] - corner[0])
    width = (math.atan2(end[1] - corner[1], end[0] - corner[0]) - first + math.pi) % (2 * math.pi) - math.pi
    longest = 0.9 * min(math.dist(corner, start), math.dist(corner, end)) + half_x
    for gap in range(2, 80, 3):
        for share in (0.5, 0.42, 0.58, 0.33, 0.67):
            turn = first + width * share
            x, y = math.cos(turn), math.sin(turn)
            reach = radius + gap + abs(x) * half_x + abs(y) * half_y
            if reach > max(longest, radius + half_x + 14):
                return
            yield corner[0] + x * reach, corner[1] + y * reach
