"""Exact answers about a position: how many moves are left, which moves are best, whether it is lost.

With one box a table of all positions of the room is computed once, backwards from the solved ones. With several boxes
the search of `optimal.py` looks for the solution with the fewest moves, up to a limit of positions; beyond it the
answer is "unknown" (None), never a guess. What lies on a solution that was found is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from ..levels.level import Level
from ..rules import MOVES
from .optimal import LURD, NODE_LIMIT, RoomSearch, Status

DEAD = 1 << 30  # The distance of a position from which there is no solution.
_MAX_REMEMBERED, _MAX_TABLE_CELLS = 100_000, 400

Boxes = tuple[int, ...]
Position = tuple[int, Boxes]


@lru_cache(maxsize=16)
def _successors(walls: bytes, columns: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Returns, for one box: the free cells, the positions that exist, and where each move leads.

    A position is ``player * n + box`` with both counted among the n free cells. Shapes (n * n,) bool and (4, n * n).
    """
    free = [cell for cell, wall in enumerate(walls) if not wall]
    n = len(free)
    index = np.full(len(walls) + 1, -1, np.int64)
    index[free] = np.arange(n)
    cells = np.array(free)
    player, box = np.divmod(np.arange(n * n), n)
    after = np.empty((4, n * n), np.int64)
    for direction, step in enumerate((-columns, columns, -1, 1)):
        neighbour = index[cells + step]
        goal, behind = neighbour[player], neighbour[box]
        push = goal == box
        stuck = (goal < 0) | (push & (behind < 0))
        after[direction] = np.where(stuck, player, goal) * n + np.where(push & ~stuck, behind, box)
    return free, player != box, after


