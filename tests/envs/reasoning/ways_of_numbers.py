"""Another way of working out the answers: by trying everything, from the question's own words if possible.

A function takes a problem and returns what the answer has to be: a number, a text or a tuple of numbers. A check
returns True where the answer is right.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def numbers_in(text):
    return [Fraction(found) for found in NUMBER.findall(text)]


def value_of(text, **letters):
    """The value of an expression as these questions write them, with exact numbers."""
    text = text.replace("^", "**")
    text = re.sub(r"(\d)(?=[a-z(])", r"\1*", text)
    text = re.sub(r"\d+(?:\.\d+)?", r"Fraction('\g<0>')", text)
    text = re.sub(r"\*\*Fraction\('(\d+)'\)", r"**\1", text)
    return eval(text, {"Fraction": Fraction, **letters})


def expression_in(question):
    return max(re.findall(r"[-(\d][-+*/^().\d ]*[\d)]", question), key=len)


def read_answer(text) -> Any:
    if re.fullmatch(r"[-\d./]+", text):
        return Fraction(text)
    if re.fullmatch(r"\(?[-\d/., ]+\)?", text):
        return tuple(Fraction(part) for part in text.strip("()").split(","))
    return text


def root_value(text):
    r"""The value of ``3+2\sqrt{5}``."""
    match = re.fullmatch(r"(-?\d+(?=[+-]))?([+-]?\d*)\\sqrt\{(\d+)\}", text)
    assert match is not None, text
    factor = match[2] if match[2].strip("+-") else match[2] + "1"
    return int(match[1] or 0) + int(factor) * math.sqrt(int(match[3]))


def arithmetic(p):
    return value_of(expression_in(p.question))


def compare_fractions(p):
    options = {letter: Fraction(text) for letter, text in re.findall(r"\((\w)\) (\d+/\d+)", p.question)}
    return (max if "largest" in p.question else min)(options, key=lambda letter: options[letter])


def equation_both_sides(p):
    equation = re.search(r"[-\dx(][-+\dx() ]* = [-+\dx() ]*[\dx)]", p.question)
    assert equation is not None
    left, right = equation[0].split(" = ")
    gap = lambda x: value_of(left, x=x) - value_of(right, x=x)  # noqa: E731
    # A straight line is known from two points.
    return -gap(Fraction(0)) / (gap(Fraction(1)) - gap(Fraction(0)))


def linear_system(p):
    equations = re.findall(r"[-\dxyz][-+\dxyz ]* = -?\d+", p.question)
    solution = dict(zip("xyz", read_answer(p.answer), strict=False))
    assert len(equations) == len(read_answer(p.answer))
    return all(value_of(left, **solution) == int(right) for left, right in (e.split(" = ") for e in equations))


def polynomial_in(question, letter="x"):
    return max(re.findall(rf"(?<![\w])[-\d{letter}][-+\d{letter}^ ]*[\d{letter}]", question), key=len)


def quadratic_roots(p):
    text = polynomial_in(p.question)
    small, large = read_answer(p.answer)
    return small < large and value_of(text, x=small) == value_of(text, x=large) == 0


def surd_root(p):
    text, x = polynomial_in(p.question), root_value(p.answer)
    steepness = float(value_of(text, x=Fraction(x) + Fraction(1, 1000)) - value_of(text, x=Fraction(x)))
    return abs(float(value_of(text, x=Fraction(x)))) < 1e-6 and steepness > 0


def simplify_roots(p):
    terms = re.findall(r"([-+]?) ?sqrt\((\d+)\)", p.question)
    total = sum((-1 if sign == "-" else 1) * math.sqrt(int(inside)) for sign, inside in terms)
    inside = int(re.findall(r"\d+", p.answer)[-1])
    assert all(inside % (d * d) for d in range(2, 10)), "a square is left under the root"
    return math.isclose(total, root_value(p.answer), abs_tol=1e-6)


def polynomial_value(p):
    x = p.numbers[0]
    assert f"x = {x}" in p.question or f"p({x})" in p.question
    return value_of(polynomial_in(re.sub(r"x = -?\d+", "", p.question)), x=Fraction(x))


def coefficient(p):
    left, right = re.findall(r"\(([^()]*)\)", p.question)
    power = re.search(r"coefficient of x\^(\d+)", p.question)
    points = range(-6, 7)
    values = [float(value_of(left, x=Fraction(x)) * value_of(right, x=Fraction(x))) for x in points]
    factors = np.polyfit(np.array(points, float), np.array(values), 12)[::-1]
    return Fraction(round(factors[int(power[1]) if power else 0]))


def integer_solutions(p):
    low, middle, high = re.findall(r"(-?\d+) < ([-+\dx ]+) <= (-?\d+)", p.question)[0]
    start = value_of(middle, x=Fraction(0))
    rise = value_of(middle, x=Fraction(1)) - start
    return sum(int(low) < start + rise * x <= int(high) for x in range(-400, 400))


def composition(p):
    bodies = dict(re.findall(r"([fg])\(x\) = ([-+\dx^ ]+?)(?= and|\.|,)", p.question))
    f, g = ((lambda x, body=bodies[name]: value_of(body, x=Fraction(x))) for name in "fg")
    calls = max(re.findall(r"[fg(]+-?\d+\)+", p.question), key=len)
    return eval(calls, {"f": f, "g": g})


def symmetric_functions(p):
    s, product_ = re.findall(r"-?\d+", re.sub(r"\^\d|1/", "", p.question))[:2]
    half = complex((int(s) ** 2 - 4 * int(product_)) ** 0.5)
    x, y = (int(s) + half) / 2, (int(s) - half) / 2
    ways = {"x^2 + y^2": x**2 + y**2, "(x - y)^2": (x - y) ** 2, "x^3 + y^3": x**3 + y**3, "1/x + 1/y": 1 / x + 1 / y}
    (value,) = [value for text, value in ways.items() if text in p.question]
    return math.isclose(value.real, float(Fraction(p.answer)), rel_tol=1e-9, abs_tol=1e-6) and abs(value.imag) < 1e-5


def prime_list(number):
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


def prime_factors(p):
    found = prime_list(int(max(numbers_in(p.question))))
    if "argest prime" in p.question:
        return max(found)
    return len(set(found)) if "different prime" in p.question else sum(found)


def divisors(p):
    number = int(max(numbers_in(p.question)))
    found = [d for d in range(1, number + 1) if number % d == 0]
    return sum(found) if "sum" in p.question or "Add up" in p.question else len(found)


def common_multiples(p):
    given = [int(n) for n in numbers_in(p.question)]
    if "divisor" in p.question or "largest integer" in p.question:
        return max(d for d in range(1, min(given) + 1) if all(n % d == 0 for n in given))
    multiple = max(given)
    while any(multiple % n for n in given):
        multiple += max(given)
    return multiple


def modular_power(p):
    base, exponent, modulus = p.numbers
    assert re.search(rf"{base}\^{exponent}\D", p.question) and str(modulus) in p.question
    value = 1
    for _ in range(exponent):
        value = value * base % modulus
    return value


def congruence(p):
    a, b, modulus = p.numbers
    assert f"{a}x" in p.question
    return next(x for x in range(modulus) if (a * x - b) % modulus == 0)


def chinese_remainders(p):
    given = [int(n) for n in numbers_in(p.question)]
    pairs = list(zip(given[::2], given[1::2], strict=True))
    return next(n for n in range(1, math.prod(m for _, m in pairs) + 1) if all(n % m == r for r, m in pairs))


def number_bases(p):
    out, base, number = p.numbers
    return number if not out else number_in_base(number, base)


def number_in_base(number, base):
    assert int(np.base_repr(number, base), base) == number
    return int(np.base_repr(number, base))


def primes_between(p):
    low, high = sorted(int(n) for n in numbers_in(p.question))
    return sum(len(prime_list(n)) == 1 for n in range(low, high + 1))


def committee(p):
    n, m, size, least, exact = p.numbers
    # The coefficients of (1 + xy)^n (1 + y)^m, one person at a time.
    ways = {(0, 0): 1}
    for first in [1] * n + [0] * m:
        grown = dict(ways)
        for (chosen, firsts), count in ways.items():
            key = (chosen + 1, firsts + first)
            grown[key] = grown.get(key, 0) + count
        ways = {key: count for key, count in grown.items() if key[0] <= size}
    return sum(
        count
        for (chosen, firsts), count in ways.items()
        if chosen == size and (firsts == least if exact else firsts >= least)
    )


def anagrams(p):
    word = max(re.findall(r"[A-J]{5,}", p.question), key=len)

    @cache
    def arrange(counts):
        if not any(counts):
            return 1
        return sum(arrange(counts[:i] + (count - 1,) + counts[i + 1 :]) for i, count in enumerate(counts) if count)

    return arrange(tuple(word.count(letter) for letter in sorted(set(word))))


def grid_paths(p):
    start, end, point = [
        tuple(map(int, pair)) for pair in re.findall(r"\((-?\d+), (-?\d+)\)", p.question) if pair not in (("1", "0"),)
    ][:2] + [tuple(map(int, re.findall(r"\((-?\d+), (-?\d+)\)", p.question)[-1]))]

    def paths(a, b, hole=None):
        ways = {a: 1}
        for x, y in product(range(a[0], b[0] + 1), range(a[1], b[1] + 1)):
            if (x, y) != a:
                ways[x, y] = 0 if (x, y) == hole else ways.get((x - 1, y), 0) + ways.get((x, y - 1), 0)
        return ways[b]

    return paths(start, end, point) if "avoid" in p.question else paths(start, point) * paths(point, end)


def distribution(p):
    total, *least = p.numbers
    ways = [1] + [0] * total
    for low in least:
        ways = [sum(ways[used - given] for given in range(low, used + 1)) for used in range(total + 1)]
    return ways[total]


def divisible_count(p):
    limit, *given = [int(n) for n in re.findall(r"\d+", p.question.replace("1, 2, ...,", "").replace("from 1 to", ""))]
    some = sum(any(n % d == 0 for d in given) for n in range(1, limit + 1))
    return limit - some if re.search("not divisible|none of", p.question) else some


def codes(p):
    letters, letter_places, digits, digit_places, signs, repeat = p.numbers
    total = signs
    for symbols, places in ((letters, letter_places), (digits, digit_places)):
        for place in range(places):
            total *= symbols if repeat else symbols - place
    assert ("may repeat" in p.question) and ("No symbol" in p.question) != bool(repeat)
    return total


NUMBERS = {
    **dict.fromkeys(("order_of_operations", "decimals", "fraction_chain", "powers"), arithmetic),
    "compare_fractions": compare_fractions,
    "quotient_and_remainder": lambda p: divmod(*(int(n) for n in numbers_in(p.question))),
    "equation_both_sides": equation_both_sides,
    "linear_system": linear_system,
    "quadratic_roots": quadratic_roots,
    "surd_root": surd_root,
    "simplify_roots": simplify_roots,
    "polynomial_value": polynomial_value,
    "coefficient": coefficient,
    "integer_solutions": integer_solutions,
    "composition": composition,
    "symmetric_functions": symmetric_functions,
    "prime_factors": prime_factors,
    "divisors": divisors,
    "common_multiples": common_multiples,
    "modular_power": modular_power,
    "congruence": congruence,
    "chinese_remainders": chinese_remainders,
    "number_bases": number_bases,
    "primes_between": primes_between,
    "divisibility": lambda p: "no" if p.numbers[0] % p.numbers[1] else "yes",
    "committee": committee,
    "anagrams": anagrams,
    "grid_paths": grid_paths,
    "distribution": distribution,
    "divisible_count": divisible_count,
    "codes": codes,
}
