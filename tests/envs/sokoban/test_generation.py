"""Levels of the backwards search beside those recorded from gym-sokoban and others, and where levels come from."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.envs.compiling.kernel import buffer
from lmmr1.envs.errors import UserError
from lmmr1.envs.sokoban import Level, SokobanEnv, Status, moves_to_go, parse_levels, solve_level
from lmmr1.envs.sokoban.generation import twister
from lmmr1.envs.sokoban.generation.backwards import Backwards, Digging
from lmmr1.envs.sokoban.generation.source import ListFeed

RECORDED = json.loads(Path(__file__).with_name("peer_levels.json").read_text())


def codes(level: Level) -> str:
    return "".join(map(str, level.codes()))


def differing(row: dict[str, Any], limit: int | None = None) -> list[int]:
    """The seeds whose levels are not those recorded; "" was recorded where there is no level."""
    shape = (row["method"], tuple(row["dim_room"]), row["num_boxes"], row["num_gen_steps"], row["search_depth"])
    found = []
    for seed, level in enumerate(row["levels"][:limit]):
        stream = Backwards(Digging(*shape), seed)
        # gym-sokoban goes on with the same numbers where a try fails; its descendants do not, and "" was recorded.
        made = stream.next() if level else stream.try_once()
        if (codes(made) if made else "") != level:
            found.append(seed)
    return found


# `make bench-sokoban-peers`, then benchmarks/gym_sokoban_levels.py, made the file.
@pytest.mark.parametrize("name", RECORDED)
def test_levels_are_gym_sokobans_bit_by_bit(name: str) -> None:
    assert differing(RECORDED[name]) == []


def test_enough_was_recorded() -> None:
    assert [len(RECORDED[name]["levels"]) for name in ("small-v0 with one box", "small-v0")] == [200, 200]
    assert {name.split(" ")[0] for name in RECORDED} >= {
        "v0",
        "v1",
        "v2",
        "large-v0",
        "large-v1",
        "huge-v0",
        "ragen",
        "vagen",
    }
    assert "" in RECORDED["ragen 6x6x3 depth 300"]["levels"], "failures are to be seen as well"


def test_plain_python_makes_the_same_levels() -> None:
    code = (
        "import sys\nsys.modules['numba'] = None\n"
        "from tests.envs.sokoban.test_generation import RECORDED, differing\n"
        "from lmmr1.envs.compiling.kernel import has_numba\nassert not has_numba()\n"
        "for name in ('small-v0', 'ragen 6x6x3 depth 300', 'vagen 6x6x1 depth 100'):\n"
        "    assert differing(RECORDED[name], 8) == [], name\n"
        "assert differing(RECORDED['v0'], 1) == []\nprint('same')"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "same\n", done.stderr


def test_streams_are_those_of_python_and_numpy() -> None:
    for seed in (0, 1, 12345, 2**32 - 1):
        ours, theirs = buffer(np.zeros(625)), random.Random(seed)
        twister.seed_python(ours, seed)
        assert [twister.python_random(ours) for _ in range(700)] == [theirs.random() for _ in range(700)]
        for bound in (1, 2, 4, 5, 9, 12, 100):
            assert twister.python_below(ours, bound) == theirs.randint(1, bound) - 1
        ours, legacy = buffer(np.zeros(625)), np.random.RandomState(seed)
        twister.seed_numpy(ours, seed)
        bounds = [1 + i % 61 for i in range(900)]
        assert [twister.numpy_below(ours, bound) for bound in bounds] == [legacy.randint(bound) for bound in bounds]


@pytest.mark.parametrize(
    ("method", "dim_room", "boxes"),
    [("compat", (7, 7), 2), ("fast", (10, 10), 4), ("fast", (13, 13), 5), ("ragen", (6, 6), 1), ("vagen", (8, 8), 2)],
)
def test_every_level_has_a_solution(method, dim_room, boxes) -> None:
    stream = Backwards(Digging(method, dim_room, boxes), 11)
    levels = [stream.next() for _ in range(100)]
    assert len(set(levels)) > 80
    for level in levels:
        assert (level.rows, level.columns) == dim_room and len(level.boxes) == len(level.targets) == boxes
        assert parse_levels(level.to_xsb()) == [level]
        assert solve_level(level).status is Status.SOLVED


def test_the_environment_gives_a_seeds_level_and_goes_on_from_it() -> None:
    row = RECORDED["small-v0"]
    env = SokobanEnv(row["dim_room"], row["num_boxes"], generation="compat", observation="grid")
    seen = ["".join(map(str, env.reset(seed=seed)[0].ravel())) for seed in range(20)]
    assert seen == row["levels"][:20]
    env.reset(seed=3)
    stream = Backwards(Digging("compat", (7, 7), 2), 3)
    stream.next()
    assert (env.reset()[0] == stream.next().grid()).all()
    with pytest.raises(UserError, match=re.escape("takes 0 to 2^32 - 1")):
        env.reset(seed=2**32)
    unseeded = [SokobanEnv(generation="compat", observation="grid").reset()[0].tobytes() for _ in range(6)]
    assert len(set(unseeded)) > 1


def test_bounds_and_splits_of_generated_and_of_given_levels() -> None:
    for generation in ("scatter", "compat", "fast"):
        bounds = {"min_moves": 6, "max_moves": 12, "split": "test", "generation": generation}
        env = SokobanEnv((7, 7), 2, **bounds)
        for seed in range(5):
            env.reset(seed=seed)
            moves = moves_to_go(env.state())
            assert moves is not None and 6 <= moves <= 12 and env.state().is_test
    levels = [Backwards(Digging("fast", (8, 8), 1 + seed % 3), seed).next() for seed in range(60)]
    chosen = SokobanEnv(levels=levels, num_boxes=2, min_moves=5).levels or []
    assert 3 < len(chosen) < 20 and set(chosen) <= set(levels)
    assert all(len(level.boxes) == 2 and (moves_to_go(level) or 0) >= 5 for level in chosen)
    with pytest.raises(UserError, match="none of the 60 levels"):
        SokobanEnv(levels=levels, num_boxes=9)


def test_a_pool_is_made_once_and_drawn_from_evenly() -> None:
    arguments: dict[str, Any] = {
        "dim_room": (7, 7),
        "num_boxes": 2,
        "generation": "fast",
        "pool": 12,
        "observation": "grid",
    }
    one, two = SokobanEnv(**arguments), SokobanEnv(**arguments)
    assert one.levels == two.levels and len(set(one.levels or ())) == 12
    counts: dict[bytes, int] = {}
    one.reset(seed=0)
    for _ in range(6000):
        board = one.reset()[0].tobytes()
        counts[board] = counts.get(board, 0) + 1
    assert len(counts) == 12 and 400 < min(counts.values()) and max(counts.values()) < 600
    with pytest.raises(UserError, match="only .* different levels turned up"):
        SokobanEnv((3, 5), 1, inner_walls=0, pool=100)


def test_a_list_is_drawn_from_by_splitmix64() -> None:
    feed = ListFeed(tuple(range(1 << 20)))  # pyright: ignore[reportArgumentType]
    # The first outputs of SplitMix64 from the state 0, known from its reference implementation.
    outputs = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)
    assert [feed.next() for _ in outputs] == [(output >> 32) >> 12 for output in outputs]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"generation": "magic"}, "generation is 'magic'; choose from scatter, compat, ragen, vagen, fast"),
        ({"generation": "fast", "num_boxes": 7}, "num_boxes is 7"),
        ({"generation": "fast", "dim_room": (5, 5), "num_boxes": 5}, "take 11"),
        ({"generation": "compat", "dim_room": (4, 9)}, "dim_room is (4, 9)"),
        ({"generation": "compat", "dim_room": (16, 16)}, "at most 255 cells"),
        ({"generation": "compat", "num_gen_steps": 0}, "num_gen_steps is 0"),
        ({"generation": "compat", "search_depth": 2}, "search_depth is 2"),
        ({"generation": "compat", "search_depth": 3, "num_boxes": 3}, "no level of 7 by 7 with 3 boxes turned up"),
        ({"pool": 0}, "pool is 0"),
        ({"dim_room": (7, 7.5)}, "dim_room is (7, 7.5)"),
        ({"dim_room": 7}, "dim_room is 7"),
    ],
)
def test_bad_arguments(arguments, told) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        SokobanEnv(**arguments).reset(seed=0)
