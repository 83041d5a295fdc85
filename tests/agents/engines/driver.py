"""A process that opens vLLM over two more, says what it saw in one line of JSON, and waits to be ended."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import psutil
import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.vllm.engine import VLLMEngine
from lmmr1.agents.models import load_model

from .parity import largest_gap, perturb, picture_requests, text_requests


def main() -> None:
    """Arguments: a model folder, the devices of a copy, and whether to close the engine."""
    folder, devices, close = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "close"
    torch.set_num_threads(1)
    loaded = load_model(folder)
    before = dict(os.environ)
    engine = open_engine(loaded, EngineConfig("vllm", devices, separate=True, kv_cache_gib=0.25), 1024, 16)
    assert isinstance(engine, VLLMEngine)
    changed = {k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k) and not k.startswith("VLLM_")}
    requests = text_requests(loaded, 4) + picture_requests(loaded)
    gaps = [largest_gap(loaded, requests, engine.generate(requests, Sampling(16)))]
    perturb(loaded, 0)
    engine.update_weights(3)
    completions = engine.generate(requests, Sampling(16, 0.7))
    gaps.append(largest_gap(loaded, requests, completions, 0.7))
    stopped = engine.generate(requests, Sampling(16, stop=("e", "a", "1")))
    children = psutil.Process().children(recursive=True)
    told = {
        "gaps": gaps,
        "versions": sorted({completion.version for completion in completions}),
        "lengths": [sum(len(one.ids) for one in batch) for batch in (completions, stopped)],
        "processes": [child.pid for child in children if "VLLM" in " ".join(child.cmdline())],
        "environment": sorted(changed),
        "distributed": torch.distributed.is_initialized(),
    }
    if close:
        engine.close()
    Path(sys.argv[4]).write_text(json.dumps(told), encoding="utf-8")
    print("told", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
