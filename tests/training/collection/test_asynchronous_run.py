"""Whole runs that play while they learn: they learn, survive their environments, and go on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lmmr1.training.recipe import dump_recipe, read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from .test_containment import ENVS, ITERATIONS, RECIPE, TURNS, expected_faults, no_evaluation

ASYNCHRONOUS = [("stages.digits.collection.asynchronous.max_staleness", "1"), ("stages.digits.correction.kind", "mask")]
CALM = [
    ("stages.digits.environments.0.kwargs.rate", "0.0"),
    ("stages.digits.collection.workers", "2"),
    ("checkpoint_every", "2"),
]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


def test_a_run_learns_while_it_plays_and_survives_its_environments(tmp_path: Path) -> None:
    """The same starts break in the same way as in step; only when they are learned from may differ."""
    expected = expected_faults()
    train(read_recipe(RECIPE, ASYNCHRONOUS), tmp_path, no_evaluation)
    rows = read_metrics(tmp_path)
    assert len(rows) == ITERATIONS
    failures = json.loads((tmp_path / "summary.json").read_text())["failures"]["digits"]
    found = Counter((row["env_seed"], row["turn"], row["kind"]) for row in failures["incidents"])
    assert found == Counter({key[1:]: count for key, count in expected.items()})
    assert sum(row["failed_episodes"] for row in rows) == failures["failed_episodes"] == expected.total()
    rewards = [row["reward"] / TURNS for row in rows]
    assert rewards[0] < 0.3 and sum(rewards[-3:]) / 3 > rewards[0] + 0.3
    assert {row["staleness_max"] for row in rows} == {0.0, 1.0}
    assert all(row["mismatch"] > 0 for row in rows[3:])  # old weights sampled, and that was corrected for


def left_over(mark: str) -> list[int]:
    """The processes whose environment holds `mark`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended, or is a zombie
    return found


def start(folder: Path, mark: str, *words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ENVS, *sys.path]), "LMMR1_TEST_MARK": mark}
    command = [sys.executable, "-m", "lmmr1", "train", str(folder / "recipe.yaml"), "--run-dir", str(folder / "run")]
    return subprocess.Popen([*command, *words], env=environment, stderr=subprocess.DEVNULL)


def wait_for_rows(folder: Path, count: int) -> None:
    file = folder / "run" / "metrics.jsonl"
    for _ in range(1200):
        if file.exists() and len(file.read_bytes().splitlines()) >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"no {count} rows within a minute")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes as Linux shows them")
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    """Killed once and interrupted once, each time with episodes in flight."""
    (tmp_path / "recipe.yaml").write_text(dump_recipe(read_recipe(RECIPE, [*ASYNCHRONOUS, *CALM])), encoding="utf-8")
    mark = f"mark-{os.getpid()}-{time.time_ns()}"
    words: list[str] = []
    for rows, sign, status in ((3, signal.SIGKILL, -signal.SIGKILL), (7, signal.SIGINT, 130)):
        run = start(tmp_path, mark, *words)
        wait_for_rows(tmp_path, rows)
        assert len(left_over(mark)) == 3  # it and two workers
        run.send_signal(sign)
        assert run.wait(60) == status
        for _ in range(100):
            if not left_over(mark):
                break
            time.sleep(0.05)
        assert not left_over(mark)
        words = ["--resume"]
    assert start(tmp_path, mark, "--resume").wait(120) == 0
    rows = read_metrics(tmp_path / "run")
    assert [row["iteration"] for row in rows] == list(range(1, ITERATIONS + 1))
    assert all(row["episodes"] == 32 and row["staleness_max"] <= 1 for row in rows)
    assert not left_over(mark)
