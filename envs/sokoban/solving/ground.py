"""What a room is to the solver, as kernels: its cells and pushes, an estimate, frozen boxes, walks.

The cells of a room that are not wall are numbered 0 to n - 1 in reading order; n stands for any wall.
"""

from __future__ import annotations

from typing import Any

from lmmr1.envs.compiling.kernel import kernel

FAR = 1 << 20  # More pushes than there can be.


@kernel
def number_cells(walls: Any, columns: int, count: int, index: Any, neighbours: Any) -> int:
    """Numbers the free cells; ``neighbours[4 * i + d]`` is the cell up, down, left, right of i, or n for a wall."""
    n = 0
    for cell in range(count):
        index[cell] = -1
        if not walls[cell]:
            index[cell] = n
            n += 1
    for cell in range(count):
        i = index[cell]
        if i >= 0:
            for d in range(4):
                beside = cell - columns if d == 0 else cell + columns if d == 1 else cell - 1 if d == 2 else cell + 1
                neighbours[4 * i + d] = index[beside] if index[beside] >= 0 else n
    return n


@kernel
def measure_pushes(n: int, neighbours: Any, targets: Any, boxes: int, distance: Any, dead: Any, queue: Any) -> None:
    """Fills ``distance[t * n + c]``: pushes that bring a lone box from c to target t; ``dead[c]``: none does."""
    for i in range(boxes * n):
        distance[i] = FAR
    for i in range(n + 1):
        dead[i] = 1
    for t in range(boxes):
        start = targets[t]
        distance[t * n + start] = 0
        dead[start] = 0
        queue[0] = start
        first = 0
        last = 1
        while first < last:
            cell = queue[first]
            first += 1
            for d in range(4):
                before = neighbours[4 * cell + (d ^ 1)]
                if before == n or neighbours[4 * before + (d ^ 1)] == n or distance[t * n + before] < FAR:
                    continue
                distance[t * n + before] = distance[t * n + cell] + 1
                dead[before] = 0
                queue[last] = before
                last += 1


@kernel
def estimate(n: int, boxes: int, at: Any, base: int, distance: Any, best: Any) -> int:
    """The fewest pushes if boxes never got in each other's way; `FAR` or more: one of them has no target."""
    if boxes > 8:
        total = 0
        for k in range(boxes):
            nearest = FAR
            for t in range(boxes):
                nearest = min(nearest, distance[t * n + at[base + k]])
            total += nearest
        return total
    # best[mask]: the cheapest way to send as many boxes as mask has bits to the targets in mask.
    last = (1 << boxes) - 1
    for mask in range(last + 1):
        best[mask] = FAR
    best[0] = 0
    for mask in range(last):
        cost = best[mask]
        if cost >= FAR:
            continue
        k = 0
        rest = mask
        while rest:
            rest &= rest - 1
            k += 1
        cell = at[base + k]
        for t in range(boxes):
            if not (mask >> t) & 1:
                total = cost + distance[t * n + cell]
                if total < best[mask | (1 << t)]:
                    best[mask | (1 << t)] = total
    return best[last]


@kernel
def is_frozen(
    n: int, boxes: int, at: Any, pushed: int, neighbours: Any, holder: Any, dead: Any, goal: Any, frozen: Any
) -> bool:  # fmt: skip
    """Whether the box just pushed, and one off its target, can never be pushed again.

    The largest set of boxes in which each is held on both axes by walls, by cells no box may enter, or by one another.
    """
    cell = at[pushed]
    for d in (0, 2):
        one = neighbours[4 * cell + d]
        two = neighbours[4 * cell + d + 1]
        if one != n and two != n and not holder[one] and not holder[two] and not (dead[one] and dead[two]):
            return False  # by far the most frequent case
    for k in range(boxes):
        frozen[k] = 1
    changed = True
    while changed:
        changed = False
        for k in range(boxes):
            if not frozen[k]:
                continue
            cell = at[k]
            for d in (0, 2):
                one = neighbours[4 * cell + d]
                two = neighbours[4 * cell + d + 1]
                if one == n or two == n or (dead[one] and dead[two]):
                    continue
                if (holder[one] > 0 and frozen[holder[one] - 1]) or (holder[two] > 0 and frozen[holder[two] - 1]):
                    continue
                frozen[k] = 0
                changed = True
                break
        if not frozen[pushed]:
            return False
    for k in range(boxes):
        if frozen[k] and not goal[at[k]]:
            return True
    return False


@kernel
def walk(start: int, neighbours: Any, seen: Any, stamp: int, steps: Any, queue: Any) -> None:
    """Fills ``steps`` with how far the cells are that the player can walk to, and stamps those in ``seen``.

    What bears the stamp already, boxes and the wall that is cell n, is not entered.
    """
    steps[start] = 0
    seen[start] = stamp
    queue[0] = start
    first = 0
    last = 1
    while first < last:
        cell = queue[first]
        first += 1
        far = steps[cell] + 1
        for d in range(4):
            beside = neighbours[4 * cell + d]
            if seen[beside] != stamp:
                seen[beside] = stamp
                steps[beside] = far
                queue[last] = beside
                last += 1


@kernel
def find_lowest(start: int, neighbours: Any, seen: Any, stamp: int, queue: Any) -> int:
    """The lowest of the cells that the player can walk to; ``seen`` as for `walk`."""
    seen[start] = stamp
    queue[0] = start
    lowest = start
    first = 0
    last = 1
    while first < last:
        cell = queue[first]
        first += 1
        for d in range(4):
            beside = neighbours[4 * cell + d]
            if seen[beside] != stamp:
                seen[beside] = stamp
                queue[last] = beside
                last += 1
                if beside < lowest:
                    lowest = beside
    return lowest
