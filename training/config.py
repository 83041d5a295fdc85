"""Everything that a run can be told, as frozen dataclasses; a recipe (YAML) is one `RunConfig` written down.

Each class checks itself when it is built and raises `UserError` with a message that starts with the key that is wrong,
so that whoever reads a recipe can put the path of the object in front: `stages.fre.` + `iterations must be ...`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

Context = Literal["conversation", "turn"]
Modality = Literal["text", "image", "game"]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


def _at_least(key: str, value: float, least: float) -> None:
    # Written so that nan fails too.
    _require(value >= least and math.isfinite(value), f"{key} must be at least {least}, not {value}")


def _positive(key: str, value: float) -> None:
    _require(value > 0 and math.isfinite(value), f"{key} must be above 0, not {value}")


def _fraction(key: str, value: float) -> None:
    _require(0 <= value <= 1, f"{key} must be between 0 and 1, not {value}")


def _one_of(key: str, value: str, allowed: Collection[str]) -> None:
    _require(value in allowed, f"{key} must be one of {', '.join(allowed)}; not {value!r}")


def _plain_name(key: str, name: str) -> None:
    # Files and folders are called after it.
    letters = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)
    _require(letters is not None, f"{key}: a name is made of letters, digits, '_', '-' and '.'; {name!r} is not")


@dataclass(frozen=True)
class ModelConfig:
    """The model that is trained."""

    path: str = "tiny"
    """'tiny' (shipped in the package), a folder, or the name of a model on a hub."""
    freeze: tuple[str, ...] = ()
    """Parts that never learn: shell patterns over parameter names, e.g. 'model.visual.*'."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights and of the forward pass."""

    def __post_init__(self) -> None:
        _require(bool(self.path), "path must name a model, not be empty")
        _one_of("dtype", self.dtype, ("float32", "bfloat16"))


@dataclass(frozen=True)
class RolloutConfig:
    """How episodes are collected in one iteration: `groups` starting states, each played `group_size` times."""

    groups: int = 32
    """Starting states (problems, levels) in one iteration."""
    group_size: int = 8
    """Episodes played from each starting state; their mean is the baseline of 'reinforce_baseline'."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    temperature: float = 1.0
    """Sampling temperature; the log-probabilities that are learned from are taken at it too."""
    context: Context = "conversation"
    """What the policy sees at each turn: the whole conversation so far, or the last message alone."""
    max_turns: int | None = None
    """Turns after which an episode is stopped; none: as many as the environment allows."""
    max_context_tokens: int = 4096
    """Tokens (prompts, image tokens and replies) after which an episode is stopped."""
    slots: int = 256
    """Episodes played side by side; bounds the memory that a rollout takes."""

    def __post_init__(self) -> None:
        for key in ("groups", "group_size", "max_new_tokens", "max_context_tokens", "slots"):
            _at_least(key, vars(self)[key], 1)
        _positive("temperature", self.temperature)
        _one_of("context", self.context, get_args(Context))
        if self.max_turns is not None:
            _at_least("max_turns", self.max_turns, 1)
        _require(
            self.max_new_tokens < self.max_context_tokens,
            f"max_new_tokens ({self.max_new_tokens}) must be below max_context_tokens ({self.max_context_tokens})",
        )


@dataclass(frozen=True)
class KLConfig:
    """The penalty that keeps the policy near the model that the stage started from."""

    coefficient: float = 1e-3
    """Weight of the penalty; 0 switches it off, and no reference model is kept."""
    placement: Literal["reward", "loss"] = "loss"
    """Subtracted from each token's reward, or added to the loss."""
    estimator: Literal["k1", "k2", "k3", "full"] = "k3"
    """How a token's divergence is estimated from log-probabilities; 'full' sums over the vocabulary (loss only)."""
    tokens: Literal["reply", "thought"] = "reply"
    """Tokens that pay: the whole reply, or all of it but the answer."""

    def __post_init__(self) -> None:
        _at_least("coefficient", self.coefficient, 0)
        _one_of("placement", self.placement, ("reward", "loss"))
        _one_of("estimator", self.estimator, ("k1", "k2", "k3", "full"))
        _one_of("tokens", self.tokens, ("reply", "thought"))
        _require(
            self.estimator != "full" or self.placement == "loss",
            "estimator full needs placement loss: a reward is one number for each sampled token, so use k1, k2 or k3",
        )


