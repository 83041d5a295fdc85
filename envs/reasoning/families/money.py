"""Word problems about money: shopping, prices, shares, interest."""

from __future__ import annotations

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import ITEMS, NAMES
from .notation import decimal, listed


# (places of the prices, what is paid with, then number and price of each).
def _sample_change(draw: Draw, level: int) -> Numbers:
    places = 0 if level < 5 else 1 if level < 8 else 2
    bought, total = [], 0
    for _ in range(2 + (level + 1) // 4):
        count, price = draw.integer(2, 5 + level), draw.integer(2, (9 + 3 * level) * 10**places)
        bought += (count, price)
        total += count * price
    step = 10 * 10**places
    return places, (total // step + draw.integer(1, 3)) * step, *bought


def _word_change(numbers: Numbers, voice: Draw) -> Wording:
    places, paid, *bought = numbers
    pairs = [(bought[i], bought[i + 1]) for i in range(0, len(bought), 2)]
    items, name = voice.sample(ITEMS, len(pairs)), voice.choice(NAMES)
    goods = listed(
        [f"{count} {item} at {decimal(price, places)} each" for (count, price), item in zip(pairs, items, strict=True)]
    )
    steps = [f"{count} * {decimal(price, places)} = {decimal(count * price, places)}" for count, price in pairs]
    total = sum(count * price for count, price in pairs)
    steps.append(f"{' + '.join(decimal(count * price, places) for count, price in pairs)} = {decimal(total, places)}")
    answer = decimal(paid - total, places)
    steps.append(f"{decimal(paid, places)} - {decimal(total, places)} = {answer}")
    begin = voice.choice(
        (
            "{0} buys {1} and pays with {2}. How much change does {0} get?",
            "{0} has {2} and buys {1}. How much is left?",
            "With {2} in the purse {0} goes shopping: {1}. How much money does {0} bring home?",
        )
    )
    return Wording(begin.format(name, goods, decimal(paid, places)), tuple(steps), answer)


# (price, then changes in percent).
def _sample_price(draw: Draw, level: int) -> Numbers:
    step = 5 if level < 7 else 1
    changes = [step * draw.nonzero(-60 // step, 60 // step) for _ in range(1 + (level + 1) // 3)]
    return 20 * draw.integer(2, 20 + 20 * level), *changes


def _word_price(numbers: Numbers, voice: Draw) -> Wording:
    price, *changes = numbers
    scaled, places, steps = price, 0, []
    for change in changes:
        after = scaled * (100 + change)
        steps.append(f"{decimal(scaled, places)} * {decimal(100 + change, 2)} = {decimal(after, places + 2)}")
        scaled, places = after, places + 2
    thing = voice.choice(("coat", "bicycle", "phone", "sofa", "watch", "camera", "tent", "guitar"))
    moves = [f"{'raised' if change > 0 else 'cut'} by {abs(change)}%" for change in changes]
    begin = voice.choice(
        (
            "The price of a {0} is {1}. It is {2}. What is it in the end?",
            "A {0} costs {1}. The price is {2}. What does it cost then?",
        )
    )
    return Wording(
        begin.format(thing, price, ", then ".join(moves)) + " Do not round.", tuple(steps), decimal(scaled, places)
    )


# (share asked for, or one more for the difference of the first two, then one part, then the parts).
def _sample_shares(draw: Draw, level: int) -> Numbers | None:
    parts = draw.integers(1, 6 + level, 2 + (level > 2) + (level > 7))
    return (draw.integer(0, len(parts)), draw.integer(2, 20 + 15 * level), *parts) if parts[0] != parts[1] else None


def _word_shares(numbers: Numbers, voice: Draw) -> Wording:
    asked, one, *parts = numbers
    people = voice.sample(NAMES, len(parts))
    whole = sum(parts)
    steps = [f"{' + '.join(map(str, parts))} = {whole} parts", f"One part is {one * whole} / {whole} = {one}."]
    if asked < len(parts):
        answer = one * parts[asked]
        steps.append(f"{people[asked]}: {parts[asked]} * {one} = {answer}")
        question = f"How much does {people[asked]} get?"
    else:
        answer = one * abs(parts[0] - parts[1])
        steps.append(f"Difference: {abs(parts[0] - parts[1])} * {one} = {answer}")
        question = f"By how much do the shares of {people[0]} and {people[1]} differ?"
    begin = voice.choice(
        (
            "{0} share {1} coins in the ratio {2}.",
            "{1} euros are split among {0} in the ratio {2}.",
            "{0} divide {1} points among them as {2}.",
        )
    )
    text = begin.format(listed(people), one * whole, ":".join(map(str, parts)))
    return Wording(f"{text} {question}", tuple(steps), str(answer))


# (compound, capital, percent, years).
def _sample_interest(draw: Draw, level: int) -> Numbers:
    compound = int(level > 2 and draw.flip())
    return (
        compound,
        100 * draw.integer(1, 80 + 40 * level),
        draw.integer(1, 8 + level),
        draw.integer(2, 2 + level // 4 if compound else 9),
    )


def _word_interest(numbers: Numbers, voice: Draw) -> Wording:
    compound, capital, percent, years = numbers
    name = voice.choice(NAMES)
    if compound:
        scaled, places, steps = capital, 0, []
        for year in range(years):
            after = scaled * (100 + percent)
            steps.append(
                f"Year {year + 1}: {decimal(scaled, places)} * {decimal(100 + percent, 2)}"
                f" = {decimal(after, places + 2)}"
            )
            scaled, places = after, places + 2
        answer = decimal(scaled, places)
        rule = f"{percent}% interest a year, which is added to the capital"
    else:
        interest = capital * percent // 100
        answer = str(capital + interest * years)
        steps = [f"A year: {capital} * {percent}/100 = {interest}", f"{capital} + {years} * {interest} = {answer}"]
        rule = f"{percent}% interest a year on the first capital alone"
    begin = voice.choice(
        (
            "{0} puts {1} into a bank at {2}. How much is it after {3} years?",
            "A capital of {1} earns {2}. What has it grown to after {3} years?",
            "{0} lends {1} at {2}. What is owed after {3} years?",
        )
    )
    return Wording(begin.format(name, capital, rule, years) + " Do not round.", tuple(steps), answer)


MONEY = (
    TextFamily("change", "word problems", _sample_change, _word_change),
    TextFamily("price_changes", "word problems", _sample_price, _word_price),
    TextFamily("shares", "word problems", _sample_shares, _word_shares),
    TextFamily("interest", "word problems", _sample_interest, _word_interest),
)
