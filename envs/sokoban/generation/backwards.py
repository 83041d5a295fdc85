"""Levels of the backwards search: gym-sokoban's, RAGEN's and VAGEN's by seed, and fast ones."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from lmmr1.envs.compiling.kernel import buffer
from lmmr1.envs.errors import UserError

from ..levels.level import Level

# By name: RAGEN's switch of the search, the default of search_depth, positions explored at most.
METHODS = {
    "compat": (0, 300, 300_000),
    "ragen": (1, 300, 300_000),
    "vagen": (2, 100, 300_000),
    "fast": (0, 300, 2_000),
}
MAX_BOXES, MAX_CELLS, MAX_FAILURES = 6, 255, 10_000
_LOCK = Lock()
_SPACE: dict[int, list[Any]] = {}


@dataclass(frozen=True)
class Digging:
    """How rooms are dug and searched.

    Attributes:
        method: A key of `METHODS`.
        dim_room: Rows and columns, the border included.
        num_boxes: Boxes, and targets.
        num_gen_steps: Steps of the walk that digs; None for gym-sokoban's ``int(1.7 * (rows + columns))``.
        search_depth: Longest line of play of the search; None for the method's own.

    Raises:
        UserError: A value is out of range.
    """

    method: str
    dim_room: tuple[int, int]
    num_boxes: int
    num_gen_steps: int | None = None
    search_depth: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        rows, columns = self.dim_room
        if not 1 <= self.num_boxes <= MAX_BOXES:
            raise UserError(f'num_boxes is {self.num_boxes}; generation="{self.method}" makes 1 to {MAX_BOXES} boxes')
        if min(rows, columns) < 5 or rows * columns > MAX_CELLS:
            raise UserError(
                f'dim_room is ({rows}, {columns}); generation="{self.method}" makes rooms of at least 5 by 5 and at '
                f"most {MAX_CELLS} cells"
            )
        if (rows - 2) * (columns - 2) < 2 * self.num_boxes + 1:
            raise UserError(
                f"a room of {rows} by {columns} cannot hold {self.num_boxes} boxes, their targets and the player: "
                "enlarge dim_room or lower num_boxes"
            )
        for name, value, least in (("num_gen_steps", self.num_gen_steps, 1), ("search_depth", self.search_depth, 3)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise UserError(f"{name} is {value!r}; give an integer of at least {least}, or None")

    @property
    def steps(self) -> int:
        """Steps of the walk that digs."""
        return int(1.7 * sum(self.dim_room)) if self.num_gen_steps is None else self.num_gen_steps

    @property
    def depth(self) -> int:
        """Longest line of play."""
        return METHODS[self.method][1] if self.search_depth is None else self.search_depth


class Backwards:
    """A stream of levels.

    Args:
        digging: How they are made.
        seed: As in ``random.seed(seed); numpy.random.seed(seed)`` before gym-sokoban makes its first: 0 to 2^32 - 1.

    Raises:
        UserError: The seed is out of range.
    """

    def __init__(self, digging: Digging, seed: int) -> None:
        if not 0 <= seed < 1 << 32:
            raise UserError(f"the seed is {seed}; generation={digging.method!r} takes 0 to 2^32 - 1, as its models do")
        from .twister import WORDS, seed_numpy, seed_python

        self.digging = digging
        self._python, self._numpy = buffer(np.zeros(WORDS + 1)), buffer(np.zeros(WORDS + 1))
        seed_python(self._python, seed)
        seed_numpy(self._numpy, seed)

    def next(self) -> Level:
        """Makes the next level. Like gym-sokoban, goes on with the same streams where a try fails.

        Raises:
            UserError: No level turned up in ten thousand tries.
        """
        digging = self.digging
        for _ in range(MAX_FAILURES):
            level = self.try_once()
            if level is not None:
                return level
        rows, columns = digging.dim_room
        raise UserError(
            f"no level of {rows} by {columns} with {digging.num_boxes} boxes turned up in {MAX_FAILURES} tries: "
            "enlarge dim_room, lower num_boxes, or raise num_gen_steps or search_depth"
        )

    def try_once(self) -> Level | None:
        """Makes one try of four rooms; None where the method gives up."""
        from .reverse import OK, generate_level

        digging = self.digging
        (rows, columns), boxes = digging.dim_room, digging.num_boxes
        ragen, _, cap = METHODS[digging.method]
        with _LOCK:
            stamps, cells, targets, table, order, stack, holder, where, out = _space(cap, digging.depth)
            made = generate_level(
                self._python, self._numpy, rows, columns, boxes, digging.steps, ragen, digging.depth, cap, stamps,
                cells, targets, table, order, stack, holder, where, out,
            )  # fmt: skip
            if made != OK:
                return None
            walls = (np.asarray(cells[: rows * columns]) == 1).tobytes()
            *places, player = np.asarray(out[: boxes + 1]).tolist()
            goals = tuple(np.asarray(targets[:boxes]).tolist())
        return Level(rows, columns, walls, goals, tuple(sorted(places)), player)


def _space(cap: int, depth: int) -> list[Any]:
    """Returns the work space of the search, shared by all streams (`_LOCK` guards it)."""
    from .reverse import FRAME, STAMPS

    space = _SPACE.get(cap)
    if space is None:
        table = 1 << (2 * cap).bit_length()
        table <<= (table.bit_length() - 12) % 2  # it grows by fours from 2048
        space = _SPACE[cap] = [
            buffer(STAMPS),
            buffer(np.zeros(MAX_CELLS + 1)),
            buffer(np.zeros(MAX_BOXES)),
            buffer(np.zeros(table)),
            buffer(np.zeros(cap + 1)),
            buffer([]),
            buffer(np.zeros(MAX_CELLS + 1)),
            buffer(np.zeros(MAX_BOXES)),
            buffer(np.zeros(MAX_BOXES + 1)),
        ]
    if len(space[5]) < FRAME * depth:
        space[5] = buffer(np.zeros(FRAME * depth))
    return space
