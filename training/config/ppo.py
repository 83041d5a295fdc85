"""How a policy learns from its episodes: PPO, the penalty for divergence, the critic, the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from .checks import at_least, decay_rates, fraction, one_of, positive, require

Estimator = Literal[
    "gae",
    "gae_turn",
    "gae_bilevel",
    "reinforce",
    "reinforce_baseline",
    "reinforce_baseline_pooled",
    "rloo",
    "grpo",
    "dr_grpo",
    "gigpo",
]
# Those that need a value function; those that compare the episodes of a group; those of them that score whole episodes.
CRITIC_ESTIMATORS = ("gae", "gae_turn", "gae_bilevel")
GROUP_ESTIMATORS = ("reinforce_baseline", "reinforce_baseline_pooled", "rloo", "grpo", "dr_grpo", "gigpo")
SCORE_ESTIMATORS = ("rloo", "grpo", "dr_grpo")


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
    reference: Literal["start", "none"] = "start"
    """What the divergence is measured from: the model that the stage starts with, or nothing (coefficient 0)."""
    target: float | None = None
    """A token's mean divergence (the metric 'kl') that the coefficient is steered to; none: it stays as it is."""
    horizon: int = 10_000
    """With a target: the coefficient moves by at most a fifth in so many episodes."""

    def __post_init__(self) -> None:
        at_least("coefficient", self.coefficient, 0)
        one_of("placement", self.placement, ("reward", "loss"))
        one_of("estimator", self.estimator, ("k1", "k2", "k3", "full"))
        one_of("tokens", self.tokens, ("reply", "thought"))
        one_of("reference", self.reference, ("start", "none"))
        at_least("horizon", self.horizon, 1)
        require(
            self.estimator != "full" or self.placement == "loss",
            "estimator full needs placement loss: a reward is one number for each sampled token, so use k1, k2 or k3",
        )
        require(
            self.reference != "none" or self.coefficient == 0,
            f"coefficient {self.coefficient} needs a reference to diverge from: set reference start, or coefficient 0",
        )
        if self.target is not None:
            positive("target", self.target)
            require(
                self.coefficient > 0,
                f"target {self.target} needs a coefficient above 0 to start from: with 0 there is no reference model",
            )


