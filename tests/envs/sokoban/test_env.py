"""Sokoban: rewards, pictures, the environment."""

from __future__ import annotations

import re
import sys

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.sokoban.env import SokobanEnv
from lmmr1.envs.sokoban.levels import parse_level
from lmmr1.envs.sokoban.pictures.tiles import load_tiles, render
from lmmr1.envs.sokoban.rules import MOVES, RewardTerms
from lmmr1.envs.sokoban.solving import moves_to_go

CORRIDOR = "#######\n#@ $ .#\n#######"
DEAD_END = "######\n#    #\n# @$ #\n#.   #\n######"  # Right puts the box at a wall for good


# ---- rewards


def test_a_box_off_its_target_costs():
    env = SokobanEnv(levels="#######\n#@* $.#\n#######", observation="grid")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(3)
    assert reward == pytest.approx(-1.1) and info["pushed"] and not terminated


def test_winning_on_the_last_step_terminates():
    env = SokobanEnv(levels=CORRIDOR, max_steps=3)
    env.reset(seed=0)
    for _ in range(2):
        _, reward, terminated, truncated, _ = env.step(3)
        assert not terminated and not truncated and reward == pytest.approx(-0.1)
    _, reward, terminated, truncated, info = env.step(3)
    assert (terminated, truncated, info["success"]) == (True, False, True)
    assert reward == pytest.approx(10.9)


def test_shaping_terms():
    terms = {"step": 0, "box_on_target": 0, "box_off_target": 0, "solved": 1, "closer": 0.5, "dead": -4, "blocked": -2}
    env = SokobanEnv(levels=DEAD_END, rewards=terms)
    _, info = env.reset(seed=0)
    assert info["dead"] is False
    for action in (0, 1):  # up and back
        before = moves_to_go(env.state())
        reward = env.step(action)[1]
        after = moves_to_go(env.state())
        assert before is not None and after is not None and abs(before - after) == 1
        assert reward == 0.5 * (before - after)
    env.step(0)
    assert env.step(0)[1] == -2.0  # a wall
    env.step(1)
    _, reward, terminated, _, info = env.step(3)
    assert (reward, info["dead"], terminated) == (-4.0, True, False)
    _, reward, _, _, info = env.step(2)
    assert (reward, info["dead"]) == (0.0, True)  # once only
    ending = SokobanEnv(levels=DEAD_END, end_when_dead=True)
    ending.reset(seed=0)
    _, reward, terminated, truncated, info = ending.step(3)
    assert (terminated, truncated, info["dead"], info["success"]) == (True, False, True, False)
    assert reward == pytest.approx(-0.1)


def test_dead_is_not_asked_for_nothing():
    env = SokobanEnv(levels=DEAD_END)
    env.reset(seed=0)
    assert env.step(3)[4]["dead"] is False


