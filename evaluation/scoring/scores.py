"""Scores: pure functions from counts and values to rates, intervals and summaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

CONFIDENCE = 0.95


def wilson_interval(successes: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The Wilson score interval of a success rate; right at 0 and 1 too, where the textbook's normal interval is not.

    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n), Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Args:
        successes: how many of the trials succeeded.
        n: how many trials there were; none at all says nothing, and the interval is (0, 1).
        z: normal quantile; the default gives 95 %.

    Returns:
        Lower and upper end, within [0, 1].

    Raises:
        ValueError: `successes` is not between 0 and `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n = {n}, not {successes}")
    if n == 0:
        return 0.0, 1.0
    rate, weight = successes / n, z * z / n
    centre = (rate + weight / 2) / (1 + weight)
    half = z * math.sqrt(rate * (1 - rate) / n + weight / (4 * n)) / (1 + weight)
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def bootstrap_interval(
    values: Sequence[float], seed: int, resamples: int = 2000, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean, Efron and Tibshirani (1993), chapter 13.

    Args:
        values: independent observations; at least one.
        seed: of the resampling; the same values and seed give the same interval.
        resamples: how many means are drawn.
        confidence: the share of them that the interval holds.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: there are no values, or one of them is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError("a bootstrap interval needs at least one value, and finite ones")
    generator = np.random.default_rng(np.random.SeedSequence([seed, array.size]))
    # One resample at a time: all of them at once could be gigabytes.
    means = [array[generator.integers(array.size, size=array.size)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of `k` samples at least is right, estimated without bias from `n` samples, `c` of them right.

    1 - C(n - c, k) / C(n, k), Chen et al. (2021), arXiv 2107.03374, equation 1.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and n = {n}, not {k}")
    if not 0 <= c <= n:
        raise ValueError(f"c must be between 0 and n = {n}, not {c}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def mean_pass_at_k(outcomes: Sequence[Sequence[bool]], k: int) -> float:
    """`pass_at_k`, averaged over problems.

    Args:
        outcomes: for each problem, whether each of its samples was right.
        k: at most the number of samples of any problem.

    Raises:
        ValueError: there are no problems, or one of them has fewer than `k` samples.
    """
    if not outcomes:
        raise ValueError("pass@k needs at least one problem")
    return fmean(pass_at_k(len(samples), sum(samples), k) for samples in outcomes)


def intervals_differ(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two intervals have no point in common; a cautious sign that two rates differ."""
    return one[1] < other[0] or other[1] < one[0]
