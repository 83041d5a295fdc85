"""Two policies on the same problems: how much better one is, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lmmr1.agents.episode import Episode

from .figures import by_problem, score_of
from .scores import bootstrap_interval


@dataclass(frozen=True)
class PairedDifference:
    """The mean of one policy less that of another, over the problems that both were scored on.

    Attributes:
        difference: the mean of the second less that of the first.
        interval: its 95 % bootstrap interval over problems.
        problems: how many both were scored on.
        better, worse: on how many of them the second's mean was above and below the first's.
        p_value: of the exact sign test on those two counts: how often chance alone would be as one-sided as this.
    """

    difference: float
    interval: tuple[float, float]
    problems: int
    better: int
    worse: int
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval[0] > 0 or self.interval[1] < 0


def pair_episodes(
    first: Sequence[Episode], second: Sequence[Episode], value: Callable[[Episode], float | None], seed: int = 0
) -> PairedDifference | None:
    """Compare two policies on the problems that both have played; failed episodes are left out.

    Args:
        first, second: episodes of the same task and seed; a problem is known by its `group`.
        value: what is compared; None where an episode has no such figure.
        seed: of the bootstrap.

    Returns:
        The difference, or None where they have no problem in common.
    """
    ones, others = (_means(episodes, value) for episodes in (first, second))
    shared = [number for number in ones if number in others]
    return pair_values([ones[n] for n in shared], [others[n] for n in shared], seed) if shared else None


def pair_values(first: Sequence[float], second: Sequence[float], seed: int = 0) -> PairedDifference:
    """Compare two lists of values, one of each for a problem.

    Raises:
        ValueError: they are of different length, or empty.
    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    interval = bootstrap_interval(differences, seed)
    return PairedDifference(fmean(differences), interval, len(differences), better, worse, sign_test(better, worse))


def sign_test(better: int, worse: int) -> float:
    """The two-sided p-value of the exact sign test; of right and wrong answers that is McNemar's exact test.

    min(1, 2 · Σ_{i ≤ min(b, w)} C(b + w, i) / 2^(b + w)), Conover (1999), section 3.4.
    """
    n = better + worse
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(min(better, worse) + 1)) / 2**n) if n else 1.0


def value_of(figure: str) -> Callable[[Episode], float | None]:
    """What of an episode a figure's name stands for: "success", "return", "format_rate", "reply_tokens" or "score"."""

    def success(episode: Episode) -> float | None:
        return None if episode.success is None else float(episode.success)

    def reply_tokens(episode: Episode) -> float | None:
        return episode.num_reply_tokens / len(episode.turns) if episode.turns else None

    known: dict[str, Any] = {
        "success": success,
        "return": lambda episode: episode.total_reward,
        "format_rate": lambda episode: episode.format_rate,
        "reply_tokens": reply_tokens,
        "score": score_of,
    }
    return known[figure]


def _means(episodes: Sequence[Episode], value: Callable[[Episode], float | None]) -> dict[int, float]:
    scored = by_problem([episode for episode in episodes if episode.failure is None])
    values = {number: [v for e in tries if (v := value(e)) is not None] for number, tries in scored.items()}
    return {number: fmean(found) for number, found in values.items() if found}