@dataclass(frozen=True)
class CriticConfig:
    """The value function; used by the estimators 'gae', 'gae_turn' and 'gae_bilevel' only."""

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

    estimator: Estimator = "reinforce_baseline"
    """Where advantages come from: a critic ('gae...'), returns ('reinforce'), or the group that shared the start."""
    clip_low: float = 0.2
    """The probability ratio is clipped below 1 - clip_low."""
    clip_high: float = 0.2
    """The probability ratio is clipped above 1 + clip_high."""
    dual_clip: float | None = None
    """Where the advantage is negative the loss is at most so many times its size (above 1); none: no bound."""
    ratio: Literal["token", "sequence"] = "token"
    """The probability ratio of each token, or the geometric mean over its whole token sequence (GSPO)."""
    normalisation: Literal["token", "sequence", "constant"] | None = None
    """Mean over tokens, over sequences' means, or sum over a constant length; none: what the estimator's paper has."""
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
    turn_lam: float | None = None
    """GAE's lambda, from one turn to the next; none: lam."""
    step_weight: float = 1.0
    """Weight of the comparison of turns that began in the same state, beside that of episodes ('gigpo')."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
    policy_tokens: Literal["reply", "answer"] = "reply"
    """Tokens that the policy loss is taken over: the whole reply, or its answer only."""

    @property
    def whitened(self) -> bool:
        """Whether advantages are whitened over the learned tokens of an iteration.

        So they are for PPO with a critic and for REINFORCE++ (arXiv 2501.03262); RLOO, GRPO, Dr. GRPO and GiGPO scale
        within their groups or, on purpose, not at all.
        """
        return self.estimator in (*CRITIC_ESTIMATORS, "reinforce", "reinforce_baseline", "reinforce_baseline_pooled")

    @property
    def loss_normalisation(self) -> str:
        """`normalisation`, or where it is none: constant for Dr. GRPO, sequence for GRPO, token for the others."""
        own = {"dr_grpo": "constant", "grpo": "sequence"}.get(self.estimator, "token")
        return own if self.normalisation is None else self.normalisation

    def __post_init__(self) -> None:
        one_of("estimator", self.estimator, get_args(Estimator))
        one_of("ratio", self.ratio, ("token", "sequence"))
        one_of("policy_tokens", self.policy_tokens, ("reply", "answer"))
        if self.normalisation is not None:
            one_of("normalisation", self.normalisation, ("token", "sequence", "constant"))
        for key in ("clip_low", "clip_high"):
            positive(key, vars(self)[key])
        for key in ("gamma", "lam", "turn_gamma"):
            fraction(key, vars(self)[key])
        if self.turn_lam is not None:
            fraction("turn_lam", self.turn_lam)
        for key in ("epochs", "minibatches"):
            at_least(key, vars(self)[key], 1)
        for key in ("entropy", "step_weight"):
            at_least(key, vars(self)[key], 0)
        require(self.clip_low < 1, f"clip_low must be below 1, not {self.clip_low}: a ratio is never below 0")
        require(
            self.dual_clip is None or 1 < self.dual_clip < math.inf,
            f"dual_clip must be above 1, not {self.dual_clip}; none switches it off",
        )
        require(
            self.estimator not in SCORE_ESTIMATORS or self.turn_gamma > 0,
            f"turn_gamma 0 leaves estimator {self.estimator} the first turn's reward alone: set it above 0, or use "
            "reinforce_baseline or gigpo, which credit each turn by itself",
        )


@dataclass(frozen=True)
class CorrectionConfig:
    """What is put right in collected episodes before they are learned from."""

    kind: Literal["none", "truncate", "mask"] = "none"
    """Weigh tokens by the trainer's probability over the engine's: not at all, up to cap, or within [floor, cap]."""
    cap: float = 2.0
    """Largest weight: 'truncate' lowers larger ones to it, 'mask' leaves their tokens out."""
    floor: float = 0.5
    """Smallest weight: 'mask' leaves the tokens of smaller ones out; 'truncate' does not look at it."""
    overlong: Literal["keep", "mask", "penalise"] = "keep"
    """What was cut off, not ended: learned from, left out of the policy loss (episodes), or paid for (long replies)."""
    overlong_buffer: int = 0
    """With 'penalise': a reply pays more and more over its last so many tokens before rollout.max_new_tokens."""
    overlong_penalty: float = 1.0
    """With 'penalise': what a reply of rollout.max_new_tokens pays, out of its turn's reward."""
    reward_clip: tuple[float, float] | None = None
    """Each turn's reward is kept between these two; none: it is left as it is."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("none", "truncate", "mask"))
        one_of("overlong", self.overlong, ("keep", "mask", "penalise"))
        at_least("cap", self.cap, 1)
        fraction("floor", self.floor)
        at_least("overlong_buffer", self.overlong_buffer, 0)
        positive("overlong_penalty", self.overlong_penalty)
        require(
            (self.overlong == "penalise") == (self.overlong_buffer > 0),
            f"overlong_buffer is {self.overlong_buffer} with overlong {self.overlong}: penalise needs it above 0, and "
            "nothing else uses it",
        )
        if self.reward_clip is not None:
            low, high = self.reward_clip
            require(low < high, f"reward_clip must be a lower and a higher number, not {list(self.reward_clip)}")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its learning rate, and what one of its steps sees."""

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
    minibatch_unit: Literal["row", "group"] = "row"
    """A step sees rows of any groups, or whole groups: shared prompts and images are then run in one step only."""
    microbatch_tokens: int = 3584
    """Tokens of one forward and backward pass; a step adds up several. Fewer take less memory, more keep a GPU busy."""

    def __post_init__(self) -> None:
        one_of("schedule", self.schedule, ("constant", "linear", "cosine"))
        one_of("minibatch_unit", self.minibatch_unit, ("row", "group"))
        for key in ("learning_rate", "max_grad_norm"):
            positive(key, vars(self)[key])
        fraction("final_fraction", self.final_fraction)
        for key in ("warmup", "weight_decay"):
            at_least(key, vars(self)[key], 0)
        at_least("microbatch_tokens", self.microbatch_tokens, 1)
        decay_rates("betas", self.betas)
        require(
            self.schedule != "constant" or self.final_fraction == 1,
            f"final_fraction {self.final_fraction} has no effect on a constant schedule: choose linear or cosine",
        )
