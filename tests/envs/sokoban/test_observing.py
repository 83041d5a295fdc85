"""What is seen of a board, in every kind and configuration; the named configurations and what they say."""

from __future__ import annotations

import hashlib
import itertools
import json
import pickle
import re
import subprocess
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from lmmr1.envs.chat import make_chat
from lmmr1.envs.errors import UserError
from lmmr1.envs.sokoban import SokobanEnv
from lmmr1.envs.sokoban.observing import OBSERVATIONS
from lmmr1.envs.sokoban.pictures.text import TEXT_FORMATS
from lmmr1.envs.sokoban.pictures.tiles import TINY_COLOURS, load_tiles, render
from lmmr1.envs.sokoban.speech.presets import GAMES, PRESETS, TASKS, preset
from lmmr1.envs.sokoban.speech.prompts import PROMPTS

# Every code but a player on plain floor is on it.
ALL = "#######\n#+$. *#\n# $   #\n#######"
CONFIGURATIONS: list[dict[str, Any]] = [
    {"observation": observation, "action_set": action_set, "generation": generation, "tile_size": 8}
    for observation, action_set, generation in itertools.product(
        OBSERVATIONS, ("moves4", "gym9"), ("scatter", "compat", "ragen", "vagen", "fast")
    )
]
CONFIGURATIONS += [
    {"rewards": {"closer": 1.0, "dead": -1.0, "potential": 1.0}, "end_when_dead": True, "tile_size": 8},
    {"show_optimal_moves": True, "show_regret": True, "show_score": True, "num_boxes": 2, "tile_size": 8},
    {"levels": ALL}, {"pool": 5, "tile_size": 11}, {"split": "test", "min_moves": 3, "max_moves": 9},
]  # fmt: skip
CONFIGURATIONS += [{"observation": "text", "text_format": name} for name in TEXT_FORMATS]
CONFIGURATIONS += [{"prompt": prompt, "tile_size": 8} for prompt in PROMPTS]


@pytest.mark.parametrize("arguments", CONFIGURATIONS, ids=str)
def test_gymnasium_finds_nothing_to_say(arguments) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("LMMR1/Sokoban-v0", disable_env_checker=True, **arguments).unwrapped)


def test_kinds_of_observation() -> None:
    seen = {}
    for observation in OBSERVATIONS:
        env = SokobanEnv(levels=ALL, observation=observation, tile_size=8)
        seen[observation], _ = env.reset(seed=0)
        assert seen[observation] in env.observation_space
    grid = seen["grid"]
    assert set(grid.ravel().tolist()) == {0, 1, 2, 3, 4, 6}
    np.testing.assert_array_equal(seen["tiny_rgb"], np.array(TINY_COLOURS, np.uint8)[grid])
    np.testing.assert_array_equal(seen["rgb"], render(grid, 8))
    assert seen["text"] == ALL
    texts = {}
    for name in TEXT_FORMATS:
        texts[name] = SokobanEnv(levels=ALL, observation="text", text_format=name).reset(seed=0)[0]
    assert texts["ragen"] == "#######\n#SXO_\u221a#\n#_X___#\n#######"
    assert texts["vagen"].split("\n")[1] == " # \t S \t X \t O \t _ \t \u221a \t # \t"


@pytest.mark.parametrize("observation", ["rgb", "tiny_rgb"])
def test_pictures_drawn_where_the_board_changed_are_those_drawn_anew(observation) -> None:
    kinds = {"levels": None, "generation": "fast", "num_boxes": 3, "tile_size": 8, "max_steps": 30}
    env = SokobanEnv(observation=observation, **kinds)
    grid = SokobanEnv(observation="grid", **kinds)
    rng = np.random.default_rng(0)
    for seed in range(8):
        picture, board = env.reset(seed=seed)[0], grid.reset(seed=seed)[0]
        over = False
        while not over:
            expected = render(board, 8) if observation == "rgb" else np.array(TINY_COLOURS, np.uint8)[board]
            np.testing.assert_array_equal(picture, expected)
            action = int(rng.integers(4))
            picture, _, terminated, truncated, _ = env.step(action)
            board = grid.step(action)[0]
            over = terminated or truncated


@pytest.mark.parametrize("tile_size", [8, 12, 16, 24, 36, 48])
def test_tiles_are_told_apart_at_every_size(tile_size) -> None:
    tiles = load_tiles(tile_size).astype(int)
    for one, two in itertools.combinations(tiles, 2):
        assert (np.abs(one - two).sum(axis=2) > 60).mean() > 0.06


