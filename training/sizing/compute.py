"""Floating-point operations and bytes moved, and the time that they take on a GPU.

Sources: 2 operations for each weight of a product and token in a forward pass, twice that in the backward pass, and
one forward pass more with gradient checkpointing (Kaplan et al. 2020, arXiv 2001.08361, section 2.1; Korthikanti et
al. 2022, arXiv 2205.05198); attention adds 4 operations for each number of a query and position that it sees. A step
of decoding reads all weights and the whole cache once: its floor is their bytes over the memory's bandwidth (Pope et
al. 2022, arXiv 2211.05102).
"""

from __future__ import annotations

from dataclasses import dataclass

from .memory import HALF, kv_bytes
from .shape import ModelShape


@dataclass(frozen=True)
class Gpu:
    """A GPU's published peaks."""

    name: str
    peak: float  # dense bfloat16 operations a second
    bandwidth: float  # bytes a second of its own memory
    memory: float  # bytes
    link: float  # bytes a second to its neighbours in the machine, one way


# NVIDIA's data sheets, SXM modules; dense is half of the figure "with sparsity", and NVLink's total is for both ways.
GPUS = {
    "a100": Gpu("NVIDIA A100 80 GB", 312e12, 2.039e12, 80e9, 300e9),
    "h100": Gpu("NVIDIA H100 80 GB", 989.4e12, 3.35e12, 80e9, 450e9),
    "h200": Gpu("NVIDIA H200 141 GB", 989.4e12, 4.8e12, 141e9, 450e9),
}


@dataclass(frozen=True)
class Rates:
    """Which share of a peak is reached, and what is paid besides: assumptions, to be replaced by what was measured."""

    update: float = 0.40  # of the matmul peak, forward and backward pass
    prefill: float = 0.50  # of the matmul peak
    decode: float = 0.60  # of the memory's bandwidth
    link: float = 0.70  # of the links' bandwidth
    step: float = 2e-3  # seconds of each decoding step that are neither
    network: float = 50e9  # bytes a second and GPU between machines (400 Gbit/s)
    wake: float = 5.0  # seconds to hand the GPUs over between rollout and learning, where both share them


def forward_operations(shape: ModelShape, context: float, logits: bool = True) -> float:
    """Operations of the decoder for one token that sees `context` positions."""
    attention = 4 * shape.layers * shape.heads * shape.head_dim * context
    head = 2 * shape.embedding if logits else 0
    return 2 * shape.layers * shape.layer_products + attention + head


def tower_operations(shape: ModelShape, tokens: int) -> float:
    """Operations of the vision tower for one image of `tokens` tokens."""
    tower = shape.vision
    if tower is None or not tokens:
        return 0.0
    patches = tokens * tower.merge**2
    window = min(patches, (tower.window // tower.patch) ** 2)
    seen = tower.whole * patches + (tower.depth - tower.whole) * window
    embedding = tower.channels * tower.temporal * tower.patch**2 * tower.hidden
    wide = tower.hidden * tower.merge**2
    per_patch = 2 * (tower.depth * tower.block_products + embedding) + 4 * tower.hidden * seen
    return patches * per_patch + 2 * tokens * wide * (wide + shape.hidden)


def row_operations(shape: ModelShape, prompt: float, reply: float) -> float:
    """Operations of a forward pass over a row of `prompt` and `reply` tokens; only the latter reach the vocabulary."""
    length = prompt + reply
    return length * forward_operations(shape, length / 2, logits=False) + reply * 2 * shape.embedding


def update_operations(
    shape: ModelShape, prompt: float, reply: float, image_tokens: int, checkpointing: bool, frozen_tower: bool
) -> float:
    """Operations to learn from one row once: forward and backward pass, the former twice with checkpointing."""
    passes = 4 if checkpointing else 3
    if shape.lora_rank:  # no gradients of the weights
        passes -= 1
    tower = tower_operations(shape, image_tokens)
    return passes * row_operations(shape, prompt, reply) + tower * (1 if frozen_tower else passes)


def decode_step(shape: ModelShape, gpu: Gpu, rates: Rates, tensor_parallel: int = 1) -> tuple[float, float, float]:
    """(a, b, c): one step of an engine takes a + b x sequences + c x the tokens in their caches, in seconds.

    The weights are read once, whatever the number of sequences; each sequence costs its operations, each token in a
    cache its bytes.
    """
    bandwidth = gpu.bandwidth * rates.decode * tensor_parallel
    fixed = rates.step + HALF * shape.decoder / bandwidth
    each = forward_operations(shape, 0) / (gpu.peak * rates.prefill * tensor_parallel)
    return fixed, each, kv_bytes(shape) / bandwidth


def prefill_seconds(shape: ModelShape, gpu: Gpu, rates: Rates, tokens: float, image_tokens: int) -> float:
    """Seconds to run a prompt of `tokens`, of which `image_tokens` are an image."""
    operations = tokens * forward_operations(shape, tokens / 2, logits=False) + tower_operations(shape, image_tokens)
    return operations / (gpu.peak * rates.prefill)


def step_seconds(shape: ModelShape, gpu: Gpu, rates: Rates, learned: float, ranks: int, per_machine: int = 8) -> float:
    """Seconds of an optimizer step beside the passes: gradients summed and weights spread over `ranks`, states updated.

    A ring moves twice the bytes of the gradients and weights (Rajbhandari et al. 2020, section 7), over the slowest of
    the links; the step reads and writes 12 bytes of state and 2 of gradient and weight each.
    """
    link = (gpu.link if ranks <= per_machine else rates.network) * rates.link
    moved = 2 * HALF * learned * (ranks - 1) / ranks / link
    return moved + learned / ranks * (2 * 12 + 4) / (gpu.bandwidth * rates.decode)


def sync_seconds(shape: ModelShape, gpu: Gpu, rates: Rates, gpus: int, per_machine: int = 8) -> float:
    """Seconds to bring new weights to the engines: one broadcast over the slowest link, however many receive."""
    link = (gpu.link if gpus <= per_machine else rates.network) * rates.link
    return HALF * shape.total / link
