"""Matches made by hand, for tests that need no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.envs.football.state import GameMode, State, TeamState

Place = tuple[float, float]


def make_team(
    places: Sequence[Place], directions: Sequence[Place] | None = None, roles: Sequence[int] | None = None
) -> TeamState:
    """A team of fresh players, the goalkeeper first."""
    count = len(places)
    return TeamState(
        positions=np.array(places, np.float64).reshape(count, 2),
        directions=np.array(directions if directions is not None else [(0.0, 0.0)] * count, np.float64),
        tired_factors=np.zeros(count),
        active=np.ones(count, bool),
        yellow_cards=np.zeros(count, bool),
        roles=np.array(roles if roles is not None else [0, *[5] * (count - 1)], np.int64),
        designated=count - 1,
    )


def make_state(
    left: Sequence[Place] | TeamState = ((-1.0, 0.0), (0.0, 0.0)),
    right: Sequence[Place] | TeamState = ((1.0, 0.0), (0.5, 0.0)),
    ball: tuple[float, ...] = (0.0, 0.0),
    owner: tuple[int, int] = (-1, -1),
    **changes: Any,
) -> State:
    """A match in play; places as they are seen with the left team attacking to the right, the keeper of each first.

    Args:
        left: the places of the left team, or the team.
        right: the places of the right team, or the team.
        ball: x and y, and the height if it is in the air.
        owner: the team and the player who have the ball.
        **changes: other fields of `State`.
    """
    fields: dict[str, Any] = {
        "ball": np.array((*ball, 0.0)[:3], np.float64),
        "ball_direction": np.zeros(3),
        "ball_rotation": np.zeros(3),
        "ball_owned_team": owner[0],
        "ball_owned_player": owner[1],
        "left": left if isinstance(left, TeamState) else make_team(left),
        "right": right if isinstance(right, TeamState) else make_team(right),
        "left_controlled": (1,),
        "right_controlled": (),
        "left_sticky": (np.zeros(10, np.uint8),),
        "right_sticky": (),
        "game_mode": int(GameMode.NORMAL),
        "score": (0, 0),
        "steps_left": 400,
    }
    return State(**{**fields, **changes})
