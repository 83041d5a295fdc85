"""Several agents on the same tasks, and the table of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.envs.football.engine.process import is_installed
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.comparison import compare, write_comparison
from lmmr1.evaluation.runner import EvaluationTask, evaluate

ROOT = Path(__file__).resolve().parent.parent.parent
SOKOBAN = EnvironmentConfig("LMMR1/Sokoban-v0", {"dim_room": (6, 6), "num_boxes": 1}, {"format_weight": 0.0})
TASKS = (EvaluationTask("sokoban", "game", SOKOBAN, episodes=3, max_turns=40),)


def figures(success: float | None, value: float | None, failed: int = 0) -> dict[str, Any]:
    return {"success": success, "return": value, "failed": failed}


def test_every_agent_plays_the_same_episodes() -> None:
    told: list[str] = []
    players = [ExpertPlayer(), RandomPlayer(), FixedPlayer("Up")]
    comparison = compare(players, TASKS, seed=2, on_agent=told.append)
    assert told == list(comparison["sokoban"]) == ["expert", "random", "Up"]
    assert comparison["sokoban"]["expert"]["success"] == 1.0 > comparison["sokoban"]["Up"]["success"]
    assert comparison["sokoban"]["random"] == evaluate(RandomPlayer(), TASKS, 2)["sokoban"]["greedy"]
    assert json.loads(json.dumps(comparison)) == comparison


def test_agents_need_different_names() -> None:
    with pytest.raises(ValueError, match="different names"):
        compare([RandomPlayer(), RandomPlayer()], TASKS, seed=0)


def test_the_table_by_hand() -> None:
    comparison = {
        "one": {"a": figures(1.0, 2.5), "b": figures(0.25, -1.0, failed=2)},
        "two": {"a": figures(0.5, 3.5), "b": figures(None, None, failed=4)},
    }
    assert write_comparison(comparison, "success").splitlines() == [
        "| task |   a |             b |",
        "|------|----:|--------------:|",
        "| one  | 100 | 25 (2 failed) |",
        "| two  |  50 |  - (4 failed) |",
        "| mean |  75 |            25 |",
    ]
    assert "3.00 |            -1.00 |" in write_comparison(comparison, "return").splitlines()[-1]
    assert write_comparison({"one": comparison["one"]}, "return").count("\n") == 2


@pytest.mark.skipif(
    not is_installed() and os.environ.get("LMMR1_REQUIRE_FOOTBALL") != "1",
    reason="the football engine is not installed: make football",
)
def test_the_example_of_footballs_players() -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "examples" / "football_players.py"), *options]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("--scenarios", "academy_empty_goal_close", "--measure", "success", "--episodes", "2")
    assert done.returncode == 0, done.stderr
    assert "| academy_empty_goal_close |    0 |" in done.stdout and done.stdout.rstrip().endswith("|        100 |")
    wrong = run("--scenarios", "academy_full_goal")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: there is no scenario 'academy_full_goal'")
