"""A stage and a whole run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmmr1.agents.engines.config import EngineConfig
from lmmr1.envs.registry import EnvironmentConfig

from .backend import BackendConfig, LauncherConfig
from .checkpoints import EVALUATION, CheckpointConfig
from .checks import at_least, one_of, plain_name, require
from .collection import AsynchronousConfig, CollectionConfig
from .evaluation import EvaluationConfig
from .guards import GuardsConfig
from .model import ModelConfig
from .ppo import GROUP_ESTIMATORS, CorrectionConfig, CriticConfig, KLConfig, OptimizerConfig, PPOConfig
from .rollout import RolloutConfig
from .sft import DemonstrationConfig, SFTConfig
from .tracking import TrackingConfig


@dataclass(frozen=True)
class StageConfig:
    """One stage of a run: supervised training ('sft') or reinforcement learning ('ppo') on a mix of environments."""

    kind: Literal["ppo", "sft"]
    """What the stage does."""
    help: str
    """One line: what this stage is for."""
    iterations: int = 1
    """Rounds of collecting and learning; an sft stage counts its steps in sft.steps and leaves this 1."""
    environments: list[EnvironmentConfig] = field(default_factory=list[EnvironmentConfig])
    """The environments that a ppo stage plays, in proportion to their weights; `levels` stand for several of them."""
    demonstrations: list[DemonstrationConfig] = field(default_factory=list[DemonstrationConfig])
    """Whose replies an sft stage imitates, in proportion to the weights of the environments."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """How episodes are collected; in an sft stage those of demonstrations with source 'rollouts'."""
    collection: CollectionConfig = field(default_factory=CollectionConfig)
    """Which episodes they are, and what is done about environments that break."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """How the policy learns from them."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How its weights follow the gradient."""
    kl: KLConfig = field(default_factory=KLConfig)
    """How it is kept near its start."""
    critic: CriticConfig = field(default_factory=CriticConfig)
    """The value function, for the estimators 'gae', 'gae_turn' and 'gae_bilevel'."""
    correction: CorrectionConfig = field(default_factory=CorrectionConfig)
    """What is put right in the collected episodes first."""
    sft: SFTConfig | None = None
    """How an sft stage learns."""
    freeze: tuple[str, ...] = ()
    """Parts that do not learn in this stage, besides model.freeze."""
    start: str | None = None
    """The earlier stage whose model this one starts from; none: it goes on with the model as it is."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("ppo", "sft"))
        at_least("iterations", self.iterations, 1)
        if self.kind == "sft":
            require(self.sft is not None, "sft is missing: set its steps, batch_size and learning_rate")
            require(bool(self.demonstrations), "demonstrations is empty: a stage of kind sft needs one at least")
            require(not self.environments, "environments has no meaning in a stage of kind sft: set demonstrations")
            require(self.iterations == 1, "iterations has no meaning in a stage of kind sft: set sft.steps")
            require(
                self.rollout.context_word == RolloutConfig().context_word,
                "rollout.context has no meaning in a stage of kind sft: set it in each of demonstrations",
            )
            for key in ("dynamic_sampling", "curriculum", "replay"):
                require(
                    not vars(self.collection)[key],
                    f"collection.{key} has no meaning in a stage of kind sft: demonstrations go by their weights",
                )
            require(
                self.collection.asynchronous is None,
                "collection.asynchronous has no meaning in a stage of kind sft: it plays nothing while it learns",
            )
            return
        require(bool(self.environments), "environments is empty: a stage of kind ppo needs one at least")
        require(not self.demonstrations, "demonstrations has no meaning in a stage of kind ppo: set environments")
        require(self.sft is None, "sft is set in a stage of kind ppo: remove it, or make it a stage of its own")
        require(
            self.ppo.estimator not in GROUP_ESTIMATORS or self.rollout.group_size > 1,
            f"rollout.group_size must be at least 2 for ppo.estimator {self.ppo.estimator}: it compares the episodes "
            "of a group; reinforce and gae need none",
        )
        require(
            self.correction.overlong_buffer <= self.rollout.max_new_tokens,
            f"correction.overlong_buffer ({self.correction.overlong_buffer}) must not exceed rollout.max_new_tokens "
            f"({self.rollout.max_new_tokens})",
        )
        require(
            not self.collection.dynamic_sampling or self.rollout.group_size > 1,
            "rollout.group_size must be at least 2 for collection.dynamic_sampling: one reward has no variance",
        )
        require(
            self.ppo.minibatches <= self.rollout.groups,
            f"ppo.minibatches ({self.ppo.minibatches}) must not exceed rollout.groups ({self.rollout.groups})",
        )
        if self.collection.asynchronous is not None:
            self._check_asynchronous(self.collection.asynchronous)

    def _check_asynchronous(self, options: AsynchronousConfig) -> None:
        require(
            self.correction.kind != "none",
            "correction.kind must be truncate or mask with collection.asynchronous: episodes are played with older "
            "weights than those that learn from them, and each token must be weighed by how much that matters",
        )
        most = options.max_staleness * self.rollout.groups
        require(
            options.ahead is None or options.ahead <= most,
            f"collection.asynchronous.ahead ({options.ahead}) must not exceed max_staleness * rollout.groups ({most}): "
            "those begun earlier would be too old when their iteration comes",
        )


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
    engine: EngineConfig = field(default_factory=EngineConfig)
    """What samples its replies."""
    stages: dict[str, StageConfig] = field(default_factory=dict[str, StageConfig])
    """The stages by name, run in the order written."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """How the policy is judged."""
    checkpoint_every: int = 10
    """Save a checkpoint every so many iterations, and at the end of each stage; 0: only at the end of each stage."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Which of them are kept."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where the figures go besides metrics.jsonl."""
    guards: GuardsConfig = field(default_factory=GuardsConfig)
    """When the run stops by itself because its training has gone wrong."""
    films: int = 3
    """Films of episodes to record for the report, for each evaluation task that has pictures."""
    backend: BackendConfig = field(default_factory=BackendConfig)
    """Where the weights learn."""
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    """What starts the processes of the run."""

    @property
    def max_context_tokens(self) -> int:
        """The longest prompt with its reply that a stage or the evaluation may ask for, in tokens."""
        return max(self.evaluation.max_context_tokens, *(s.rollout.max_context_tokens for s in self.stages.values()))

    @property
    def slots(self) -> int:
        """The most sequences that a stage decodes side by side."""
        return max(stage.rollout.slots for stage in self.stages.values())

    def __post_init__(self) -> None:
        require(bool(self.name), "name must not be empty")
        plain_name("name", self.name)
        require(bool(self.stages), "stages is empty: a run needs at least one stage")
        for index, (name, stage) in enumerate(self.stages.items()):
            earlier = list(self.stages)[:index]
            require(
                stage.start is None or stage.start in earlier,
                f"stages.{name}.start must name an earlier stage ({', '.join(earlier) or 'there is none'}), "
                f"not {stage.start!r}",
            )
        for stage in self.stages:
            plain_name("stages", stage)
        require("start" not in self.stages, "stages: 'start' names the evaluation before the first stage")
        if self.checkpoints.best_by is not None:
            require("best" not in self.stages, "stages: 'best' names the model that checkpoints.best_by keeps")
            task = self.checkpoints.best_by.split("/")[1] if self.checkpoints.best_by.startswith(EVALUATION) else None
            require(
                task is None or task in self.evaluation.tasks,
                f"checkpoints.best_by: evaluation.tasks has no {task!r}; it has "
                f"{', '.join(self.evaluation.tasks) or 'none'}",
            )
        require(self.seed < 2**63, f"seed must be below 2 to the power of 63, not {self.seed}")
        at_least("threads", self.threads, 1)
        longest = self.max_context_tokens
        require(
            self.engine.max_model_len is None or self.engine.max_model_len >= longest,
            f"engine.max_model_len ({self.engine.max_model_len}) must not be below the recipe's max_context_tokens "
            f"({longest})",
        )
        for key in ("seed", "checkpoint_every", "films"):
            at_least(key, vars(self)[key], 0)
