"""Sequences: terms and sums, recurrences, what comes next, what is missing, repeating patterns."""

from __future__ import annotations

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import COLOURS
from .notation import bracketed, polynomial, ratio, signed


# (i, term i, j, term j, n).
def _sample_arithmetic_term(draw: Draw, level: int) -> Numbers:
    i = draw.integer(1, 3 + level)
    j = i + draw.integer(2, 4 + level)
    change = draw.nonzero(-3 * level, 6 + 4 * level)
    start = draw.integer(-10 * level, 30 + 10 * level)
    return i, start + i * change, j, start + j * change, j + draw.integer(1, 10 + 10 * level)


def _word_arithmetic_term(numbers: Numbers, voice: Draw) -> Wording:
    i, a, j, b, n = numbers
    change = (b - a) // (j - i)
    begin = voice.choice(
        (
            "Term {0} of an arithmetic sequence is {1} and term {2} is {3}. Find term {4}.",
            "In an arithmetic sequence a_{0} = {1} and a_{2} = {3}. What is a_{4}?",
            "An arithmetic sequence has a_{0} = {1}, a_{2} = {3}. Compute a_{4}.",
        )
    )
    answer = b + (n - j) * change
    steps = (
        f"From term {i} to term {j}: {b} {signed(-a)} = {b - a} in {j - i} steps, so {change} each.",
        f"From term {j} to term {n} there are {n - j} steps: {b} + {n - j} * {bracketed(change)} = {answer}",
    )
    return Wording(begin.format(i, a, j, b, n), steps, str(answer))


