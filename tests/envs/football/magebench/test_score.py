"""MageBench's score, every term of it computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lmmr1.envs.football.magebench import MageBenchScore
from lmmr1.envs.football.magebench.score import count_passed, pass_clearance, shot_clearance, shot_distance
from lmmr1.envs.football.state import State

from ..states import make_state

LEFT = [(-1.0, 0.0), (0.0, 0.0), (0.3, 0.2)]
RIGHT = [(1.0, 0.0), (0.1, 0.3), (0.4, -0.3)]


def at(x: float, owner: tuple[int, int] = (0, 1), y: float = 0.0, **changes: Any) -> State:
    return make_state(LEFT, RIGHT, (x, y), owner, **changes)


def begun(x: float = 0.0) -> MageBenchScore:
    score = MageBenchScore()
    score.reset(at(x))
    assert score.update(at(x), 0, "idle") == 0.0
    return score


def test_the_first_step_is_worth_nothing() -> None:
    score = MageBenchScore()
    score.reset(at(0.0))
    assert score.update(at(0.5, score=(1, 0)), 1, "shot") == 0.0 and score.total == 0.0


def test_progress_pays_for_new_ground_only() -> None:
    score = begun()
    assert score.update(at(0.05), 0, "right") == pytest.approx(20 * 0.8 * 0.05)
    assert score.update(at(0.02), 0, "left") == 0.0
    assert score.update(at(0.06), 0, "right") == pytest.approx(20 * 0.8 * 0.01)
    assert score.update(at(0.09, owner=(-1, -1)), 0, "right") == 0.0
    # What a free ball gained is paid once it is owned again.
    assert score.update(at(0.09), 0, "right") == pytest.approx(20 * 0.8 * 0.03)
    assert score.parts["progress"] == pytest.approx(20 * 0.8 * 0.09) == pytest.approx(score.total)


def test_getting_past_opponents_pays_and_falling_back_costs() -> None:
    score = begun()
    assert count_passed(at(0.0)) == 0 and count_passed(at(0.2)) == 1 and count_passed(at(0.5)) == 2
    score.update(at(0.2), 0, "right")
    assert score.parts["passed"] == pytest.approx(20 / 11)
    score.update(at(0.05), 0, "left")
    assert score.parts["passed"] == pytest.approx(0.0)
    score.update(at(0.5), 0, "right")
    assert score.parts["passed"] == pytest.approx(40 / 11)


def test_a_goal_is_worth_forty_once() -> None:
    score = begun(0.9)
    assert score.update(at(1.01, owner=(-1, -1), score=(1, 0)), 1, "idle") == pytest.approx(40.0)
    assert score.update(at(0.0, owner=(-1, -1), score=(1, 0)), 0, "idle") == 0.0
    assert score.parts["goal"] == pytest.approx(40.0)


def test_losing_the_ball_pays_the_time_it_was_kept_and_ends_it() -> None:
    score = begun()
    assert not score.ended
    assert score.update(at(0.0, owner=(1, 1), steps_left=300), 0, "right") == pytest.approx(20 * (1 - 300 / 400))
    assert score.ended and score.parts["kept"] == pytest.approx(5.0)
    assert score.update(at(0.9, owner=(1, 1), steps_left=200), 0, "right") == 0.0
    assert score.update(at(0.9, score=(1, 0)), 1, "right") == 0.0 and score.total == pytest.approx(5.0)


def test_an_own_goal_of_the_opponent_is_a_goal_and_one_of_ours_is_nothing() -> None:
    score = begun()
    assert score.update(at(0.0, owner=(-1, -1), score=(0, 1)), -1, "idle") == 0.0


def test_a_completed_pass_pays_how_free_it_arrives_and_each_next_one_less() -> None:
    score = begun(0.3)
    flying = at(0.3, owner=(-1, -1))
    arrived = at(0.3, owner=(0, 2), y=0.2)
    offsets = np.array(RIGHT) - (0.3, 0.2)
    goal = np.array((0.7, -0.2))
    clearances = [
        math.hypot(*way) / (10 * max(0.0, float(way @ goal) / math.hypot(*way) / math.hypot(*goal)) + 1)
        for way in offsets
    ]
    assert pass_clearance(arrived) == pytest.approx(min(clearances))
    assert min(clearances) == pytest.approx(math.hypot(0.7, 0.2) / 11)  # the keeper, right in front
    score.update(at(0.3), 0, "short_pass")
    score.update(flying, 0, "short_pass")
    assert score.parts["pass"] == 0.0
    first = score.update(arrived, 0, "idle")
    assert first == pytest.approx(20 * 20 * math.hypot(0.7, 0.2) / 11)
    score.update(arrived, 0, "high_pass")
    back = at(0.3, owner=(0, 1))
    second = score.update(back, 0, "idle")
    assert second == pytest.approx(20 * 20 * 0.75 * pass_clearance(back))
    score.update(back, 0, "long_pass")
    assert score.update(arrived, 0, "idle") == pytest.approx(first * 0.75**2)


def test_a_change_of_owner_without_a_pass_pays_nothing() -> None:
    score = begun()
    assert score.update(at(0.0, owner=(0, 2)), 0, "right") == 0.0
    assert score.parts["pass"] == 0.0


def test_a_pass_to_the_opponent_is_a_loss_and_no_pass() -> None:
    score = begun()
    score.update(at(0.0), 0, "short_pass")
    score.update(at(0.0, owner=(1, 2), steps_left=390), 0, "idle")
    assert score.parts["pass"] == 0.0 and score.parts["kept"] == pytest.approx(20 * 10 / 400) and score.ended


def test_a_pass_back_to_the_one_who_played_it_pays_nothing_yet() -> None:
    score = begun()
    score.update(at(0.0), 0, "short_pass")
    assert score.update(at(0.0), 0, "idle") == 0.0
    assert score.update(at(0.0, owner=(0, 2)), 0, "idle") > 0.0


def test_opponents_behind_the_ball_count_their_bare_distance() -> None:
    state = make_state(LEFT, [(-0.2, 0.0)], (0.3, 0.0), (0, 1))
    assert pass_clearance(state) == pytest.approx(0.5)
    aside = make_state(LEFT, [(0.3, 0.4)], (0.3, 0.0), (0, 1))
    assert pass_clearance(aside) == pytest.approx(0.4)
    assert pass_clearance(make_state(LEFT, [(0.3, 0.0)], (0.3, 0.0), (0, 1))) == 0.0


@pytest.mark.parametrize(("x", "worth"), [(0.75, 1.0), (0.71, 1.0), (0.7, 0.7), (0.5, 0.5), (0.0, 0.0), (-0.4, 0.0)])
def test_how_far_a_shot_is(x: float, worth: float) -> None:
    assert shot_distance(at(x)) == pytest.approx(worth)


def test_how_clear_a_shot_is() -> None:
    # One opponent in the middle of the goal: the ways to both posts pass it by almost as much as the posts are off.
    state = make_state(LEFT, [(1.0, 0.0)], (0.8, 0.0), (0, 1))
    assert shot_clearance(state) == pytest.approx(0.2 * 0.044 / math.hypot(0.2, 0.044), rel=1e-3)
    # Beside the upper post: the way to the lower one is the clearest, and nearest to him a little before the line.
    state = make_state(LEFT, [(1.0, -0.1)], (0.8, 0.0), (0, 1))
    length = math.hypot(0.2, 0.044)
    assert shot_clearance(state) == pytest.approx((0.2 * 0.044 + 0.2 * 0.1) / length, rel=1e-3)
    # On the ball: the nearest of a hundred samples is the first, a hundredth of the way.
    state = make_state(LEFT, [(0.8, 0.0)], (0.8, 0.0), (0, 1))
    assert shot_clearance(state) == pytest.approx(math.hypot(0.2, 0.044) / 100)


def test_a_shot_pays_at_most_two_thirds_and_once_while_the_ball_is_owned() -> None:
    score = begun(0.9)
    assert score.update(at(0.9), 0, "shot") == pytest.approx(20 * 2 / 3)
    assert score.update(at(0.9), 0, "shot") == 0.0
    score.update(at(0.95, owner=(-1, -1)), 0, "idle")
    again = score.update(at(0.9), 0, "shot")
    assert again == pytest.approx(20 * 2 / 3)


def test_a_poor_shot_pays_less() -> None:
    right = [(1.0, 0.0), (0.02, 0.0)]
    state = make_state(LEFT, right, (0.01, 0.0), (0, 1))
    score = MageBenchScore()
    score.reset(state)
    score.update(state, 0, "idle")
    clear = shot_clearance(state)
    assert 100 * clear * 0.01 < 2 / 3
    assert score.update(state, 0, "shot") == pytest.approx(20 * 100 * clear * 0.01)


def test_a_shot_without_the_ball_pays_nothing() -> None:
    score = begun()
    assert score.update(at(0.0, owner=(-1, -1)), 0, "shot") == 0.0


def test_a_shot_that_goes_straight_to_the_opponent_is_no_loss() -> None:
    score = begun(0.9)
    score.update(at(0.9), 0, "shot")
    assert score.update(at(0.9, owner=(1, 0), steps_left=380), 0, "idle") == 0.0 and not score.ended
    # Once the ball was free the shot is forgotten, and the opponent's catch counts as a loss.
    score = begun(0.9)
    score.update(at(0.9), 0, "shot")
    score.update(at(0.95, owner=(-1, -1)), 0, "idle")
    assert score.update(at(0.95, owner=(1, 0), steps_left=380), 0, "idle") == pytest.approx(20 * 0.05) and score.ended


def test_reset_forgets_everything() -> None:
    score = begun()
    score.update(at(0.5, owner=(0, 2)), 0, "shot")
    score.update(at(0.5, owner=(1, 1)), 0, "idle")
    score.reset(at(0.0))
    assert score.total == 0.0 and not score.ended and set(score.parts.values()) == {0.0}
    assert score.update(at(0.9), 0, "right") == 0.0


def test_the_parts_add_up_to_the_total() -> None:
    rng = np.random.default_rng(np.random.SeedSequence([3]))
    score, paid = begun(), 0.0
    for _ in range(200):
        owner = [(-1, -1), (0, 1), (0, 2), (0, 1)][rng.integers(4)]
        action = ["right", "short_pass", "shot", "idle"][rng.integers(4)]
        paid += score.update(at(rng.uniform(-1, 1), owner, rng.uniform(-0.4, 0.4)), 0, action)
    assert paid == pytest.approx(score.total) == pytest.approx(sum(score.parts.values())) and paid > 0
