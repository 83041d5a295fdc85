"""Ways: through a maze, and along the roads of a network."""

from __future__ import annotations

import heapq
from collections import deque

from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Name, Names, Scene

from .sheet import Points, join, new_sheet, seen

Wall = tuple[int, int]


def _sample_maze(lots: Lots, level: int) -> Numbers | None:
    side = 3 + level // 2
    # Walls are open edges of a spanning tree, drawn from a random corner outward; a few more edges are opened.
    edges = _edges(side)
    parent = list(range(side * side))

    def find(cell: int) -> int:
        while parent[cell] != cell:
            cell = parent[cell]
        return cell

    open_edges = 0
    for i in lots.shuffled(range(len(edges))):
        one, other = (find(cell) for cell in edges[i])
        if one != other or lots.chance(0.08):
            parent[one] = other
            open_edges |= 1 << i
    start, goal = lots.pick(range(side * side), 2)
    steps = _walk(side, open_edges, start)[goal]
    if steps < 2 + level // 2:
        return None
    return side, start, goal, open_edges


def _edges(side: int) -> list[Wall]:
    """Pairs of neighbouring cells."""
    across = [(i, i + 1) for i in range(side * side) if (i + 1) % side]
    return across + [(i, i + side) for i in range(side * (side - 1))]


def _walk(side: int, open_edges: int, start: int) -> dict[int, int]:
    """The number of steps from one cell to every other."""
    ways: dict[int, list[int]] = {}
    for i, (one, other) in enumerate(_edges(side)):
        if open_edges >> i & 1:
            ways.setdefault(one, []).append(other)
            ways.setdefault(other, []).append(one)
    steps, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for near in ways.get(cell, ()):
            if near not in steps:
                steps[near] = steps[cell] + 1
                queue.append(near)
    return steps


def _route(side: int, open_edges: int, start: int, goal: int) -> str:
    """The first letters of the directions of one shortest way."""
    from_goal = _walk(side, open_edges, goal)
    edges = {edge for i, edge in enumerate(_edges(side)) if open_edges >> i & 1}
    cell, moves = start, ""
    while cell != goal:
        for letter, step in (("R", 1), ("D", side), ("L", -1), ("U", -side)):
            near = cell + step
            if (min(cell, near), max(cell, near)) in edges and from_goal[near] == from_goal[cell] - 1:
                cell, moves = near, moves + letter
                break
    return moves


