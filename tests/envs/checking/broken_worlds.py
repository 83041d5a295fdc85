"""A sound little world, and that world with one fault at a time; imported by the processes of check-env too.

Their ids are "broken_worlds:NAME-v0": the tests put this folder on `sys.path`, which those processes take over.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.messages import Solution
from lmmr1.envs.spaces import Utterance

FOLDER = str(Path(__file__).parent)
FIELDS, TILE = 7, 16
NAMES = ("Left", "Right")
MARK = "left by the broken worlds of the tests"


class Sound(gym.Env):
    """Walk along a row of fields to a goal."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}
    reward_range = (-0.1, 1.0)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space: Any = Box(0, 255, (TILE, FIELDS * TILE, 3), np.uint8)
        self.action_space = Discrete(2)
        self.chat_spec = ChatSpec("Walk to the bright field: Left or Right.", NAMES)
        self.running = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place, self.goal = self.draw(seed)
        self.steps, self.running = 0, True
        return self.look(), {}

    def draw(self, seed: int | None) -> Any:
        place, goal = self.np_random.choice(FIELDS, 2, replace=False)
        return int(place), int(goal)

    def step(self, action: int) -> Any:
        if not self.running:
            raise gym.error.ResetNeeded("call reset() first")
        self.place = min(max(self.place + 2 * int(action) - 1, 0), FIELDS - 1)
        self.steps += 1
        ended = self.place == self.goal
        truncated = not ended and self.steps == 20
        self.running = not (ended or truncated)
        return self.look(), 1.0 if ended else -0.1, ended, truncated, {"success": ended}

    def look(self) -> Any:
        picture = np.full((TILE, FIELDS * TILE, 3), 40, np.uint8)
        for field, colour in ((self.goal, 250), (self.place, 150)):
            picture[2:-2, field * TILE + 2 : (field + 1) * TILE - 2] = colour
        return picture

    def render(self) -> Any:
        return Sound.look(self)

    def solution(self) -> Solution:
        move = NAMES[int(self.goal > self.place)]
        return Solution(f"The bright field is to the {move}.", move)


class SaltedSeed(Sound):
    def draw(self, seed):
        rng = np.random.default_rng(abs(hash(str(self.np_random.integers(10**6)))) % 2**32)
        return tuple(int(field) for field in rng.choice(FIELDS, 2, replace=False))


class GlobalNumpy(Sound):
    def draw(self, seed):
        np.random.seed(seed)
        return tuple(int(field) for field in np.random.choice(FIELDS, 2, replace=False))


class Unseeded(Sound):
    def draw(self, seed):
        return tuple(int(field) for field in np.random.default_rng().choice(FIELDS, 2, replace=False))


class IgnoresSeed(Sound):
    def draw(self, seed):
        return 0, 3


class Leaks(Sound):
    """Goes on from where the last episode ended."""

    def draw(self, seed):
        _, goal = super().draw(seed)
        before = self.place if self.steps_before() else 0
        return (before, goal) if before != goal else ((goal + 1) % FIELDS, goal)

    def steps_before(self):
        return vars(self).get("steps", 0)


class Stale(Sound):
    def look(self):
        self.buffer = vars(self).get("buffer", np.empty((TILE, FIELDS * TILE, 3), np.uint8))
        self.buffer[:] = super().look()
        return self.buffer


class BothFlags(Sound):
    def step(self, action):
        observation, reward, ended, truncated, info = super().step(action)
        return observation, reward, ended, truncated or ended, info


class FlagIsText(Sound):
    def step(self, action):
        observation, reward, ended, truncated, info = super().step(action)
        return observation, reward, "yes" if ended else "", truncated, info


class TooMuchReward(Sound):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward * 5, *rest


class NoNumber(Sound):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, float("nan") if reward == 1.0 else reward, *rest


