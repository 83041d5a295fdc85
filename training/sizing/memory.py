"""The memory of one learner rank and of one rollout engine, by part, in bytes.

Sources: weights, gradients and states under ZeRO are those of Rajbhandari et al. 2020 (arXiv 1910.02054), section 3.1
and figure 1: with mixed precision 2 bytes of weight, 2 of gradient and 12 of state for each parameter (here 4 of
gradient: they are summed in float32). The activations are those of this project's own forward pass
(`agents/networks/qwen.py`), tensor by tensor; the tests hold them to the bytes that autograd keeps, and
`benchmarks/memory.py` holds the whole to what a process really needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .shape import ModelShape

HALF, SINGLE = 2, 4
# The state of AdamW: two moments in float32, and for weights in bfloat16 a master weight besides.
MOMENTS, STATE = 2 * SINGLE, 3 * SINGLE


@dataclass(frozen=True)
class Sharding:
    """How learner ranks share the model: DeepSpeed's ZeRO stage, 0 for copies, and where the states lie."""

    ranks: int = 1
    stage: int = 2
    offload: bool = False  # the states, and the step, to the memory of the host
    gradient: int = SINGLE  # bytes; they are summed over micro-batches in float32


@dataclass(frozen=True)
class Update:
    """What a learner does besides: the tokens of its micro-batch, and which models it keeps."""

    tokens: int  # of a micro-batch, prompts included
    replies: int  # of these, how many are learned from
    length: int  # of the longest row
    checkpointing: bool = True
    frozen_tower: bool = True
    critic: bool = False  # with a trunk of its own
    reference: bool = True
    fused_attention: bool = True  # a kernel that keeps no matrix of scores


@dataclass(frozen=True)
class RankMemory:
    """Bytes of one rank; `host` lies in the memory of the machine."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    reference: float
    critic: float
    host: float = 0.0

    @property
    def total(self) -> float:
        """What the GPU must hold at once."""
        return sum(size for name, size in vars(self).items() if name != "host")


def layer_activations(shape: ModelShape, update: Update) -> float:
    """Bytes that one decoder layer keeps for its backward pass, for each token.

    Two norms keep a float32 copy, a normalised one and an output (8 bytes a number) and their scale; attention keeps
    the joined projections, rotated queries and keys, values and its outcome; the MLP the two products, the activation
    and their product. Without a fused kernel a row of scores and one of probabilities for each head besides.
    """
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    norms = 2 * (8 * shape.hidden + SINGLE)
    attention = HALF * (3 * queries + 5 * keys)
    scores = 0 if update.fused_attention else 2 * HALF * shape.heads * update.length
    return norms + attention + scores + 4 * HALF * shape.intermediate


def activations(shape: ModelShape, update: Update) -> tuple[float, float]:
    """Bytes of activations, and bytes of the head beyond them, at the worse of two moments of an update.

    At the head the kept activations meet a float32 copy of its weight and, where it learns, two float32 gradients and
    one in its own format (logits themselves exist in chunks of 64 MiB). In a layer's backward pass they meet what is
    made again and the gradients of its inner states.
    """
    full = layer_activations(shape, update)
    kept = shape.layers * (HALF * shape.hidden if update.checkpointing else full) * update.tokens
    head = (SINGLE if shape.lora_rank else 3 * SINGLE + HALF) * shape.embedding
    head += HALF * shape.hidden * update.tokens + SINGLE * shape.hidden * update.replies
    if shape.lora_rank:  # the chunks are then the larger part
        head += 5 * SINGLE * 2**24
    inner = (6 * shape.intermediate + 12 * shape.hidden) * update.tokens
    layer = inner + (full * update.tokens if update.checkpointing else 0)
    return kept + max(layer - head, 0.0), head


def rank_memory(shape: ModelShape, sharding: Sharding, update: Update) -> RankMemory:
    """Bytes that one learner rank holds, by part."""
    ranks, stage = sharding.ranks, sharding.stage
    learned = learned_parameters(shape, update.frozen_tower)
    adapters = shape.adapters
    # ZeRO-3 gathers the embedding and two layers at a time, this one and the next.
    gathered = HALF * (max(shape.embedding, shape.layer) + 2 * shape.layer) if stage == 3 and ranks > 1 else 0
    weights = (HALF * shape.total + SINGLE * adapters) / (ranks if stage == 3 else 1) + gathered
    gradients = sharding.gradient * learned / (ranks if stage >= 2 else 1)
    state = (MOMENTS if adapters else STATE) * learned / (ranks if stage >= 1 else 1)
    kept, head = activations(shape, update)
    reference = 0.0
    if update.reference and not adapters:
        reference = HALF * shape.total / (ranks if stage == 3 else 1)
    critic = 0.0
    if update.critic:
        # A copy of the policy that learns by itself; only one of the two runs at a time.
        part = replace(update, critic=False, reference=False)
        trunk = rank_memory(shape, sharding, part)
        critic = trunk.weights - gathered + trunk.gradients + trunk.optimizer
    host = state * (2 if update.critic else 1) if sharding.offload else 0.0
    if sharding.offload:
        critic -= state if update.critic else 0.0
        state = 0.0
    return RankMemory(weights, gradients, state, kept, head, reference, critic, host)


def learned_parameters(shape: ModelShape, frozen_tower: bool) -> int:
    """Parameters that learn: adapters alone where there are any, else all but a frozen tower."""
    if shape.lora_rank:
        return shape.adapters
    return shape.decoder if frozen_tower else shape.total


@dataclass(frozen=True)
class EngineMemory:
    """Bytes of a rollout engine on one GPU."""

    weights: float
    cache: float
    overhead: float

    @property
    def total(self) -> float:
        """Together."""
        return self.weights + self.cache + self.overhead


def kv_bytes(shape: ModelShape) -> int:
    """Bytes that one token keeps in the cache, in bfloat16."""
    return HALF * shape.kv_numbers


def engine_memory(
    shape: ModelShape, sequences: int, context: float, tensor_parallel: int, overhead: float
) -> EngineMemory:
    """Bytes on each of `tensor_parallel` GPUs for `sequences` of `context` tokens; `overhead`: graphs, buffers."""
    weights = HALF * shape.total / tensor_parallel
    # Keys and values can be cut no finer than their heads.
    cut = min(tensor_parallel, shape.kv_heads)
    return EngineMemory(weights, sequences * context * kv_bytes(shape) / cut, overhead)


def most_sequences(shape: ModelShape, memory: float, context: float, tensor_parallel: int, overhead: float) -> int:
    """How many sequences of `context` tokens the cache of an engine holds in `memory` bytes of each GPU."""
    empty = engine_memory(shape, 0, context, tensor_parallel, overhead)
    one = engine_memory(shape, 1, context, tensor_parallel, overhead).cache
    return max(0, int((memory - empty.total) / one))
