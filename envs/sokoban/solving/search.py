"""The search for optimal solutions, as kernels: A* over pushes with deadlock detection, on rooms of any size.

The cells of a room that are not wall are numbered 0 to n - 1 in reading order. A position is the boxes' cells in rising
order and the player's; counted in pushes, players who can walk to each other are the same. The estimate is the cheapest
way to send every box to a target of its own by pushes alone (an assignment; the sum of each box's nearest target beyond
eight boxes). A position is dropped when a box can reach no target, or when boxes have frozen each other off their targets.
The search stops after a number of positions and can go on from there.
"""

from __future__ import annotations

from typing import Any

from ..compiled import kernel

FAR = 1 << 20
# What a search says, in header[3].
RUNNING, SOLVED, UNSOLVABLE, CROWDED = range(4)
COUNT, FRONT, EXPANDED, STATUS, GOAL, SLOTS, OVERFLOWED = range(7)  # the header


@kernel
def number_cells(walls: Any, columns: int, count: int, index: Any, neighbours: Any) -> int:
    """Numbers the free cells; ``neighbours[4 * i + d]`` is the cell up, down, left, right of i, or -1 for a wall."""
    n = 0
    for cell in range(count):
        index[cell] = -1
        if not walls[cell]:
            index[cell] = n
            n += 1
    for cell in range(count):
        i = index[cell]
        if i >= 0:
            neighbours[4 * i] = index[cell - columns]
            neighbours[4 * i + 1] = index[cell + columns]
            neighbours[4 * i + 2] = index[cell - 1]
            neighbours[4 * i + 3] = index[cell + 1]
    return n


@kernel
def measure_pushes(n: int, neighbours: Any, targets: Any, boxes: int, distance: Any, dead: Any, queue: Any) -> None:
    """Fills ``distance[t * n + c]``: pushes that bring a lone box from c to target t; ``dead[c]``: none does."""
    for i in range(boxes * n):
        distance[i] = FAR
    for i in range(n):
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
                if before < 0 or neighbours[4 * before + (d ^ 1)] < 0 or distance[t * n + before] < FAR:
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
def is_frozen(boxes: int, at: Any, pushed: int, neighbours: Any, holder: Any, dead: Any, goal: Any, frozen: Any) -> bool:
    """Whether the box just pushed, and one off its target, can never be pushed again.

    The largest set of boxes in which each is held on both axes by walls, by cells no box may enter, or by one another.
    """
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
                if one < 0 or two < 0 or (dead[one] and dead[two]):
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
def walk(start: int, neighbours: Any, holder: Any, steps: Any, queue: Any) -> int:
    """Fills ``queue`` with the cells that the player can walk to, ``steps`` with how far they are (set to -1 before)."""
    steps[start] = 0
    queue[0] = start
    first = 0
    last = 1
    while first < last:
        cell = queue[first]
        first += 1
        for d in range(4):
            goal = neighbours[4 * cell + d]
            if goal >= 0 and holder[goal] == 0 and steps[goal] < 0:
                steps[goal] = steps[cell] + 1
                queue[last] = goal
                last += 1
    return last


@kernel
def lowest_reached(start: int, neighbours: Any, holder: Any, marks: Any, queue: Any) -> int:
    """The lowest of the cells that the player can walk to; ``marks`` is left as it was, all -1."""
    count = walk(start, neighbours, holder, marks, queue)
    lowest = start
    for i in range(count):
        lowest = min(lowest, queue[i])
        marks[queue[i]] = -1
    return lowest


