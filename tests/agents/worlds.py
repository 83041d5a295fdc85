"""Small worlds for tests: an image in every turn, or text, for as many turns as asked."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from lmmr1.envs.chat import ChatEnv


class Pictures(gym.Env):
    """Shows a random picture each turn; any reply with a known action goes on, `turns` times."""

    metadata = {"render_modes": []}

    def __init__(self, turns: int = 5, sizes: tuple[tuple[int, int], ...] = ((84, 84), (56, 112))) -> None:
        self.turns, self.sizes, self.render_mode = turns, sizes, None
        self.action_space = gym.spaces.Discrete(2)
        self.observation_space = gym.spaces.Box(0, 255, (84, 84, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.step_count = 0
        return self._picture(), {}

    def _picture(self) -> np.ndarray:
        size = self.sizes[int(self.np_random.integers(len(self.sizes)))]
        return self.np_random.integers(0, 256, (*size, 3), dtype=np.uint8)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.step_count += 1
        done = self.step_count >= self.turns
        return self._picture(), float(action), done, False, {"success": done}


def pictures(turns: int = 5, **chat: Any) -> ChatEnv:
    return ChatEnv(Pictures(turns), **{"instructions": "brief", **chat})
