"""How a question is put: in words, or written into the picture; open or as a choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lmmr1.envs.errors import UserError

from .canvas import load_font
from .lots import Lots
from .styles import STYLE_TABLE

MODALITIES = ("both", "text_only", "image_only")
ANSWER_FORMATS = ("open", "choice")
LETTERS = "ABCD"
IMAGE_PROMPT = "Answer the question in the picture."


def check_choice(name: str, value: str, known: Sequence[str]) -> str:
    """Returns the value of an argument.

    Raises:
        UserError: It is not one of ``known``.
    """
    if value not in known:
        raise UserError(f"{name} is {value!r}; choose from {', '.join(known)}")
    return value


def check_size(size: int, least: int) -> int:
    """Returns the size.

    Raises:
        UserError: It is not an integer of at least ``least``.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < least:
        raise UserError(f"size is {size!r}; give the width of the picture in pixels, at least {least}")
    return size


def order_options(lots: Lots, answer: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Draws the order of four options.

    Args:
        lots: Source of the order; every letter is right equally often.
        answer: The right answer.
        wrong: At least three others.

    Returns:
        The options, and the letter of the right one.
    """
    right = lots.integer(0, len(LETTERS) - 1)
    options = lots.shuffled(wrong[: len(LETTERS) - 1])
    options.insert(right, answer)
    return tuple(options), LETTERS[right]


def write_options(options: Sequence[str]) -> str:
    """Returns the options with their letters, one a line."""
    return "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))


def picture_height(size: int, modality: str) -> int:
    """Returns the height of the picture: that of the diagram, and half as much again with the question under it."""
    return size + size // 2 if modality == "image_only" else size


def write_under(image: np.ndarray, text: str, style: str) -> np.ndarray:
    """Writes a question under its diagram.

    Args:
        image: Shape (size, size, 3), dtype uint8.
        text: The question; line breaks are kept.
        style: A name of `STYLE_TABLE`, for the colours.

    Returns:
        Shape (size + size // 2, size, 3), dtype uint8.

    Raises:
        ValueError: The text does not fit at eight pixels.
    """
    size, look = image.shape[0], STYLE_TABLE[style]
    picture = Image.new("RGB", (size, picture_height(size, "image_only")), look.background)
    picture.paste(Image.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(picture)
    room = size // 2 - 6
    for font_size in range(max(8, round(size * 0.062)), 7, -1):
        lines = _wrap(text, font_size, size - 12)
        step = font_size + max(1, font_size // 6)
        if len(lines) * step <= room:
            for number, line in enumerate(lines):
                place = (6, size + 2 + number * step)
                draw.text(place, line, font=load_font(font_size), fill=look.text)
            return np.array(picture)
    raise ValueError(f"a question of {len(text)} characters does not fit into a picture {size} pixels wide")


def _wrap(text: str, font_size: int, width: int) -> list[str]:
    font = load_font(font_size)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        row = ""
        for word in paragraph.split():
            longer = f"{row} {word}" if row else word
            if row and font.getlength(longer) > width:
                lines.append(row)
                row = word
            else:
                row = longer
        lines.append(row)
    return lines
