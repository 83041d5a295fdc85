"""Rewards of a step, each by itself; an environment adds up those it is asked for, by weight.

Every rule sees the match with the agent's own team as the left one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Protocol

import numpy as np

from lmmr1.envs.errors import UserError

from .state import State

CHECKPOINTS = 10
CHECKPOINT_REWARD = 0.1
FARTHEST, SPAN = 0.99, 0.8


class RewardRule(Protocol):
    """One kind of reward."""

    def reset(self, state: State) -> None:
        """A match begins."""
        ...

    def update(self, state: State, goals: int, action: str) -> float:
        """What a step is worth.

        Args:
            state: after the step.
            goals: own goals less those of the opponent, in this step.
            action: the name of the action that the agent chose for it.
        """
        ...


class Scoring:
    """A goal is worth 1, a goal of the opponent -1."""

    def reset(self, state: State) -> None:
        """Nothing is kept."""

    def update(self, state: State, goals: int, action: str) -> float:
        """The goals."""
        return float(goals)


class Checkpoints:
    """Carrying the ball towards the opponent's goal: 0.1 for each of ten distances, once in a match.

    The distances from the ball to the middle of the goal, (1, 0), in the units of the pitch, run from 0.99 in equal
    steps down to 0.19; they count while the agent's player owns the ball. A goal pays those that are left over. The
    rule is that of "checkpoints" in Google Research Football.

    Args:
        seat: the agent's place among the controlled players of its team.
    """

    def __init__(self, seat: int = 0) -> None:
        self.seat, self.collected = seat, 0

    def reset(self, state: State) -> None:
        """None is collected."""
        self.collected = 0

    def update(self, state: State, goals: int, action: str) -> float:
        """What was newly reached."""
        if goals == 1:
            left, self.collected = CHECKPOINTS - self.collected, CHECKPOINTS
            return CHECKPOINT_REWARD * left
        if state.ball_owned_team != 0 or state.ball_owned_player != state.left_controlled[self.seat]:
            return 0.0
        distance = float(np.hypot(state.ball[0] - 1, state.ball[1]))
        before = self.collected
        while self.collected < CHECKPOINTS and distance <= FARTHEST - SPAN / (CHECKPOINTS - 1) * self.collected:
            self.collected += 1
        return CHECKPOINT_REWARD * (self.collected - before)


def read_weights(rewards: str | Sequence[str] | Mapping[str, float], known: Sequence[str]) -> dict[str, float]:
    """What each kind of reward is multiplied by.

    Args:
        rewards: one name, several (in a list, or in one text with commas), or weights by name.
        known: the names there are.

    Raises:
        UserError: there is no such reward, none is named, or a weight is no number.
    """
    if isinstance(rewards, str):
        rewards = [name.strip() for name in rewards.split(",")]
    weights = dict(rewards) if isinstance(rewards, Mapping) else dict.fromkeys(rewards, 1.0)
    for name, weight in weights.items():
        if name not in known:
            raise UserError(f"rewards: there is no reward {name!r}; choose from {', '.join(known)}")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not np.isfinite(float(weight)):
            raise UserError(f"rewards: the weight of {name} must be a number, not {weight!r}")
    if not weights:
        raise UserError(f"rewards: name at least one of {', '.join(known)}")
    return {name: float(weight) for name, weight in weights.items()}
