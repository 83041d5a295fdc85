"""The sheet that all pictures of perception are drawn on: 100 by 100 units, with coloured shapes on it."""

from __future__ import annotations

from collections.abc import Mapping

from lmmr1.envs.diagrams.canvas import Colour, Point
from lmmr1.envs.diagrams.scene import Scene, polar

Points = Mapping[str, Point]
COLOURS: dict[str, Colour] = {
    "red": (216, 50, 47),
    "blue": (44, 100, 214),
    "yellow": (240, 190, 30),
    "green": (60, 175, 80),
    "purple": (150, 70, 190),
}
COLOUR_NAMES = tuple(COLOURS)
SHAPES = ("circle", "square", "triangle", "star", "cross")
WORDS = ("ant", "bee", "cat", "cow", "dog", "elk", "fox", "hen", "owl", "pig", "rat", "yak")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def new_sheet() -> Scene:
    """Returns an empty sheet; the points "O" and "U" are its corners, so that positions can be measured."""
    scene = Scene(upright=True, frame=(0.0, 0.0, 100.0, 100.0))
    return scene.add(O=(0.0, 0.0), U=(100.0, 100.0))


def seen(at: Points, name: str) -> Point:
    """Returns where a point stands on the sheet, as drawn: from (0, 0) to (100, 100)."""
    origin, corner = at["O"], at["U"]
    x, y = at[name]
    return (
        100 * (x - origin[0]) / (corner[0] - origin[0]),
        100 * (y - origin[1]) / (corner[1] - origin[1]),
    )


def draw_shape(scene: Scene, kind: str, centre: Point, radius: float, colour: str) -> None:
    """Draws one shape in one colour."""
    x, y = centre
    if kind == "circle":
        corners = [polar(15 * i, radius * 0.95, centre) for i in range(24)]
    elif kind == "square":
        half = radius * 0.84
        corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    elif kind == "triangle":
        corners = [polar(turn, radius * 1.1, (x, y - radius * 0.2)) for turn in (90, 210, 330)]
    elif kind == "star":
        corners = [polar(90 + 36 * i, radius * (1.1 if i % 2 == 0 else 0.45), centre) for i in range(10)]
    else:
        thin, long = radius * 0.32, radius
        offsets = (
            (thin, long), (thin, thin), (long, thin), (long, -thin), (thin, -thin), (thin, -long),
            (-thin, -long), (-thin, -thin), (-long, -thin), (-long, thin), (-thin, thin), (-thin, long),
        )  # fmt: skip
        corners = [(x + dx, y + dy) for dx, dy in offsets]
    scene.fill(corners, COLOURS[colour])


def join(items: list[str]) -> str:
    """Writes ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
