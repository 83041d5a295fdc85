"""An evaluation in a folder: known floors and ceilings, killed and resumed, scored anew, compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmmr1.agents.base import Agent
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.agents.players.replay import ReplayPlayer
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.scoring.scores import wilson_interval
from lmmr1.evaluation.session import (
    RESULTS,
    Settings,
    read_episodes,
    replay_evaluation,
    run_evaluation,
)
from lmmr1.evaluation.suites.suite import Column, Suite, load_suite


def play(folder: Path, suite: Suite, agent: Agent, seed: int = 0) -> dict:
    return run_evaluation(folder, Settings(suite, {"name": agent.name}, seed), agent)


def tiny(*only: str, episodes: int = 24) -> Suite:
    suite = load_suite("tiny").with_episodes(episodes)
    return suite.only(only) if only else suite


def test_the_oracle_is_the_ceiling(tmp_path: Path):
    results = play(tmp_path / "expert", tiny(), ExpertPlayer())
    for task, modes in results["tasks"].items():
        for figures in modes.values():
            assert figures["success"] == 1.0 and figures["failed"] == 0, task
    sokoban = results["tasks"]["sokoban"]["greedy"]
    assert sokoban["score"] == 100.0 and sokoban["regret"] == 0.0
    assert sokoban["turns"] == sokoban["optimum"], "one move a reply: as many as the shortest solution has"


def chance_of_random_walk(level, moves: int) -> float:
    """The exact chance that a walk of uniform moves solves a level with one box within so many moves."""
    rows, columns = level.rows, level.columns
    [target] = level.targets
    walls = {cell for cell, code in enumerate(level.start[0]) if code == 0}
    states = {(level.player, level.boxes[0]): 1.0}
    solved = 0.0
    for _ in range(moves):
        following: dict[tuple[int, int], float] = {}
        for (player, box), weight in states.items():
            for step in (-columns, columns, -1, 1):
                ahead, pushed = player + step, box
                if ahead == box:
                    pushed = box + step
                state = (player, box) if ahead in walls or (pushed != box and pushed in walls) else (ahead, pushed)
                if state[1] == target:
                    solved += weight / 4
                else:
                    following[state] = following.get(state, 0.0) + weight / 4
        states = following
    assert rows * columns == len(level.start[0])
    return solved


def test_random_is_the_floor_and_on_sokoban_as_often_right_as_chance_says(tmp_path: Path):
    suite = tiny(episodes=96)
    results = play(tmp_path / "random", suite, RandomPlayer())
    for task in ("text", "image", "reading"):
        assert results["tasks"][task]["greedy"]["success"] == 0.0
    [task] = [task for task in suite.tasks if task.name == "sokoban"]
    episodes = read_episodes(tmp_path / "random", suite, "sokoban", "greedy")
    env = task.environment.make()
    from lmmr1.agents.rollout import EVALUATION_STREAM, derive_seed

    chances = []
    for episode in episodes:
        env.reset(seed=derive_seed(0, EVALUATION_STREAM, episode.group))
        chances.append(chance_of_random_walk(env.unwrapped.state(), 14))  # type: ignore[attr-defined]
    mean = float(np.mean(chances))
    spread = 4 * np.sqrt(sum(p * (1 - p) for p in chances)) / len(chances)
    assert abs(results["tasks"]["sokoban"]["greedy"]["success"] - mean) < spread


def test_who_stands_idle_scores_100_less_5_times_the_mean_optimum(tmp_path: Path):
    suite = load_suite("agent").only(["sokoban_global_small_2", "sokoban_global_middle_3"]).with_episodes(6)
    suite = replace(suite, columns={"Sokoban-Global": Column([task.name for task in suite.tasks], "score")})
    results = play(tmp_path / "idle", suite, FixedPlayer("Wait"))
    optima = [
        # Boxes that are pushed onto their targets, the last of them with its bonus, less a tenth for each move.
        boxes + 10 - 0.1 * episode.facts["optimal"]
        for boxes, task in ((2, "sokoban_global_small_2"), (3, "sokoban_global_middle_3"))
        for episode in read_episodes(tmp_path / "idle", suite, task, "greedy")
    ]
    assert len(optima) == 12
    assert results["columns"]["Sokoban-Global"] == pytest.approx(100 - 5 * float(np.mean(optima)))


KILLED = """
import sys
from pathlib import Path
from lmmr1.agents.policy import PolicyAgent, use_threads
from lmmr1.evaluation.session import Settings, run_evaluation
from lmmr1.evaluation.suites.suite import load_suite
from dataclasses import replace
use_threads(1)
suite = replace(load_suite("tiny").with_episodes(40).only(["text", "sokoban"]), block=8, attempts=2)
agent = PolicyAgent.from_pretrained("tiny", max_new_tokens=40)
def tell(task, mode, done, total):
    print(task, mode, done, flush=True)
