"""The academy: Google Research Football's short tasks, from an empty goal to a counterattack, as our own data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .lineups import KEEPER, KICKING_OFF, WAITING, lineup
from .scenario import Scenario

# Places are in the own attacking frame, so this goalkeeper stands behind the wrong goal: its own is empty.
KEEPER_AWAY = lineup(("GK", 1, 0))

_RUNNER = KEEPER + lineup(("CB", 0, 0))
_CHASERS = lineup(("LB", 0.12, 0.2), ("CB", 0.12, 0.1), ("CM", 0.12, 0), ("CB", 0.12, -0.1), ("RB", 0.12, -0.2))
_PASSER = KEEPER + lineup(("CB", 0.7, 0), ("CB", 0.7, -0.3))
_THREE = KEEPER + lineup(("CM", 0.6, 0), ("CM", 0.7, 0.2), ("CM", 0.7, -0.2))
_ONE = lineup(("CB", -0.75, 0))

_COUNTERATTACK = KEEPER + lineup(
    ("LB", -0.672, -0.19576),
    ("CB", -0.75, -0.06356),
    ("CB", -0.75, 0.063559),
    ("RB", -0.672, 0.19576),
    ("CM", -0.434, -0.10568),
    ("CM", -0.434, 0.10568),
    ("CM", 0.5, -0.3161),
    ("LM", 0.25, -0.1),
    ("RM", 0.25, 0.1),
    ("CF", 0.35, 0.316102),
)
_ATTACKERS_CAUGHT_OUT = lineup(
    ("CB", -0.4, 0.063559),
    ("RB", 0.128, -0.19576),
    ("CM", 0.365, -0.10568),
    ("CM", 0.282, 0),
    ("CM", 0.365, 0.10568),
    ("LM", 0.54, -0.3161),
    ("RM", 0.51, 0),
    ("CF", 0.54, 0.316102),
)

_CORNER_TAKERS = KEEPER + lineup(
    ("LB", 1, 0.42),
    ("CB", 0.7, 0.15),
    ("CB", 0.7, 0.05),
    ("RB", 0.7, -0.05),
    ("CM", 0, 0),
    ("CM", 0.6, 0.35),
    ("CM", 0.8, 0.07),
    ("LM", 0.8, -0.03),
    ("RM", 0.8, -0.13),
    ("CF", 0.7, -0.3),
)
_CORNER_DEFENDERS = KEEPER + lineup(
    ("LB", -0.75, -0.18),
    ("CB", -0.75, -0.08),
    ("CB", -0.75, 0.02),
    ("RB", -1, -0.1),
    ("CM", -0.8, -0.25),
    ("CM", -0.88, -0.07),
    ("CM", -0.88, 0.03),
    ("LM", -0.88, 0.13),
    ("RM", -0.75, 0.25),
    ("CF", -0.2, 0),
)


def _task(name: str, ball: tuple[float, float], left: Any, right: Any, **changes: Any) -> Scenario:
    """A task of the academy: 40 seconds, no offsides, over with the first goal, loss or ball out of play."""
    rules = {
        "game_duration": 400,
        "offsides": False,
        "end_episode_on_score": True,
        "end_episode_on_out_of_play": True,
        "end_episode_on_possession_change": True,
    }
    return Scenario(name, left, right, ball, **{**rules, **changes})


def _counterattack(name: str, centre_back_x: float) -> Scenario:
    defence = KEEPER + lineup(("LB", 0.128, -0.19576), ("CB", centre_back_x, -0.06356))
    return _task(name, (0.26, -0.11), _COUNTERATTACK, defence + _ATTACKERS_CAUGHT_OUT)


ACADEMY: tuple[Scenario, ...] = (
    _task("academy_empty_goal_close", (0.77, 0.0), KEEPER + lineup(("CB", 0.75, 0)), KEEPER_AWAY),
    _task("academy_empty_goal", (0.02, 0.0), _RUNNER, KEEPER_AWAY),
    _task("academy_run_to_score", (0.02, 0.0), _RUNNER, KEEPER_AWAY + _CHASERS),
    _task("academy_run_to_score_with_keeper", (0.02, 0.0), _RUNNER, KEEPER + _CHASERS),
    _task("academy_pass_and_shoot_with_keeper", (0.7, -0.28), _PASSER, KEEPER + lineup(("CB", -0.75, 0.3))),
    _task("academy_run_pass_and_shoot_with_keeper", (0.7, -0.28), _PASSER, KEEPER + lineup(("CB", -0.75, 0.1))),
    _task("academy_3_vs_1_with_keeper", (0.62, 0.0), _THREE, KEEPER + _ONE),
    _task("academy_corner", (0.99, 0.41), _CORNER_TAKERS, _CORNER_DEFENDERS, end_episode_on_possession_change=False),
    _counterattack("academy_counterattack_easy", 0.4),
    _counterattack("academy_counterattack_hard", -0.4),
    _task(
        "academy_single_goal_versus_lazy",
        (-0.48, -0.06356),
        KICKING_OFF,
        (WAITING[0], *(replace(player, lazy=True) for player in WAITING[1:])),
        game_duration=3000,
    ),
    _task("test_example_multiagent", (0.62, 0.0), _THREE, KEEPER_AWAY + _ONE, game_duration=100),
)
