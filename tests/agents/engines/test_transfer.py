"""The ways by which weights reach vLLM: each of them, with an adapter that is added in on the way; other families."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.vllm.engine import VLLMEngine
from lmmr1.agents.engines.vllm.requirements import SHARED_MEMORY
from lmmr1.agents.engines.vllm.transfer import ByFile, ByProtocol, Direct, weights_of
from lmmr1.agents.models import LoadedModel, load_model, with_adapter
from lmmr1.agents.networks.lora import Adapter, merged_state

from ..models import random_tiny, save_family
from .parity import largest_gap, perturb, picture_requests, text_requests

pytestmark = pytest.mark.stack("vllm")
ROUNDING = 1e-5
BACKEND = "a_file_of_the_tests"


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return with_adapter(random_tiny(heads=3), Adapter(4, 8.0, ("q_proj", "down_proj", "model.visual.*.qkv")), 0)


def register(place: Path, calls: list[str]) -> type:
    """A backend of vLLM's weight transfer that goes through a file; the description of its sender."""
    from vllm.distributed.weight_transfer.base import (
        TrainerInitInfo,
        TrainerWeightTransferEngine,
        WeightTransferEngine,
        WeightTransferInitInfo,
        WeightTransferUpdateInfo,
    )
    from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory, WeightTransferTrainerFactory
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

    @dataclass
    class Init(WeightTransferInitInfo):
        rank_offset: int

    @dataclass
    class Update(WeightTransferUpdateInfo):
        names: list[str]

    class Receiver(WeightTransferEngine):
        init_info_cls, update_info_cls = Init, Update

        def init_transfer_engine(self, init_info: Init) -> None:
            calls.append(f"init {init_info.rank_offset}")

        def start_weight_update(self) -> None:
            calls.append("start")
            initialize_layerwise_reload(self.model)

        def update_weights(self, update_info: dict[str, Any]) -> None:
            calls.append("update")
            self.receive_weights(self.parse_update_info(update_info))

        def receive_weights(self, update_info: Update) -> None:
            tensors = load_file(place)
            load: Any = self.model.load_weights
            load((name, tensors[name]) for name in update_info.names)

        def finish_weight_update(self) -> None:
            calls.append("finish")
            finalize_layerwise_reload(self.model, self.model_config)

        def shutdown(self) -> None:
            calls.append("shutdown")

    @dataclass
    class Description(TrainerInitInfo):
        backend: ClassVar[str] = BACKEND
        processes: int = 0

    class Sender(TrainerWeightTransferEngine):
        init_info_cls = Description

        @classmethod
        def trainer_init(cls, init_info: Description, *, client: Any, source: Any = None) -> Any:
            client.init_weight_transfer_engine({"rank_offset": init_info.processes - 1})
            return cls(client=client, source=source)

        def send_weights(self) -> None:
            assert self.source is not None
            declared = self.source.metadata()
            save_file({name: value.contiguous() for name, value in self.source}, place)
            self.client.start_weight_update()
            self.client.update_weights({"names": [one.name for one in declared]})
            self.client.finish_weight_update()

    WeightTransferEngineFactory.register_engine(BACKEND, Receiver)
    WeightTransferTrainerFactory.register_engine(BACKEND, Sender)
    return Description


@pytest.fixture(scope="module")
def engine(loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VLLMEngine, dict, list]]:
    from lmmr1.agents.engines.vllm import engine as module

    calls: list[str] = []
    description = register(tmp_path_factory.mktemp("backend") / "weights", calls)
    start = module.start
    with pytest.MonkeyPatch.context() as patch:
        # Of vLLM's own backends none works on a CPU.
        patch.setattr(module, "start", lambda *arguments: start(*arguments[:5], BACKEND))  # pyright: ignore[reportCallIssue]
        engine = open_engine(loaded, EngineConfig("vllm", kv_cache_gib=0.25), 1024, 64)
    assert isinstance(engine, VLLMEngine)
    ways = {
        "memory": Direct(engine.llms),
        "file": ByFile(engine.llms),
        "protocol": ByProtocol(engine.llms, loaded, 1, lambda count: description(rank=0, processes=count)),
    }
    yield engine, ways, calls
    engine.close()


@pytest.mark.parametrize("way", ["memory", "file", "protocol"])
def test_weights_arrive(engine: tuple[VLLMEngine, dict, list], loaded: LoadedModel, way: str) -> None:
    vllm, ways, calls = engine
    vllm.transfer = ways[way]
    assert calls[0] == "init 1", "the sender comes first"
    calls.clear()
    stale = SHARED_MEMORY / f"lmmr1-weights-{2**22 + 1}"  # of a process that was killed: no number is so large
    stale.write_bytes(b"")
    requests = text_requests(loaded, 4) + picture_requests(loaded)
    for version in range(2):
        perturb(loaded, version, 0.5)
        before = vllm.generate(requests, Sampling(16))
        assert largest_gap(loaded, requests, before) > 0.01
        vllm.update_weights(version)
        assert largest_gap(loaded, requests, vllm.generate(requests, Sampling(16))) < ROUNDING
    assert calls == (["start", "update", "finish"] * 2 if way == "protocol" else [])
    assert not (SHARED_MEMORY / f"lmmr1-weights-{os.getpid()}").exists()
    assert stale.exists() == (way != "file")
    stale.unlink(missing_ok=True)
    calls.insert(0, "init 1")


def test_an_adapter_is_part_of_the_weights(loaded: LoadedModel) -> None:
    with torch.no_grad():
        sent, merged = dict(weights_of(loaded)), merged_state(loaded.model)
    plain = random_tiny(heads=3)
    assert list(sent) == [name for name, _ in plain.model.named_parameters()]
    assert all(torch.equal(value, merged[name]) for name, value in sent.items())


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen3"])
def test_other_families(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path, heads=2)
    loaded = load_model(str(tmp_path))
    engine = open_engine(loaded, EngineConfig("vllm", kv_cache_gib=0.25, prefix_caching=False), 1024, 16)
    assert engine is not None
    try:
        requests = text_requests(loaded, 4) + (picture_requests(loaded) if loaded.images is not None else [])
        assert largest_gap(loaded, requests, engine.generate(requests, Sampling(16))) < ROUNDING
        perturb(loaded, 0)
        engine.update_weights(1)
        assert largest_gap(loaded, requests, engine.generate(requests, Sampling(16, 0.7)), 0.7) < ROUNDING
    finally:
        engine.close()
