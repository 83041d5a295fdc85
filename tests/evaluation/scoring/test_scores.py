"""The mathematics of the scores, against numbers worked out by hand."""

from __future__ import annotations

import itertools
from math import sqrt

import pytest

from lmmr1.evaluation.scoring.scores import (
    bootstrap_interval,
    intervals_differ,
    mean_pass_at_k,
    pass_at_k,
    wilson_interval,
)


def test_wilson_by_hand() -> None:
    # z = 2, n = 4, 2 right: weight = 1, centre = (1/2 + 1/2) / 2 = 1/2, half = 2 sqrt(1/16 + 1/16) / 2 = sqrt(1/8)
    assert wilson_interval(2, 4, z=2) == pytest.approx((0.5 - sqrt(1 / 8), 0.5 + sqrt(1 / 8)))
    # z = 2, n = 4, none right: centre = (1/2) / 2 = 1/4, half = 2 sqrt(1/16) / 2 = 1/4
    assert wilson_interval(0, 4, z=2) == pytest.approx((0, 0.5))
    assert wilson_interval(4, 4, z=2) == pytest.approx((0.5, 1))
    # The example that textbooks give: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_at_the_ends() -> None:
    assert wilson_interval(0, 0) == (0, 1)
    for n in (1, 7, 192, 100_000):
        assert wilson_interval(0, n)[0] == 0 and wilson_interval(n, n)[1] == 1
        for successes in {0, 1, n // 2, n}:
            low, high = wilson_interval(successes, n)
            assert 0 <= low <= successes / n <= high <= 1
    for wrong in ((-1, 4), (5, 4)):
        with pytest.raises(ValueError, match="successes"):
            wilson_interval(*wrong)


def test_bootstrap() -> None:
    assert bootstrap_interval([3.0] * 10, seed=0) == (3, 3)
    values = [float(i % 2) for i in range(400)]
    low, high = bootstrap_interval(values, seed=1)
    # The standard error of this mean is 0.5 / 20.
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)
    assert bootstrap_interval(values, seed=1) == (low, high)
    uneven = [0.1, 0.7, 0.35, 2.0, -1.3]
    assert bootstrap_interval(uneven, seed=2) != bootstrap_interval(uneven, seed=1)
    for wrong in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="finite"):
            bootstrap_interval(wrong, seed=0)


def test_pass_at_k_by_hand() -> None:
    assert pass_at_k(5, 2, 1) == pytest.approx(2 / 5)
    assert pass_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)  # one of the six pairs holds no right sample
    assert pass_at_k(4, 3, 2) == 1
    assert pass_at_k(4, 0, 4) == 0
    assert pass_at_k(1000, 1, 1000) == 1
    assert pass_at_k(10_000, 5_000, 100) == pytest.approx(1)


def test_pass_at_k_counts_subsets() -> None:
    for n in range(1, 6):
        for c in range(n + 1):
            for k in range(1, n + 1):
                subsets = list(itertools.combinations(range(n), k))
                share = sum(any(sample < c for sample in subset) for subset in subsets) / len(subsets)
                assert pass_at_k(n, c, k) == pytest.approx(share)


def test_pass_at_k_over_problems() -> None:
    assert mean_pass_at_k([[True, False], [False, False]], 1) == pytest.approx(0.25)
    assert mean_pass_at_k([[True, False], [False, False]], 2) == pytest.approx(0.5)
    for outcomes, k in (([], 1), ([[True]], 2)):
        with pytest.raises(ValueError):
            mean_pass_at_k(outcomes, k)
    with pytest.raises(ValueError, match="c must be"):
        pass_at_k(3, 4, 1)


def test_intervals_differ() -> None:
    assert intervals_differ((0.1, 0.2), (0.3, 0.4)) and intervals_differ((0.3, 0.4), (0.1, 0.2))
    assert not intervals_differ((0.1, 0.3), (0.3, 0.4))