@pytest.mark.parametrize("arguments", [{"observation": kind, "tile_size": 8} for kind in OBSERVATIONS], ids=str)
def test_copies_go_their_own_ways(arguments) -> None:
    env = SokobanEnv((6, 6), 1, show_optimal_moves=True, generation="compat", **arguments)
    env.reset(seed=1)
    for copy in (deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin = deepcopy(env)
        for action in (0, 3, 1, 2, 0, 0):
            assert data_equivalence(copy.step(action), twin.step(action), exact=True)
        assert data_equivalence(copy.reset(), twin.reset(), exact=True)
    before = env.state()
    copy = deepcopy(env)
    for action in range(4):
        copy.step(action)
    assert env.state() == before


def trajectory(number: int) -> str:
    """A digest of forty steps of a configuration."""
    env = SokobanEnv(**CONFIGURATIONS[number])
    rng, digest = np.random.default_rng(3), hashlib.sha256()
    said: Any = env.reset(seed=9)
    for _ in range(40):
        shown = said[0] if isinstance(said[0], str) else said[0].tobytes()
        digest.update(repr((shown, *said[1:])).encode())
        said = env.step(rng.integers(env.action_space.n))  # pyright: ignore[reportAttributeAccessIssue]
        if said[2] or said[3]:
            said = env.reset()
    return digest.hexdigest()


def test_another_process_says_the_same() -> None:
    code = (
        "import json\nfrom tests.envs.sokoban.test_observing import CONFIGURATIONS, trajectory\n"
        "print(json.dumps([trajectory(number) for number in range(len(CONFIGURATIONS))]))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert json.loads(done.stdout) == [trajectory(number) for number in range(len(CONFIGURATIONS))]


@pytest.mark.parametrize("name", PRESETS)
def test_the_expert_masters_every_named_configuration(name) -> None:
    chat = preset(name).make()
    for seed in (0, 1):
        _, info = chat.reset(seed=seed)
        if name in GAMES:
            world: Any = chat.env.unwrapped
            names = world.chat_spec.action_names
            *_, last = [world.step(names.index(action)) for action in world.solution().answer.split(", ")]
            assert last[2] and last[4]["success"]
            continue
        over, turns = False, 0
        while not over:
            solution = chat.solution()
            _, _, over, truncated, info = chat.step(chat.write_reply(solution.thought, solution.answer))
            turns += 1
            assert not truncated
        assert info["success"] and (turns == 1 or name not in ("lmm-r1", "magebench-global"))
        if name.startswith("magebench"):
            assert info["score"] == pytest.approx(100.0)


def test_named_configurations() -> None:
    assert {len(GAMES), len(TASKS)} == {8, 6} and set(PRESETS) == set(GAMES) | set(TASKS)
    world: Any = preset("huge-v0").make().env.unwrapped
    assert (world.rows, world.columns, world.max_steps, world.action_space.n) == (13, 13, 300, 9)
    assert preset("v0", observation="grid").kwargs["observation"] == "grid"
    assert "observation" not in PRESETS["v0"].kwargs
    with pytest.raises(UserError, match="no preset 'magebench'.*; did you mean 'magebench-"):
        preset("magebench")
    chat = preset("lmm-r1").make()
    messages, _ = chat.reset(seed=0)
    said = json.dumps(messages[0]["content"])
    assert "plan the whole game" in said and "Left, Right, Up and Down" in said and "<think>" in said
    _, reward, _, truncated, info = chat.step("no form at all")
    assert truncated and reward == 0.0 and not info["success"]
    said = json.dumps(preset("magebench-online").make().reset(seed=0)[0][0]["content"])
    assert "move by move" in said and "up to" not in said


def test_the_pages_code_runs() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "sokoban.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/sokoban.md", "exec"), {})


def test_any_number_of_moves_a_turn() -> None:
    chat = make_chat(
        "LMMR1/Sokoban-v0", chat={"max_actions": 4}, levels="#########\n#@  $  .#\n#########", observation="text"
    )
    chat.reset(seed=0)
    _, _, over, _, info = chat.step("<think>on</think><answer>Right, right,RIGHT</answer>")
    assert info["native_steps"] == 3 and not over
    _, _, over, _, info = chat.step("<think>on</think><answer>Right, Right, Left</answer>")
    assert over and info["native_steps"] == 2 and info["success"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"text_format": "ascii"}, "text_format is 'ascii'; choose from xsb, ragen, vagen"),
        ({"prompt": "short"}, "prompt is 'short'; choose from plain, lmm-r1"),
        ({"prompt": "lmm-r1", "action_set": "gym9"}, 'use action_set="moves4"'),
    ],
)
def test_bad_arguments(arguments, told) -> None:
    with pytest.raises(UserError, match=told):
        SokobanEnv(**arguments)


def test_actions_outside_the_space() -> None:
    env = SokobanEnv()
    env.reset(seed=0)
    for action in (4, -1, 1.5, None, "Up", np.int64(7), np.array([1])):
        with pytest.raises(UserError, match="there is no action .*: give an integer from 0 to 3"):
            env.step(action)  # pyright: ignore[reportArgumentType]
    env.step(np.int64(3))
    env.step(np.uint8(2))
