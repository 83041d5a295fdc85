"""The rules: a board of byte codes, moves and pushes on it, and what they pay."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

from lmmr1.envs.errors import UserError

WALL, FLOOR, TARGET, BOX_ON_TARGET, BOX, PLAYER, PLAYER_ON_TARGET = range(7)

MOVES = ("Up", "Down", "Left", "Right")
LOST_MOVES = 200  # The moves to go that the shaping potential gives a position without a solution.


class Outcome(NamedTuple):
    """What one action did: did the player move, did a box, and by how much the number of covered targets changed."""

    moved: bool
    pushed: bool
    covered: int


NOTHING = Outcome(False, False, 0)
_WALKED = Outcome(True, False, 0)
_PUSHED = {change: Outcome(True, True, change) for change in (-1, 0, 1)}

# What a cell becomes when the player or a box comes or leaves.
_PLAYER_COMES = bytes((WALL, PLAYER, PLAYER_ON_TARGET, PLAYER_ON_TARGET, PLAYER, PLAYER, PLAYER_ON_TARGET))
_PLAYER_LEAVES = bytes((WALL, FLOOR, TARGET, BOX_ON_TARGET, BOX, FLOOR, TARGET))


class Board:
    """A position that moves are played on.

    Attributes:
        cells: Codes of the cells, row by row: 0 wall, 1 floor, 2 target, 3 box on a target, 4 box, 5 player, 6 player
            on a target. The border must be wall.
        columns: Cells in a row.
        player: Index of the player's cell.
        uncovered: Number of targets without a box; the position is solved when it is 0.
    """

    __slots__ = ("cells", "columns", "player", "uncovered", "steps")

    def __init__(self, cells: bytes | bytearray, columns: int) -> None:
        self.cells = bytearray(cells)
        self.columns = columns
        self.player = next(i for i, code in enumerate(cells) if code >= PLAYER)
        self.uncovered = self.cells.count(TARGET) + self.cells.count(PLAYER_ON_TARGET)
        self.steps = (-columns, columns, -1, 1)

    def move(self, direction: int, push: bool = True) -> Outcome:
        """Moves the player up (0), down (1), left (2) or right (3).

        A box in the way is pushed if the cell behind it is free and ``push`` is true; otherwise nothing happens.
        """
        cells = self.cells
        start = self.player
        step = self.steps[direction]
        goal = start + step
        there = cells[goal]
        if there == FLOOR or there == TARGET:
            cells[start] = _PLAYER_LEAVES[cells[start]]
            cells[goal] = _PLAYER_COMES[there]
            self.player = goal
            return _WALKED
        if there == WALL or not push:
            return NOTHING
        behind = cells[goal + step]
        if behind == FLOOR:
            cells[goal + step] = BOX
            change = -1 if there == BOX_ON_TARGET else 0
        elif behind == TARGET:
            cells[goal + step] = BOX_ON_TARGET
            change = 0 if there == BOX_ON_TARGET else 1
        else:
            return NOTHING
        cells[start] = _PLAYER_LEAVES[cells[start]]
        cells[goal] = _PLAYER_COMES[there]
        self.player = goal
        self.uncovered -= change
        return _PUSHED[change]

    def boxes(self) -> tuple[int, ...]:
        """Returns the indices of the boxes' cells, in rising order."""
        return tuple(i for i, code in enumerate(self.cells) if code == BOX or code == BOX_ON_TARGET)

    @property
    def solved(self) -> bool:
        """Whether every target is covered."""
        return self.uncovered == 0


# The kinds of step, by what they pay. Whatever is above `BLOCKED` moved the player, above `WALKED` a box too.
STOOD, BLOCKED, WALKED, UNCOVERED, PUSHED, COVERED, SOLVED = range(7)
KEEP = 255  # In a transition: the cell behind stays what it is.


@lru_cache(maxsize=2)
def transitions(push: bool) -> tuple[tuple[int, int, int] | None, ...]:
    """Tabulates a move by the two cells ahead, played out on a `Board`.

    Args:
        push: Whether the move may push a box.

    Returns:
        At ``8 * ahead + behind`` for codes 0 to 6: what the two cells become (`KEEP`: no change) and the kind of step;
        None where nothing moves. A player code ahead cannot be.
    """
    table: list[tuple[int, int, int] | None] = [None] * 64
    for ahead in range(PLAYER):
        for behind in range(PLAYER):
            board = Board(bytes((WALL, PLAYER, ahead, behind, WALL, TARGET)), 6)
            outcome = board.move(MOVES.index("Right"), push)
            if outcome.moved:
                kind = PUSHED + outcome.covered if outcome.pushed else WALKED
                table[8 * ahead + behind] = (board.cells[2], board.cells[3] if outcome.pushed else KEEP, kind)
    return tuple(table)


@dataclass(frozen=True)
class RewardTerms:
    """What a step pays; the terms that apply are added up.

    Attributes:
        step: Every step.
        box_on_target: The number of covered targets rises.
        box_off_target: It falls.
        solved: The last target is covered.
        closer: Times the decrease of the shortest way to the end, in moves (negative when it grows). Between two
            positions of which one has no known way to the end it pays nothing.
        dead: Once, on entering a position from which no solution exists.
        blocked: The player tried to move and nothing changed.
        potential: Times ``discount * potential of the position after - potential of the one before``, the potential
            being minus the moves to go (the shaping that leaves every best policy best: Ng, Harada and Russell, 1999,
            https://people.eecs.berkeley.edu/~pabbeel/cs287-fa09/readings/NgHaradaRussell-shaping-ICML1999.pdf).
            A lost position counts as `LOST_MOVES` moves to go, a solved one as none.
        discount: The discount of that difference; give the one that you train with.
    """

    step: float = -0.1
    box_on_target: float = 1.0
    box_off_target: float = -1.0
    solved: float = 10.0
    closer: float = 0.0
    dead: float = 0.0
    blocked: float = 0.0
    potential: float = 0.0
    discount: float = 1.0

    @property
    def needs_solver(self) -> bool:
        """Whether paying takes knowing the way to the end."""
        return self.closer != 0 or self.dead != 0 or self.potential != 0

    def by_kind(self) -> tuple[float, ...]:
        """Returns what each kind of step pays (`STOOD` to `SOLVED`), what the solver is needed for left out."""
        covered = self.step + self.box_on_target
        return (
            self.step,
            self.step + self.blocked,
            self.step,
            self.step + self.box_off_target,
            self.step,
            covered,
            covered + self.solved,
        )

    @classmethod
    def from_mapping(cls, terms: Mapping[str, float]) -> RewardTerms:
        """Builds the terms from names and numbers; what is not named keeps its default.

        Raises:
            UserError: A name is unknown or a value is not a finite number.
        """
        names = [field.name for field in fields(cls)]
        for name, value in terms.items():
            if name not in names:
                close = difflib.get_close_matches(str(name), names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"
                raise UserError(f"rewards: unknown term {name!r}; {hint}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"rewards: {name} is {value!r}; give a finite number")
        return cls(**{name: float(value) for name, value in terms.items()})
