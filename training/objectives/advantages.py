"""Credit for sampled tokens. Pure tensor functions over reply tokens only: observation tokens never enter.

Shapes: E episodes, T reply tokens of the longest one, left-aligned; `mask` (E, T) is true on real tokens and
`turn_ends` (E, T) on the last token of each turn. From one token to the next the discount is `gamma`, from a turn's
last token to the next turn's first it is `turn_gamma`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_padded(flat: Tensor, episodes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Lay flat values (N,) of tokens ordered by episode out as (count, T), and the mask of real places."""
    lengths = torch.bincount(episodes, minlength=count)
    mask = torch.arange(int(lengths.max()))[None] < lengths[:, None]
    padded = torch.zeros(mask.shape, dtype=flat.dtype)
    padded[mask] = flat
    return padded, mask


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    turn_ends: Tensor,
    bootstrap: Tensor,
    gamma: float,
    lam: float,
    turn_gamma: float,
    turn_lam: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv 1506.02438, eq. 16) over the reply tokens of multi-turn episodes.

    Observation tokens are not there, so the step from a turn's last token goes to the next turn's first.

    Args:
        rewards, values: float32 (E, T).
        mask, turn_ends: bool (E, T).
        bootstrap: float32 (E,), the value of the state after the last token: 0 where the task ended.
        gamma, lam: discount and decay from one token to the next.
        turn_gamma, turn_lam: the same from a turn's last token to the next turn's first; `turn_lam` None: `lam`.

    Returns:
        float32 (E, T) advantages and returns (advantage plus value); 0 in the padding.
    """
    turn_lam = lam if turn_lam is None else turn_lam
    advantages = torch.zeros_like(rewards)
    following_value, following_advantage = bootstrap.clone(), torch.zeros_like(bootstrap)
    for t in reversed(range(rewards.shape[1])):
        real = mask[:, t]
        discount = torch.where(turn_ends[:, t], turn_gamma, gamma)
        decay = torch.where(turn_ends[:, t], turn_lam, lam)
        delta = rewards[:, t] + discount * following_value - values[:, t]
        advantage = delta + discount * decay * following_advantage
        advantages[:, t] = torch.where(real, advantage, 0.0)
        following_advantage = torch.where(real, advantage, following_advantage)
        following_value = torch.where(real, values[:, t], following_value)
    return advantages, torch.where(mask, advantages + values, 0.0)


def discounted_returns(rewards: Tensor, mask: Tensor, turn_ends: Tensor, gamma: float, turn_gamma: float) -> Tensor:
    """The discounted sum of the rewards from each token on, float32 (E, T); arguments as above."""
    nothing = torch.zeros(len(rewards))
    zeros = torch.zeros_like(rewards)
    return generalized_advantages(rewards, zeros, mask, turn_ends, nothing, gamma, 1.0, turn_gamma)[0]


def group_baseline(turn_returns: Tensor, turn_groups: Tensor) -> Tensor:
    """The mean return of each group of turns, float32 (groups,).

    Args:
        turn_returns: float32 (turns,), the return from each turn on.
        turn_groups: int64 (turns,), 0 to the number of groups less 1: which turns are each other's baseline.
    """
    count = int(turn_groups.max()) + 1
    sums = torch.zeros(count, dtype=turn_returns.dtype).index_add_(0, turn_groups, turn_returns)
    return sums / torch.bincount(turn_groups, minlength=count)


def whiten(values: Tensor) -> Tensor:
    """Values less their mean, over their standard deviation (population; 0 everywhere if they are all alike)."""
    centred = values - values.mean()
    return centred / (centred.pow(2).mean().sqrt() + 1e-8)


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """1 - Var[returns - values] / Var[returns]; 0 where the returns do not vary."""
    variance = returns.var(unbiased=False)
    return float(1 - (returns - values).var(unbiased=False) / variance) if variance > 0 else 0.0
