"""Where levels come from: given ones, a pool made beforehand, or new ones; for each environment a feed of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Protocol

import numpy as np

from lmmr1.envs.errors import UserError

from ..levels.level import Level
from ..levels.text import locate_levels
from ..solving.optimal import RoomSearch
from .backwards import METHODS, Backwards, Digging
from .scatter import SPLITS, check_generation, generate

GENERATIONS = ("scatter", *METHODS)
MAX_POOL = 1_000_000
MAX_DRAWS = 100_000  # Levels that are looked at until one fits the bounds.
_GOLDEN, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


@dataclass(frozen=True)
class Selection:
    """Which levels are wanted; the arguments of `SokobanEnv` of these names, checked.

    Attributes:
        dim_room: Rows and columns; None: 7 by 7, or the largest of the levels given.
        num_boxes: Boxes; None: 1, or whatever the levels given have.
        inner_walls: Walls inside the border ("scatter").
        generation: One of `GENERATIONS`.
        num_gen_steps: Steps of the walk that digs a room (all but "scatter"); None: the method's own.
        search_depth: Longest line of play of the search (all but "scatter"); None: the method's own.
        min_moves: Least length of the shortest solution.
        max_moves: Greatest, or None.
        split: "all", "train" or "test".
        pool: Number of levels made beforehand, or None for a new one at each reset.
    """

    dim_room: tuple[int, int] | None = None
    num_boxes: int | None = None
    inner_walls: int = 2
    generation: str = "scatter"
    num_gen_steps: int | None = None
    search_depth: int | None = None
    min_moves: int = 1
    max_moves: int | None = None
    split: str = "all"
    pool: int | None = None

    def __post_init__(self) -> None:
        """Check the values that need no level."""
        if self.generation not in GENERATIONS:
            raise UserError(f"generation is {self.generation!r}; choose from {', '.join(GENERATIONS)}")
        pool = self.pool
        if pool is not None and (isinstance(pool, bool) or not isinstance(pool, int) or not 1 <= pool <= MAX_POOL):
            raise UserError(f"pool is {pool!r}; give the number of levels, 1 to {MAX_POOL}, or None")

    @property
    def room(self) -> tuple[int, int]:
        """Rows and columns of a level that is made."""
        return self.dim_room or (7, 7)

    @property
    def boxes(self) -> int:
        """Boxes of a level that is made."""
        return self.num_boxes or 1

    def fits(self, level: Level) -> bool:
        """Whether a level has the right split and length; one too hard to tell does not."""
        if self.split != "all" and level.is_test != (self.split == "test"):
            return False
        if self.min_moves <= 1 and self.max_moves is None:
            return True
        moves = RoomSearch(level).solve(level.player, level.boxes, "moves").moves
        return moves is not None and self.min_moves <= moves and (self.max_moves is None or moves <= self.max_moves)


class Feed(Protocol):
    """The levels of one environment, one after the other."""

    def start(self, rng: np.random.Generator, seed: int | None) -> None:
        """Begins anew; ``rng`` was just seeded with ``seed``, or from the system where that is None."""
        ...

    def next(self) -> Level:
        """Returns the next level."""
        ...


class ListFeed:
    """Levels of a list, each as likely as the others.

    Chosen by SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195).

    Attributes:
        state: 64 bits; drawn from the environment's generator when it is seeded.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = levels
        self.state = 0

    def start(self, rng: np.random.Generator, seed: int | None) -> None:
        """Draws the state."""
        self.state = int(rng.integers(1 << 64, dtype=np.uint64))

    def next(self) -> Level:
        """Returns the next level."""
        self.state = mixed = (self.state + _GOLDEN) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return self.levels[((mixed ^ (mixed >> 31)) >> 32) * len(self.levels) >> 32]


