"""The search for optimal solutions, as kernels: A* over pushes with deadlock detection, on rooms of any size.

A position is the boxes' cells in rising order and the player's; counted in pushes, players who can walk to each other
are the same. The estimate is the cheapest way to send every box to a target of its own by pushes alone (an assignment;
the sum of each box's nearest target beyond eight boxes). A position is dropped when a box can reach no target, or when
boxes have frozen each other off their targets. The search stops after a number of positions and can go on from there.
"""

from __future__ import annotations

from typing import Any

from lmmr1.envs.compiling.kernel import kernel

from .ground import FAR, estimate, find_lowest, is_frozen, walk

# What a search says, in header[STATUS].
RUNNING, SOLVED, UNSOLVABLE, CROWDED = range(4)
COUNT, FRONT, EXPANDED, STATUS, GOAL, SLOTS, OVERFLOWED, STAMP = range(8)  # the header


@kernel
def begin_search(
    header: Any, n: int, boxes: int, start: Any, by_moves: int, neighbours: Any, distance: Any, hashes: Any, nodes: Any,
    heads: Any, table: Any, seen: Any, again: Any, queue: Any, best: Any,
) -> None:  # fmt: skip
    """Puts the first position in; ``start`` holds the boxes in rising order and the player.

    A node is ``boxes + 6`` integers: boxes, the player's cell that stands for it, its own, cost, parent, next, closed.
    """
    for f in range(len(heads)):
        heads[f] = -1
    for slot in range(header[SLOTS]):
        table[slot] = 0
    for i in range(n + 1):
        seen[i] = 0
        again[i] = 0
    stamp = 1
    header[STAMP] = stamp
    seen[n] = stamp
    header[COUNT] = 0
    header[FRONT] = 0
    header[EXPANDED] = 0
    header[STATUS] = UNSOLVABLE
    header[GOAL] = -1
    header[OVERFLOWED] = 0
    key = 0
    for k in range(boxes):
        nodes[k] = start[k]
        key ^= hashes[start[k]]
        seen[start[k]] = stamp
    player = start[boxes]
    stands = player if by_moves else find_lowest(player, neighbours, seen, stamp, queue)
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
    table[key & (header[SLOTS] - 1)] = 1
    heads[expected] = 0
    header[COUNT] = 1
    header[FRONT] = expected
    header[STATUS] = RUNNING


