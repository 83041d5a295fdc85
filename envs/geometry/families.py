"""Figures of the shape families: what is drawn, where the labels stand, and the question under the picture.

The diagrams are schematic and not to scale: a family always has the same figure, and only the labels carry the numbers.
Labels stand near the centres of the cells of a 3 by 3 grid, so that a model that cuts pictures into patches sees each
number whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmr1.envs.diagrams.asking import check_choice, check_size
from lmmr1.envs.diagrams.canvas import Canvas, Colour, Point
from lmmr1.envs.diagrams.styles import STYLE_TABLE, Style
from lmmr1.envs.errors import UserError
from lmmr1.envs.reasoning.problems import FAMILIES, Problem

MIN_SIZE = 56
# All layout is given at this size and scaled to the one asked for.
LAYOUT_SIZE = 84


class Pen:
    """Draws one figure in layout coordinates (0 to 84 both ways): scales, jitters, colours."""

    def __init__(self, size: int, style: Style, rng: np.random.Generator) -> None:
        self.canvas = Canvas(size, style.background, style.oversample, style.stray, style.grid)
        self.style = style
        self.scale = size / LAYOUT_SIZE
        self.font_size = max(8, round(15 * self.scale))
        # One draw for all that is random in a picture: a call of the generator costs as much as a line.
        self._random = iter(rng.random(24).tolist())
        low, high = style.outline
        red, green, blue = (low + int(next(self._random) * (high - low + 1)) for _ in range(3))
        self.colour: Colour = (red, green, blue)
        self.line_width = style.line * self.scale

    def _offset(self, reach: float) -> float:
        return (2 * next(self._random) - 1) * reach

    def corners(self, *points: Point) -> list[Point]:
        """Scales corners to pixels, each moved a little."""
        wobble = self.style.wobble
        return [((x + self._offset(wobble)) * self.scale, (y + self._offset(wobble)) * self.scale) for x, y in points]

    def outline(self, corners: list[Point], fill: bool = False) -> None:
        """Draws the closed figure through corners in pixels."""
        tint: Colour | None = None
        if fill and self.style.fill:
            red, green, blue = (
                (component + 3 * ground) // 4
                for component, ground in zip(self.colour, self.style.background, strict=True)
            )
            tint = (red, green, blue)
        self.canvas.polygon(corners, self.colour, self.line_width, tint)

    def number(self, value: int, column: int, row: int, degrees: bool = False) -> None:
        """Writes a number in a cell of the 3 by 3 grid, at most a pixel (at ``LAYOUT_SIZE``) off its centre."""
        cell = LAYOUT_SIZE / 3
        x = ((column + 0.5) * cell + self._offset(1.0)) * self.scale
        y = ((row + 0.5) * cell + self._offset(1.0)) * self.scale
        sign = "°" if degrees and self.style.degree_sign else ""
        # Three digits of the usual size would run into the figure.
        font_size = self.font_size if value < 100 else max(8, round(12 * self.scale))
        self.canvas.label((x, y), f"{value}{sign}", font_size, self.style.text)


def _draw_triangle(pen: Pen, numbers: tuple[int, ...]) -> None:
    pen.outline(pen.corners((42, 8), (22, 58), (62, 58)))
    left, right, bottom = numbers
    pen.number(left, 0, 1)
    pen.number(right, 2, 1)
    pen.number(bottom, 1, 2)


def _draw_isosceles(pen: Pen, numbers: tuple[int, ...]) -> None:
    top, left, right = corners = pen.corners((42, 8), (22, 58), (62, 58))
    pen.outline(corners)
    for foot in (left, right):
        pen.canvas.tick(top, foot, 8 * pen.scale, pen.colour, pen.line_width)
    leg, base = numbers
    pen.number(leg, 0, 1)
    pen.number(base, 1, 2)


def _draw_rectangle(pen: Pen, numbers: tuple[int, ...], fill: bool = False) -> None:
    (left, top), (right, bottom) = pen.corners((27, 26), (76, 70))
    pen.outline([(left, top), (right, top), (right, bottom), (left, bottom)], fill)
    pen.number(numbers[0], 1, 0)
    pen.number(numbers[1], 0, 1)


def _draw_filled_rectangle(pen: Pen, numbers: tuple[int, ...]) -> None:
    _draw_rectangle(pen, numbers, fill=True)


def _draw_angles(pen: Pen, numbers: tuple[int, ...]) -> None:
    top, left, right = corners = pen.corners((42, 6), (9, 58), (75, 58))
    pen.outline(corners)
    for corner, other in ((left, right), (right, left)):
        pen.canvas.angle_arc(corner, top, other, 12 * pen.scale, pen.colour, pen.line_width)
    pen.number(numbers[0], 0, 2, degrees=True)
    pen.number(numbers[1], 2, 2, degrees=True)


def _draw_right_triangle(pen: Pen, numbers: tuple[int, ...]) -> None:
    (corner,) = pen.corners((29, 58))
    (_, top), (right, _) = pen.corners((29, 8), (76, 58))
    ends = (corner[0], top), (right, corner[1])
    pen.outline([corner, *ends], fill=True)
    pen.canvas.right_angle(corner, *ends, 7 * pen.scale, pen.colour, pen.line_width)
    pen.number(numbers[0], 0, 1)
    pen.number(numbers[1], 1, 2)


def _draw_exterior_angle(pen: Pen, numbers: tuple[int, ...]) -> None:
    # The first angle is at the top, the second at the left foot; the right foot has its base carried on.
    left, top, right = corners = pen.corners((12, 58), (32, 24), (60, 58))
    pen.outline(corners)
    dx, dy = right[0] - left[0], right[1] - left[1]
    beyond = right[0] + dx * 0.4, right[1] + dy * 0.4
    pen.canvas.line(right, beyond, pen.colour, pen.line_width)
    pen.canvas.angle_arc(left, top, right, 9 * pen.scale, pen.colour, pen.line_width)
    pen.canvas.angle_arc(top, left, right, 9 * pen.scale, pen.colour, pen.line_width)
    pen.canvas.angle_arc(right, top, beyond, 9 * pen.scale, pen.colour, pen.line_width)
    pen.canvas.label((70 * pen.scale, 44 * pen.scale), "?", pen.font_size, pen.style.text)
    pen.number(numbers[0], 1, 0, degrees=True)
    pen.number(numbers[1], 0, 2, degrees=True)


@dataclass(frozen=True)
class ShapeFamily:
    """How a family of problems is drawn.

    Attributes:
        name: Name of the family, the same as in `lmmr1.envs.reasoning`.
        question: What is asked under the picture; the numbers are in the picture alone.
        draw: Draws the figure with its numbers.
    """

    name: str
    question: str
    draw: Callable[[Pen, tuple[int, ...]], None]


SHAPE_FAMILIES: dict[str, ShapeFamily] = {
    family.name: family
    for family in (
        ShapeFamily("triangle_perimeter", "Perimeter?", _draw_triangle),
        ShapeFamily("isosceles_perimeter", "Perimeter?", _draw_isosceles),
        ShapeFamily("rectangle_perimeter", "Perimeter?", _draw_rectangle),
        ShapeFamily("triangle_angle", "Third angle?", _draw_angles),
        ShapeFamily("rectangle_area", "Area?", _draw_filled_rectangle),
        ShapeFamily("right_triangle_area", "Area?", _draw_right_triangle),
        ShapeFamily("exterior_angle", "Exterior angle?", _draw_exterior_angle),
    )
}
assert SHAPE_FAMILIES.keys() <= FAMILIES.keys()


def draw_problem(problem: Problem, rng: np.random.Generator, size: int = 224, style: str = "paper") -> np.ndarray:
    """Draws the diagram of a problem of one of ``SHAPE_FAMILIES``, not to scale.

    Args:
        problem: What to draw.
        rng: Source of the small variations: corners, labels and colours.
        size: Width and height in pixels, at least 56.
        style: A name of `STYLE_TABLE`: "paper" (white, dark ink, degree signs), "slate" (grey (127, 127, 127), white
            digits alone) and others.

    Returns:
        Shape (size, size, 3), dtype uint8.

    Raises:
        UserError: The family has no drawing, or the size or the style is not one there is.
    """
    if problem.family not in SHAPE_FAMILIES:
        raise UserError(f"{problem.family!r} has no drawing; choose from {', '.join(SHAPE_FAMILIES)}")
    check_size(size, MIN_SIZE)
    check_choice("style", style, tuple(STYLE_TABLE))
    pen = Pen(size, STYLE_TABLE[style], rng)
    SHAPE_FAMILIES[problem.family].draw(pen, problem.numbers)
    return pen.canvas.to_array()
