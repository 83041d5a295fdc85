"""A run that is killed and resumed ends as the one that nobody stopped, to the last bit.

Two kill points by default. For more, set LMMR1_KILL_POINTS (each two cost three processes, about 25 CPU-seconds), and
LMMR1_KILL_SEED to draw others:

    LMMR1_KILL_POINTS=20 LMMR1_KILL_SEED=7 pytest tests/training/test_resume.py
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lmmr1 import cli
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.training.recipe import dump_recipe, read_recipe
from lmmr1.training.records.checkpoint import Checkpoint, save_checkpoint
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from .conftest import WholeRun
from .small_run import RECIPE, results

POINTS = int(os.environ.get("LMMR1_KILL_POINTS", "2"))
SEED = int(os.environ.get("LMMR1_KILL_SEED", "0"))
FRACTIONS = np.random.default_rng(SEED).random(POINTS)
# Each run is killed twice: at its earlier point, and while it goes on from there.
ATTEMPTS = [sorted(FRACTIONS[i : i + 2].tolist()) for i in range(0, POINTS, 2)]


class StoppedError(Exception):
    """The run was stopped by this test."""


def is_complete(folder: Path) -> bool:
    return (folder / "summary.json").exists()


def start(recipe: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Train in a process of its own; returns when the work begins, which its first line on standard error tells."""
    command = [sys.executable, "-m", "lmmr1", "train", str(recipe), "--run-dir", str(folder), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(("evaluating start", "stage ")), line
    return process


def finish(process: subprocess.Popen[str]) -> int:
    """Read to the end, so that a full pipe stops nobody; returns the exit status."""
    with process:
        process.communicate()
    return process.returncode


@pytest.mark.parametrize("fractions", ATTEMPTS, ids=lambda points: "-".join(f"{point:.0%}" for point in points))
def test_a_killed_and_resumed_run_is_the_same_run(fractions: list[float], whole_run: WholeRun, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "small.yaml", tmp_path / "run"
    recipe.write_text(RECIPE, encoding="utf-8")
    done, words = 0.0, []
    for fraction in fractions:
        if is_complete(folder):  # faster than the run that was measured
            break
        process = start(recipe, folder, *words)
        time.sleep((fraction - done) * whole_run.seconds)
        process.send_signal(signal.SIGKILL)
        finish(process)
        done, words = fraction, ["--resume"]
    if not is_complete(folder):
        assert finish(start(recipe, folder, "--resume")) == 0
    expected, found = results(whole_run.folder), results(folder)
    for name in expected:
        assert found[name] == expected[name], name


def test_resuming_from_the_middle_of_every_stage(whole_run: WholeRun, tmp_path: Path) -> None:
    """The same without chance: stopped by an error in the middle of each stage, between two, and after the last."""
    config = read_recipe(RECIPE)

    for stop in range(2, 13, 2):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(stop))
            train(config, tmp_path, evaluate_policy, resume=stop > 2)
    train(config, tmp_path, evaluate_policy, resume=True)
    expected, found = results(whole_run.folder), results(tmp_path)
    for name in expected:
        assert found[name] == expected[name], name


def only_words(folder: Path) -> list[str]:
    """The command that trains the first stage alone."""
    recipe = read_recipe(RECIPE, [("evaluation.every", "0")])
    recipe = dataclasses.replace(recipe, stages={"words": recipe.stages["words"]})
    (folder / "words.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    return ["train", str(folder / "words.yaml"), "--run-dir", str(folder / "run")]


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ") and not any("Traceback" in line for line in lines)
    return lines[-1]


@pytest.mark.parametrize("limit", [1_000_000, 2_000_000], ids=["first checkpoint", "checkpoint in a stage"])
def test_a_full_disk_costs_nothing_but_time(
    limit: int, whole_run: WholeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    words = only_words(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # a larger file is met as a full disk is
        assert cli.main(words) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    line = error_of(capsys)
    assert "cannot write the checkpoint" in line
    assert line.endswith(f"make room, then go on with: lmmr1 {' '.join(words)} --resume")
    assert not list(tmp_path.rglob(".saving*"))
    assert cli.main([*words, "--resume"]) == 0
    assert_same_words(tmp_path / "run", whole_run.folder)


def test_a_damaged_checkpoint_names_the_one_before(
    whole_run: WholeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, run = only_words(tmp_path), tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(2))
        cli.main(words)
    capsys.readouterr()
    older, newest = sorted((run / "checkpoints").iterdir())
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    before = sorted(run.rglob("*"))
    assert cli.main([*words, "--resume"]) == 2
    line = error_of(capsys)
    assert f"{newest} cannot be used: model.safetensors is damaged" in line
    assert f"{older.name} is whole: run 'rm -r {newest}' and then the same command with --resume" in line
    assert sorted(run.rglob("*")) == before
    shutil.rmtree(newest)
    assert cli.main([*words, "--resume"]) == 0
    assert_same_words(run, whole_run.folder)


def assert_same_words(run: Path, whole: Path) -> None:
    """The stage that both runs have ended alike."""
    for name in ("models/words/model.safetensors", "episodes/words/episodes.jsonl"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    rows = [[row["reward"] for row in read_metrics(folder) if row["stage"] == "words"] for folder in (run, whole)]
    assert rows[0] == rows[1]


def stopping_after(rows: int):
    """`save_checkpoint`, but the one after so many iterations is the last thing that happens."""

    def save(folder: Path, name: str, checkpoint: Checkpoint) -> None:
        save_checkpoint(folder, name, checkpoint)
        if int(name) == rows:
            raise StoppedError

    return save
