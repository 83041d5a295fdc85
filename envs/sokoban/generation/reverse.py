"""Levels played backwards: a room dug by a random walk, and a search that pulls the boxes away from their targets.

The method is that of Racaniere et al., "Imagination-augmented agents" (2017, https://arxiv.org/abs/1707.06203), in the
form that gym-sokoban made common: depth-first over pulls and moves, keeping the position with the most
(pulls times displacement) whose targets are all bare. With the same numbers drawn in the same order it yields
gym-sokoban's levels bit by bit; three switches give those of RAGEN and VAGEN, and a lower cap gives fast ones.
"""

from __future__ import annotations

from typing import Any

from lmmr1.envs.compiling.kernel import kernel

from .twister import numpy_below, python_below, python_random

TRIES = 4  # rooms, before a level counts as failed
OK, CROWDED, UNMOVED = range(3)  # what became of a level: made; no space; no score in all tries
FRAME = 7  # integers of a position in the line of play
# The shapes that the walk stamps on the floor around itself: 3 by 3 bits each, row by row.
STAMPS = (0b000111000, 0b010010010, 0b000110010, 0b000110110, 0b000011010)


@kernel
def dig_room(stream: Any, walls: Any, rows: int, columns: int, steps: int, stamps: Any) -> None:
    """Digs floor (0) into ``walls`` (1 a wall), shape rows * columns, by a walk of ``steps`` steps."""
    for cell in range(rows * columns):
        walls[cell] = 1
    direction = python_below(stream, 4)  # down, right, up, left
    row = 1 + python_below(stream, rows - 1)
    column = 1 + python_below(stream, columns - 1)
    for _ in range(steps):
        if python_random(stream) < 0.35:
            direction = python_below(stream, 4)
        if direction == 0:
            row += 1
        elif direction == 1:
            column += 1
        elif direction == 2:
            row -= 1
        else:
            column -= 1
        row = max(min(row, rows - 2), 1)
        column = max(min(column, columns - 2), 1)
        stamp = stamps[python_below(stream, 5)]
        for bit in range(9):
            if (stamp >> (8 - bit)) & 1:
                y = row - 1 + bit // 3
                x = column - 1 + bit % 3
                if 0 < y < rows - 1 and 0 < x < columns - 1:
                    walls[y * columns + x] = 0


@kernel
def draw_floor(stream: Any, cells: Any, count: int) -> int:
    """Draws one of the cells that are still bare floor (0), in reading order."""
    free = 0
    for cell in range(count):
        if cells[cell] == 0:
            free += 1
    left = numpy_below(stream, free)
    for cell in range(count):
        if cells[cell] == 0:
            if left == 0:
                return cell
            left -= 1
    return -1


@kernel
def slot_of(key: int, table: Any, mask: int) -> int:
    """Where a key is in the table of the explored positions, or where it belongs."""
    slot = ((key ^ (key >> 17) ^ (key >> 35)) * 40503) & mask
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def key_of(where: Any, boxes: int) -> int:
    """The boxes with their bits in rising order, nine bits each: who stands where makes no difference."""
    key = 0
    last = -1
    for _ in range(boxes):
        smallest = 1 << 30
        for k in range(boxes):
            if last < where[k] < smallest:
                smallest = where[k]
        last = smallest
        key = (key << 9) | smallest
    return key