def test_unknown_reward_terms():
    with pytest.raises(UserError, match="unknown term 'closser'; did you mean 'closer'"):
        SokobanEnv(rewards={"closser": 1.0})  # codespell:ignore closser
    with pytest.raises(UserError, match="solved is 'ten'"):
        SokobanEnv(rewards={"solved": "ten"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="step is nan"):
        RewardTerms.from_mapping({"step": float("nan")})
    assert SokobanEnv(rewards=RewardTerms(solved=2.0)).rewards.solved == 2.0


# ---- pictures


@pytest.mark.parametrize("tile_size", [8, 11, 14, 16, 32])
def test_tiles_are_told_apart(tile_size):
    tiles = load_tiles(tile_size).astype(int)
    assert tiles.shape == (7, tile_size, tile_size, 3)
    for i in range(7):
        for j in range(i):
            differing = (np.abs(tiles[i] - tiles[j]).sum(axis=2) > 60).mean()
            assert differing > 0.06, (i, j)


def test_render_puts_tiles_in_their_places():
    level = parse_level("#######\n#@$. *#\n# $  .#\n#######")
    picture = render(level.grid(), 14)
    assert picture.shape == (56, 98, 3) and picture.dtype == np.uint8
    for (row, column), code in np.ndenumerate(level.grid()):
        tile = picture[row * 14 : (row + 1) * 14, column * 14 : (column + 1) * 14]
        assert (tile == load_tiles(14)[code]).all()


# ---- environment


def test_observations_are_not_overwritten():
    env = SokobanEnv(levels=CORRIDOR, observation="grid")
    before, _ = env.reset(seed=0)
    kept = before.copy()
    env.step(3)
    assert (before == kept).all()


def test_starting_from_a_level():
    env = SokobanEnv(dim_room=(6, 8), observation="grid", render_mode="ansi")
    grid, _ = env.reset(options={"level": CORRIDOR})
    assert grid.shape == (6, 8) and (grid[3:] == 0).all() and (grid[:, 7] == 0).all()
    assert env.solution().answer == "Right, Right, Right"
    assert str(env.render()).splitlines()[1] == "#@ $ .##"
    state = env.state()
    assert (env.reset(options={"level": state})[0] == grid).all()
    with pytest.raises(UserError, match="does not fit"):
        env.reset(options={"level": "#########\n#@ $   .#\n#########"})
    with pytest.raises(UserError, match="solved from the start"):
        env.reset(options={"level": "####\n#@*#\n####"})
    with pytest.raises(UserError, match="unknown option 'room'"):
        env.reset(options={"room": 3})
    with pytest.raises(UserError, match="is a int"):
        env.reset(options={"level": 3})


def test_solutions_solve():
    for action_set, first in (("moves4", ""), ("gym9", "Push ")):
        env = SokobanEnv((6, 6), 1, action_set=action_set, show_optimal_moves=True)
        with pytest.raises(UserError, match="no level yet"):
            env.solution()
        names = list(env.chat_spec.action_names or ())
        _, info = env.reset(seed=4)
        terminated = False
        while not terminated:
            solution = env.solution()
            action = solution.answer.split(", ")[0]
            assert action == info["optimal_moves"][0] and action.startswith(first)
            _, _, terminated, truncated, info = env.step(names.index(action))
            assert not truncated
        assert info["success"] and info["optimal_moves"] == ()
        with pytest.raises(UserError, match="solved"):
            env.solution()


def test_thoughts_say_where_everything_is():
    env = SokobanEnv(levels="######\n#    #\n# @  #\n# .$ #\n#    #\n######")
    env.reset(seed=0)
    assert env.solution().thought == "me22 box33 goal32"
    env = SokobanEnv(levels="########\n#@ $$..#\n#      #\n########")
    env.reset(seed=0)
    with pytest.raises(UserError, match="no solution"):
        env.solution()
    env = SokobanEnv(levels="#######\n#@ $ .#\n#  $ .#\n#     #\n#######")
    env.reset(seed=0)
    assert env.solution().thought == "me11 box13,23 goal15,25"
    env = SokobanEnv(levels="############\n#@       $.#\n############")
    env.reset(seed=0)
    assert env.solution().thought == "me1.1 box1.9 goal1.10"


def test_same_seed_same_levels():
    first, second = (SokobanEnv((6, 6), split="train", observation="grid") for _ in range(2))
    one = [first.reset(seed=5)[0].tobytes(), *(first.reset()[0].tobytes() for _ in range(10))]
    two = [second.reset(seed=5)[0].tobytes(), *(second.reset()[0].tobytes() for _ in range(10))]
    assert one == two and len(set(one)) > 5


def test_what_is_said():
    env = SokobanEnv((6, 6), tile_size=14)
    observation, info = env.reset(seed=0)
    assert observation.shape == (84, 84, 3)
    assert env.chat_spec.describe is not None
    image, text = env.chat_spec.describe(observation, info)
    assert image["type"] == "image" and (image["image"] == observation).all()
    assert text["type"] == "text" and text["text"] == "Your move?"
    assert env.chat_spec.action_names == MOVES and env.chat_spec.max_actions == 1
    env = SokobanEnv(levels=CORRIDOR, observation="grid")
    assert env.chat_spec.describe is not None
    (text,) = env.chat_spec.describe(*env.reset(seed=0))
    assert text["type"] == "text" and text["text"] == f"{CORRIDOR}\nYour move?"


def test_the_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pytest.importorskip("pygame")
    env = SokobanEnv(levels=CORRIDOR, render_mode="human")
    env.reset(seed=0)
    env.step(3)
    env.close()
    env.close()
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingExtraError, match=re.escape("lmmr1[games]")):
        env.reset()


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"observation": "tiny"}, "observation is 'tiny'"),
        ({"action_set": "moves5"}, "action_set is 'moves5'"),
        ({"render_mode": "video"}, "render_mode is 'video'"),
        ({"tile_size": 4}, "tile_size is 4"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"num_boxes": 40}, "free cells"),
        ({"levels": "####\n#@*#\n####"}, "solved from the start"),
    ],
)
def test_bad_arguments(kwargs, told):
    with pytest.raises(UserError, match=re.escape(told)):
        SokobanEnv(**kwargs)


def test_bad_actions():
    env = SokobanEnv(levels=CORRIDOR)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    for action in (-1, 4):
        with pytest.raises(UserError, match="there is no action"):
            env.step(action)
