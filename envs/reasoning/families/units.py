"""Units: lengths, masses and volumes, speeds, times, weekdays, temperatures, money."""

from __future__ import annotations

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import NAMES, WEEKDAYS
from .notation import decimal, listed, ratio, signed

# Names, smallest first, and the power of ten of each in the smallest.
SCALES = (
    (("mm", "cm", "m", "km"), (0, 1, 3, 6)),
    (("mg", "g", "kg", "t"), (0, 3, 6, 9)),
    (("ml", "cl", "l", "hl"), (0, 1, 3, 5)),
    (("mm^2", "cm^2", "m^2", "km^2"), (0, 2, 6, 12)),
    (("mm^3", "cm^3", "dm^3", "m^3"), (0, 3, 6, 9)),
)
ALONE = " Give the number alone."


# (scale, from, to, scaled value, places).
def _sample_metric(draw: Draw, level: int) -> Numbers:
    scale = draw.integer(0, 2 if level < 4 else 3 if level < 7 else 4)
    start, end = draw.sample(range(4 if level > 2 else 3), 2)
    return scale, start, end, draw.integer(11, 500 * level + 500), draw.integer(0, 1 + level // 4)


def _word_metric(numbers: Numbers, voice: Draw) -> Wording:
    scale, start, end, value, places = numbers
    names, powers = SCALES[scale]
    shift = powers[start] - powers[end]
    scaled, digits = (value * 10**shift, places) if shift > 0 else (value, places - shift)
    answer, given = decimal(scaled, digits), decimal(value, places)
    begin = voice.choice(("Convert {0} {1} to {2}.", "How many {2} are {0} {1}?", "Write {0} {1} in {2}."))
    steps = (
        f"1 {names[start]} = {10**shift} {names[end]}"
        if shift > 0
        else f"1 {names[end]} = {10**-shift} {names[start]}",
        f"{given} {'*' if shift > 0 else '/'} {10 ** abs(shift)} = {answer}",
    )
    return Wording(begin.format(given, names[start], names[end]) + ALONE, steps, answer)


# (kind, value, second value): km/h to m/s, m/s to km/h, m/min to km/h, distance in m of so many seconds at km/h.
def _sample_speed(draw: Draw, level: int) -> Numbers:
    kind = draw.integer(0, min(3, level // 2 + 1))
    return kind, draw.integer(5, 60 + 40 * level), draw.integer(5, 50 + 20 * level)


def _word_speed(numbers: Numbers, voice: Draw) -> Wording:
    kind, speed, number = numbers
    thing = voice.choice(("A cyclist", "A drone", "A boat", "A train", "A bird"))
    if kind == 0:
        answer = ratio(speed * 5, 18)
        question = f"{thing} covers {number} km at a steady {speed} km/h. What is the speed in m/s?"
        steps = ("1 km/h = 1000 m / 3600 s = 5/18 m/s; the distance does not matter.", f"{speed} * 5/18 = {answer}")
    elif kind == 1:
        answer = ratio(speed * 18, 5)
        question = f"{thing} moves at {speed} m/s for {number} s. What is the speed in km/h?"
        steps = ("1 m/s = 3600 m/h = 18/5 km/h; the time does not matter.", f"{speed} * 18/5 = {answer}")
    elif kind == 2:
        answer = ratio(speed * 60, number * 1000)
        question = f"{thing} covers {speed} m in {number} minutes. What is the speed in km/h?"
        steps = (
            f"{speed} m = {speed}/1000 km and {number} minutes = {number}/60 h",
            f"{speed}/1000 * 60/{number} = {answer}",
        )
    else:
        answer = ratio(speed * number * 5, 18)
        question = f"{thing} moves at {speed} km/h. How many metres does it cover in {number} seconds?"
        steps = (
            f"{speed} km/h = {speed} * 5/18 m/s = {ratio(speed * 5, 18)} m/s",
            f"{ratio(speed * 5, 18)} * {number} = {answer}",
        )
    return Wording(question + " Give an integer or a fraction in lowest terms.", steps, answer)


# (days between, minute of the first day, minute of the last).
def _sample_time_between(draw: Draw, level: int) -> Numbers:
    first = draw.integer(0, 1438)
    return (draw.integer(0, level // 3), first, draw.integer(first + 1, 1439))


def _word_time_between(numbers: Numbers, voice: Draw) -> Wording:
    days, first, last = numbers
    day = voice.integer(0, 6)
    begin = voice.choice(
        (
            "A trip begins on {0} at {1} and ends on {2} at {3}, within a week. How many minutes does it last?",
            "A ferry leaves on {0} at {1} and arrives on {2} at {3} within a week. How many minutes is it under way?",
            "How many minutes pass from {0}, {1}, to {2}, {3}, in the same seven days?",
        )
    )
    times = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in (first, last)]
    answer = 1440 * days + last - first
    hours, minutes = divmod(last - first, 60)
    steps = [
        f"From {times[0]} to {times[1]}: {hours} h {minutes} min = {hours} * 60 + {minutes} = {last - first} minutes"
    ]
    if days:
        steps.append(f"Whole days: {days} * 1440 = {1440 * days}, and {1440 * days} + {last - first} = {answer}")
    question = begin.format(WEEKDAYS[day], times[0], WEEKDAYS[(day + days) % 7], times[1])
    return Wording(question, tuple(steps), str(answer))


# (weekday, then steps in days, negative for the past).
def _sample_weekday(draw: Draw, level: int) -> Numbers:
    steps = [draw.integer(8, 300 * level + 300)]
    if level > 2:
        steps.append(draw.nonzero(-200 * level, 200 * level))
    if level > 6:
        steps.append(draw.nonzero(-200 * level, 200 * level))
    return draw.integer(0, 6), *steps


def _word_weekday(numbers: Numbers, voice: Draw) -> Wording:
    day, *moves = numbers
    total = sum(moves)
    parts = [f"{abs(move)} days {'later' if move > 0 else 'earlier'}" for move in moves]
    begin = voice.choice(
        (
            "Today is {0}. Which weekday is it {1}?",
            "A clock is started on a {0}. Which weekday is it {1}?",
            "It is {0}. What day of the week is it {1}?",
        )
    )
    answer = WEEKDAYS[(day + total) % 7]
    steps = (
        " ".join([str(moves[0]), *map(signed, moves[1:])]) + f" = {total} days",
        f"{total} = {total // 7} * 7 + {total % 7}",
        f"{WEEKDAYS[day]} and {total % 7} days: {answer}",
    )
    return Wording(begin.format(WEEKDAYS[day], " and from then ".join(parts)), steps, answer)


# (kind, then pairs): hours and minutes, metres and centimetres, feet and inches.
MIXED = ((("h", "min"), 60), (("m", "cm"), 100), (("feet", "inches"), 12), (("kg", "g"), 1000))


def _sample_mixed(draw: Draw, level: int) -> Numbers:
    kind = draw.integer(0, 3)
    pairs = []
    for _ in range(2 + level // 3):
        pairs += (draw.integer(1, 4 + 2 * level), draw.integer(1, MIXED[kind][1] - 1))
    return kind, *pairs


def _word_mixed(numbers: Numbers, voice: Draw) -> Wording:
    kind, *pairs = numbers
    (large, small), size = MIXED[kind]
    amounts = [(pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2)]
    values = [a * size + b for a, b in amounts]
    steps = [f"{a} * {size} + {b} = {value}" for (a, b), value in zip(amounts, values, strict=True)]
    steps.append(f"{' + '.join(map(str, values))} = {sum(values)}")
    begin = voice.choice(
        ("Add {0}. How many {1} is that?", "What is the sum of {0}, in {1}?", "Compute the sum of {0} in {1}.")
    )
    question = begin.format(listed([f"{a} {large} {b} {small}" for a, b in amounts]), small)
    return Wording(question + ALONE, tuple(steps), str(sum(values)))


# (0 from Celsius or 1 from Fahrenheit, start, then changes), all in tenths of a degree.
def _sample_temperature(draw: Draw, level: int) -> Numbers:
    unit = 10 if level < 3 else 5 if level < 6 else 1
    changes = [unit * draw.nonzero(-250 // unit, 250 // unit) for _ in range(1 + level // 4)]
    return draw.integer(0, 1), unit * draw.integer(-300 // unit, 900 // unit), *changes


def _word_temperature(numbers: Numbers, voice: Draw) -> Wording:
    back, start, *changes = numbers
    total = start + sum(changes)
    known, asked = ("Fahrenheit", "Celsius") if back else ("Celsius", "Fahrenheit")
    moves = [f"{'rises' if change > 0 else 'falls'} by {decimal(abs(change), 1)} degrees" for change in changes]
    begin = voice.choice(
        (
            "The temperature is {0} degrees {1}. It {2}. What is it then in degrees {3}?",
            "A liquid has {0} degrees {1}; its temperature {2}. How many degrees {3} does it have then?",
            "At noon it is {0} degrees {1}. The temperature {2}. What is it afterwards in degrees {3}?",
        )
    )
    now = decimal(total, 1)
    steps = [
        " ".join([decimal(start, 1), *(f"{'+' if c > 0 else '-'} {decimal(abs(c), 1)}" for c in changes)]) + f" = {now}"
    ]
    if back:
        answer = ratio(5 * (total - 320), 90)
        steps.append(f"({now} - 32) * 5/9 = {decimal(total - 320, 1)} * 5/9 = {answer}")
    else:
        answer = decimal(18 * total + 3200, 2)
        steps.append(f"{now} * 9/5 + 32 = {decimal(18 * total, 2)} + 32 = {answer}")
    question = begin.format(decimal(start, 1), known, ", then ".join(moves), asked)
    return Wording(question + " Give the exact number alone.", tuple(steps), answer)


# (amount, then rates in hundredths).
def _sample_exchange(draw: Draw, level: int) -> Numbers:
    places = 10 if level < 4 else 1
    rates = [
        places * draw.integer(11 if places == 10 else 101, 40 if places == 10 else 450)
        for _ in range(1 + (level + 1) // 4)
    ]
    return 5 * draw.integer(2, 20 + 20 * level), *rates


def _word_exchange(numbers: Numbers, voice: Draw) -> Wording:
    amount, *rates = numbers
    money = voice.sample(
        ("crowns", "ducats", "florins", "guilders", "marks", "pesos", "thalers", "dinars"), len(rates) + 1
    )
    known = [f"1 {money[i][:-1]} is worth {decimal(rate, 2)} {money[i + 1]}" for i, rate in enumerate(rates)]
    scaled, places, steps = amount, 0, []
    for i, rate in enumerate(rates):
        after = scaled * rate
        steps.append(f"{decimal(scaled, places)} * {decimal(rate, 2)} = {decimal(after, places + 2)} {money[i + 1]}")
        scaled, places = after, places + 2
    name = voice.choice(NAMES)
    begin = voice.choice(
        (
            "{0} changes {1} {2}, and {3}. How many {4} is that?",
            "{0} has {1} {2}; {3}. How many {4} does {0} get for them?",
        )
    )
    question = begin.format(name, amount, money[0], " and ".join(known), money[-1])
    return Wording(question + " Do not round.", tuple(steps), decimal(scaled, places))


UNITS = (
    TextFamily("metric_units", "units", _sample_metric, _word_metric),
    TextFamily("speed_units", "units", _sample_speed, _word_speed),
    TextFamily("time_between", "units", _sample_time_between, _word_time_between),
    TextFamily("weekday", "units", _sample_weekday, _word_weekday),
    TextFamily("mixed_units", "units", _sample_mixed, _word_mixed),
    TextFamily("temperature", "units", _sample_temperature, _word_temperature),
    TextFamily("exchange_rates", "units", _sample_exchange, _word_exchange),
)
