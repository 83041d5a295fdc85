"""How MageBench carries an action on over several steps of the engine ("adapting"): pure decisions from the state.

* The direction of the reply before, given again, is run in for up to 10 steps. The run ends where the player, or a ball
  that nobody has, would leave the pitch within 3 steps, or come within 0.01 of an opponent within 6, if both go on as
  they do.
* A pass or a shot with somebody on the ball is kicked, turned, kicked, ... (the action, then the last direction) until
  that player has let go of the ball; then the built-in AI plays until somebody has it.
* Every other action is one step, and so is the very first one of an episode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..actions import DIRECTIONS, PASSES
from ..state import PITCH_HALF_LENGTH, PITCH_HALF_WIDTH, State

KICKS = (*PASSES, "shot")
AUTOPILOT = "builtin_ai"
MOST_STEPS_OF_A_RUN = 10
# MageBench's episodes are over soon; in a long match a ball that nobody fetches must not hold up the conversation.
MOST_STEPS_OF_A_KICK = 100
COLLISION = 0.01
STEPS_TO_LINE, STEPS_TO_OPPONENT = 3, 6


@dataclass(frozen=True)
class Memory:
    """What is kept from one reply to the next.

    Attributes:
        action: the action before, or None at the beginning.
        direction: the last direction that was chosen.
    """

    action: str | None = None
    direction: str = "right"

    def after(self, action: str) -> Memory:
        """What is kept after an action."""
        return Memory(action, action if action in DIRECTIONS else self.direction)


@dataclass(frozen=True)
class Macro:
    """An action that is under way.

    Attributes:
        action: as it was chosen.
        kind: "step" (one step), "run" or "kick".
        direction: what a kick alternates with.
        owner: the team and the player who had the ball when a kick began.
        steps: so many were taken.
    """

    action: str
    kind: Literal["step", "run", "kick"]
    direction: str
    owner: tuple[int, int]
    steps: int = 0

    @classmethod
    def begin(cls, action: str, state: State, memory: Memory) -> Macro:
        """Take an action on.

        Args:
            action: the name of any action.
            state: the match now, with the own team as the left one.
            memory: of the replies before this one.
        """
        kind: Literal["step", "run", "kick"] = "step"
        if action in DIRECTIONS and action == memory.action:
            kind = "run"
        elif action in KICKS and memory.action is not None and state.ball_owned_player >= 0:
            kind = "kick"
        owner = (state.ball_owned_team, state.ball_owned_player)
        return cls(action, kind, memory.after(action).direction, owner)

    def next(self, state: State) -> tuple[str, Macro] | None:
        """The engine's next action and what is under way after it; None where the action is over.

        The first call always gives an action. `builtin_ai` may be among them, which needs the set "v2" or "full".

        Args:
            state: the match now.
        """
        then = replace(self, steps=self.steps + 1)
        if self.steps == 0:
            return self.action, then
        if self.kind == "run":
            return (self.action, then) if self.steps < MOST_STEPS_OF_A_RUN and can_run_on(state) else None
        if self.kind == "step" or self.steps >= MOST_STEPS_OF_A_KICK:
            return None
        return self._next_of_kick(state, then)

    def _next_of_kick(self, state: State, then: Macro) -> tuple[str, Macro] | None:
        # Each kick is followed by a turn, whatever came of it; the ball is looked at after the turn.
        if self.owner[0] != FLYING and self.steps % 2 == 1:
            return self.direction, then
        if state.ball_owned_player < 0:
            return AUTOPILOT, replace(then, owner=(FLYING, self.owner[1]))
        is_still_there = (state.ball_owned_team, state.ball_owned_player) == self.owner
        return (self.action, then) if is_still_there else None


FLYING = -2  # stands for the owner's team once the ball was let go of


def can_run_on(state: State) -> bool:
    """Whether nobody and no line is in the way of the left team's owner of the ball, or of a ball that is free."""
    place, way = state.ball[:2], state.ball_direction[:2]
    if state.ball_owned_team == 0 and state.ball_owned_player >= 0:
        player = state.ball_owned_player
        place, way = state.left.positions[player], state.left.directions[player]
    x, y = np.abs(place + STEPS_TO_LINE * way).tolist()
    if x >= PITCH_HALF_LENGTH or y >= PITCH_HALF_WIDTH:
        return False
    steps = np.arange(STEPS_TO_OPPONENT)[:, None, None]
    offsets = (state.right.positions - place) + steps * (state.right.directions - way)
    return bool((np.hypot(offsets[..., 0], offsets[..., 1]) >= COLLISION).all())
