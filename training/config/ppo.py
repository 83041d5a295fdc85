"""How a policy learns from its episodes: PPO, the penalty for divergence, the critic, the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import at_least, decay_rates, fraction, one_of, positive, require


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
        at_least("coefficient", self.coefficient, 0)
        one_of("placement", self.placement, ("reward", "loss"))
        one_of("estimator", self.estimator, ("k1", "k2", "k3", "full"))
        one_of("tokens", self.tokens, ("reply", "thought"))
        require(
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
        one_of("trunk", self.trunk, ("own", "shared"))
        positive("learning_rate", self.learning_rate)
        positive("loss_weight", self.loss_weight)
        if self.value_clip is not None:
            positive("value_clip", self.value_clip)


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation on the collected episodes."""

    estimator: Literal["gae", "reinforce_baseline"] = "reinforce_baseline"
    """Advantages from a critic, or from the mean of the group that played the same start."""
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

    def __post_init__(self) -> None:
        one_of("estimator", self.estimator, ("gae", "reinforce_baseline"))
        one_of("policy_tokens", self.policy_tokens, ("reply", "answer"))
        for key in ("clip_low", "clip_high"):
            positive(key, vars(self)[key])
        for key in ("gamma", "lam", "turn_gamma"):
            fraction(key, vars(self)[key])
        for key in ("epochs", "minibatches"):
            at_least(key, vars(self)[key], 1)
        at_least("entropy", self.entropy, 0)
        require(self.clip_low < 1, f"clip_low must be below 1, not {self.clip_low}: a ratio is never below 0")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its learning rate."""

    learning_rate: float = 6e-5
    """Peak learning rate of the policy."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    final_fraction: float = 1.0
    """Share of the peak learning rate that the last step uses ('linear' and 'cosine')."""
    warmup: int = 8
    """Optimizer steps over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's decay rates of the first and second moment."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""

    def __post_init__(self) -> None:
        one_of("schedule", self.schedule, ("constant", "linear", "cosine"))
        for key in ("learning_rate", "max_grad_norm"):
            positive(key, vars(self)[key])
        fraction("final_fraction", self.final_fraction)
        for key in ("warmup", "weight_decay"):
            at_least(key, vars(self)[key], 0)
        decay_rates("betas", self.betas)
        require(
            self.schedule != "constant" or self.final_fraction == 1,
            f"final_fraction {self.final_fraction} has no effect on a constant schedule: choose linear or cosine",
        )
