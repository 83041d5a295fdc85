"""Sokoban beside gym-sokoban 0.0.6, jumanji 1.1.2 (jit) and envpool 1.2.5: steps, levels and solutions per CPU-second.

10 by 10 cells with 4 boxes, random actions, episodes of at most 120 steps that start over by themselves, every level
from the same thousand. Ours goes through Gymnasium's public interface, `gym.make(...).unwrapped` and `gym.make_vec`,
infos included; "in place" means `copy=False`. All run in turn, the peers in processes of their own; a rate is of CPU
time of all threads, and a ratio is the median over rounds of ours over theirs in the same round. envpool and jumanji
have four actions where we and gym-sokoban have nine here. Beside our rates stands the floor: the engine's compiled
step alone without Gymnasium around it, measured in the same run, and what a bare prototype of it reached on a quiet
core of the same kind (in November 2026).

`make bench-sokoban-peers` sets the peers up. The thousand levels are the Boxoban levels that envpool bundles, or our
own where it is not installed. Results that are not ratios: levels that gym-sokoban makes of the same seeds, compared
bit by bit; levels of each generation that the solver solves; memory of 4,096 boards; the first step of the compiled
engine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium as gym
import numpy as np
from contest import finish, parse_arguments

import lmmr1  # noqa: F401  (registers the ids)
from lmmr1.envs.compiling.kernel import has_numba
from lmmr1.envs.sokoban.generation.backwards import Backwards, Digging
from lmmr1.envs.sokoban.levels import Level
from lmmr1.envs.sokoban.levels.level import from_codes
from lmmr1.envs.sokoban.solving import Status, solve_level

ROOT = Path(__file__).resolve().parent.parent
BOXOBAN = "lib/python3*/site-packages/envpool/jumanji/assets/boxoban/unfiltered-test.npy"
ROOM: dict[str, Any] = {"dim_room": (10, 10), "num_boxes": 4, "max_steps": 120, "action_set": "gym9"}
# Steps (millions per second) of a bare prototype without Gymnasium: see the module's docstring.
PROTOTYPE = {
    "single grid": 1.8,
    "single tiny": 1.2,
    "grid 64": 21.5,
    "grid 1024": 100.0,
    "grid 4096": 127.0,
    "rgb80 64 in place": 11.7,
    "rgb80 1024 in place": 11.0,
    "numpy grid 1024": 23.0,
    "levels 7x7x1": 0.0719,
    "levels 7x7x2": 0.02,
    "levels 10x10x3": 0.000474,
}
RATIOS = {
    "grid_1024_vs_jumanji": ("grid 1024", "jumanji 1024", 40),
    "grid_1024_vs_envpool": ("grid 1024", "envpool 1024", 400),
    "grid_64_vs_jumanji": ("grid 64", "jumanji 64", 20),
    "rgb80_64_vs_gym_sokoban": ("rgb80 64 in place", "gym-sokoban single rgb160", 1000),
    "numpy_1024_vs_jumanji": ("numpy grid 1024", "jumanji 1024", 8),
    "single_vs_jumanji": ("single grid", "jumanji single", 40),
    "single_vs_gym_sokoban": ("single grid", "gym-sokoban single tiny", 100),
    "single_tiny_vs_gym_sokoban": ("single tiny", "gym-sokoban single tiny", None),
    "grid_1024_vs_envpool_async": ("grid 1024", "envpool 1024 async", None),
    "levels_7x7x1_vs_gym_sokoban": ("levels 7x7x1", "gym-sokoban levels 7x7x1", 150),
    "levels_7x7x2_vs_gym_sokoban": ("levels 7x7x2", "gym-sokoban levels 7x7x2", 150),
    "levels_10x10x3_vs_gym_sokoban": ("levels 10x10x3", "gym-sokoban levels 10x10x3", 300),
}


def main() -> None:
    """Play the contest and print it."""
    options = parse_arguments(__doc__ or "")
    rounds, seconds = (2, 0.12) if options.quick else (5, 1.0)
    levels, origin = load_levels()
    print(f"{len(levels)} levels: {origin}")
    # gym-sokoban takes some ten seconds for two levels of that size.
    skipped = {"levels 10x10x3", "gym-sokoban levels 10x10x3"} if options.quick else set()
    rates = compare(levels, rounds, seconds, skipped)
    figures: dict[str, float | None] = {}
    print_rates(rates)
    for name, (ours, theirs, wanted) in RATIOS.items():
        pairs = list(zip(rates.get(ours, ()), rates.get(theirs, ()), strict=False))
        figures[name] = statistics.median(a / b for a, b in pairs) if pairs else None
        if wanted is not None and figures[name] is not None:
            print(f"{name}: {figures[name]:,.0f}, asked {wanted}")
    figures |= measure_solver(levels, options.quick)
    figures |= count_solvable(60 if options.quick else 1000)
    figures |= compare_levels()
    figures |= measure_memory() | measure_start()
    finish(figures, options.json)


# Steps.


def load_levels() -> tuple[list[Level], str]:
    """A thousand levels, and where they are from."""
    found = sorted((ROOT / ".venv-envpool").glob(BOXOBAN))
    if found:
        planes = np.load(found[0])
        fixed, moving = planes[..., 0], planes[..., 1]
        codes = np.where(fixed == 1, 0, np.where(fixed == 2, 2, 1))
        codes = np.where(moving == 4, np.where(fixed == 2, 3, 4), codes)
        codes = np.where(moving == 3, np.where(fixed == 2, 6, 5), codes)
        return [from_codes(board.astype(np.uint8)) for board in codes], "Boxoban, unfiltered test, the first 1000"
    stream = Backwards(Digging("fast", (10, 10), 4), 0)
    return [stream.next() for _ in range(1000)], "our own, fast (envpool is not installed)"


def our_cases(levels: list[Level]) -> dict[str, Callable[[float], float]]:
    """Our contestants: how many steps (or levels) a CPU-second, played for some seconds."""

    def single(observation: str) -> Callable[[], int]:
        env = gym.make("LMMR1/Sokoban-v0", levels=levels, observation=observation, **ROOM).unwrapped
        env.reset(seed=0)
        actions = np.random.default_rng(0).integers(9, size=4000).tolist()

        def play() -> int:
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
            return len(actions)

        return play

    def many(count: int, **kwargs: Any) -> Callable[[], int]:
        settings: dict[str, Any] = {"observation": "grid", **ROOM, **kwargs}
        envs = gym.make_vec("LMMR1/Sokoban-v0", num_envs=count, levels=levels, **settings)
        envs.reset(seed=0)
        rng = np.random.default_rng(0)
        actions = [rng.integers(9, size=count) for _ in range(50)]

        def play() -> int:
            for action in actions:
                envs.step(action)
            return count * len(actions)

        return play

    def bare(count: int, engine: str) -> Callable[[], int]:
        envs = gym.make_vec(
            "LMMR1/Sokoban-v0", num_envs=count, levels=levels, observation="grid", engine=engine, **ROOM
        )
        envs.reset(seed=0)
        rng = np.random.default_rng(0)
        actions = [rng.integers(9, size=count) for _ in range(50)]
        rewards, marks = np.zeros(count), np.zeros((6, count), np.bool_)

        def play() -> int:
            for action in actions:
                envs.boards.step(action, rewards, marks)  # pyright: ignore[reportAttributeAccessIssue]
            return count * len(actions)

        return play

    def generate(size: tuple[int, int], boxes: int, seeds: int, method: str = "compat") -> Callable[[], int]:
        def play() -> int:
            for seed in range(seeds):
                Backwards(Digging(method, size, boxes), seed).next()
            return seeds

        return play

    cases: dict[str, Callable[[], Callable[[], int]]] = {
        "single grid": lambda: single("grid"),
        "single tiny": lambda: single("tiny_rgb"),
        "numpy grid 1024": lambda: many(1024, engine="numpy"),
        "numpy grid 1024 in place": lambda: many(1024, engine="numpy", copy=False),
        "numpy grid 1024 bare": lambda: bare(1024, "numpy"),
        "levels 7x7x1": lambda: generate((7, 7), 1, 40),
        "levels 7x7x2": lambda: generate((7, 7), 2, 25),
        "levels 10x10x3": lambda: generate((10, 10), 3, 2),
        "levels 10x10x4 fast": lambda: generate((10, 10), 4, 200, "fast"),
    }
    if has_numba():
        for count in (64, 1024, 4096):
            cases[f"grid {count}"] = lambda count=count: many(count)
            cases[f"grid {count} in place"] = lambda count=count: many(count, copy=False)
            cases[f"grid {count} bare"] = lambda count=count: bare(count, "numba")
        for count in (64, 1024):
            cases[f"tiny {count} in place"] = lambda count=count: many(count, observation="tiny_rgb", copy=False)
            cases[f"rgb80 {count} in place"] = lambda count=count: many(
                count, observation="rgb", tile_size=8, copy=False
            )
        cases["rgb160 64 in place"] = lambda: many(64, observation="rgb", tile_size=16, copy=False)
        cases["rgb80 64"] = lambda: many(64, observation="rgb", tile_size=8)
    return {name: timed(make) for name, make in cases.items()}


def timed(make: Callable[[], Callable[[], int]]) -> Callable[[float], float]:
    """Returns what plays for some seconds and says its rate by CPU time; made, and warmed up, at its first run."""
    made: list[Callable[[], int]] = []

    def run(seconds: float) -> float:
        if not made:
            made.append(make())
            made[0]()
        done, began, wall = 0, time.process_time(), time.monotonic()
        while done == 0 or time.monotonic() - wall < seconds:
            done += made[0]()
        return done / (time.process_time() - began)

    return run


class Peer:
    """A process of a peer."""

    def __init__(self, name: str, path: str) -> None:
        python = ROOT / f".venv-{name}" / "bin/python"
        environment = {**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [str(python), str(ROOT / "benchmarks/sokoban_peers.py"), name, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        self.cases: list[str] = self._answer()["cases"]

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with status {self._process.wait()}")
        return json.loads(line)

    def run(self, case: str, seconds: float) -> float:
        """Lets it play, and returns its rate by CPU time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"case": case, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["done"] / answer["cpu"]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(levels: list[Level], rounds: int, seconds: float, skipped: set[str]) -> dict[str, list[float]]:
    """All contestants in turn, once to warm up and then for some rounds."""
    contestants = our_cases(levels)
    peers: list[Peer] = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/levels.npy"
        np.save(path, np.stack([level.grid() for level in levels]))
        try:
            for name in ("gym-sokoban", "jumanji", "envpool"):
                if not (ROOT / f".venv-{name}/bin/python").exists():
                    print(f"{name} is not installed: make bench-sokoban-peers")
                    continue
                peers.append(Peer(name, path))
                for case in peers[-1].cases:
                    contestants[f"{name} {case}"] = lambda seconds, peer=peers[-1], case=case: peer.run(case, seconds)
            for name in skipped & set(contestants):
                del contestants[name]
            rates: dict[str, list[float]] = {name: [] for name in contestants}
            for turn in range(rounds + 1):
                for name, run in contestants.items():
                    rate = run(seconds if turn else 0.0)
                    if turn:
                        rates[name].append(rate)
        finally:
            for peer in peers:
                peer.close()
    return rates


