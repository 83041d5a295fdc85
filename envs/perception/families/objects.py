"""Coloured shapes: how many, which one where, which one is different, which one is missing; and dice."""

from __future__ import annotations

from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Dot, Names, Scene

from .sheet import COLOUR_NAMES, SHAPES, Points, draw_shape, join, new_sheet, seen

KINDS = len(SHAPES)


def _cell(columns: int, rows: int, place: int) -> tuple[float, float]:
    """The middle of a cell of a grid over the sheet, counted from the top left."""
    row, column = divmod(place, columns)
    return 5 + 90 * (column + 0.5) / columns, 95 - 90 * (row + 0.5) / rows


def _place_of(at: Points, name: str, columns: int, rows: int) -> tuple[int, int]:
    """The row and the column in which a point was drawn, from 0."""
    x, y = seen(at, name)
    return int((95 - y) / 90 * rows), int((x - 5) / 90 * columns)


def _name(code: int) -> str:
    """The colour and the shape of a code."""
    return f"{COLOUR_NAMES[code // KINDS]} {SHAPES[code % KINDS]}"


def _draw_objects(codes: list[int], places: list[int], columns: int, rows: int, shares: float = 0.36) -> Scene:
    scene = new_sheet()
    radius = shares * 90 / max(columns, rows)
    for i, (code, place) in enumerate(zip(codes, places, strict=True)):
        centre = _cell(columns, rows, place)
        draw_shape(scene, SHAPES[code % KINDS], centre, radius, COLOUR_NAMES[code // KINDS])
        scene.points[f"c{i}"] = centre
    return scene


def _sample_count(lots: Lots, level: int) -> Numbers | None:
    side = 3 if level <= 2 else 4 if level <= 5 else 5 if level <= 8 else 6
    total = lots.integer(side + 1 + level // 2, side * side - 2)
    colours, shapes = min(5, 3 + level // 3), min(5, 3 + level // 3)
    codes = [lots.integer(0, colours - 1) * KINDS + lots.integer(0, shapes - 1) for _ in range(total)]
    places = sorted(lots.pick(range(side * side), total))
    kind = lots.integer(0, 1 if level <= 2 else 3)
    return kind, side, lots.choice(codes), total, *codes, *places


def _matches(kind: int, asked: int, code: int) -> bool:
    colour, shape = code // KINDS == asked // KINDS, code % KINDS == asked % KINDS
    return (colour, shape, colour and shape, shape and not colour)[kind]


def _build_count(numbers: Numbers, n: Names) -> Figure:
    kind, side, asked, total, *rest = numbers
    codes, places = rest[:total], rest[total:]
    scene = _draw_objects(codes, places, side, side)
    colour, shape = COLOUR_NAMES[asked // KINDS], SHAPES[asked % KINDS]
    plural = "crosses" if shape == "cross" else shape + "s"
    what = (f"{colour} shapes", plural, f"{colour} {plural}", f"{plural} that are not {colour}")[kind]
    found = [code for code in codes if _matches(kind, asked, code)]
    tallies = {name: [_name(code) for code in codes].count(name) for name in dict.fromkeys(map(_name, sorted(codes)))}
    listed = join([f"{count} {name}{'s' if count > 1 else ''}" for name, count in tallies.items()])
    drawn = f"The picture holds {listed.replace('crosss', 'crosses')}."
    rows = [0] * side
    for code, place in zip(codes, places, strict=True):
        rows[place // side] += _matches(kind, asked, code)
    steps = [f"Row by row: {' + '.join(map(str, rows))} = {len(found)}"]
    other = [sum(1 for code in codes if _matches(way, asked, code)) for way in range(4) if way != kind]
    wrong: list[Value] = [*other, len(found) + 1, len(found) + 2, total]
    return Figure(scene, "", drawn, f"How many {what} are there?", steps, len(found), wrong)


def _measure_count(at: Points, numbers: Numbers) -> float:
    kind, _, asked, total, *rest = numbers
    return float(sum(1 for i in range(total) if f"c{i}" in at and _matches(kind, asked, rest[i])))


def _sample_relation(lots: Lots, level: int) -> Numbers | None:
    side = 3 if level <= 4 else 4
    total = min(side * side - 1, 4 + level // 2 + lots.integer(0, 2))
    codes = lots.pick(range(25), total)
    places = lots.pick(range(side * side), total)
    kind = lots.integer(0, 3 if level <= 3 else 7)
    spots = [divmod(place, side) for place in places]
    if _relation_answer(kind, codes, spots) is None and lots.chance(0.85):
        return None
    return kind, side, total, *codes, *places


STEPS = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}


def _relation_answer(kind: int, codes: list[int], spots: list[tuple[int, int]]) -> str | int | None:
    """Of the first object: its neighbour to one side, or how many objects are anywhere on that side."""
    down, across = list(STEPS.values())[kind % 4]
    (row, column) = spots[0]
    if kind < 4:
        near = [i for i, spot in enumerate(spots) if spot == (row + down, column + across)]
        return _name(codes[near[0]]) if near else None
    return sum(1 for r, c in spots if (r - row) * down + (c - column) * across > 0)


def _build_relation(numbers: Numbers, n: Names) -> Figure:
    kind, side, total, *rest = numbers
    codes, places = rest[:total], rest[total:]
    scene = _draw_objects(codes, places, side, side)
    spots = [divmod(place, side) for place in places]
    answer = _relation_answer(kind, codes, spots)
    first, way = _name(codes[0]), list(STEPS)[kind % 4]
    listed = [
        f"{_name(code)} in row {row + 1}, column {column + 1}" for code, (row, column) in zip(codes, spots, strict=True)
    ]
    drawn = f"In a grid counted from the top left stand: {'; '.join(listed)}."
    where = f"The {first} is in row {spots[0][0] + 1}, column {spots[0][1] + 1}"
    if answer is None:
        answer = "none"
    if kind < 4:
        asked = f"What is directly {way} the {first}? Answer with its colour and shape, or none."
        steps = [where, f"Directly {way} it: {answer}"]
        wrong: list[Value] = [*(_name(code) for code in codes[1:]), "none"]
    else:
        asked = f"How many shapes are further {_further(way)} than the {first}?"
        (down, across), (row, column) = STEPS[way], spots[0]
        there = [
            _name(c) for c, (r, k) in zip(codes, spots, strict=True) if (r - row) * down + (k - column) * across > 0
        ]
        steps = [where, f"Further {_further(way)}: {join(there) if there else 'nothing'}", f"number = {answer}"]
        wrong = [total - 1 - int(answer), int(answer) + 1, total]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _further(way: str) -> str:
    return {"left of": "to the left", "right of": "to the right", "above": "up", "below": "down"}[way]


def _measure_relation(at: Points, numbers: Numbers) -> float | str:
    kind, side, total, *rest = numbers
    spots = [_place_of(at, f"c{i}", side, side) for i in range(total)]
    answer = _relation_answer(kind, rest[:total], spots)
    return "none" if answer is None else answer


def _sample_odd(lots: Lots, level: int) -> Numbers | None:
    side = min(6, 3 + level // 3)
    place = lots.integer(0, side * side - 1)
    # All share one property, but for one; the other property means nothing and varies.
    by_shape = lots.integer(0, 1)
    same, odd = lots.pick(range(5), 2)
    varied = lots.pick(range(5), min(5, 2 + level // 2))
    free = [lots.choice(varied) for _ in range(side * side)]
    return side, place, by_shape, same, odd, *free


def _odd_codes(numbers: Numbers) -> list[int]:
    _, place, by_shape, same, odd, *free = numbers
    shared = [odd if i == place else same for i in range(len(free))]
    pairs = zip(free, shared, strict=True) if by_shape else zip(shared, free, strict=True)
    return [colour * KINDS + shape for colour, shape in pairs]


def _build_odd(numbers: Numbers, n: Names) -> Figure:
    side, place, by_shape, same, odd, *_ = numbers
    codes = _odd_codes(numbers)
    scene = _draw_objects(codes, list(range(side * side)), side, side)
    row, column = divmod(place, side)
    answer = f"({row + 1}, {column + 1})"
    rows = [", ".join(_name(code) for code in codes[i * side : (i + 1) * side]) for i in range(side)]
    drawn = f"A grid of shapes, row by row from the top: {'; '.join(rows)}."
    names, what = (SHAPES, "shape") if by_shape else (COLOUR_NAMES, "colour")
    asked = f"All have the same {what} but one. Where is it? Answer (row, column), counted from the top left."
    steps = [f"The {what} of the others is {names[same]}, of one it is {names[odd]}", f"place = {answer}"]
    near = [(row + 1, column + 1), (column, row), (row, column + 1), (row + 1, column), (side - row, column)]
    wrong: list[Value] = [f"({r % side + 1}, {c % side + 1})" for r, c in near]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_odd(at: Points, numbers: Numbers) -> tuple[float, ...]:
    row, column = _place_of(at, f"c{numbers[1]}", numbers[0], numbers[0])
    return row + 1.0, column + 1.0


def _sample_pattern(lots: Lots, level: int) -> Numbers | None:
    side = 3 if level <= 6 else 4
    # Colours change along the rows or along the diagonals, shapes along the columns or along the other diagonals.
    colours, shapes = lots.pick(range(5), side), lots.pick(range(5), side)
    rules = (0, 0) if level <= 3 else (lots.integer(0, 1), lots.integer(0, 1))
    if side == 4 and rules == (1, 1):
        return None
    return side, *rules, lots.integer(0, side * side - 1), *colours, *shapes


def _pattern_code(numbers: Numbers, row: int, column: int) -> int:
    side, by_diagonal, by_other, _, *rest = numbers
    colours, shapes = rest[:side], rest[side:]
    colour = colours[(row + column) % side if by_diagonal else row]
    return colour * KINDS + shapes[(column - row) % side if by_other else column]


def _build_pattern(numbers: Numbers, n: Names) -> Figure:
    side, by_diagonal, by_other, hole, *_ = numbers
    codes = [_pattern_code(numbers, *divmod(i, side)) for i in range(side * side)]
    kept = [i for i in range(side * side) if i != hole]
    scene = _draw_objects([codes[i] for i in kept], kept, side, side, 0.32)
    for i in range(side + 1):
        line = 5 + 90 * i / side
        scene.curve([(5.0, line), (95.0, line)]).curve([(line, 5.0), (line, 95.0)])
    x, y = _cell(side, side, hole)
    scene.text(x, y, "?", 1.6)
    answer = _name(codes[hole])
    shown = ["?" if i == hole else _name(code) for i, code in enumerate(codes)]
    lines = [f"row {row + 1}: {', '.join(shown[row * side : (row + 1) * side])}" for row in range(side)]
    drawn = f"A grid follows a rule. {'; '.join(lines)}."
    first = "along each diagonal that rises to the right" if by_diagonal else "in a row"
    second = "along each diagonal that falls to the right" if by_other else "in a column"
    steps = [
        f"The colour is the same {first}",
        f"The shape is the same {second}",
        f"missing: {answer}",
    ]
    if by_diagonal or by_other:
        steps.insert(2, "A diagonal goes on at the opposite edge")
    wrong: list[Value] = [_name(code) for code in codes if code != codes[hole]]
    asked = "Which shape is missing? Answer with its colour and shape."
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_pattern(at: Points, numbers: Numbers) -> str:
    # The cell in which nothing was drawn.
    side = numbers[0]
    full = {_place_of(at, name, side, side) for name in at if name.startswith("c")}
    (empty,) = {divmod(i, side) for i in range(side * side)} - full
    return _name(_pattern_code(numbers, *empty))


PIPS = {
    1: ((0, 0),),
    2: ((-1, 1), (1, -1)),
    3: ((-1, 1), (0, 0), (1, -1)),
    4: ((-1, 1), (1, 1), (-1, -1), (1, -1)),
    5: ((-1, 1), (1, 1), (0, 0), (-1, -1), (1, -1)),
    6: ((-1, 1), (1, 1), (-1, 0), (1, 0), (-1, -1), (1, -1)),
}


def _sample_dice(lots: Lots, level: int) -> Numbers | None:
    count = min(9, 3 + level)
    return lots.integer(0, 1 if level <= 2 else 3), *(lots.integer(1, 6) for _ in range(count))


def _dice_answer(kind: int, dice: list[int]) -> int:
    if kind == 3:
        product = 1
        for die in (max(dice), min(dice)):
            product *= die
        return product
    return (sum(dice), 7 * len(dice) - sum(dice), sum(1 for die in dice if die % 2 == 0))[kind]


def _build_dice(numbers: Numbers, n: Names) -> Figure:
    kind, *dice = numbers
    scene, columns = new_sheet(), 2 if len(dice) <= 4 else 3
    half = 0.34 * 90 / columns
    for i, die in enumerate(dice):
        x, y = _cell(columns, columns, i)
        scene.points[f"c{i}"] = (x, y)
        corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        scene.fill(corners, 0).curve([*corners, corners[0]])
        for j, (dx, dy) in enumerate(PIPS[die]):
            scene.points[f"d{i}-{j}"] = (x + dx * half * 0.55, y + dy * half * 0.55)
            scene.marks.append(Dot(f"d{i}-{j}", 2.2 if columns == 2 else 1.6))
    listed, answer = " + ".join(map(str, dice)), _dice_answer(kind, dice)
    drawn = f"Dice show {join([str(die) for die in dice])}."
    if kind == 0:
        asked, steps = "What do the dice add up to?", [f"{listed} = {answer}"]
        wrong: list[Value] = [answer + 1, answer - 1, 7 * len(dice) - answer]
    elif kind == 1:
        asked = "Opposite faces of a die add up to 7. What do the faces at the bottom, which cannot be seen, add up to?"
        steps = [f"The tops: {listed} = {sum(dice)}", f"7 * {len(dice)} - {sum(dice)} = {answer}"]
        wrong = [sum(dice), 7 * len(dice), answer + 7]
    elif kind == 2:
        asked = "How many dice show an even number?"
        steps = [f"The dice show {', '.join(map(str, dice))}", f"even = {answer}"]
        wrong = [len(dice) - answer, answer + 1, len(dice)]
    else:
        asked = "What is the largest number shown times the smallest?"
        steps = [f"Largest {max(dice)}, smallest {min(dice)}", f"{max(dice)} * {min(dice)} = {answer}"]
        wrong = [max(dice) + min(dice), max(dice), max(dice) - min(dice)]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_dice(at: Points, numbers: Numbers) -> float:
    dice = [sum(1 for name in at if name.startswith(f"d{i}-")) for i in range(len(numbers) - 1)]
    return float(_dice_answer(numbers[0], dice))


OBJECTS = (
    DiagramFamily("count_shapes", _sample_count, _build_count, _measure_count),
    DiagramFamily("spatial_relation", _sample_relation, _build_relation, _measure_relation),
    DiagramFamily("odd_one_out", _sample_odd, _build_odd, _measure_odd),
    DiagramFamily("pattern_grid", _sample_pattern, _build_pattern, _measure_pattern),
    DiagramFamily("dice", _sample_dice, _build_dice, _measure_dice),
)
