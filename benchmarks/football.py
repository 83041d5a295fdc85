"""Football: what the environment adds to the engine's own time, alone and in eight workers; the memory of a worker.

The bare loop does nothing but give the engine actions and let it step. Both play the same match with the same actions
at the same time, in turns of some steps, so that whatever else the machine does hits both.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from contest import finish, parse_arguments

from lmmr1.envs.football.engine.core import CoreEngine
from lmmr1.envs.football.engine.match import Control, KickOff
from lmmr1.envs.football.engine.process import EngineProcess, open_engine
from lmmr1.envs.football.env import FootballEnv
from lmmr1.envs.football.scenarios.scenario import Scenario
from lmmr1.envs.football.scenarios.table import BUILT_IN

KINDS = ("simple115", "smm", "raw", "text", "view")
NAMES = ("academy_empty_goal", "academy_3_vs_1_with_keeper", "11_vs_11_stochastic")
SEED, TURN = 5, 50
Runner = Any


def endless(name: str) -> Scenario:
    """The scenario without its early ends, so that all go on for as long as they are measured."""
    return replace(
        BUILT_IN[name],
        end_episode_on_score=False,
        end_episode_on_out_of_play=False,
        end_episode_on_possession_change=False,
        game_duration=1_000_000,
        swap_lineups=False,
    )


def bare_loop(scenario: Scenario) -> Runner:
    """The engine alone: act, step, and step on while the ball is dead."""
    core = CoreEngine(Control())
    core.reset(KickOff(scenario, SEED))
    engine, numbers = core._engine, core._actions

    def run(actions: list[int]) -> float:
        began = time.process_time()
        for action in actions:
            engine.perform_action(numbers[action], True, 0)
            engine.step()
            while not engine.get_info().is_in_play:
                engine.step()
        return time.process_time() - began

    return run


def environment(scenario: Scenario, observation: str) -> Runner:
    env = FootballEnv(scenario, observation=observation)
    env.reset(seed=0)
    env._session.engine.reset(KickOff(scenario, SEED))  # the seed of the bare loop

    def run(actions: list[int]) -> float:
        began = time.process_time()
        for action in actions:
            env.step(action)
        return time.process_time() - began

    return run


def measure_alone(name: str, turns: int) -> dict[str, float]:
    """Steps per CPU-second of each observation over the bare loop's: the median over the turns.

    One environment at a time, as users have it: the memory of several engines would push each other out of the caches.
    """
    scenario = endless(name)
    rates, bare_seconds = {}, []
    for kind in KINDS:
        runners = bare_loop(scenario), environment(scenario, kind)
        rng, ratios = np.random.default_rng(0), []
        for turn in range(turns):
            # No tackles and passes: a foul would end the play at another step of the rule for dead balls.
            actions = rng.integers(9, size=TURN).tolist()
            # Each goes first in every second turn.
            order = (0, 1) if turn % 2 else (1, 0)
            seconds = dict(zip(order, [runners[side](actions) for side in order], strict=True))
            ratios.append(seconds[0] / seconds[1])
            bare_seconds.append(seconds[0])
        rates[kind] = median(ratios)
    listed = ", ".join(f"{kind} {rate:.2f}" for kind, rate in rates.items())
    print(f"{name:28s} bare {TURN / median(bare_seconds):5.0f} steps per CPU-s; of that: {listed}")
    return rates


def measure_workers(count: int, steps: int) -> float:
    """Steps per second by the clock of so many environments in as many processes."""
    envs: Any = gym.make_vec("LMMR1/Football-v0", count, "async", scenario="academy_3_vs_1_with_keeper")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    began = time.perf_counter()
    for _ in range(steps):
        envs.step(envs.action_space.sample())
    rate = count * steps / (time.perf_counter() - began)
    envs.close()
    print(f"{count} environments in {count} workers, view at 320 px: {rate:.0f} steps per second by the clock")
    return rate


def measure_memory(frame_size: tuple[int, int] | None) -> float:
    """Resident MB of an engine's process after a hundred steps, with a 3D picture where there are any."""
    engine = open_engine(Control(frame_size=frame_size), worker=True)
    assert isinstance(engine, EngineProcess)
    engine.reset(KickOff(endless("11_vs_11_stochastic"), SEED))
    for _ in range(100):
        engine.step([5])
    if frame_size is not None:
        engine.frame()
    with open(f"/proc/{engine.process_id}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
    engine.close()
    print(f"a worker's memory {'without' if frame_size is None else 'with'} 3D pictures: {resident:.0f} MB")
    return resident


def main() -> None:
    options = parse_arguments(__doc__ or "")
    turns = 4 if options.quick else 30
    alone = {name: measure_alone(name, turns) for name in NAMES}
    off = min(rates["simple115"] for rates in alone.values())
    view = min(rates["view"] for rates in alone.values())
    figures: dict[str, float | None] = {
        "football_step_ratio": off,
        "football_raw_step_ratio": min(rates["raw"] for rates in alone.values()),
        "football_view_step_ratio": view,
        "football_workers_steps_per_second": measure_workers(8, 40 if options.quick else 150),
        "football_worker_memory_mb": measure_memory(None),
        "football_worker_memory_3d_mb": None if options.quick else measure_memory((640, 360)),
    }
    print(f"machine: {os.cpu_count()} cores; the least of the scenarios counts")
    finish(figures, options.json)


if __name__ == "__main__":
    main()