def print_rates(rates: dict[str, list[float]]) -> None:
    """A line for each contestant."""
    print(f"{'per CPU-second':34s} {'median':>14s}   range")
    for name, values in rates.items():
        floors = [
            f"{statistics.median(values) / statistics.median(floor):.0%} of {what}"
            for what, floor in (
                ("the bare step", rates.get(f"{name.removesuffix(' in place')} bare", ())),
                ("the prototype", [1e6 * PROTOTYPE[name]] if name in PROTOTYPE else ()),
            )
            if len(floor)
        ]
        span = f"{min(values):,.0f} to {max(values):,.0f}"
        print(f"  {name:32s} {statistics.median(values):14,.0f}   {span:28s} {', '.join(floors)}")


# Levels and solutions.


def measure_solver(levels: list[Level], quick: bool) -> dict[str, float | None]:
    """Push-optimal and move-optimal solutions of the thousand levels."""
    figures: dict[str, float | None] = {}
    for metric in ("pushes", "moves"):
        best, solved = 0.0, 0
        chosen = levels if metric == "pushes" else levels[: 50 if quick else 300]
        for _ in range(2 if quick else 5 if metric == "pushes" else 1):
            began = time.process_time()
            answers = [solve_level(level, metric) for level in chosen]
            best = max(best, len(chosen) / (time.process_time() - began))
            solved = sum(answer.status is Status.SOLVED for answer in answers)
        print(f"solver, fewest {metric}: {best:,.0f} levels per CPU-second, {solved} of {len(chosen)} solved")
        figures[f"solver_{metric}_per_second"] = best
        figures[f"solver_{metric}_unsolved"] = float(len(chosen) - solved)
    return figures