run_evaluation(Path(sys.argv[1]), Settings(suite, {"name": "tiny"}, 3), agent, on_block=tell)
"""


def test_an_evaluation_that_is_killed_ends_with_the_same_file(tmp_path: Path):
    def start(folder: Path) -> subprocess.Popen:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", KILLED, str(folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    whole = start(tmp_path / "whole")
    assert whole.communicate()[0].count("\n") == 20 and whole.returncode == 0
    for blocks in (3, 12):  # in the midst of the first task, and of the second
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        for _ in range(blocks):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "killed" / RESULTS).exists()
    last = start(tmp_path / "killed")
    assert 0 < last.communicate()[0].count("\n") < 12
    one, other = ((tmp_path / name / RESULTS).read_bytes() for name in ("whole", "killed"))
    assert one == other and json.loads(one)["tasks"]["text"]["sampled"]["attempts"] == 2
    before = time.time_ns()
    again = start(tmp_path / "killed")
    assert again.communicate()[0] == "", "what is complete is not played again"
    assert (tmp_path / "killed" / RESULTS).stat().st_mtime_ns < before


def test_kept_episodes_come_out_equal_when_they_are_scored_anew_and_other_under_other_rules(tmp_path: Path):
    suite = tiny("text", "sokoban", episodes=12)
    results = play(tmp_path / "random", suite, RandomPlayer())
    again = replay_evaluation(tmp_path / "random", tmp_path / "again", lambda task: task, ReplayPlayer)
    assert again == results

    def pay_nothing_for_the_form(task):
        chat = {**task.environment.chat, "format_weight": 0.0}
        return replace(task, environment=replace(task.environment, chat=chat))

    other = replay_evaluation(tmp_path / "random", tmp_path / "other", pay_nothing_for_the_form, ReplayPlayer)
    assert other["tasks"]["text"]["greedy"]["return"] == results["tasks"]["text"]["greedy"]["return"] - 0.5
    assert other["tasks"]["text"]["greedy"]["success"] == results["tasks"]["text"]["greedy"]["success"]


def test_other_settings_do_not_go_on_in_the_same_folder(tmp_path: Path):
    play(tmp_path / "one", tiny("text", episodes=4), RandomPlayer())
    with pytest.raises(UserError, match="holds an evaluation with other settings"):
        play(tmp_path / "one", tiny("text", episodes=4), RandomPlayer(), seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UserError, match="something that is not an evaluation"):
        play(tmp_path / "mine", tiny("text", episodes=4), RandomPlayer())


def test_intervals_of_several_attempts_are_over_problems(tmp_path: Path):
    suite = replace(tiny("sokoban", episodes=20), attempts=4, modes=("sampled",))
    figures = play(tmp_path / "random", suite, RandomPlayer())["tasks"]["sokoban"]["sampled"]
    assert figures["problems"] == 20 and figures["attempts"] == 4 and figures["episodes"] == 80
    assert list(figures["pass_at"]) == ["1", "2", "4"]
    assert figures["pass_at"]["1"] == pytest.approx(figures["success"])
    assert figures["pass_at"]["4"] >= figures["pass_at"]["2"] >= figures["pass_at"]["1"]
    assert figures["interval"] != list(wilson_interval(round(80 * figures["success"]), 80))
