"""What the machinery around an environment does to it: Gymnasium's own check, copies, frames, closing it twice."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env as check_with_gymnasium

from lmmr1.envs.isolation.outcomes import describe_error
from lmmr1.envs.messages import is_image

from ..case import Case
from ..report import Finding
from .seeding import digest

NAMES = ("render", "pickle", "close-twice", "gymnasium")
STEPS = 3
# What Gymnasium reminds of that is a matter of taste, or that is meant for whoever calls the check.
_TASTE = (
    "minimum value is -infinity",
    "maximum value is infinity",
    "recommend you to use a symmetric",
    "unwrapped version",
    "not having a spec",
)


def check_copying(case: Case) -> Iterator[Finding]:
    """Look at the frames, copy it half-way, close it, and let Gymnasium have its say."""
    yield _render(case)
    yield _copy(case)
    yield check_closing(case)
    yield from _ask_gymnasium(case)


def _render(case: Case) -> Finding:
    if not case.sees_pictures():
        return Finding("render", "skip", 'metadata["render_modes"] holds no "rgb_array"')
    with case.native("rgb_array") as env:
        if env.render_mode != "rgb_array":
            return Finding("render", "skip", "it was made without render_mode and cannot be made again with one")
        case.watch.touch()
        env.reset(seed=0)
        env.action_space.seed(0)
        shapes: dict[tuple[int, ...], str] = {}
        for step in range(STEPS + 1):
            where = f"render after step {step}" if step else "render after reset"
            case.watch.touch()
            frame, again = env.render(), env.render()
            if not is_image(frame):
                told = f"{frame.shape} {frame.dtype}" if isinstance(frame, np.ndarray) else type(frame).__name__
                return Finding("render", "fail", f"a frame is {told}", where, "return (height, width, 3) of uint8")
            if not np.array_equal(frame, again):
                remedy = "render() must show the state and leave it as it is"
                return Finding("render", "fail", "two frames of one state differ", where, remedy)
            shapes.setdefault(frame.shape, where)
            if step == 0 and len(np.unique(frame.reshape(-1, 3), axis=0)) == 1:
                return Finding("render", "warn", "the frame is of one colour", where, "draw something, or leave it out")
            if step == STEPS:
                break
            case.watch.touch()
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    if len(shapes) > 1:
        sizes = " and ".join("x".join(map(str, shape[:2])) for shape in shapes)
        place = list(shapes.values())[1]
        return Finding("render", "fail", f"frames are {sizes} in one episode", place, "give every frame one size")
    height, width, _ = next(iter(shapes))
    return Finding("render", "pass", f"frames of {width} x {height} pixels, the same when drawn again")


def _copy(case: Case) -> Finding:
    remedy = "keep windows, files, locks and lambdas out of self, or leave them out in __getstate__"
    ways: dict[str, Callable[[Any], Any]] = {
        "copy.deepcopy": copy.deepcopy,
        "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    }
    for name, way in ways.items():
        with case.native() as env:
            case.watch.touch()
            env.reset(seed=3)
            env.action_space.seed(3)
            try:
                other = way(env)
            except Exception as error:  # pickle raises whatever the object raises
                return Finding("pickle", "fail", f"{name}: {describe_error(error)}", "after reset(seed=3)", remedy)
            case.watch.touch()
            if _follow(env) != _follow(other):
                told = f"{name}: the copy goes on differently"
                return Finding(
                    "pickle", "fail", told, "after reset(seed=3)", "keep all state in the environment itself"
                )
            other.close()
    return Finding("pickle", "pass", "copies and pickles go on as the original does")


def _follow(env: Any) -> list[str]:
    env.action_space.seed(4)
    marks: list[str] = []
    for _ in range(STEPS):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        marks.append(digest((observation, float(reward), bool(terminated), bool(truncated))))
        if terminated or truncated:
            break
    return marks


def check_closing(case: Case) -> Finding:
    """Close it, and close it again."""
    place = "the first close()"
    with case.native() as env:
        case.watch.touch()
        env.reset(seed=0)
        try:
            env.close()
            place = "the second close()"
            env.close()
        except Exception as error:  # whatever the world raises
            remedy = "close() must not raise, even on what is closed"
            return Finding("close-twice", "fail", describe_error(error), place, remedy)
    return Finding("close-twice", "pass", "the second close() does nothing")


def _ask_gymnasium(case: Case) -> Iterator[Finding]:
    error = None
    with case.native() as env, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.watch.touch(4.0)  # a dozen calls, and one environment for each render mode
        inner: gym.Env[Any, Any] = env.unwrapped
        # Whether a window can be opened says something about this machine.
        windowed = "human" in (inner.metadata.get("render_modes") or ())
        try:
            check_with_gymnasium(inner, skip_render_check=windowed)
        except Exception as problem:  # assertions, mostly, and whatever the world itself raises
            error = describe_error(problem)
    remedy = "see Gymnasium's page on making an environment"
    told = [
        " ".join(str(warning.message).replace("\x1b[33mWARN: ", "").replace("\x1b[0m", "").split())
        for warning in caught
    ]
    told = [text for text in dict.fromkeys(told) if not any(word in text for word in _TASTE)]
    if error is not None:
        yield Finding("gymnasium", "fail", error, "gymnasium.utils.env_checker.check_env", remedy)
    for text in told:
        yield Finding("gymnasium", "warn", text, "gymnasium.utils.env_checker.check_env", remedy)
    if error is None and not told:
        yield Finding("gymnasium", "pass", "its own check finds nothing to say")