@kernel
def begin_search(
    header: Any, n: int, boxes: int, start: Any, by_moves: int, neighbours: Any, distance: Any, hashes: Any, nodes: Any,
    heads: Any, table: Any, holder: Any, steps: Any, marks: Any, queue: Any, best: Any,
) -> None:  # fmt: skip
    """Puts the first position in; ``start`` holds the boxes in rising order and the player.

    A node is ``boxes + 6`` integers: boxes, the player's cell that stands for it, its own, cost, parent, next, closed.
    """
    for f in range(len(heads)):
        heads[f] = -1
    for slot in range(header[5]):
        table[slot] = 0
    for i in range(n):
        holder[i] = 0
        steps[i] = -1
        marks[i] = -1
    header[0] = 0
    header[1] = 0
    header[2] = 0
    header[3] = 2
    header[4] = -1
    header[6] = 0
    key = 0
    for k in range(boxes):
        nodes[k] = start[k]
        key ^= hashes[start[k]]
        holder[start[k]] = 1
    player = start[boxes]
    stands = player if by_moves else lowest_reached(player, neighbours, holder, marks, queue)
    for k in range(boxes):
        holder[start[k]] = 0
    expected = estimate(n, boxes, nodes, 0, distance, best)
    if expected >= FAR:
        return
    nodes[boxes] = stands
    nodes[boxes + 1] = player
    nodes[boxes + 2] = 0
    nodes[boxes + 3] = -1
    nodes[boxes + 4] = -1
    nodes[boxes + 5] = 0
    key ^= hashes[n + stands]
    table[key & (header[5] - 1)] = 1
    heads[expected] = 0
    header[0] = 1
    header[1] = expected
    header[3] = 0


@kernel
def rehash(header: Any, n: int, boxes: int, hashes: Any, nodes: Any, table: Any, slots: int) -> None:
    """Sets the positions that count into a larger table of zeros."""
    width = boxes + 6
    header[5] = slots
    for i in range(header[0]):
        if nodes[i * width + boxes + 5] == 2:
            continue
        key = hashes[n + nodes[i * width + boxes]]
        for k in range(boxes):
            key ^= hashes[nodes[i * width + k]]
        slot = key & (slots - 1)
        while table[slot]:
            slot = (slot + 1) & (slots - 1)
        table[slot] = i + 1


