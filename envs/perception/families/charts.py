"""Charts and tables: bars, lines, pies, numbers in rows."""

from __future__ import annotations

import math
from fractions import Fraction

from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, arc, polar

from .sheet import DAYS, WORDS, Points, join, new_sheet, seen

LEFT, RIGHT, LOW, HIGH = 14.0, 97.0, 13.0, 95.0
LINES = 6


def _draw_axis(scene: Scene, step: int) -> float:
    """Draws the axes and a line for every step; returns the height of one unit."""
    unit = (HIGH - LOW) / (LINES * step)
    for i in range(LINES + 1):
        y = LOW + i * step * unit
        if i:
            scene.curve([(LEFT, y), (RIGHT, y)], faint=True)
        scene.text(LEFT / 2 - 0.5, y, i * step, 0.8)
    scene.curve([(LEFT, HIGH), (LEFT, LOW), (RIGHT, LOW)])
    scene.add(zero=(LEFT, LOW), top=(LEFT, HIGH))
    return unit


def _draw_values(lots: Lots, level: int, count: int) -> tuple[int, list[int]]:
    """Draws the step of the axis and values that can be read: on its lines, from level 5 on also half-way between."""
    step = lots.choice((1, 2, 5) if level <= 2 else (2, 5, 10, 20) if level <= 6 else (10, 20, 50, 100))
    half = level >= 5 and step % 2 == 0
    values = [lots.integer(1, LINES * 2 if half else LINES) * step // (2 if half else 1) for _ in range(count)]
    return step, values


def _values_at(at: Points, step: int, prefix: str) -> list[float]:
    """Reads values off the axis."""
    zero, top = seen(at, "zero")[1], seen(at, "top")[1]
    count = sum(1 for name in at if name.startswith(prefix))
    return [(seen(at, f"{prefix}{i}")[1] - zero) / (top - zero) * LINES * step for i in range(count)]


def _sample_bars(lots: Lots, level: int) -> Numbers | None:
    count = min(7, 3 + level // 2)
    step, values = _draw_values(lots, level, count)
    words = lots.pick(range(len(WORDS)), count)
    kind = lots.integer(0, 1 if level <= 2 else 4)
    one, other = lots.pick(range(count), 2)
    if len(set(values)) < 2 or (kind == 1 and values[one] <= values[other]):
        return None
    if kind == 4 and values.count(max(values)) > 1:
        return None
    return kind, step, one, other, *values, *words


def _bar_answer(kind: int, one: int, other: int, values: list[float]) -> float | int:
    """The answer as a number; for the kind that asks for a name, its place."""
    if kind == 4:
        return values.index(max(values))
    above = sum(1 for value in values if value > values[one])
    return (values[one], values[one] - values[other], sum(values), above)[kind]


def _build_bars(numbers: Numbers, n: Names) -> Figure:
    kind, step, one, other, *rest = numbers
    values, words = rest[: len(rest) // 2], [WORDS[i] for i in rest[len(rest) // 2 :]]
    scene = new_sheet()
    unit = _draw_axis(scene, step)
    width = (RIGHT - LEFT) / len(values)
    for i, (value, word) in enumerate(zip(values, words, strict=True)):
        left, right, top = LEFT + (i + 0.2) * width, LEFT + (i + 0.8) * width, LOW + value * unit
        scene.fill([(left, LOW), (right, LOW), (right, top), (left, top)], (86, 134, 206))
        scene.curve([(left, LOW), (left, top), (right, top), (right, LOW)])
        scene.text((left + right) / 2, LOW / 2, word, 0.8 if len(values) < 6 else 0.7).points[f"b{i}"] = (left, top)
    drawn = "A bar chart shows " + join([f"{word} {value}" for word, value in zip(words, values, strict=True)]) + "."
    first, second = words[one], words[other]
    shown = " + ".join(map(str, values))
    read = [f"{first}: {values[one]}"]
    number = int(_bar_answer(kind, one, other, list(map(float, values))))
    answer: Value = number
    if kind == 0:
        asked, steps = f"What is the value of {first}?", [f"The bar of {first} ends at {number}"]
        wrong: list[Value] = [values[other], number + step, max(values)]
    elif kind == 1:
        asked = f"How much more is {first} than {second}?"
        steps = [*read, f"{second}: {values[other]}", f"{values[one]} - {values[other]} = {number}"]
        wrong = [values[one], values[one] + values[other], number + step]
    elif kind == 2:
        asked, steps = "What do all bars add up to?", [f"{shown} = {number}"]
        wrong = [number - values[one], number + step, number - step]
    elif kind == 3:
        asked = f"How many bars are higher than that of {first}?"
        higher = [word for word, value in zip(words, values, strict=True) if value > values[one]]
        steps = [*read, f"Higher: {join(higher) if higher else 'none'}", f"number = {number}"]
        wrong = [len(values) - number, number + 1, len(values) - number - 1]
    else:
        answer = words[number]
        asked = "Which has the highest bar?"
        steps = [f"The values are {', '.join(map(str, values))}", f"The highest is {max(values)}, of {answer}"]
        wrong = [word for word in words if word != answer]
        wrong += [word for word in WORDS if word not in words]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_bars(at: Points, numbers: Numbers) -> float | str:
    kind, step, one, other, *rest = numbers
    values = [round(value, 6) for value in _values_at(at, step, "b")]
    answer = _bar_answer(kind, one, other, values)
    return WORDS[rest[len(rest) // 2 :][int(answer)]] if kind == 4 else answer


def _sample_lines(lots: Lots, level: int) -> Numbers | None:
    count = min(7, 4 + level // 3)
    step, values = _draw_values(lots, level, count)
    kind = lots.integer(0, 1 if level <= 3 else 3)
    day = lots.integer(1, count - 1)
    rises = [after - before for before, after in zip(values, values[1:], strict=False)]
    if 0 in rises or (kind == 1 and rises[day - 1] < 0) or (kind == 3 and max(rises) <= 0):
        return None
    return kind, step, day, *values


def _line_answer(kind: int, day: int, values: list[float]) -> float:
    rises = [after - before for before, after in zip(values, values[1:], strict=False)]
    return (values[day], rises[day - 1], sum(1 for rise in rises if rise > 0), max(rises))[kind]


def _build_lines(numbers: Numbers, n: Names) -> Figure:
    kind, step, day, *values = numbers
    scene = new_sheet()
    unit = _draw_axis(scene, step)
    width = (RIGHT - LEFT) / len(values)
    path = [(LEFT + (i + 0.5) * width, LOW + value * unit) for i, value in enumerate(values)]
    scene.curve(path, weight=1.4, colour=(200, 70, 60))
    for i, (x, y) in enumerate(path):
        scene.text(x, LOW / 2, DAYS[i], 0.8).points[f"p{i}"] = (x, y)
        scene.dots([f"p{i}"])
    pairs = [f"{DAYS[i]} {value}" for i, value in enumerate(values)]
    drawn = f"A line chart shows {join(pairs)}."
    answer = int(_line_answer(kind, day, list(map(float, values))))
    rises = [after - before for before, after in zip(values, values[1:], strict=False)]
    if kind == 0:
        asked, steps = f"What is the value on {DAYS[day]}?", [f"The point over {DAYS[day]} is at {answer}"]
        wrong: list[Value] = [values[day - 1], answer + step, answer * 2]
    elif kind == 1:
        asked = f"By how much does the value rise from {DAYS[day - 1]} to {DAYS[day]}?"
        steps = [f"{DAYS[day - 1]}: {values[day - 1]}, {DAYS[day]}: {values[day]}"]
        steps.append(f"{values[day]} - {values[day - 1]} = {answer}")
        wrong = [values[day], values[day] + values[day - 1], answer + step]
    elif kind == 2:
        asked = "How many times does the value rise from one day to the next?"
        steps = [f"The changes are {', '.join(map(str, rises))}", f"number of rises = {answer}"]
        wrong = [len(rises) - answer, answer + 1, len(values)]
    else:
        asked = "What is the largest rise from one day to the next?"
        steps = [f"The changes are {', '.join(map(str, rises))}", f"largest = {answer}"]
        wrong = [max(values) - min(values), max(values), answer + step]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_lines(at: Points, numbers: Numbers) -> float:
    kind, step, day, *_ = numbers
    return _line_answer(kind, day, [round(value, 6) for value in _values_at(at, step, "p")])


def _sample_pie(lots: Lots, level: int) -> Numbers | None:
    count = 3 if level <= 3 else 4 if level <= 7 else 5
    grain = 10 if level <= 2 else 5 if level <= 7 else 1
    most = {3: 60, 4: 40, 5: 28}[count]
    shares = [lots.integer(12 // grain + 1, most // grain) * grain for _ in range(count - 1)]
    shares.append(100 - sum(shares))
    if shares[-1] < 12:
        return None
    kind = lots.integer(0, 1 if level <= 3 else 2)
    one, other = lots.pick(range(count), 2)
    total = 100 * lots.integer(1, 2 + 2 * level)
    if kind == 2 and shares[one] <= shares[other]:
        return None
    return kind, one, other, total if kind else 0, *shares


def _build_pie(numbers: Numbers, n: Names) -> Figure:
    kind, one, other, total, *shares = numbers
    scene = new_sheet()
    centre, radius, turn = (50.0, 50.0), 45.0, 90.0
    for i, share in enumerate(shares):
        end = turn - 3.6 * share
        scene.fill([centre, *arc(centre, radius, turn, end)], i)
        scene.curve([centre, polar(turn, radius, centre)])
        hidden = kind == 0 and i == one
        label = f"{n('ABCDE'[i])} ?" if hidden else f"{n('ABCDE'[i])} {share}%"
        x, y = polar((turn + end) / 2, 0.63 * radius, centre)
        scene.text(x, y, label, 0.85)
        scene.points[f"s{i}"] = polar(turn, radius, centre)
        turn = end
    scene.curve(arc(centre, radius, 0, 360)).add(M=centre)
    names = [n("ABCDE"[i]) for i in range(len(shares))]
    told = [f"{name} {share}%" for i, (name, share) in enumerate(zip(names, shares, strict=True)) if kind or i != one]
    drawn = f"A pie chart of {join(names)} shows {join(told)}."
    if kind == 0:
        others = [share for i, share in enumerate(shares) if i != one]
        answer: Value = shares[one]
        asked = f"How many percent is {names[one]}?"
        steps = ["All parts add up to 100", f"100 - {' - '.join(map(str, others))} = {answer}"]
        wrong: list[Value] = [sum(others), shares[one] + 5, 100 - others[0]]
    elif kind == 1:
        answer = Fraction(shares[one] * total, 100)
        asked = f"The whole pie is {total}. How much is {names[one]}?"
        steps = [f"{names[one]} is {shares[one]}%", f"{shares[one]} * {total} / 100 = {answer}"]
        wrong = [shares[one], total - answer, Fraction(shares[other] * total, 100)]
    else:
        answer = Fraction((shares[one] - shares[other]) * total, 100)
        asked = f"The whole pie is {total}. How much more is {names[one]} than {names[other]}?"
        difference = shares[one] - shares[other]
        steps = [f"{shares[one]} - {shares[other]} = {difference} percent", f"{difference} * {total} / 100 = {answer}"]
        wrong = [difference, Fraction(shares[one] * total, 100), Fraction((shares[one] + shares[other]) * total, 100)]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_pie(at: Points, numbers: Numbers) -> float:
    kind, one, other, total, *_ = numbers
    x, y = seen(at, "M")
    starts = [name for name in at if name.startswith("s")]
    angles = [math.degrees(math.atan2(seen(at, name)[1] - y, seen(at, name)[0] - x)) for name in starts]
    shares = [(a - b) % 360 / 3.6 for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
    if kind == 0:
        return shares[one]
    return (shares[one] - (shares[other] if kind == 2 else 0)) * total / 100


def _sample_table(lots: Lots, level: int) -> Numbers | None:
    rows, columns = min(6, 2 + level // 2), min(4, 2 + level // 3)
    kind = lots.integer(0, 1 if level <= 2 else 4)
    cells = [lots.integer(2, 9 + 9 * level) for _ in range(rows * columns)]
    words = lots.pick(range(len(WORDS)), rows)
    row, column = lots.integer(0, rows - 1), lots.integer(0, columns - 1)
    in_column = cells[column::columns]
    if kind == 4 and in_column.count(max(in_column)) > 1:
        return None
    return kind, rows, columns, row, column, *cells, *words


def _table_answer(kind: int, rows: int, columns: int, row: int, column: int, cells: list[int]) -> int:
    in_row, in_column = cells[row * columns : (row + 1) * columns], cells[column::columns]
    if kind == 4:
        return in_column.index(max(in_column))
    return (cells[row * columns + column], sum(in_row), sum(in_column), max(in_column) - min(in_column))[kind]


def _build_table(numbers: Numbers, n: Names) -> Figure:
    kind, rows, columns, row, column, *rest = numbers
    cells, words = rest[: rows * columns], [WORDS[i] for i in rest[rows * columns :]]
    heads = [n("ABCD"[i]) for i in range(columns)]
    scene = new_sheet()
    wide, high = 92 / (columns + 1), min(16.0, 92 / (rows + 1))
    left, top = 4.0, 50 + high * (rows + 1) / 2
    for i in range(rows + 2):
        scene.curve([(left, top - i * high), (left + 92, top - i * high)])
    for j in range(columns + 2):
        scene.curve([(left + j * wide, top), (left + j * wide, top - (rows + 1) * high)])
    for j, head in enumerate(heads):
        scene.text(left + (j + 1.5) * wide, top - 0.5 * high, head)
    for i, word in enumerate(words):
        scene.text(left + 0.5 * wide, top - (i + 1.5) * high, word)
        for j in range(columns):
            scene.text(left + (j + 1.5) * wide, top - (i + 1.5) * high, cells[i * columns + j])
    lines = [
        f"{word}: " + ", ".join(f"{head} {cells[i * columns + j]}" for j, head in enumerate(heads))
        for i, word in enumerate(words)
    ]
    drawn = "A table. " + "; ".join(lines) + "."
    number = _table_answer(kind, rows, columns, row, column, cells)
    answer: Value = number
    in_row, in_column = cells[row * columns : (row + 1) * columns], cells[column::columns]
    listed = ", ".join(map(str, in_column))
    if kind == 0:
        asked = f"What is the value of {words[row]} in column {heads[column]}?"
        steps = [f"Row {words[row]}, column {heads[column]}: {answer}"]
        wrong: list[Value] = [*in_row, *in_column, number + 1, number + 10]
    elif kind == 1:
        asked = f"What is the sum of the row {words[row]}?"
        steps = [f"{' + '.join(map(str, in_row))} = {answer}"]
        wrong = [sum(in_column), number + 10, number - 1]
    elif kind == 2:
        asked = f"What is the sum of column {heads[column]}?"
        steps = [f"{' + '.join(map(str, in_column))} = {answer}"]
        wrong = [sum(in_row), number + 10, number - 1]
    elif kind == 3:
        asked = f"What is the difference between the largest and the smallest value in column {heads[column]}?"
        steps = [f"Column {heads[column]}: {listed}", f"{max(in_column)} - {min(in_column)} = {answer}"]
        wrong = [max(in_column), max(cells) - min(cells), number + 1]
    else:
        answer = words[number]
        asked = f"Which row has the largest value in column {heads[column]}?"
        steps = [f"Column {heads[column]}: {listed}", f"The largest is {max(in_column)}, in row {answer}"]
        wrong = [word for word in (*words, *WORDS) if word != answer]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_table(at: Points, numbers: Numbers) -> float | str:
    # A table has no lengths to measure: it is read cell by cell.
    kind, rows, columns, row, column, *rest = numbers
    number = _table_answer(kind, rows, columns, row, column, rest[: rows * columns])
    return WORDS[rest[rows * columns :][number]] if kind == 4 else float(number)


CHARTS = (
    DiagramFamily("bar_chart", _sample_bars, _build_bars, _measure_bars),
    DiagramFamily("line_chart", _sample_lines, _build_lines, _measure_lines),
    DiagramFamily("pie_chart", _sample_pie, _build_pie, _measure_pie),
    DiagramFamily("table", _sample_table, _build_table, _measure_table),
)
