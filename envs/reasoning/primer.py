"""The first ten families in words: one short sentence each, steps that a tiny model can write.

Together with ``shapes.py`` they are the group "primer". Recipes and a shipped model were trained on exactly these
problems, so they never change; ``families/`` has phrasings, a third split and room for thousands of questions.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .family import Family, Numbers, Wording


def _draw(rng: np.random.Generator, low: int, high: int, count: int = 1) -> list[int]:
    """Draws ``count`` integers from low to high, both included."""
    return rng.integers(low, high + 1, size=count).tolist()


def _sample_sum_chain(rng: np.random.Generator, level: int) -> Numbers | None:
    count = 3 + level // 3
    first, *rest = _draw(rng, 2, 10 * level + 9, count)
    if level < 3:
        return (first, *rest)
    return (first, *(n if keep else -n for n, keep in zip(rest, rng.random(count - 1) < 0.5, strict=True)))


def _word_sum_chain(numbers: Numbers) -> Wording:
    total, steps, text = numbers[0], [], str(numbers[0])
    for n in numbers[1:]:
        sign = "-" if n < 0 else "+"
        steps.append(f"{total}{sign}{abs(n)}={total + n}")
        text += f" {sign} {abs(n)}"
        total += n
    return Wording(f"Compute {text}.", tuple(steps), str(total))


def _sample_product(rng: np.random.Generator, level: int) -> Numbers | None:
    return (*_draw(rng, 2, 12 * level), *_draw(rng, 2, 12 if level < 3 else 10 * level))


def _word_product(numbers: Numbers) -> Wording:
    a, b = numbers
    digits = str(b)
    parts = [int(digit) * 10**place for place, digit in enumerate(reversed(digits)) if digit != "0"][::-1]
    steps = [f"{a}*{part}={a * part}" for part in parts]
    total = a * parts[0]
    for part in parts[1:]:
        steps.append(f"{total}+{a * part}={total + a * part}")
        total += a * part
    return Wording(f"Compute {a} * {b}.", tuple(steps), str(total))


def _sample_linear_equation(rng: np.random.Generator, level: int) -> Numbers | None:
    (a,) = _draw(rng, 2, 4 + 2 * level)
    (b,) = _draw(rng, 1, 10 * level + 9)
    (x,) = _draw(rng, 1 if level < 4 else -5 * level, 5 * level + 4)
    return a, b, a * x + b


def _word_linear_equation(numbers: Numbers) -> Wording:
    a, b, c = numbers
    x = (c - b) // a
    return Wording(f"Solve {a}x + {b} = {c} for x.", (f"{c}-{b}={c - b}", f"{c - b}/{a}={x}"), str(x))


def _sample_remainder(rng: np.random.Generator, level: int) -> Numbers | None:
    (divisor,) = _draw(rng, 3, 8 + 4 * level)
    (number,) = _draw(rng, divisor, 60 * level)
    return number, divisor


def _word_remainder(numbers: Numbers) -> Wording:
    number, divisor = numbers
    multiple = number // divisor * divisor
    steps = (f"{divisor}*{number // divisor}={multiple}", f"{number}-{multiple}={number - multiple}")
    return Wording(f"Remainder of {number} divided by {divisor}?", steps, str(number - multiple))


def _sample_fraction_sum(rng: np.random.Generator, level: int) -> Numbers | None:
    b, d = _draw(rng, 2, 5 + 2 * level, 2)
    a, c = _draw(rng, 1, b - 1) + _draw(rng, 1, d - 1)
    return a, b, c, d


def _word_fraction_sum(numbers: Numbers) -> Wording:
    a, b, c, d = numbers
    answer = str(Fraction(a, b) + Fraction(c, d))
    top, bottom = a * d + c * b, b * d
    steps = (f"{a}*{d}={a * d}", f"{c}*{b}={c * b}", f"{a * d}+{c * b}={top}", f"{b}*{d}={bottom}")
    question = f"Compute {a}/{b} + {c}/{d} as a fraction in lowest terms."
    return Wording(question, (*steps, f"{top}/{bottom}={answer}"), answer)


def _sample_sequence(rng: np.random.Generator, level: int) -> Numbers | None:
    (kind,) = _draw(rng, 0, 0 if level < 3 else 1 if level < 6 else 2)
    (first,) = _draw(rng, 1, 9 + 5 * level)
    (change,) = _draw(rng, 2, 5 + 2 * level)
    if kind == 0:
        return tuple(first + change * i for i in range(4))
    if kind == 1:
        ratio = 2 + change % 4
        return tuple(first * ratio**i for i in range(4))
    (bend,) = _draw(rng, 1, level)
    return tuple(first + change * i + bend * i * (i - 1) // 2 for i in range(5))


def _word_sequence(numbers: Numbers) -> Wording:
    question = f"Next number of {', '.join(map(str, numbers))}?"
    a, b, *_, last = numbers
    gaps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    if len(set(gaps)) == 1:
        return Wording(question, (f"{b}-{a}={gaps[0]}", f"{last}+{gaps[0]}={last + gaps[0]}"), str(last + gaps[0]))
    if len(numbers) == 4:
        ratio = b // a
        return Wording(question, (f"{b}/{a}={ratio}", f"{last}*{ratio}={last * ratio}"), str(last * ratio))
    steps = [f"{after}-{before}={after - before}" for before, after in zip(numbers, numbers[1:], strict=False)]
    bend = gaps[-1] - gaps[-2]
    gap = gaps[-1] + bend
    steps += [f"{gaps[-1]}-{gaps[-2]}={bend}", f"{gaps[-1]}+{bend}={gap}", f"{last}+{gap}={last + gap}"]
    return Wording(question, tuple(steps), str(last + gap))


def _sample_common_divisor(rng: np.random.Generator, level: int) -> Numbers | None:
    (common,) = _draw(rng, 2, 4 + 2 * level)
    a, b = _draw(rng, 2, 6 + 3 * level, 2)
    return (common * max(a, b), common * min(a, b)) if a != b else None


def _word_common_divisor(numbers: Numbers) -> Wording:
    a, b = numbers
    steps = []
    while b:
        multiple = a // b * b
        steps.append(f"{a}-{multiple}={a - multiple}")
        a, b = b, a - multiple
    question = f"Greatest common divisor of {numbers[0]} and {numbers[1]}?"
    return Wording(question, (*steps, f"gcd={a}"), str(a))


def _sample_percentage(rng: np.random.Generator, level: int) -> Numbers | None:
    return 5 * _draw(rng, 1, 19)[0], 20 * _draw(rng, 1, 10 * level)[0]


def _word_percentage(numbers: Numbers) -> Wording:
    percent, number = numbers
    product = percent * number
    steps = (f"{percent}*{number}={product}", f"{product}/100={product // 100}")
    return Wording(f"What is {percent}% of {number}?", steps, str(product // 100))


def _sample_average(rng: np.random.Generator, level: int) -> Numbers | None:
    numbers = _draw(rng, 2, 10 * level + 9, 3 + level // 4)
    return tuple(numbers) if sum(numbers) % len(numbers) == 0 else None


def _word_average(numbers: Numbers) -> Wording:
    chain = _word_sum_chain(numbers)
    mean = sum(numbers) // len(numbers)
    question = f"Average of {', '.join(map(str, numbers))}?"
    return Wording(question, (*chain.steps, f"{chain.answer}/{len(numbers)}={mean}"), str(mean))


def _sample_shopping(rng: np.random.Generator, level: int) -> Numbers | None:
    pens, books = _draw(rng, 2, 6 + level, 2)
    pen, book = _draw(rng, 2, 5 + 4 * level, 2)
    return pens, pen, books, book


def _word_shopping(numbers: Numbers) -> Wording:
    pens, pen, books, book = numbers
    x, y = pens * pen, books * book
    question = f"{pens} pens at {pen} each and {books} books at {book} each. Total price?"
    return Wording(question, (f"{pens}*{pen}={x}", f"{books}*{book}={y}", f"{x}+{y}={x + y}"), str(x + y))


WORDS = (
    Family("sum_chain", _sample_sum_chain, _word_sum_chain),
    Family("product", _sample_product, _word_product),
    Family("linear_equation", _sample_linear_equation, _word_linear_equation),
    Family("remainder", _sample_remainder, _word_remainder),
    Family("fraction_sum", _sample_fraction_sum, _word_fraction_sum),
    Family("sequence", _sample_sequence, _word_sequence),
    Family("greatest_common_divisor", _sample_common_divisor, _word_common_divisor),
    Family("percentage", _sample_percentage, _word_percentage),
    Family("average", _sample_average, _word_average),
    Family("shopping", _sample_shopping, _word_shopping),
)
