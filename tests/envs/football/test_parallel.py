"""Two teams: PettingZoo's own checks, on the real engine, and what is refused."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils import parallel_to_aec

import lmmr1
from lmmr1 import ParallelChat
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.football.observations import OBSERVATIONS
from lmmr1.envs.messages import message_text

pytestmark = pytest.mark.football_engine
KINDS = tuple(kind for kind in OBSERVATIONS if kind != "frame")


@pytest.mark.parametrize("observation", KINDS)
def test_pettingzoo_finds_nothing_to_say(observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(lmmr1.football_parallel_env(observation=observation), num_cycles=150)


@pytest.mark.parametrize("seats", [(1, 0), (0, 1), (4, 2)])
def test_any_number_of_players_on_both_sides(seats: tuple[int, int]) -> None:
    env = lmmr1.football_parallel_env(
        "test_example_multiagent", left_players=seats[0], right_players=seats[1], observation="simple115"
    )
    assert len(env.possible_agents) == sum(seats)
    parallel_api_test(env, num_cycles=120)


def test_whole_elevens() -> None:
    env = lmmr1.football_parallel_env("11_vs_11_stochastic", 11, 11, observation="raw", max_steps=5)
    observations, _ = env.reset(seed=0)
    assert sorted(seen["active"] for seen in observations.values()) == sorted([*range(11)] * 2)
    ended: dict[str, bool] = {}
    while env.agents:
        observations, rewards, terminated, ended, _ = env.step({agent: 0 for agent in env.agents})
        assert all(observations[agent] in env.observation_space(agent) for agent in observations)
        assert not any(terminated.values()) and set(rewards.values()) == {0.0}
    assert len(ended) == 22 and all(ended.values())
    with pytest.raises(gym.error.ResetNeeded):
        env.step({})


def test_pettingzoo_finds_the_same_with_the_same_seed() -> None:
    parallel_seed_test(lambda: lmmr1.football_parallel_env(observation="simple115"), num_cycles=60)


def test_agents_one_after_the_other() -> None:
    api_test(parallel_to_aec(lmmr1.football_parallel_env(observation="smm")), num_cycles=200)


def test_one_goal_is_worth_one_to_each_of_a_team_and_the_opposite_to_the_others() -> None:
    env = lmmr1.football_parallel_env("academy_empty_goal_close", 1, 1, observation="simple115")
    env.reset(seed=0)
    paid: dict[str, Any] = {}
    infos: dict[str, Any] = {}
    from lmmr1.envs.football.expert import advise

    while env.agents:
        action = env.seats["left_0"].names.index(advise(env.match("left_0")).action)
        _, paid, _, _, infos = env.step({"left_0": action, "right_0": 0})
    assert paid == {"left_0": 1.0, "right_0": -1.0}
    assert infos["left_0"]["success"] and not infos["right_0"]["success"]
    assert infos["left_0"]["score"] == (1, 0) and infos["right_0"]["score"] == (0, 1)


def test_pictures_mark_the_agents_own_player() -> None:
    env = lmmr1.football_parallel_env(render_mode="rgb_array", width=320)
    observations, _ = env.reset(seed=0)
    pictures = [observations[agent] for agent in env.agents]
    assert all(picture.shape == (224, 320, 3) for picture in pictures)
    assert all(not np.array_equal(pictures[0], other) for other in pictures[1:])
    frame = env.render()
    assert isinstance(frame, np.ndarray) and frame.shape == (224, 320, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"left_players": 5}, "left_players is 5, but academy_3_vs_1_with_keeper has 4 left players.*from 0 to 4"),
        ({"right_players": 3}, "right_players is 3, but .* has 2 right players"),
        ({"left_players": -1}, "left_players is -1"),
        ({"left_players": 0, "right_players": 0}, "nobody is controlled"),
        ({"scenario": "5_vs_5", "left_players": 5}, "has 4 left players to control"),
        ({"observation": "frame"}, "observation is 'frame'.*simple115"),
        ({"render_mode": "human"}, "render_mode is 'human'; choose from"),
        ({"scenario": "nowhere"}, "there is no scenario 'nowhere'"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        lmmr1.football_parallel_env(**arguments)
    assert "\n" not in str(caught.value)


def test_every_agent_has_to_act() -> None:
    env = lmmr1.football_parallel_env(observation="simple115")
    env.reset(seed=0)
    with pytest.raises(UserError, match="there is none of left_1"):
        env.step({"left_0": 0})
    with pytest.raises(UserError, match="right_0: there is no action 19"):
        env.step({"left_0": 0, "left_1": 0, "left_2": 0, "right_0": 19})
    assert env.step({agent: 0 for agent in env.agents})[2] == dict.fromkeys(env.possible_agents, False)


def test_without_pettingzoo_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "lmmr1.envs.football.parallel", raising=False)
    with pytest.raises(MissingExtraError, match="games"):
        lmmr1.football_parallel_env()


# ---------------------------------------------------------------------------------------------------- spoken to


def test_agents_are_spoken_to() -> None:
    env = ParallelChat(lmmr1.football_parallel_env(left_players=2, right_players=1))
    chats, _ = env.reset(seed=0)
    for agent in env.agents:
        assert [message["role"] for message in chats[agent]] == ["system", "user"]
        assert chats[agent] in env.observation_space(agent)
    assert "#2 CM" in message_text(chats["left_0"][1]) and "#3 CM" in message_text(chats["left_1"][1])
    good = "<think>on</think><answer>action_right</answer>"
    chats, rewards, _, _, infos = env.step(
        {"left_0": good, "left_1": "nonsense", "right_0": good.replace("right", "fly")}
    )
    assert rewards == {"left_0": 0.5, "left_1": 0.0, "right_0": 0.0}
    assert [infos[agent]["actions"] for agent in env.possible_agents] == [["action_right"], [], []]
    assert '"action_fly" is not an action' in message_text(chats["right_0"][0])
    assert "On: action_right." in message_text(chats["left_0"][0])
    assert env.env.match("left_0").left_sticky[0][4] == 1
    with pytest.raises(UserError, match="left_1 gave none"):
        env.step({"left_0": good})


def test_pettingzoo_finds_nothing_to_say_about_conversations() -> None:
    parallel_api_test(ParallelChat(lmmr1.football_parallel_env(observation="text")), num_cycles=60)
    with pytest.raises(UserError, match="reply_format must be one of"):
        ParallelChat(lmmr1.football_parallel_env(), reply_format="xml")
