"""Families about plane figures. Reasoning puts them in words; Geometry draws them."""

from __future__ import annotations

import numpy as np

from .family import Family, Numbers, Wording


def _sides(rng: np.random.Generator, level: int, count: int) -> Numbers:
    return tuple(rng.integers(2, 20 * level, size=count).tolist())


def _sample_triangle(rng: np.random.Generator, level: int) -> Numbers | None:
    a, b, c = numbers = _sides(rng, level, 3)
    return numbers if a + b > c and a + c > b and b + c > a else None


def _sample_isosceles(rng: np.random.Generator, level: int) -> Numbers | None:
    leg, base = numbers = _sides(rng, level, 2)
    return numbers if 2 * leg > base else None


def _sample_rectangle(rng: np.random.Generator, level: int) -> Numbers | None:
    return _sides(rng, level, 2)


def _sample_right_triangle(rng: np.random.Generator, level: int) -> Numbers | None:
    a, b = numbers = _sides(rng, level, 2)
    return numbers if a * b % 2 == 0 else None


def _sample_angles(rng: np.random.Generator, level: int) -> Numbers | None:
    wider = level - 1
    alpha, beta = numbers = tuple(rng.integers(20 - wider, 80 + 8 * wider, size=2).tolist())
    return numbers if alpha + beta <= 160 + wider else None


def _chain(numbers: Numbers) -> tuple[tuple[str, ...], int]:
    """Adds the numbers one after the other: the steps and the sum."""
    total, steps = numbers[0], []
    for number in numbers[1:]:
        steps.append(f"{total}+{number}={total + number}")
        total += number
    return tuple(steps), total


def _word_triangle(numbers: Numbers) -> Wording:
    steps, total = _chain(numbers)
    a, b, c = numbers
    return Wording(f"Triangle with sides {a}, {b}, {c}. Perimeter?", steps, str(total))


def _word_isosceles(numbers: Numbers) -> Wording:
    leg, base = numbers
    steps, total = _chain((leg, leg, base))
    return Wording(f"Isosceles triangle with legs {leg}, base {base}. Perimeter?", steps, str(total))


def _word_rectangle(numbers: Numbers) -> Wording:
    a, b = numbers
    half = a + b
    steps = (f"{a}+{b}={half}", f"{half}+{half}={2 * half}")
    return Wording(f"Rectangle with sides {a}, {b}. Perimeter?", steps, str(2 * half))


def _word_triangle_angle(numbers: Numbers) -> Wording:
    alpha, beta = numbers
    rest = 180 - alpha
    steps = (f"180-{alpha}={rest}", f"{rest}-{beta}={rest - beta}")
    return Wording(f"Triangle with angles {alpha}, {beta}. Third angle?", steps, str(rest - beta))


def _word_rectangle_area(numbers: Numbers) -> Wording:
    a, b = numbers
    return Wording(f"Rectangle with sides {a}, {b}. Area?", (f"{a}*{b}={a * b}",), str(a * b))


def _word_right_triangle_area(numbers: Numbers) -> Wording:
    a, b = numbers
    steps = (f"{a}*{b}={a * b}", f"{a * b}/2={a * b // 2}")
    return Wording(f"Right triangle with legs {a}, {b}. Area?", steps, str(a * b // 2))


def _word_exterior_angle(numbers: Numbers) -> Wording:
    steps, total = _chain(numbers)
    alpha, beta = numbers
    question = f"Triangle with angles {alpha}, {beta}. Exterior angle at the third corner?"
    return Wording(question, steps, str(total))


SHAPES = (
    Family("triangle_perimeter", _sample_triangle, _word_triangle),
    Family("isosceles_perimeter", _sample_isosceles, _word_isosceles),
    Family("rectangle_perimeter", _sample_rectangle, _word_rectangle),
    Family("triangle_angle", _sample_angles, _word_triangle_angle),
    Family("rectangle_area", _sample_rectangle, _word_rectangle_area),
    Family("right_triangle_area", _sample_right_triangle, _word_right_triangle_area),
    Family("exterior_angle", _sample_angles, _word_exterior_angle),
)
