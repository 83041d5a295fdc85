"""Probability: urns, dice, independent events, flips, expected values, conditional probabilities."""

from __future__ import annotations

import itertools
import math

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import COLOURS, ITEMS, NAMES
from .notation import ratio, reduced

LOWEST = " Give an integer or a fraction in lowest terms."


# (what is asked, how many are drawn, how many of each colour): all of one colour, all different, just one of the first.
def _sample_urn(draw: Draw, level: int) -> Numbers | None:
    counts = draw.integers(2, 11 + level, 3 + (level > 4))
    drawn = 2 + (level > 6)
    asked = draw.integer(0, 2)
    return (asked, drawn, *counts) if asked != 1 or drawn <= len(counts) else None


def _word_urn(numbers: Numbers, voice: Draw) -> Wording:
    asked, drawn, *counts = numbers
    total = sum(counts)
    colours = voice.sample(COLOURS, len(counts))
    contents = ", ".join(f"{count} {colour}" for count, colour in zip(counts, colours, strict=True))
    everything = math.comb(total, drawn)
    steps = [
        f"{' + '.join(map(str, counts))} = {total}, and C({total}, {drawn}) = {everything} draws are equally likely."
    ]
    if asked == 0:
        parts = [math.comb(count, drawn) for count in counts]
        event = "all drawn ones have the same colour"
        steps += [
            f"All {colour}: C({count}, {drawn}) = {part}"
            for colour, count, part in zip(colours, counts, parts, strict=True)
        ]
    elif asked == 1:
        event = "no two drawn ones have the same colour"
        parts = [math.prod(chosen) for chosen in itertools.combinations(counts, drawn)]
        steps.append(f"{'Pairs' if drawn == 2 else 'Triples'} of different colours:")
    else:
        parts = [counts[0] * math.comb(total - counts[0], drawn - 1)]
        event = f"exactly one drawn one is {colours[0]}"
        steps.append(f"One {colours[0]}: {counts[0]} * C({total - counts[0]}, {drawn - 1}) = {parts[0]}")
    answer = ratio(sum(parts), everything)
    if len(parts) > 1:
        steps.append(f"{' + '.join(map(str, parts))} = {sum(parts)}")
    steps.append(reduced(sum(parts), everything))
    begin = voice.choice(
        (
            "An urn holds balls: {0}. {1} are drawn without putting back. What is the probability that {2}?",
            "A bag holds marbles: {0}. {1} are taken at once. Find the probability that {2}.",
            "In a drawer lie socks: {0}. {1} are taken blindly. How likely is it that {2}?",
        )
    )
    return Wording(begin.format(contents, ("", "", "Two", "Three")[drawn], event) + LOWEST, tuple(steps), answer)


