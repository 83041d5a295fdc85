"""The bar above the pitch: the score, what kind of play it is, what goes on, and the steps that are left."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..actions import DIRECTIONS, sticky_names
from ..state import GameMode, State
from .layout import BAR, LEFT_COLOUR, RIGHT_COLOUR, Layout

INK, FAINT, ALERT = (240, 242, 245), (150, 157, 168), (255, 176, 59)
LABELS = {mode: mode.name.replace("_", " ").capitalize() for mode in GameMode if mode != GameMode.NORMAL}
ABBREVIATED = {"keeper_rush": "rush", "pressure": "press", "team_pressure": "team press"}
DETAIL = 4


class Scoreboard:
    """Draws the bar for one layout; a bar of which only the clock changes is not drawn again.

    Args:
        layout: the measures of the picture.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._size = 0.66 * layout.bar
        self._font = ImageFont.load_default(self._size)
        self._digits = [self._draw_digit(digit) for digit in range(10)]
        self._suffix = round(self._font.getlength(" left"))
        # Bound to this board, so that it is forgotten with it.
        self._bar = lru_cache(maxsize=512)(self._draw_bar)

    def draw(self, picture: np.ndarray, state: State, viewer: int | None) -> None:
        """Draw the bar over the top rows of a picture.

        Args:
            picture: shape (height, width, 3), uint8; is changed.
            state: the match.
            viewer: whose lasting actions are shown: a place among the controlled players of the left team, or None.
        """
        flags = state.left_sticky[viewer].tobytes() if viewer is not None else b""
        bar = self._bar(state.score, int(state.game_mode), flags)
        picture[: bar.shape[0]] = bar
        right = self._layout.width - self._margin - self._suffix
        for digit in reversed(str(max(0, state.steps_left))):
            tile = self._digits[int(digit)]
            right -= tile.shape[1]
            picture[1 : 1 + tile.shape[0], right : right + tile.shape[1]] = tile

    @property
    def _margin(self) -> int:
        return max(3, round(0.012 * self._layout.width))

    def _draw_digit(self, digit: int) -> np.ndarray:
        image = Image.new("RGB", (math.ceil(self._font.getlength("0")), self._layout.bar - 2), BAR)
        ImageDraw.Draw(image).text((0, self._middle - 1), str(digit), INK, font=self._font, anchor="lm")
        return np.array(image)

    @property
    def _middle(self) -> float:
        return 0.5 * self._layout.bar

    def _draw_bar(self, score: tuple[int, int], mode: int, flags: bytes) -> np.ndarray:
        width, height = self._layout.width, self._layout.bar
        image = Image.new("RGB", (width, height), BAR)
        draw = ImageDraw.Draw(image)

        def write(x: float, text: str, colour: tuple[int, int, int], anchor: str = "lm") -> None:
            draw.text((x, self._middle), text, colour, font=self._font, anchor=anchor)

        chip, top = round(0.5 * height), round(0.25 * height)
        x = self._margin
        draw.rectangle((x, top, x + chip, top + chip), fill=LEFT_COLOUR)
        x += chip + 0.3 * self._size
        text = f"{score[0]} - {score[1]}"
        write(x, text, INK)
        x += round(self._font.getlength(text) + 0.3 * self._size)
        draw.rectangle((x, top, x + chip, top + chip), fill=RIGHT_COLOUR, outline=(226, 234, 255))
        write(0.38 * width, LABELS.get(GameMode(mode), "In play"), ALERT if mode else FAINT, "mm")
        if flags:
            self._draw_lasting(draw, flags)
        write(width - self._margin - self._suffix, " left", FAINT)
        return np.array(image)

    def _draw_lasting(self, draw: ImageDraw.ImageDraw, flags: bytes) -> None:
        """An arrow for the direction that is on, and the words for the rest."""
        names = sticky_names("full" if len(flags) > 10 else "default")
        on = [name for name, flag in zip(names, flags, strict=True) if flag]
        x, reach = 0.52 * self._layout.width, 0.34 * self._layout.bar
        if on and on[0] in DIRECTIONS:
            # The circle of the directions begins at the left and goes round clockwise.
            angle = math.pi + DIRECTIONS.index(on[0]) * math.pi / 4
            tip, tail = (x + math.cos(angle) * reach, x - math.cos(angle) * reach), math.sin(angle) * reach
            start, end = (tip[1], self._middle - tail), (tip[0], self._middle + tail)
            draw.line((*start, *end), fill=INK, width=max(1, round(0.1 * self._layout.bar)))
            wings = [
                (end[0] - math.cos(angle + turn) * reach, end[1] - math.sin(angle + turn) * reach)
                for turn in (0.5, -0.5)
            ]
            draw.polygon([end, *wings], fill=INK)
        words = [ABBREVIATED.get(name, name) for name in on if name not in DIRECTIONS]
        draw.text((x + 1.5 * reach, self._middle), " ".join(words), INK, font=self._font, anchor="lm")
