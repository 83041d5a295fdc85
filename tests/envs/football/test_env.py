"""One player's environment: every observation and scenario, the same again, saved and copied, and what is refused."""

from __future__ import annotations

import pickle
import re
import sys
import types
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import lmmr1
from lmmr1.envs.errors import UserError
from lmmr1.envs.football.actions import ACTION_SETS
from lmmr1.envs.football.env import FootballEnv
from lmmr1.envs.football.observations import OBSERVATIONS
from lmmr1.envs.football.scenarios.scenario import PlayerStart, Scenario
from lmmr1.envs.football.scenarios.table import BUILT_IN, find_scenarios, magebench

pytestmark = pytest.mark.football_engine
ID = "LMMR1/Football-v0"
PLAIN = tuple(kind for kind in OBSERVATIONS if kind != "frame")


def make(**kwargs: Any) -> FootballEnv:
    env = gym.make(ID, **kwargs).unwrapped
    assert isinstance(env, FootballEnv)
    return env


def play(env: FootballEnv, seed: int, steps: int = 30) -> list[Any]:
    """Everything that random actions bring."""
    rng = np.random.default_rng(seed)
    said: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(int(rng.integers(len(env.seat.names)))))
        assert said[-1][0] in env.observation_space
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_gymnasium_finds_nothing_to_say_about_any_observation(observation: str) -> None:
    env = make(observation=observation, scenario="academy_3_vs_1_with_keeper", width=160)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", BUILT_IN)
