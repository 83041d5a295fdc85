"""Elo ratings of a whole league at once, whatever the order of its matches.

The expected score of one with rating R against one with rating S is 1 / (1 + 10 ** ((S - R) / 400)), Elo (1978), The
Rating of Chessplayers. The ratings are those under which the results are the likeliest, a draw being half a win and
half a loss: the maximum-likelihood estimate of the model of Bradley and Terry (1952), doi:10.2307/2334029. The usual
update after each match depends on the order of the matches; this does not.

Somebody who won every match would have no finite estimate. So every two who met are counted as having drawn `prior`
matches more, which pulls all ratings a little together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEAN = 1500.0
POINTS = 400 / math.log(10)  # of one unit of log odds
CONFIDENT = 1.959963984540054  # standard deviations of a 95 % interval
_MOST_STEPS, _TOLERANCE, _LONGEST_STEP = 200, 1e-10, 2.0


@dataclass(frozen=True)
class Rating:
    """The strength of one player.

    Attributes:
        elo: the rating; all of a league's are 1500 on average.
        margin: half the width of its 95 % interval, from the curvature of the likelihood.
    """

    elo: float
    margin: float


def expected_score(elo: float, other: float) -> float:
    """What a player scores on average against another: 1 for a win, 1/2 for a draw."""
    return 1 / (1 + 10 ** ((other - elo) / 400))


def rate(scores: Sequence[Sequence[float]] | np.ndarray, prior: float = 1.0) -> list[Rating]:
    """The ratings of n players.

    Args:
        scores: shape (n, n); what player i scored in all matches against player j together, a win being 1 and a draw
            1/2, so that ``scores[i][j] + scores[j][i]`` is the number of their matches. The diagonal is zero.
        prior: how many draws are added between every two who met.

    Raises:
        ValueError: the scores are no such table, the prior is negative, or some players are linked to the others by no
            matches, directly or through third ones: nothing compares them.
    """
    table = np.asarray(scores, np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.shape[0] < 2:
        raise ValueError(f"scores must be a square table of at least two players, not of shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or table.diagonal().any():
        raise ValueError("scores must be finite, not negative, and zero on the diagonal")
    if not prior >= 0:
        raise ValueError(f"prior must not be negative, but is {prior}")
    met = (table + table.T) > 0
    if not _is_linked(met):
        raise ValueError("no matches link some of the players to the others: they cannot be compared")
    table = table + prior / 2 * met
    matches, won = table + table.T, table.sum(axis=1)
    strengths = np.zeros(len(table))
    # Newton's method; the likelihood is concave and does not change when all strengths rise together.
    for _ in range(_MOST_STEPS):
        chances, curvature = _expand(matches, strengths)
        step = np.linalg.pinv(curvature) @ (won - (matches * chances).sum(axis=1))
        step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        strengths = strengths + step
        if np.abs(step).max() < _TOLERANCE:
            break
    else:
        raise ValueError("a player who won, or lost, everything has no finite rating without a prior")
    strengths = strengths - strengths.mean()
    variances = np.linalg.pinv(_expand(matches, strengths)[1]).diagonal()
    return [
        Rating(MEAN + POINTS * float(strength), CONFIDENT * POINTS * math.sqrt(max(0.0, float(variance))))
        for strength, variance in zip(strengths, variances, strict=True)
    ]


def _expand(matches: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chance of each to beat each, and the matrix of the negative second derivatives of the log likelihood."""
    chances = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    weights = matches * chances * (1 - chances)
    return chances, np.diag(weights.sum(axis=1)) - weights


def _is_linked(met: np.ndarray) -> bool:
    reached = np.zeros(len(met), bool)
    reached[0] = True
    for _ in range(len(met)):
        reached |= met[reached].any(axis=0)
    return bool(reached.all())
