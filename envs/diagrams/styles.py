"""How drawings look: ground, ink, line work."""

from __future__ import annotations

from dataclasses import dataclass

from lmmr1.envs.errors import UserError

from .canvas import Colour
from .lots import Lots


@dataclass(frozen=True)
class Style:
    """Colours and line work of a drawing.

    Attributes:
        background: Exact colour of the ground.
        text: Colour of the labels.
        outline: Lowest and highest component of the random colour of the figure.
        fill: Whether areas that are asked for are tinted.
        line: Thickness of the outline in a picture of 84 pixels; scale-true figures use at least 1.
        wobble: How far a corner of a schematic figure may be moved in a picture of 84 pixels.
        degree_sign: Whether angles are written with one.
        oversample: See `Canvas`.
        stray: How far a stroke strays from its line in pixels, as one drawn by hand does.
        grid: Colour of the squares of the paper, or None for plain paper.
    """

    background: Colour
    text: Colour
    outline: tuple[int, int]
    fill: bool
    line: float
    wobble: float
    degree_sign: bool
    oversample: int
    stray: float = 0.0
    grid: Colour | None = None


STYLE_TABLE = {
    "paper": Style((255, 255, 255), (20, 20, 30), (30, 150), True, 1.0, 2.0, True, 2),
    # Middle grey is what the usual image processors map to zero: digits in white are then the only strong signal.
    "slate": Style((127, 127, 127), (255, 255, 255), (60, 110), False, 1.0, 1.0, False, 1),
    "grid": Style((255, 255, 255), (20, 20, 60), (20, 120), True, 1.0, 2.0, True, 2, grid=(214, 228, 242)),
    "sketch": Style((252, 249, 240), (40, 40, 44), (50, 105), True, 0.8, 2.0, True, 2, stray=0.55),
    "board": Style((34, 62, 52), (250, 250, 240), (190, 245), True, 0.8, 2.0, True, 2),
}
MIXED = "mixed"
STYLES = (*STYLE_TABLE, MIXED)
# What "mixed" chooses from. Slate is made for the smallest models and pictures.
PEOPLES_STYLES = ("paper", "grid", "sketch", "board")


def choose_style(style: str, lots: Lots) -> str:
    """Returns the name of one style: the given one, or one at random for "mixed"."""
    return lots.choice(PEOPLES_STYLES) if style == MIXED else style


def mix_colours(one: Colour, other: Colour, share: float) -> Colour:
    """Returns ``share`` of one colour and the rest of the other."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(one, other, strict=True))
    return red, green, blue


def check_style(style: str) -> str:
    """Returns the style.

    Raises:
        UserError: It is not one of ``STYLES``.
    """
    if style not in STYLES:
        raise UserError(f"style is {style!r}; choose from {', '.join(STYLES)}")
    return style
