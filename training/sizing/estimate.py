"""A stage of a recipe on some GPUs: memory, time and GPU-hours, by the formulas and the simulator."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmr1.envs.chat import make_chat
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

from ..config import RunConfig, StageConfig
from . import compute, memory
from .compute import Gpu, Rates
from .lengths import Lengths, Trace, Turn, assumed
from .pipeline import Outcome, Pipeline, simulate
from .shape import ModelShape

GIB = 2**30
# Letters of English that one token of Qwen2.5's vocabulary holds: an assumption, good enough for prompts.
LETTERS = 3.5


@dataclass(frozen=True)
class Setting:
    """What is decided, not measured."""

    gpus: int = 8
    gpu: Gpu = compute.GPUS["h100"]
    rates: Rates = Rates()
    staleness: int = 0
    stage: int = 2
    offload: bool = False
    learners: int | None = None  # GPUs that learn, where they are apart from those that roll out
    tensor_parallel: int = 1
    slots: int = 512  # sequences that an engine runs at once, where its memory allows it
    microbatch: int = 16_384  # tokens
    workers: int = 16  # environments that can answer at once, for each machine of eight GPUs
    mean_reply: float = 800.0
    spread: float = 0.8
    overhead: float = 4.0 * GIB  # of an engine: graphs, buffers, the vision tower's activations

    @property
    def apart(self) -> bool:
        """Whether some GPUs roll out while others learn."""
        return self.staleness > 0 or self.learners is not None


@dataclass(frozen=True)
class Estimate:
    """One setting's figures: bytes by part, seconds, GPU-hours of the whole stage."""

    setting: Setting
    learners: int
    engines: int
    rank: memory.RankMemory
    engine: memory.EngineMemory
    slots: int
    outcome: Outcome
    seconds: float  # of an iteration's learning alone
    hours: float
    lengths: Lengths

    @property
    def fits(self) -> bool:
        """Whether the GPUs hold it, a tenth of their memory left to the allocator."""
        memory_of_gpu = 0.9 * self.setting.gpu.memory
        if self.setting.apart:
            return max(self.rank.total, self.engine.total) <= memory_of_gpu
        # The engine sleeps while the ranks learn; what the learner keeps stays beside the engine.
        kept = self.rank.total - self.rank.activations - self.rank.logits
        return max(self.rank.total, kept + self.engine.total) <= memory_of_gpu

    @property
    def gpu_hours(self) -> float:
        """Hours of the stage times GPUs."""
        return self.hours * self.setting.gpus


def find_stage(recipe: RunConfig, name: str | None) -> StageConfig:
    """A recipe's stage to size: the one that is named, or its only one that learns by PPO.

    Raises:
        UserError: there is none, or several and no name.
    """
    stages = {key: stage for key, stage in recipe.stages.items() if stage.kind == "ppo"}
    if name is not None:
        if name not in stages:
            raise UserError(
                f"--stage {name}: {recipe.name} has no such PPO stage; it has {', '.join(stages) or 'none'}"
            )
        return stages[name]
    if len(stages) != 1:
        raise UserError(f"{recipe.name} has {len(stages)} PPO stages: choose one with --stage ({', '.join(stages)})")
    return next(iter(stages.values()))


def look_at_prompts(environments: Sequence[EnvironmentConfig], shape: ModelShape, count: int = 8) -> list[Turn]:
    """First prompts of a stage's environments: letters over `LETTERS`, and image tokens from the sizes of the pictures.

    The time that an environment takes to answer is measured too, on this machine, without its start.
    """
    turns = []
    for config in environments:
        env = make_chat(config.id, chat=dict(config.chat), **config.kwargs)
        for seed in range(max(1, round(count * config.weight))):
            messages, _ = env.reset(seed=seed)
            letters = images = 0
            for message in messages:
                parts = message["content"] if isinstance(message["content"], list) else []
                letters += len(message["content"]) if isinstance(message["content"], str) else 0
                for part in parts:
                    if part["type"] == "text":
                        letters += len(part["text"])
                    else:
                        height, width = part["image"].shape[:2]
                        images += shape.image_tokens(width, height) if shape.vision is not None else 0
            begin = time.perf_counter()
            env.step("<think>Let me see. It is 12.</think><answer>12</answer>")
            turns.append(Turn(round(letters / LETTERS) + images, 0, images, time.perf_counter() - begin))
        env.close()
    return turns


