"""New levels that have a solution: one box by the table of the room, several boxes by playing backwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmr1.envs.errors import UserError

from ..levels.level import Level
from ..solving.room import DEAD, Solver, solver_for

SPLITS = ("all", "train", "test")
MAX_ROOMS = 500  # Rooms that are tried before generation gives up.
DRAWS_A_ROOM = 8  # Positions of one room that are tried, since its table is the expensive part.
SEARCH_LIMIT = 3_000  # Positions that the solver may expand to tell the length of a level with several boxes.


def check_generation(
    dim_room: Sequence[int], num_boxes: int, inner_walls: int, min_moves: int, max_moves: int | None, split: str
) -> None:
    """Checks the arguments of `generate`.

    Raises:
        UserError: One of them is out of range, or no room can hold what is asked for.
    """
    is_pair = isinstance(dim_room, (Sequence, np.ndarray)) and len(dim_room) == 2
    if not is_pair or not all(_is_integer(side) and side >= 3 for side in dim_room):
        raise UserError(f"dim_room is {dim_room!r}; give rows and columns, each at least 3, walls included")
    for name, value, least in (
        ("num_boxes", num_boxes, 1),
        ("inner_walls", inner_walls, 0),
        ("min_moves", min_moves, 1),
    ):
        if not _is_integer(value) or value < least:
            raise UserError(f"{name} is {value!r}; give an integer of at least {least}")
    if max_moves is not None and (not _is_integer(max_moves) or max_moves < min_moves):
        raise UserError(f"max_moves is {max_moves!r}; give an integer of at least min_moves ({min_moves}) or None")
    if split not in SPLITS:
        raise UserError(f"split is {split!r}; choose from {', '.join(SPLITS)}")
    rows, columns = dim_room
    room, needed = (rows - 2) * (columns - 2) - inner_walls, 2 * num_boxes + 1
    if room < needed:
        raise UserError(
            f"a room of {rows} by {columns} with {inner_walls} inner walls has {max(room, 0)} free cells, but "
            f"{num_boxes} boxes, their targets and the player take {needed}: "
            "enlarge dim_room or lower num_boxes or inner_walls"
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def generate(
    rng: np.random.Generator,
    dim_room: Sequence[int] = (7, 7),
    num_boxes: int = 1,
    inner_walls: int = 0,
    min_moves: int = 1,
    max_moves: int | None = None,
    split: str = "all",
) -> Level:
    """Makes a level that has a solution and starts with no box on a target.

    Args:
        rng: Source of randomness.
        dim_room: Rows and columns, the border included.
        num_boxes: Number of boxes and of targets.
        inner_walls: Walls inside the border; the free cells stay connected.
        min_moves: Least length of the shortest solution, in moves.
        max_moves: Greatest length, or None for any. With several boxes a limit makes generation much slower, because
            each candidate has to be solved; those too hard to solve quickly are dropped.
        split: "train" never yields what "test" yields (see `Level.is_test`); "all" yields both.

    Raises:
        UserError: The arguments are out of range, or no such level turned up.
    """
    check_generation(dim_room, num_boxes, inner_walls, min_moves, max_moves, split)
    rows, columns = int(dim_room[0]), int(dim_room[1])
    for _ in range(MAX_ROOMS):
        walls = _draw_walls(rng, rows, columns, inner_walls)
        if walls is None:
            continue
        candidates = (
            _place_one_box(rng, rows, columns, walls, min_moves, max_moves)
            if num_boxes == 1
            else _play_backwards(rng, rows, columns, walls, num_boxes, min_moves, max_moves)
        )
        for level in candidates:
            if split == "all" or level.is_test == (split == "test"):
                return level
    limit = "any number of" if max_moves is None else f"at most {max_moves}"
    raise UserError(
        f"no {split} level of {rows} by {columns} with {num_boxes} boxes, {inner_walls} inner walls and at least "
        f"{min_moves}, {limit} moves turned up in {MAX_ROOMS} rooms: "
        "change inner_walls, lower min_moves or raise max_moves"
    )


def _spread(seed: int, free: int, columns: int) -> int:
    """Bits of the cells in ``free`` that are connected to those in ``seed``."""
    reached = seed
    while True:
        wider = (reached | reached << 1 | reached >> 1 | reached << columns | reached >> columns) & free
        if wider == reached:
            return reached
        reached = wider


def _draw_walls(rng: np.random.Generator, rows: int, columns: int, inner_walls: int) -> bytes | None:
    """Returns the walls of a room whose free cells are connected, or None when the draw ran into a dead end."""
    walls = np.ones((rows, columns), np.uint8)
    walls[1:-1, 1:-1] = 0
    flat = bytearray(walls.tobytes())
    if not inner_walls:
        return bytes(flat)
    inside = [cell for cell, wall in enumerate(flat) if not wall]
    free = sum(1 << cell for cell in inside)
    left = inner_walls
    for i in rng.permutation(len(inside)).tolist():
        rest = free & ~(1 << inside[i])
        if _spread(rest & -rest, rest, columns) != rest:
            continue
        free = rest
        flat[inside[i]] = 1
        left -= 1
        if not left:
            return bytes(flat)
    return None


def _place_one_box(
    rng: np.random.Generator, rows: int, columns: int, walls: bytes, min_moves: int, max_moves: int | None
) -> list[Level]:
    """Draws a target, then positions of player and box with a solution of the right length."""
    free = [cell for cell, wall in enumerate(walls) if not wall]
    target = free[int(rng.integers(len(free)))]
    room = Level(rows, columns, walls, (target,), (target,), -1)
    distances = solver_for(room).distance_table()
    highest = DEAD - 1 if max_moves is None else max_moves
    fitting = np.flatnonzero((distances >= min_moves) & (distances <= highest))
    if not len(fitting):
        return []
    chosen = fitting[rng.integers(len(fitting), size=DRAWS_A_ROOM)].tolist()
    return [room.with_position(free[i // len(free)], [free[i % len(free)]]) for i in chosen]


def _play_backwards(
    rng: np.random.Generator,
    rows: int,
    columns: int,
    walls: bytes,
    num_boxes: int,
    min_moves: int,
    max_moves: int | None,
) -> list[Level]:
    """Starts solved and pulls the boxes about at random: played forwards, what comes out has a solution."""
    inside = [cell for cell, wall in enumerate(walls) if not wall]
    free = sum(1 << cell for cell in inside)
    order = rng.permutation(len(inside)).tolist()
    targets = tuple(sorted(inside[i] for i in order[:num_boxes]))
    player = inside[order[num_boxes]]
    boxes = list(targets)
    occupied = sum(1 << box for box in boxes)
    goals = occupied
    steps = (-columns, columns, -1, 1)
    reached = _spread(1 << player, free & ~occupied, columns)
    best: tuple[int, list[int]] | None = None
    last = -1
    for chance in rng.random(4 * num_boxes + rows + columns).tolist():
        pulls = [
            (i, step)
            for i, box in enumerate(boxes)
            for step in steps
            if reached >> (box + step) & 1 and free & ~occupied & ~(1 << box) & 1 << (box + 2 * step)
        ]
        if not pulls:
            break
        # Half of the time the same box goes on, if it can: boxes then travel instead of trembling. Otherwise one that
        # still stands on a target is preferred, so that all of them get away.
        if chance < 0.5:
            preferred = [pull for pull in pulls if pull[0] == last]
        else:
            preferred = [pull for pull in pulls if goals >> boxes[pull[0]] & 1]
        pulls = preferred or pulls
        chance = 2 * chance % 1.0
        i, step = pulls[int(chance * len(pulls)) % len(pulls)]
        box = boxes[i]
        occupied ^= 1 << box | 1 << (box + step)
        boxes[i], last = box + step, i
        reached = _spread(1 << (box + 2 * step), free & ~occupied, columns)
        if not occupied & goals:
            best = reached, list(boxes)
    if best is None:
        return []
    cells = [cell for cell in inside if best[0] >> cell & 1]
    room = Level(rows, columns, walls, targets, targets, -1)
    level = room.with_position(cells[int(rng.integers(len(cells)))], best[1])
    if min_moves > num_boxes or max_moves is not None:
        # A level with n boxes off their targets takes at least n moves, so only other limits need the solver.
        moves = Solver(level, SEARCH_LIMIT).moves_to_go(level.player, level.boxes)
        if moves is None or moves < min_moves or (max_moves is not None and moves > max_moves):
            return []
    return [level]
