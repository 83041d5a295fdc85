"""Supervised training on demonstrations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from lmmr1.envs.registry import EnvironmentConfig

from .checks import at_least, decay_rates, fraction, one_of, positive, require
from .rollout import Context, context_word

Source = Literal["expert", "random", "rollouts"]
Choice = Literal["random", "shortest", "all"]


@dataclass(frozen=True)
class RejectionConfig:
    """Which of the policy's own episodes it learns from; the stage's rollout says how many it plays and how."""

    choose: Choice = "random"
    """Of the good episodes of one start: some at random, those with the fewest reply tokens, or all."""
    keep: int = 1
    """How many of them at most, each different from the others (not with 'all')."""
    min_reward: float | None = None
    """An episode is good whose rewards add up to this at least; none: if its environment calls it a success."""
    every: int | None = None
    """Optimizer steps after which others are played, with the weights of then; none: only when the stage begins."""

    def __post_init__(self) -> None:
        one_of("choose", self.choose, get_args(Choice))
        at_least("keep", self.keep, 1)
        if self.min_reward is not None:
            require(math.isfinite(self.min_reward), f"min_reward must be a finite number, not {self.min_reward}")
        if self.every is not None:
            at_least("every", self.every, 1)
        require(
            self.choose != "all" or self.keep == 1,
            f"keep {self.keep} has no meaning with choose all: leave it out, or choose random or shortest",
        )


@dataclass(frozen=True)
class DemonstrationConfig:
    """Demonstrations of one environment, for an sft stage."""

    environment: EnvironmentConfig
    """The environment; its weight is its share of the replies in a batch."""
    source: Source = "expert"
    """Who speaks: the expert, a player at random, or the policy itself, of whose rollouts the good ones are kept."""
    thought_rate: float = 1.0
    """How often the expert writes its thought down; otherwise it answers at once."""
    skill: float = 1.0
    """How often it acts as the solver would; otherwise one of the named actions at random."""
    context: Context = "conversation"
    """What a reply continues: the whole conversation so far, the last message alone, or the last turns."""
    window_turns: int | None = None
    """Turns that a 'window' shows, the present one among them; none: all."""
    window_images: int | None = None
    """Turns of a 'window', the last ones, that show their images; none: all."""
    turns: int = 1
    """About how many turns an episode of the expert has; only so many are played as a batch needs."""
    rejection: RejectionConfig | None = None
    """With source 'rollouts': which of them are kept; none: one of each start that was a success."""

    def __post_init__(self) -> None:
        one_of("source", self.source, get_args(Source))
        require(
            self.source == "rollouts" or self.rejection is None,
            f"rejection has no meaning with source {self.source}: set source rollouts, or leave it out",
        )
        for key in ("thought_rate", "skill", "turns"):
            require(
                self.source == "expert" or vars(self)[key] == 1 or (self.source == "random" and key == "turns"),
                f"{key} has no meaning with source {self.source}: it is the expert's",
            )
        for key in ("thought_rate", "skill"):
            fraction(key, vars(self)[key])
        context_word(self.context, self.window_turns, self.window_images)
        at_least("turns", self.turns, 1)

    @property
    def context_word(self) -> str:
        """The context with its limits, as agents take it (see `lmmr1.agents.context.Context`)."""
        return context_word(self.context, self.window_turns, self.window_images)


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
    microbatch_tokens: int = 3584
    """Tokens of one forward and backward pass; a step adds up several."""

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size", "microbatch_tokens"):
            at_least(key, vars(self)[key], 1)
        for key in ("learning_rate", "answer_weight"):
            positive(key, vars(self)[key])
        for key in ("weight_decay", "warmup"):
            at_least(key, vars(self)[key], 0)
        fraction("final_fraction", self.final_fraction)
        decay_rates("betas", self.betas)
