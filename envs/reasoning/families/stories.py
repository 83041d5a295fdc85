"""Word problems: work, travel, mixtures, ages, stock, grades, animals."""

from __future__ import annotations

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import ITEMS, NAMES
from .notation import chain, listed, ratio, reduced

LOWEST = " Give an integer or a fraction in lowest terms."


# (hours of each alone; the last may be negative: a drain).
def _sample_work(draw: Draw, level: int) -> Numbers | None:
    high = 30 + 5 * level
    times = draw.integers(2, high, 2 + (level > 5))
    if level > 3 and draw.flip():
        times[-1] = -draw.integer(2, high)
    return tuple(times) if sum(1 / time for time in times) > 1e-9 else None


def _word_work(numbers: Numbers, voice: Draw) -> Wording:
    bottom = 1
    for time in numbers:
        bottom *= abs(time)
    shares = [bottom // time for time in numbers]
    top, drains = sum(shares), numbers[-1] < 0
    answer = ratio(bottom, top)
    steps = [
        " ".join(["In one hour:", f"1/{numbers[0]}", *(f"- 1/{-t}" if t < 0 else f"+ 1/{t}" for t in numbers[1:])])
        + f" = {top}/{bottom}",
        f"The whole takes {reduced(bottom, top)} hours.",
    ]
    if drains or voice.flip():
        tank = voice.choice(("tank", "pool", "basin", "barrel", "cistern", "tub"))
        fills = [
            f"pipe {'ABC'[i]} fills it in {time} hours" if time > 0 else f"drain {'ABC'[i]} empties it in {-time} hours"
            for i, time in enumerate(numbers)
        ]
        question = f"A {tank} is empty. Alone {listed(fills)}. All are open. After how many hours is the {tank} full?"
    else:
        people = voice.sample(NAMES, len(numbers))
        job = voice.choice(("paints a fence", "weeds a field", "sorts the archive", "builds a wall"))
        alone = listed([f"{name} in {time} hours" for name, time in zip(people, numbers, strict=True)])
        question = f"Each {job} alone: {alone}. How many hours do they need together?"
    return Wording(question + LOWEST, tuple(steps), answer)


# (kind, distance, speed, speed, head start in hours): towards each other, or the second after the first.
def _sample_travel(draw: Draw, level: int) -> Numbers:
    first = draw.integer(20, 50 + 8 * level)
    kind = draw.integer(0, 1) if level > 2 else 0
    second = first + draw.integer(3, 30) if kind else draw.integer(20, 50 + 8 * level)
    start = draw.integer(1, 2 + level // 3) if level > 4 or kind else 0
    return kind, draw.integer(60, 200 + 40 * level) + first * start, first, second, start


def _word_travel(numbers: Numbers, voice: Draw) -> Wording:
    kind, distance, first, second, start = numbers
    one, two = voice.sample(NAMES, 2)
    hours = f"{start} hour{'s' * (start > 1)}"
    if kind == 0:
        left = distance - first * start
        answer = ratio(left, first + second)
        question = f"{one} and {two}, {distance} km apart, drive towards each other at {first} km/h and {second} km/h. "
        steps = [f"Together they come {first} + {second} = {first + second} km closer each hour."]
        if start:
            question += f"{one} leaves {hours} before {two}. "
            steps.insert(
                0,
                f"{one} drives {start} * {first} = {start * first} km alone; {distance} - {start * first} = {left}.",
            )
        question += (
            f"How many hours after {two} leaves do they meet?"
            if start
            else "How many hours after their start do they meet?"
        )
        steps.append(reduced(left, first + second))
    else:
        ahead = start * first
        answer = ratio(ahead, second - first)
        question = (
            f"{one} drives at {first} km/h. {two} follows on the same road {hours} later at {second} km/h. "
            + voice.choice(
                (
                    f"How many hours does {two} need to catch up?",
                    f"After how many hours of driving does {two} reach {one}?",
                )
            )
        )
        steps = [
            f"{one} is {start} * {first} = {ahead} km ahead.",
            f"{two} gains {second} - {first} = {second - first} km each hour.",
            reduced(ahead, second - first),
        ]
    return Wording(question + LOWEST, tuple(steps), answer)


# Amount and percent of each part.
def _sample_mixture(draw: Draw, level: int) -> Numbers:
    numbers: list[int] = []
    for _ in range(2 + (level > 5)):
        numbers += (draw.integer(2, 9 + 4 * level), draw.integer(1, 60 + 3 * level))
    return tuple(numbers)


def _word_mixture(numbers: Numbers, voice: Draw) -> Wording:
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
    what, of = voice.choice(
        (("litres", "acid"), ("kilograms", "salt"), ("cups", "juice"), ("grams", "gold"), ("litres", "alcohol"))
    )
    parts = [amount * percent for amount, percent in pairs]
    total = sum(amount for amount, _ in pairs)
    answer = ratio(sum(parts), total)
    begin = voice.choice(
        (
            "One mixes {0}. What percentage of {1} does the mixture have?",
            "{0} are poured together. How many percent of {1} are in the whole?",
        )
    )
    text = listed([f"{amount} {what} with {percent}% {of}" for amount, percent in pairs])
    steps = (
        f"In hundredths: {' + '.join(f'{a} * {p}' for a, p in pairs)} = {sum(parts)}",
        f"{' + '.join(str(a) for a, _ in pairs)} = {total} {what}",
        reduced(sum(parts), total),
    )
    return Wording(begin.format(text, of) + " Give the number of percent as an integer or a fraction.", steps, answer)


# (kind, years older, times, years, who is asked for, years of a third): one will be, or was, so many times as old.
def _sample_ages(draw: Draw, level: int) -> Numbers | None:
    times, years = draw.integer(2, 3 + level // 3), draw.integer(1, 12 + level)
    kind = draw.integer(0, 1)
    younger = draw.integer(years + 1, 30 + 3 * level)
    older = (times - 1) * (younger - years if kind else younger + years)
    return (kind, older, times, years, draw.integer(0, 2), draw.integer(1, 9 + level)) if older < 80 else None


def _word_ages(numbers: Numbers, voice: Draw) -> Wording:
    kind, older, times, years, asked, beside = numbers
    then = older // (times - 1)
    younger = then + years if kind else then - years
    a, b, c = voice.sample(NAMES, 3)
    before = f"{_years(years)} ago {a} was" if kind else f"In {_years(years)} {a} will be"
    text = f"{a} is {_years(older)} older than {b}. {before} {times} times as old as {b}."
    steps = [
        f"The difference is {times} - 1 = {times - 1} times the age of {b} then: {older} / {times - 1} = {then}",
        f"Today {b} is {then} {'+' if kind else '-'} {years} = {younger}.",
    ]
    ages = (younger, younger + older, younger + older + beside)
    if asked > 0:
        steps.append(f"{a} is {younger} + {older} = {ages[1]}.")
    if asked > 1:
        text += f" {c} is {_years(beside)} older than {a}."
        steps.append(f"{c} is {ages[1]} + {beside} = {ages[2]}.")
    end = voice.choice(("How old is {} today?", "What is the age of {} now?", "How old is {} now?"))
    return Wording(f"{text} {end.format((b, a, c)[asked])}", tuple(steps), str(ages[asked]))


def _years(number: int) -> str:
    return "1 year" if number == 1 else f"{number} years"


# (number of things, then pairs): 0 comes, 1 goes, 2 doubles, 3 a part is given away.
def _sample_stock(draw: Draw, level: int) -> Numbers:
    total = draw.integer(20, 60 + 30 * level)
    numbers = [total]
    for _ in range(2 + level // 2):
        parts = [k for k in (2, 3, 4, 5) if total % k == 0]
        kind = draw.integer(0, 1 if level < 3 else 3)
        if kind == 3 and parts and total > 12:
            numbers += (3, draw.choice(parts))
            total -= total // numbers[-1]
        elif kind == 2 and total < 500:
            numbers += (2, 2)
            total *= 2
        elif kind == 1 and total > 10:
            numbers += (1, draw.integer(1, total // 2))
            total -= numbers[-1]
        else:
            numbers += (0, draw.integer(3, 30 + 10 * level))
            total += numbers[-1]
    return tuple(numbers)


def _word_stock(numbers: Numbers, voice: Draw) -> Wording:
    total, *moves = numbers
    name, item = voice.choice(NAMES), voice.choice(ITEMS)
    text, steps = [f"{name} has {total} {item}."], []
    for place in range(0, len(moves), 2):
        kind, value = moves[place : place + 2]
        if kind == 0:
            text.append(
                voice.choice(("{0} buys {1} more.", "{0} gets {1} as a present.", "{1} more are delivered.")).format(
                    name, value
                )
            )
            steps.append(f"{total} + {value} = {total + value}")
            total += value
        elif kind == 1:
            text.append(
                voice.choice(("{0} sells {1} of them.", "{1} get lost.", "{0} gives {1} away.")).format(name, value)
            )
            steps.append(f"{total} - {value} = {total - value}")
            total -= value
        elif kind == 2:
            text.append(voice.choice(("Then the number doubles.", "{0} buys as many again as there are.")).format(name))
            steps.append(f"{total} * 2 = {2 * total}")
            total *= 2
        else:
            part = ("", "", "half", "a third", "a quarter", "a fifth")[value]
            text.append(
                voice.choice(("{0} gives {1} of them to a friend.", "{0} sells {1} of them.")).format(name, part)
            )
            steps.append(f"{total} - {total} / {value} = {total} - {total // value} = {total - total // value}")
            total -= total // value
    text.append(f"How many {item} does {name} have now?")
    return Wording(" ".join(text), tuple(steps), str(total))


# (average wished for, then the points so far).
def _sample_grades(draw: Draw, level: int) -> Numbers:
    points = draw.integers(40, 100, 2 + level // 2)
    count = len(points) + 1
    low, high = sum(points) // count + 1, (sum(points) + 100) // count
    return draw.integer(low, max(low, high)), *points


def _word_grades(numbers: Numbers, voice: Draw) -> Wording:
    wished, *points = numbers
    count, total = len(points) + 1, sum(points)
    name = voice.choice(NAMES)
    begin = voice.choice(
        (
            "{0} scored {1} points in {2} tests. How many points in the next one make the average {4}?",
            "In {2} rounds {0} got {1} points. How many does {0} need in the next for an average of {4} over all {3}?",
        )
    )
    steps = (
        chain(points),
        f"{count} * {wished} = {count * wished}",
        f"{count * wished} - {total} = {count * wished - total}",
    )
    question = begin.format(name, listed([str(p) for p in points]), len(points), count, wished)
    return Wording(question, steps, str(count * wished - total))


ANIMALS = (
    ("chickens", 2, "rabbits", 4), ("geese", 2, "goats", 4), ("ostriches", 2, "zebras", 4), 
    ("beetles", 6, "spiders", 8), ("ducks", 2, "beetles", 6), ("lizards", 4, "spiders", 8),
)  # fmt: skip


# (animals, number of the first, number of the second).
def _sample_legs(draw: Draw, level: int) -> Numbers:
    return draw.integer(0, len(ANIMALS) - 1), *draw.integers(3, 25 + 20 * level, 2)


def _word_legs(numbers: Numbers, voice: Draw) -> Wording:
    kind, a, b = numbers
    first, few, second, many = ANIMALS[kind]
    heads, legs = a + b, a * few + b * many
    begin = voice.choice(
        (
            "A farmer keeps {0} and {1}: {2} animals with {3} legs. How many {1} are there?",
            "{0} and {1} together have {2} heads and {3} legs. How many {1} are among them?",
            "Somebody counts {2} heads and {3} legs of {0} and {1}. How many of them are {1}?",
        )
    )
    question = begin.format(first, second, heads, legs)
    steps = (
        f"If all were {first}: {heads} * {few} = {heads * few} legs",
        f"Too few by {legs} - {heads * few} = {legs - heads * few}; each of the {second} has {many - few} more.",
        f"{legs - heads * few} / {many - few} = {b}",
    )
    return Wording(question[0].upper() + question[1:], steps, str(b))


STORIES = (
    TextFamily("work_together", "word problems", _sample_work, _word_work),
    TextFamily("travel", "word problems", _sample_travel, _word_travel),
    TextFamily("mixture", "word problems", _sample_mixture, _word_mixture),
    TextFamily("ages", "word problems", _sample_ages, _word_ages),
    TextFamily("stock", "word problems", _sample_stock, _word_stock),
    TextFamily("grades", "word problems", _sample_grades, _word_grades),
    TextFamily("heads_and_legs", "word problems", _sample_legs, _word_legs),
)
