"""What an environment shows: the board as codes, as a picture that is changed where the board did, or as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space

from lmmr1.envs.spaces import Utterance

from .pictures.text import TEXT_FORMATS, write_grid
from .pictures.tiles import load_palette, load_tiles
from .rules import PLAYER_ON_TARGET

OBSERVATIONS = ("rgb", "tiny_rgb", "grid", "text")


def observation_space(observation: str, rows: int, columns: int, tile_size: int, text_format: str) -> Space[Any]:
    """Returns the space of one kind of observation."""
    if observation == "grid":
        return Box(0, PLAYER_ON_TARGET, (rows, columns), np.uint8)
    if observation == "text":
        return Utterance(rows * (columns * max(map(len, TEXT_FORMATS[text_format])) + 1))
    size = 1 if observation == "tiny_rgb" else tile_size
    return Box(0, 255, (rows * size, columns * size, 3), np.uint8)


class Screen:
    """The picture of one board, drawn where it changed.

    Args:
        tiles: Of the codes 0 to 6, shape (7, size, size, 3), dtype uint8.
        rows: Rows of the board.
        columns: Columns of the board.
    """

    def __init__(self, tiles: np.ndarray, rows: int, columns: int) -> None:
        size = tiles.shape[1]
        self._tiles = list(tiles)
        self.picture = np.zeros((rows * size, columns * size, 3), np.uint8)
        split = self.picture.reshape(rows, size, columns, size, 3)
        self._places = [split[row, :, column] for row in range(rows) for column in range(columns)]
        self._drawn = bytearray(b"\xff" * (rows * columns))

    def draw(self, cells: bytearray) -> None:
        """Brings the picture up to the codes of the cells (more than the board's are not looked at)."""
        places, tiles = self._places, self._tiles
        for cell, drawn in enumerate(self._drawn):
            code = cells[cell]
            if code != drawn:
                places[cell][...] = tiles[code]
                self._drawn[cell] = code

    def draw_cells(self, codes: bytearray, start: int, ahead: int, behind: int) -> None:
        """Brings the three cells that a step can change up to the codes."""
        places, tiles, drawn = self._places, self._tiles, self._drawn
        code = drawn[start] = codes[start]
        places[start][...] = tiles[code]
        code = drawn[ahead] = codes[ahead]
        places[ahead][...] = tiles[code]
        code = codes[behind]
        if drawn[behind] != code:
            places[behind][...] = tiles[code]
            drawn[behind] = code


def make_screen(observation: str, rows: int, columns: int, tile_size: int) -> Screen | None:
    """Returns the screen of a picture observation, None for the other kinds."""
    if observation not in ("rgb", "tiny_rgb"):
        return None
    return Screen(load_palette() if observation == "tiny_rgb" else load_tiles(tile_size), rows, columns)


def make_observer(
    observation: str, board: np.ndarray, screen: Screen | None, text_format: str
) -> Callable[[], np.ndarray | str]:
    """Returns what makes the observation: a copy, or a text.

    Args:
        observation: One of `OBSERVATIONS`.
        board: The codes, shape (rows, columns); written to by the environment.
        screen: The screen, for pictures.
        text_format: A key of `TEXT_FORMATS`.
    """
    if screen is not None:
        return screen.picture.copy
    if observation == "grid":
        return board.copy
    return lambda: write_grid(board, text_format)
