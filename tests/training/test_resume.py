"""A run that is killed and resumed ends as the one that nobody stopped, to the last bit.

Two kill points by default. For more, set LMMR1_KILL_POINTS (each two cost three processes, about 25 CPU-seconds), and
LMMR1_KILL_SEED to draw others:

    LMMR1_KILL_POINTS=20 LMMR1_KILL_SEED=7 pytest tests/training/test_resume.py
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lmmr1 import cli
from lmmr1.agents.episode import load_episodes
from lmmr1.agents.models import load_model
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.envs.errors import UserError
from lmmr1.training.recipe import dump_recipe, read_recipe
from lmmr1.training.records.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
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


def test_a_changed_recipe_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, run = only_words(tmp_path), tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(2))
        cli.main(words)
    changed = ["--stages.words.optimizer.learning_rate", "0.01", "--stages.words.iterations", "4"]
    assert cli.main([*words, *changed, "--allow-changes"]) == 2
    assert "--allow-changes has a meaning with --resume only" in error_of(capsys)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert cli.main([*words, "--resume", *changed]) == 2
    line = error_of(capsys)
    assert "stages.words.iterations: 3 and now 4; stages.words.optimizer.learning_rate: 6e-05 and now 0.01" in line
    assert "add --allow-changes to go on with these" in line
    # What the checkpoint holds cannot become another thing.
    for key, value, reason in [
        ("model", "tiny-random", "model.path cannot change on --resume, since the checkpoint holds that model"),
        ("stages.words.ppo.estimator", "gae", "stages.words: the checkpoint holds nothing of 'critic'"),
    ]:
        assert cli.main([*words, "--resume", "--allow-changes", f"--{key}", value]) == 2
        assert reason in error_of(capsys)
    (run / "recipe.yaml").write_bytes(before[run / "recipe.yaml"])
    assert {path: path.read_bytes() for path in before} == before
    assert cli.main([*words, "--resume", *changed, "--allow-changes"]) == 0
    rows = read_metrics(run)
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    assert [row["learning_rate"] > 1e-4 for row in rows] == [False, False, True, True]
    summary = json.loads((run / "summary.json").read_bytes())
    values = {"stages.words.iterations": [3, 4], "stages.words.optimizer.learning_rate": [6e-5, 0.01]}
    assert summary["changes"] == [{"step": 2, "values": values}]
    assert "learning_rate: 0.01" in (run / "recipe.yaml").read_text(encoding="utf-8")


def test_the_best_checkpoint_outlives_newer_ones(tmp_path: Path) -> None:
    """Kept by a metric, whether or not the run is stopped on the way; `models/best` holds its weights."""
    settings = [("checkpoints.best_by", "learning_rate"), ("checkpoints.largest", "false"), ("checkpoints.keep", "1")]
    recipe = read_recipe(RECIPE, [("evaluation.every", "0"), *settings])
    recipe = dataclasses.replace(recipe, stages={"words": recipe.stages["words"]})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    summary = train(recipe, whole, evaluate_policy)
    # The warm-up makes the first iteration's learning rate the smallest.
    assert summary["best"]["step"] == 1
    assert [path.name for path in sorted((whole / "checkpoints").iterdir())] == ["000002-0000001", "000004-0000003"]
    kept = load_file(whole / "checkpoints/000002-0000001/model.safetensors")
    best = load_model(str(whole / "models/best"))
    assert all(torch.equal(parameter, kept[name]) for name, parameter in best.model.named_parameters())
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(2))
        train(recipe, stopped, evaluate_policy)
    train(recipe, stopped, evaluate_policy, resume=True)
    assert results(stopped) == results(whole)
    assert {path.name for path in (stopped / "checkpoints").iterdir()} == {"000002-0000001", "000004-0000003"}


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("evaluation/image/greedy/solved", "start has no figure 'evaluation/image/greedy/solved'; it has evaluation/"),
        ("rewards", "words has no figure 'rewards'; it has episodes, "),
    ],
)
def test_a_best_by_what_there_is_not(figure: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        train(read_recipe(RECIPE, [("checkpoints.best_by", figure)]), tmp_path, evaluate_policy)
    assert read_metrics(tmp_path) == []


def test_training_episodes_are_kept_when_asked_for(tmp_path: Path) -> None:
    settings = [("evaluation.every", "0"), ("tracking.episodes_every", "2"), ("tracking.episodes", "3")]
    recipe = read_recipe(RECIPE, settings)
    stages = {name: recipe.stages[name] for name in ("critic", "copy")}
    train(dataclasses.replace(recipe, stages=stages), tmp_path, evaluate_policy)
    assert [path.name for path in (tmp_path / "episodes/critic-training").iterdir()] == ["00002"]
    assert not (tmp_path / "episodes/copy-training").exists()
    kept = load_episodes(tmp_path / "episodes/critic-training/00002")
    assert len(kept) == 3
    for turn in (turn for episode in kept for turn in episode.turns):
        assert turn.credit is not None and turn.credit.values is not None
        assert len(turn.credit.advantages) == len(turn.credit.values) == len(turn.reply_ids)
        assert turn.credit.learned.all() and turn.credit.returns[-1] == pytest.approx(turn.reward, abs=0.1)
    judged = load_episodes(tmp_path / "episodes/critic")
    assert all(turn.credit is None for episode in judged for turn in episode.turns)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = only_words(tmp_path)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(1))
        cli.main(words)
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    tensors = load_file(newest / "model.safetensors")
    tensors["model.language_model.norm.weight"] = torch.ones(64)
    tensors.pop("model.visual.merger.ln_q.weight")
    checkpoint = load_checkpoint(newest)
    checkpoint.tensors["model"] = tensors
    save_checkpoint(tmp_path / "run/checkpoints", "other", checkpoint)
    assert cli.main([*words, "--resume"]) == 2
    line = error_of(capsys)
    assert "the checkpoint holds another model than model.path names (model.language_model.norm.weight is (64,)" in line


def assert_same_words(run: Path, whole: Path) -> None:
    """The stage that both runs have ended alike."""
    for name in ("models/words/model.safetensors", "episodes/words/episodes.jsonl"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    rows = [[row["reward"] for row in read_metrics(folder) if row["stage"] == "words"] for folder in (run, whole)]
    assert rows[0] == rows[1]


def stopping_after(rows: int):
    """`save_checkpoint`, but the one after so many iterations is the last thing that happens."""

    def save(folder: Path, name: str, checkpoint: Checkpoint, keep: int, spared: str | None) -> None:
        save_checkpoint(folder, name, checkpoint, keep, spared)
        if int(name) == rows:
            raise StoppedError

    return save