def count_solvable(count: int) -> dict[str, float | None]:
    """Of how many levels of each generation the solver finds a solution: 1 is all."""
    figures: dict[str, float | None] = {}
    for method, size, boxes in (
        ("compat", (7, 7), 2),
        ("fast", (10, 10), 4),
        ("ragen", (6, 6), 1),
        ("vagen", (6, 6), 1),
    ):
        stream = Backwards(Digging(method, size, boxes), 0)
        levels = [stream.next() for _ in range(count)]
        solved = sum(solve_level(level).status is Status.SOLVED for level in levels)
        print(f"{method} {size[0]}x{size[1]} with {boxes}: {solved} of {count} levels solved")
        figures[f"{method}_solvable"] = solved / count
    return figures


def compare_levels() -> dict[str, float | None]:
    """Levels recorded from gym-sokoban (`gym_sokoban_levels.py`) beside ours of the same seeds: how many differ."""
    recorded = json.loads((ROOT / "tests/envs/sokoban/peer_levels.json").read_text())
    differing = count = 0
    for row in recorded.values():
        for seed, level in enumerate(row["levels"]):
            if level:
                digging = Digging(
                    row["method"], tuple(row["dim_room"]), row["num_boxes"], row["num_gen_steps"], row["search_depth"]
                )
                differing += "".join(map(str, Backwards(digging, seed).next().codes())) != level
                count += 1
    print(f"{count} levels of gym-sokoban, RAGEN and VAGEN by seed: {differing} differ")
    return {"levels_differing": float(differing)}


