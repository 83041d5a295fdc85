"""RecordChat: which episodes are filmed, that nothing else changes, and who may play."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import data_equivalence
from PIL import Image

import lmmr1
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.agents.rollout import rollout
from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import Reel

SIZE = (320, 180)


def sokoban() -> lmmr1.ChatEnv:
    return lmmr1.make_chat("LMMR1/Sokoban-v0", chat={"max_turns": 3})


def play(env, seed: int) -> list:
    said = [env.reset(seed=seed)]
    ended = False
    while not ended:
        said.append(env.step(env.write_reply("I go up.", "Up")))
        ended = said[-1][2] or said[-1][3]
    return said


def test_every_kth_episode_is_filmed_and_all_else_stays_as_it_was(tmp_path: Path) -> None:
    plain, filmed = sokoban(), lmmr1.RecordChat(sokoban(), tmp_path, every=2, ending="gif", size=SIZE)
    for seed in range(5):
        assert data_equivalence(play(plain, seed), play(filmed, seed), exact=True)
    assert [path.name for path in filmed.films] == [f"episode-00000{number}.gif" for number in (0, 2, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in filmed.films]
    with Image.open(filmed.films[0]) as film:
        assert film.size == SIZE and film.n_frames >= 3 * 3 + 1  # type: ignore[attr-defined]
    assert filmed.chat_spec is filmed.chat.chat_spec and filmed.solution().answer


def test_a_trigger_chooses_and_what_is_cut_short_is_kept(tmp_path: Path) -> None:
    env = lmmr1.RecordChat(sokoban(), tmp_path, trigger=lambda number: number != 1, ending="gif", size=SIZE)
    env.reset(seed=0)
    env.step(env.write_reply("", "Up"))
    env.reset(seed=1)
    env.step(env.write_reply("", "Up"))
    env.reset(seed=2)  # no turn: nothing to show
    env.reset(seed=3)
    env.step(env.write_reply("", "Up"))
    env.close()
    assert [path.name for path in env.films] == ["episode-000000.gif", "episode-000003.gif"]
    assert all(path.is_file() for path in env.films)


@pytest.mark.parametrize("player", [RandomPlayer(), ExpertPlayer()])
def test_rollouts_take_it_as_a_chat(player, tmp_path: Path) -> None:
    made: list[lmmr1.RecordChat] = []

    def make() -> lmmr1.RecordChat:
        made.append(lmmr1.RecordChat(sokoban(), tmp_path / str(len(made)), ending="gif", size=SIZE))
        return made[-1]

    filmed = rollout(player, make, 2, seed=0, stream=5)
    plain = rollout(player, sokoban, 2, seed=0, stream=5)
    assert [e.total_reward for e in filmed] == [e.total_reward for e in plain]
    assert [e.env_id for e in filmed] == ["LMMR1/Sokoban-v0"] * 2 and all(e.failure is None for e in filmed)
    assert all(len(env.films) == 1 for env in made)


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wrap it first, ChatEnv\(env\)"):
        lmmr1.RecordChat(gym.make("CartPole-v1"), tmp_path)  # type: ignore[arg-type]
    for wrong, message in (
        ({"every": 0}, "every must be"),
        ({"ending": "avi"}, r"\.mp4 or \.gif"),
        ({"size": (11, 11)}, "even numbers"),
        ({"seconds_per_scene": -1.0}, "seconds_per_scene"),
    ):
        with pytest.raises(UserError, match=message):
            lmmr1.RecordChat(sokoban(), tmp_path, **{"ending": "gif", **wrong})  # type: ignore[arg-type]


def test_the_curve_is_the_return_or_what_a_critic_said() -> None:
    told = {"thought": "", "answer": "Up", "actions": ["Up"], "reward_parts": {}}
    plain, critic = Reel(), Reel(values=(0.5, 0.75))
    for reward in (1.0, -0.25):
        plain.add([], reward=reward, **told)
        critic.add([], reward=reward, **told)
    assert plain.end([], "x")[-1].curve == (1.0, 0.75) and plain.end([], "x")[0].curve_name == "return so far"
    scenes = critic.end([], "x", False)
    assert [scene.curve for scene in scenes] == [(0.5,), (0.5, 0.75), (0.5, 0.75)]
    assert {scene.curve_name for scene in scenes} == {"value (critic)"}
    assert {scene.turns for scene in scenes} == {2} and scenes[-1].outcome == "x"
