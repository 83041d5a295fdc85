"""Elo ratings, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmmr1.evaluation.league.elo import MEAN, POINTS, expected_score, rate


def test_the_expected_score() -> None:
    assert expected_score(1500, 1500) == 0.5
    assert expected_score(1900, 1500) == pytest.approx(10 / 11)
    assert expected_score(1500, 1900) == pytest.approx(1 / 11)


def test_two_players_by_hand() -> None:
    # 3 of 4 points are odds of 3 to 1, so 400 log10(3) lie between them.
    one, other = rate([[0, 3], [1, 0]], prior=0)
    assert one.elo - other.elo == pytest.approx(400 * math.log10(3))
    assert one.elo + other.elo == pytest.approx(2 * MEAN)
    # Each is half of the difference d away from the mean; the variance of d is 1 / (n p q) = 1 / (4 * 3/4 * 1/4).
    margin = 1.959963984540054 * POINTS * 0.5 * math.sqrt(4 / 3)
    assert (one.margin, other.margin) == (pytest.approx(margin), pytest.approx(margin))


def test_the_prior_is_so_many_draws_more() -> None:
    one, other = rate([[0, 3], [1, 0]], prior=2)
    assert one.elo - other.elo == pytest.approx(400 * math.log10(4 / 2))


def test_who_wins_everything_has_a_finite_rating_with_the_prior_alone() -> None:
    one, other = rate([[0, 10], [0, 0]])
    assert one.elo - other.elo == pytest.approx(400 * math.log10(10.5 / 0.5))
    with pytest.raises(ValueError, match="no finite rating without a prior"):
        rate([[0, 10], [0, 0]], prior=0)


def test_three_players_whose_results_fit_their_ratings() -> None:
    # 100 matches of each pair, scored as ratings of 1700, 1500 and 1300 expect them: these have to come back.
    true = [1700.0, 1500.0, 1300.0]
    scores = [[100 * expected_score(a, b) if i != j else 0 for j, b in enumerate(true)] for i, a in enumerate(true)]
    assert [rating.elo for rating in rate(scores, prior=0)] == pytest.approx(true, abs=1e-6)


def test_expected_scores_add_up_to_the_scores() -> None:
    # The equation that the maximum of the likelihood fulfils.
    rng = np.random.default_rng(np.random.SeedSequence([4]))
    scores = rng.integers(0, 6, (6, 6)) / 2.0
    np.fill_diagonal(scores, 0)
    ratings = [rating.elo for rating in rate(scores, prior=0)]
    for i, row in enumerate(scores):
        matches = row + scores[:, i]
        expected = sum(matches[j] * expected_score(ratings[i], ratings[j]) for j in range(6))
        assert expected == pytest.approx(row.sum(), abs=1e-6)
    assert np.mean(ratings) == pytest.approx(MEAN)


def test_players_can_be_compared_through_a_third() -> None:
    # a beat b by 3 to 1, b beat c by 3 to 1; a and c never met.
    a, b, c = rate([[0, 3, 0], [1, 0, 3], [0, 1, 0]], prior=0)
    step = 400 * math.log10(3)
    assert (a.elo - b.elo, b.elo - c.elo) == (pytest.approx(step), pytest.approx(step))
    assert a.margin > b.margin


def test_the_order_of_the_players_does_not_matter() -> None:
    scores = np.array([[0, 3, 1.5], [1, 0, 2], [0.5, 2, 0]])
    order = [2, 0, 1]
    ratings, turned = rate(scores), rate(scores[np.ix_(order, order)])
    assert [rating.elo for rating in turned] == pytest.approx([ratings[i].elo for i in order])


def test_more_matches_make_the_margin_smaller() -> None:
    scores = np.array([[0, 3], [1, 0]])
    assert rate(100 * scores, prior=0)[0].margin == pytest.approx(rate(scores, prior=0)[0].margin / 10)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([[0]], "at least two"),
        ([[0, 1, 2], [1, 0, 2]], "square"),
        ([[0, -1], [1, 0]], "not negative"),
        ([[1, 1], [1, 0]], "diagonal"),
        ([[0, math.nan], [1, 0]], "finite"),
        ([[0, 0], [0, 0]], "cannot be compared"),
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], "cannot be compared"),
    ],
)
def test_tables_that_are_none(scores: list[list[float]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rate(scores)
    with pytest.raises(ValueError, match="prior"):
        rate([[0, 1], [1, 0]], prior=-1)