@kernel
def rehash(header: Any, n: int, boxes: int, hashes: Any, nodes: Any, table: Any, slots: int) -> None:
    """Sets the positions that count into a larger table of zeros."""
    width = boxes + 6
    header[SLOTS] = slots
    for i in range(header[COUNT]):
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
    hashes: Any, nodes: Any, heads: Any, table: Any, holder: Any, steps: Any, seen: Any, again: Any, queue: Any,
    best: Any, at: Any, after_push: Any, frozen: Any,
) -> None:  # fmt: skip
    """Expands ``budget`` positions at most, or until solved, exhausted, or short of space (`CROWDED`)."""
    width = boxes + 6
    room = min(len(nodes) // width, header[SLOTS] // 2) - 4 * boxes
    mask = header[SLOTS] - 1
    count = header[COUNT]
    front = header[FRONT]
    stop = header[EXPANDED] + budget
    header[STATUS] = RUNNING
    while header[EXPANDED] < stop:
        if count >= room:
            header[STATUS] = CROWDED
            break
        while front < len(heads) and heads[front] < 0:
            front += 1
        if front >= len(heads):
            header[STATUS] = UNSOLVABLE
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
            header[STATUS] = SOLVED
            header[GOAL] = i
            break
        header[EXPANDED] += 1
        header[STAMP] += 1
        stamp = header[STAMP]
        seen[n] = stamp
        for k in range(boxes):
            holder[at[k]] = k + 1
            seen[at[k]] = stamp
        walk(nodes[base + boxes + 1], neighbours, seen, stamp, steps, queue)
        cost = nodes[base + boxes + 2]
        for k in range(boxes):
            cell = nodes[base + k]
            for d in range(4):
                beside = neighbours[4 * cell + (d ^ 1)]
                after = neighbours[4 * cell + d]
                # Boxes and walls bear the stamp without having been walked to; cells that no box may enter include
                # walls.
                if dead[after] or holder[after] or seen[beside] != stamp or beside == n or holder[beside]:
                    continue
                # The boxes after the push, this one still in its place among them.
                at[k] = after
                holder[cell] = 0
                holder[after] = k + 1
                good = not is_frozen(n, boxes, at, k, neighbours, holder, dead, goal, frozen)
                stands = cell
                if good and not by_moves:
                    mark = header[STAMP] + 1
                    header[STAMP] = mark
                    again[n] = mark
                    for j in range(boxes):
                        again[at[j]] = mark
                    stands = find_lowest(cell, neighbours, again, mark, queue)
                holder[after] = 0
                holder[cell] = k + 1
                at[k] = cell
                if good:
                    # ... and in rising order.
                    for j in range(boxes):
                        after_push[j] = at[j]
                    place = k
                    while place > 0 and after_push[place - 1] > after:
                        after_push[place] = after_push[place - 1]
                        place -= 1
                    while place + 1 < boxes and after_push[place + 1] < after:
                        after_push[place] = after_push[place + 1]
                        place += 1
                    after_push[place] = after
                    total = cost + 1 + (steps[beside] if by_moves else 0)
                    slot = (key ^ hashes[cell] ^ hashes[after] ^ hashes[n + stands]) & mask
                    known = -1
                    while table[slot]:
                        there = (table[slot] - 1) * width
                        same = nodes[there + boxes] == stands
                        for j in range(boxes):
                            if nodes[there + j] != after_push[j]:
                                same = False
                                break
                        if same:
                            known = there
                            break
                        slot = (slot + 1) & mask
                    if known < 0 or total < nodes[known + boxes + 2]:
                        expected = total + estimate(n, boxes, after_push, 0, distance, best)
                        if expected < len(heads):
                            if known >= 0:
                                nodes[known + boxes + 5] = 2  # superseded
                            made = count * width
                            for j in range(boxes):
                                nodes[made + j] = after_push[j]
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
                        elif expected < FAR:
                            header[OVERFLOWED] = (
                                1  # too long a way for the queue: then nothing can be called unsolvable
                            )
        for k in range(boxes):
            holder[nodes[base + k]] = 0
    header[COUNT] = count
    header[FRONT] = front


@kernel
def retrace(
    header: Any, n: int, boxes: int, last: int, nodes: Any, neighbours: Any, holder: Any, steps: Any, seen: Any,
    queue: Any, chain: Any, out: Any,
) -> int:  # fmt: skip
    """Writes the solution that ends in node ``last``: 0 to 3 for walking up, down, left, right, 4 to 7 for pushing.

    Returns:
        Its length, negative when ``out`` is too short for it.
    """
    width = boxes + 6
    links = 0
    node = last
    while node >= 0:
        if links == len(chain):
            return -1
        chain[links] = node
        links += 1
        node = nodes[node * width + boxes + 3]
    written = 0
    for place in range(links - 1, 0, -1):
        base = chain[place] * width
        after = chain[place - 1] * width
        header[STAMP] += 1
        stamp = header[STAMP]
        seen[n] = stamp
        for k in range(boxes):
            holder[nodes[base + k]] = 1
            seen[nodes[base + k]] = stamp
        cell = nodes[after + boxes + 1]
        push = 0
        for d in range(4):
            goal = neighbours[4 * cell + d]
            if goal != n and not holder[goal]:
                for k in range(boxes):
                    if nodes[after + k] == goal:
                        push = d
        # Walk back from where the push is made; every step is one nearer to where the player stood.
        start = nodes[base + boxes + 1]
        walk(start, neighbours, seen, stamp, steps, queue)
        at = neighbours[4 * cell + (push ^ 1)]
        length = steps[at]
        if written + length >= len(out):
            written = -1
        else:
            for i in range(length - 1, -1, -1):
                for d in range(4):
                    before = neighbours[4 * at + (d ^ 1)]
                    if before != n and not holder[before] and seen[before] == stamp and steps[before] == i:
                        out[written + i] = d
                        at = before
                        break
            written += length
            out[written] = 4 + push
            written += 1
        for k in range(boxes):
            holder[nodes[base + k]] = 0
        if written < 0:
            return -1
    return written
