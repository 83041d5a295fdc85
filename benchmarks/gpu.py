"""One PPO iteration of a 3B model on a GPU: tokens per second, share of the GPU's own matrix rate, and memory.

The shape of Qwen2.5-VL-3B with random weights, bfloat16 with float32 master weights, gradient checkpointing, a
reference model, groups of 8 over questions with a picture, replies of a fixed length, two optimizer steps. Model FLOPs
count every token of every row once (a prompt that a group shares once for each row, though it is run once), and no
recomputation.
The rollout stands beside the same engine without recorded steps and beside `transformers`' generate, each in turn.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

import torch
from contest import finish, parse_arguments
from harness import SHAPES, Letters, count_digits  # noqa: F401  # registers the world
from matmul_floor import useful_flops
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from lmmr1.agents.engines.base import Request, Sampling
from lmmr1.agents.engines.device import steps as device_steps
from lmmr1.agents.models import LoadedModel, assemble
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.tiny import build_tokenizer
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.backends.process import use_determinism
from lmmr1.training.config import KLConfig, OptimizerConfig, PPOConfig, RolloutConfig, RunConfig, StageConfig
from lmmr1.training.model import with_settings
from lmmr1.training.ppo import PPOTrainer
from lmmr1.training.stages import PPOStage

SEED, SIDE = 0, 448
LARGE = {"layers": 36, "hidden": 2048, "inner": 11_008, "heads": 16, "depth": 32, "vocabulary": 151_936}
# To try the script on a CPU.
SMALL = {"layers": 2, "hidden": 128, "inner": 256, "heads": 2, "depth": 2, "vocabulary": 1_024}


def build(shape: dict[str, int], device: str) -> LoadedModel:
    """A model of the shape with random weights, and the tokenizer of the tiny one."""
    tokenizer = build_tokenizer()
    ids = tokenizer.get_vocab()
    dim = shape["hidden"] // shape["heads"]
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": shape["vocabulary"],
            "hidden_size": shape["hidden"],
            "intermediate_size": shape["inner"],
            "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"],
            "num_key_value_heads": 2,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [dim // 8, dim * 3 // 16, dim * 3 // 16],
            },
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
        },
        vision_config={
            "depth": shape["depth"],
            "hidden_size": 1280 if shape is LARGE else 64,
            "num_heads": 16 if shape is LARGE else 4,
            "intermediate_size": 3420 if shape is LARGE else 96,
            "out_hidden_size": shape["hidden"],
            "fullatt_block_indexes": [depth for depth in (7, 15, 23, 31) if depth < shape["depth"]],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(SEED)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    model.tie_weights()
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": SIDE * SIDE})
    loaded = assemble(model.eval(), tokenizer, processor, "3B")
    # Nothing that ends a reply can be sampled; all ids of the model can, as a real tokenizer's would be.
    nothing = ids["<|endoftext|>"]
    speakable = tuple(index for index in loaded.banned_ids if index < len(tokenizer))
    return replace(loaded, end_ids=(nothing,), banned_ids=speakable)


def world() -> EnvironmentConfig:
    """Questions with a picture of 256 tokens, paid by the share of digits in the reply."""
    kwargs = {"families": SHAPES, "world": "LMMR1/Geometry-v0", "size": SIDE, "style": "slate"}
    return EnvironmentConfig("Harness/Letters-v0", kwargs, {"instructions": "brief", "reply_format": "plain"})


class Clock:
    """Seconds by part, by the clock, with the GPU's work done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, part: str, work: Callable, then: Callable[[Any], None] = lambda _: None) -> Callable:
        """`work`, timed."""

        def run(*arguments: Any, **options: Any) -> Any:
            began = now()
            result = work(*arguments, **options)
            self.seconds[part] = self.seconds.get(part, 0.0) + now() - began
            then(result)
            return result

        return run


