"""Number theory: factors, divisors, remainders, congruences, bases, primes."""

from __future__ import annotations

import math

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording

PRIMES = tuple(n for n in range(2, 400) if all(n % d for d in range(2, math.isqrt(n) + 1)))


def _factorise(number: int) -> list[tuple[int, int]]:
    """Primes and exponents, by trial division; good for what has no two primes above 400."""
    found = []
    for prime in PRIMES:
        exponent = 0
        while number % prime == 0:
            number //= prime
            exponent += 1
        if exponent:
            found.append((prime, exponent))
        if prime * prime > number:
            break
    return found if number == 1 else [*found, (number, 1)]


def _write_factors(factors: list[tuple[int, int]]) -> str:
    return " * ".join(str(prime) if exponent == 1 else f"{prime}^{exponent}" for prime, exponent in factors)


# (what is asked, then the primes): the largest prime, the number of different primes, their sum.
def _sample_prime_factors(draw: Draw, level: int) -> Numbers:
    small = [draw.choice(PRIMES[:4]) for _ in range(draw.integer(1, 3))]
    large = [draw.choice(PRIMES[: 18 + 5 * level]) for _ in range(2 + (level > 5))]
    return (draw.integer(0, 2), *sorted(small + large))


def _word_prime_factors(numbers: Numbers, voice: Draw) -> Wording:
    asked, *primes = numbers
    number = left = math.prod(primes)
    steps = []
    for prime in primes[:-1]:
        steps.append(f"{left} / {prime} = {left // prime}")
        left //= prime
    steps.append(f"{number} = {' * '.join(map(str, primes))}")
    if asked == 0:
        return Wording(
            voice.choice(("What is the largest prime factor of {}?", "Find the largest prime that divides {}.")).format(
                number
            ),
            tuple(steps),
            str(primes[-1]),
        )
    if asked == 1:
        question = voice.choice(
            ("How many different primes divide {}?", "Count the different prime factors of {}.")
        ).format(number)
        return Wording(
            question, (*steps, f"Different primes: {', '.join(map(str, sorted(set(primes))))}"), str(len(set(primes)))
        )
    question = voice.choice(
        (
            "Write {} as a product of primes. What is the sum of these primes, each counted as often as it occurs?",
            "What is the sum of the prime factors of {}, counted with multiplicity?",
        )
    ).format(number)
    return Wording(question, (*steps, f"{' + '.join(map(str, primes))} = {sum(primes)}"), str(sum(primes)))


# (0 for how many divisors or 1 for their sum, the number).
def _sample_divisors(draw: Draw, level: int) -> Numbers:
    number = draw.integer(60, 8000 * level)
    # Half of them are made to have many divisors.
    return draw.integer(0, 1), number - number % draw.choice((1, 1, 2, 6))