class ScatterFeed:
    """New levels from the environment's own generator."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._rng: np.random.Generator | None = None

    def start(self, rng: np.random.Generator, seed: int | None) -> None:
        """Keeps the generator."""
        self._rng = rng

    def next(self) -> Level:
        """Makes a level."""
        assert self._rng is not None, "a feed is started before it is asked"
        one = self._selection
        return generate(self._rng, one.room, one.boxes, one.inner_walls, one.min_moves, one.max_moves, one.split)


class BackwardsFeed:
    """Levels of the backwards search, those that fit."""

    def __init__(self, digging: Digging, selection: Selection) -> None:
        self._digging, self._selection = digging, selection
        self._stream: Backwards | None = None

    def start(self, rng: np.random.Generator, seed: int | None) -> None:
        """Seeds the streams with the seed itself, so that a seed gives the level that it gives elsewhere."""
        self._stream = Backwards(self._digging, int(rng.integers(1 << 32)) if seed is None else seed)

    def next(self) -> Level:
        """Makes levels until one fits."""
        assert self._stream is not None, "a feed is started before it is asked"
        for _ in range(MAX_DRAWS):
            level = self._stream.next()
            if self._selection.fits(level):
                return level
        one = self._selection
        limit = "any number of" if one.max_moves is None else f"at most {one.max_moves}"
        raise UserError(
            f"none of {MAX_DRAWS} levels is in the split {one.split!r} with at least {one.min_moves}, {limit} moves: "
            "lower min_moves or raise max_moves"
        )


class LevelSource:
    """What the environments of one configuration have in common.

    Attributes:
        rows: Rows of every level.
        columns: Columns of every level.
        levels: All levels there are, or None when new ones are made.

    Args:
        levels: Text, path or levels given by the user; None: new ones are made.
        selection: Which ones are wanted.

    Raises:
        UserError: A level cannot be played or does not fit, or none is left.
    """

    def __init__(self, levels: str | os.PathLike[str] | Sequence[Level] | None, selection: Selection) -> None:
        self.levels: list[Level] | None = None
        self.selection = selection
        if levels is not None:
            _check_bounds(selection)
            self.levels = _choose(levels, selection)
        else:
            self.selection = selection = _check_making(selection)
            if selection.pool is not None:
                self.levels = _make_pool(selection)
        if selection.dim_room is not None:
            self.rows, self.columns = selection.dim_room
        elif self.levels is not None:
            self.rows = max(level.rows for level in self.levels)
            self.columns = max(level.columns for level in self.levels)
        if self.levels is not None:
            self.levels = [level.padded(self.rows, self.columns) for level in self.levels]

    def feed(self) -> Feed:
        """Returns a feed for one environment."""
        if self.levels is not None:
            return ListFeed(self.levels)
        return _new_levels(self.selection)


def check_playable(level: Level, place: str = "a level") -> Level:
    """Returns the level.

    Args:
        level: The level.
        place: Which one it is, in words.

    Raises:
        UserError: It is solved already.
    """
    if level.is_solved:
        raise UserError(f"{place} is solved from the start; move a box off its target")
    return level


def _check_bounds(selection: Selection) -> None:
    room = selection.dim_room or (99, 99)
    check_generation(room, selection.boxes, 0, selection.min_moves, selection.max_moves, selection.split)


def _check_making(selection: Selection) -> Selection:
    """Returns the selection with size and number of boxes filled in."""
    selection = replace(selection, dim_room=selection.room, num_boxes=selection.boxes)
    walls = selection.inner_walls if selection.generation == "scatter" else 0
    check_generation(selection.room, selection.boxes, walls, selection.min_moves, selection.max_moves, selection.split)
    if selection.generation != "scatter":
        _digging(selection)
    return selection


def _digging(selection: Selection) -> Digging:
    return Digging(
        selection.generation, selection.room, selection.boxes, selection.num_gen_steps, selection.search_depth
    )


def _new_levels(selection: Selection) -> Feed:
    if selection.generation == "scatter":
        return ScatterFeed(selection)
    return BackwardsFeed(_digging(selection), selection)


@lru_cache(maxsize=8)
def _make_pool(selection: Selection) -> list[Level]:
    """The same levels in every process, no two alike."""
    feed = _new_levels(selection)
    feed.start(np.random.default_rng(0), 0)
    found: dict[Level, None] = {}
    for drawn in count():
        if len(found) == selection.pool:
            return list(found)
        if drawn > 20 * (selection.pool or 0) + 1000:
            raise UserError(
                f"pool is {selection.pool}, but only {len(found)} different levels turned up: "
                "lower it or enlarge dim_room"
            )
        found[feed.next()] = None
    raise AssertionError("count() does not end")


def _choose(levels: str | os.PathLike[str] | Sequence[Level], selection: Selection) -> list[Level]:
    if isinstance(levels, (str, os.PathLike)):
        located = locate_levels(levels)
    else:
        located = [(f"level {number}", level) for number, level in enumerate(levels, start=1)]
    chosen: list[Level] = []
    for place, level in located:
        if not isinstance(level, Level):
            raise UserError(f"levels: {place} is a {type(level).__name__}; give Level objects, a path, or XSB text")
        check_playable(level, f"levels: {place}")
        if selection.dim_room is not None:
            rows, columns = selection.dim_room
            if level.rows > rows or level.columns > columns:
                raise UserError(
                    f"levels: {place} is {level.rows} by {level.columns}, more than dim_room {rows} by "
                    f"{columns}: enlarge dim_room, or leave it out to take the size of the largest level"
                )
        if (selection.num_boxes is None or len(level.boxes) == selection.num_boxes) and selection.fits(level):
            chosen.append(level)
    if not chosen:
        raise UserError(
            f'levels: none of the {len(located)} levels is in the split "{selection.split}" with the num_boxes, '
            'min_moves and max_moves asked for; use split="all" or wider bounds'
        )
    return chosen


__all__ = ["GENERATIONS", "SPLITS", "BackwardsFeed", "Feed", "LevelSource", "ListFeed", "Selection", "check_playable"]
