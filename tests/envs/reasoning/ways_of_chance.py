"""Another way of working out the answers, continued: probability, sequences, units."""

from __future__ import annotations

import datetime
import math
import re
from fractions import Fraction
from itertools import product

from .ways_of_numbers import numbers_in, value_of

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def urn(p):
    asked, drawn, *counts = p.numbers

    def draw_on(left, seen):
        if len(seen) == drawn:
            good = (len(set(seen)) == 1, len(set(seen)) == drawn, seen.count(0) == 1)[asked]
            return Fraction(int(good))
        total = sum(left)
        return sum(
            Fraction(count, total) * draw_on(left[:i] + [count - 1] + left[i + 1 :], [*seen, i])
            for i, count in enumerate(left)
            if count
        )

    assert all(str(count) in p.question for count in counts)
    return draw_on(counts, [])


def two_dice(p):
    kind, a, b, limit = p.numbers
    assert all(str(n) in p.question for n in (a, b, limit))
    test = (
        lambda x, y: x + y == limit,
        lambda x, y: x + y >= limit,
        lambda x, y: x * y >= limit,
        lambda x, y: abs(x - y) >= limit,
    )[kind]
    rolls = [test(x, y) for x in range(1, a + 1) for y in range(1, b + 1)]
    return Fraction(sum(rolls), len(rolls))


def independent_events(p):
    chances = [Fraction(text) for text in re.findall(r"\d+/\d+", p.question)]
    total = Fraction(0)
    for outcome in product((0, 1), repeat=len(chances)):
        hits = sum(outcome)
        wanted = {
            "each of": hits == len(chances),
            "none of": hits == 0,
            "at least one": hits > 0,
            "exactly one": hits == 1,
        }
        (good,) = [value for words, value in wanted.items() if words in p.question]
        total += good * math.prod(c if hit else 1 - c for c, hit in zip(chances, outcome, strict=True))
    return total


def repeated_trials(p):
    chance = Fraction(re.findall(r"\d+/\d+", p.question)[0])
    _, _, trials, hits, least = p.numbers
    assert ("at least" in p.question) == bool(least)
    ways = [Fraction(1)] + [Fraction(0)] * trials
    for _ in range(trials):
        ways = [w * (1 - chance) + (ways[i - 1] * chance if i else 0) for i, w in enumerate(ways)]
    return sum(ways[hits:]) if least else ways[hits]


def lottery(p):
    prizes = [(int(a), int(b)) for a, b in re.findall(r"(\d+) of (\d+)", p.question)]
    tickets = int(re.findall(r"(\d+) (?:tickets|lots)", p.question)[0])
    price = re.search(r"A ticket costs (\d+)", p.question)
    worths = [worth for count, worth in prizes for _ in range(count)]
    worths += [0] * (tickets - len(worths))
    return sum(Fraction(worth - (int(price[1]) if price else 0), tickets) for worth in worths)


def bayes(p):
    share = Fraction(re.findall(r"probability (\d+/\d+)", p.question)[0])
    a, b, c, d = (int(n) for n in re.findall(r"(?:are|and) (\d+)", p.question))
    first, second = share * Fraction(a, a + b), (1 - share) * Fraction(c, c + d)
    return first / (first + second)


def conditional(p):
    total, first, second, both = (int(n) for n in numbers_in(p.question)[:4])
    a, b = re.findall(r"own ([a-z]+)(?:,| and)", p.question)[:2]
    assert total >= first + second - both
    known = re.search(r"(?:with|those with) ([a-z]+) ", p.question)
    assert known is not None and known[1] in (a, b)
    group = first if known[1] == a else second
    good = group - both if "not own" in p.question or "not to own" in p.question else both
    return Fraction(good, group)


def arithmetic_term(p):
    i, a, j, b, n = p.numbers
    assert all(str(number) in p.question for number in p.numbers)
    return a + Fraction(b - a, j - i) * (n - i)


def geometric_sequence(p):
    asked, first, top, bottom, n = p.numbers
    assert ("sum" in p.question) == bool(asked) and str(first) in p.question
    terms = [Fraction(first)]
    while len(terms) < n:
        terms.append(terms[-1] * Fraction(top, bottom))
    return sum(terms) if asked else terms[-1]


def recurrence(p):
    rule = re.findall(r"a_k = ([-+\da_()k ]+?)(?: for|\.| Compute)", p.question)[0]
    values = {int(k): int(v) for k, v in re.findall(r"a_(\d+) = (-?\d+)", p.question)}
    n = int(re.findall(r"a_(\d+)[.?]", p.question)[-1])
    for k in range(max(values) + 1, n + 1):
        text = rule.replace("a_(k-1)", "u").replace("a_(k-2)", "v")
        values[k] = value_of(text, u=Fraction(values[k - 1]), v=Fraction(values.get(k - 2, 0)))
    return values[n]


def arithmetic_series(p):
    first, second, _, last = (int(n) for n in numbers_in(p.question.replace("(", "").replace(")", "")))
    return sum(range(first, last + 1, second - first))


def sum_over_k(p):
    body = max(re.findall(r"(?<!\w)[-\dk][-+\dk^ ]*[\dk]", p.question.split(" k = ")[0].split("where")[0]), key=len)
    low, high = p.numbers[:2]
    return sum(value_of(body, k=Fraction(k)) for k in range(low, high + 1))


