"""Where each part of a page stands: a wide page, a tall one, and the cell of a grid."""

from __future__ import annotations

from dataclasses import dataclass

from lmmr1.envs.errors import UserError

from .canvas import Place

# Below this proportion of width to height a page is a tall one.
TALL = 1.2


@dataclass(frozen=True)
class Layout:
    """The places of a page, in units; what a page has no room for is None.

    Attributes:
        unit: pixels of one unit.
        font: size of the words, in units; other sizes follow from it.
        title, turn: the head.
        picture: the image, or the prompt of a world of text.
        prompt: the prompt beside an image.
        thought, action, rewards, curve: the reply and what it was paid.
        foot: outcome and total.
    """

    unit: float
    font: float
    title: Place
    turn: Place
    picture: Place
    prompt: Place | None
    thought: Place | None
    action: Place
    rewards: Place | None
    curve: Place | None
    foot: Place


def check_size(size: tuple[int, int], smallest: tuple[int, int] = (320, 180)) -> None:
    """Refuse a size that no page can have.

    Raises:
        UserError: it is too small or odd.
    """
    width, height = size
    if width < smallest[0] or height < smallest[1] or width % 2 or height % 2:
        raise UserError(
            f"the size of a page must be even numbers of at least {smallest[0]} x {smallest[1]}, not {width} x {height}"
        )


def arrange(size: tuple[int, int], pictured: bool, cell: bool = False) -> Layout:
    """Find the places for a page.

    Args:
        size: width and height in pixels.
        pictured: whether there is an image; without one, the prompt takes its place.
        cell: whether it is one of many on a picture, with larger letters and less to read.
    """
    width, height = size
    if cell:
        return _cell(width, height) if width / height >= TALL else _tall_cell(width, height)
    if width / height < TALL:
        return _tall(width, height, pictured)
    return _wide(width, height, pictured)


def _wide(width: int, height: int, pictured: bool) -> Layout:
    unit = min(width / 1280, height / 720)
    w, h = width / unit, height / unit
    margin, top, bottom = 32.0, 92.0, h - 84
    side = min(bottom - top, w * 0.48)
    left = margin + side + 32
    column = w - margin - left
    low = bottom - 186  # rewards and curve
    action = low - 92
    words = top + (130 if pictured else 0)
    half = (column - 24) * 0.5
    return Layout(
        unit,
        20,
        title=Place(margin, 20, w - 2 * margin - 200, 50),
        turn=Place(w - margin - 200, 20, 200, 50),
        picture=Place(margin, top, side, bottom - top),
        prompt=Place(left, top, column, 118) if pictured else None,
        thought=Place(left, words, column, action - words - 10),
        action=Place(left, action, column, 80),
        rewards=Place(left, low, half, bottom - low),
        curve=Place(left + half + 24, low, half, bottom - low),
        foot=Place(0, h - 66, w, 66),
    )


def _tall(width: int, height: int, pictured: bool) -> Layout:
    unit = min(width / 640, height / 720)
    w, h = width / unit, height / unit
    margin, foot, low = 24.0, 54.0, 128.0
    column = w - 2 * margin
    spare = h - 64 - foot - low - 24
    picture = min(column, spare * 0.56) if pictured else spare * 0.4
    thought = 64 + picture + 12
    action = h - foot - low - 12 - 76
    return Layout(
        unit,
        18,
        title=Place(margin, 14, column - 150, 40),
        turn=Place(w - margin - 150, 14, 150, 40),
        picture=Place(margin, 64, column, picture),
        prompt=None,
        thought=Place(margin, thought, column, action - thought - 8),
        action=Place(margin, action, column, 72),
        rewards=Place(margin, h - foot - low - 8, column * 0.45, low),
        curve=Place(margin + column * 0.5, h - foot - low - 8, column * 0.5, low),
        foot=Place(0, h - foot, w, foot),
    )


def _cell(width: int, height: int) -> Layout:
    # As large as letters can be: 13 pixels on a sixteenth of a page of 1280 x 720.
    unit = min(width / 320, height / 180)
    roomy = width >= 600  # a quarter of such a page has room for smaller letters, and more of them
    unit = unit * 0.6 if roomy else unit
    w, h = width / unit, height / unit
    margin, foot, head = 8.0, 26.0, 22.0
    side = min(h - head - foot - margin, w * 0.5)
    left = margin + side + 10
    column = w - margin - left
    action = h - foot - 52
    return Layout(
        unit,
        13,
        title=Place(margin, 3, w - 2 * margin - 80, head - 4),
        turn=Place(w - margin - 80, 3, 80, head - 4),
        picture=Place(margin, head, side, h - head - foot - margin),
        prompt=None,
        thought=Place(left, head, column, action - head - 4),
        action=Place(left, action, column, 46),
        rewards=None,
        curve=None,
        foot=Place(0, h - foot, w, foot),
    )


def _tall_cell(width: int, height: int) -> Layout:
    unit = min(width / 190, height / 180)
    roomy = height >= 340
    unit = unit * 0.65 if roomy else unit
    w, h = width / unit, height / unit
    margin, foot, head, action = 8.0, 26.0, 22.0, 34.0
    thought = (h - head - foot - action) * 0.3 if roomy else 0.0
    picture = h - head - foot - action - thought - 3 * 4
    top = head + picture + 4
    return Layout(
        unit,
        13,
        title=Place(margin, 3, w - 2 * margin - 80, head - 4),
        turn=Place(w - margin - 80, 3, 80, head - 4),
        picture=Place(margin, head, w - 2 * margin, picture),
        prompt=None,
        thought=Place(margin, top, w - 2 * margin, thought) if roomy else None,
        action=Place(margin, h - foot - action - 2, w - 2 * margin, action),
        rewards=None,
        curve=None,
        foot=Place(0, h - foot, w, foot),
    )