def assumed_lengths(stage: StageConfig, shape: ModelShape, setting: Setting, rng: np.random.Generator) -> Lengths:
    """What a stage's episodes may look like: its own prompts, replies as `setting` assumes them."""
    prompts = look_at_prompts(stage.environments, shape)
    turns = stage.rollout.max_turns or 1
    return assumed(prompts, setting.mean_reply, setting.spread, stage.rollout.max_new_tokens, turns, rng)


def row_operations(row: Trace, stage: StageConfig, shape: ModelShape, checkpointing: bool) -> float:
    """Operations that an iteration's learning spends on one row.

    The update of the policy; log-probabilities anew where a correction asks for them; the reference, where there is
    one; a critic's values and its update, which costs what the policy's does.
    """
    own_critic = has_critic(stage)
    passes = float(has_reference(stage)) + float(stage.correction.kind != "none") + float(own_critic)
    updates = stage.ppo.epochs * (2 if own_critic else 1)
    prompt, reply, image = sum(t.prompt for t in row), sum(t.reply for t in row), sum(t.image for t in row)
    once = compute.row_operations(shape, prompt, reply) + compute.tower_operations(shape, image)
    frozen = is_tower_frozen(stage)
    return passes * once + updates * compute.update_operations(shape, prompt, reply, image, checkpointing, frozen)


