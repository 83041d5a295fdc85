"""In-process vLLM as a contestant of the rollout benchmark; the one file here that imports it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# One process and no compilation: on a CPU the fastest way to start, and no slower once it runs (measured).
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

import torch
from PIL import Image
from vllm import LLM, SamplingParams  # pyright: ignore[reportMissingImports]

from lmmr1.agents.engines.base import Request
from lmmr1.agents.models import LoadedModel


def start(loaded: LoadedModel, folder: Path) -> LLM:
    """An engine over the weights of `loaded`, which are written to `folder` for it; float32, one thread."""
    loaded.save(folder)
    engine = LLM(
        model=str(folder),
        dtype="float32",
        enforce_eager=True,
        max_model_len=512,
        limit_mm_per_prompt={"image": 1},
        distributed_executor_backend="uni",
        disable_log_stats=True,
    )
    torch.set_num_threads(1)
    return engine


def generate_with_vllm(
    engine: LLM, new_tokens: int, loaded: LoadedModel, requests: list[Request], ends: list[int]
) -> Callable[[], float]:
    """Sampling at temperature 1 with the log-probability of each sampled token kept."""
    mark = loaded.model.config.image_token_id
    prompts = []
    for request in requests:
        ids = request.prompt_ids.tolist()
        # vLLM expands image marks by itself: it wants one for each image.
        single = [token for at, token in enumerate(ids) if token != mark or ids[at - 1] != mark]
        prompt: dict = {"prompt_token_ids": single}
        if request.images:
            prompt["multi_modal_data"] = {"image": [Image.fromarray(image.image) for image in request.images]}
        prompts.append(prompt)
    sampling = SamplingParams(
        temperature=1.0, max_tokens=new_tokens, ignore_eos=True, stop_token_ids=ends, logprobs=0, detokenize=False
    )

    def work() -> float:
        outputs = engine.generate(prompts, sampling, use_tqdm=False)
        return float(sum(len(output.outputs[0].token_ids) for output in outputs))

    return work