@dataclass(frozen=True)
class CriticConfig:
    """The value function; used by the estimator 'gae' only."""

    trunk: Literal["own", "shared"] = "own"
    """A network of its own, or a head on the policy's."""
    learning_rate: float = 1e-3
    """Peak learning rate of the critic's parameters."""
    value_clip: float | None = 0.2
    """How far a value may move from the collected one before its loss stops falling; none: not clipped."""
    loss_weight: float = 0.5
    """Weight of the value loss."""

    def __post_init__(self) -> None:
        _one_of("trunk", self.trunk, ("own", "shared"))
        _positive("learning_rate", self.learning_rate)
        _positive("loss_weight", self.loss_weight)
        if self.value_clip is not None:
            _positive("value_clip", self.value_clip)


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation on the collected episodes."""

    estimator: Literal["gae", "reinforce_baseline"] = "reinforce_baseline"
    """Advantages from a critic, or from the mean of the group that played the same start."""
    learning_rate: float = 6e-5
    """Peak learning rate of the policy."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    final_fraction: float = 1.0
    """Share of the peak learning rate that the last step uses ('linear' and 'cosine')."""
    warmup: int = 8
    """Optimizer steps over which the learning rate rises from 0."""
    clip_low: float = 0.2
    """The probability ratio is clipped below 1 - clip_low."""
    clip_high: float = 0.2
    """The probability ratio is clipped above 1 + clip_high."""
    epochs: int = 1
    """Passes over the episodes of one iteration."""
    minibatches: int = 2
    """Optimizer steps in one pass."""
    gamma: float = 1.0
    """Discount from one token to the next."""
    lam: float = 1.0
    """GAE's lambda, from one token to the next."""
    turn_gamma: float = 1.0
    """Discount from one turn to the next."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
    policy_tokens: Literal["reply", "answer"] = "reply"
    """Tokens that the policy loss is taken over: the whole reply, or its answer only."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""

    def __post_init__(self) -> None:
        _one_of("estimator", self.estimator, ("gae", "reinforce_baseline"))
        _one_of("schedule", self.schedule, ("constant", "linear", "cosine"))
        _one_of("policy_tokens", self.policy_tokens, ("reply", "answer"))
        for key in ("learning_rate", "clip_low", "clip_high", "max_grad_norm"):
            _positive(key, vars(self)[key])
        for key in ("final_fraction", "gamma", "lam", "turn_gamma"):
            _fraction(key, vars(self)[key])
        for key in ("epochs", "minibatches"):
            _at_least(key, vars(self)[key], 1)
        for key in ("warmup", "entropy"):
            _at_least(key, vars(self)[key], 0)
        _require(self.clip_low < 1, f"clip_low must be below 1, not {self.clip_low}: a ratio is never below 0")
        _require(
            self.schedule != "constant" or self.final_fraction == 1,
            f"final_fraction {self.final_fraction} has no effect on a constant schedule: choose linear or cosine",
        )


@dataclass(frozen=True)
class DemonstrationConfig:
    """Demonstrations of one environment, for an sft stage."""

    environment: EnvironmentConfig
    """The environment; its weight is its share of the replies in a batch."""
    thought_rate: float = 1.0
    """How often the expert writes its thought down; otherwise it answers at once."""
    skill: float = 1.0
    """How often it acts as the solver would; otherwise one of the named actions at random."""
    context: Context = "conversation"
    """What a reply continues: the whole conversation so far, or the last message alone."""
    turns: int = 1
    """About how many turns an episode has; only so many episodes are played as a batch needs."""

    def __post_init__(self) -> None:
        for key in ("thought_rate", "skill"):
            _fraction(key, vars(self)[key])
        _one_of("context", self.context, get_args(Context))
        _at_least("turns", self.turns, 1)


@dataclass(frozen=True)
class SFTConfig:
    """Supervised training on what the environments' experts would say."""

    steps: int
    """Optimizer steps."""
    batch_size: int
    """Demonstrations in one step."""
    learning_rate: float
    """Peak learning rate; falls as a cosine after the warm-up."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    warmup: int = 50
    """Steps over which the learning rate rises from 0."""
    final_fraction: float = 0.1
    """Share of the peak learning rate that the last step uses."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's decay rates of the first and second moment."""
    answer_weight: float = 1.0
    """Weight of the answer's tokens in the loss; the other reply tokens weigh 1."""

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size"):
            _at_least(key, vars(self)[key], 1)
        for key in ("learning_rate", "answer_weight"):
            _positive(key, vars(self)[key])
        for key in ("weight_decay", "warmup"):
            _at_least(key, vars(self)[key], 0)
        _fraction("final_fraction", self.final_fraction)
        _require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"betas must be two numbers from 0 to below 1, not {self.betas}",
        )


