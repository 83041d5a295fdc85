"""Levels as text: what people exchange them in, read with care and written.

A level has one character a cell: ``#`` wall, space, ``-`` or ``_`` floor, ``.`` target, ``$`` box, ``*`` box on a
target, ``@`` player, ``+`` player on a target. That is XSB, Boxoban's files (each level below a line ``; number``) and
SOK (titles, remarks and solutions between the levels, and rows that may be run-length encoded, ``3#|#2-`` for ``###``
over ``#--``). Levels end at a blank line, at a line that starts with ``;`` or ``::`` or holds a ``:``, and at one with
letters and no ``#``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lmmr1.envs.errors import UserError

from ..rules import BOX, BOX_ON_TARGET, FLOOR, PLAYER, PLAYER_ON_TARGET, TARGET, WALL
from .level import SYMBOLS, Level, from_codes

MAX_SIDE = 100  # Rows, or columns, of a level.
FORMATS = ("xsb", "boxoban", "sok")
SUFFIXES = (".txt", ".xsb", ".sok", ".slc")
_CODES = {symbol: code for code, symbol in enumerate(SYMBOLS)} | {"-": FLOOR, "_": FLOOR}
_TARGETS = (TARGET, BOX_ON_TARGET, PLAYER_ON_TARGET)
_BOXES = (BOX, BOX_ON_TARGET)
_PACKED = re.compile(r"[-_#.*$@+ 0-9|]*[0-9|][-_#.*$@+ 0-9|]*")
_RUN = re.compile(r"([0-9]+)([^0-9|])")
_PROSE = re.compile(r"[A-Za-z]")


class LevelError(UserError):
    """A text is not a level that can be played."""


def parse_levels(text: str) -> list[Level]:
    """Reads all levels of a text.

    Raises:
        LevelError: A level cannot be played, or there is none; the message names the level and the line.
    """
    return [level for _, level in _locate(text)]


def _locate(text: str) -> list[tuple[str, Level]]:
    """Reads all levels of a text, each with the words for its place."""
    levels: list[tuple[str, Level]] = []
    block: list[str] = []
    for number, line in enumerate([*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""], start=1):
        if not _ends_level(line):
            block.append(line.expandtabs().rstrip())
            if len(block) > MAX_SIDE:
                raise LevelError(_too_large(_place(len(levels) + 1, number), "high"))
        elif block:
            first, count = number - len(block), len(levels) + 1
            levels.append((_place(count, first), _parse_block(block, first, count)))
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


def read_levels(source: str | os.PathLike[str]) -> list[Level]:
    """Reads levels from a text, a file, or all level files of a folder in the order of their names.

    Args:
        source: The text itself (anything with a line break), or a path; files of a folder end in `SUFFIXES`.

    Raises:
        UserError: There is no such file, it is not text, or a level of it cannot be played; the message names the file.
    """
    return [level for _, level in locate_levels(source)]


def locate_levels(source: str | os.PathLike[str]) -> list[tuple[str, Level]]:
    """Reads levels like `read_levels`, each with the words for its place, such as "level 2, line 14".

    Raises:
        UserError: As there.
    """
    text = os.fspath(source)
    if "\n" in text or not text.strip():
        return _locate(text)
    path = Path(text)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise UserError(f"levels: the folder {text!r} holds no level file; they end in {', '.join(SUFFIXES)}")
        return [level for file in files for level in _read_file(file)]
    if not path.is_file():
        raise UserError(f"levels: there is no file {text!r}; give the path of a level file, or the text itself")
    return _read_file(path)


def write_levels(levels: Iterable[Level], format: str = "xsb") -> str:
    """Writes levels as text that `parse_levels` reads back to the same levels.

    Args:
        levels: The levels.
        format: "xsb" (a blank line between levels), "boxoban" (each below ``; number`` from 0) or "sok" (each below
            ``Level number`` from 1, floor as ``-``).

    Raises:
        UserError: There is no such format.
    """
    if format not in FORMATS:
        raise UserError(f"format is {format!r}; choose from {', '.join(FORMATS)}")
    texts = [level.to_xsb() for level in levels]
    if format == "boxoban":
        return "".join(f"; {number}\n{text}\n\n" for number, text in enumerate(texts))
    if format == "sok":
        return "".join(f"Level {number}\n\n{text.replace(' ', '-')}\n\n" for number, text in enumerate(texts, start=1))
    return "\n\n".join(texts) + "\n"


def _read_file(path: Path) -> list[tuple[str, Level]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LevelError(
            f"levels: {str(path)!r} is not a text file (byte {error.start} is no UTF-8); give XSB, Boxoban or SOK text"
        ) from error
    try:
        return [(f"{str(path)!r}: {place}", level) for place, level in _locate(text)]
    except LevelError as error:
        raise LevelError(f"levels: {str(path)!r}: {error}") from error


def _ends_level(line: str) -> bool:
    return (
        not line.strip()
        or line.lstrip().startswith(";")
        or ":" in line
        or ("#" not in line and _PROSE.search(line) is not None)
    )


def _place(level: int, line: int, column: int | None = None) -> str:
    return f"level {level}, line {line}" + ("" if column is None else f", column {column}")


def _too_large(place: str, side: str) -> str:
    return f"{place}: the level is more than {MAX_SIDE} cells {side}; cut it down, or end it with a blank line"


def _unpack(lines: list[str]) -> list[str]:
    """Undoes the run-length encoding, where there is any."""
    if not any(_PACKED.fullmatch(line) for line in lines):
        return lines
    rows: list[str] = []
    for line in lines:
        plain = _RUN.sub(lambda run: run[2] * min(int(run[1][:6]), MAX_SIDE + 1), line)
        rows += plain.split("|")
    return [row.rstrip() for row in rows]


def _parse_block(lines: list[str], first: int, level: int) -> Level:
    """Reads one level whose top row is line ``first`` of the text."""
    rows = _unpack(lines)
    packed = rows is not lines

    def line_of(row: int) -> int:
        return first if packed else first + row

    if len(rows) > MAX_SIDE:
        raise LevelError(_too_large(_place(level, first), "high"))
    for row, line in enumerate(rows):
        if len(line) > MAX_SIDE:
            raise LevelError(_too_large(_place(level, line_of(row)), "wide"))
        for column, symbol in enumerate(line):
            if symbol not in _CODES:
                raise LevelError(
                    f"{_place(level, line_of(row), column + 1)}: {symbol!r} is no cell; "
                    "use # @ + $ * . - or a space, and start comments with ;"
                )
    cells = np.full((len(rows), max(map(len, rows))), FLOOR, np.uint8)
    for row, line in enumerate(rows):
        cells[row, : len(line)] = [_CODES[symbol] for symbol in line]
    players = np.argwhere(cells >= PLAYER)
    where = _place(level, first)
    if len(players) == 0:
        raise LevelError(f"{where}: the level has no player; put one @ (or + on a target)")
    if len(players) > 1:
        second = _place(level, line_of(int(players[1][0])))
        raise LevelError(f"{second}: the level has a second player; keep one @ (or + on a target)")
    boxes, targets = int(np.isin(cells, _BOXES).sum()), int(np.isin(cells, _TARGETS).sum())
    if boxes != targets:
        raise LevelError(f"{where}: the level has boxes != targets ({boxes} and {targets}); make them equal")
    if boxes == 0:
        raise LevelError(f"{where}: the level has no box; put at least one $ and one .")
    outside = _outside(cells)
    for row, column in np.argwhere(outside & (cells != FLOOR)):
        symbol = SYMBOLS[cells[row, column]]
        raise LevelError(
            f"{_place(level, line_of(int(row)), int(column) + 1)}: the room of this {symbol!r} is not closed; "
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
