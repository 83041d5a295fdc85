"""ChatEnv: turns, rewards, ends, messages; with worlds of this file and with Gymnasium's own."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from gymnasium.utils.env_checker import data_equivalence

from lmmr1 import ChatEnv, ChatSpec, StopReason, UserError, make_chat
from lmmr1.envs.chat_spec import describe_actions, describe_observation, write_value
from lmmr1.envs.messages import Message, Solution, message_images, message_text, text_part
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.envs.spaces import Utterance


class Corridor(gym.Env[Any, Any]):
    """Five cells in a row; the goal is the last one, worth 1; a step costs 0.1; truncated after ``limit`` steps."""

    def __init__(self, limit: int = 100, spec_max_actions: int = 3) -> None:
        self.observation_space = Discrete(5)
        self.action_space = Discrete(2)
        self.limit = limit
        self.chat_spec = ChatSpec("Reach cell 4.", ("Left", "Right"), spec_max_actions, describe)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell = (options or {}).get("cell", 0)
        self.steps = 0
        return self.cell, {"options": options}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.cell = int(np.clip(self.cell + (1 if action else -1), 0, 4))
        self.steps += 1
        ended = self.cell == 4
        return self.cell, ended - 0.1, ended, self.steps >= self.limit, {"success": ended, "options": None}

    def solution(self) -> Solution:
        count = 4 - self.cell
        return Solution(f"{count} cells to go", ", ".join(["Right"] * count))


def describe(observation: Any, info: dict[str, Any]) -> list[Any]:
    return [text_part(f"You are in cell {observation}.")]


class Question(gym.Env[str, str]):
    """Asks one question; the answer 4 is right."""

    def __init__(self, action_space: Any = None) -> None:
        self.observation_space = Utterance(100)
        self.action_space = Utterance(100) if action_space is None else action_space
        self.heard: list[str] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "What is 2 + 2?", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.heard.append(action)
        return "What is 2 + 2?", float(action == "4"), True, False, {"success": action == "4"}


def say(answer: str, thought: str = "hm") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message["role"], message_text(message)) for message in messages]


def test_opening_messages() -> None:
    chat = ChatEnv(Corridor())
    messages, info = chat.reset(seed=0, options={"cell": 2})
    assert [role for role, _ in texts(messages)] == ["system", "user"]
    assert texts(messages)[1] == ("user", "You are in cell 2.")
    rules = message_text(messages[0])
    assert rules.startswith("Reach cell 4.") and "<answer>" in rules and "up to 3 actions" in rules
    assert info == {"options": {"cell": 2}}
    brief = ChatEnv(Corridor(), instructions="brief")
    assert texts(brief.reset()[0]) == [("user", "You are in cell 0.")]
    single = ChatEnv(Corridor(), max_actions=1)
    assert "up to" not in message_text(single.reset()[0][0])


def test_one_answer_runs_several_steps_and_adds_their_rewards() -> None:
    chat = ChatEnv(Corridor())
    chat.reset()
    messages, reward, terminated, truncated, info = chat.step(say("right, RIGHT,Left"))
    assert texts(messages) == [("user", "You are in cell 1.")]
    assert reward == pytest.approx(-0.3 + 0.5)
    assert (terminated, truncated) == (False, False)
    assert info["actions"] == ["Right", "Right", "Left"] and info["native_steps"] == 3
    assert info["turn"] == 1 and info["success"] is False and info["stop_reason"] is None
    assert info["reply"].thought == "hm"
    assert set(info["reward_parts"]) == {"task", "format", "invalid"}


def test_an_episode_stops_in_the_middle_of_an_answer() -> None:
    chat = ChatEnv(Corridor())
    chat.reset(options={"cell": 3})
    messages, reward, terminated, truncated, info = chat.step(say("Right, Left, Left"))
    assert texts(messages) == [("user", "You are in cell 4.")]
    assert info["actions"] == ["Right"] and (terminated, truncated) == (True, False)
    assert reward == pytest.approx(0.9 + 0.5)
    assert info["success"] is True and info["stop_reason"] is StopReason.TASK_ENDED
    with pytest.raises(gym.error.ResetNeeded):
        chat.step(say("Left"))


@pytest.mark.parametrize(
    ("reply", "words", "parts"),
    [
        (say("Up"), '"Up" is not an action', {"task": 0.0, "format": 0.0, "invalid": -0.25}),
        (say("Left, Left, Left, Left"), "at most 3 actions", {"task": 0.0, "format": 0.0, "invalid": -0.25}),
        ("Right", "exactly once", {"task": 0.0, "format": 0.0, "invalid": -0.25}),
        ("", "exactly once", {"task": 0.0, "format": 0.0, "invalid": -0.25}),
    ],
)
def test_invalid_replies_take_no_step_and_cost_a_turn(reply: str, words: str, parts: dict[str, float]) -> None:
    world = Corridor()
    chat = ChatEnv(world, invalid_reward=-0.25)
    chat.reset(options={"cell": 2})
    messages, reward, terminated, truncated, info = chat.step(reply)
    first, second = message_text(messages[0]).split("\n")
    assert words in first and second == "You are in cell 2."
    assert world.steps == 0 and info["native_steps"] == 0 and info["actions"] == [] and info["turn"] == 1
    assert info["reward_parts"] == parts and reward == sum(parts.values())
    assert not terminated and not truncated and info["success"] is None


def test_limits() -> None:
    chat = ChatEnv(Corridor(), max_turns=2)
    chat.reset()
    assert chat.step("nonsense")[2:4] == (False, False)
    _, _, terminated, truncated, info = chat.step(say("Left"))
    assert (terminated, truncated, info["stop_reason"]) == (False, True, StopReason.TURN_LIMIT)
    chat = ChatEnv(Corridor(limit=2))
    chat.reset()
    _, _, terminated, truncated, info = chat.step(say("Left, Left, Left"))
    assert (terminated, truncated, info["stop_reason"]) == (False, True, StopReason.STEP_LIMIT)
    assert info["native_steps"] == 2


def test_the_end_of_the_task_wins_over_every_limit() -> None:
    chat = ChatEnv(Corridor(limit=1), max_turns=1)
    chat.reset(options={"cell": 3})
    _, _, terminated, truncated, info = chat.step(say("Right"))
    assert (terminated, truncated, info["stop_reason"]) == (True, False, StopReason.TASK_ENDED)
    chat.reset(options={"cell": 0})
    assert chat.step(say("Right"))[2:4] == (False, True)


@pytest.mark.parametrize(
    ("reply", "mode", "reward", "heard", "success"),
    [
        (say("4"), "additive", 1.5, "4", True),
        (say("4"), "gated", 1.5, "4", True),
        (say("5"), "additive", 0.5, "5", False),
        ("<answer>4</answer>", "additive", 1.0, "4", True),
        ("<answer>4</answer>", "gated", 0.0, "4", True),
        ("4", "additive", 0.0, "", False),
        ("<think>4 <answer>4</answer>", "additive", 0.0, "", False),
        (say("4" * 101), "additive", 0.5, "", False),
        (say(""), "additive", 0.0, "", False),
    ],
)
def test_worlds_of_text_grade_every_reply(reply: str, mode: Any, reward: float, heard: str, success: bool) -> None:
    world = Question()
    chat = ChatEnv(world, reward_mode=mode, invalid_reward=-7)
    chat.reset()
    _, total, terminated, truncated, info = chat.step(reply)
    assert total == reward and world.heard == [heard]
    assert (terminated, truncated) == (True, False)
    assert info["success"] is success and info["native_steps"] == 1 and info["reward_parts"]["invalid"] == 0


def test_worlds_of_text_that_cannot_take_an_empty_answer() -> None:
    chat = ChatEnv(Question(Text(3, charset="0123456789")))
    chat.reset()
    messages, _, terminated, _, info = chat.step(say("four"))
    assert not terminated and info["native_steps"] == 0
    assert 'The answer "four" is too long or holds characters not allowed.' in message_text(messages[0])
    assert chat.step(say("4"))[1:3] == (1.5, True)


def test_solution_is_cut_to_what_one_answer_may_hold() -> None:
    chat = ChatEnv(Corridor())
    chat.reset()
    solution = chat.solution()
    assert solution == Solution("4 cells to go", "Right, Right, Right")
    chat.step(chat.write_reply(solution.thought, solution.answer))
    solution = chat.solution()
    assert chat.step(chat.write_reply(solution.thought, solution.answer))[4]["success"] is True
    with pytest.raises(UserError, match="Question does not know its solution"):
        ChatEnv(Question()).solution()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"instructions": "long"}, "instructions must be one of full, brief"),
        ({"reply_format": "xml"}, "reply_format must be one of think_answer"),
        ({"reward_mode": "both"}, "reward_mode must be one of additive, gated"),
        ({"max_turns": 0}, "max_turns"),
        ({"max_actions": True}, "max_actions"),
        ({"spec": ChatSpec("x", ("a", "b", "c"))}, "3 action_names were given for the 2 actions"),
    ],
)
def test_bad_arguments(arguments: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ChatEnv(Corridor(), **arguments)


def test_bad_arguments_of_text_worlds_and_replies() -> None:
    with pytest.raises(UserError, match="max_actions must be 1"):
        ChatEnv(Question(), max_actions=2)
    with pytest.raises(UserError, match="action_names need a Discrete"):
        ChatEnv(Question(), spec=ChatSpec("x", ("a",)))
    chat = ChatEnv(Question())
    with pytest.raises(gym.error.ResetNeeded):
        chat.step("before reset")
    chat.reset()
    reply: Any = 4
    with pytest.raises(UserError, match="must be a string, not int"):
        chat.step(reply)
    with pytest.raises(UserError, match="cannot be spoken to"):
        ChatEnv(Question(Tuple((Discrete(2), Discrete(2)))))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_actions": 0}, "max_actions"),
        ({"action_names": ("Up", "up")}, "differ by more than their case"),
        ({"action_names": ("Up, fast", "x")}, "without commas"),
        ({"action_names": ("Up ", "x")}, "without commas or outer spaces"),
    ],
)
def test_bad_specs(arguments: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ChatSpec("x", **arguments)


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
@pytest.mark.parametrize(("id", "kwargs"), [("FrozenLake-v1", {"is_slippery": False}), ("CartPole-v1", {})])
def test_gymnasium_worlds_need_no_code(id: str, kwargs: dict[str, Any], render_mode: str | None) -> None:
    chat = make_chat(id, render_mode=render_mode, chat={"max_actions": 2}, **kwargs)
    messages, _ = chat.reset(seed=0)
    first, second = ("Right", "Left") if id == "CartPole-v1" else ("Left", "Up")
    assert id in message_text(messages[0]) and f"The actions are Left, {'Right' if first == 'Right' else 'Down'}" in (
        message_text(messages[0])
    )
    for _ in range(3):
        images = message_images(messages[-1])
        assert [image.ndim for image in images] == ([3] if render_mode else [])
        written = message_text(messages[-1])
        assert ("Observation: " in written) == (id == "CartPole-v1" or render_mode is None)
        messages, reward, terminated, truncated, info = chat.step(say(f"{first}, {second}"))
        assert messages in chat.observation_space and info["native_steps"] == 2
        assert reward == (2.5 if id == "CartPole-v1" else 0.5)
        assert not terminated and not truncated
    chat.close()


def test_pendulum_takes_numbers() -> None:
    chat = make_chat("Pendulum-v1")
    messages, _ = chat.reset(seed=0)
    assert "An action is a number, between -2 and 2." in message_text(messages[0])
    assert chat.step(say("-1.5"))[4]["actions"] == ["-1.5"]
    assert "outside of the allowed range" in message_text(chat.step(say("2.5"))[0][0])


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Discrete(3, start=1), "The actions are 1, 2, 3."),
        (Discrete(1000), "a whole number from 0 to 999"),
        (Box(-1, 1, (3,)), "3 numbers separated by commas, between -1 and 1."),
        (Box(np.array([0, -1]), np.array([1, 2]), dtype=np.float64), "between [0, -1] and [1, 2]"),
        (MultiDiscrete([3, 2]), "2 whole numbers separated by commas, between [0, 0] and [2, 1]"),
        (MultiBinary(2), "2 whole numbers separated by commas, between 0 and 1"),
    ],
)
def test_actions_are_described(space: Any, words: str) -> None:
    assert words in describe_actions(space)


def test_observations_are_described_by_their_space() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    space = Dict(view=Box(0, 255, picture.shape, np.uint8), mission=Utterance(50), energy=Box(0, 9, (2,)))
    observation = {"view": picture, "mission": "find the key", "energy": np.array([1.23456, 8], np.float32)}
    parts = describe_observation(observation, space, frame=np.ones((40, 40, 3), np.uint8))
    kinds = [part["text"] if part["type"] == "text" else part["image"].shape for part in parts]
    assert sorted(kinds, key=str) == sorted([picture.shape, "find the key\n", "energy: 1.235, 8\n"], key=str)
    gray = describe_observation(np.zeros((84, 84), np.uint8), Box(0, 255, (84, 84), np.uint8), None)
    assert gray[0]["type"] == "image" and gray[0]["image"].shape == (84, 84, 3)
    symbols = describe_observation(np.ones((7, 7), np.uint8), Box(0, 9, (7, 7), np.uint8), None)
    assert symbols[0]["type"] == "text" and symbols[0]["text"].count("\n") == 6


def test_long_observations_say_that_they_are_cut() -> None:
    assert write_value(np.zeros(1000)).endswith("(the first 512 of 1000 numbers)")
    assert write_value((np.float64(0.5), {"a": 3, "b": True})) == "0.5; a: 3; b: True"


@pytest.mark.parametrize("make", [gym.vector.SyncVectorEnv, gym.vector.AsyncVectorEnv], ids=["sync", "async"])
def test_chats_in_vector_environments(make: Any) -> None:
    envs = make([lambda: ChatEnv(Corridor(), max_turns=3)] * 2)
    try:
        chats, _ = envs.reset(seed=1)
        assert [message_text(chat[-1]) for chat in chats] == ["You are in cell 0."] * 2
        assert chats in envs.observation_space
        chats, rewards, terminated, truncated, infos = envs.step((say("Right, Right"), "bad"))
        assert [len(chat) for chat in chats] == [1, 1]
        assert message_text(chats[0][0]) == "You are in cell 2."
        np.testing.assert_allclose(rewards, [-0.2 + 0.5, 0])
        np.testing.assert_allclose(infos["reward_parts"]["format"], [0.5, 0])
        assert list(infos["actions"][0]) == ["Right", "Right"] and list(infos["native_steps"]) == [2, 0]
        *_, infos = envs.step((say("Right, Right"), "bad"))
        assert infos["stop_reason"][0] == StopReason.TASK_ENDED and infos["stop_reason"][1] is None
        envs.step(envs.action_space.sample())
    finally:
        envs.close()


def test_a_chat_is_pickled_in_the_middle_of_an_episode() -> None:
    chat = ChatEnv(Corridor(), max_turns=9)
    chat.reset(seed=3)
    chat.step(say("Right"))
    copy = pickle.loads(pickle.dumps(chat))
    for reply in (say("Right, Left"), "bad", say("Right, Right, Right")):
        assert data_equivalence(list(chat.step(reply)), list(copy.step(reply)), exact=True)


def test_a_chat_is_made_again_from_its_spec() -> None:
    chat = make_chat("CartPole-v1", chat={"max_turns": 4, "format_weight": 0.25})
    assert chat.spec is not None
    again: Any = gym.make(chat.spec)
    assert isinstance(again, ChatEnv) and again.max_turns == 4 and again.format_weight == 0.25


def test_make_chat_names_what_is_wrong() -> None:
    with pytest.raises(UserError, match="did you mean .*CartPole-v1"):
        make_chat("CartPol-v1")
    with pytest.raises(UserError, match="did you mean LMMR1/Sokoban-v0"):
        make_chat("lmmr1/sokoban-v0")
    with pytest.raises(UserError, match="unknown environment 'CartPole-v77'"):
        make_chat("CartPole-v77")
    with pytest.raises(UserError, match="cannot import the module 'no_such_module'"):
        make_chat("no_such_module:World-v0")
    with pytest.raises(UserError, match="unknown argument 'max_turn'; did you mean max_turns"):
        make_chat("CartPole-v1", chat={"max_turn": 3})
    with pytest.raises(UserError, match="CartPole-v1: .*'colour'"):
        make_chat("CartPole-v1", colour="red")


def test_environment_config_makes_its_environment() -> None:
    chat = EnvironmentConfig("CartPole-v1", {"sutton_barto_reward": True}, {"max_turns": 5}).make()
    assert chat.max_turns == 5
    assert EnvironmentConfig("CartPole-v1").weight == 1.0
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="CartPole-v1: weight"):
            EnvironmentConfig("CartPole-v1", weight=weight)
