"""A level: a position as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np

from lmmr1.envs.errors import UserError

from ..rules import BOX, BOX_ON_TARGET, FLOOR, PLAYER, PLAYER_ON_TARGET, TARGET, WALL, Board

SYMBOLS = "# .*$@+"  # The character of each code, 0 to 6.
_TARGETS = (TARGET, BOX_ON_TARGET, PLAYER_ON_TARGET)
_BOXES = (BOX, BOX_ON_TARGET)
_PLAYERS = (PLAYER, PLAYER_ON_TARGET)


@dataclass(frozen=True)
class Level:
    """A position. Cells are indices ``row * columns + column``; the border is all wall.

    Attributes:
        rows: Height in cells.
        columns: Width in cells.
        walls: One byte a cell, row by row, 1 for a wall.
        targets: Cells of the targets, in rising order.
        boxes: Cells of the boxes, in rising order, as many as targets.
        player: Cell of the player.
    """

    rows: int
    columns: int
    walls: bytes
    targets: tuple[int, ...]
    boxes: tuple[int, ...]
    player: int

    def codes(self) -> bytearray:
        """Returns the cells as codes 0 to 6, row by row."""
        cells = bytearray(WALL if wall else FLOOR for wall in self.walls)
        for cell in self.targets:
            cells[cell] = TARGET
        for cell in self.boxes:
            cells[cell] = BOX_ON_TARGET if cells[cell] == TARGET else BOX
        cells[self.player] = PLAYER_ON_TARGET if cells[self.player] == TARGET else PLAYER
        return cells

    @cached_property
    def start(self) -> tuple[bytes, int]:
        """The codes, and the number of targets without a box; kept, because levels are started from again and again."""
        return bytes(self.codes()), len(set(self.targets) - set(self.boxes))

    def grid(self) -> np.ndarray:
        """Returns the codes as an array: shape (rows, columns), dtype uint8."""
        return np.frombuffer(self.codes(), np.uint8).reshape(self.rows, self.columns)

    def board(self) -> Board:
        """Returns a board to play on."""
        return Board(self.codes(), self.columns)

    def to_xsb(self) -> str:
        """Returns the level as text, its canonical form: no trailing newline, every row of full width."""
        text = "".join(SYMBOLS[code] for code in self.codes())
        return "\n".join(text[i : i + self.columns] for i in range(0, len(text), self.columns))

    @property
    def is_solved(self) -> bool:
        """Whether every target is covered."""
        return self.boxes == self.targets

    @property
    def is_test(self) -> bool:
        """Whether the level is held out for testing: one in five, by the BLAKE2b hash of its canonical text."""
        digest = blake2b(self.to_xsb().encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % 5 == 0

    def position(self, cell: int) -> tuple[int, int]:
        """Returns row and column of a cell, both from 0."""
        return divmod(cell, self.columns)

    def free_cells(self) -> list[int]:
        """Returns all cells that are not wall, in rising order."""
        return [cell for cell, wall in enumerate(self.walls) if not wall]

    def with_position(self, player: int, boxes: Sequence[int]) -> Level:
        """Returns the same room with the player and the boxes elsewhere."""
        return replace(self, player=player, boxes=tuple(sorted(boxes)))

    def random_state(self, rng: np.random.Generator) -> Level:
        """Returns the same room with player and boxes on cells drawn at random.

        Any position is possible, also one without a solution; only a solved one is not.
        """
        free = self.free_cells()
        while True:
            chosen = rng.permutation(len(free))[: len(self.boxes) + 1].tolist()
            state = self.with_position(free[chosen[0]], [free[i] for i in chosen[1:]])
            if not state.is_solved:
                return state

    def padded(self, rows: int, columns: int) -> Level:
        """Returns the level with wall added below and to the right, up to the given size.

        Raises:
            UserError: The level is larger than that.
        """
        if (rows, columns) == (self.rows, self.columns):
            return self
        if self.rows > rows or self.columns > columns:
            raise UserError(f"a level of {self.rows} by {self.columns} cells does not fit into {rows} by {columns}")
        cells = np.zeros((rows, columns), np.uint8)
        cells[: self.rows, : self.columns] = self.grid()
        return from_codes(cells)


def from_codes(cells: np.ndarray) -> Level:
    """Makes a level of an array of codes.

    Args:
        cells: Shape (rows, columns), codes 0 to 6; the border must be wall. Nothing is checked.
    """
    rows, columns = cells.shape
    flat = cells.ravel().tolist()
    return Level(
        rows=rows,
        columns=columns,
        walls=bytes(code == WALL for code in flat),
        targets=tuple(i for i, code in enumerate(flat) if code in _TARGETS),
        boxes=tuple(i for i, code in enumerate(flat) if code in _BOXES),
        player=next(i for i, code in enumerate(flat) if code in _PLAYERS),
    )
