"""What the engines have in common: the memory of many boards, tables for their steps, pictures that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..levels.level import Level
from ..pictures.tiles import load_palette, load_tiles
from ..play import plays_of
from ..rules import BLOCKED, COVERED, KEEP, STOOD, UNCOVERED, WALKED, RewardTerms, transitions

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MARKS = ("terminated", "truncated", "success", "moved", "pushed", "blocked")
NEXT_STEP, SAME_STEP, DISABLED = range(3)


@dataclass(frozen=True)
class Rules:
    """What all boards of an engine are played by.

    Attributes:
        rows: Rows of a board.
        columns: Columns of a board.
        max_steps: Steps after which an episode is truncated.
        action_set: A key of `ACTION_SETS`.
        rewards: What a step pays.
        observation: "grid", "rgb" or "tiny_rgb".
        tile_size: Pixels of a cell of "rgb".
        mode: `NEXT_STEP`, `SAME_STEP` or `DISABLED`.
    """

    rows: int
    columns: int
    max_steps: int
    action_set: str
    rewards: RewardTerms
    observation: str
    tile_size: int
    mode: int


def tabulate(rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tables of a step.

    Returns:
        For each action the cells it goes on and where its part of the other table begins, int64, shape (A, 2); and by
        ``begin + 8 * ahead + behind``, uint32: what is ahead then (3 bits), behind (3), the kind of step (3),
        whether the player moves (1), and by how much the number of targets left changes, plus one (2).
    """
    entries: list[int] = []
    for push in (True, False, None):
        table = (None,) * 64 if push is None else transitions(push)
        for index, change in enumerate(table):
            there, behind, kind = index >> 3, index & 7, STOOD if push is None else BLOCKED
            if change is not None:
                there, behind, kind = change[0], behind if change[1] == KEEP else change[1], change[2]
            left = 1 + (kind == UNCOVERED) - (kind == COVERED)
            entries.append(there | behind << 3 | kind << 6 | (kind >= WALKED) << 9 | left << 10)
    begins = {None: 128, True: 0, False: 64}
    plays = []
    for step, table, kind in plays_of(rules.action_set, rules.columns).values():
        plays.append((step, begins[None if kind == STOOD else table == transitions(True)]))
    return np.array(plays, np.int64), np.array(entries, np.uint32)


class Boards:
    """The memory of many boards.

    Attributes:
        flat: uint8, the boards one after the other, two rows of padding at both ends.
        boards: The same as codes, shape (N, rows, columns).
        pictures: Kept in step with the boards, shape (N, height, width, 3), dtype uint8; None for grids.
        tiles: Of the codes, shape (7, size, size, 3).
        pool: The codes of the levels to start from, shape (M, cells); M is 0 where levels are made anew.
        starts: Player's cell and targets left of those, int64, shape (M, 2).
        streams: What the next level of each board is chosen by (`ListFeed`), uint64, shape (N,).

    Args:
        num_envs: N.
        rules: What they are played by.
        levels: The levels to start from, or None.
    """

    def __init__(self, num_envs: int, rules: Rules, levels: Sequence[Level] | None) -> None:
        self.num_envs, self.rules = num_envs, rules
        self.cells = rules.rows * rules.columns
        self.pad = 2 * rules.columns
        self.flat = np.zeros(num_envs * self.cells + 2 * self.pad, np.uint8)
        self.boards = self.flat[self.pad : -self.pad].reshape(num_envs, rules.rows, rules.columns)
        self.plays, self.lut = tabulate(rules)
        self.pays = np.array(rules.rewards.by_kind())
        self.pool, self.starts = pack_levels(levels or (), self.cells)
        self.streams = np.zeros(num_envs, np.uint64)
        self.tiles, self.pictures = load_palette(), None
        if rules.observation != "grid":
            if rules.observation == "rgb":
                self.tiles = load_tiles(rules.tile_size)
            size = self.tiles.shape[1]
            self.pictures = np.zeros((num_envs, rules.rows * size, rules.columns * size, 3), np.uint8)
            split = self.pictures.reshape(num_envs, rules.rows, size, rules.columns, size, 3)
            self.places = split.transpose(0, 1, 3, 2, 4, 5)
            self.places[...] = self.tiles[0]
        self.ended, self.finals = np.zeros((2, num_envs), np.int64), np.zeros((num_envs, self.cells), np.uint8)

    def choose(self, which: np.ndarray) -> np.ndarray:
        """Draws the next levels of some boards, as `ListFeed` does; returns their places in the pool."""
        state = self.streams[which] + _GOLDEN
        self.streams[which] = state
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
        return ((state >> np.uint64(32)) * np.uint64(len(self.pool))) >> np.uint64(32)

    def set_up(self, which: np.ndarray, codes: np.ndarray) -> None:
        """Writes the codes, shape (k, cells), into some boards and brings their pictures up to them."""
        shape = (len(which), self.rules.rows, self.rules.columns)
        codes = codes.reshape(shape)
        if self.pictures is not None:
            env, row, column = np.nonzero(codes != self.boards[which])
            self.places[which[env], row, column] = self.tiles[codes[env, row, column]]
        self.boards[which] = codes

    def observation_of(self, codes: np.ndarray) -> np.ndarray:
        """Returns what one board with these codes, shape (cells,), looks like."""
        grid = codes.reshape(self.rules.rows, self.rules.columns)
        if self.pictures is None:
            return grid.copy()
        return self.tiles[grid].transpose(0, 2, 1, 3, 4).reshape(self.pictures.shape[1:])

    def observe(self, copy: bool) -> Any:
        """Returns the observations, which go on changing unless they are copied."""
        seen = self.boards if self.pictures is None else self.pictures
        return seen.copy() if copy else seen


def pack_levels(levels: Sequence[Level], cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the codes of levels, uint8, shape (M, cells), and player's cell and targets left, int64, (M, 2)."""
    begun = [level.start for level in levels]
    codes = np.frombuffer(b"".join(codes for codes, _ in begun), np.uint8).reshape(len(begun), cells)
    starts = [(level.player, left) for level, (_, left) in zip(levels, begun, strict=True)]
    return codes.copy(), np.array(starts, np.int64).reshape(len(begun), 2)
