"""The tiny model plays football through the same harness as everything else: each stage of its recipe, a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmmr1.envs.football.engine.process import is_installed
from lmmr1.training.collection.playing import make_pool
from lmmr1.training.recipe import load_recipe

needs_engine = pytest.mark.skipif(
    not is_installed() and os.environ.get("LMMR1_REQUIRE_FOOTBALL") != "1",
    reason="the football engine is not installed: make football",
)


def test_its_engines_are_in_worker_processes() -> None:
    stage = load_recipe("football_tiny").stages["football"]
    pool = make_pool(stage.collection, stage.environments)
    assert pool is not None
    sokoban = load_recipe("tiny_sokoban").stages["mgt_sokoban"]
    assert make_pool(sokoban.collection, sokoban.environments) is None


@needs_engine
def test_each_stage_takes_a_step(tmp_path: Path) -> None:
    small = {
        "stages.imitation.sft.steps": 2,
        "stages.imitation.sft.batch_size": 4,
        "stages.football.iterations": 1,
        "stages.football.rollout.groups": 2,
        "stages.football.rollout.group_size": 2,
        "stages.football.rollout.max_turns": 3,
        "evaluation.tasks.academy.episodes": 2,
        "evaluation.tasks.academy.max_turns": 2,
        "evaluation.tasks.magebench.episodes": 2,
        "evaluation.tasks.magebench.max_turns": 2,
        "films": 0,
    }
    options = [word for key, value in small.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "lmmr1", "train", "football_tiny", "--run-dir", str(tmp_path / "run"), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    evaluations = json.loads((tmp_path / "run" / "summary.json").read_text())["evaluations"]
    assert len(evaluations) == 3
    for evaluation in evaluations:
        figures = evaluation["tasks"]["magebench"]["greedy"]
        assert figures["episodes"] == 2 and figures["failed"] == 0 and figures["return"] is not None
