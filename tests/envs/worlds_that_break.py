"""A world that breaks where it is told to, or by chance that its seed decides; imported by worker processes too.

Worker processes find it because the tests put this folder on `sys.path`; its id is "worlds_that_break:Breaks-v0".
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from lmmr1.envs.messages import Solution
from lmmr1.envs.spaces import Utterance

FOLDER = str(Path(__file__).parent)
ID = "worlds_that_break:Breaks-v0"
KINDS = ("crash", "nan", "text", "four", "flag", "exit", "die", "hang")
# What each of them is told as.
TOLD_AS = {"nan": "garbage", "hang": "hang", "die": "death"}


def fault_of(seed: int, turn: int, rate: float) -> str | None:
    """What breaks in a turn of an episode, for all who play it from the same seed."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, turn, 77)))
    if rng.random() >= rate:
        return None
    # Hangs cost seconds, so they are the rarest.
    return str(rng.choice(KINDS, p=[0.25, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05]))


class Breaks(gym.Env):
    """Pays the share of digits in a reply, for `turns` turns; `plan` or `rate` says where it breaks.

    Args:
        turns: of an episode.
        plan: {seed: [turn, kind]}; turn 0 is the reset.
        rate: share of the steps that break, see `fault_of`; resets do not.
        once: a folder: what has broken there once does not break again.
    """

    metadata = {"render_modes": []}

    def __init__(
        self, turns: int = 3, plan: dict[str, Any] | None = None, rate: float = 0.0, once: str | None = None
    ) -> None:
        self.turns, self.rate, self.once, self.render_mode = turns, rate, once, None
        self.plan = {int(seed): (int(turn), str(kind)) for seed, (turn, kind) in (plan or {}).items()}
        self.observation_space, self.action_space = Utterance(200), Utterance(200)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict]:
        super().reset(seed=seed)
        assert seed is not None
        self.start, self.count = seed, 0
        self._break()
        return f"Say digits {self.np_random.integers(10)}.", {}

    def _break(self) -> Any:
        """Break, or return what the reward is to be instead."""
        turn, kind = self.plan.get(self.start, (None, None))
        if turn != self.count:
            kind = fault_of(self.start, self.count, self.rate) if self.count else None
        if kind is None:
            return None
        if self.once is not None:
            mark = Path(self.once) / f"{self.start}-{self.count}"
            if mark.exists():
                return None
            mark.touch()
        if kind == "crash":
            raise RuntimeError("boom")
        if kind == "exit":
            sys.exit(3)
        if kind == "die":
            os._exit(7)
        if kind == "hang":
            time.sleep(10_000)
        return kind

    def step(self, action: str) -> Any:
        self.count += 1
        kind = self._break()
        reward: Any = sum(character.isdigit() for character in action) / max(len(action), 1)
        if kind == "four":
            return "More.", reward, False, {}
        success = reward > 0.5
        reward = {"nan": float("nan"), "text": "much"}.get(str(kind), reward)
        print("what an environment prints must not get into the pipe")
        terminated = "no" if kind == "flag" else self.count >= self.turns
        return f"More {self.np_random.integers(10)}.", reward, terminated, False, {"success": success}


class Knows(Breaks):
    """The same, and it knows its solution; where its plan says "think" that never comes."""

    def solution(self) -> Solution:
        if self.plan.get(self.start) == (self.count + 1, "think"):
            time.sleep(10_000)
        return Solution(f"It is {self.count}.", "7" * (self.count + 1))


class Drifts(Breaks):
    """Is another one each time: nothing in it follows the seed."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict]:
        super().reset(seed=seed)
        return f"It is {time.time_ns()}.", {}


if "Breaks-v0" not in gym.registry:
    gym.register("Breaks-v0", "worlds_that_break:Breaks")
    gym.register("Knows-v0", "worlds_that_break:Knows")
    gym.register("Drifts-v0", "worlds_that_break:Drifts")
