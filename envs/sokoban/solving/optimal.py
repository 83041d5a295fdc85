"""Optimal solutions, in pushes or in moves, of levels of any size; what was not found in time is called unknown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from threading import Lock
from typing import Any, Literal

import numpy as np

from lmmr1.envs.compiling.kernel import buffer
from lmmr1.envs.errors import UserError

from ..levels.level import Level

NODE_LIMIT = 200_000
METRICS = ("pushes", "moves")
LURD = "udlrUDLR"  # The letters of solutions, capitals for pushes: by direction up, down, left, right.
_SLICE = 4_000  # Positions expanded between two looks at the clock.
_FIRST_NODES, _FIRST_SLOTS, _LONGEST = 4_096, 8_192, {"pushes": 4_096, "moves": 16_384}
_LOCK = Lock()

Metric = Literal["pushes", "moves"]


class Status(str, Enum):
    """What a search found out. ``UNKNOWN``: it reached a limit first."""

    SOLVED = "solved"
    UNSOLVABLE = "unsolvable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """What the solver says about a position.

    Attributes:
        status: Whether there is a solution.
        metric: What the solution has fewest of, "pushes" or "moves".
        solution: Its moves as letters ``udlr``, capitals where a box is pushed; "" unless solved.
        expanded: Positions that the search looked at.
    """

    status: Status
    metric: str
    solution: str = ""
    expanded: int = 0

    @property
    def moves(self) -> int | None:
        """Number of moves of the solution, pushes among them; None unless solved."""
        return len(self.solution) if self.status is Status.SOLVED else None

    @property
    def pushes(self) -> int | None:
        """Number of pushes of the solution; None unless solved."""
        return sum(map(str.isupper, self.solution)) if self.status is Status.SOLVED else None


class _Space:
    """Memory that all searches of the process share, one at a time."""

    def __init__(self) -> None:
        self.nodes, self.table = _zeros(0), _zeros(0)
        self.chain, self.out = _zeros(_FIRST_NODES), _zeros(_FIRST_NODES)
        self.heads = {metric: _zeros(length) for metric, length in _LONGEST.items()}
        self.header, self.best = _zeros(8, np.int64), _zeros(256, np.int64)

    def require(self, nodes: int, slots: int) -> None:
        """Enlarges nodes and table, keeping what is in the nodes."""
        if len(self.nodes) < nodes:
            added = _zeros(max(nodes - len(self.nodes), len(self.nodes)))
            self.nodes = [*self.nodes, *added] if isinstance(added, list) else np.concatenate([self.nodes, added])
        if len(self.table) < slots:
            self.table = _zeros(slots)


def _zeros(length: int, dtype: Any = np.int32) -> Any:
    return buffer(np.zeros(length, dtype), dtype)


class RoomSearch:
    """Searches in one room: its walls and its targets are measured once.

    Args:
        level: Any position of the room.
    """

    _space: _Space | None = None

    def __init__(self, level: Level) -> None:
        from .ground import measure_pushes, number_cells

        count, self.boxes = level.rows * level.columns, len(level.targets)
        n = self.cells = count - sum(level.walls)
        # What is read most is unsigned and short, which spares the compiled code a test for each index.
        self._neighbours, self._queue = _carve(4 * n, n + 1, dtype=np.uint32)
        self._index, self._distance = _carve(count, self.boxes * n)
        self._dead, self._goal, self._holder, self._steps, self._seen, self._again = _carve(*[n + 1] * 6)
        self._at, self._after, self._frozen = _carve(*[self.boxes] * 3)
        number_cells(buffer(np.frombuffer(level.walls, np.uint8)), level.columns, count, self._index, self._neighbours)
        targets = [self._index[cell] for cell in level.targets]
        for cell in targets:
            self._goal[cell] = 1
        measure_pushes(n, self._neighbours, buffer(targets), self.boxes, self._distance, self._dead, self._queue)
        self._hashes = _hashes(-(-2 * n // 256) * 256)

    def estimate(self, boxes: Sequence[int]) -> int:
        """Returns a lower bound on the pushes to go."""
        from .ground import estimate

        at = buffer([self._index[box] for box in boxes])
        return int(estimate(self.cells, self.boxes, at, 0, self._distance, buffer(np.zeros(256))))

    def solve(
        self,
        player: int,
        boxes: Sequence[int],
        metric: Metric = "pushes",
        node_limit: int = NODE_LIMIT,
        time_limit: float | None = None,
    ) -> Answer:
        """Searches from one position.

        Args:
            player: Cell of the player.
            boxes: Cells of the boxes, in rising order.
            metric: What the solution is to have fewest of.
            node_limit: Positions to expand at most.
            time_limit: Seconds of wall clock; looked at every few thousand positions. None: no limit.
        """
        began = time.monotonic()
        with _LOCK:
            space = RoomSearch._space
            if space is None:
                space = RoomSearch._space = _Space()
            return self._solve(
                space, player, boxes, metric, node_limit, None if time_limit is None else began + time_limit
            )

    def _solve(
        self, space: _Space, player: int, boxes: Sequence[int], metric: Metric, node_limit: int, deadline: float | None
    ) -> Answer:
        from . import search

        width, by_moves = self.boxes + 6, int(metric == "moves")
        space.require(_FIRST_NODES * width, _FIRST_SLOTS)
        header, heads, n = space.header, space.heads[metric], self.cells
        header[search.SLOTS] = _FIRST_SLOTS
        start = buffer([*(self._index[box] for box in boxes), self._index[player]])
        search.begin_search(
            header, n, self.boxes, start, by_moves, self._neighbours, self._distance, self._hashes, space.nodes, heads,
            space.table, self._seen, self._again, self._queue, space.best,
        )  # fmt: skip
        out_of_time = False
        while header[search.STATUS] == search.RUNNING and header[search.EXPANDED] < node_limit:
            budget = min(_SLICE, node_limit - int(header[search.EXPANDED]))
            search.advance(
                header, budget, n, self.boxes, by_moves, self._neighbours, self._distance, self._dead, self._goal,
                self._hashes, space.nodes, heads, space.table, self._holder, self._steps, self._seen, self._again,
                self._queue, space.best, self._at, self._after, self._frozen,
            )  # fmt: skip
            if header[search.STATUS] == search.CROWDED:
                slots = 4 * int(header[search.SLOTS])
                space.require((slots // 2) * width, slots)
                for slot in range(slots) if isinstance(space.table, list) else ():
                    space.table[slot] = 0
                if not isinstance(space.table, list):
                    space.table[:slots] = 0
                search.rehash(header, n, self.boxes, self._hashes, space.nodes, space.table, slots)
                header[search.STATUS] = search.RUNNING
            if deadline is not None and time.monotonic() >= deadline:
                out_of_time = True
                break
        expanded = int(header[search.EXPANDED])
        if header[search.STATUS] == search.SOLVED:
            return Answer(Status.SOLVED, metric, self._trace(space, int(header[search.GOAL])), expanded)
        exhausted = header[search.STATUS] == search.UNSOLVABLE and not header[search.OVERFLOWED] and not out_of_time
        return Answer(Status.UNSOLVABLE if exhausted else Status.UNKNOWN, metric, "", expanded)

    def _trace(self, space: _Space, last: int) -> str:
        from .search import retrace

        while True:
            length = retrace(
                space.header, self.cells, self.boxes, last, space.nodes, self._neighbours, self._holder, self._steps,
                self._seen, self._queue, space.chain, space.out,
            )  # fmt: skip
            if length >= 0:
                return "".join([LURD[code] for code in np.asarray(space.out[:length]).tolist()])
            space.chain, space.out = _zeros(4 * len(space.chain)), _zeros(4 * len(space.out))


def _carve(*lengths: int, dtype: Any = np.int64) -> list[Any]:
    """Returns zeros for kernels, cut from one piece, which is quicker to have."""
    whole = buffer(np.zeros(sum(lengths), dtype), dtype)
    ends = list(accumulate(lengths))
    return [whole[end - length : end] for end, length in zip(ends, lengths, strict=True)]


@lru_cache(maxsize=64)
def _hashes(count: int) -> Any:
    """Fixed random numbers below 2^62, one for a box on each cell and one for the player."""
    return buffer(np.random.Generator(np.random.PCG64(7)).integers(1 << 62, size=count))


def solve_level(
    level: Level, metric: Metric = "pushes", node_limit: int = NODE_LIMIT, time_limit: float | None = None
) -> Answer:
    """Finds a solution with the fewest pushes, or the fewest moves.

    Args:
        level: The position.
        metric: "pushes" or "moves".
        node_limit: Positions to expand at most.
        time_limit: Seconds of wall clock, or None.

    Returns:
        The answer; its status is `Status.UNKNOWN` when a limit came first.

    Raises:
        UserError: There is no such metric.
    """
    if metric not in METRICS:
        raise UserError(f"metric is {metric!r}; choose from {', '.join(METRICS)}")
    return RoomSearch(level).solve(level.player, level.boxes, metric, node_limit, time_limit)
