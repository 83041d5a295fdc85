"""A world whose steps wait, as a tool, a browser or a simulator does, and whose episodes are of very different lengths.

Worker processes import it, so it imports nothing heavy; its id is "waiting_world:Waits-v0".
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np

from lmmr1.envs.spaces import Utterance


class Waits(gym.Env):
    """Pays the share of digits in each reply; the turns of an episode, and the seconds of a step, are log-normal.

    The turns follow the seed of the reset, so that a group shares them; what a step waits follows nothing.

    Args:
        median_turns, turns_spread, most_turns: of an episode: `1 + floor(X)`, X log-normal, at most so many.
        median_seconds, seconds_spread: of a step.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        median_turns: float = 2.0,
        turns_spread: float = 0.9,
        most_turns: int = 16,
        median_seconds: float = 0.04,
        seconds_spread: float = 1.0,
    ) -> None:
        self.turns_shape, self.most_turns = (np.log(median_turns), turns_spread), most_turns
        self.median_seconds, self.seconds_spread, self.render_mode = median_seconds, seconds_spread, None
        self.observation_space, self.action_space = Utterance(200), Utterance(200)
        self.waits = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict]:
        """Say what is wanted."""
        super().reset(seed=seed)
        self.turns = min(1 + int(self.np_random.lognormal(*self.turns_shape)), self.most_turns)
        self.count, self.paid = 0, 0.0
        return "Say digits.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict]:
        """Wait, then pay."""
        if self.median_seconds:
            time.sleep(self.median_seconds * self.waits.lognormal(0.0, self.seconds_spread))
        self.count += 1
        share = sum(character.isdigit() for character in action) / max(len(action), 1)
        self.paid += share / self.turns
        return "More.", share / self.turns, self.count >= self.turns, False, {"success": self.paid > 0.5}


if "Waits-v0" not in gym.registry:
    gym.register("Waits-v0", "waiting_world:Waits")
