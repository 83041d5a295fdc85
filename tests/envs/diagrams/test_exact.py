"""Exact numbers, lots and the places of labels."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from lmmr1.envs.diagrams.exact import PI, Exact, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.placement import NoRoomError, Placer, around_point, beside_line, text_box
from lmmr1.envs.diagrams.question import wrong_answers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Exact.of(0), "0"),
        (Exact.of(-3), "-3"),
        (Exact.of(Fraction(5, 2)), "5/2"),
        (root(18), "3*sqrt(2)"),
        (root(2) / 2, "sqrt(2)/2"),
        (root(Fraction(3, 4)), "sqrt(3)/2"),
        (root(Fraction(1, 2)), "sqrt(2)/2"),
        (root(49), "7"),
        (PI, "pi"),
        (PI * Fraction(25, 3), "25*pi/3"),
        (Exact.of(16) - PI * 4, "16 - 4*pi"),
        (PI * 4 - 16, "-16 + 4*pi"),
        (root(3) * PI * 6, "6*sqrt(3)*pi"),
        (root(2) * 3 + 1, "1 + 3*sqrt(2)"),
        (root(6) * root(10), "2*sqrt(15)"),
        (root(5) - root(5), "0"),
    ],
)
def test_exact_numbers_are_written(value: Exact, text: str) -> None:
    assert str(value) == text
    plain = eval(text, {"__builtins__": {}}, {"sqrt": math.sqrt, "pi": math.pi})
    assert float(value) == pytest.approx(plain)


def test_exact_arithmetic_is_that_of_numbers() -> None:
    rng = random.Random(0)
    for _ in range(200):
        a, b, c, d = (rng.randint(1, 40) for _ in range(4))
        one, other = root(Fraction(a, b)) + PI * c, root(d) - Fraction(a, c)
        x, y = math.sqrt(a / b) + math.pi * c, math.sqrt(d) - a / c
        assert float(one + other) == pytest.approx(x + y)
        assert float(one - other) == pytest.approx(x - y)
        assert float(one * other) == pytest.approx(x * y)
        assert float(one / d) == pytest.approx(x / d)


def test_lots_are_fair_and_repeat() -> None:
    one, same = Lots(np.random.default_rng(1)), Lots(np.random.default_rng(1))
    rolls = [one.integer(1, 6) for _ in range(6000)]
    assert rolls == [same.integer(1, 6) for _ in range(6000)]
    assert all(850 <= rolls.count(face) <= 1150 for face in range(1, 7)) and set(rolls) == set(range(1, 7))
    first = [Lots(np.random.default_rng(seed)).shuffled("ABCD")[0] for seed in range(800)]
    assert all(140 <= first.count(letter) <= 260 for letter in "ABCD")
    assert sorted(one.shuffled(range(9))) == list(range(9))
    assert len(set(one.pick(range(9), 4))) == 4 == len(set(one.distinct(1, 5, 4)))


def test_wrong_answers_are_wrong_different_and_of_one_kind() -> None:
    assert wrong_answers(12, [12, 6, 6, 24]) == ("6", "24", "13")
    assert wrong_answers(root(2), [root(8) / 2]) == ("2*sqrt(2)", "sqrt(2)/2", "3*sqrt(2)/2")
    assert all(float(Fraction(text)) > 0 for text in wrong_answers(1, []))
    assert wrong_answers("(1, 2)", ["(2, 1)", "(1, 2)", "(0, 0)", "(2, 1)", "(3, 3)"]) == ("(2, 1)", "(0, 0)", "(3, 3)")
    with pytest.raises(ValueError, match="needs 3 wrong answers"):
        wrong_answers("red", ["blue", "red"])


def test_a_label_takes_the_first_free_place() -> None:
    ink = np.zeros((100, 100), np.uint8)
    ink[:, 48:53] = 1
    placer = Placer(Image.fromarray(ink))
    label = placer.place("42", 13, [(50, 50), (200, 50), (30, 50)])
    assert abs(sum(label.box[::2]) / 2 - 30) <= 1 and abs(sum(label.box[1::2]) / 2 - 50) <= 1
    # The same place is taken now.
    with pytest.raises(NoRoomError, match="no room for '42'"):
        placer.place("42", 13, [(30, 50)])
    with pytest.raises(NoRoomError):
        placer.place("42", 13, [(80, 20)], sight=((10.0, 20.0), 5.0))
    assert placer.place("42", 13, [(80, 20)], sight=((95.0, 20.0), 1.0))


def test_candidates_stand_beside_their_line_and_around_their_point() -> None:
    left, top, right, bottom = text_box("7", 13)
    first = next(iter(beside_line((10, 50), (90, 50), (0, -1), "7", 13)))
    assert first == pytest.approx((50, 50 - 4 - (bottom - top) / 2))
    places = list(around_point((50.0, 50.0), (1.0, 0.0), "A", 13))
    assert places[0][0] > 50 and places[0][1] == pytest.approx(50)
    assert all(math.dist(place, (50, 50)) >= 4 for place in places) and right > left
