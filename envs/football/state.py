"""What can be seen of a match: one frozen snapshot, in the engine's own units.

Coordinates: x runs from the left goal line (-1) to the right one (+1), y from the upper touch line (about -0.42) down
to the lower one (+0.42), as in a picture of the pitch; the goals lie at |y| < 0.044. One unit of x is 54.4 m, one of y
is 83.6 m. Height z is in metres. The left team attacks to the right. Directions are the way that is made in one step
(0.1 s of the game).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

GOAL_HALF_WIDTH = 0.044
PITCH_HALF_LENGTH, PITCH_HALF_WIDTH = 1.0, 0.42
MAX_PLAYERS = 11
STEPS_PER_SECOND = 10

# Roles by the number that the engine gives them: `TeamState.roles`.
ROLES = ("GK", "CB", "LB", "RB", "DM", "CM", "LM", "RM", "AM", "CF")


class GameMode(IntEnum):
    """What kind of play it is: `State.game_mode`."""

    NORMAL = 0
    KICK_OFF = 1
    GOAL_KICK = 2
    FREE_KICK = 3
    CORNER = 4
    THROW_IN = 5
    PENALTY = 6


@dataclass(frozen=True, eq=False, slots=True)
class TeamState:
    """The N players of a team, 1 to 11, in the order of the scenario.

    Attributes:
        positions: x and y; shape (N, 2), float64.
        directions: the way made in one step; shape (N, 2), float64.
        tired_factors: 0 (fresh) to 1; shape (N,), float64.
        active: False once a player was sent off; shape (N,), bool.
        yellow_cards: whether a player has one; shape (N,), bool.
        roles: places in `ROLES`; shape (N,), int64.
        designated: the player whom the engine makes the team's first man to the ball, -1 for none.
    """

    positions: np.ndarray
    directions: np.ndarray
    tired_factors: np.ndarray
    active: np.ndarray
    yellow_cards: np.ndarray
    roles: np.ndarray
    designated: int

    def flipped(self) -> TeamState:
        """The same team on the pitch turned by 180 degrees."""
        return TeamState(
            -self.positions,
            -self.directions,
            self.tired_factors,
            self.active,
            self.yellow_cards,
            self.roles,
            self.designated,
        )


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """A match after one step, as seen with the left team attacking to the right.

    Attributes:
        ball: x, y and z in metres; shape (3,), float64.
        ball_direction: the way made in one step; shape (3,), float64.
        ball_rotation: radians in one step about each axis; shape (3,), float64.
        ball_owned_team: 0 left, 1 right, -1 nobody.
        ball_owned_player: the owner's place in the team, -1 for nobody.
        left, right: the teams.
        left_controlled, right_controlled: for each controlled player the place in the team of whom it controls now.
        left_sticky, right_sticky: for each controlled player which lasting actions are on, in the order of
            `sticky_names`; shape (10,) or (13,), uint8.
        game_mode: a `GameMode`.
        score: goals of the left and of the right team.
        steps_left: steps until the end of the match.
    """

    ball: np.ndarray
    ball_direction: np.ndarray
    ball_rotation: np.ndarray
    ball_owned_team: int
    ball_owned_player: int
    left: TeamState
    right: TeamState
    left_controlled: tuple[int, ...]
    right_controlled: tuple[int, ...]
    left_sticky: tuple[np.ndarray, ...]
    right_sticky: tuple[np.ndarray, ...]
    game_mode: int
    score: tuple[int, int]
    steps_left: int

    def flipped(self) -> State:
        """The same match from the other side: the pitch turned by 180 degrees and the teams exchanged.

        The rotation of the ball is left as it is, as Google Research Football does.
        """
        turn = np.array((-1.0, -1.0, 1.0))
        return State(
            self.ball * turn,
            self.ball_direction * turn,
            self.ball_rotation,
            1 - self.ball_owned_team if self.ball_owned_team >= 0 else -1,
            self.ball_owned_player,
            self.right.flipped(),
            self.left.flipped(),
            self.right_controlled,
            self.left_controlled,
            tuple(_flip_sticky(flags) for flags in self.right_sticky),
            tuple(_flip_sticky(flags) for flags in self.left_sticky),
            self.game_mode,
            (self.score[1], self.score[0]),
            self.steps_left,
        )

    @property
    def is_in_play(self) -> bool:
        """Whether play is running, not waiting for a kick-off, a corner or the like."""
        return self.game_mode == GameMode.NORMAL

    def to_dict(self) -> dict[str, Any]:
        """The same as the dictionary of arrays and numbers of Google Research Football's core, with its keys."""
        result: dict[str, Any] = {
            "ball": self.ball,
            "ball_direction": self.ball_direction,
            "ball_rotation": self.ball_rotation,
            "ball_owned_team": self.ball_owned_team,
            "ball_owned_player": self.ball_owned_player,
            "game_mode": self.game_mode,
            "score": list(self.score),
            "steps_left": self.steps_left,
            "left_agent_controlled_player": list(self.left_controlled),
            "right_agent_controlled_player": list(self.right_controlled),
            "left_agent_sticky_actions": list(self.left_sticky),
            "right_agent_sticky_actions": list(self.right_sticky),
        }
        for side, team in (("left_team", self.left), ("right_team", self.right)):
            result[side] = team.positions
            result[f"{side}_direction"] = team.directions
            result[f"{side}_tired_factor"] = team.tired_factors
            result[f"{side}_active"] = team.active
            result[f"{side}_yellow_card"] = team.yellow_cards
            result[f"{side}_roles"] = team.roles
            result[f"{side}_designated_player"] = team.designated
        return result


def _flip_sticky(flags: np.ndarray) -> np.ndarray:
    # The first eight are the directions in a circle: the opposite one is four further.
    return np.concatenate((np.roll(flags[:8], 4), flags[8:]))