def _word_divisors(numbers: Numbers, voice: Draw) -> Wording:
    asked, number = numbers
    factors = _factorise(number)
    steps = [f"{number} = {_write_factors(factors)}"]
    if asked == 0:
        answer = math.prod(exponent + 1 for _, exponent in factors)
        steps.append(f"{' * '.join(f'({exponent} + 1)' for _, exponent in factors)} = {answer}")
        begin = (
            "How many positive divisors does {} have?",
            "Count the positive divisors of {}.",
            "By how many positive integers can {} be divided without remainder?",
        )
    else:
        sums = [(prime ** (exponent + 1) - 1) // (prime - 1) for prime, exponent in factors]
        for (prime, exponent), value in zip(factors, sums, strict=True):
            steps.append(f"Powers of {prime} up to {prime}^{exponent}: the sum is {value}")
        answer = math.prod(sums)
        if len(sums) > 1:
            steps.append(f"{' * '.join(map(str, sums))} = {answer}")
        begin = (
            "What is the sum of all positive divisors of {}, itself included?",
            "Add up all positive divisors of {}, 1 and {} included.",
        )
    return Wording(voice.choice(begin).format(number, number), tuple(steps), str(answer))


# (0 for the least common multiple or 1 for the greatest common divisor, then the numbers).
def _sample_multiples(draw: Draw, level: int) -> Numbers | None:
    asked = draw.integer(0, 1)
    count = 2 + (asked or level > 5)
    if asked:
        common = draw.integer(2, 9 + 3 * level)
        numbers = [common * n for n in draw.integers(2, 14 + 3 * level, count)]
    else:
        numbers = draw.integers(4, 50 + 12 * level, count)
    return (asked, *numbers) if len(set(numbers)) == count else None


def _word_multiples(numbers: Numbers, voice: Draw) -> Wording:
    asked, first, *others = numbers
    value, steps = first, []
    for other in others:
        a, b = max(value, other), min(value, other)
        while b:
            steps.append(f"{a} = {a // b} * {b} + {a % b}")
            a, b = b, a % b
        steps.append(f"The greatest common divisor of {value} and {other} is {a}.")
        if asked == 0:
            steps.append(f"{value} * {other} / {a} = {value // a * other}")
        value = a if asked else value // a * other
    text = ", ".join(map(str, numbers[1:-1])) + f" and {numbers[-1]}"
    begin = (
        (
            "What is the greatest common divisor of {}?",
            "Find the largest integer that divides {}.",
            "Compute the greatest common divisor of {}.",
        )
        if asked
        else (
            "What is the least common multiple of {}?",
            "Find the smallest positive integer that {} divide.",
            "Compute the least common multiple of {}.",
        )
    )
    return Wording(voice.choice(begin).format(text), tuple(steps), str(value))


def _sample_modular_power(draw: Draw, level: int) -> Numbers:
    return draw.integer(2, 12 + 6 * level), draw.integer(3, 10 * level + 10), draw.integer(5, 15 + 8 * level)


def _word_modular_power(numbers: Numbers, voice: Draw) -> Wording:
    base, exponent, modulus = numbers
    value = base % modulus
    steps = [f"{base} leaves {value}."]
    power = 1
    # From the highest binary digit of the exponent down: square, and multiply where the digit is 1.
    for digit in bin(exponent)[3:]:
        power *= 2
        steps.append(f"Power {power}: {value}^2 = {value * value}, which leaves {value * value % modulus}")
        value = value * value % modulus
        if digit == "1":
            power += 1
            product = value * (base % modulus)
            steps.append(f"Power {power}: {value} * {base % modulus} = {product}, which leaves {product % modulus}")
            value = product % modulus
    begin = voice.choice(
        (
            "What is the remainder of {0}^{1} divided by {2}?",
            "Find {0}^{1} mod {2}.",
            "{0}^{1} is divided by {2}. What is the remainder?",
        )
    )
    return Wording(begin.format(base, exponent, modulus), (f"Remainders by {modulus}:", *steps), str(value))


# (a, b, m) of ax = b modulo m, with a and m coprime.
def _sample_congruence(draw: Draw, level: int) -> Numbers | None:
    modulus = draw.integer(15, 50 + 12 * level)
    a = draw.integer(2, modulus - 1)
    return (a, draw.integer(1, modulus - 1), modulus) if math.gcd(a, modulus) == 1 else None


def _word_congruence(numbers: Numbers, voice: Draw) -> Wording:
    a, b, modulus = numbers
    inverse = pow(a, -1, modulus)
    answer = inverse * b % modulus
    begin = voice.choice(
        (
            "Find the smallest x >= 0 for which {0}x leaves the remainder {1} when divided by {2}.",
            "Solve {0}x = {1} modulo {2}. Give the x from 0 to {3}.",
            "What is the smallest non-negative integer x such that {2} divides {0}x - {1}?",
        )
    )
    steps = (
        f"{a} * {inverse} = {a * inverse} = {a * inverse // modulus} * {modulus} + 1,"
        f" so {inverse} is the inverse of {a}.",
        f"x = {inverse} * {b} = {inverse * b}, which leaves {answer}",
    )
    return Wording(begin.format(a, b, modulus, modulus - 1), steps, str(answer))


# (remainder, modulus) pairs with coprime moduli.
def _sample_remainders(draw: Draw, level: int) -> Numbers | None:
    moduli = draw.integers(5, 14 + 3 * level, 2 + (level > 5))
    if any(math.gcd(a, b) > 1 for i, a in enumerate(moduli) for b in moduli[:i]):
        return None
    return tuple(n for modulus in moduli for n in (draw.integer(1, modulus - 1), modulus))


def _word_remainders(numbers: Numbers, voice: Draw) -> Wording:
    value, product = numbers[:2]
    steps = [f"All numbers that leave {value} by {product}: {value}, {value + product}, {value + 2 * product}, ..."]
    for start in range(2, len(numbers), 2):
        rest, modulus = numbers[start : start + 2]
        times = (rest - value) * pow(product, -1, modulus) % modulus
        found = value + times * product
        steps.append(f"{value} + {times} * {product} = {found} is the first that leaves {rest} by {modulus}.")
        value, product = found, product * modulus
    conditions = [f"{numbers[i]} when divided by {numbers[i + 1]}" for i in range(0, len(numbers), 2)]
    text = ", ".join(conditions[:-1]) + " and " + conditions[-1]
    begin = voice.choice(
        (
            "What is the smallest positive integer that leaves the remainder {}?",
            "A number leaves the remainder {}. What is the smallest positive such number?",
            "Find the least positive integer with the remainder {}.",
        )
    )
    return Wording(begin.format(text), tuple(steps), str(value))


# (0 into base ten or 1 out of it, the base, the number).
def _sample_bases(draw: Draw, level: int) -> Numbers:
    base = draw.integer(2, min(9, 4 + level // 2))
    return draw.integer(0, 1), base, draw.integer(20, 400 + 300 * level * level)


def _digits(number: int, base: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, base)
        text = str(digit) + text
    return text


def _word_bases(numbers: Numbers, voice: Draw) -> Wording:
    out, base, number = numbers
    digits = _digits(number, base)
    if out:
        steps, left = [], number
        while left:
            steps.append(f"{left} = {left // base} * {base} + {left % base}")
            left //= base
        begin = voice.choice(
            ("Write {0} in base {1}.", "Convert {0} from base ten to base {1}.", "How is {0} written in base {1}?")
        )
        return Wording(
            begin.format(number, base) + " Give the digits alone.",
            (*steps, f"From the last to the first: {digits}"),
            digits,
        )
    steps, value = [], 0
    for digit in digits:
        steps.append(f"{value} * {base} + {digit} = {value * base + int(digit)}")
        value = value * base + int(digit)
    begin = voice.choice(
        (
            "The number {0} is written in base {1}. What is it in base ten?",
            "Convert {0} from base {1} to base ten.",
            "In base {1} a number is written {0}. Write it in base ten.",
        )
    )
    return Wording(begin.format(digits, base), tuple(steps), str(number))


def _sample_primes_between(draw: Draw, level: int) -> Numbers:
    low = draw.integer(2, 300 + 150 * level)
    return low, low + draw.integer(12, 30 + 5 * level)


def _word_primes_between(numbers: Numbers, voice: Draw) -> Wording:
    low, high = numbers
    found = [n for n in range(low, high + 1) if _is_prime(n)]
    begin = voice.choice(
        (
            "How many primes p are there with {0} <= p <= {1}?",
            "Count the primes from {0} to {1}, both included.",
            "How many of the integers from {0} to {1}, both included, are prime?",
        )
    )
    steps = (
        f"Left over without the multiples of the primes up to {math.isqrt(high)}:"
        f" {', '.join(map(str, found)) or 'none'}",
    )
    return Wording(begin.format(low, high), steps, str(len(found)))


def _is_prime(number: int) -> bool:
    for prime in PRIMES:
        if prime * prime > number:
            return number > 1
        if number % prime == 0:
            return number == prime
    return False


# (number, divisor); half of them divide.
def _sample_divisibility(draw: Draw, level: int) -> Numbers:
    divisor = draw.integer(3, 12 + 6 * level)
    number = divisor * draw.integer(20, 150 * level)
    # What is off by a multiple of a small factor still looks divisible.
    return (number if draw.flip() else number + draw.integer(1, divisor - 1)), divisor


def _word_divisibility(numbers: Numbers, voice: Draw) -> Wording:
    number, divisor = numbers
    quotient, rest = divmod(number, divisor)
    begin = voice.choice(("Is {0} divisible by {1}?", "Does {1} divide {0}?", "Is {0} a multiple of {1}?"))
    steps = (f"{number} = {quotient} * {divisor} + {rest}", f"The remainder is {rest}.")
    return Wording(begin.format(number, divisor) + " Answer yes or no.", steps, "no" if rest else "yes")


NUMBER_THEORY = (
    TextFamily("prime_factors", "number theory", _sample_prime_factors, _word_prime_factors),
    TextFamily("divisors", "number theory", _sample_divisors, _word_divisors),
    TextFamily("common_multiples", "number theory", _sample_multiples, _word_multiples),
    TextFamily("modular_power", "number theory", _sample_modular_power, _word_modular_power),
    TextFamily("congruence", "number theory", _sample_congruence, _word_congruence),
    TextFamily("chinese_remainders", "number theory", _sample_remainders, _word_remainders),
    TextFamily("number_bases", "number theory", _sample_bases, _word_bases),
    TextFamily("primes_between", "number theory", _sample_primes_between, _word_primes_between),
    TextFamily("divisibility", "number theory", _sample_divisibility, _word_divisibility),
)
