"""Algebra: equations, systems, quadratics, roots, polynomials, functions, inequalities."""

from __future__ import annotations

import math

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .notation import bracketed, chain, polynomial, ratio, reduced, signed

SOLVE = ("Solve {} for x.", "Find x: {}.", "For which x is {}?", "What is x if {}?")
SQUARE_FREE = tuple(n for n in range(2, 100) if all(n % (d * d) for d in range(2, 10)))


# (kind, a, b, c, d, e): 0 is ax + b = cx + d, 1 is a(x + b) = c(x + d) + e.
def _sample_both_sides(draw: Draw, level: int) -> Numbers | None:
    kind, high = draw.integer(0, min(1, level // 3)), 3 + level
    a, c = draw.nonzero(-high if level > 3 else -1, high), draw.nonzero(-high if level > 3 else -1, high)
    bottom = draw.integer(2, level - 2) if level > 5 else 1
    top = draw.integer(-4 * level, 9 * level)
    b, d = draw.integer(-9 * level, 9 * level), draw.integer(-9, 9)
    if a == c or (a - c) % bottom or math.gcd(top, bottom) > 1:
        return None
    if kind == 0:
        return 0, a, b, c, b + (a - c) // bottom * top, 0
    return 1, a, b, c, d, a * b - c * d + (a - c) // bottom * top


def _word_both_sides(numbers: Numbers, voice: Draw) -> Wording:
    kind, a, b, c, d, e = numbers
    steps = []
    if kind == 0:
        left, right = polynomial((a, b)), polynomial((c, d))
    else:
        left, right = f"{a}(x {signed(b)})", f"{c}(x {signed(d)})" + (f" {signed(e)}" if e else "")
        b, d = a * b, c * d + e
        steps.append(f"Expanded: {polynomial((a, b))} = {polynomial((c, d))}")
    answer = ratio(d - b, a - c)
    steps.append(f"Terms with x to the left, the others to the right: {polynomial((a - c, 0))} = {d - b}")
    steps.append(f"x = {reduced(d - b, a - c)}")
    question = voice.choice(SOLVE).format(f"{left} = {right}")
    return Wording(question, tuple(steps), answer)


# Row by row: the factors of the unknowns and the right side.
def _sample_linear_system(draw: Draw, level: int) -> Numbers | None:
    count, high = 2 + (level > 7), 4 + level
    solution = draw.integers(-2 * level - 3, 2 * level + 5, count)
    rows = [draw.integers(-high if level > 2 else 1, high, count) for _ in range(count)]
    if _determinant(rows) == 0:
        return None
    return tuple(n for row in rows for n in (*row, sum(a * x for a, x in zip(row, solution, strict=True))))


def _determinant(rows: list[list[int]]) -> int:
    if len(rows) == 2:
        (a, b), (c, d) = rows
        return a * d - b * c
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _expansion(rows: list[list[int]]) -> str:
    """The determinant along the first row, with the small determinants of three rows worked out."""
    if len(rows) == 2:
        factors, minors = rows[0], [rows[1][1], rows[1][0]]
    else:
        factors = rows[0]
        minors = [_determinant([row[:place] + row[place + 1 :] for row in rows[1:]]) for place in range(3)]
    parts = [f"{bracketed(factor)} * {bracketed(minor)}" for factor, minor in zip(factors, minors, strict=True)]
    return " - ".join(parts[:2]) + "".join(f" + {part}" for part in parts[2:])


def _word_linear_system(numbers: Numbers, voice: Draw) -> Wording:
    count = 2 if len(numbers) == 6 else 3
    table = [list(numbers[i : i + count + 1]) for i in range(0, len(numbers), count + 1)]
    rows, right = [row[:-1] for row in table], [row[-1] for row in table]
    letters = "xyz"[:count]
    equations = [f"{_sum_of(row, letters)} = {value}" for row, value in zip(rows, right, strict=True)]
    determinant = _determinant(rows)
    steps = [f"By Cramer's rule. The determinant of the factors is D = {_expansion(rows)} = {determinant}."]
    values = []
    for place, letter in enumerate(letters):
        replaced = [row[:place] + [value] + row[place + 1 :] for row, value in zip(rows, right, strict=True)]
        top = _determinant(replaced)
        values.append(top // determinant)
        steps.append(
            f"With the right sides in the column of {letter} it is {_expansion(replaced)} = {top}:"
            f" {letter} = {top}/{bracketed(determinant)} = {values[-1]}"
        )
    begin = voice.choice(("Solve the system {}.", "Find the numbers with {}.", "Solve {}."))
    answer = f"({', '.join(map(str, values))})"
    question = f"{begin.format(' and '.join(equations))} Answer as ({', '.join(letters)})."
    return Wording(question, tuple(steps), answer)


def _sum_of(factors: list[int], letters: str) -> str:
    text = ""
    for factor, letter in zip(factors, letters, strict=True):
        if factor:
            size = "" if abs(factor) == 1 else str(abs(factor))
            sign = (" - " if factor < 0 else " + ") if text else ("-" if factor < 0 else "")
            text += f"{sign}{size}{letter}"
    return text or "0"


# (k, a, p, b, q) of k(ax - p)(bx - q) = 0.
def _sample_quadratic_roots(draw: Draw, level: int) -> Numbers | None:
    k, high = draw.integer(1, 4), 28 + 4 * level
    a, b = (1, 1) if level < 4 else (draw.integer(1, level - 1), draw.integer(1, level // 3))
    p, q = draw.integer(-high, high), draw.integer(-high, high)
    if math.gcd(a, p) > 1 or math.gcd(b, q) > 1 or p * b == q * a:
        return None
    return (k, a, p, b, q) if p * b < q * a else (k, b, q, a, p)


def _word_quadratic_roots(numbers: Numbers, voice: Draw) -> Wording:
    k, a, p, b, q = numbers
    square, middle, last = k * a * b, -k * (a * q + b * p), k * p * q
    inside = middle * middle - 4 * square * last
    root = math.isqrt(inside)
    text = polynomial((square, middle, last))
    begin = voice.choice(("Solve {} = 0.", "Find the two roots of {}.", "For which two x is {} equal to 0?"))
    small, large = ratio(p, a), ratio(q, b)
    steps = (
        f"Discriminant: {bracketed(middle)}^2 - 4 * {square} * {bracketed(last)} = {inside} = {root}^2",
        f"x = ({-middle} - {root})/(2 * {square}) = {-middle - root}/{2 * square} = {small}",
        f"x = ({-middle} + {root})/(2 * {square}) = {-middle + root}/{2 * square} = {large}",
    )
    question = begin.format(text) + " Give both, the smaller one first, with a comma between them."
    return Wording(question, steps, f"{small}, {large}")


# (k, m, r, s): leading factor k, roots m - s sqrt(r) and m + s sqrt(r).
def _sample_surd_root(draw: Draw, level: int) -> Numbers:
    m = draw.nonzero(-20 - 5 * level, 20 + 5 * level)
    return draw.integer(1, 5), m, draw.choice(SQUARE_FREE[: 30 + 3 * level]), draw.integer(1, 4 + level // 2)


def _word_surd_root(numbers: Numbers, voice: Draw) -> Wording:
    k, m, r, s = numbers
    inside = s * s * r
    text = polynomial((k, -2 * k * m, k * (m * m - inside)))
    times = "" if s == 1 else str(s)
    begin = voice.choice(
        (
            "Find the larger root of {}, exactly.",
            "What is the larger solution of {} = 0, exactly?",
            "Solve {} = 0 and give the larger solution, exactly.",
        )
    )
    steps = (
        f"Divided by {k}, half of the factor of x is {-m}:"
        f" (x {signed(-m)})^2 = {m * m} {signed(inside - m * m)} = {inside}",
        f"x {signed(-m)} = \\sqrt{{{inside}}} = {times}\\sqrt{{{r}}} for the larger root",
        f"x = {m} + {times}\\sqrt{{{r}}}",
    )
    return Wording(begin.format(text), steps, f"{m}+{times}\\sqrt{{{r}}}")


# (root, then the outer factors, negative where subtracted).
def _sample_simplify_roots(draw: Draw, level: int) -> Numbers | None:
    root = draw.choice(SQUARE_FREE[: 20 + 4 * level])
    factors = [draw.integer(2, 15 + 2 * level)]
    for _ in range(1 + (level > 4) + (level > 7)):
        factors.append(draw.integer(1, 12 + 2 * level) * (1 if draw.flip() else -1))
    return (root, *factors) if sum(factors) not in (0, 1, -1) else None


def _word_simplify_roots(numbers: Numbers, voice: Draw) -> Wording:
    root, *factors = numbers
    text, steps = "", []
    for factor in factors:
        inside = factor * factor * root
        text += (" - " if factor < 0 else " + " if text else "") + f"sqrt({inside})"
        steps.append(f"sqrt({inside}) = sqrt({factor * factor} * {root}) = {abs(factor)} * sqrt({root})")
    total = sum(factors)
    steps.append(
        " ".join([str(factors[0]), *map(signed, factors[1:])]) + f" = {total}, so it is {total} * sqrt({root})"
    )
    begin = voice.choice(("Simplify {}.", "Write {} as simply as possible.", "Compute {} exactly."))
    question = (
        begin.format(text) + " Answer as an integer times one square root of an integer that is as small as possible."
    )
    return Wording(question, tuple(steps), f"{total}\\sqrt{{{root}}}")


# (x, then the factors, highest power first).
def _sample_polynomial_value(draw: Draw, level: int) -> Numbers:
    high = 4 + level
    degree = 2 + level // 4
    x = draw.integer(2, 4 + level // 2)
    if level > 2 and draw.flip():
        x = -x
    return (x, draw.nonzero(-high, high), *draw.integers(-high, high, degree))


def _word_polynomial_value(numbers: Numbers, voice: Draw) -> Wording:
    x, *factors = numbers
    value, steps = factors[0], []
    for factor in factors[1:]:
        steps.append(f"{bracketed(value)} * {bracketed(x)} {signed(factor)} = {value * x + factor}")
        value = value * x + factor
    begin = voice.choice(
        (
            "Evaluate {0} at x = {1}.",
            "What is {0} for x = {1}?",
            "Let p(x) = {0}. Find p({1}).",
            "Insert x = {1} into {0}.",
        )
    )
    return Wording(begin.format(polynomial(factors), x), ("By Horner's scheme:", *steps), str(value))


# (power asked for, degree of the first, its factors, factors of the second).
def _sample_coefficient(draw: Draw, level: int) -> Numbers:
    first, second, high = 1 + level // 4, 1 + (level + 2) // 4, 4 + level
    left = (draw.nonzero(-high, high), *draw.integers(-high, high, first))
    right = (draw.nonzero(-high, high), *draw.integers(-high, high, second))
    inner = level > 3  # the outermost two are single products
    return (draw.integer(inner, first + second - inner), first, *left, *right)


def _word_coefficient(numbers: Numbers, voice: Draw) -> Wording:
    power, first = numbers[:2]
    left, right = numbers[2 : first + 3], numbers[first + 3 :]
    second = len(right) - 1
    products, steps = [], []
    for i in range(max(0, power - second), min(first, power) + 1):
        a, b = left[first - i], right[second - power + i]
        products.append(a * b)
        steps.append(f"x^{i} of the first times x^{power - i} of the second: {bracketed(a)} * {bracketed(b)} = {a * b}")
    if len(products) > 1:
        steps.append(chain(products))
    asked = f"the coefficient of x^{power}" if power else "the term without x"
    begin = voice.choice(("What is {1} in ({0})?", "Expand ({0}). What is {1}?", "Find {1} of ({0})."))
    question = begin.format(f"{polynomial(left)})({polynomial(right)}", asked)
    return Wording(question, tuple(steps), str(sum(products)))


# (a, b, low, high) of low < ax + b <= high.
def _sample_integer_solutions(draw: Draw, level: int) -> Numbers | None:
    a = draw.integer(2, 3 + level)
    if level > 4 and draw.flip():
        a = -a
    low = draw.integer(-9 * level, 6 * level)
    return a, draw.integer(-9 * level, 9 * level), low, low + draw.integer(abs(a), 8 * abs(a) + 10 * level)


def _word_integer_solutions(numbers: Numbers, voice: Draw) -> Wording:
    a, b, low, high = numbers
    begin = voice.choice(
        ("How many integers x satisfy {}?", "Count the integers x with {}.", "For how many integers x is {} true?")
    )
    if a > 0:
        first, last = (low - b) // a + 1, (high - b) // a
    else:
        first, last = -((high - b) // -a), -((low - b) // -a) - 1
    steps = (
        f"Subtract {bracketed(b)} everywhere: {low - b} < {polynomial((a, 0))} <= {high - b}",
        f"Divide by {a}" + (": the signs turn around." if a < 0 else "."),
        f"The smallest such integer is {first}, the largest {last}.",
        f"{last} {signed(-first)} + 1 = {last - first + 1}",
    )
    return Wording(begin.format(f"{low} < {polynomial((a, b))} <= {high}"), steps, str(last - first + 1))


# (a, b) of f, (c, d, e) of g, x, then what is applied, the innermost first: 0 is f, 1 is g.
def _sample_composition(draw: Draw, level: int) -> Numbers:
    high = 3 + level // 2
    square = draw.nonzero(-2, 2) if level > 3 else 0
    depth = 2 + level // 4
    f, g = (draw.nonzero(-high, high), draw.integer(-9, 9)), (square, draw.nonzero(-high, high), draw.integer(-9, 9))
    x = draw.integer(-3 if level > 2 else 1, 4 + level)
    # A square of a square grows out of hand: g at most twice.
    turns = [draw.integer(0, 1) for _ in range(depth)]
    while sum(turns) > 2:
        turns[turns.index(1)] = 0
    return (*f, *g, x, *turns)


def _word_composition(numbers: Numbers, voice: Draw) -> Wording:
    a, b, c, d, e, x, *turns = numbers
    text, value, steps = str(x), x, []
    for turn in turns:
        after = c * value * value + d * value + e if turn else a * value + b
        steps.append(f"{'fg'[turn]}({value}) = {after}")
        text, value = f"{'fg'[turn]}({text})", after
    begin = voice.choice(("Let {0} and {1}. Find {2}.", "Given {0} and {1}, what is {2}?", "{0}, {1}. Compute {2}."))
    question = begin.format(f"f(x) = {polynomial((a, b))}", f"g(x) = {polynomial((c, d, e))}", text)
    return Wording(question, tuple(steps), str(value))


# (kind, s, p) of x + y = s and xy = p: squares, cubes, square of the difference, sum of the inverses.
def _sample_symmetric(draw: Draw, level: int) -> Numbers | None:
    kind = draw.integer(0, min(3, 1 + level // 3))
    s, p = draw.nonzero(-20 - 5 * level, 40 + 6 * level), draw.nonzero(-30 - 5 * level, 50 + 9 * level)
    # Otherwise x and y are no real numbers.
    return (kind, s, p) if s * s >= 4 * p else None


def _word_symmetric(numbers: Numbers, voice: Draw) -> Wording:
    kind, s, p = numbers
    asked = ("x^2 + y^2", "(x - y)^2", "x^3 + y^3", "1/x + 1/y")[kind]
    x_plus_y = bracketed(s)
    if kind == 0:
        steps, answer = (
            (f"x^2 + y^2 = (x + y)^2 - 2xy = {s * s} {signed(-2 * p)} = {s * s - 2 * p}",),
            str(s * s - 2 * p),
        )
    elif kind == 1:
        steps, answer = (
            (f"(x - y)^2 = (x + y)^2 - 4xy = {s * s} {signed(-4 * p)} = {s * s - 4 * p}",),
            str(s * s - 4 * p),
        )
    elif kind == 2:
        value = s * (s * s - 3 * p)
        steps = (
            f"x^3 + y^3 = (x + y)((x + y)^2 - 3xy) = {x_plus_y} * ({s * s} {signed(-3 * p)})",
            f"{x_plus_y} * {bracketed(s * s - 3 * p)} = {value}",
        )
        answer = str(value)
    else:
        answer = ratio(s, p)
        steps = (f"1/x + 1/y = (x + y)/(xy) = {s}/{bracketed(p)} = {answer}",)
    begin = voice.choice(
        (
            "If x + y = {0} and xy = {1}, what is {2}?",
            "Two numbers x and y have the sum {0} and the product {1}. Find {2}.",
            "Given x + y = {0} and xy = {1}, compute {2}.",
        )
    )
    return Wording(begin.format(s, p, asked), steps, answer)


ALGEBRA = (
    TextFamily("equation_both_sides", "algebra", _sample_both_sides, _word_both_sides),
    TextFamily("linear_system", "algebra", _sample_linear_system, _word_linear_system),
    TextFamily("quadratic_roots", "algebra", _sample_quadratic_roots, _word_quadratic_roots),
    TextFamily("surd_root", "algebra", _sample_surd_root, _word_surd_root),
    TextFamily("simplify_roots", "algebra", _sample_simplify_roots, _word_simplify_roots),
    TextFamily("polynomial_value", "algebra", _sample_polynomial_value, _word_polynomial_value),
    TextFamily("coefficient", "algebra", _sample_coefficient, _word_coefficient),
    TextFamily("integer_solutions", "algebra", _sample_integer_solutions, _word_integer_solutions),
    TextFamily("composition", "algebra", _sample_composition, _word_composition),
    TextFamily("symmetric_functions", "algebra", _sample_symmetric, _word_symmetric),
)
