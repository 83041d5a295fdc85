"""A scenario as data: the two teams, the ball, the rules. Anybody's package can make one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from lmmr1.envs.errors import UserError

from ..state import MAX_PLAYERS

Role = Literal["GK", "CB", "LB", "RB", "DM", "CM", "LM", "RM", "AM", "CF"]
NO_SECOND_HALF = 999_999_999


@dataclass(frozen=True)
class PlayerStart:
    """Where a player starts and what it is.

    Attributes:
        x: -1 (the own goal line) to 1 (the opponent's): both teams are written as if they attacked to the right.
        y: -0.42 to 0.42, its left touch line to its right one.
        role: a `Role`; the engine's AI plays by it.
        lazy: the engine's AI does nothing with it.
        controllable: an agent may be given it.

    Raises:
        UserError: a place outside of the pitch, or an unknown role.
    """

    x: float
    y: float
    role: Role
    lazy: bool = False
    controllable: bool = True

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_place(self.x, self.y, "a player starts")
        if self.role not in get_args(Role):
            raise UserError(f"a player's role is {self.role!r}; choose from {', '.join(get_args(Role))}")
        for name, value in (("lazy", self.lazy), ("controllable", self.controllable)):
            if not isinstance(value, bool):
                raise UserError(f"a player's {name} must be True or False, not {value!r}")


@dataclass(frozen=True)
class Scenario:
    """A task on the pitch. The names of the fields are the engine's.

    Attributes:
        name: what it is called, in tables and in errors.
        left_team, right_team: 1 to 11 players each, the goalkeeper first.
        ball_position: x and y, seen with the left team attacking to the right.
        game_duration: the match ends after this many steps of 0.1 s.
        second_half: the step at which the teams change ends; `NO_SECOND_HALF` for never.
        left_team_difficulty, right_team_difficulty: how well the engine's AI plays, 0 to 1.
        deterministic: the engine's own seed (42) in each episode, whatever `reset` is given.
        offsides: whether they are called.
        end_episode_on_score, end_episode_on_out_of_play, end_episode_on_possession_change: what else ends the episode.
        swap_lineups: in half of the episodes, by the seed, the teams take each other's lineup, and with it the
            kick-off; the left team still attacks to the right.

    Raises:
        UserError: a field is out of its range.
    """

    name: str
    left_team: tuple[PlayerStart, ...]
    right_team: tuple[PlayerStart, ...]
    ball_position: tuple[float, float] = (0.0, 0.0)
    game_duration: int = 3000
    second_half: int = NO_SECOND_HALF
    left_team_difficulty: float = 1.0
    right_team_difficulty: float = 0.6
    deterministic: bool = False
    offsides: bool = True
    end_episode_on_score: bool = False
    end_episode_on_out_of_play: bool = False
    end_episode_on_possession_change: bool = False
    swap_lineups: bool = False

    def __post_init__(self) -> None:
        """Check the fields."""
        if not isinstance(self.name, str) or not self.name:
            raise UserError(f"a scenario's name must be a text, not {self.name!r}")
        for side, team in (("left_team", self.left_team), ("right_team", self.right_team)):
            if not isinstance(team, tuple) or not all(isinstance(player, PlayerStart) for player in team):
                raise UserError(f"{self.name}: {side} must be a tuple of PlayerStart")
            if not 1 <= len(team) <= MAX_PLAYERS:
                raise UserError(f"{self.name}: {side} has {len(team)} players; 1 to {MAX_PLAYERS} can play")
            keepers = [place for place, player in enumerate(team) if player.role == "GK"]
            if keepers != [0]:
                raise UserError(f"{self.name}: {side} needs one goalkeeper (role GK), its first player")
        if not isinstance(self.ball_position, tuple) or len(self.ball_position) != 2:
            raise UserError(f"{self.name}: ball_position must be (x, y), not {self.ball_position!r}")
        _check_place(*self.ball_position, f"{self.name}: the ball starts")
        for name, steps in (("game_duration", self.game_duration), ("second_half", self.second_half)):
            if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= NO_SECOND_HALF:
                raise UserError(f"{self.name}: {name} must be a whole number of at least 1, not {steps!r}")
        for name, value in (
            ("left_team_difficulty", self.left_team_difficulty),
            ("right_team_difficulty", self.right_team_difficulty),
        ):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise UserError(f"{self.name}: {name} must be a number from 0 to 1, not {value!r}")

    @property
    def controllable_left(self) -> int:
        """How many players of the left team an agent may be given."""
        return sum(player.controllable for player in self.left_team)

    @property
    def controllable_right(self) -> int:
        """How many players of the right team an agent may be given."""
        return sum(player.controllable for player in self.right_team)


def _check_place(x: float, y: float, what: str) -> None:
    for name, value, bound in (("x", x, 1.0), ("y", y, 0.42)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or abs(value) > bound:
            raise UserError(f"{what} at {name} = {value!r}; give a number from -{bound:g} to {bound:g}")
