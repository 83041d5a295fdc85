"""Two engines that play many boards: one of NumPy alone, and one compiled by Numba. They do the same, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..levels.level import Level
from ..rules import BLOCKED, PUSHED, SOLVED, WALKED
from .boards import DISABLED, SAME_STEP, Boards, Rules


class Engine(Protocol):
    """Plays the boards in ``memory``."""

    memory: Boards

    def load(self, which: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> None:
        """Begins an episode on some boards: codes of shape (k, cells), player's cell and targets left, (k, 2)."""
        ...

    def step(self, actions: np.ndarray, rewards: np.ndarray, marks: np.ndarray) -> int:
        """Plays an action on every board, and writes float64 rewards, (N,), and the bool `MARKS`, (6, N).

        Returns:
            In the mode `SAME_STEP` the number of boards in ``memory.ended``. Below 0, and nothing was played: -1 - i
            when there is no such action on board i, -1 - N - i when that board is over (`DISABLED`).
        """
        ...

    def resume(self, which: np.ndarray) -> None:
        """Marks some boards as not over; for boards that were loaded after the step that ended them."""
        ...


class NumPyEngine:
    """Array by array, with no more than NumPy."""

    def __init__(self, num_envs: int, rules: Rules, levels: Sequence[Level] | None) -> None:
        self.memory = Boards(num_envs, rules, levels)
        self._player = np.zeros(num_envs, np.int64)
        self._left = np.zeros(num_envs, np.int64)
        self._taken = np.zeros(num_envs, np.int64)
        self._over = np.zeros(num_envs, np.bool_)
        self._bases = self.memory.pad + self.memory.cells * np.arange(num_envs)

    def load(self, which: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> None:
        """Begins an episode on some boards."""
        self.memory.set_up(which, codes)
        self._player[which], self._left[which] = starts[:, 0], starts[:, 1]
        self._taken[which] = 0

    def resume(self, which: np.ndarray) -> None:
        """Marks some boards as not over."""
        self._over[which] = False

    def step(self, actions: np.ndarray, rewards: np.ndarray, marks: np.ndarray) -> int:
        """Plays an action on every board."""
        memory, mode = self.memory, self.memory.rules.mode
        plays = memory.plays
        if actions.min() < 0 or actions.max() >= len(plays):
            return -1 - int(np.flatnonzero((actions < 0) | (actions >= len(plays)))[0])
        over = np.flatnonzero(self._over)
        if mode == DISABLED and len(over):
            return -1 - len(self._over) - int(over[0])
        delta, begin = plays[actions, 0], plays[actions, 1]
        if len(over):
            self._restart(over)
            delta[over], begin[over] = 0, 128  # they wait: that changes nothing
        flat = memory.flat
        start = self._bases + self._player
        ahead = start + delta
        behind = ahead + delta
        entry = memory.lut[begin + 8 * flat[ahead].astype(np.int64) + flat[behind]]
        kind = (entry >> 6) & 7
        moved = np.flatnonzero(kind >= WALKED)
        pushed = moved[kind[moved] > WALKED]
        flat[start[moved]] -= 4
        flat[ahead[moved]] = entry[moved] & 7
        flat[behind[pushed]] = (entry[pushed] >> 3) & 7
        self._player[moved] += delta[moved]
        self._left[pushed] -= kind[pushed].astype(np.int64) - PUSHED
        self._taken += 1
        if memory.pictures is not None:
            self._draw(np.concatenate([start[moved], ahead[moved], behind[pushed]]))
        won = pushed[self._left[pushed] == 0]
        kind[won] = SOLVED
        np.take(memory.pays, kind, out=rewards)
        np.equal(kind, SOLVED, out=marks[0])
        np.greater_equal(self._taken, memory.rules.max_steps, out=marks[1])
        marks[1] &= ~marks[0]
        marks[2] = marks[0]
        np.greater_equal(kind, WALKED, out=marks[3])
        np.greater(kind, WALKED, out=marks[4])
        np.equal(kind, BLOCKED, out=marks[5])
        if len(over):
            rewards[over] = 0.0
            marks[:, over] = False
            self._taken[over] = 0
            self._over[over] = False
        ended = np.flatnonzero(marks[0] | marks[1])
        if mode != SAME_STEP:
            self._over[ended] = True
            return 0
        count = len(ended)
        memory.ended[0, :count], memory.ended[1, :count] = ended, kind[ended]
        if count:
            memory.finals[:count] = memory.boards[ended].reshape(count, -1)
            marks[2:, ended] = False
            self._restart(ended)
        return count

    def _restart(self, which: np.ndarray) -> None:
        memory = self.memory
        if len(memory.pool):
            chosen = memory.choose(which)
            self.load(which, memory.pool[chosen], memory.starts[chosen])

    def _draw(self, cells: np.ndarray) -> None:
        memory = self.memory
        board, cell = np.divmod(cells - memory.pad, memory.cells)
        row, column = np.divmod(cell, memory.rules.columns)
        memory.places[board, row, column] = memory.tiles[memory.flat[cells]]


class NumbaEngine:
    """Board by board, compiled. Needs Numba."""

    def __init__(self, num_envs: int, rules: Rules, levels: Sequence[Level] | None) -> None:
        from .kernels import step_boards

        self._step = step_boards
        self.memory = memory = Boards(num_envs, rules, levels)
        self._state = np.zeros(num_envs, np.uint64)
        self._plays = np.ascontiguousarray(memory.plays.T.astype(np.uint64))
        self._starts = _pack(memory.starts)
        self._pool = memory.pool.ravel()
        self._finals = memory.finals.reshape(-1)
        # Pictures are written in words of eight bytes where a row of a tile is made of them.
        pictures = memory.pictures if memory.pictures is not None else np.zeros((0, 0, 0, 3), np.uint8)
        size = memory.tiles.shape[1] if memory.pictures is not None else 0
        wide = size % 8 == 0 and size > 0
        dtype, per_unit = (np.uint64, 8) if wide else (np.uint8, 1)
        self._image = pictures.reshape(-1).view(dtype)
        self._tiles = memory.tiles.copy().reshape(-1).view(dtype)
        units = 3 * size // per_unit
        line = 3 * size * rules.columns // per_unit
        self._sizes = np.array(
            [
                memory.pad,
                memory.cells,
                rules.max_steps,
                rules.mode,
                rules.columns,
                units,
                size,
                line,
                line * size * rules.rows,
            ],
            np.uint64,
        )

    def load(self, which: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> None:
        """Begins an episode on some boards."""
        self.memory.set_up(which, codes)
        self._state[which] = (self._state[which] & np.uint64(1 << 63)) | _pack(starts)

    def resume(self, which: np.ndarray) -> None:
        """Marks some boards as not over."""
        self._state[which] &= np.uint64((1 << 63) - 1)

    def step(self, actions: np.ndarray, rewards: np.ndarray, marks: np.ndarray) -> int:
        """Plays an action on every board."""
        memory = self.memory
        return self._step(
            actions, self._state, memory.flat, self._plays, memory.lut, memory.pays, self._pool, self._starts,
            memory.streams, rewards, marks, self._image, self._tiles, memory.ended, self._finals, self._sizes,
        )  # fmt: skip


def _pack(starts: np.ndarray) -> np.ndarray:
    return (starts[:, 0] | starts[:, 1] << 16).astype(np.uint64)
