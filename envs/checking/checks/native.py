"""Episodes of random actions, watched: what `reset` and `step` return, when, and whether it stays as it was."""

from __future__ import annotations

import copy
import math
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.utils.env_checker import data_equivalence

from ..case import Case
from ..report import Finding

NAMES = (
    "observation-in-space",
    "image-size",
    "stale-observation",
    "flags",
    "reward",
    "native-parts-sum",
    "ends",
    "after-end",
    "reset-latency",
    "step-latency",
)
_REMEDIES = {
    "observation-in-space": "return what observation_space says, in its shape and dtype, or correct the space",
    "image-size": "give every picture of an episode the same height, width and dtype, those of the space",
    "stale-observation": "return a copy (observation.copy()), not the array that the next step writes into",
    "flags": "terminated says that the task ended, truncated that it was stopped from outside: bools, never both",
    "reward": "return one finite number inside of reward_range, or correct reward_range",
    "native-parts-sum": 'make info["reward_parts"] add up to the reward of the same step',
}


@runtime_checkable
class Bounded(Protocol):
    """A world that says between which numbers the reward of a step lies."""

    @property
    def reward_range(self) -> tuple[float, float]:
        """Lowest and highest reward of a step."""
        ...


@dataclass
class Watched:
    """What was seen: the first fault of each kind with its place, and how often it came."""

    where: str = ""
    faults: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    reset_seconds: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    has_parts: bool = False
    has_pictures: bool = False

    def blame(self, name: str, seen: str) -> None:
        """Note a fault here."""
        where, first, count = self.faults.get(name, (self.where, seen, 0))
        self.faults[name] = where, first, count + 1

    def finding(self, name: str, seen: str) -> Finding:
        """A failure if there was such a fault, else a pass that says what was seen."""
        if name not in self.faults:
            return Finding(name, "pass", seen)
        where, first, count = self.faults[name]
        more = f" (and {count - 1} times more)" if count > 1 else ""
        return Finding(name, "fail", first + more, where, _REMEDIES[name])


def check_native(case: Case) -> Iterator[Finding]:
    """Play, and tell what was seen."""
    watched, limits = Watched(), case.limits
    lengths: list[int] = []
    ended = terminated = truncated = False
    too_long = 0
    began = time.perf_counter()
    with case.native() as env, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's own complaints come with Gymnasium's own check
        limit = env.spec.max_episode_steps if env.spec is not None else None
        after = "no episode of random actions came to an end of its own"
        for episode in range(limits.episodes):
            if time.perf_counter() - began > limits.audit_seconds:
                break
            steps, terminated, truncated = _play(case, env, episode, watched, limit, began)
            ended = terminated or truncated
            if not ended:
                too_long = steps
                break
            lengths.append(steps)
            if terminated and after.startswith("no episode"):
                after = _step_on(case, env)
        bounds = env.unwrapped.reward_range if isinstance(env.unwrapped, Bounded) else None
    checked = f"{len(watched.step_seconds)} steps in {len(watched.reset_seconds)} episodes"
    yield watched.finding("observation-in-space", f"all of {checked}")
    if watched.has_pictures or "image-size" in watched.faults:
        yield watched.finding("image-size", "one size and dtype")
    else:
        yield Finding("image-size", "skip", "the observation holds no picture; frames are looked at by `render`")
    yield watched.finding("stale-observation", "none changed after it was returned")
    yield watched.finding("flags", f"two bools, never both, in {checked}")
    span = f"{min(watched.rewards):g} to {max(watched.rewards):g}" if watched.rewards else "none"
    yield watched.finding("reward", f"{span}; {'declared ' + str(bounds) if bounds else 'no reward_range is declared'}")
    if watched.has_parts:
        yield watched.finding("native-parts-sum", "they add up")
    else:
        yield Finding("native-parts-sum", "skip", 'its own info holds no "reward_parts"')
    yield _judge_end(case, lengths, too_long, limit)
    silent = after.startswith("accepted")
    remedy = "raise gymnasium.error.ResetNeeded from a step after the end" if silent else ""
    verdict = "warn" if silent else "skip" if after.startswith("no episode") else "pass"
    yield Finding("after-end", verdict, after, remedy=remedy)
    yield _judge_seconds("reset", watched.reset_seconds, limits.reset_warn, limits.reset_fail)
    yield _judge_seconds("step", watched.step_seconds, limits.step_warn, limits.step_fail)


def _play(
    case: Case, env: gym.Env[Any, Any], seed: int, watched: Watched, limit: int | None, began: float
) -> tuple[int, bool, bool]:
    watched.where, steps = f"reset(seed={seed})", 0
    env.action_space.seed(seed)
    case.watch.touch()
    start = time.perf_counter()
    result = env.reset(seed=seed)
    watched.reset_seconds.append(time.perf_counter() - start)
    observation = result[0]
    _look(env, observation, watched)
    terminated = truncated = False
    while not (terminated or truncated) and steps < case.limits.most_steps:
        if steps and time.perf_counter() - began > case.limits.audit_seconds:
            break
        kept = copy.deepcopy(observation)
        action = env.action_space.sample()
        watched.where = f"step {steps + 1} from seed {seed}"
        case.watch.touch()
        start = time.perf_counter()
        result = env.step(action)
        watched.step_seconds.append(time.perf_counter() - start)
        steps += 1
        if not data_equivalence(kept, observation, exact=True):
            watched.blame("stale-observation", "the observation before was changed by this call")
        observation, reward, terminated, truncated, info = result
        _look(env, observation, watched)
        _look_at_reward(env, reward, info, watched)
        terminated, truncated = _look_at_flags(terminated, truncated, steps == limit, watched)
    return steps, terminated, truncated