def learning_seconds(
    costs: Sequence[float], stage: StageConfig, shape: ModelShape, setting: Setting, ranks: int
) -> float:
    """Seconds of an iteration's learning on `ranks` GPUs, from the operations of its rows.

    Each minibatch waits for the rank with the most to do (a row is not cut), and for the optimizer's step.
    """
    size = -(-len(costs) // stage.ppo.minibatches)
    slowest = sum(heaviest(costs[start : start + size], ranks) for start in range(0, len(costs), size))
    steps = stage.ppo.minibatches * stage.ppo.epochs * (2 if has_critic(stage) else 1)
    learned = memory.learned_parameters(shape, is_tower_frozen(stage))
    step = compute.step_seconds(shape, setting.gpu, setting.rates, learned, ranks)
    if setting.stage == 3:  # weights are gathered once more for the backward pass
        step *= 1.5
    return slowest / (setting.gpu.peak * setting.rates.update) + steps * step


def heaviest(costs: Sequence[float], ranks: int) -> float:
    """The load of the busiest rank when rows are dealt out, the largest first, each to whoever has least."""
    loads = [0.0] * ranks
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(loads, loads[0] + cost)
    return max(loads)


def has_reference(stage: StageConfig) -> bool:
    """Whether the stage keeps a reference model."""
    return stage.kl.coefficient > 0


def has_critic(stage: StageConfig) -> bool:
    """Whether the stage trains a critic with a trunk of its own."""
    return stage.ppo.estimator.startswith("gae") and stage.critic.trunk == "own"


def is_tower_frozen(stage: StageConfig) -> bool:
    """Whether the vision tower does not learn."""
    return any("visual" in pattern for pattern in stage.freeze)


def estimate(
    recipe: RunConfig, stage: StageConfig, shape: ModelShape, setting: Setting, lengths: Lengths | None, seed: int = 0
) -> Estimate:
    """The figures of one setting; apart, the best split of the GPUs between learning and rolling out.

    Raises:
        UserError: the GPUs cannot be shared out so.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    if recipe.model.lora is not None:
        shape = replace(shape, lora_rank=recipe.model.lora.rank)
    if lengths is None:
        lengths = assumed_lengths(stage, shape, setting, rng)
    if setting.gpus % setting.tensor_parallel:
        raise UserError(f"{setting.gpus} GPUs are not cut evenly into engines of {setting.tensor_parallel}")
    if not setting.apart:
        return _estimate(recipe, stage, shape, setting, lengths, setting.gpus, setting.gpus)
    if setting.learners is not None:
        choices = [setting.learners]
    else:
        choices = sorted({max(1, round(setting.gpus * part / 8)) for part in range(1, 8)})
    choices = [n for n in choices if 0 < n < setting.gpus and (setting.gpus - n) % setting.tensor_parallel == 0]
    if not choices:
        raise UserError(
            f"{setting.gpus} GPUs cannot be split between learners ({setting.learners or 'any number'}) and engines of "
            f"{setting.tensor_parallel}: take more, or leave --async and --learners out"
        )
    tried = [_estimate(recipe, stage, shape, setting, lengths, n, setting.gpus - n) for n in choices]
    return min(tried, key=lambda one: (not one.fits, one.outcome.iteration))


def _estimate(
    recipe: RunConfig,
    stage: StageConfig,
    shape: ModelShape,
    setting: Setting,
    lengths: Lengths,
    ranks: int,
    rolling: int,
) -> Estimate:
    rates, gpu, parallel = setting.rates, setting.gpu, setting.tensor_parallel
    checkpointing = recipe.model.gradient_checkpointing
    longest = max(sum(turn.prompt + turn.reply for turn in trace) for trace in lengths.traces)
    tokens = max(setting.microbatch, longest)
    replies = sum(turn.reply for trace in lengths.traces for turn in trace)
    everything = sum(turn.prompt + turn.reply for trace in lengths.traces for turn in trace)
    update = memory.Update(
        tokens,
        round(tokens * replies / everything),
        longest,
        checkpointing,
        is_tower_frozen(stage),
        has_critic(stage),
        has_reference(stage),
    )
    rank = memory.rank_memory(shape, memory.Sharding(ranks, setting.stage, setting.offload), update)
    kept = 0.0 if setting.apart else rank.total - rank.activations - rank.logits
    context = everything / len(lengths.traces)
    room = memory.most_sequences(shape, 0.9 * gpu.memory - kept, context, parallel, setting.overhead)
    engines = rolling // parallel
    wanted = -(-stage.rollout.groups * stage.rollout.group_size // engines)
    slots = max(1, min(setting.slots, room))
    engine = memory.engine_memory(shape, min(slots, wanted), context, parallel, setting.overhead)

    # The same few traces are drawn again and again.
    costs = {id(trace): row_operations(trace, stage, shape, checkpointing) for trace in lengths.traces}

    def learn(rows: Sequence[Trace]) -> float:
        wake = 0.0 if setting.apart else rates.wake
        return wake + learning_seconds([costs[id(row)] for row in rows], stage, shape, setting, ranks)

    pipeline = Pipeline(
        engines=engines,
        slots=slots,
        decode=compute.decode_step(shape, gpu, rates, parallel),
        prefill=lambda turn: compute.prefill_seconds(shape, gpu, rates, turn.prompt, turn.image),
        workers=setting.workers * max(1, setting.gpus // 8),
        learn=learn,
        sync=compute.sync_seconds(shape, gpu, rates, setting.gpus),
        groups=stage.rollout.groups,
        group_size=stage.rollout.group_size,
        staleness=setting.staleness,
    )
    rng = np.random.default_rng(np.random.SeedSequence([0, 1]))
    outcome = simulate(pipeline, lengths, rng, iterations=3 + setting.staleness)
    seconds = outcome.learning * outcome.iteration
    hours = outcome.iteration * stage.iterations / 3600
    return Estimate(setting, ranks, engines, rank, engine, slots, outcome, seconds, hours, lengths)
