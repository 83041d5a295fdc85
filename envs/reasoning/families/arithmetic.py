"""Arithmetic: order of operations, decimals, fractions, powers, division with remainder."""

from __future__ import annotations

import math

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import LETTERS
from .notation import bracketed, chain, decimal, ratio, signed

COMPUTE = ("Compute {}.", "What is {}?", "Evaluate {}.", "Find the value of {}.")


# A term is (sign, kind, a, b, c): a, a * b, a * (b + c), a * (b - c), (a + b) * c, a^2.
def _sample_order_of_operations(draw: Draw, level: int) -> Numbers:
    numbers: list[int] = []
    high = 9 + 3 * level
    for place in range(3 + level // 3):
        kind = draw.integer(0, 1 if level < 2 else 4 if level < 6 else 5)
        numbers += (draw.integer(0, 1) if place else 1, kind, *draw.integers(2, high, 3))
    return tuple(numbers)


def _word_order_of_operations(numbers: Numbers, voice: Draw) -> Wording:
    text, steps, values = "", [], []
    for start in range(0, len(numbers), 5):
        sign, kind, a, b, c = numbers[start : start + 5]
        if kind == 0:
            term, value = str(a), a
        elif kind == 1:
            term, value = f"{a} * {b}", a * b
        elif kind == 2:
            term, value = f"{a} * ({b} + {c})", a * (b + c)
        elif kind == 3:
            term, value = f"{a} * ({b} - {c})", a * (b - c)
        elif kind == 4:
            term, value = f"({a} + {b}) * {c}", (a + b) * c
        else:
            term, value = f"{a}^2", a * a
        if kind in (2, 3):
            steps.append(f"{term} = {a} * {bracketed(value // a)} = {value}")
        elif kind == 4:
            steps.append(f"{term} = {a + b} * {c} = {value}")
        elif kind != 0:
            steps.append(f"{term} = {value}")
        values.append(value if sign else -value)
        text += (" + " if sign else " - ") + term if text else term
    return Wording(voice.choice(COMPUTE).format(text), (*steps, chain(values)), str(sum(values)))


# (operation, then scaled value and places of each): 0 adds and subtracts, 1 multiplies.
def _sample_decimals(draw: Draw, level: int) -> Numbers:
    product = level > 2 and draw.flip()
    numbers = [int(product)]
    for place in range(2 if product else 3 + level // 4):
        digits = draw.integer(1, 1 + (level + 1) // 4)
        size = draw.integer(11, (20 if product else 100) * level * 10**digits // 10 + 99)
        numbers += (size if place == 0 or product or draw.flip() else -size, digits)
    return tuple(numbers)


def _word_decimals(numbers: Numbers, voice: Draw) -> Wording:
    sizes, places = numbers[1::2], numbers[2::2]
    if numbers[0]:
        written = [decimal(size, place) for size, place in zip(sizes, places, strict=True)]
        product, digits = sizes[0] * sizes[1], sum(places)
        answer = decimal(product, digits)
        steps = (
            f"Without the points: {sizes[0]} * {sizes[1]} = {product}.",
            f"There are {places[0]} + {places[1]} = {digits} digits after the points: {answer}.",
        )
        return Wording(voice.choice(COMPUTE).format(f"{written[0]} * {written[1]}"), steps, answer)
    most = max(places)
    whole = [size * 10 ** (most - place) for size, place in zip(sizes, places, strict=True)]
    text = decimal(sizes[0], places[0])
    for size, place in zip(sizes[1:], places[1:], strict=True):
        text += (" - " if size < 0 else " + ") + decimal(abs(size), place)
    answer = decimal(sum(whole), most)
    steps = (f"In units of {decimal(1, most)}: {chain(whole)}.", f"{text} = {answer}")
    return Wording(voice.choice(COMPUTE).format(text), steps, answer)


# (a, b, then operation, c, d for each further fraction): 0 adds, 1 subtracts, 2 multiplies, 3 divides; left to right.
def _sample_fraction_chain(draw: Draw, level: int) -> Numbers:
    high = 7 + 2 * level
    bottom = draw.integer(2, high)
    numbers = [draw.integer(1, 2 * bottom), bottom]
    only_sums = level < 3 or draw.flip()
    for _ in range(1 + (level > 5)):
        bottom = draw.integer(2, high)
        numbers += (draw.integer(0, 1) + 2 * (not only_sums), draw.integer(1, 2 * bottom), bottom)
    return tuple(numbers)


def _word_fraction_chain(numbers: Numbers, voice: Draw) -> Wording:
    top, bottom = numbers[:2]
    text, steps = f"{top}/{bottom}", []
    for start in range(2, len(numbers), 3):
        operation, c, d = numbers[start : start + 3]
        before = f"{top}/{bottom}"
        text += f" {'+-*/'[operation]} ({c}/{d})" if operation > 1 else f" {'+-'[operation]} {c}/{d}"
        if operation < 2:
            common = math.lcm(bottom, d)
            left, right = top * (common // bottom), c * (common // d)
            top, bottom = left + right if operation == 0 else left - right, common
            steps.append(
                f"{before} {'+-'[operation]} {c}/{d}"
                f" = {left}/{common} {'+-'[operation]} {right}/{common} = {top}/{bottom}"
            )
        elif operation == 2:
            top, bottom = top * c, bottom * d
            steps.append(f"{before} * ({c}/{d}) = {top}/{bottom}")
        else:
            top, bottom = top * d, bottom * c
            steps.append(f"{before} / ({c}/{d}) = {before} * ({d}/{c}) = {top}/{bottom}")
    answer = ratio(top, bottom)
    if answer != f"{top}/{bottom}":
        steps.append(f"{top}/{bottom} = {answer}")
    question = voice.choice(COMPUTE).format(text) + " Give an integer or a fraction in lowest terms."
    return Wording(question, tuple(steps), answer)


# A term is (sign, factor, base, exponent).
def _sample_powers(draw: Draw, level: int) -> Numbers:
    numbers: list[int] = []
    for place in range(2 + level // 4):
        exponent = draw.integer(2, 3 + level // 3)
        base = draw.integer(2, 9 if exponent < 4 else 5)
        numbers += (draw.integer(0, 1) if place else 1, draw.integer(1, 5 + level), base, exponent)
    return tuple(numbers)


def _word_powers(numbers: Numbers, voice: Draw) -> Wording:
    text, steps, values = "", [], []
    for start in range(0, len(numbers), 4):
        sign, factor, base, exponent = numbers[start : start + 4]
        power = base**exponent
        term = f"{base}^{exponent}" if factor == 1 else f"{factor} * {base}^{exponent}"
        step = f"{base}^{exponent} = {' * '.join([str(base)] * exponent)} = {power}"
        steps.append(step if factor == 1 else f"{step}, and {factor} * {power} = {factor * power}")
        values.append(factor * power if sign else -factor * power)
        text += (" + " if sign else " - ") + term if text else term
    return Wording(voice.choice(COMPUTE).format(text), (*steps, chain(values)), str(sum(values)))


# (0 for the largest or 1 for the smallest, then the fractions).
def _sample_compare_fractions(draw: Draw, level: int) -> Numbers | None:
    count, numbers, values = 3 + level // 4, [draw.integer(0, 1)], set()
    for _ in range(count):
        bottom = draw.integer(3, 8 + 3 * level)
        top = draw.integer(1, bottom - 1) if level < 5 else draw.integer(bottom // 3, 2 * bottom // 3)
        if top == 0:
            return None
        numbers += (top, bottom)
        values.add(ratio(top, bottom))
    return tuple(numbers) if len(values) == count else None


def _word_compare_fractions(numbers: Numbers, voice: Draw) -> Wording:
    tops, bottoms = numbers[1::2], numbers[2::2]
    common = math.lcm(*bottoms)
    scaled = [top * (common // bottom) for top, bottom in zip(tops, bottoms, strict=True)]
    best = scaled.index(min(scaled) if numbers[0] else max(scaled))
    asked = "smallest" if numbers[0] else "largest"
    options = ", ".join(f"({LETTERS[i]}) {tops[i]}/{bottoms[i]}" for i in range(len(tops)))
    begin = voice.choice(
        ("Which of these fractions is the {}?", "Which fraction is the {}?", "Find the {} of these fractions.")
    )
    question = f"{begin.format(asked)} {options}. Answer with its letter."
    steps = [f"({LETTERS[i]}) {tops[i]}/{bottoms[i]} = {scaled[i]}/{common}" for i in range(len(tops))]
    steps.append(f"The {asked} numerator is {scaled[best]}: option {LETTERS[best]}.")
    return Wording(question, tuple(steps), LETTERS[best])


def _sample_quotient_and_remainder(draw: Draw, level: int) -> Numbers:
    divisor = draw.integer(3, 9 + 9 * level)
    return draw.integer(divisor, 100 * level * divisor // 4 + 300), divisor


def _word_quotient_and_remainder(numbers: Numbers, voice: Draw) -> Wording:
    number, divisor = numbers
    quotient, rest = divmod(number, divisor)
    begin = voice.choice(
        (
            "Divide {} by {} with remainder.",
            "What are the quotient and the remainder of {} divided by {}?",
            "{} is divided by {}. Find the quotient and the remainder.",
        )
    )
    # Digit by digit, as it is done on paper.
    steps, left = [], 0
    for digit in str(number):
        left = 10 * left + int(digit)
        if left >= divisor:
            part = left // divisor
            steps.append(
                f"{left} / {divisor}: {part} * {divisor} = {part * divisor},"
                f" {left} {signed(-part * divisor)} = {left % divisor}"
            )
            left %= divisor
    steps.append(f"{quotient} * {divisor} + {rest} = {number}")
    question = begin.format(number, divisor) + " Answer as (quotient, remainder)."
    return Wording(question, tuple(steps), f"({quotient}, {rest})")


ARITHMETIC = (
    TextFamily("order_of_operations", "arithmetic", _sample_order_of_operations, _word_order_of_operations),
    TextFamily("decimals", "arithmetic", _sample_decimals, _word_decimals),
    TextFamily("fraction_chain", "arithmetic", _sample_fraction_chain, _word_fraction_chain),
    TextFamily("powers", "arithmetic", _sample_powers, _word_powers),
    TextFamily("compare_fractions", "arithmetic", _sample_compare_fractions, _word_compare_fractions),
    TextFamily("quotient_and_remainder", "arithmetic", _sample_quotient_and_remainder, _word_quotient_and_remainder),
)
