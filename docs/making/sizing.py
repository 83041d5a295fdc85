"""Writes the tables of sizing.md: `python docs/making/sizing.py`, some minutes on one core.

Everything between two comments of one name is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmmr1.training.config import RunConfig, StageConfig
from lmmr1.training.recipe import load_recipe
from lmmr1.training.sizing import memory
from lmmr1.training.sizing.compute import GPUS, decode_step, forward_operations, tower_operations
from lmmr1.training.sizing.estimate import GIB, Estimate, Setting, assumed_lengths, estimate, find_stage
from lmmr1.training.sizing.shape import QWEN2_5_VL_3B, QWEN2_5_VL_7B, ModelShape

PAGE = Path(__file__).resolve().parents[1] / "sizing.md"
RECIPES = ("fre_text", "mgt_geo", "mgt_percereason", "mgt_sokoban")
SETTING = Setting()


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, figures to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stage_of(name: str) -> tuple[RunConfig, StageConfig]:
    """A recipe and its only stage."""
    recipe = load_recipe(name, [])
    return recipe, find_stage(recipe, None)


def size(name: str, setting: Setting, shape: ModelShape = QWEN2_5_VL_3B) -> Estimate:
    """One estimate; lengths are drawn from the same numbers each time."""
    recipe, stage = stage_of(name)
    lengths = assumed_lengths(stage, shape, setting, np.random.default_rng(0))
    return estimate(recipe, stage, shape, setting, lengths)


def pipelines() -> str:
    """The recipes on 8, 64 and 512 GPUs, in turn and at once."""
    rows = []
    for name in RECIPES:
        for staleness in (0, 2):
            for gpus in (8, 64, 512):
                one = size(name, replace(SETTING, gpus=gpus, staleness=staleness))
                outcome = one.outcome
                split = f"{one.learners} + {gpus - one.learners}" if staleness else "shared"
                rows.append(
                    [name, str(gpus), split, f"{outcome.iteration:.0f}", f"{outcome.tokens:,.0f}"]
                    + [f"{100 * share:.0f} %" for share in (outcome.rollout, outcome.learning, outcome.occupancy)]
                    + [outcome.bottleneck, f"{one.hours:.1f}", f"{one.gpu_hours:,.0f}"]
                )
    head = ["recipe", "GPUs", "learn + roll out", "iteration, s", "reply tokens / s", "engines busy", "learner busy"]
    return table([*head, "batch", "waits for", "hours", "GPU-hours"], rows)


def ranks() -> str:
    """GiB of a learner's rank at some stages of ZeRO, 8 GPUs."""
    rows = []
    for label, shape in (
        ("3B", QWEN2_5_VL_3B),
        ("7B", QWEN2_5_VL_7B),
        ("3B, LoRA 16", replace(QWEN2_5_VL_3B, lora_rank=16)),
    ):
        for stage, offload in ((0, False), (1, False), (2, False), (3, False), (2, True)):
            if shape.lora_rank and (stage or offload):
                continue
            part = memory.rank_memory(shape, memory.Sharding(8, stage, offload), memory.Update(16_384, 13_000, 4_096))
            sizes = [part.weights, part.gradients, part.optimizer, part.activations, part.logits, part.reference]
            cells = [f"{size / GIB:.1f}" for size in (*sizes, part.total, part.host)]
            rows.append([label, f"ZeRO-{stage}{', offload' if offload else ''}", *cells])
    head = [
        "model",
        "sharing",
        "weights",
        "gradients",
        "states",
        "activations",
        "head",
        "reference",
        "on the GPU",
        "host",
    ]
    return table(head, rows)


def tokens() -> str:
    """Operations for each token, and the floor of decoding."""
    rows = []
    for shape in (QWEN2_5_VL_3B, QWEN2_5_VL_7B):
        image = tower_operations(shape, 196) / 196
        for gpu in GPUS.values():
            fixed, _, cache = decode_step(shape, gpu, replace(SETTING.rates, decode=1.0, step=0.0))
            rows.append(
                [shape.name, gpu.name, f"{forward_operations(shape, 1024) / 1e9:.1f}", f"{image / 1e9:.1f}"]
                + [f"{memory.kv_bytes(shape) / 1024:.0f}", f"{1e3 * fixed:.2f}", f"{1e3 * 256 * 1024 * cache:.2f}"]
            )
    head = [
        "model",
        "GPU",
        "GFLOP a token, forward, 1,024 before it",
        "GFLOP an image token, tower",
        "cache, KiB a token",
    ]
    return table([*head, "weights read, ms", "caches of 256 x 1,024 read, ms"], rows)


def lengths() -> str:
    """What the assumed lengths decide."""
    rows = []
    for mean in (400, 800, 1600):
        cells = [str(mean)]
        for name in ("fre_text", "mgt_sokoban"):
            for staleness in (0, 2):
                one = size(name, replace(SETTING, mean_reply=float(mean), staleness=staleness))
                cells.append(f"{one.outcome.iteration:.0f} s, {one.gpu_hours:,.0f}")
        rows.append(cells)
    return table(["mean reply", "fre_text", "fre_text, at once", "mgt_sokoban", "mgt_sokoban, at once"], rows)


TABLES: dict[str, Callable[[], str]] = {"pipelines": pipelines, "ranks": ranks, "tokens": tokens, "lengths": lengths}


def main() -> None:
    """Fill the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        mark = f"<!-- {name} -->"
        before, _, after = page.split(mark)
        page = f"{before}{mark}\n\n{make()}\n\n{mark}{after}"
        print(f"{name}: done", flush=True)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
