"""The loss of one minibatch, made of as many micro-batches as memory asks for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..batching import PackedRows, TokenBatch
from ..config import StageConfig
from ..model import TokenOutputs
from .credit import Targets
from .kl import estimate_kl
from .losses import clip_fraction, clipped_policy_loss, clipped_value_loss, sequence_log_ratio


@dataclass(frozen=True)
class Average:
    """An average over a whole minibatch that is added up over its micro-batches.

    Attributes:
        weights: float32 (N,), of each token of the batch.
        divisor: what the minibatch's weighted sum is divided by.
    """

    weights: Tensor
    divisor: float

    @classmethod
    def over(cls, chosen: Tensor, places: Tensor, normalisation: str, sequences: Tensor, length: int) -> Average:
        """Of the chosen tokens of a minibatch.

        Args:
            chosen: bool (N,).
            places: int64 (n,), the minibatch's tokens; whole sequences.
            normalisation: "token", the mean over tokens (DAPO, arXiv 2503.14476); "sequence", the mean over sequences
                of their means (GRPO, arXiv 2402.03300), those without a chosen token aside; "constant", the sum over
                the number of sequences times `length` (Dr. GRPO, arXiv 2503.20783).
            sequences: int64 (N,), the sequence of each token.
            length: that of the longest reply there may be.
        """
        weights = chosen.to(torch.float32)
        here = sequences[places]
        if normalisation == "token":
            return cls(weights, max(int(chosen[places].sum()), 1))
        if normalisation == "sequence":
            counts = torch.zeros(int(sequences.max()) + 1).index_add_(0, here, weights[places])
            return cls(weights / counts.clamp(min=1)[sequences], max(int((counts > 0).sum()), 1))
        if normalisation == "constant":
            return cls(weights, len(torch.unique(here)) * length)
        raise ValueError(f"unknown normalisation '{normalisation}'")

    def part(self, values: Tensor, at: Tensor) -> Tensor:
        """What `values` (n,) of the tokens at `at` (n,) add to it."""
        return (values * self.weights[at]).sum() / self.divisor


def sequence_numbers(batch: TokenBatch) -> Tensor:
    """The token sequence of each token, int64 (N,): a conversation, or a turn where each turn is one of its own."""
    begins = torch.zeros(len(batch), dtype=torch.long)
    for starts in batch.copies:
        begins[torch.from_numpy(starts)] = 1
    return begins.cumsum(0) - 1


class MinibatchLoss:
    """Clipped policy loss, entropy bonus, penalty for divergence and value loss.

    Every term is divided by counts over the whole minibatch, so that the loss does not depend on the micro-batches.
    Policy loss and penalty are averaged as `ppo.normalisation` says, the entropy and the value loss over tokens.

    Args:
        config: the stage.
        data: what the losses compare with.
        places: int64 (n,), the minibatch's tokens.
        kl_coefficient: the penalty's weight at present.
    """

    def __init__(self, config: StageConfig, data: Targets, places: Tensor, kl_coefficient: float) -> None:
        self.config, self.data, self.kl_coefficient = config, data, kl_coefficient
        normalisation, length = config.ppo.loss_normalisation, config.rollout.max_new_tokens
        self.learned_tokens = Average.over(data.learned, places, "token", data.sequences, length)
        self.penalised_tokens = Average.over(data.penalised, places, "token", data.sequences, length)
        self.valued_tokens = Average.over(data.valued, places, "token", data.sequences, length)
        self.learned = Average.over(data.learned, places, normalisation, data.sequences, length)
        self.penalised = Average.over(data.penalised, places, normalisation, data.sequences, length)

    def part(
        self, packed: PackedRows, outputs: TokenOutputs, values: Tensor | None, penalise: bool
    ) -> tuple[Tensor, Tensor | None, dict[str, float]]:
        """What a micro-batch adds to the losses and to the figures that are logged, which are means over tokens.

        Args:
            packed, outputs: the micro-batch, and what the policy says of it.
            values: float32 (n,), what the critic says of it; None without one.
            penalise: whether the loss holds the penalty for divergence.

        Returns:
            The policy's loss, the critic's (None without one), and the figures.
        """
        ppo, kl, data, at = self.config.ppo, self.config.kl, self.data, packed.places
        log_ratio = outputs.logprobs - data.old[at]
        if ppo.ratio == "sequence":
            log_ratio = sequence_log_ratio(log_ratio, data.sequences[at], data.learned[at])
        surrogate = clipped_policy_loss(log_ratio, data.advantages[at], ppo.clip_low, ppo.clip_high, ppo.dual_clip)
        if data.weights is not None:
            surrogate = surrogate * data.weights[at]
        policy_loss = self.learned.part(surrogate, at)
        with torch.set_grad_enabled(ppo.entropy != 0 and torch.is_grad_enabled()):
            entropy = self.learned_tokens.part(outputs.entropies(), at)
        loss = policy_loss - ppo.entropy * entropy
        outside = clip_fraction(log_ratio.detach(), ppo.clip_low, ppo.clip_high) * data.learned[at]
        # Of the policy that collected, by the estimator k3 (J. Schulman 2020), as CleanRL logs it.
        moved = (log_ratio.exp() - 1 - log_ratio).detach() * data.learned[at]
        figures = {
            "policy_loss": float(policy_loss.detach()),
            "value_loss": 0.0,
            "entropy": float(entropy.detach()),
            "kl": 0.0,
            "clip_fraction": float(outside.sum()) / self.learned_tokens.divisor,
            "approx_kl": float(moved.sum()) / self.learned_tokens.divisor,
        }
        if penalise:
            if data.reference_all is not None:
                divergence = outputs.full_kl(data.reference_all[packed.slots])
            else:
                divergence = estimate_kl(outputs.logprobs, data.reference[at], kl.estimator)
            loss = loss + self.kl_coefficient * self.penalised.part(divergence, at)
            figures["kl"] = float(self.penalised_tokens.part(divergence.detach(), at))
        weighted = None
        if values is not None:
            errors = clipped_value_loss(values, data.values[at], data.returns[at], self.config.critic.value_clip)
            error = self.valued_tokens.part(errors, at)
            weighted = self.config.critic.loss_weight * error
            figures["value_loss"] = float(error.detach())
        return loss, weighted, figures
