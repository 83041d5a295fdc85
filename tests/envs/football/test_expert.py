"""The scripted player: what it does in situations made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmmr1.envs.football.actions import ACTION_SETS, DIRECTIONS, VECTORS
from lmmr1.envs.football.expert import SPRINT, advise, direction_to
from lmmr1.envs.football.state import GameMode, State

from .states import make_state, make_team


def flags(*on: str) -> tuple[np.ndarray, ...]:
    array = np.zeros(10, np.uint8)
    for name in on:
        array[SPRINT if name == "sprint" else DIRECTIONS.index(name)] = 1
    return (array,)


def with_ball(place: tuple[float, float], right: list[tuple[float, float]], *mates: Any, **changes: Any) -> State:
    return make_state([(-1, 0), place, *mates], right, place, (0, 1), **changes)


def test_every_direction_is_recognised_in_metres() -> None:
    for name, (x, y) in VECTORS.items():
        way = np.array((x / 54.4, y / 83.6))
        assert direction_to(np.zeros(2), way) == name
    # 54 m along and 25 m down are 25 degrees, though the numbers alone would say 17.
    assert direction_to(np.zeros(2), np.array((1.0, 0.2))) == "right"
    assert direction_to(np.zeros(2), np.array((1.0, 0.3))) == "bottom_right"


@pytest.mark.parametrize("place", [(0.85, 0.0), (0.9, 0.1), (0.75, -0.08)])
def test_it_shoots_in_front_of_the_goal(place: tuple[float, float]) -> None:
    assert advise(with_ball(place, [(1, 0)])).action == "shot"


def test_a_defender_in_the_way_of_a_long_shot_keeps_it_from_shooting() -> None:
    assert advise(with_ball((0.66, 0.0), [(1, 0)])).action == "shot"
    assert advise(with_ball((0.66, 0.0), [(1, 0), (0.8, 0.0)])).action != "shot"


def test_in_the_open_it_runs_at_the_goal_then_sprints() -> None:
    right = [(1.0, 0.0)]
    assert advise(with_ball((0.0, 0.0), right)).action == "right"
    assert advise(with_ball((0.0, 0.0), right, left_sticky=flags("right"))).action == "sprint"
    assert advise(with_ball((0.0, 0.0), right, left_sticky=flags("right", "sprint"))).action == "right"


def test_it_goes_round_an_opponent() -> None:
    action = advise(with_ball((0.0, 0.0), [(1, 0), (0.08, 0.0)])).action
    assert action in ("top_right", "bottom_right", "top", "bottom")
    assert advise(with_ball((0.0, 0.0), [(1, 0), (0.08, 0.01)])).action in ("top_right", "top")
    assert advise(with_ball((0.0, 0.0), [(1, 0), (0.08, -0.01)])).action in ("bottom_right", "bottom")


def test_it_does_not_leave_the_pitch() -> None:
    for y, wrong in ((0.415, "bottom"), (-0.415, "top")):
        right = [(1.0, 0.0), (0.05, y), (0.05, 0.8 * y)]
        assert wrong not in advise(with_ball((0.0, y), right)).action


def test_closed_down_it_turns_to_a_free_mate_and_passes() -> None:
    ring = [(1.0, 0.0), (0.05, 0.0), (0.06, 0.03), (0.03, -0.03), (-0.05, 0.0), (-0.03, -0.03), (0.0, -0.035)]
    free = (0.0, 0.2)  # below, and nobody between
    state = with_ball((0.0, 0.0), ring, free)
    assert advise(state).action == "bottom" and "#3" in advise(state).reason
    assert advise(with_ball((0.0, 0.0), ring, free, left_sticky=flags("bottom"))).action == "short_pass"
    far = (0.1, 0.36)
    assert advise(with_ball((0.0, 0.0), ring, far, left_sticky=flags("bottom"))).action == "high_pass"


def test_a_pass_does_not_go_far_back() -> None:
    ring = [(1.0, 0.0), (0.05, 0.0), (0.06, 0.03), (0.03, -0.03), (-0.05, 0.035), (-0.03, -0.03), (0.0, -0.035)]
    assert "pass" not in advise(with_ball((0.0, 0.0), ring, (-0.3, 0.0))).reason
    assert "pass" in advise(with_ball((0.0, 0.0), ring, (-0.02, 0.2))).reason


def test_opponents_are_thought_ahead() -> None:
    # Coming up from below to where the way to the goal will be crossed: he goes above.
    places, ways = [(1, 0), (0.1, 0.04)], [(0, 0), (0, -0.006)]
    state = make_state([(-1, 0), (0, 0)], make_team(places, ways), (0.0, 0.0), (0, 1))
    still = make_state([(-1, 0), (0, 0)], places, (0.0, 0.0), (0, 1))
    assert advise(still).action == "right" and advise(state).action != "right"


def test_without_the_ball_it_runs_after_it() -> None:
    free = make_state([(-1, 0), (0, 0)], ball=(0.0, 0.2))
    assert advise(free).action == "bottom" and "Nobody" in advise(free).reason
    theirs = make_state([(-1, 0), (0, 0)], [(1, 0), (-0.3, 0.0)], (-0.3, 0.0), (1, 1))
    assert advise(theirs).action == "left" and "opponent" in advise(theirs).reason


def test_a_rolling_ball_is_met_where_it_will_be() -> None:
    # 11 m above and 11 m to the left now; it comes past in 10 steps and more, while he goes 0.7 m in each.
    rolling = make_state([(-1, 0), (0, 0)], ball=(-0.2, -0.13), ball_direction=np.array([0.016, 0.0, 0.0]))
    assert advise(rolling).action == "top"
    assert advise(make_state([(-1, 0), (0, 0)], ball=(-0.2, -0.13))).action == "top_left"


def test_of_two_controlled_players_the_nearer_one_chases() -> None:
    state = make_state([(-1, 0), (0, 0), (-0.6, 0.0)], ball=(0.0, 0.2), left_controlled=(1, 2), left_sticky=flags() * 2)
    assert "run after" in advise(state, 0).reason and "run after" not in advise(state, 1).reason


def test_it_supports_a_mate_who_has_the_ball() -> None:
    state = make_state([(-1, 0), (-0.3, 0.2), (0.0, 0.0)], [(1, 0), (0.6, 0), (0.6, 0.2)], (0.0, 0.0), (0, 2))
    assert advise(state).action in ("right", "top_right", "bottom_right")


@pytest.mark.parametrize(
    ("mode", "place", "action"),
    [
        (GameMode.PENALTY, (0.8, 0.0), "shot"),
        (GameMode.FREE_KICK, (0.7, 0.0), "shot"),
        (GameMode.CORNER, (1.0, 0.42), "top"),
        (GameMode.GOAL_KICK, (-0.95, 0.1), "short_pass"),
        (GameMode.THROW_IN, (0.0, 0.42), "short_pass"),
    ],
)
def test_at_a_restart(mode: GameMode, place: tuple[float, float], action: str) -> None:
    assert advise(make_state([(-1, 0), place], ball=place, game_mode=int(mode))).action == action


def test_a_restart_elsewhere_is_waited_for() -> None:
    assert advise(make_state(ball=(-0.9, 0.4), game_mode=int(GameMode.THROW_IN))).action == "idle"


def test_it_is_a_pure_function_and_always_has_a_reason() -> None:
    rng = np.random.default_rng(np.random.SeedSequence([5]))
    for _ in range(300):
        left, right = (rng.uniform((-1, -0.42), (1, 0.42), (11, 2)).tolist() for _ in range(2))
        owner = [(-1, -1), (0, 5), (0, 2), (1, 7)][rng.integers(4)]
        ball = rng.uniform((-1, -0.42), (1, 0.42)) if owner[0] < 0 else np.array((left, right)[owner[0]][owner[1]])
        state = make_state(left, right, tuple(ball), owner, left_controlled=(5,), game_mode=int(rng.integers(7)))
        advice = advise(state)
        assert advice.action in ACTION_SETS["default"] and advice.reason.endswith(".")
        assert advise(state) == advice


def test_who_controls_nobody_is_idle() -> None:
    assert advise(make_state(left_controlled=(-1,))).action == "idle"