# (0 for a term or 1 for a sum, first, top and bottom of the ratio, n).
def _sample_geometric(draw: Draw, level: int) -> Numbers:
    asked, n = draw.integer(0, int(level > 2)), draw.integer(4, 7 + level // 3)
    first = draw.nonzero(-250, 400 + 15 * level)
    if level > 5 and draw.flip():
        bottom = draw.integer(2, 4)
        return (
            asked,
            first * bottom ** draw.integer(1, n - 1),
            draw.choice([k for k in (1, 3, 5) if k % bottom]),
            bottom,
            n,
        )
    return asked, first, draw.choice((2, 3, 4, 5, -2, -3)), 1, n


def _word_geometric(numbers: Numbers, voice: Draw) -> Wording:
    asked, first, top, bottom, n = numbers
    terms = [ratio(first * top**k, bottom**k) for k in range(n)]
    if bottom == 1:
        steps = [f"{terms[k - 1]} * {bracketed(top)} = {terms[k]}" for k in range(1, n)]
    else:
        steps = [f"{terms[k - 1]} * {top}/{bottom} = {terms[k]}" for k in range(1, n)]
    answer = terms[-1]
    if asked:
        total = sum(first * top**k * bottom ** (n - 1 - k) for k in range(n))
        answer = ratio(total, bottom ** (n - 1))
        steps.append(f"{' + '.join(f'({term})' if term[0] == '-' else term for term in terms)} = {answer}")
    what = f"the sum of its first {n} terms" if asked else f"its term number {n}"
    begin = voice.choice(
        (
            "A geometric sequence begins with {0} and has the ratio {1}. What is {2}?",
            "The first term of a geometric sequence is {0}, the common ratio {1}. Find {2}.",
            "Take the geometric sequence with first term {0} and ratio {1}. Compute {2}.",
            "Each term of a sequence is {1} times the one before; the first is {0}. What is {2}?",
        )
    )
    return Wording(begin.format(first, ratio(top, bottom), what), tuple(steps), answer)


# (p, q, r, a1, a2, n) of a_k = p a_(k-1) + q a_(k-2) + r.
def _sample_recurrence(draw: Draw, level: int) -> Numbers:
    low = -2 if level > 4 else 1
    p, q = draw.nonzero(low, 3 + level // 4) if low < 0 else draw.integer(1, 3 + level // 4), 0
    if level > 2:
        q = draw.nonzero(-2, 2) if level > 4 else draw.integer(1, 2)
    r = draw.integer(-9, 19 + level)
    first, second = draw.integers(-9 if level > 3 else 1, 24 + 2 * level, 2)
    return p, q, r, first, second if q else 0, draw.integer(4, 5 + level // 2)


def _word_recurrence(numbers: Numbers, voice: Draw) -> Wording:
    p, q, r, first, second, n = numbers
    rule = polynomial((p, 0), "a_(k-1)")
    if q:
        rule += (" - " if q < 0 else " + ") + polynomial((abs(q), 0), "a_(k-2)")
    if r:
        rule += f" {signed(r)}"
    values, steps = [first, second] if q else [first], []
    while len(values) < n:
        value = p * values[-1] + (q * values[-2] if q else 0) + r
        parts = f"{p} * {bracketed(values[-1])}" + (f" + {bracketed(q)} * {bracketed(values[-2])}" if q else "")
        steps.append(f"a_{len(values) + 1} = {parts}{f' {signed(r)}' if r else ''} = {value}")
        values.append(value)
    start = f"a_1 = {first}, a_2 = {second}" if q else f"a_1 = {first}"
    begin = voice.choice(
        (
            "A sequence has {0} and a_k = {1} for k > {3}. Find a_{2}.",
            "Let {0}, and a_k = {1} for all k > {3}. What is a_{2}?",
            "{0}; from k = {4} on a_k = {1}. Compute a_{2}.",
        )
    )
    return Wording(begin.format(start, rule, n, 1 + (q != 0), 2 + (q != 0)), tuple(steps), str(values[-1]))


def _sample_series(draw: Draw, level: int) -> Numbers:
    return (
        draw.integer(-9 * (level > 3), 20 + 5 * level),
        draw.integer(2, 8 + 2 * level),
        draw.integer(6, 20 + 10 * level),
    )


def _word_series(numbers: Numbers, voice: Draw) -> Wording:
    first, change, count = numbers
    last = first + (count - 1) * change
    double = count * (first + last)
    text = f"{first} + {bracketed(first + change)} + {bracketed(first + 2 * change)} + ... + {last}"
    begin = voice.choice(
        (
            "Compute {}, an arithmetic series.",
            "What is the sum {}, with equal differences?",
            "Add up the arithmetic series {}.",
        )
    )
    steps = (
        f"({last} {signed(-first)}) / {change} + 1 = {count} terms",
        f"{count} * ({first} {signed(last)}) / 2 = {double} / 2 = {double // 2}",
    )
    return Wording(begin.format(text), steps, str(double // 2))


# (low, high, then the factors of k^2, k and 1).
def _sample_sigma(draw: Draw, level: int) -> Numbers:
    low = draw.integer(1, 1 + level)
    square = draw.nonzero(-2, 3) if level > 4 else 0
    return low, low + draw.integer(4, 6 + level), square, draw.nonzero(-7, 9 + level), draw.integer(-25, 25 + level)


def _word_sigma(numbers: Numbers, voice: Draw) -> Wording:
    low, high, *factors = numbers
    a, b, c = factors
    values = [a * k * k + b * k + c for k in range(low, high + 1)]
    begin = voice.choice(
        (
            "Add up the values of {0} for all integers k from {1} to {2}.",
            "What is the sum of {0} over k = {1}, ..., {2}?",
            "Compute the sum of {0} where k runs from {1} to {2}.",
        )
    )
    steps, total = [f"k = {low}: {values[0]}"], values[0]
    for k, value in zip(range(low + 1, high + 1), values[1:], strict=True):
        steps.append(f"k = {k}: {value}, {total} {signed(value)} = {total + value}")
        total += value
    return Wording(begin.format(polynomial(factors, "k"), low, high), tuple(steps), str(total))


# (kind, then its numbers): second differences, times and plus, two interleaved, sums of two before, alternating steps.
def _sample_next_number(draw: Draw, level: int) -> Numbers:
    kind = draw.integer(0, min(4, 1 + level // 2))
    a, b = draw.integers(1, 35 + 5 * level, 2)
    if kind == 1:
        return kind, a, draw.integer(2, 3 + level // 4), draw.nonzero(-1 if level < 3 else -15, 25 + level)
    if kind == 2:
        return kind, a, draw.integer(2, 5 + level), b, -draw.integer(2, 5 + level)
    if kind == 3:
        return kind, a, b
    if kind == 4:
        return kind, a, draw.integer(2, 15 + level), draw.integer(2, 4)
    return kind, a, b, draw.integer(1, 4 + level)


def _word_next_number(numbers: Numbers, voice: Draw) -> Wording:
    kind, a, *rest = numbers
    if kind == 0:
        change, bend = rest
        terms = [a + change * i + bend * i * (i - 1) // 2 for i in range(6)]
        gaps = [after - before for before, after in zip(terms, terms[1:], strict=False)]
        steps = (
            f"Differences: {', '.join(map(str, gaps[:4]))}; each is {bend} more than the one before.",
            f"{terms[4]} + {gaps[4]} = {terms[5]}",
        )
    elif kind == 1:
        times, plus = rest
        terms = [a]
        for _ in range(5):
            terms.append(times * terms[-1] + plus)
        steps = (
            f"Each term is {times} times the one before, plus {plus}.",
            f"{times} * {terms[4]} + {plus} = {terms[5]}",
        )
    elif kind == 2:
        change, b, other = rest
        terms = [x for i in range(4) for x in (a + change * i, b + other * i)][:7]
        steps = (
            f"Every second term: {', '.join(map(str, terms[0:6:2]))} rises by {change}; the others fall by {-other}.",
            f"{terms[4]} + {change} = {terms[6]}",
        )
    elif kind == 3:
        terms = [a, rest[0]]
        while len(terms) < 7:
            terms.append(terms[-1] + terms[-2])
        steps = ("Each term is the sum of the two before it.", f"{terms[4]} + {terms[5]} = {terms[6]}")
    else:
        plus, times = rest
        terms = [a]
        while len(terms) < 7:
            terms += (terms[-1] + plus, (terms[-1] + plus) * times)
        steps = (f"In turn {plus} is added and the term multiplied by {times}.", f"{terms[5]} * {times} = {terms[6]}")
    begin = voice.choice(
        ("What is the next number: {}, ...?", "Which number continues {}, ...?", "Find the next term of {}, ...")
    )
    return Wording(begin.format(", ".join(map(str, terms[:-1]))), steps, str(terms[-1]))


# (position asked for, then the cycle, as numbers of colours).
def _sample_pattern(draw: Draw, level: int) -> Numbers:
    cycle = [draw.integer(0, 9)]
    for _ in range(3 + level // 2):
        cycle.append(draw.choice([n for n in range(10) if n != cycle[-1]]))
    return draw.integer(20 * level, 100 * level), *cycle


def _word_pattern(numbers: Numbers, voice: Draw) -> Wording:
    position, *cycle = numbers
    names = [COLOURS[n] for n in cycle]
    rest = position % len(cycle)
    begin = voice.choice(
        (
            "Beads on a string repeat the pattern {0}. Which colour is bead number {1}?",
            "A row of flags repeats {0}, over and over. What is the colour of flag number {1}?",
            "Lights flash in the order {0}, then again from the start. What colour is flash number {1}?",
        )
    )
    place = rest or len(cycle)
    steps = (
        f"The pattern has {len(cycle)} places: {position} = {position // len(cycle)} * {len(cycle)} + {rest}",
        f"It is place {place} of the pattern: {names[place - 1]}",
    )
    return Wording(begin.format(", ".join(names), position), steps, names[place - 1])


SEQUENCES = (
    TextFamily("arithmetic_term", "sequences", _sample_arithmetic_term, _word_arithmetic_term),
    TextFamily("geometric_sequence", "sequences", _sample_geometric, _word_geometric),
    TextFamily("recurrence", "sequences", _sample_recurrence, _word_recurrence),
    TextFamily("arithmetic_series", "sequences", _sample_series, _word_series),
    TextFamily("sum_over_k", "sequences", _sample_sigma, _word_sigma),
    TextFamily("next_number", "sequences", _sample_next_number, _word_next_number),
    TextFamily("repeating_pattern", "sequences", _sample_pattern, _word_pattern),
)
