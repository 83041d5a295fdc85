"""Worlds of others: the names of their actions are true, and everything else stays as its spaces say."""

from __future__ import annotations

import gymnasium as gym
import pytest

import lmmr1
from lmmr1.envs.chat_spec import plain_text
from lmmr1.envs.known_worlds import KNOWN_WORLDS, known_world
from lmmr1.envs.messages import message_text


def latest(name: str) -> str:
    """The id of Gymnasium's own world of that name, in its newest version."""
    specs = [spec for spec in gym.registry.values() if spec.name == name and spec.namespace is None]
    assert specs, f"Gymnasium has no {name}"
    return max(specs, key=lambda spec: spec.version or 0).id


def answer(env: lmmr1.ChatEnv, text: str):
    return env.step(env.write_reply("", text))


def test_the_lake_is_crossed_by_the_names_of_its_actions() -> None:
    env = lmmr1.ChatEnv(gym.make("FrozenLake-v1", is_slippery=False))
    messages, _ = env.reset(seed=0)
    assert "The actions are Left, Down, Right, Up." in message_text(messages[0])
    for move in ("Down", "Down", "Right", "Right", "Down"):
        _, reward, terminated, _, _ = answer(env, move)
        assert not terminated
    _, reward, terminated, _, info = answer(env, "right")
    assert terminated and info["reward_parts"]["task"] == 1.0


@pytest.mark.parametrize(("move", "tile"), [("Up", 24), ("Left", 36)], ids=["up", "left"])
def test_the_cliff(move: str, tile: int) -> None:
    env = lmmr1.ChatEnv(gym.make(latest("CliffWalking")))
    env.reset(seed=0)
    messages, *_ = answer(env, move)
    assert message_text(messages[-1]).startswith(f"Observation: {tile}")


def test_the_taxi_drives_where_it_is_told() -> None:
    env = lmmr1.ChatEnv(gym.make(latest("Taxi")))
    env.reset(seed=3)

    def place() -> tuple[int, int]:
        row, column, *_ = env.unwrapped.decode(env.unwrapped.s)  # pyright: ignore[reportAttributeAccessIssue]
        return row, column

    for move, (down, right) in {"Down": (1, 0), "Up": (-1, 0), "Right": (0, 1), "Left": (0, -1)}.items():
        before = place()
        answer(env, move)
        assert place() in (before, (before[0] + down, before[1] + right))  # a wall keeps it where it is


def test_a_pole_that_leans_is_pushed_left_and_right() -> None:
    env = gym.make("CartPole-v1")
    for name, sign in (("Left", -1), ("Right", 1)):
        chat = lmmr1.ChatEnv(env)
        chat.reset(seed=0)
        before = float(chat.unwrapped.state[1])  # pyright: ignore[reportAttributeAccessIssue]
        answer(chat, name)
        assert (float(chat.unwrapped.state[1]) - before) * sign > 0  # pyright: ignore[reportAttributeAccessIssue]


def test_a_world_that_renders_text_is_read_as_text() -> None:
    env = lmmr1.ChatEnv(gym.make("FrozenLake-v1", is_slippery=False, render_mode="ansi"))
    messages, _ = env.reset(seed=0)
    assert message_text(messages[-1]) == "[S]FFF\nFHFH\nFFFH\nHFFG\n"
    messages, *_ = answer(env, "Down")
    assert "SFFF\n[F]HFH" in message_text(messages[-1])


def test_a_terminal_s_colours_become_marks() -> None:
    assert plain_text("a\x1b[43mT\x1b[0mb\x1b[34;1mY\x1b[0m\x1b[1m!\n") == "a[T]b(Y)!\n"


def test_an_enumeration_of_actions_gives_their_names() -> None:
    pytest.importorskip("minigrid", reason="minigrid is not installed")
    env = gym.make("minigrid:MiniGrid-Empty-5x5-v0")
    known = known_world(env)
    assert known is not None
    assert known.actions == ("Left", "Right", "Forward", "Pickup", "Drop", "Toggle", "Done")


@pytest.mark.parametrize("name", sorted(KNOWN_WORLDS))
def test_every_known_world_has_as_many_names_as_actions(name: str) -> None:
    try:
        env = gym.make(latest(name))
    except gym.error.DependencyNotInstalled:
        pytest.skip(f"{name} needs an extra of Gymnasium's")
    assert isinstance(env.action_space, gym.spaces.Discrete)
    assert len(KNOWN_WORLDS[name].actions) == env.action_space.n
    env.close()


def test_a_world_of_which_nothing_is_known_is_told_by_its_spaces() -> None:
    assert known_world(gym.make("Pendulum-v1")) is None
    env = lmmr1.ChatEnv(gym.make("MountainCarContinuous-v0"))
    assert "An action is a number, between -1 and 1" in env.chat_spec.instructions
