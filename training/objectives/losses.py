"""Loss terms, token by token. Pure tensor functions; the caller divides by counts taken over the whole minibatch."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_policy_loss(
    log_ratio: Tensor, advantages: Tensor, low: float, high: float, dual_clip: float | None = None
) -> Tensor:
    """PPO's clipped surrogate (arXiv 1707.06347, eq. 7), negated: (n,).

    Args:
        log_ratio: (n,), log of the probability of the sampled tokens now over that when they were sampled.
        advantages: (n,).
        low, high: the ratio counts as within [1 - low, 1 + high].
        dual_clip: where the advantage is negative the loss is at most so many times its size (dual-clip PPO,
            arXiv 1912.09729, eq. 5); None: no bound.
    """
    ratio = log_ratio.exp()
    loss = -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    if dual_clip is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -dual_clip * advantages), loss)
    return loss


def clip_fraction(log_ratio: Tensor, low: float, high: float) -> Tensor:
    """Whether each token's ratio lies outside the bounds, float32 (n,)."""
    ratio = log_ratio.exp()
    return ((ratio < 1 - low) | (ratio > 1 + high)).float()


def sequence_log_ratio(log_ratio: Tensor, sequences: Tensor, chosen: Tensor) -> Tensor:
    """The log of each token's sequence's ratio, (n,): one value a sequence, each token's own gradient.

    GSPO in its token form (arXiv 2507.18071, eq. 7 and 14): the geometric mean of the ratios over the sequence. With
    one advantage for all its tokens the gradient of the mean over them is that of the sequence form.

    Args:
        log_ratio: (n,) token by token.
        sequences: int64 (n,), which sequence each token is of; whole sequences.
        chosen: bool (n,), the tokens that the mean is taken over.
    """
    _, local = torch.unique(sequences, return_inverse=True)
    steady = log_ratio.detach()
    nothing = steady.new_zeros(int(local.max()) + 1)
    sums = nothing.index_add(0, local, torch.where(chosen, steady, 0.0))
    counts = nothing.index_add(0, local, chosen.to(steady.dtype))
    return (sums / counts.clamp(min=1))[local] + (log_ratio - steady)


def importance_weights(log_ratio: Tensor, kind: str, cap: float, floor: float) -> Tensor:
    """How much each token counts where the engine sampled with other probabilities than the trainer gives, (n,).

    Args:
        log_ratio: (n,), log-probabilities of the sampled tokens under the trainer, before it learns from them, less
            those that the rollout kept.
        kind: "truncate": the ratio, at most `cap` (truncated importance sampling, Ionides 2008); "mask": the ratio,
            and 0 where it is not within [`floor`, `cap`].
    """
    ratio = log_ratio.exp()
    if kind == "truncate":
        return ratio.clamp(max=cap)
    if kind == "mask":
        return torch.where((ratio >= floor) & (ratio <= cap), ratio, 0.0)
    raise ValueError(f"unknown correction '{kind}'")


def clipped_value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Half the squared error, (n,); with `clip` at least that of the value kept within `clip` of the old one."""
    loss = (values - returns).pow(2)
    if clip is not None:
        near = old + (values - old).clamp(-clip, clip)
        loss = torch.maximum(loss, (near - returns).pow(2))
    return 0.5 * loss