def _look(env: gym.Env[Any, Any], observation: Any, watched: Watched) -> None:
    space = env.observation_space
    pairs = [("", space, observation)]
    if isinstance(space, Dict) and isinstance(observation, Mapping):
        pairs = [(f" {key}", part, observation.get(key)) for key, part in space.spaces.items()]
    for key, part, value in pairs:
        if not (isinstance(part, Box) and part.dtype == np.uint8 and len(part.shape) == 3):
            continue
        watched.has_pictures = True
        if isinstance(value, np.ndarray) and (value.shape, value.dtype) != (part.shape, part.dtype):
            told = f"the picture{key} is {value.shape} {value.dtype}, the space says {part.shape} {part.dtype}"
            return watched.blame("image-size", told)
    if not space.contains(observation):
        found = f"{observation.dtype} {observation.shape}" if isinstance(observation, np.ndarray) else repr(observation)
        watched.blame("observation-in-space", f"{found[:60]} is not in {str(space)[:60]}")


def _look_at_reward(env: gym.Env[Any, Any], reward: Any, info: Any, watched: Watched) -> None:
    scalar = isinstance(reward, (Real, np.number)) or (isinstance(reward, np.ndarray) and reward.ndim == 0)
    if not scalar or not math.isfinite(float(reward)):
        return watched.blame("reward", f"{reward!r:.60} is no finite number")
    number = float(reward)
    watched.rewards.append(number)
    if isinstance(env.unwrapped, Bounded):
        low, high = env.unwrapped.reward_range
        if not low - 1e-9 <= number <= high + 1e-9:
            watched.blame("reward", f"{number:g} is outside of reward_range {low:g} to {high:g}")
    parts = info.get("reward_parts") if isinstance(info, Mapping) else None
    if isinstance(parts, Mapping):
        watched.has_parts = True
        total = math.fsum(float(part) for part in parts.values())
        if not math.isclose(total, number, rel_tol=1e-6, abs_tol=1e-9):
            watched.blame("native-parts-sum", f"the parts add up to {total:g}, the reward is {number:g}")


def _look_at_flags(terminated: Any, truncated: Any, at_limit: bool, watched: Watched) -> tuple[bool, bool]:
    if not all(isinstance(flag, (bool, np.bool_)) for flag in (terminated, truncated)):
        watched.blame("flags", f"terminated is {terminated!r:.30} and truncated {truncated!r:.30}, not bools")
    elif terminated and truncated and not at_limit:  # at its limit TimeLimit truncates what has just terminated
        watched.blame("flags", "terminated and truncated are both set")
    return bool(terminated), bool(truncated)


def _step_on(case: Case, env: gym.Env[Any, Any]) -> str:
    case.watch.touch()
    try:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    except Exception as error:  # whatever the world refuses it with
        return f"refused with {type(error).__name__}"
    if (terminated or truncated) and float(reward) == 0.0:
        return "it stays ended and pays nothing"
    return f"accepted: terminated {bool(terminated)}, reward {float(reward):g}"


def _judge_end(case: Case, lengths: list[int], too_long: int, limit: int | None) -> Finding:
    if too_long == 0:
        told = f"{min(lengths)} to {max(lengths)} steps, {statistics.median(lengths):g} in the median"
        return Finding("ends", "pass", told)
    if limit is not None and limit > too_long:
        return Finding("ends", "pass", f"not within {too_long} steps; the id truncates at {limit}")
    if too_long < case.limits.most_steps:
        return Finding("ends", "warn", f"no end in {too_long} steps, for which {case.limits.audit_seconds:g} s went by")
    remedy = "end the episode, or register the id with max_episode_steps"
    return Finding("ends", "fail", f"no end in {too_long} steps of random actions", remedy=remedy)


def _judge_seconds(call: str, seconds: list[float], warn: float, fail: float) -> Finding:
    if not seconds:
        return Finding(f"{call}-latency", "skip", f"no {call} came back")
    median, worst = statistics.median(seconds), max(seconds)
    told = f"{_shown(median)} in the median, {_shown(worst)} at worst, of {len(seconds)}"
    if median <= warn:
        return Finding(f"{call}-latency", "pass", told)
    verdict, bound = ("fail", fail) if median > fail else ("warn", warn)
    remedy = f"profile {call}(); the limit is {_shown(bound)} in the median"
    return Finding(f"{call}-latency", verdict, told, remedy=remedy)


def _shown(seconds: float) -> str:
    return (
        f"{seconds:.2f} s"
        if seconds >= 0.1
        else f"{seconds * 1e3:.2f} ms"
        if seconds >= 1e-3
        else f"{seconds * 1e6:.0f} us"
    )
