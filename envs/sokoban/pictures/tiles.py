"""Pictures of a board: tiles drawn once per size, put together by indexing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from lmmr1.envs.errors import UserError

from ..rules import BOX, BOX_ON_TARGET, PLAYER, PLAYER_ON_TARGET, TARGET, WALL

MIN_TILE_SIZE = 8
GROUND = (127, 127, 127)  # mid-gray: what stands on the floor is then all that differs from 0 after normalisation
BRICK, JOINT = (90, 60, 50), (60, 40, 30)
RED, BLUE = (220, 40, 40), (40, 80, 200)
WOOD, GREEN, FRAME = (200, 150, 60), (60, 180, 60), (70, 50, 20)

# A pixel a cell, in gym-sokoban's colours: wall, floor, target, box on a target, box, player, player on a target.
TINY_COLOURS = (
    (0, 0, 0),
    (243, 248, 238),
    (254, 126, 125),
    (254, 95, 56),
    (142, 121, 56),
    (160, 212, 56),
    (219, 212, 56),
)


def check_tile_size(tile_size: int) -> int:
    """Returns the size of a tile.

    Raises:
        UserError: It is not an integer of at least 8.
    """
    if isinstance(tile_size, bool) or not isinstance(tile_size, int) or tile_size < MIN_TILE_SIZE:
        raise UserError(f"tile_size is {tile_size!r}; give the pixels of a cell, at least {MIN_TILE_SIZE}")
    return tile_size


def _draw_tile(code: int, size: int) -> np.ndarray:
    image = Image.new("RGB", (size, size), GROUND)
    draw = ImageDraw.Draw(image)
    last = size - 1
    if code == WALL:
        joint = max(1, size // 14)
        draw.rectangle((0, 0, last, last), fill=BRICK)
        draw.line((0, last // 2, last, last // 2), fill=JOINT, width=joint)
        draw.line((0, last, last, last), fill=JOINT, width=joint)
        draw.line((last // 3, 0, last // 3, last // 2), fill=JOINT, width=joint)
        draw.line((2 * last // 3, last // 2, 2 * last // 3, last), fill=JOINT, width=joint)
    if code in (TARGET, PLAYER_ON_TARGET):
        # Under a player the dot is wider than the figure, so that it shows on both sides.
        inset = 0.28 if code == TARGET else 0.08
        draw.ellipse((last * inset, last * inset, last * (1 - inset), last * (1 - inset)), fill=RED)
    if code in (BOX, BOX_ON_TARGET):
        frame = max(1, size // 12)
        draw.rectangle((1, 1, last - 1, last - 1), fill=WOOD if code == BOX else GREEN, outline=FRAME, width=frame)
        draw.line((2, 2, last - 2, last - 2), fill=FRAME, width=1 if size < 24 else frame)
    if code in (PLAYER, PLAYER_ON_TARGET):
        draw.rectangle((round(last * 0.28), round(last * 0.5), round(last * 0.72), last - 1), fill=BLUE)
        draw.ellipse((round(last * 0.36), 1, last - round(last * 0.36), round(last * 0.5)), fill=BLUE)
    return np.array(image)


@lru_cache(maxsize=16)
def load_tiles(tile_size: int) -> np.ndarray:
    """Returns the tiles of the codes 0 to 6: shape (7, tile_size, tile_size, 3), dtype uint8, read-only."""
    tiles = np.stack([_draw_tile(code, tile_size) for code in range(PLAYER_ON_TARGET + 1)])
    tiles.setflags(write=False)
    return tiles


@lru_cache(maxsize=1)
def load_palette() -> np.ndarray:
    """Returns the pixels of ``tiny_rgb`` as tiles: shape (7, 1, 1, 3), dtype uint8, read-only."""
    palette = np.array(TINY_COLOURS, np.uint8).reshape(-1, 1, 1, 3)
    palette.setflags(write=False)
    return palette


def render(grid: np.ndarray, tile_size: int = 16) -> np.ndarray:
    """Draws a board.

    Args:
        grid: Codes 0 to 6, shape (rows, columns), dtype uint8.
        tile_size: Pixels of a cell, at least 8.

    Returns:
        A new picture: shape (rows * tile_size, columns * tile_size, 3), dtype uint8.
    """
    rows, columns = grid.shape
    picture = load_tiles(tile_size)[grid].transpose(0, 2, 1, 3, 4)
    return picture.reshape(rows * tile_size, columns * tile_size, 3)
