"""Loss terms, token by token. Pure tensor functions; the caller divides by counts taken over the whole minibatch."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_policy_loss(logprobs: Tensor, old: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """PPO's clipped surrogate (arXiv 1707.06347, eq. 7), negated: (n,).

    Args:
        logprobs: (n,) of the sampled tokens now.
        old: (n,) when they were sampled.
        advantages: (n,).
        low, high: the ratio counts as within [1 - low, 1 + high].
    """
    ratio = (logprobs - old).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def clip_fraction(logprobs: Tensor, old: Tensor, low: float, high: float) -> Tensor:
    """Whether each token's ratio lies outside the bounds, float32 (n,)."""
    ratio = (logprobs - old).exp()
    return ((ratio < 1 - low) | (ratio > 1 + high)).float()


def clipped_value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Half the squared error, (n,); with `clip` at least that of the value kept within `clip` of the old one."""
    loss = (values - returns).pow(2)
    if clip is not None:
        near = old + (values - old).clamp(-clip, clip)
        loss = torch.maximum(loss, (near - returns).pow(2))
    return 0.5 * loss