# (kind, sides of both dice, threshold): sum equal, sum at least, product at least, difference at least.
def _sample_dice(draw: Draw, level: int) -> Numbers:
    kind = draw.integer(0, min(3, 1 + level // 3))
    a, b = draw.integers(4, 20 + 3 * level, 2)
    if kind == 3:
        return kind, a, b, draw.integer(1, max(a, b) - 1)
    return kind, a, b, draw.integer(2, a * b if kind == 2 else a + b)


def _word_dice(numbers: Numbers, voice: Draw) -> Wording:
    kind, a, b, limit = numbers
    if kind == 0:
        rows = [int(1 <= limit - x <= b) for x in range(1, a + 1)]
    elif kind == 1:
        rows = [max(0, min(b, b - (limit - x) + 1)) for x in range(1, a + 1)]
    elif kind == 2:
        rows = [max(0, b + 1 + -limit // x) for x in range(1, a + 1)]
    else:
        rows = [max(0, min(b, x - limit)) + max(0, b - (x + limit) + 1) for x in range(1, a + 1)]
    asked = (
        "the sum is exactly {}",
        "the sum is at least {}",
        "the product is at least {}",
        "the two numbers differ by at least {}",
    )[kind]
    begin = voice.choice(
        (
            "Dice with the faces 1 to {0} and 1 to {1} are rolled. What is the probability that {2}?",
            "Two fair dice have {0} and {1} faces, numbered from 1. Find the probability that {2}.",
            "One rolls a fair {0}-sided die and a fair {1}-sided die (faces from 1). How likely is it that {2}?",
        )
    )
    answer = ratio(sum(rows), a * b)
    steps = (
        f"{a} * {b} = {a * b} rolls are equally likely.",
        f"Good second rolls for the first roll 1 to {a}: {' + '.join(map(str, rows))} = {sum(rows)}",
        reduced(sum(rows), a * b),
    )
    return Wording(begin.format(a, b, asked.format(limit)) + LOWEST, steps, answer)


# (kind, then top and bottom of each): all, none, at least one, exactly one.
def _sample_independent(draw: Draw, level: int) -> Numbers:
    numbers = [draw.integer(0, 3)]
    for _ in range(2 + (level > 5)):
        bottom = draw.integer(2, 9 + level)
        numbers += (draw.integer(1, bottom - 1), bottom)
    return tuple(numbers)


def _word_independent(numbers: Numbers, voice: Draw) -> Wording:
    kind, pairs = numbers[0], [numbers[i : i + 2] for i in range(1, len(numbers), 2)]
    count = len(pairs)
    yes, no = [top for top, _ in pairs], [bottom - top for top, bottom in pairs]
    bottom = math.prod(bottom for _, bottom in pairs)
    hits = [f"{top}/{below}" for top, below in pairs]
    misses = [f"{rest}/{below}" for rest, (_, below) in zip(no, pairs, strict=True)]
    steps = []
    if kind == 0:
        good = math.prod(yes)
        steps.append(f"{' * '.join(hits)} = {good}/{bottom}")
    elif kind in (1, 2):
        nobody = math.prod(no)
        steps.append(f"None: {' * '.join(misses)} = {nobody}/{bottom}")
        good = nobody if kind == 1 else bottom - nobody
        if kind == 2:
            steps.append(f"1 - {nobody}/{bottom} = {good}/{bottom}")
    else:
        parts = [math.prod(yes[j] if i == j else no[j] for j in range(count)) for i in range(count)]
        good = sum(parts)
        for i, part in enumerate(parts):
            factors = [hits[j] if i == j else misses[j] for j in range(count)]
            steps.append(f"Number {i + 1} alone: {' * '.join(factors)} = {part}/{bottom}")
        steps.append(f"{' + '.join(map(str, parts))} = {good}")
    answer = ratio(good, bottom)
    steps.append(reduced(good, bottom))
    people = voice.sample(NAMES, count)
    what = voice.choice(("hits the target", "solves the problem", "catches the bus", "wins"))
    event = (
        f"each of them {what}",
        f"none of them {what}",
        f"at least one of them {what}",
        f"exactly one of them {what}",
    )[kind]
    chances = f"{people[0]} {what} with probability {hits[0]}, " + ", ".join(
        f"{name} with probability {hit}" for name, hit in zip(people[1:], hits[1:], strict=True)
    )
    question = f"{chances}, independently of each other. What is the probability that {event}?{LOWEST}"
    return Wording(question, tuple(steps), answer)


# (top, bottom, flips, heads, at least).
def _sample_flips(draw: Draw, level: int) -> Numbers | None:
    bottom = draw.integer(4, 14 + 2 * level)
    top = draw.integer(1, bottom - 1)
    flips = draw.integer(2, 3 + level // 2)
    return (top, bottom, flips, draw.integer(1, flips), draw.integer(0, 1)) if math.gcd(top, bottom) == 1 else None


def _word_flips(numbers: Numbers, voice: Draw) -> Wording:
    top, bottom, flips, heads, least = numbers
    rest, everything = bottom - top, bottom**flips
    steps, parts = [], []
    for k in range(heads, flips + 1 if least else heads + 1):
        parts.append(math.comb(flips, k) * top**k * rest ** (flips - k))
        steps.append(
            f"{k}: C({flips}, {k}) * ({top}/{bottom})^{k} * ({rest}/{bottom})^{flips - k} = {parts[-1]}/{everything}"
        )
    answer = ratio(sum(parts), everything)
    if len(parts) > 1:
        steps.append(f"{' + '.join(map(str, parts))} = {sum(parts)}")
    steps.append(reduced(sum(parts), everything))
    begin = voice.choice(
        (
            "A coin shows heads with probability {0}/{1}. {5} flips it {2} times. How likely are {3} {4} heads?",
            "{5} scores with probability {0}/{1} at each of {2} independent shots. How likely are {3} {4} scores?",
            "Parts fail independently with probability {0}/{1}. {5} tests {2}. How likely is it that {3} {4} fail?",
            "Seeds sprout independently with probability {0}/{1}. {5} sows {2}. How likely is it that {3} {4} sprout?",
        )
    )
    extent = "at least" if least else "exactly"
    question = begin.format(top, bottom, flips, extent, heads, voice.choice(NAMES)) + LOWEST
    return Wording(question, tuple(steps), answer)


# (price of a ticket, tickets, then number and worth of each kind of prize).
def _sample_lottery(draw: Draw, level: int) -> Numbers:
    prizes = []
    for _ in range(2 + level // 4):
        prizes += (draw.integer(1, 5 + level), draw.integer(2, 20 + 10 * level))
    return draw.integer(0, level), sum(prizes[::2]) + draw.integer(10, 30 + 20 * level), *prizes


def _word_lottery(numbers: Numbers, voice: Draw) -> Wording:
    price, tickets, *prizes = numbers
    pairs = [(prizes[i], prizes[i + 1]) for i in range(0, len(prizes), 2)]
    worth = sum(count * value for count, value in pairs)
    steps = [f"All prizes together: {' + '.join(f'{count} * {value}' for count, value in pairs)} = {worth}"]
    top = worth - price * tickets
    if price:
        steps.append(
            f"All {tickets} tickets cost {tickets} * {price} = {price * tickets}: {worth} - {price * tickets} = {top}"
        )
    answer = ratio(top, tickets)
    steps.append(f"For each ticket: {reduced(top, tickets)}")
    listing = ", ".join(f"{count} of {value}" for count, value in pairs)
    begin = voice.choice(
        (
            "A raffle has {} tickets and these prizes, in euros: {}.",
            "Of {} tickets in a lottery only these win, in dollars: {}.",
            "In a drum lie {} lots. The prizes, in coins, are {}; the others are blanks.",
        )
    )
    asked = (
        f"A ticket costs {price}. What is the expected gain of one ticket, the cost taken off?"
        if price
        else "What is the expected prize of one ticket?"
    )
    return Wording(f"{begin.format(tickets, listing)} {asked}{LOWEST}", tuple(steps), answer)


# (chance of the first box in 1/n, good and bad in the first, good and bad in the second).
def _sample_bayes(draw: Draw, level: int) -> Numbers:
    share = 1 if level < 4 else draw.integer(1, 4)
    return share, 2 if level < 4 else share + draw.integer(1, 4), *draw.integers(1, 7 + level, 4)


def _word_bayes(numbers: Numbers, voice: Draw) -> Wording:
    share, whole, *(a, b, c, d) = numbers
    red, blue = voice.sample(COLOURS, 2)
    # P(first and red) : P(second and red), both times whole (a + b)(c + d).
    first, second = share * a * (c + d), (whole - share) * c * (a + b)
    answer = ratio(first, first + second)
    box, thing = voice.choice((("box", "ball"), ("bag", "marble"), ("jar", "bean"), ("drawer", "sock")))
    begin = f"In {box} 1 are {a} {red} and {b} {blue} {thing}s, in {box} 2 are {c} {red} and {d} {blue} ones."
    choose = (
        f"With probability {ratio(share, whole)} {box} 1 is chosen, else {box} 2. A {thing} drawn from it is {red}."
    )
    asked = voice.choice(
        ("What is the probability that it came from {} 1?", "How likely is it that it came from {} 1?")
    )
    steps = (
        f"From {box} 1 and {red}: {share}/{whole} * {a}/{a + b} = {share * a}/{whole * (a + b)}",
        f"From {box} 2 and {red}: {whole - share}/{whole} * {c}/{c + d} = {(whole - share) * c}/{whole * (c + d)}",
        f"They are to each other as {first} to {second}: {first}/({first} + {second}) = {answer}",
    )
    return Wording(f"{begin} {choose} {asked.format(box)}{LOWEST}", steps, answer)


# (what is given, what is asked for, then a table: both, first only, second only, neither).
def _sample_table(draw: Draw, level: int) -> Numbers:
    return draw.integer(0, 1), draw.integer(0, 1), *draw.integers(1, 9 + 6 * level, 4)


def _word_table(numbers: Numbers, voice: Draw) -> Wording:
    given_first, negated, both, first_only, second_only, neither = numbers
    a, b = voice.sample(ITEMS, 2)
    total = both + first_only + second_only + neither
    group = both + (first_only if given_first else second_only)
    good = group - both if negated else both
    known, asked = (a, b) if given_first else (b, a)
    question = (
        f"Of {total} households {both + first_only} own {a}, {both + second_only} own {b} and {both} own both. "
        + voice.choice(
            (
                f"With what probability does a random one with {known} {'not own' if negated else 'own'} {asked}?",
                f"How likely is a random one of those with {known} {'not to own' if negated else 'to own'} {asked}?",
            )
        )
    )
    answer = ratio(good, group)
    steps = (
        f"{group} own {known}.",
        f"Of these {f'{group} - {both} = {good} do not own' if negated else f'{good} own'} {asked}.",
        reduced(good, group),
    )
    return Wording(question + LOWEST, steps, answer)


PROBABILITY = (
    TextFamily("urn", "probability", _sample_urn, _word_urn),
    TextFamily("two_dice", "probability", _sample_dice, _word_dice),
    TextFamily("independent_events", "probability", _sample_independent, _word_independent),
    TextFamily("repeated_trials", "probability", _sample_flips, _word_flips),
    TextFamily("lottery", "probability", _sample_lottery, _word_lottery),
    TextFamily("bayes", "probability", _sample_bayes, _word_bayes),
    TextFamily("conditional", "probability", _sample_table, _word_table),
)
