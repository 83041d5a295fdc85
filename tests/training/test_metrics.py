"""The rows of a run survive a kill, are cut back on resume, and hold nothing that is not JSON."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmmr1.envs.errors import UserError
from lmmr1.training.config import TrackingConfig
from lmmr1.training.records.metrics import MetricsWriter, read_metrics
from lmmr1.training.records.tags import TAGS


def test_rows_come_back(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path / "run") as writer:
        writer.write({"stage": "fre", "iteration": 0, "step": 7, "reward": 0.1 + 0.2, "accuracy/text": np.float32(0.5)})
        # On the disk at once, whatever happens to the program afterwards.
        assert len(read_metrics(tmp_path / "run")) == 1
        infinite = torch.tensor(float("inf"))
        writer.write({"stage": "fre", "kl": float("nan"), "loss": infinite, "note": "é", "list": [1, (2.5,)]})
        assert writer.rows == 2
    writer.close()  # twice does no harm
    first, second = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert first == {"stage": "fre", "iteration": 0, "step": 7, "reward": 0.1 + 0.2, "accuracy/text": 0.5}
    assert second == {"stage": "fre", "kl": None, "loss": None, "note": "é", "list": [1, [2.5]]}


def test_resume_cuts_back(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path) as writer:
        for step in range(5):
            writer.write({"step": step})
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 5, "rewa')
    assert [row["step"] for row in read_metrics(path)] == [0, 1, 2, 3, 4]  # the half-written line is left out
    with MetricsWriter(tmp_path, resume_rows=3) as writer:
        writer.write({"step": 3, "again": True})
    assert read_metrics(path) == [{"step": 0}, {"step": 1}, {"step": 2}, {"step": 3, "again": True}]


def test_fresh_start_removes_old_rows(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"old": 1}\n')
    with MetricsWriter(tmp_path) as writer:
        writer.write({"new": 1})
    assert read_metrics(tmp_path) == [{"new": 1}]


def test_resume_with_rows_missing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(UserError, match="has 0 whole rows, and the checkpoint was saved after 2"):
        MetricsWriter(tmp_path, resume_rows=2)
    path.write_text('{"step": 0}\n{"step": 1}')
    with pytest.raises(UserError, match="has 1 whole rows"):
        MetricsWriter(tmp_path, resume_rows=2)
    path.write_text('{"step": 0}\nnonsense\n{"step": 2}\n')
    before = path.read_bytes()
    with pytest.raises(UserError, match="has 1 whole rows"):
        MetricsWriter(tmp_path, resume_rows=3)
    assert path.read_bytes() == before


def test_reading_what_is_no_metrics_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the metrics"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"a": 1}\n[1]\n')
    with pytest.raises(UserError, match="line 2: not a JSON object"):
        read_metrics(tmp_path)


def _board_points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder))
    board.Reload()
    return {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def test_tensorboard_shows_the_rows_and_forgets_what_was_cut_off(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path) as writer:
        for step in range(4):
            row = {"stage": "fre", "iteration": step, "step": step, "reward": 1.0 + step}
            writer.write({**row, "word": "x", "kl": None})
    with MetricsWriter(tmp_path, resume_rows=2) as writer:
        for step in (2, 3):
            writer.write({"stage": "fre", "iteration": step, "step": step, "reward": 10.0 + step})
    points = {"charts/episodic_return": [(0, 1.0), (1, 2.0), (2, 12.0), (3, 13.0)]}
    assert _board_points(tmp_path / "tensorboard") == points


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("tensorboard"):
            raise ImportError("No module named 'tensorboard'")
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with MetricsWriter(tmp_path) as writer:
        assert writer.tensorboard_problem is not None and "lmmr1[train]" in writer.tensorboard_problem
        writer.write({"step": 0})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 0}


class Tracker:
    """Stands in for wandb: keeps what it is told."""

    def __init__(self) -> None:
        self.settings: list[dict[str, Any]] = []
        self.points: list[tuple[int, dict[str, float]]] = []
        self.finished = 0

    def init(self, **settings: Any) -> Tracker:
        self.settings.append(settings)
        return self

    def log(self, scalars: dict[str, float], step: int) -> None:
        self.points.append((step, scalars))

    def finish(self) -> None:
        self.finished += 1


def test_weights_and_biases_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker()
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    tracking = TrackingConfig(tensorboard=False, wandb="offline", project="mine")
    for rows in (0, 1, 0):
        with MetricsWriter(tmp_path / "run", rows, tracking) as writer:
            writer.write({"stage": "fre", "step": rows, "reward": 0.5, "clip_fraction": 0.1, "word": "x"})
    expected = {"charts/episodic_return": 0.5, "losses/clipfrac": 0.1}
    assert tracker.points == [(0, expected), (1, expected), (0, expected)]
    assert tracker.finished == 3 and not (tmp_path / "run" / "tensorboard").exists()
    first, resumed, fresh = tracker.settings
    assert first["id"] == resumed["id"] != fresh["id"]
    assert (first["mode"], first["project"], first["resume"]) == ("offline", "mine", "allow")
    assert first["dir"] == str(tmp_path / "run")


def test_every_tag_names_a_documented_key() -> None:
    page = (Path(__file__).parents[2] / "docs/run-folder.md").read_text(encoding="utf-8")
    for key, tag in TAGS.items():
        assert f"`{key}`" in page and f"`{tag}`" in page, key
