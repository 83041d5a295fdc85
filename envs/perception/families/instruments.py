"""Instruments: a clock, a ruler, a number line."""

from __future__ import annotations

import math
from fractions import Fraction

from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Line, Names, arc, polar

from .sheet import Points, new_sheet, seen

CENTRE = (50.0, 50.0)


def _sample_clock(lots: Lots, level: int) -> Numbers | None:
    grain = 15 if level <= 2 else 5 if level <= 5 else 1
    hour, minute = lots.integer(0, 11), lots.integer(0, 60 // grain - 1) * grain
    kind = lots.integer(0, 1 if level <= 4 else 2)
    # Hands that lie over each other cannot be told apart.
    apart = abs((30 * hour - 5.5 * minute + 180) % 360 - 180)
    later = lots.integer(1, 200) if kind != 1 else lots.integer(1, 11) * 60 + lots.integer(0, 59)
    return (kind, hour, minute, later) if apart >= 8 else None


def _clock_answer(kind: int, past: Fraction, later: int) -> Fraction:
    """The answer from the minutes since 12 o'clock."""
    if kind == 0:
        return (past + later) % 720
    if kind == 1:
        return (later - past) % 720 or Fraction(720)
    then = past + later
    apart = (then / 2 - 6 * then) % 360
    return min(apart, 360 - apart)


def _build_clock(numbers: Numbers, n: Names) -> Figure:
    kind, hour, minute, later = numbers
    scene = new_sheet().curve(arc(CENTRE, 46, 0, 360), weight=1.3)
    for i in range(60):
        inner = 41.5 if i % 5 == 0 else 44.0
        scene.curve([polar(6 * i, inner, CENTRE), polar(6 * i, 46.0, CENTRE)])
    for i in range(1, 13):
        x, y = polar(90 - 30 * i, 36, CENTRE)
        scene.text(x, y, i)
    # The hands end before the numbers.
    short, long = 90 - 30 * hour - minute / 2, 90 - 6 * minute
    scene.add(M=CENTRE, h=polar(short, 17.0, CENTRE), m=polar(long, 30.5, CENTRE))
    scene.marks += [Line("M", "h", weight=2.6), Line("M", "m", weight=1.3)]
    scene.dots("M")
    shown, past = f"{hour or 12}:{minute:02d}", 60 * hour + minute
    drawn = f"A clock with twelve hours shows {shown}."
    answer = _clock_answer(kind, Fraction(past), later)
    steps = [f"The clock shows {shown}, which is {hour} * 60 + {minute} = {past} minutes after 12"]
    if kind == 0:
        asked = f"In {later} minutes, how many minutes after 12 o'clock will it be?"
        steps.append(f"{past} + {later} = {past + later}")
        if past + later >= 720:
            steps.append(f"Past 12 again: {past + later} - 720 = {answer}")
        wrong: list[Value] = [answer + 60, past, abs(answer - 60) + 1, 60 * (minute // 5) + 5 * hour + later]
    elif kind == 1:
        asked = f"How many minutes is it until the clock next shows {later // 60}:{later % 60:02d}?"
        target = later if later > past else later + 720
        steps += [
            f"{later // 60}:{later % 60:02d} comes {target} minutes after that 12",
            f"{target} - {past} = {answer}",
        ]
        wrong = [answer + 60, abs(answer - 60) + 1, 720 - answer, past]
    else:
        asked = f"In {later} minutes, how many degrees will the smaller angle between the hands be?"
        then = past + later
        hand = Fraction(then, 2) % 360
        steps += [
            f"Then it is {then} minutes after 12",
            f"The short hand is at {then}/2, which is {hand} degrees, the long one at {6 * then % 360}",
            f"The smaller angle between them = {answer}",
        ]
        wrong = [360 - answer, answer + Fraction(later, 2), _clock_answer(2, Fraction(past), 0)]
    return Figure(scene, "", drawn, asked, steps, answer, wrong)


def _measure_clock(at: Points, numbers: Numbers) -> float:
    (x, y), (hx, hy), (mx, my) = (seen(at, name) for name in "Mhm")
    short, long = (90 - math.degrees(math.atan2(dy, dx)) for dx, dy in ((hx - x, hy - y), (mx - x, my - y)))
    minute = round(long % 360 / 6) % 60
    hour = round(((short - minute / 2) % 360) / 30) % 12
    return float(_clock_answer(numbers[0], Fraction(60 * hour + minute), numbers[3]))


def _sample_ruler(lots: Lots, level: int) -> Numbers | None:
    # In tenths, on whole or half marks first. Of the two bars the first is the longer one.
    grain = 10 if level <= 2 else 5 if level <= 5 else 1
    kind = 0 if level <= 3 else lots.integer(0, 1)
    starts = [lots.integer(0, 40 // grain) * grain for _ in range(2)]
    lengths = [lots.integer(20 // grain, 70 // grain) * grain for _ in range(2)]
    if lengths[1] >= lengths[0] or any(start + length > 97 for start, length in zip(starts, lengths, strict=True)):
        return None
    return kind, starts[0], lengths[0], starts[1], lengths[1]


def _build_ruler(numbers: Numbers, n: Names) -> Figure:
    kind, *rest = numbers
    scene, unit, left = new_sheet(), 8.4, 7.0
    scene.curve([(2.0, 24.0), (98.0, 24.0), (98.0, 52.0), (2.0, 52.0), (2.0, 24.0)])
    for tenth in range(101):
        x = left + tenth * unit / 10
        height = 8.0 if tenth % 10 == 0 else 6.0 if tenth % 5 == 0 else 3.5
        scene.curve([(x, 52.0), (x, 52.0 - height)], weight=0.5)
        if tenth % 10 == 0:
            scene.text(x, 34.0, tenth // 10, 0.9)
    told, lengths = [], []
    for i, (name, start, length) in enumerate(zip(n("AB"), rest[::2], rest[1::2], strict=True)):
        x, end, y = left + start * unit / 10, left + (start + length) * unit / 10, 63.0 + 17 * i
        box = [(x, y - 5), (end, y - 5), (end, y + 5), (x, y + 5)]
        scene.fill(box, i).curve([*box, box[0]]).text((x + end) / 2, y, name, 0.9)
        scene.points[f"l{i}"], scene.points[f"r{i}"] = (x, y), (end, y)
        for edge in (x, end):
            scene.curve([(edge, y - 5), (edge, 52.0)], dashed=True, faint=True)
        first, last = start / 10, (start + length) / 10
        told.append(f"bar {name} from {first:g} to {last:g}")
        lengths.append(f"{name}: {last:g} - {first:g} = {length / 10:g}")
    scene.add(zero=(left, 52.0), ten=(left + 10 * unit, 52.0))
    drawn = f"Along a ruler lie {' and '.join(told)}."
    long, short = Fraction(rest[1], 10), Fraction(rest[3], 10)
    if kind == 0:
        asked = f"How long is the bar {n('A')}, in units of the ruler?"
        wrong: list[Value] = [Fraction(rest[0] + rest[1], 10), short, long + 1, long + Fraction(1, 2)]
        return Figure(scene, "", drawn, asked, [lengths[0], f"length = {long}"], long, wrong)
    asked = f"How much longer is the bar {n('A')} than the bar {n('B')}, in units of the ruler?"
    steps = [*lengths, f"difference = {long - short}"]
    return Figure(scene, "", drawn, asked, steps, long - short, [long + short, long, short, long - short + 1])


def _measure_ruler(at: Points, numbers: Numbers) -> float:
    unit = (seen(at, "ten")[0] - seen(at, "zero")[0]) / 10
    long, short = ((seen(at, f"r{i}")[0] - seen(at, f"l{i}")[0]) / unit for i in range(2))
    return long - short if numbers[0] else long


def _sample_number_line(lots: Lots, level: int) -> Numbers | None:
    low = lots.integer(-5 * level, 5 * level) if level > 3 else lots.integer(0, 40)
    step = 1 if level <= 2 else lots.choice((1, 2, 5) if level <= 6 else (1, 2, 5, 10, 20))
    parts = lots.choice((2, 4, 5) if level <= 5 else (3, 4, 5, 6, 8))
    place, other = lots.integer(1, 3 * parts - 1), lots.integer(1, 3 * parts - 1)
    kind = 0 if level <= 4 else lots.integer(0, 1)
    near = (place - other) / parts < 0.3
    if place % parts == 0 or (kind == 1 and (near or other % parts == 0)):
        return None
    return kind, low, step, parts, place, other if kind else 0


def _build_number_line(numbers: Numbers, n: Names) -> Figure:
    kind, low, step, parts, place, other = numbers
    scene, left, right = new_sheet(), 8.0, 92.0
    scene.curve([(3.0, 50.0), (97.0, 50.0)])
    unit = (right - left) / (3 * parts)
    for i in range(3 * parts + 1):
        x, height = left + i * unit, 5.0 if i % parts == 0 else 2.6
        scene.curve([(x, 50 - height), (x, 50 + height)])
        if i % parts == 0:
            scene.text(x, 38.0, low + step * (i // parts))
    scene.add(zero=(left, 50.0), end=(right, 50.0), A=(left + place * unit, 50.0))
    small = Fraction(step, parts)
    value = low + small * place
    scene.dots("A", 1.6).text(left + place * unit, 60.0, n("A"))
    steps = [f"A whole step is {step}, cut into {parts}: each small step is {small}"]
    steps.append(f"{n('A')} = {low} + {place} * {small} = {value}")
    drawn = f"On a number line with small steps of {small}, {n('A')} stands {place} small steps after {low}."
    if kind == 0:
        wrong: list[Value] = [low + Fraction(place, 10), value + small, low + place, value - small]
        return Figure(scene, "", drawn, f"Which number does {n('A')} stand for?", steps, value, wrong)
    scene.add(B=(left + other * unit, 50.0)).dots("B", 1.6).text(left + other * unit, 60.0, n("B"))
    answer = small * (place - other)
    drawn += f" {n('B')} stands {other} small steps after {low}."
    steps[1] = f"From {n('B')} to {n('A')} there are {place - other} small steps: {place - other} * {small} = {answer}"
    wrong = [place - other, answer + small, value, Fraction(place - other, 10)]
    return Figure(scene, "", drawn, f"How far is it from {n('B')} to {n('A')}?", steps, answer, wrong)


def _measure_number_line(at: Points, numbers: Numbers) -> float:
    kind, low, step, *_ = numbers
    (zero, _), (end, _), (a, _) = (seen(at, name) for name in ("zero", "end", "A"))
    value = low + 3 * step * (a - zero) / (end - zero)
    return value if kind == 0 else 3 * step * (a - seen(at, "B")[0]) / (end - zero)


INSTRUMENTS = (
    DiagramFamily("clock", _sample_clock, _build_clock, _measure_clock),
    DiagramFamily("ruler", _sample_ruler, _build_ruler, _measure_ruler),
    DiagramFamily("number_line", _sample_number_line, _build_number_line, _measure_number_line),
)