class PartsDoNotSum(Sound):
    def step(self, action):
        observation, reward, ended, truncated, info = super().step(action)
        return observation, reward, ended, truncated, {**info, "reward_parts": {"goal": float(ended), "step": 0.1}}


class GrowingPicture(Sound):
    def look(self):
        return np.pad(super().look(), ((0, self.steps), (0, 0), (0, 0)))


class GrowingFrame(Sound):
    def render(self):
        return np.pad(super().render(), ((0, self.steps), (0, 0), (0, 0)))


class FlickeringFrame(Sound):
    def render(self):
        self.steps += 1
        return super().render() + np.uint8(self.steps)


class OutsideSpace(Sound):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = Box(0, FIELDS - 2, (2,), np.float32)

    def look(self):
        return np.array([self.place, self.goal], np.float32)


class NeverEnds(Sound):
    def step(self, action):
        observation, reward, ended, _, info = super().step(action)
        self.running, self.goal = True, (self.goal + 2) % FIELDS if ended else self.goal
        return observation, reward, False, False, {**info, "success": True}


class GoesOn(Sound):
    def step(self, action):
        self.running = True
        return super().step(action)


class SlowStep(Sound):
    def step(self, action):
        time.sleep(0.02)
        return super().step(action)


class SlowReset(Sound):
    def draw(self, seed):
        time.sleep(0.02)
        return super().draw(seed)


class Hangs(Sound):
    def step(self, action):
        while self.steps == 2:
            time.sleep(0.01)
        return super().step(action)


class Dies(Sound):
    def step(self, action):
        if self.steps == 2:
            os._exit(7)
        return super().step(action)


class Raises(Sound):
    def step(self, action):
        if self.steps == 2:
            raise IndexError("the third step")
        return super().step(action)


class Forks(Sound):
    """Not broken: it leaves a process behind."""

    started = False

    def draw(self, seed):
        if not Forks.started:
            Forks.started = True
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARK])
        return super().draw(seed)


class Unpicklable(Sound):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.lock = threading.Lock()


class ClosesOnce(Sound):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class WrongExpert(Sound):
    def solution(self):
        return Solution("The other way round.", NAMES[int(self.goal < self.place)])


class TooManyPictures(Sound):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.chat_spec = ChatSpec("Walk.", NAMES, describe=self.describe)

    def describe(self, observation: Any, info: Any) -> Any:
        return [{"type": "image", "image": np.repeat(np.repeat(observation, 4, 0), 4, 1)} for _ in range(6)]


class Asks(gym.Env):
    """Asks for a letter; how an answer is judged is what its heirs get wrong."""

    metadata = {"render_modes": []}
    reward_range = (0.0, 1.0)

    def __init__(self) -> None:
        self.render_mode = None
        self.observation_space, self.action_space = Utterance(100), Utterance(200_000)
        self.chat_spec = ChatSpec("Answer with a letter from A to D.")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.gold = "ABCD"[int(self.np_random.integers(4))]
        return f"Which letter comes {'ABCD'.index(self.gold)} places after A?", {}

    def step(self, action: str) -> Any:
        success = self.judge(action)
        return "The end.", float(success), True, False, {"success": success}

    def judge(self, action: str) -> bool:
        return action.strip() == self.gold

    def solution(self) -> Solution:
        return Solution("I count.", self.gold)


class FindsItAnywhere(Asks):
    def judge(self, action):
        return self.gold in action


class PaysPrefixes(Asks):
    def judge(self, action):
        return self.gold.startswith(action)


class CannotReadOddLetters(Asks):
    def judge(self, action):
        return action.encode("utf-8").strip() == self.gold.encode()


WORLDS = [value for value in list(vars().values()) if isinstance(value, type) and issubclass(value, gym.Env)]
for _world in WORLDS:
    if f"{_world.__name__}-v0" not in gym.registry:
        gym.register(f"{_world.__name__}-v0", f"broken_worlds:{_world.__name__}")