@kernel
def advance(
    header: Any, budget: int, n: int, boxes: int, by_moves: int, neighbours: Any, distance: Any, dead: Any, goal: Any,
    hashes: Any, nodes: Any, heads: Any, table: Any, holder: Any, steps: Any, marks: Any, queue: Any, second: Any,
    best: Any, at: Any, frozen: Any,
) -> None:  # fmt: skip
    """Expands ``budget`` positions at most, or until solved, exhausted, or short of space (`CROWDED`)."""
    width = boxes + 6
    room = min(len(nodes) // width, header[5] // 2) - 4 * boxes
    mask = header[5] - 1
    count = header[0]
    front = header[1]
    stop = header[2] + budget
    header[3] = 0
    while header[2] < stop:
        if count >= room:
            header[3] = 3
            break
        while front < len(heads) and heads[front] < 0:
            front += 1
        if front >= len(heads):
            header[3] = 2
            break
        i = heads[front]
        base = i * width
        heads[front] = nodes[base + boxes + 4]
        if nodes[base + boxes + 5]:
            continue
        nodes[base + boxes + 5] = 1
        left = boxes
        key = 0
        for k in range(boxes):
            cell = nodes[base + k]
            at[k] = cell
            left -= goal[cell]
            key ^= hashes[cell]
        if left == 0:
            header[3] = 1
            header[4] = i
            break
        header[2] += 1
        for k in range(boxes):
            holder[at[k]] = k + 1
        reached = walk(nodes[base + boxes + 1], neighbours, holder, steps, queue)
        cost = nodes[base + boxes + 2]
        for k in range(boxes):
            cell = nodes[base + k]
            for d in range(4):
                beside = neighbours[4 * cell + (d ^ 1)]
                after = neighbours[4 * cell + d]
                if beside < 0 or after < 0 or steps[beside] < 0 or holder[after] or dead[after]:
                    continue
                # The position after the push, its boxes in rising order.
                for j in range(boxes):
                    holder[nodes[base + j]] = 0
                    at[j] = nodes[base + j]
                pushed = k
                at[pushed] = after
                while pushed > 0 and at[pushed - 1] > after:
                    at[pushed] = at[pushed - 1]
                    pushed -= 1
                    at[pushed] = after
                while pushed + 1 < boxes and at[pushed + 1] < after:
                    at[pushed] = at[pushed + 1]
                    pushed += 1
                    at[pushed] = after
                for j in range(boxes):
                    holder[at[j]] = j + 1
                good = not is_frozen(boxes, at, pushed, neighbours, holder, dead, goal, frozen)
                stands = cell
                if good and not by_moves:
                    stands = lowest_reached(cell, neighbours, holder, marks, second)
                for j in range(boxes):
                    holder[at[j]] = 0
                if good:
                    total = cost + 1 + (steps[beside] if by_moves else 0)
                    slot = (key ^ hashes[cell] ^ hashes[after] ^ hashes[n + stands]) & mask
                    known = -1
                    while table[slot]:
                        there = (table[slot] - 1) * width
                        same = nodes[there + boxes] == stands
                        for j in range(boxes):
                            if nodes[there + j] != at[j]:
                                same = False
                                break
                        if same:
                            known = there
                            break
                        slot = (slot + 1) & mask
                    if known < 0 or total < nodes[known + boxes + 2]:
                        expected = total + estimate(n, boxes, at, 0, distance, best)
                        if expected < len(heads):
                            if known >= 0:
                                nodes[known + boxes + 5] = 2  # superseded
                            made = count * width
                            for j in range(boxes):
                                nodes[made + j] = at[j]
                            nodes[made + boxes] = stands
                            nodes[made + boxes + 1] = cell
                            nodes[made + boxes + 2] = total
                            nodes[made + boxes + 3] = i
                            nodes[made + boxes + 4] = heads[expected]
                            nodes[made + boxes + 5] = 0
                            heads[expected] = count
                            front = min(front, expected)
                            table[slot] = count + 1
                            count += 1
                        elif expected < 1 << 20:
                            header[6] = 1  # too long a way for the queue: then nothing can be called unsolvable
                for j in range(boxes):
                    holder[nodes[base + j]] = j + 1
        for k in range(boxes):
            holder[nodes[base + k]] = 0
        for k in range(reached):
            steps[queue[k]] = -1
    header[0] = count
    header[1] = front


@kernel
def retrace(
    boxes: int, last: int, nodes: Any, neighbours: Any, holder: Any, marks: Any, queue: Any, chain: Any, out: Any
) -> int:  # fmt: skip
    """Writes the solution that ends in node ``last``: 0 to 3 for walking up, down, left, right, 4 to 7 for pushing.

    Returns:
        Its length, negative when ``out`` is too short for it.
    """
    width = boxes + 6
    length = 0
    node = last
    while node >= 0:
        chain[length] = node
        length += 1
        node = nodes[node * width + boxes + 3]
    written = 0
    for place in range(length - 1, 0, -1):
        base = chain[place] * width
        after = chain[place - 1] * width
        for k in range(boxes):
            holder[nodes[base + k]] = 1
        cell = nodes[after + boxes + 1]
        push = 0
        for d in range(4):
            goal = neighbours[4 * cell + d]
            if goal >= 0 and not holder[goal]:
                for k in range(boxes):
                    if nodes[after + k] == goal:
                        push = d
        # Walk back from where the push is made; every step is one nearer to where the player stood.
        start = nodes[base + boxes + 1]
        count = walk(start, neighbours, holder, marks, queue)
        at = neighbours[4 * cell + (push ^ 1)]
        steps = marks[at]
        if written + steps >= len(out):
            written = -1
        else:
            for i in range(steps - 1, -1, -1):
                for d in range(4):
                    before = neighbours[4 * at + (d ^ 1)]
                    if before >= 0 and holder[before] == 0 and marks[before] == i:
                        out[written + i] = d
                        at = before
                        break
            written += steps
            out[written] = 4 + push
            written += 1
        for i in range(count):
            marks[queue[i]] = -1
        for k in range(boxes):
            holder[nodes[base + k]] = 0
        if written < 0:
            return -1
    return written