def now() -> float:
    """The time at which all that was asked of the GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: str) -> float:
    """FLOP per second of a large product in bfloat16."""
    side = 8192 if device == "cuda" else 512
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(12):
        began = now()
        torch.mm(left, right)
        times.append(now() - began)
    return 2 * side**3 / statistics.median(times[2:])


def make_stage(loaded: LoadedModel, groups: int, new_tokens: int, microbatch: int) -> PPOStage:
    """The stage of a recipe."""
    network = with_settings(loaded.network, loaded.model, checkpointing=True)
    stage = StageConfig(
        kind="ppo",
        help="the benchmark",
        iterations=10,
        environments=[world()],
        rollout=RolloutConfig(groups, 8, new_tokens, max_turns=1),
        ppo=PPOConfig(minibatches=2),
        optimizer=OptimizerConfig(learning_rate=1e-6, warmup=1, minibatch_unit="group", microbatch_tokens=microbatch),
        kl=KLConfig(coefficient=1e-3, placement="loss", estimator="k3"),
        freeze=("model.visual.*",),
    )
    recipe = RunConfig(name="gpu", help="the benchmark", seed=SEED, stages={"learn": stage})
    return PPOStage(PolicyAgent(replace(loaded, network=network), Sampling(1)), recipe, "learn")


def iterate(stage: PPOStage, clock: Clock, iterations: int, rate: float) -> dict[str, float]:
    """Whole iterations; the figures of the last."""
    kept: list[Any] = []
    collector, trainer = stage.collector, stage.trainer
    collector.collect = clock.timed("rollout", collector.collect, lambda collected: kept.append(collected))
    assert isinstance(trainer, PPOTrainer)
    trainer._reference = clock.timed("reference", trainer._reference)
    metrics: dict[str, Any] = {}
    whole = 0.0
    for number in range(iterations):
        clock.seconds.clear()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        began = now()
        metrics = dict(stage.iterate(number) or {})
        whole = now() - began
        print(f"  iteration {number}: {whole:.2f} s", {k: round(v, 2) for k, v in clock.seconds.items()}, flush=True)
    episodes = kept[-1].episodes
    flops = useful_flops(episodes, stage.policy)
    seconds = {**clock.seconds, "update": whole - sum(clock.seconds.values())}
    replied = sum(episode.num_reply_tokens for episode in episodes)
    tokens = replied + sum(len(episode.turns[0].prompt_ids) for episode in episodes)
    figures = {
        "iteration_seconds": whole,
        "tokens_per_second": tokens / whole,
        "rollout_reply_tokens_per_second": replied / seconds["rollout"],
        "reference_tokens_per_second": tokens / seconds["reference"],
        "update_tokens_per_second": tokens / seconds["update"],
        "model_flops_share_iteration": sum(flops.values()) / whole / rate,
        **{f"model_flops_share_{part}": flops[part] / seconds[part] / rate for part in flops},
        **{f"{part}_seconds": seconds[part] for part in flops},
        "samples": float(len(episodes)),
        "prompt_tokens": float(len(episodes[0].turns[0].prompt_ids)),
        "reply_tokens": replied / len(episodes),
    }
    for name in ("mismatch", "mismatch_max"):
        if name in metrics:
            figures[name] = float(metrics[name])
    if torch.cuda.is_available():
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


def rollouts(stage: PPOStage, groups: int, new_tokens: int) -> dict[str, float]:
    """Reply tokens per second of three ways to sample the same requests."""
    policy = stage.policy
    env = world().make()
    requests: list[Request] = []
    for group in range(groups):
        messages, _ = env.reset(seed=group)
        ids, images = policy.template.first(messages)
        requests += [Request(ids, tuple(images), (group, sample)) for sample in range(8)]
    env.close()
    rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], policy.loaded.pad_id)
    generic = GenericNetwork(policy.loaded.model)

    short = max(new_tokens // 2, 1)

    def generate() -> int:
        inputs = generic.inputs(rows, left=True)
        with torch.no_grad():
            ids = policy.loaded.model.generate(  # pyright: ignore[reportCallIssue]
                **inputs, do_sample=True, top_k=0, top_p=1.0, min_new_tokens=short, max_new_tokens=short
            )
        return (ids.shape[1] - rows.ids.shape[1]) * len(ids)

    def ours(worth: int) -> int:
        device_steps.WORTH_RECORDING = worth
        completions = policy.engine.generate(requests, Sampling(new_tokens))
        return sum(len(completion.ids) for completion in completions)

    ways: dict[str, Callable[[], int]] = {
        "recorded": lambda: ours(8),
        "one_by_one": lambda: ours(10**9),
        "transformers": generate,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2):
        for name, sample in ways.items():
            began = now()
            count = sample()
            rates[name].append(count / (now() - began))
            print(f"  {name}: {rates[name][-1]:.0f} reply tokens a second", flush=True)
    best = {name: max(found) for name, found in rates.items()}
    return {
        **{f"{name}_tokens_per_second": rate for name, rate in best.items()},
        "recorded_vs_one_by_one": best["recorded"] / best["one_by_one"],
        "recorded_vs_transformers": best["recorded"] / best["transformers"],
    }


def main() -> None:
    """Run and print."""
    options = parse_arguments(__doc__ or "")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    use_determinism(1)
    if device == "cpu" and not options.quick:
        print("this machine has no GPU: only --quick runs here, on a small model, and says nothing of speed")
        finish({}, options.json)
        return
    large = device == "cuda"
    groups, new_tokens, microbatch = (16, 512, 16_384) if large else (2, 16, 2_048)
    figures: dict[str, float | None] = {}
    name = f"{torch.cuda.get_device_name()}, torch {torch.__version__}" if large else "CPU"
    print(name)
    rate = matrix_rate(device)
    print(f"bfloat16 products: {rate / 1e12:.0f} TFLOP/s")
    figures["matmul_tflops"] = rate / 1e12
    loaded = build(LARGE if large else SMALL, device)
    stage = make_stage(loaded, groups, new_tokens, microbatch)
    assert isinstance(stage.policy.loaded.network, QwenNetwork)
    print("whole iterations:")
    figures |= iterate(stage, Clock(), 1 if options.quick and not large else 3, rate)
    print("rollouts:")
    figures |= rollouts(stage, groups, new_tokens // 4)
    finish(figures, options.json, name)


if __name__ == "__main__":
    main()