def test_gymnasium_finds_nothing_to_say_about_any_scenario(name: str) -> None:
    env = make(observation="raw", scenario=name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
    env.close()


def test_each_of_the_108_scenarios_can_be_played() -> None:
    env = make(observation="raw", scenario="magebench", rewards="magebench")
    assert len(env.scenarios) == 108
    for place, scenario in enumerate(env.scenarios):
        observation, info = env.reset(seed=place)
        assert info["scenario"] == scenario.name and observation in env.observation_space
        ball = observation["ball"][:2]
        assert np.abs(ball - scenario.ball_position).max() < 0.03, scenario.name
        _, reward, terminated, _, info = env.step(0)
        assert not terminated and reward == info["magebench_score"] == 0.0
    env.close()


@pytest.mark.parametrize("observation", PLAIN)
def test_a_seed_gives_the_same_episode_and_another_one_another(observation: str) -> None:
    first = play(make(observation=observation, scenario="academy_3_vs_1_with_keeper"), 3)
    assert data_equivalence(first, play(make(observation=observation, scenario="academy_3_vs_1_with_keeper"), 3))
    assert not data_equivalence(first, play(make(observation=observation, scenario="academy_3_vs_1_with_keeper"), 4))


def test_pictures_and_workers_change_nothing_and_a_picture_is_the_states_alone() -> None:
    settings: dict[str, Any] = {"scenario": "academy_3_vs_1_with_keeper", "observation": "simple115", "width": 160}
    here = play(make(**settings), 6)
    away = make(**settings, worker=True)
    assert data_equivalence(here, play(away, 6))
    away.close()
    first = make(**settings, picture="frame", render_mode="rgb_array")
    said: list[Any] = [first.reset(seed=6)]
    rng = np.random.default_rng(6)
    pictures = {}
    for step in range(12):
        said.append(first.step(int(rng.integers(19))))
        if step in (0, 1, 11):
            pictures[step] = first.render()
            np.testing.assert_array_equal(first.render(), pictures[step])
    assert data_equivalence(here[:13], said)
    # Another way through the same states, with a picture of the last of them only.
    rng = np.random.default_rng(6)
    first.reset(seed=6)
    for _ in range(12):
        first.step(int(rng.integers(19)))
    np.testing.assert_array_equal(first.render(), pictures[11])
    assert pictures[11].shape == (90, 160, 3)
    red, green, blue = pictures[11].reshape(-1, 3).mean(0)
    assert 60 < pictures[11].mean() < 130 and green > red > blue, "the grass is not green"
    first.close()


@pytest.mark.parametrize("name", ["academy_3_vs_1_with_keeper", "11_vs_11_stochastic"])
def test_saved_copied_and_sent_matches_go_on_in_the_same_way(name: str) -> None:
    env = make(scenario=name, observation="simple115", rewards={"scoring": 1, "checkpoints": 0.5, "magebench": 0.1})
    env.reset(seed=5)
    actions = np.random.default_rng(1).integers(19, size=40).tolist()
    for action in actions[:6]:
        env.step(action)
    saved, copy = env.save(), pickle.loads(pickle.dumps(env))

    def go_on(env: FootballEnv) -> list[Any]:
        said = []
        for action in actions[6:]:
            said.append(env.step(action))
            if said[-1][2]:
                break
        return said

    first = go_on(env)
    env.restore(saved)
    assert data_equivalence(first, go_on(env), exact=True)
    assert data_equivalence(first, go_on(copy), exact=True)
    other = make(scenario=name, observation="simple115", rewards={"scoring": 1, "checkpoints": 0.5, "magebench": 0.1})
    other.reset(seed=99)
    other.restore(pickle.loads(pickle.dumps(saved)))
    assert data_equivalence(first, go_on(other), exact=True)
    if first[-1][2]:
        with pytest.raises(gym.error.ResetNeeded):
            env.step(0)


def test_a_closed_environment_goes_on_where_it_was() -> None:
    env, other = make(observation="simple115"), make(observation="simple115")
    for one in (env, other):
        one.reset(seed=2)
        one.step(5)
    env.close()
    env.close()
    assert data_equivalence(env.step(13), other.step(13), exact=True)


def test_rewards_add_up_by_weight() -> None:
    env = make(observation="simple115", rewards="scoring, checkpoints")
    env.reset(seed=0)
    total, terminated = 0.0, False
    info: dict[str, Any] = {}
    while not terminated:
        name = env.solution().answer.removeprefix("action_")
        _, reward, terminated, _, info = env.step(env.seat.names.index(name))
        assert reward == pytest.approx(sum(info["rewards"].values()))
        total += reward
    assert info["success"] and info["score"] == (1, 0) and total == pytest.approx(2.0)


def test_the_right_team_sees_the_match_from_its_own_side() -> None:
    env = lmmr1.football_parallel_env("academy_3_vs_1_with_keeper", left_players=1, right_players=1)
    env.reset(seed=0)
    left, right = env.match("left_0"), env.match("right_0")
    np.testing.assert_array_equal(left.ball[:2], -right.ball[:2])
    np.testing.assert_array_equal(left.left.positions, -right.right.positions)
    assert left.score == right.score[::-1]
    # An action is meant from the agent's own side: its lasting direction reads back as it was chosen.
    env.step({"left_0": 5, "right_0": 5})
    for agent in env.agents:
        assert env.match(agent).left_sticky[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert env.match().right_sticky[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_an_adapting_step_is_several_of_the_engine() -> None:
    env = make(scenario="academy_empty_goal", observation="simple115", macro="adapting")
    env.reset(seed=0)
    right = env.seat.names.index("right")
    steps = [env.step(right)[4]["engine_steps"] for _ in range(4)]
    assert steps == [1, 10, 10, 10]
    assert env.step(env.seat.names.index("sprint"))[4]["engine_steps"] == 1
    info: dict[str, Any] = {}
    terminated, total = False, 0.0
    while not terminated:
        shoots = env.state().ball[0] > 0.7
        _, reward, terminated, _, info = env.step(env.seat.names.index("shot") if shoots else right)
        total += reward
    assert info["success"] and total == 1.0 and info["engine_steps"] > 1


def test_max_steps_truncates() -> None:
    env = make(max_steps=3, observation="simple115")
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)


# ------------------------------------------------------------------------------------------------------- scenarios

DUEL = Scenario(
    "duel",
    (PlayerStart(-1.0, 0.0, "GK"), PlayerStart(0.0, 0.0, "CF")),
    (PlayerStart(-1.0, 0.0, "GK"), PlayerStart(-0.3, 0.1, "CB", lazy=True)),
    (0.02, 0.0),
    game_duration=50,
)


def test_a_scenario_of_ones_own() -> None:
    env = make(scenario=DUEL, observation="raw")
    seen, info = env.reset(seed=0)
    assert info["scenario"] == "duel" and seen["left_team"].shape == seen["right_team"].shape == (2, 2)
    np.testing.assert_allclose(seen["right_team"][1], (0.3, -0.1), atol=0.01)  # it was told from its own side
    module = types.ModuleType("my_scenarios")
    vars(module)["DUEL"] = DUEL
    sys.modules["my_scenarios"] = module
    try:
        assert make(scenario="my_scenarios:DUEL").scenarios == (DUEL,)
        with pytest.raises(UserError, match="the module my_scenarios has no NOPE"):
            make(scenario="my_scenarios:NOPE")
        with pytest.raises(UserError, match="must be a Scenario"):
            make(scenario="my_scenarios:__name__")
    finally:
        del sys.modules["my_scenarios"]
    with pytest.raises(UserError, match="cannot import my_scenarioz"):
        make(scenario="my_scenarioz:DUEL")


def test_the_match_ends_with_its_duration() -> None:
    env = make(scenario=DUEL, observation="simple115")
    env.reset(seed=0)
    steps, terminated, truncated = 0, False, False
    info: dict[str, Any] = {}
    while not terminated:
        _, _, terminated, truncated, info = env.step(env.seat.names.index("release_direction"))
        steps += 1
    assert not truncated and info["steps_left"] == 0 and 50 <= steps + 1 <= 52


def test_sets_are_played_in_the_order_of_the_seeds_and_by_option() -> None:
    env = make(scenario="academy", observation="simple115")
    names = [env.reset(seed=seed)[1]["scenario"] for seed in range(len(env.scenarios))]
    assert names == [scenario.name for scenario in env.scenarios] and len(set(names)) == 11
    assert env.reset(seed=0, options={"scenario": "1_vs_1_easy"})[1]["scenario"] == "1_vs_1_easy"
    assert len(find_scenarios("magebench_mini")) == 20
    assert find_scenarios("R5_P_2") == (magebench()["R5_P_2"],)


def test_lineups_are_swapped_by_the_seed() -> None:
    env = make(scenario="11_vs_11_stochastic", observation="raw")
    forward = {round(float(env.reset(seed=seed)[0]["left_team"][1][0]), 2) for seed in range(8)}
    assert len(forward) == 2, "the left team always has the same lineup"


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"scenario": "academy_empty_goal_clos"},
            "did you mean academy_empty_goal_close.*Choose from academy, magebench",
        ),
        ({"scenario": []}, "give a name, a Scenario, or a list"),
        ({"scenario": 3}, "give a name, a Scenario, or a list"),
        ({"observation": "picture"}, "observation is 'picture'; choose from view, frame, simple115, smm, raw, text"),
        ({"action_set": "v3"}, "action_set is 'v3'; choose from default, v2, full"),
        ({"rewards": "goals"}, "there is no reward 'goals'; choose from scoring, checkpoints, magebench"),
        ({"rewards": []}, "name at least one of"),
        ({"rewards": {"scoring": "much"}}, "the weight of scoring must be a number"),
        ({"macro": "long"}, "macro is 'long'; choose from none, adapting"),
        ({"width": 321}, "even number of pixels"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"deadline": 0}, "deadline is 0"),
        ({"picture": "3d"}, "picture is '3d'; choose from view, frame"),
        ({"scenario": ["5_vs_5", "11_vs_11_kaggle"], "observation": "raw"}, "teams of the same size"),
        (
            {"scenario": replace(DUEL, left_team=(PlayerStart(-1.0, 0.0, "GK", controllable=False),))},
            "has 0 left players",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_choices(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        lmmr1.make_chat(ID, **arguments)
    assert "\n" not in str(caught.value)


def test_wrong_steps_and_options_are_refused() -> None:
    env = make()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    with pytest.raises(UserError, match="call reset"):
        env.state()
    with pytest.raises(UserError, match="unknown option 'level'"):
        env.reset(options={"level": 1})
    env.reset(seed=0)
    for action in (19, -1):
        with pytest.raises(UserError, match="an integer from 0 to 18"):
            env.step(action)
    assert env.step(18)[3] is False


def test_every_set_of_actions_can_be_played() -> None:
    for action_set, names in ACTION_SETS.items():
        env = make(action_set=action_set, observation="raw", scenario="5_vs_5")
        env.reset(seed=0)
        for action in range(len(names)):
            assert env.step(action)[0] in env.observation_space
        env.close()


def test_the_blocks_of_the_page_run() -> None:
    page = (Path(__file__).parents[3] / "docs" / "football.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 2 and names["env"].reset(seed=0)[1]["scenario"] == "duel"
    for picture in re.findall(r"\]\((assets/[^)]+)\)", page):
        assert (Path(__file__).parents[3] / "docs" / picture).stat().st_size < 150_000


def test_every_scenario_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "football.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in BUILT_IN)