class Solver:
    """Knows the ways to the end in one room.

    Args:
        level: Any position of the room; only walls and targets matter.
        node_limit: With several boxes, the number of positions that one search may expand.
    """

    def __init__(self, level: Level, node_limit: int = NODE_LIMIT) -> None:
        self.node_limit = node_limit
        self._columns = level.columns
        self._walls = level.walls
        self._targets = level.targets
        self._steps = (-level.columns, level.columns, -1, 1)
        self._table: list[int] | None = None
        self._known: dict[Position, int] = {}
        self._distances: np.ndarray | None = None
        free = level.free_cells()
        if len(level.targets) == 1 and len(free) <= _MAX_TABLE_CELLS:
            self._index = {cell: i for i, cell in enumerate(free)}
            self._table = self.distance_table().tolist()
        else:
            self._room = RoomSearch(level)

    # ---- questions

    def distance(self, player: int, boxes: Boxes) -> int | None:
        """Returns the moves to go, `DEAD` when there is no solution, None when the search gave up.

        Args:
            player: Cell of the player.
            boxes: Cells of the boxes, in rising order.
        """
        known = self._remembered(player, boxes)
        return self._search(player, boxes) if known is None else known

    def estimate(self, player: int, boxes: Boxes) -> int:
        """Returns the moves to go where they are known, else the fewest pushes if boxes never were in each other's way.

        `DEAD` when there is no solution. A number that depends on the position alone, but for the search's limit.
        """
        distance = self.distance(player, boxes)
        return self._room.estimate(boxes) if distance is None else distance

    def moves_to_go(self, player: int, boxes: Boxes) -> int | None:
        """Returns the length of the shortest solution in moves; None when there is none or the search gave up."""
        distance = self.distance(player, boxes)
        return None if distance is None or distance >= DEAD else distance

    def is_dead(self, player: int, boxes: Boxes) -> bool | None:
        """Returns whether no solution exists; None when the search gave up."""
        distance = self.distance(player, boxes)
        return None if distance is None else distance >= DEAD

    def optimal_moves(self, player: int, boxes: Boxes) -> list[str]:
        """Returns the names of all moves that start a shortest solution, in the order of ``MOVES``.

        Empty when the position is solved, dead or unknown. With several boxes a move that starts another shortest
        solution is left out if its own search gives up.
        """
        to_go = self.moves_to_go(player, boxes)
        if not to_go:
            return []
        return [
            name
            for direction, name in enumerate(MOVES)
            if self.moves_to_go(*self._after(player, boxes, direction)) == to_go - 1
        ]

    def solve(self, player: int, boxes: Boxes) -> list[str] | None:
        """Returns a shortest solution as names of moves; None when there is none or the search gave up."""
        to_go = self.moves_to_go(player, boxes)
        if to_go is None:
            return None
        moves: list[str] = []
        while to_go:
            # Every position of a solution that was found is remembered, so the next one is always known.
            nexts = [self._after(player, boxes, direction) for direction in range(len(MOVES))]
            best = next(i for i, after in enumerate(nexts) if self._remembered(*after) == to_go - 1)
            moves.append(MOVES[best])
            player, boxes = nexts[best]
            to_go -= 1
        return moves

    def plan(self, player: int, boxes: Boxes) -> list[str]:
        """Returns a shortest solution that begins with the first of `optimal_moves`; empty when that is."""
        best = self.optimal_moves(player, boxes)
        if not best:
            return []
        return [best[0], *(self.solve(*self._after(player, boxes, MOVES.index(best[0]))) or ())]

    # ---- one box

    def distance_table(self) -> np.ndarray:
        """Returns the moves to go of every position of a room with one box; not to be written to.

        Shape (n * n,), dtype int64, index ``player * n + box`` among the n free cells in rising order; ``DEAD`` where
        there is no solution, and where player and box would share a cell.
        """
        if self._distances is None:
            self._distances = self._compute_distances()
        return self._distances

    def _compute_distances(self) -> np.ndarray:
        free, exists, after = _successors(self._walls, self._columns)
        n = len(free)
        distance = np.full(n * n, DEAD, np.int64)
        front = exists & (np.arange(n * n) % n == free.index(self._targets[0]))
        to_go = 0
        while front.any():
            distance[front] = to_go
            front = front[after].any(axis=0) & exists & (distance == DEAD)
            to_go += 1
        return distance

    # ---- any number of boxes

    def _remembered(self, player: int, boxes: Boxes) -> int | None:
        if self._table is not None:
            index = self._index
            return self._table[index[player] * len(index) + index[boxes[0]]]
        return 0 if boxes == self._targets else self._known.get((player, boxes))

    def _after(self, player: int, boxes: Boxes, direction: int) -> Position:
        step = self._steps[direction]
        goal = player + step
        if self._walls[goal]:
            return player, boxes
        if goal not in boxes:
            return goal, boxes
        if self._walls[goal + step] or goal + step in boxes:
            return player, boxes
        return goal, _moved(boxes, goal, goal + step)

    def _search(self, player: int, boxes: Boxes) -> int | None:
        """Searches from a position, and remembers every position of the solution."""
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        answer = self._room.solve(player, boxes, "moves", self.node_limit)
        if answer.status is Status.UNKNOWN:
            return None
        if answer.status is Status.UNSOLVABLE:
            self._known[player, boxes] = DEAD
            return DEAD
        position, length = (player, boxes), len(answer.solution)
        for made, letter in enumerate(answer.solution):
            self._known[position] = length - made
            position = self._after(*position, LURD.index(letter) % 4)
        return length


def _moved(boxes: Iterable[int], start: int, goal: int) -> Boxes:
    return tuple(sorted(goal if box == start else box for box in boxes))


def _make_solver(rows: int, columns: int, walls: bytes, targets: Boxes) -> Solver:
    return Solver(Level(rows, columns, walls, targets, targets, -1))


# Tables are small; what a search remembers can take tens of megabytes.
_solver_with_table = lru_cache(maxsize=256)(_make_solver)
_solver_with_search = lru_cache(maxsize=8)(_make_solver)


def solver_for(level: Level) -> Solver:
    """Returns the solver of the level's room; the latest rooms are kept."""
    make = _solver_with_table if len(level.targets) == 1 else _solver_with_search
    return make(level.rows, level.columns, level.walls, level.targets)


def moves_to_go(level: Level) -> int | None:
    """Returns the length of the shortest solution in moves; None when there is none or the search gave up."""
    return solver_for(level).moves_to_go(level.player, level.boxes)


def is_dead(level: Level) -> bool | None:
    """Returns whether no solution exists; None when the search gave up."""
    return solver_for(level).is_dead(level.player, level.boxes)


def optimal_moves(level: Level) -> list[str]:
    """Returns the names of all moves that start a shortest solution; empty when solved, dead or unknown."""
    return solver_for(level).optimal_moves(level.player, level.boxes)


def solve(level: Level) -> list[str] | None:
    """Returns a shortest solution as names of moves; None when there is none or the search gave up."""
    return solver_for(level).solve(level.player, level.boxes)