@kernel
def play_backwards(
    cells: Any, columns: int, player: int, targets: Any, boxes: int, real_changes: bool, actions: int, depth_limit: int,
    cap: int, table: Any, order: Any, stack: Any, holder: Any, where: Any, out: Any,
) -> int:  # fmt: skip
    """Searches for the position of the highest score and writes it to ``out``: boxes by target, then the player.

    Args:
        cells: 1 for a wall, 0 for floor, 2 for a target.
        columns: Cells in a row.
        player: Cell of the player.
        targets: Cells of the targets, in rising order.
        boxes: Their number, at most 6.
        real_changes: Whether a pull counts only if it is of another box than the one before.
        actions: 8 for pulls and moves, 4 for pulls only (which move where there is nothing to pull).
        depth_limit: Positions of one line of play at most, the first included, plus one.
        cap: Positions to explore at most.
        table: Space for a hash table of the explored positions: a power of two above ``2 * cap``.
        order: Space for ``cap`` integers.
        stack: Space for ``depth_limit`` entries of `FRAME` integers.
        holder: Space for a number per cell: which box is there, counted from 1.
        where: Space for a number per box: twice its cell, plus 1 once it was moved.
        out: Space for ``boxes + 1`` integers.

    Returns:
        The score.
    """
    # The table grows with what is in it: most rooms are explored in a few hundred positions.
    mask = 2047
    for slot in range(mask + 1):
        table[slot] = 0
    for cell in range(len(cells)):
        holder[cell] = 0
    for k in range(boxes):
        where[k] = 2 * targets[k]
        holder[targets[k]] = k + 1
        out[k] = targets[k]
    out[boxes] = player
    best = 0
    covered = boxes
    displacement = 0
    depth = 0
    stack[0] = player
    stack[1] = 0  # next action
    stack[2] = 0  # pulls
    stack[3] = -1  # box pulled last
    stack[4] = key_of(where, boxes)
    stack[5] = -1  # box pulled to get here, and what it was in `where`
    stack[6] = 0
    key = (stack[4] << 8) | (player + 1)
    table[slot_of(key, table, mask)] = key
    order[0] = key
    explored = 1
    while explored < cap:
        base = depth * FRAME
        at = stack[base]
        action = stack[base + 1]
        if action == actions or depth + 2 >= depth_limit:
            # All was tried from here: undo the pull that led here.
            k = stack[base + 5]
            if k >= 0:
                cell = where[k] >> 1
                before = stack[base + 6] >> 1
                home = targets[k]
                displacement += abs(before // columns - home // columns) + abs(before % columns - home % columns)
                displacement -= abs(cell // columns - home // columns) + abs(cell % columns - home % columns)
                covered += (cells[before] == 2) - (cells[cell] == 2)
                holder[cell] = 0
                holder[before] = k + 1
                where[k] = stack[base + 6]
            depth -= 1
            if depth < 0:
                break
            continue
        stack[base + 1] = action + 1
        turn = action & 3
        step = -columns if turn == 0 else columns if turn == 1 else -1 if turn == 2 else 1
        goal = at + step
        if cells[goal] == 1 or holder[goal]:
            continue  # The same position again, which is explored already.
        k = holder[at - step] - 1 if action < 4 else -1
        placed = stack[base + 4]
        before = -1
        if k >= 0:
            before = where[k]
            where[k] = 2 * at + 1
            placed = key_of(where, boxes)
        key = (placed << 8) | (goal + 1)
        slot = slot_of(key, table, mask)
        if table[slot] == key:
            if k >= 0:
                where[k] = before
            continue
        table[slot] = key
        order[explored] = key
        explored += 1
        if 2 * explored > mask and mask + 1 < len(table):
            mask = 4 * mask + 3
            for slot in range(mask + 1):
                table[slot] = 0
            for i in range(explored):
                table[slot_of(order[i], table, mask)] = order[i]
        following = base + FRAME
        pulls = stack[base + 2]
        last = stack[base + 3]
        stack[following] = goal
        stack[following + 1] = 0
        stack[following + 4] = placed
        stack[following + 5] = k
        if k >= 0:
            cell = before >> 1
            home = targets[k]
            displacement += abs(at // columns - home // columns) + abs(at % columns - home % columns)
            displacement -= abs(cell // columns - home // columns) + abs(cell % columns - home % columns)
            covered += (cells[at] == 2) - (cells[cell] == 2)
            holder[cell] = 0
            holder[at] = k + 1
            stack[following + 6] = before
            if not real_changes or last != k:
                pulls += 1
            if real_changes:
                last = k
        stack[following + 2] = pulls
        stack[following + 3] = last
        depth += 1
        if covered == 0 and cells[goal] != 2 and pulls * displacement > best:
            best = pulls * displacement
            for box in range(boxes):
                out[box] = where[box] >> 1
            out[boxes] = goal
    return best


@kernel
def wander(stream: Any, cells: Any, columns: int, boxes: int, chance: float, out: Any) -> None:
    """Lets the player walk up to three steps at random, never back: VAGEN's and RAGEN's last touch."""
    if python_random(stream) > chance:
        return
    steps = (-columns, columns, -1, 1)
    first = out[boxes]
    second = -1
    third = -1
    at = first
    for taken in range(3):
        free = 0
        for turn in range(2):
            # Counted first, then drawn and looked up.
            chosen = python_below(stream, free) if turn else -1
            free = 0
            for direction in range(4):
                goal = at + steps[direction]
                good = cells[goal] != 1 and goal != first and goal != second and goal != third
                for k in range(boxes):
                    if out[k] == goal:
                        good = False
                if good:
                    if free == chosen:
                        out[boxes] = goal
                    free += 1
            if free == 0:
                return
        at = out[boxes]
        if taken == 0:
            second = at
        else:
            third = at
        if taken == 2 or python_random(stream) > 0.5:
            return


@kernel
def generate_level(
    python_stream: Any, numpy_stream: Any, rows: int, columns: int, boxes: int, dig_steps: int, ragen: int,
    depth_limit: int, cap: int, stamps: Any, cells: Any, targets: Any, table: Any, order: Any, stack: Any, holder: Any,
    where: Any, out: Any,
) -> int:  # fmt: skip
    """Makes one level: ``cells`` (1 wall, 2 target), and in ``out`` the boxes and the player.

    Args:
        ragen: 0 gym-sokoban, 1 RAGEN, 2 VAGEN.

    Returns:
        `OK`, or why there is none: `CROWDED`, `UNMOVED`.
    """
    count = rows * columns
    score = 0
    for _ in range(TRIES):
        dig_room(python_stream, cells, rows, columns, dig_steps, stamps)
        free = 0
        for cell in range(count):
            if cells[cell] == 0:
                free += 1
        if free <= boxes + 1:
            return CROWDED
        player = draw_floor(numpy_stream, cells, count)
        cells[player] = 3
        for _ in range(boxes):
            cells[draw_floor(numpy_stream, cells, count)] = 2
        cells[player] = 0
        k = 0
        for cell in range(count):
            if cells[cell] == 2:
                targets[k] = cell
                k += 1
        actions = 4 if ragen else 8
        score = play_backwards(
            cells, columns, player, targets, boxes, ragen > 0, actions, depth_limit, cap, table, order, stack, holder,
            where, out,
        )  # fmt: skip
        if score > 0:
            break
    if score == 0:
        return UNMOVED
    if ragen:
        displacement = 0
        for k in range(boxes):
            home = targets[k]
            displacement += abs(out[k] // columns - home // columns) + abs(out[k] % columns - home % columns)
        wander(python_stream, cells, columns, boxes, 0.8 if ragen == 1 and displacement == 1 else 0.5, out)
    return OK
