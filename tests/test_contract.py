"""The contract of every environment that this project registers: one suite, none left out."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import lmmr1
from lmmr1.envs.chat_spec import Speaking
from lmmr1.envs.football.engine.process import is_installed
from lmmr1.envs.messages import Solvable, StopReason
from lmmr1.envs.registry import REGISTRATIONS, register_all

IDS = sorted(id for id in gym.registry if id.startswith("LMMR1/"))
SECTIONS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Starting State",
    "Rewards",
    "Episode End",
    "Information",
    "Arguments",
    "Registered Configurations",
    "Version History",
    "References",
)
# In CI the engine is built before, and a missing one is a failure.
WITHOUT = pytest.mark.skipif(
    not is_installed() and os.environ.get("LMMR1_REQUIRE_FOOTBALL") != "1",
    reason="LMMR1/Football-v0: the football engine is not installed: make football",
)
every_id = pytest.mark.parametrize(
    "id", [pytest.param(id, marks=[WITHOUT] if id == "LMMR1/Football-v0" else []) for id in IDS]
)


def rollout(env: gym.Env[Any, Any], seed: int, steps: int = 12) -> list[Any]:
    """Everything that an environment says in two episodes of random actions."""
    env.action_space.seed(seed)
    said: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(env.action_space.sample()))
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


def test_the_table_is_registered_and_nothing_else() -> None:
    register_all()
    assert [row.id for row in REGISTRATIONS] == sorted({row.id for row in REGISTRATIONS}, key=[*gym.registry].index)
    assert IDS == sorted(row.id for row in REGISTRATIONS)
    assert {"LMMR1/Reasoning-v0", "LMMR1/Geometry-v0", "LMMR1/Sokoban-v0"} <= set(IDS)


def test_importing_is_light() -> None:
    heavy = {"torch", "transformers", "sympy", "math_verify", "pygame", "av", "matplotlib", "yaml", "rich"}
    code = f"import sys, lmmr1; bad = {heavy} & set(sys.modules); assert not bad, bad; print(lmmr1.__version__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == lmmr1.__version__


@every_id
def test_gymnasium_finds_nothing_to_say(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(id, disable_env_checker=True).unwrapped)


@every_id
def test_docstring_has_every_section_in_order(id: str) -> None:
    documentation = inspect.getdoc(type(gym.make(id).unwrapped)) or ""
    titles = [line.removeprefix("## ") for line in documentation.splitlines() if line.startswith("## ")]
    assert titles == list(SECTIONS)
    for title, body in zip(titles, documentation.split("\n## ")[1:], strict=True):
        assert len(body.removeprefix(title).split()) >= 2, f"{title} is empty"


@every_id
def test_docstring_names_every_argument(id: str) -> None:
    world = type(gym.make(id).unwrapped)
    arguments = (inspect.getdoc(world) or "").partition("## Arguments")[2].partition("\n## ")[0]
    for name in list(inspect.signature(world.__init__).parameters)[1:]:
        assert f"`{name}`" in arguments or f"{name}=" in arguments, f"{name} is not documented"


@every_id
def test_two_copies_say_the_same(id: str) -> None:
    first, second = rollout(gym.make(id), seed=11), rollout(gym.make(id), seed=11)
    assert data_equivalence(first, second, exact=True)
    assert not data_equivalence(first, rollout(gym.make(id), seed=12))


@every_id
def test_the_worlds_own_generator_is_the_only_one(id: str) -> None:
    # numpy's global generator must neither steer an environment nor be touched by it.
    np.random.seed(0)
    before: Any = np.random.get_state()
    first = rollout(gym.make(id), seed=5)
    after: Any = np.random.get_state()
    assert data_equivalence(before[1:3], after[1:3], exact=True)
    np.random.seed(1)
    assert data_equivalence(first, rollout(gym.make(id), seed=5), exact=True)


@every_id
def test_spaces_and_specs_are_pickled(id: str) -> None:
    env = gym.make(id)
    for space in (env.observation_space, env.action_space):
        copy = pickle.loads(pickle.dumps(space))
        assert copy == space and copy.sample() in space
    assert env.spec is not None and pickle.loads(pickle.dumps(env.spec)) == env.spec


@every_id
def test_rendering(id: str) -> None:
    env = gym.make(id, render_mode="rgb_array")
    assert "rgb_array" in env.metadata["render_modes"] and env.metadata["render_fps"] > 0
    env.reset(seed=0)
    frame: Any = env.render()
    assert isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 1, "the picture is of one colour"
    again: Any = env.render()
    np.testing.assert_array_equal(frame, again)
    env.step(env.action_space.sample())
    env.close()
    env.close()


@every_id
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments(id: str, mode: str) -> None:
    envs: Any = gym.make_vec(id, num_envs=2, vectorization_mode=mode)
    try:
        single = gym.make(id)
        observation, _ = single.reset(seed=4)
        observations, _ = envs.reset(seed=[3, 4])
        assert observations in envs.observation_space
        batched = list(gym.vector.utils.iterate(envs.observation_space, observations))
        assert data_equivalence(_plain(batched[1]), _plain(observation), exact=True)
        envs.action_space.seed(0)
        for _ in range(4):
            actions = envs.action_space.sample()
            observations, rewards, terminated, truncated, _ = envs.step(actions)
            assert observations in envs.observation_space
            assert rewards.shape == terminated.shape == truncated.shape == (2,)
    finally:
        envs.close()


def _plain(observation: Any) -> Any:
    """A batch holds views and numpy scalars where a single observation holds arrays and ints."""
    if isinstance(observation, dict):
        return {key: _plain(value) for key, value in observation.items()}
    return observation if isinstance(observation, str) else np.asarray(observation)


@every_id
def test_the_world_says_how_it_is_spoken_to(id: str) -> None:
    world = gym.make(id).unwrapped
    assert isinstance(world, Speaking) and isinstance(world, Solvable)
    assert len(world.chat_spec.instructions) > 20
    chat = lmmr1.make_chat(id)
    messages, _ = chat.reset(seed=0)
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages in chat.observation_space
    assert world.chat_spec.instructions in messages[0]["content"][0].get("text", "")


@every_id
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_solution_leads_to_success(id: str, seed: int) -> None:
    chat = lmmr1.make_chat(id, chat={"max_turns": 200})
    chat.reset(seed=seed)
    task = 0.0
    while True:
        solution = chat.solution()
        assert solution.thought and solution.answer
        messages, reward, terminated, truncated, info = chat.step(chat.write_reply(solution.thought, solution.answer))
        assert messages in chat.observation_space
        assert reward == pytest.approx(sum(info["reward_parts"].values()))
        assert info["reward_parts"]["format"] == 0.5 and info["native_steps"] > 0
        task += info["reward_parts"]["task"]
        if terminated or truncated:
            break
    assert terminated and not truncated
    assert info["success"] is True and info["stop_reason"] is StopReason.TASK_ENDED and task > 0


@every_id
@pytest.mark.parametrize("reply", ["", "<think></think><answer>0.123456789</answer>", "\x00\ud800" * 1000])
def test_a_null_reply_leads_nowhere(id: str, reply: str) -> None:
    chat = lmmr1.make_chat(id, chat={"max_turns": 3})
    chat.reset(seed=0)
    ended, turns = False, 0
    while not ended:
        messages, _, terminated, truncated, info = chat.step(reply)
        assert messages in chat.observation_space
        assert not info["success"] and info["reward_parts"]["task"] <= 0
        assert not (terminated and truncated)
        ended, turns = terminated or truncated, turns + 1
        assert (info["stop_reason"] is not None) == ended
    assert turns <= 3


@every_id
def test_chats_in_vector_environments(id: str) -> None:
    envs: Any = gym.make_vec(id, num_envs=2, vectorization_mode="async", wrappers=[lmmr1.ChatEnv])
    try:
        chats, _ = envs.reset(seed=[0, 1])
        assert chats in envs.observation_space
        single = lmmr1.make_chat(id)
        assert data_equivalence(chats[1], single.reset(seed=1)[0], exact=True)
        chats, rewards, *_ = envs.step(("", "<think></think><answer>x</answer>"))
        assert chats in envs.observation_space and rewards.shape == (2,)
    finally:
        envs.close()


@every_id
def test_a_chat_is_pickled(id: str) -> None:
    chat = lmmr1.make_chat(id)
    chat.reset(seed=9)
    copy = pickle.loads(pickle.dumps(chat))
    solution = chat.solution()
    reply = chat.write_reply(solution.thought, solution.answer)
    assert copy.solution() == solution
    assert data_equivalence(list(chat.step(reply)), list(copy.step(reply)), exact=True)