def _build_maze(numbers: Numbers, n: Names) -> Figure:
    side, start, goal, open_edges = numbers
    scene, size = new_sheet(), 90 / side

    def corner(row: int, column: int) -> tuple[float, float]:
        return 5 + column * size, 95 - row * size

    scene.curve([corner(0, 0), corner(0, side), corner(side, side), corner(side, 0), corner(0, 0)], weight=1.4)
    for i, (one, other) in enumerate(_edges(side)):
        row, column = divmod(other, side)
        if not open_edges >> i & 1:
            ends = (corner(row, column), corner(row + 1, column) if other == one + 1 else corner(row, column + 1))
            scene.curve(ends, weight=1.4)
            scene.points[f"w{one}-{other}"] = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
    for name, cell in (("S", start), ("G", goal)):
        row, column = divmod(cell, side)
        x, y = corner(row, column)
        inset = 0.12 * size
        box = [(x + inset, y - inset), (x + size - inset, y - inset), (x + size - inset, y - size + inset)]
        scene.fill([*box, (x + inset, y - size + inset)], 0 if name == "S" else 1)
        scene.text(x + size / 2, y - size / 2, name)
        scene.points[name] = (x + size / 2, y - size / 2)
    answer, route = _walk(side, open_edges, start)[goal], _route(side, open_edges, start, goal)
    walls = [
        f"{_spot(one, side)}|{_spot(other, side)}"
        for i, (one, other) in enumerate(_edges(side))
        if not open_edges >> i & 1
    ]
    drawn = (
        f"A maze has {side} rows and {side} columns, counted from the top left. S is in {_spot(start, side)}, G in "
        f"{_spot(goal, side)}, each as row,column. Walls stand between: {' '.join(walls)}."
    )
    asked = "How many steps from cell to cell does the shortest way from S to G take, without crossing a wall?"
    steps = [f"A shortest way (right, left, up, down): {' '.join(route)}", f"steps = {answer}"]
    straight = abs(start // side - goal // side) + abs(start % side - goal % side)
    wrong: list[Value] = [straight, answer + 1, answer + 2, answer - 1]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _spot(cell: int, side: int) -> str:
    return f"{cell // side + 1},{cell % side + 1}"


def _measure_maze(at: Points, numbers: Numbers) -> float:
    # The walls as drawn: the middle of each lies between two cells.
    side = numbers[0]
    cells: dict[tuple[float, float], int] = {}
    for i, (one, other) in enumerate(_edges(side)):
        (r1, c1), (r2, c2) = divmod(one, side), divmod(other, side)
        cells[round((c1 + c2) / 2 + 0.5, 3), round((r1 + r2) / 2 + 0.5, 3)] = i
    open_edges = (1 << len(_edges(side))) - 1
    for name in at:
        if name.startswith("w"):
            x, y = seen(at, name)
            open_edges ^= 1 << cells[round((x - 5) / 90 * side, 3), round((95 - y) / 90 * side, 3)]
    spots = []
    for name in "SG":
        x, y = seen(at, name)
        spots.append(int((95 - y) / 90 * side) * side + int((x - 5) / 90 * side))
    return float(_walk(side, open_edges, spots[0])[spots[1]])


# Places on a sheet that leave room for the lengths along the roads between neighbours.
TOWNS = ((14, 84), (50, 90), (86, 82), (12, 48), (50, 52), (88, 46), (16, 12), (52, 14), (86, 10))
ROADS = (
    (0, 1), (1, 2), (0, 3), (1, 4), (2, 5), (3, 4), (4, 5), (3, 6), (4, 7), (5, 8), (6, 7), (7, 8), (0, 4), (4, 8),
)  # fmt: skip


def _sample_network(lots: Lots, level: int) -> Numbers | None:
    towns = (0, 1, 3, 4) if level <= 2 else (0, 1, 2, 3, 4, 5) if level <= 5 else tuple(range(9))
    known = [i for i, road in enumerate(ROADS) if set(road) <= set(towns)]
    kept = [i for i in known if lots.chance(0.85)]
    lengths = [lots.integer(2, 9 + 3 * level) for _ in kept]
    start, goal = lots.pick(towns, 2)
    numbers = (start, goal, *(number for pair in zip(kept, lengths, strict=True) for number in pair))
    found = _shortest(_network(numbers), start, goal)
    return numbers if found and len(found[1]) >= (3 if level >= 2 else 2) else None


def _network(numbers: Numbers) -> dict[tuple[int, int], int]:
    return {ROADS[road]: length for road, length in zip(numbers[2::2], numbers[3::2], strict=True)}


def _shortest(roads: dict[tuple[int, int], int], start: int, goal: int) -> tuple[int, list[int]] | None:
    """The length of the shortest way and its towns."""
    queue: list[tuple[int, list[int]]] = [(0, [start])]
    done: set[int] = set()
    while queue:
        length, way = heapq.heappop(queue)
        if way[-1] == goal:
            return length, way
        if way[-1] in done:
            continue
        done.add(way[-1])
        for (one, other), more in roads.items():
            if way[-1] in (one, other):
                heapq.heappush(queue, (length + more, [*way, other if way[-1] == one else one]))
    return None


def _build_network(numbers: Numbers, n: Names) -> Figure:
    start, goal, *_ = numbers
    roads = _network(numbers)
    towns = sorted({town for road in roads for town in road})
    letters = dict(zip(towns, "ABCDEFGHJ", strict=False))
    scene: Scene = new_sheet()
    left, right = min(TOWNS[t][0] for t in towns), max(TOWNS[t][0] for t in towns)
    low, high = min(TOWNS[t][1] for t in towns), max(TOWNS[t][1] for t in towns)
    for town in towns:
        x, y = TOWNS[town]
        place = 12 + 76 * (x - left) / max(1, right - left), 12 + 76 * (y - low) / max(1, high - low)
        scene.points[letters[town]] = place
    for (one, other), length in roads.items():
        pair = letters[one] + letters[other]
        scene.line(pair).side(pair, str(length))
    for letter in letters.values():
        scene.dots(letter).marks.append(Name(letter, letter))
    answer = _shortest(roads, start, goal)
    assert answer is not None
    listed = [f"{letters[one]}-{letters[other]} {length}" for (one, other), length in roads.items()]
    drawn = f"Roads and their lengths: {join(listed)}."
    asked = f"How long is the shortest way from {letters[start]} to {letters[goal]}?"
    way = answer[1]
    parts = [roads.get((a, b)) or roads[b, a] for a, b in zip(way, way[1:], strict=False)]
    steps = [
        f"The shortest way is {'-'.join(letters[town] for town in way)}",
        f"{' + '.join(map(str, parts))} = {answer[0]}",
    ]
    wrong: list[Value] = [answer[0] + 1, answer[0] + min(roads.values()), len(parts), sum(roads.values())]
    return Figure(scene, "", drawn, asked, steps, answer[0], wrong)


def _measure_network(at: Points, numbers: Numbers) -> float:
    # Roads are not to scale; every way without a circle is walked.
    roads, goal = _network(numbers), numbers[1]

    def walk(town: int, left: frozenset[int]) -> float:
        if town == goal:
            return 0.0
        ways = [float("inf")]
        for (one, other), length in roads.items():
            if town in (one, other):
                near = other if town == one else one
                if near in left:
                    ways.append(length + walk(near, left - {near}))
        return min(ways)

    towns = frozenset(town for road in roads for town in road)
    return walk(numbers[0], towns - {numbers[0]})


PATHS = (
    DiagramFamily("maze", _sample_maze, _build_maze, _measure_maze),
    DiagramFamily("road_network", _sample_network, _build_network, _measure_network),
)
