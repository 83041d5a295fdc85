"""Google Research Football's own core playing given actions, as digests: what ours is compared with.

Run as a script: it reads {"matches": [...]} and prints one list of steps for each. Old gym, absl's flags and OpenCV are
replaced by stubs, which the core needs to be imported but not to play.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np


def digest(values: Mapping[str, Any]) -> str:
    """A digest of numbers and arrays by name."""
    found = hashlib.sha256()
    for name in sorted(values):
        found.update(name.encode())
        found.update(np.asarray(values[name], np.float64).tobytes())
    return found.hexdigest()[:16]


def install_stubs() -> None:
    import gymnasium

    def module(name: str, **values: Any) -> types.ModuleType:
        made = types.ModuleType(name)
        vars(made).update(values)
        sys.modules[name] = made
        return made

    registration = module("gym.envs.registration", register=lambda **_: None)
    envs = module("gym.envs", registration=registration)
    kinds = {name: vars(gymnasium)[name] for name in ("Env", "Wrapper", "RewardWrapper", "ObservationWrapper")}
    module("gym", envs=envs, spaces=gymnasium.spaces, **kinds)
    module("cv2")


def play(match: Mapping[str, Any]) -> list[list[Any]]:
    """Everything that the core says of a match: a digest and the reward of each step, and whether it was the last."""
    # By name, because nobody who reads the types of this file need have the engine.
    names = ("config", "football_env", "observation_preprocessing", "wrappers")
    config, football_env, observation_preprocessing, wrappers = (
        importlib.import_module(f"gfootball.env.{name}") for name in names
    )
    left, right = match["left"], match["right"]
    values = {
        "level": match["scenario"],
        "action_set": match["action_set"],
        "players": [f"agent:left_players={left},right_players={right}"],
        "game_engine_random_seed": match["seed"],
    }
    env = football_env.FootballEnv(config.Config(values))
    if match["swapped"]:  # lineups alternate from episode to episode
        env.reset()
    env.reset()
    checkpoints = wrappers.CheckpointRewardWrapper.__new__(wrappers.CheckpointRewardWrapper)
    vars(checkpoints).update(
        env=types.SimpleNamespace(unwrapped=env),
        _collected_checkpoints={},
        _num_checkpoints=10,
        _checkpoint_reward=0.1,
    )
    steps: list[list[Any]] = []
    result: tuple[Any, ...] = (env.observation(), np.zeros(left + right), False)
    for actions in [None, *match["actions"]]:
        if actions is not None:
            result = env.step(list(actions))
        seen = env.observation()
        core = {key: value for key, value in env._env.observation().items() if key != "frame"}
        numbers = wrappers.Simple115StateWrapper.convert_observation(seen, True)
        planes = observation_preprocessing.generate_smm(seen)
        agents = [
            digest({**{key: value for key, value in one.items() if key != "frame"}, "numbers": row, "planes": plane})
            for one, row, plane in zip(seen, numbers, planes, strict=True)
        ]
        paid = [] if actions is None else checkpoints.reward(np.array(result[1], np.float64)).tolist()
        steps.append([digest(core), agents, np.asarray(result[1]).tolist(), paid, bool(result[2])])
        if result[2]:
            break
    env.close()
    return steps


if __name__ == "__main__":
    install_stubs()
    importlib.import_module("absl.flags").FLAGS(sys.argv[:1])
    logging = importlib.import_module("absl.logging")
    logging.set_verbosity(logging.ERROR)
    print(json.dumps([play(match) for match in json.load(sys.stdin)["matches"]]))
