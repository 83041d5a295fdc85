"""Many boards at once: both engines beside Gymnasium's own vector environment of single ones, bit by bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import lmmr1  # noqa: F401
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.sokoban import SokobanEnv, generate
from lmmr1.envs.sokoban.vector import env as vector_env
from lmmr1.envs.sokoban.vector.env import SokobanVectorEnv

ROOM: dict[str, Any] = {"dim_room": (6, 7), "num_boxes": 1, "max_steps": 20}
WON = "#####\n#@$.#\n#####\n\n#####\n#.$@#\n#####"


def assert_same(first: Any, second: Any) -> None:
    """Equal in every type, shape, dtype and bit; object arrays element by element."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, tuple):
        assert len(first) == len(second)
        for one, two in zip(first, second, strict=True):
            assert_same(one, two)
    elif isinstance(first, np.ndarray):
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        if first.dtype == object:
            assert_same(tuple(first), tuple(second))
        else:
            np.testing.assert_array_equal(first, second)
    else:
        assert first == second


def play_both(one: Any, two: Any, steps: int, seed: int = 3, at: int | None = None) -> dict[str, int]:
    """Compares what both say to the same actions. ``at``: the step before which both are reset without seed."""
    number = one.num_envs
    assert_same(one.reset(seed=seed), two.reset(seed=seed))
    rng = np.random.default_rng(0)
    seen = {"won": 0, "lost": 0, "final": 0}
    over = np.zeros(number, np.bool_)
    for step in range(steps):
        if step == at:
            assert_same(one.reset(), two.reset())
            over[:] = False
        if one.metadata["autoreset_mode"] is AutoresetMode.DISABLED and over.any():
            assert_same(one.reset(options={"reset_mask": over.copy()}), two.reset(options={"reset_mask": over.copy()}))
        actions = rng.integers(one.single_action_space.n, size=number)
        first, second = one.step(actions), two.step(actions)
        assert_same(first, second)
        assert second[0] in two.observation_space
        over = first[2] | first[3]
        seen["won"] += int(first[2].sum())
        seen["lost"] += int(first[3].sum())
        seen["final"] += int(first[4].get("_final_obs", np.zeros(1)).sum())
    return seen


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    ("observation", "tile_size"), [("grid", 16), ("rgb", 8), ("rgb", 11), ("tiny_rgb", 16)], ids=str
)
@pytest.mark.parametrize("levels", [{"pool": 20}, {"generation": "fast"}, {"inner_walls": 3}], ids=str)
def test_they_say_what_single_ones_say(engine, mode, observation, tile_size, levels) -> None:
    action_set = "gym9" if tile_size == 16 else "moves4"
    arguments = {**ROOM, **levels, "observation": observation, "tile_size": tile_size, "action_set": action_set}
    singles = SyncVectorEnv([lambda: SokobanEnv(**arguments)] * 5, autoreset_mode=mode)
    boards = SokobanVectorEnv(5, autoreset_mode=mode, engine=engine, **arguments)
    seen = play_both(singles, boards, 90, at=40)
    assert seen["lost"] > 5
    assert (seen["final"] > 5) == (mode is AutoresetMode.SAME_STEP)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_wins_and_rewards(engine, mode) -> None:
    rewards = {"step": -0.3, "box_on_target": 0.7, "box_off_target": -0.9, "solved": 3.1, "blocked": -0.05}
    level = "######\n#@$ .#\n# $. #\n######"
    arguments = {"levels": f"{WON}\n\n{level}", "observation": "grid", "rewards": rewards, "max_steps": 9}
    singles = SyncVectorEnv([lambda: SokobanEnv(**arguments)] * 40, autoreset_mode=mode)
    seen = play_both(singles, SokobanVectorEnv(40, autoreset_mode=mode, engine=engine, **arguments), 200)
    assert seen["won"] > 200 and seen["lost"] > 100


