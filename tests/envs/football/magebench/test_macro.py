"""Actions carried on over several steps, on matches made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmmr1.envs.football.actions import DEFAULT, DIRECTIONS
from lmmr1.envs.football.magebench import Macro, Memory
from lmmr1.envs.football.magebench.macro import MOST_STEPS_OF_A_KICK, can_run_on
from lmmr1.envs.football.state import State

from ..states import make_state, make_team

RAN_RIGHT = Memory("right", "right")


def running(
    way: tuple[float, float] = (0.01, 0.0), place: tuple[float, float] = (0.0, 0.0), right: Any = ((1.0, -0.3),)
) -> State:
    left = make_team([(-1, 0), place], [(0, 0), way])
    return make_state(left, right, place, (0, 1))


def play(macro: Macro, states: list[State]) -> list[str]:
    """The engine's actions while the match goes through these states."""
    actions = []
    for state in states:
        step = macro.next(state)
        if step is None:
            break
        action, macro = step
        actions.append(action)
    return actions


def test_memory_keeps_the_last_direction() -> None:
    memory = Memory()
    assert memory.after("top") == Memory("top", "top")
    assert memory.after("top").after("shot") == Memory("shot", "top")
    assert memory.after("idle") == Memory("idle", "right")


@pytest.mark.parametrize("action", DEFAULT)
def test_the_first_action_of_an_episode_is_one_step(action: str) -> None:
    assert play(Macro.begin(action, running(), Memory()), [running()] * 20) == [action]


@pytest.mark.parametrize("action", [name for name in DEFAULT if name not in (*DIRECTIONS, "shot")
                                    and not name.endswith("pass")])  # fmt: skip
def test_other_actions_are_one_step(action: str) -> None:
    assert play(Macro.begin(action, running(), Memory(action, "right")), [running()] * 20) == [action]


def test_a_new_direction_is_one_step_and_a_repeated_one_ten() -> None:
    assert play(Macro.begin("top", running(), RAN_RIGHT), [running()] * 20) == ["top"]
    assert play(Macro.begin("right", running(), Memory("idle", "right")), [running()] * 20) == ["right"]
    assert play(Macro.begin("right", running(), RAN_RIGHT), [running()] * 20) == ["right"] * 10


def test_a_run_ends_before_the_line() -> None:
    fine, near = running(place=(0.96, 0.0)), running(place=(0.975, 0.0))
    assert can_run_on(fine) and not can_run_on(near)
    assert play(Macro.begin("right", fine, RAN_RIGHT), [fine, fine, near, fine]) == ["right"] * 2
    assert not can_run_on(running((0.0, 0.01), (0.0, 0.4))) and can_run_on(running((0.0, -0.01), (0.0, 0.4)))
    # The first step is taken wherever one stands.
    assert play(Macro.begin("right", near, RAN_RIGHT), [near, near]) == ["right"]


def test_a_run_ends_before_an_opponent() -> None:
    assert not can_run_on(running(right=[(0.05, 0.0)]))  # there in five steps
    assert can_run_on(running(right=[(0.07, 0.0)]))  # six steps ahead comes within 0.02
    assert can_run_on(running(right=[(0.05, 0.02)]))
    fleeing = make_team([(0.05, 0.0)], [(0.01, 0.0)])
    assert can_run_on(running(right=fleeing))
    coming = make_team([(0.1, 0.0)], [(-0.01, 0.0)])
    assert not can_run_on(running(right=coming))


def test_a_free_ball_is_what_counts_when_nobody_owns_it() -> None:
    state = make_state(ball=(0.99, 0.0), ball_direction=np.array([0.01, 0.0, 0.0]))
    assert not can_run_on(state)
    theirs = make_state(right=[(1.0, 0.0), (0.5, 0.0)], ball=(0.5, 0.0), owner=(1, 1))
    assert not can_run_on(theirs)  # the ball is where the opponent is


def owned(owner: tuple[int, int]) -> State:
    return make_state([(-1, 0), (0, 0), (0.3, 0)], ball=(0.0, 0.1), owner=owner)


MINE, FREE, MATES, THEIRS = owned((0, 1)), owned((-1, -1)), owned((0, 2)), owned((1, 1))


@pytest.mark.parametrize("kick", ["short_pass", "long_pass", "high_pass", "shot"])
def test_a_kick_alternates_with_the_direction_until_the_ball_is_gone(kick: str) -> None:
    macro = Macro.begin(kick, MINE, Memory("top", "top"))
    states = [MINE, MINE, MINE, MINE, FREE, FREE, FREE, MATES, MATES]
    assert play(macro, states) == [kick, "top", kick, "top", "builtin_ai", "builtin_ai", "builtin_ai"]


def test_after_the_kick_comes_the_turn_whatever_happened() -> None:
    assert play(Macro.begin("shot", MINE, Memory("idle", "top_right")), [MINE, FREE, FREE, THEIRS]) == [
        "shot",
        "top_right",
        "builtin_ai",
    ]


@pytest.mark.parametrize("taker", [MATES, THEIRS])
def test_a_kick_is_over_when_somebody_else_has_the_ball(taker: State) -> None:
    assert play(Macro.begin("short_pass", MINE, RAN_RIGHT), [MINE, MINE, taker]) == ["short_pass", "right"]


def test_a_ball_that_comes_back_ends_the_kick() -> None:
    actions = play(Macro.begin("short_pass", MINE, RAN_RIGHT), [MINE, MINE, FREE, MINE, MINE])
    assert actions == ["short_pass", "right", "builtin_ai"]


def test_a_kick_without_anybody_on_the_ball_is_one_step() -> None:
    assert play(Macro.begin("short_pass", FREE, RAN_RIGHT), [FREE] * 5) == ["short_pass"]


def test_a_kick_does_not_go_on_for_ever() -> None:
    for state in (MINE, FREE):
        actions = play(Macro.begin("shot", MINE, RAN_RIGHT), [MINE, *[state] * 1000])
        assert len(actions) == MOST_STEPS_OF_A_KICK


def test_macros_are_values() -> None:
    macro = Macro.begin("right", running(), RAN_RIGHT)
    first, second = macro.next(running()), macro.next(running())
    assert first == second and macro.steps == 0
