"""What an agent is given of a match: numbers, planes or words. The picture of the pitch is made in ``pitch/``.

Every function takes the match with the agent's own team as the left one (`State.flipped`), and the agent's place among
the controlled players of that team.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Space

from .actions import sticky_names
from .scenarios.scenario import Scenario
from .state import MAX_PLAYERS, ROLES, GameMode, State

OBSERVATIONS = ("view", "frame", "simple115", "smm", "raw", "text")

SMM_HEIGHT, SMM_WIDTH = 72, 96
# Half of the planes' height in units of y: a little more than the pitch.
_SMM_HALF_Y = 1 / 2.25
_MISSING = -1.0
# Wide enough for a ball on the stand; finite, so that the spaces can be sampled evenly.
_FAR, _SPIN = 100.0, 10_000.0


def simple115(state: State, seat: int) -> np.ndarray:
    """The match as 115 numbers, those of Google Research Football's "simple115v2".

    Positions and directions of the left team, then of the right one (22 numbers each, -1 for whom there is not), ball
    and its direction (3 each), one-hot: who owns the ball (nobody, left, right), the controlled player (11), the game
    mode (7).

    Returns:
        Shape (115,), dtype float32.
    """
    numbers = np.zeros(115, np.float32)
    numbers[:88] = _MISSING
    left, right = state.left, state.right
    for start, array in ((0, left.positions), (22, left.directions), (44, right.positions), (66, right.directions)):
        numbers[start : start + array.size] = array.ravel()
    numbers[88:91] = state.ball
    numbers[91:94] = state.ball_direction
    numbers[95 + state.ball_owned_team] = 1
    active = state.left_controlled[seat]
    if active >= 0:
        numbers[97 + active] = 1
    numbers[108 + state.game_mode] = 1
    return numbers


def smm(state: State, seat: int) -> np.ndarray:
    """The super mini map: four planes with 255 where somebody is, those of Google Research Football.

    Returns:
        Left team, right team, ball, controlled player; shape (72, 96, 4), dtype uint8.
    """
    planes = np.zeros((SMM_HEIGHT, SMM_WIDTH, 4), np.uint8)
    active = state.left_controlled[seat]
    mine = state.left.positions[active : active + 1] if active >= 0 else state.left.positions[:0]
    groups = (state.left.positions, state.right.positions, state.ball[None, :2], mine)
    points = np.concatenate(groups)
    columns = ((points[:, 0] + 1) / 2 * SMM_WIDTH).astype(int).clip(0, SMM_WIDTH - 1)
    rows = ((points[:, 1] + _SMM_HALF_Y) / (2 * _SMM_HALF_Y) * SMM_HEIGHT).astype(int).clip(0, SMM_HEIGHT - 1)
    planes[rows, columns, np.repeat(np.arange(4), [len(group) for group in groups])] = 255
    return planes


def raw(state: State, seat: int) -> dict[str, Any]:
    """The match as Google Research Football tells it to one agent: arrays and numbers by its names.

    Returns:
        See `raw_space`; numbers of players, teams and modes are ints.
    """
    seen: dict[str, Any] = {
        "ball": state.ball,
        "ball_direction": state.ball_direction,
        "ball_rotation": state.ball_rotation,
        "ball_owned_team": state.ball_owned_team,
        "ball_owned_player": state.ball_owned_player,
        "game_mode": state.game_mode,
        "score": np.array(state.score),
        "steps_left": np.array([state.steps_left]),
        "active": state.left_controlled[seat],
        "designated": state.left.designated,
        "sticky_actions": state.left_sticky[seat],
    }
    for name, team in (("left_team", state.left), ("right_team", state.right)):
        seen[name] = team.positions
        seen[f"{name}_direction"] = team.directions
        seen[f"{name}_tired_factor"] = team.tired_factors
        seen[f"{name}_active"] = team.active.astype(np.int8)
        seen[f"{name}_yellow_card"] = team.yellow_cards.astype(np.int8)
        seen[f"{name}_roles"] = team.roles
    # What is given away may be written to, and the state is kept.
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in seen.items()}


def raw_space(left: int, right: int, action_set: str) -> Dict:
    """The space of `raw` for teams of so many players; positions in the units of `State`."""

    def numbers(bound: float, *shape: int) -> Box:
        return Box(-bound, bound, shape, np.float64)

    player = Discrete(MAX_PLAYERS + 1, start=-1)
    spaces: dict[str, Space[Any]] = {
        "ball": numbers(_FAR, 3),
        "ball_direction": numbers(_FAR, 3),
        "ball_rotation": numbers(_SPIN, 3),
        "ball_owned_team": Discrete(3, start=-1),
        "ball_owned_player": player,
        "game_mode": Discrete(len(GameMode)),
        "score": Box(0, 1_000, (2,), np.int64),
        "steps_left": Box(0, 1_000_000_000, (1,), np.int64),
        "active": player,
        "designated": player,
        "sticky_actions": MultiBinary(len(sticky_names(action_set))),
    }
    for name, size in (("left_team", left), ("right_team", right)):
        spaces[name] = numbers(_FAR, size, 2)
        spaces[f"{name}_direction"] = numbers(_FAR, size, 2)
        spaces[f"{name}_tired_factor"] = Box(0.0, 1.0, (size,), np.float64)
        spaces[f"{name}_active"] = MultiBinary(size)
        spaces[f"{name}_yellow_card"] = MultiBinary(size)
        spaces[f"{name}_roles"] = Box(0, len(ROLES) - 1, (size,), np.int64)
    return Dict(spaces)


def number_space(observation: str, scenario: Scenario, action_set: str, flipped: bool = False) -> Space[Any]:
    """The space of "simple115", "smm" or "raw".

    Args:
        observation: which.
        scenario: whose teams they are.
        action_set: whose lasting actions are told in "raw".
        flipped: whether the agent's own team is the right one.
    """
    if observation == "simple115":
        return Box(-_FAR, _FAR, (115,), np.float32)
    if observation == "smm":
        return Box(0, 255, (SMM_HEIGHT, SMM_WIDTH, 4), np.uint8)
    sizes = (len(scenario.left_team), len(scenario.right_team))
    left, right = reversed(sizes) if flipped else sizes
    return raw_space(left, right, action_set)
