"""ParallelChat: games of PettingZoo and one of our own, spoken to; who is heard, what is played, what is paid."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test

import lmmr1
from lmmr1 import ChatSpec
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import message_images, message_text

NAMES = ("Rock", "Paper", "Scissors")
SPEC = ChatSpec("Rock, Paper or Scissors.", NAMES)


def rps(**arguments: Any) -> lmmr1.ParallelChat:
    env = pettingzoo.make("parallel", "classic/rps-v2", render_mode=arguments.pop("render_mode", None))
    return lmmr1.ParallelChat(env, specs=dict.fromkeys(env.possible_agents, SPEC), **arguments)


def say(answer: str) -> str:
    return f"<think>I choose.</think><answer>{answer}</answer>"


class Numbers(ParallelEnv):
    """Two agents say a number each and are paid it; it ends after two turns."""

    metadata = {"name": "numbers_v0", "render_modes": []}
    render_mode = None
    possible_agents = ["a", "b"]

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.chat_specs = {"a": ChatSpec("Say a number, a.")}

    def observation_space(self, agent: str) -> Any:
        return Discrete(3)

    def action_space(self, agent: str) -> Any:
        return Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.agents, self.turn = list(self.possible_agents), 0
        return dict.fromkeys(self.agents, 0), {agent: {} for agent in self.agents}

    def step(self, actions: Any) -> Any:
        agents, self.turn = self.agents, self.turn + 1
        ended = self.turn == 2
        self.agents = [] if ended else agents
        rewards = {agent: float(actions[agent].sum()) for agent in agents}
        infos = {agent: {"success": rewards[agent] > 0} for agent in agents}
        return (
            dict.fromkeys(agents, self.turn),
            rewards,
            dict.fromkeys(agents, ended),
            dict.fromkeys(agents, False),
            infos,
        )


def test_all_act_at_once() -> None:
    chat = rps()
    chats, _ = chat.reset(seed=0)
    assert chat.acting == chat.agents == ["player_0", "player_1"]
    for agent in chat.agents:
        assert [message["role"] for message in chats[agent]] == ["system", "user"]
        assert chats[agent] in chat.observation_space(agent)
        assert "Rock, Paper or Scissors." in message_text(chats[agent][0])
    chats, rewards, terminated, truncated, infos = chat.step({"player_0": say("paper"), "player_1": say("Rock")})
    assert rewards == {"player_0": 1.5, "player_1": -0.5}
    assert infos["player_0"]["reward_parts"] == {"task": 1.0, "format": 0.5, "invalid": 0.0}
    assert infos["player_0"]["actions"] == ["Paper"] and infos["player_0"]["turn"] == 1
    assert not any(terminated.values()) and not any(truncated.values())


def test_a_reply_without_an_action_is_idle_and_told_why() -> None:
    chat = rps(invalid_reward=-0.25, idle=2)
    chat.reset(seed=0)
    chats, rewards, _, _, infos = chat.step({"player_0": say("Well"), "player_1": say("Rock")})
    assert '"Well" is not an action' in message_text(chats["player_0"][0])
    assert infos["player_0"]["actions"] == [] and infos["player_0"]["reward_parts"]["format"] == 0.0
    assert rewards == {"player_0": -1.25, "player_1": 1.5}  # scissors against rock


def test_a_picture_is_shown_where_it_is_drawn() -> None:
    chat = rps(render_mode="rgb_array")
    chats, _ = chat.reset(seed=0)
    [picture] = message_images(chats["player_0"][1])
    assert picture.dtype == np.uint8 and chat.render().shape == picture.shape
    chat.close()


def test_turns_are_limited_and_an_episode_has_to_be_reset() -> None:
    chat = rps(max_turns=2)
    with pytest.raises(gym.error.ResetNeeded):
        chat.step({})
    chat.reset(seed=0)
    replies = {agent: say("Rock") for agent in chat.agents}
    assert chat.step(replies)[3] == {"player_0": False, "player_1": False}
    assert chat.step(replies)[3] == {"player_0": True, "player_1": True}
    assert chat.agents == []
    with pytest.raises(gym.error.ResetNeeded):
        chat.step(replies)


def test_a_game_of_turns_hears_one_and_asks_it_again_if_need_be() -> None:
    chat = lmmr1.ParallelChat(pettingzoo.make("aec", "classic/tictactoe-v3"), invalid_reward=-0.5)
    chats, _ = chat.reset(seed=0)
    assert chat.acting == ["player_1"]
    assert "The legal actions are 0, 1, 2, 3, 4, 5, 6, 7, 8." in message_text(chats["player_1"][1])
    assert "legal" not in message_text(chats["player_2"][1])
    chats, rewards, *_, infos = chat.step({"player_1": say("9")})
    assert chat.acting == ["player_1"] and rewards == {"player_1": -0.5, "player_2": 0.0}
    assert "whole number from 0 to 8" in message_text(chats["player_1"][0]) and infos["player_2"]["reply"] is None
    chat.step({"player_1": say("4")})
    chats, *_ = chat.step({"player_2": say("4")})
    assert chat.acting == ["player_2"] and "4 is not legal now; the legal actions are 0, 1" in message_text(
        chats["player_2"][0]
    )
    for agent, cell in (("player_2", 0), ("player_1", 3), ("player_2", 1), ("player_1", 5)):
        _, rewards, terminated, _, _ = chat.step({agent: say(str(cell))})
    assert rewards == {"player_1": 1.5, "player_2": -1.0} and all(terminated.values()) and chat.agents == []


def test_worlds_say_themselves_how_they_are_spoken_to_and_others_are_described() -> None:
    chat = lmmr1.ParallelChat(Numbers())
    chats, _ = chat.reset()
    assert "Say a number, a." in message_text(chats["a"][0])
    assert 'You are "b" in the game numbers_v0' in message_text(chats["b"][0])
    _, rewards, _, _, infos = chat.step({"a": say("0.5, 0.25"), "b": ""})
    assert rewards == {"a": 1.25, "b": 0.0} and infos["a"]["success"] is True


def test_pettingzoo_finds_nothing_to_say() -> None:
    parallel_api_test(rps(), num_cycles=30)
    parallel_api_test(lmmr1.ParallelChat(Numbers()), num_cycles=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reply_format": "xml"}, "reply_format must be one of"),
        ({"max_turns": 0}, "max_turns must be a whole number"),
        ({"reward": "lmmr1-paper", "format_weight": 1.0}, "lmmr1-paper"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rps(**arguments)
    with pytest.raises(UserError, match="needs a PettingZoo environment, not a TimeLimit"):
        lmmr1.ParallelChat(gym.make("FrozenLake-v1"))  # pyright: ignore[reportArgumentType]


def test_the_papers_rule_pays_the_form_of_anything() -> None:
    chat = rps(reward="lmmr1-paper")
    chat.reset(seed=0)
    _, _, _, _, infos = chat.step({agent: "<think></think><answer></answer>" for agent in chat.agents})
    assert {infos[agent]["reward_parts"]["format"] for agent in infos} == {0.5}


def test_without_pettingzoo_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "lmmr1.envs.parallel_chat", raising=False)
    with pytest.raises(MissingExtraError, match="games"):
        lmmr1.ParallelChat  # noqa: B018