@dataclass(frozen=True)
class StageConfig:
    """One stage of a run: supervised training ('sft') or reinforcement learning ('ppo') on a mix of environments."""

    kind: Literal["ppo", "sft"]
    """What the stage does."""
    help: str
    """One line: what this stage is for."""
    iterations: int = 1
    """Rounds of collecting and learning; an sft stage counts its steps in sft.steps and leaves this 1."""
    environments: list[EnvironmentConfig] = field(default_factory=list)
    """The environments that a ppo stage plays, in proportion to their weights."""
    demonstrations: list[DemonstrationConfig] = field(default_factory=list)
    """Whose replies an sft stage imitates, in proportion to the weights of the environments."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """How episodes are collected."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """How the policy learns from them."""
    kl: KLConfig = field(default_factory=KLConfig)
    """How it is kept near its start."""
    critic: CriticConfig = field(default_factory=CriticConfig)
    """The value function, for the estimator 'gae'."""
    sft: SFTConfig | None = None
    """How an sft stage learns."""
    freeze: tuple[str, ...] = ()
    """Parts that do not learn in this stage, besides model.freeze."""
    start: str | None = None
    """The earlier stage whose model this one starts from; none: it goes on with the model as it is."""

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ("ppo", "sft"))
        _at_least("iterations", self.iterations, 1)
        if self.kind == "sft":
            _require(self.sft is not None, "sft is missing: set its steps, batch_size and learning_rate")
            _require(bool(self.demonstrations), "demonstrations is empty: a stage of kind sft needs one at least")
            _require(not self.environments, "environments has no meaning in a stage of kind sft: set demonstrations")
            _require(self.iterations == 1, "iterations has no meaning in a stage of kind sft: set sft.steps")
            return
        _require(bool(self.environments), "environments is empty: a stage of kind ppo needs one at least")
        _require(not self.demonstrations, "demonstrations has no meaning in a stage of kind ppo: set environments")
        _require(self.sft is None, "sft is set in a stage of kind ppo: remove it, or make it a stage of its own")
        _require(
            self.ppo.estimator != "reinforce_baseline" or self.rollout.group_size > 1,
            "rollout.group_size must be at least 2 for ppo.estimator reinforce_baseline: the baseline is its mean",
        )
        _require(
            self.ppo.minibatches <= self.rollout.groups,
            f"ppo.minibatches ({self.ppo.minibatches}) must not exceed rollout.groups ({self.rollout.groups})",
        )


@dataclass(frozen=True)
class EvaluationTaskConfig:
    """One row of the evaluation table."""

    modality: Modality
    """What the task is seen through: 'text', 'image' or 'game'."""
    environment: EnvironmentConfig
    """The environment, held-out split included."""
    episodes: int = 192
    """Episodes played, once greedily and once by sampling."""
    max_turns: int | None = None
    """Turns after which an episode is stopped; none: as many as the environment allows."""
    context: Context = "conversation"
    """What the policy sees at each turn: the whole conversation so far, or the last message alone."""

    def __post_init__(self) -> None:
        _one_of("modality", self.modality, get_args(Modality))
        _at_least("episodes", self.episodes, 1)
        _one_of("context", self.context, get_args(Context))
        if self.max_turns is not None:
            _at_least("max_turns", self.max_turns, 1)


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is judged before the first stage and after each one."""

    tasks: dict[str, EvaluationTaskConfig] = field(default_factory=dict)
    """The tasks, by the name that reports use."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    every: int = 0
    """Also evaluate every so many iterations of a ppo stage; 0: only between stages."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            _plain_name("tasks", task)
        _at_least("max_new_tokens", self.max_new_tokens, 1)
        _at_least("every", self.every, 0)


@dataclass(frozen=True)
class RunConfig:
    """A whole run."""

    name: str
    """Short name, used for the run's folder."""
    help: str
    """One line: what the run shows, and what it costs."""
    seed: int = 0
    """Everything random in the run derives from it."""
    threads: int = 1
    """CPU threads of one torch operation; part of the recipe because results change in the last bit with it."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model that is trained."""
    stages: dict[str, StageConfig] = field(default_factory=dict)
    """The stages by name, run in the order written."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """How the policy is judged."""
    checkpoint_every: int = 10
    """Save a checkpoint every so many iterations, and at the end of each stage; 0: only at the end of each stage."""
    films: int = 3
    """Films of episodes to record for the report, for each evaluation task that has pictures."""

    def __post_init__(self) -> None:
        _require(bool(self.name), "name must not be empty")
        _plain_name("name", self.name)
        _require(bool(self.stages), "stages is empty: a run needs at least one stage")
        for index, (name, stage) in enumerate(self.stages.items()):
            earlier = list(self.stages)[:index]
            _require(
                stage.start is None or stage.start in earlier,
                f"stages.{name}.start must name an earlier stage ({', '.join(earlier) or 'there is none'}), "
                f"not {stage.start!r}",
            )
        for stage in self.stages:
            _plain_name("stages", stage)
        _require("start" not in self.stages, "stages: 'start' names the evaluation before the first stage")
        _require(self.seed < 2**63, f"seed must be below 2 to the power of 63, not {self.seed}")
        _at_least("threads", self.threads, 1)
        for key in ("seed", "checkpoint_every", "films"):
            _at_least(key, vars(self)[key], 0)