# Memory and start.


def measure_memory() -> dict[str, float | None]:
    """Peak memory of 4,096 grid boards over that of the interpreter with NumPy and Gymnasium, in MB."""
    bare = run_alone("import numpy, gymnasium")
    ours = run_alone(
        "import numpy, gymnasium, lmmr1\n"
        "envs = gymnasium.make_vec('LMMR1/Sokoban-v0', num_envs=4096, observation='grid', dim_room=(10, 10),"
        " num_boxes=4, generation='fast', pool=1000)\n"
        "envs.reset(seed=0)\nfor _ in range(200): envs.step(numpy.zeros(4096, int))"
    )
    print(f"4,096 grid boards: {ours[0] - bare[0]:.0f} MB over the interpreter's {bare[0]:.0f} MB")
    return {"memory_4096_mb": ours[0] - bare[0]}


def measure_start() -> dict[str, float | None]:
    """CPU-seconds from `gym.make_vec` to the first step of the compiled engine, ten levels included, cache warm."""
    if not has_numba():
        return {"first_step_s": None}
    code = (
        "import time, numpy, gymnasium, lmmr1\nbegan = time.process_time()\n"
        "envs = gymnasium.make_vec('LMMR1/Sokoban-v0', num_envs=64, observation='grid', generation='fast', pool=10)\n"
        "envs.reset(seed=0); envs.step(numpy.zeros(64, int))\nprint(time.process_time() - began)"
    )
    run_alone(code)
    took = min(float(run_alone(code)[1]) for _ in range(3))
    print(f"first step of the compiled engine, cache warm: {took:.2f} s, levels made included")
    return {"first_step_s": took}


def run_alone(code: str) -> tuple[float, str]:
    """Runs a program in a process of its own; its peak memory in MB and what it printed before."""
    # The peak of this program alone; ru_maxrss would count the parent's too.
    tail = (
        "\nprint(next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    *printed, peak = done.stdout.split()
    return float(peak), " ".join(printed)


if __name__ == "__main__":
    main()