@pytest.mark.parametrize(
    "arguments",
    [
        {"rewards": {"closer": 1.0, "dead": -3.0}},
        {"rewards": {"potential": 1.0, "discount": 0.9}},
        {"end_when_dead": True},
        {"show_optimal_moves": True, "show_regret": True, "show_score": True},
        {"observation": "text", "text_format": "vagen"},
    ],
    ids=str,
)
def test_what_asks_the_solver_is_played_one_by_one(arguments) -> None:
    arguments = {"observation": "grid", **ROOM, **arguments}
    boards = SokobanVectorEnv(3, **arguments)
    assert boards.engine == "single"
    play_both(SyncVectorEnv([lambda: SokobanEnv(**arguments)] * 3), boards, 40)
    for engine in ("numpy", "numba"):
        with pytest.raises(UserError, match="neither asks the solver nor writes text"):
            SokobanVectorEnv(3, engine=engine, **arguments)


def test_one_and_many_boards() -> None:
    for number in (1, 333):
        arguments = {**ROOM, "pool": 50, "observation": "grid"}
        engines = [SokobanVectorEnv(number, engine=engine, **arguments) for engine in ("numpy", "numba")]
        play_both(*engines, steps=60)


def test_make_vec_and_its_engine(monkeypatch) -> None:
    envs: Any = gym.make_vec("LMMR1/Sokoban-v0", num_envs=4, observation="grid")
    assert isinstance(envs, SokobanVectorEnv) and envs.engine == "numba"  # the tests' environment has it
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP and envs.num_envs == 4
    monkeypatch.setattr(vector_env, "has_numba", lambda: False)
    assert SokobanVectorEnv(2, observation="grid").engine == "numpy"
    monkeypatch.setattr("lmmr1.envs.compiling.kernel.has_numba", lambda: False)
    with pytest.raises(MissingExtraError, match="lmmr1\\[fast\\]"):
        SokobanVectorEnv(2, engine="numba")


@pytest.mark.parametrize("engine", ["numpy", "numba", "single"])
def test_what_is_returned_is_the_callers_to_keep(engine) -> None:
    for observation in ("grid", "rgb", "tiny_rgb"):
        envs = SokobanVectorEnv(4, engine=engine, observation=observation, tile_size=8, pool=9, **ROOM)
        kept = [envs.reset(seed=0)[0]]
        copies = [kept[0].copy()]
        for _ in range(30):
            observations, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
            for array in (observations, rewards, terminated, truncated, infos["moved"]):
                kept.append(array)
                copies.append(array.copy())
        for array, copy in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_in_place(engine) -> None:
    arguments = {**ROOM, "observation": "rgb", "tile_size": 8, "pool": 20, "engine": engine}
    copied, in_place = SokobanVectorEnv(6, **arguments), SokobanVectorEnv(6, copy=False, **arguments)
    first, _ = in_place.reset(seed=1)
    assert (first == copied.reset(seed=1)[0]).all()
    for _ in range(60):
        actions = in_place.action_space.sample()
        assert_same(in_place.step(actions), copied.step(actions))
        assert in_place.memory.pictures is first
    # The pictures, drawn where the boards changed, are those drawn from nothing.
    np.testing.assert_array_equal(
        first, np.stack([in_place.memory.observation_of(b.ravel()) for b in in_place.memory.boards])
    )


def test_seeds() -> None:
    envs = SokobanVectorEnv(3, observation="grid", pool=40, **ROOM)
    together, _ = envs.reset(seed=5)
    one_by_one, _ = envs.reset(seed=[5, 6, 7])
    assert (together == one_by_one).all()
    assert (SokobanEnv(observation="grid", pool=40, **ROOM).reset(seed=6)[0] == together[1]).all()
    assert (envs.reset(seed=5)[0] == together).all() and not (envs.reset()[0] == together).all()
    assert not (SokobanVectorEnv(3, observation="grid", pool=40, **ROOM).reset()[0] == together).all()
    with pytest.raises(UserError, match="2 seeds for 3 boards"):
        envs.reset(seed=[1, 2])


