"""Levels: a position as a value, and the XSB text that people exchange levels in.

The text has one character a cell: ``#`` wall, space, ``-`` or ``_`` floor, ``.`` target, ``$`` box, ``*`` box on a
target, ``@`` player, ``+`` player on a target. Lines that start with ``;`` or ``::`` or hold a ``:`` are comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from lmmr1.envs.errors import UserError

from .rules import BOX, BOX_ON_TARGET, FLOOR, PLAYER, PLAYER_ON_TARGET, TARGET, WALL, Board

SYMBOLS = "# .*$@+"  # The character of each code, 0 to 6.
_CODES = {symbol: code for code, symbol in enumerate(SYMBOLS)} | {"-": FLOOR, "_": FLOOR}
_TARGETS = (TARGET, BOX_ON_TARGET, PLAYER_ON_TARGET)
_BOXES = (BOX, BOX_ON_TARGET)
_PLAYERS = (PLAYER, PLAYER_ON_TARGET)


class LevelError(UserError):
    """A text is not a level that can be played."""


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


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(";") or ":" in line


def parse_levels(text: str) -> list[Level]:
    """Reads all levels of a text; blank lines and comments stand between them.

    Raises:
        LevelError: A level cannot be played, or there is none; the message names the line.
    """
    levels: list[Level] = []
    block: list[str] = []
    for number, line in enumerate([*text.expandtabs().splitlines(), ""], start=1):
        if not _is_comment(line):
            block.append(line.rstrip())
        elif block:
            levels.append(_parse_block(block, number - len(block)))
            block = []
    if not levels:
        raise LevelError("no level found: draw one with # (wall), @ (player), $ (box) and . (target)")
    return levels


def parse_level(text: str) -> Level:
    """Reads a text that holds exactly one level.

    Raises:
        LevelError: The level cannot be played, or there is none or more than one.
    """
    levels = parse_levels(text)
    if len(levels) > 1:
        raise LevelError(f"{len(levels)} levels found where one was expected; leave no blank line inside a level")
    return levels[0]


def _parse_block(lines: list[str], first: int) -> Level:
    """Reads one level whose top row is line ``first`` of the text."""
    for row, line in enumerate(lines):
        for column, symbol in enumerate(line):
            if symbol not in _CODES:
                raise LevelError(
                    f"line {first + row}, column {column + 1}: {symbol!r} is no cell; "
                    "use # @ + $ * . - or a space, and start comments with ;"
                )
    rows, columns = len(lines), max(map(len, lines))
    cells = np.full((rows, columns), FLOOR, np.uint8)
    for row, line in enumerate(lines):
        cells[row, : len(line)] = [_CODES[symbol] for symbol in line]
    players = np.argwhere(cells >= PLAYER)
    if len(players) == 0:
        raise LevelError(f"line {first}: the level has no player; put one @ (or + on a target)")
    if len(players) > 1:
        line = first + int(players[1][0])
        raise LevelError(f"line {line}: the level has a second player; keep one @ (or + on a target)")
    boxes, targets = int(np.isin(cells, _BOXES).sum()), int(np.isin(cells, _TARGETS).sum())
    if boxes != targets:
        raise LevelError(f"line {first}: the level has boxes != targets ({boxes} and {targets}); make them equal")
    if boxes == 0:
        raise LevelError(f"line {first}: the level has no box; put at least one $ and one .")
    outside = _outside(cells)
    for row, column in np.argwhere(outside & (cells != FLOOR)):
        symbol = SYMBOLS[cells[row, column]]
        raise LevelError(
            f"line {first + int(row)}, column {int(column) + 1}: the room of this {symbol!r} is not closed; "
            "draw # all around it"
        )
    cells[outside] = WALL
    return from_codes(cells)


def _outside(cells: np.ndarray) -> np.ndarray:
    """Returns which cells can be reached from beyond the border without crossing a wall: bool, shape of ``cells``."""
    open_cells = np.pad(cells != WALL, 1, constant_values=True)
    reached = np.zeros_like(open_cells)
    stack = [(0, 0)]
    reached[0, 0] = True
    while stack:
        row, column = stack.pop()
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < reached.shape[0] and 0 <= c < reached.shape[1] and open_cells[r, c] and not reached[r, c]:
                reached[r, c] = True
                stack.append((r, c))
    return reached[1:-1, 1:-1]