def next_number(p):
    terms = [*(int(n) for n in numbers_in(p.question)), int(p.answer)]
    gaps = [b - a for a, b in zip(terms, terms[1:], strict=False)]
    bends = {b - a for a, b in zip(gaps, gaps[1:], strict=False)}
    ratios = {Fraction(b, a) for a, b in zip(gaps, gaps[1:], strict=False) if a}
    halves = [{b - a for a, b in zip(terms[i::2], terms[i + 2 :: 2], strict=False)} for i in (0, 1)]
    added = {c - a - b for a, b, c in zip(terms, terms[1:], terms[2:], strict=False)}
    rises = {b - a for a, b in zip(terms[::2], terms[1::2], strict=False)}
    times = {Fraction(b, a) for a, b in zip(terms[1::2], terms[2::2], strict=False) if a}
    return (
        len(bends) == 1,
        len(ratios) <= 1,
        all(len(half) == 1 for half in halves),
        added == {0},
        len(rises) == len(times) == 1,
    )[p.numbers[0]]


def repeating_pattern(p):
    colours = re.findall(r"(?:pattern|repeats|order) ((?:[a-z]+, )+?[a-z]+)(?:\.|, (?:over|then))", p.question)[
        0
    ].split(", ")
    place, position = -1, int(numbers_in(p.question)[-1])
    for _ in range(position):
        place = (place + 1) % len(colours)
    return colours[place]


SIZES = {
    "mm": "1/1000", "cm": "1/100", "m": "1", "km": "1000", "mg": "1/1000", "g": "1", "kg": "1000", "t": "1000000",
    "ml": "1/1000", "cl": "1/100", "l": "1", "hl": "100", "mm^2": "1/1000000", "cm^2": "1/10000", "m^2": "1",
    "km^2": "1000000", "mm^3": "1/1000000000", "cm^3": "1/1000000", "dm^3": "1/1000", "m^3": "1",
}  # fmt: skip


def metric_units(p):
    unit = r"[a-z]+(?:\^[23])?"
    for pattern in (
        rf"Convert (?P<v>[\d.]+) (?P<a>{unit}) to (?P<b>{unit})",
        rf"How many (?P<b>{unit}) are (?P<v>[\d.]+) (?P<a>{unit})",
        rf"Write (?P<v>[\d.]+) (?P<a>{unit}) in (?P<b>{unit})",
    ):
        match = re.search(pattern, p.question)
        if match:
            return Fraction(match["v"]) * Fraction(SIZES[match["a"]]) / Fraction(SIZES[match["b"]])
    raise AssertionError(p.question)


def speed_units(p):
    kind, speed, number = p.numbers
    metres_per_second = (
        Fraction(speed * 1000, 3600),
        Fraction(speed),
        Fraction(speed, number * 60),
        Fraction(speed * 1000, 3600),
    )[kind]
    if kind == 3:
        return metres_per_second * number
    return metres_per_second if kind == 0 else metres_per_second * 3600 / 1000


def time_between(p):
    days = [WEEKDAYS.index(day) for day in re.findall("|".join(WEEKDAYS), p.question)]
    minutes = [int(h) * 60 + int(m) for h, m in re.findall(r"(\d\d):(\d\d)", p.question)]
    return (days[1] - days[0]) % 7 * 1440 + minutes[1] - minutes[0]


def weekday(p):
    day = datetime.date(2024, 1, 1)  # a Monday
    while WEEKDAYS[day.weekday()] not in p.question:
        day += datetime.timedelta(1)
    for count, way in re.findall(r"(\d+) days (later|earlier)", p.question):
        day += datetime.timedelta(int(count)) * (1 if way == "later" else -1)
    return WEEKDAYS[day.weekday()]


def mixed_units(p):
    sizes = {"h": 60, "min": 1, "m": 100, "cm": 1, "feet": 12, "inches": 1, "kg": 1000, "g": 1}
    return sum(int(n) * sizes[unit] for n, unit in re.findall(r"(\d+) ([a-z]+)", p.question))


def temperature(p):
    start, *changes = numbers_in(p.question)
    signs = [1 if way == "rises" else -1 for way in re.findall("rises|falls", p.question)]
    now = start + sum(sign * change for sign, change in zip(signs, changes, strict=True))
    known = p.question[: re.search("rises|falls", p.question).start()]  # pyright: ignore[reportOptionalMemberAccess]
    return (now - 32) * 5 / 9 if "Fahrenheit" in known else now * 9 / 5 + 32


def exchange_rates(p):
    amount, *rest = numbers_in(p.question)
    assert set(rest[::2]) == {1}
    return amount * math.prod(rest[1::2])


CHANCE = {
    "urn": urn,
    "two_dice": two_dice,
    "independent_events": independent_events,
    "repeated_trials": repeated_trials,
    "lottery": lottery,
    "bayes": bayes,
    "conditional": conditional,
    "arithmetic_term": arithmetic_term,
    "geometric_sequence": geometric_sequence,
    "recurrence": recurrence,
    "arithmetic_series": arithmetic_series,
    "sum_over_k": sum_over_k,
    "next_number": next_number,
    "repeating_pattern": repeating_pattern,
    "metric_units": metric_units,
    "speed_units": speed_units,
    "time_between": time_between,
    "weekday": weekday,
    "mixed_units": mixed_units,
    "temperature": temperature,
    "exchange_rates": exchange_rates,
}
