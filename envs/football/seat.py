"""One agent's place in a match: what it sees, what its actions are on the pitch, and what it is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Space

from lmmr1.envs.errors import UserError
from lmmr1.envs.spaces import Utterance

from .actions import action_names, flip_action
from .magebench import MageBenchScore
from .observations import OBSERVATIONS, number_space, raw, simple115, smm
from .pitch import painter_for
from .rewards import Checkpoints, RewardRule, Scoring, read_weights
from .scenarios.scenario import Scenario
from .session import Session
from .speech import MAX_TEXT_LENGTH, write_state
from .state import State

Side = Literal["left", "right"]
REWARDS = ("scoring", "checkpoints", "magebench")


def frame_size(width: int) -> tuple[int, int]:
    """Width and height of the 3D picture in pixels, 16 to 9."""
    return width, 2 * round(width * 9 / 32)


def check_max_steps(max_steps: int | None) -> None:
    """Raises `UserError` for a number of steps that no match can be truncated after."""
    if max_steps is not None and (isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1):
        raise UserError(f"max_steps is {max_steps!r}; give a whole number of at least 1, or None")


def tell(seen: State) -> dict[str, Any]:
    """What the information of a step says of the match, as an agent sees it."""
    return {
        "success": seen.score[0] > seen.score[1],
        "score": seen.score,
        "ball_owned_team": seen.ball_owned_team,
        "game_mode": seen.game_mode,
        "steps_left": seen.steps_left,
    }


class Seat:
    """An agent's place. The match always looks to it as if its own team were the left one.

    Args:
        side: its team.
        index: its place among the controlled players of that team.
        observation: one of `OBSERVATIONS`.
        action_set: a key of `ACTION_SETS`.
        rewards: see `read_weights`.
        width: of pictures, in pixels.
        keeps_score: whether MageBench's score is counted, rewarded or not.

    Raises:
        UserError: an argument is not one there is.
    """

    def __init__(
        self,
        side: Side,
        index: int,
        *,
        observation: str,
        action_set: str,
        rewards: str | Sequence[str] | Mapping[str, float],
        width: int,
        keeps_score: bool,
    ) -> None:
        if observation not in OBSERVATIONS:
            raise UserError(f"observation is {observation!r}; choose from {', '.join(OBSERVATIONS)}")
        if observation == "frame" and side == "right":
            raise UserError(
                "observation is 'frame', whose camera stands on the left team's side: the right team's agents need "
                f"another one of {', '.join(name for name in OBSERVATIONS if name != 'frame')}"
            )
        painter_for(width)  # raises for a size that cannot be painted
        self.side, self.index = side, index
        self.observation, self.width = observation, width
        self.names = action_names(action_set)
        self.action_set = action_set
        self.weights = read_weights(rewards, REWARDS)
        self.scorer = MageBenchScore() if keeps_score or "magebench" in self.weights else None
        rules: dict[str, RewardRule] = {"scoring": Scoring(), "checkpoints": Checkpoints(index)}
        self.rules = {name: rules[name] for name in self.weights if name != "magebench"}
        flips = side == "right"
        self._native = [self.names.index(flip_action(name)) if flips else n for n, name in enumerate(self.names)]

    def space(self, scenario: Scenario) -> Space[Any]:
        """What `observe` returns."""
        if self.observation == "text":
            return Utterance(MAX_TEXT_LENGTH)
        if self.observation == "view":
            layout = painter_for(self.width).layout
            return Box(0, 255, (layout.height, layout.width, 3), np.uint8)
        if self.observation == "frame":
            width, height = frame_size(self.width)
            return Box(0, 255, (height, width, 3), np.uint8)
        return number_space(self.observation, scenario, self.action_set, self.side == "right")

    def native(self, action: int) -> int:
        """The number of an action on the pitch as it is, which is turned for the right team."""
        return self._native[action]

    def look(self, state: State) -> State:
        """A match as this agent sees it."""
        return state if self.side == "left" else state.flipped()

    def observe(self, seen: State, session: Session) -> Any:
        """The observation.

        Args:
            seen: what `look` returned.
            session: the match, asked for its 3D picture.
        """
        if self.observation == "view":
            return self.paint(seen)
        if self.observation == "frame":
            return session.frame()
        if self.observation == "text":
            return write_state(seen, self.index)
        read = {"simple115": simple115, "smm": smm, "raw": raw}[self.observation]
        return read(seen, self.index)

    def paint(self, seen: State) -> np.ndarray:
        """The 2D picture; shape (height, width, 3), dtype uint8."""
        return painter_for(self.width).paint(seen, self.index)

    def reset(self, seen: State) -> None:
        """A match begins."""
        for rule in self.rules.values():
            rule.reset(seen)
        if self.scorer is not None:
            self.scorer.reset(seen)

    def pay(self, seen: State, goals: int, action: str) -> dict[str, float]:
        """The parts of the reward of one step of the engine, weighted.

        Args:
            seen: after the step.
            goals: own goals less those of the opponent, in this step.
            action: the name of what the agent did.
        """
        parts = {name: self.weights[name] * rule.update(seen, goals, action) for name, rule in self.rules.items()}
        if self.scorer is not None:
            gain = self.scorer.update(seen, goals, action)
            if "magebench" in self.weights:
                parts["magebench"] = self.weights["magebench"] * gain
        return parts
