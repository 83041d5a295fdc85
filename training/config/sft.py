"""Supervised training on demonstrations."""

from __future__ import annotations

from dataclasses import dataclass

from lmmr1.envs.registry import EnvironmentConfig

from .checks import at_least, decay_rates, fraction, positive
from .rollout import Context, context_word


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
    """What a reply continues: the whole conversation so far, the last message alone, or the last turns."""
    window_turns: int | None = None
    """Turns that a 'window' shows, the present one among them; none: all."""
    window_images: int | None = None
    """Turns of a 'window', the last ones, that show their images; none: all."""
    turns: int = 1
    """About how many turns an episode has; only so many episodes are played as a batch needs."""

    def __post_init__(self) -> None:
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

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size"):
            at_least(key, vars(self)[key], 1)
        for key in ("learning_rate", "answer_weight"):
            positive(key, vars(self)[key])
        for key in ("weight_decay", "warmup"):
            at_least(key, vars(self)[key], 0)
        fraction("final_fraction", self.final_fraction)
        decay_rates("betas", self.betas)