def test_options_of_reset() -> None:
    for engine in ("numpy", "numba"):
        envs = SokobanVectorEnv(2, observation="grid", engine=engine, render_mode="ansi", **ROOM)
        envs.reset(seed=0, options={"level": "#######\n#@ $ .#\n#######"})
        assert all(text.splitlines()[1] == "#@ $ .#" for text in envs.render())
        for _ in range(2):
            envs.step(np.array([3, 2]))
        *_, terminated, _, infos = envs.step(np.array([3, 2]))
        assert terminated.tolist() == [True, False] and infos["blocked"].tolist() == [False, True]
        with pytest.raises(UserError, match="unknown option 'room'"):
            envs.reset(options={"room": 1})
        for mask in (np.zeros(2, np.bool_), np.ones(3, np.bool_), [True, False], np.ones(2)):
            with pytest.raises(UserError, match="reset_mask must be a bool array of shape"):
                envs.reset(options={"reset_mask": mask})
        fresh = SokobanVectorEnv(2, observation="grid", engine=engine, **ROOM)
        with pytest.raises(gym.error.ResetNeeded):
            fresh.step(np.zeros(2, np.int64))
        fresh.reset(seed=0, options={"reset_mask": np.array([True, False])})
        with pytest.raises(gym.error.ResetNeeded):  # the other one has no level yet
            fresh.step(np.zeros(2, np.int64))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_bad_actions(engine) -> None:
    envs, twin, third = (SokobanVectorEnv(3, observation="grid", engine=engine, **ROOM) for _ in range(3))
    before, _ = envs.reset(seed=0)
    twin.reset(seed=0)
    third.reset(seed=0)
    for actions, told in (
        ([0, 4, 0], "no action 4 \\(board 1\\)"),
        ([0, 0, -1], "no action -1 \\(board 2\\)"),
        ([0, 0], "shape \\(2,\\)"),
        ([0.0, 1.0, 2.0], "dtype float64"),
    ):
        with pytest.raises(UserError, match=told):
            envs.step(actions)
    assert (envs.memory.boards == before).all()  # nothing was played
    spread = np.array([0, 9, 1, 9, 2, 9])[::2]
    said = [
        copy.step(actions) for copy, actions in ((envs, spread), (twin, [0, 1, 2]), (third, spread.astype(np.uint8)))
    ]
    assert_same(said[0], said[1])
    assert_same(said[0], said[2])


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_an_episode_that_is_over_is_not_played_on(engine) -> None:
    envs = SokobanVectorEnv(
        2, observation="grid", engine=engine, autoreset_mode="Disabled", levels="#####\n#@$.#\n#####"
    )
    envs.reset(seed=0)
    assert envs.step([2, 3])[2].tolist() == [False, True]
    with pytest.raises(gym.error.ResetNeeded, match="board 1 is over"):
        envs.step([2, 3])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"engine": "gpu"}, "engine is 'gpu'; choose from auto, numba, numpy, single"),
        ({"autoreset_mode": "Never"}, "autoreset_mode is 'Never'"),
        ({"render_mode": "human"}, "shows one board"),
        ({"observation": "pixels"}, "observation is 'pixels'"),
    ],
)
def test_bad_arguments(arguments, told) -> None:
    with pytest.raises(UserError, match=told):
        SokobanVectorEnv(**arguments)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        SokobanVectorEnv(2, colour="red")


def test_rendering() -> None:
    for engine in ("numpy", "numba", "single"):
        envs = SokobanVectorEnv(2, observation="grid", engine=engine, render_mode="rgb_array", tile_size=8, **ROOM)
        envs.reset(seed=0)
        frames = envs.render()
        assert len(frames) == 2 and frames[0].shape == (48, 56, 3) and frames[0].any()
        envs.close()
        assert SokobanVectorEnv(2, observation="grid", engine="numpy").render() is None


def test_levels_given_as_values() -> None:
    rng = np.random.default_rng(0)
    levels = [generate(rng, (6, 6), 2) for _ in range(10)]
    envs = SokobanVectorEnv(300, observation="grid", levels=levels)
    observations, _ = envs.reset(seed=0)
    assert {board.tobytes() for board in observations} == {level.grid().tobytes() for level in levels}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_two_processes_say_the_same(engine) -> None:
    code = (
        "import hashlib, numpy as np\nfrom lmmr1.envs.sokoban.vector.env import SokobanVectorEnv\n"
        f"envs = SokobanVectorEnv(7, engine='{engine}', observation='tiny_rgb', pool=9, generation='fast')\n"
        "rng, digest = np.random.default_rng(1), hashlib.sha256(envs.reset(seed=2)[0].tobytes())\n"
        "for _ in range(60):\n"
        "    for array in envs.step(rng.integers(4, size=7))[:4]: digest.update(array.tobytes())\n"
        "print(digest.hexdigest())"
    )
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(said) == 1 and len(said.pop()) == 65
