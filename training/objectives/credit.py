"""From a batch's rewards to each token's advantage and return, by the estimator that the recipe names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.episode import Episode
from lmmr1.agents.networks.base import PixelInput, Rows
from lmmr1.agents.policy import PolicyAgent

from ..batching import TokenBatch, episode_sequences
from ..config import PPOConfig
from ..model import Critic
from .advantages import discounted_returns, generalized_advantages, group_baseline, to_padded


@dataclass(frozen=True)
class Targets:
    """What the losses compare with; flat tensors over a batch's N reply tokens.

    Attributes:
        advantages: float32, whitened over the learned tokens, 0 elsewhere.
        returns, values: float32, for the critic; values as they were before learning.
        reference: float32, log-probabilities of the sampled ids under the reference.
        reference_all: float32 (different tokens, vocabulary), all of them by slot, or None.
        learned: bool, tokens that the policy loss is taken over.
        penalised: bool, tokens that pay for divergence.
    """

    advantages: Tensor
    returns: Tensor
    values: Tensor
    reference: Tensor
    reference_all: Tensor | None
    learned: Tensor
    penalised: Tensor


def gae_credit(
    batch: TokenBatch, rewards: Tensor, values: Tensor, bootstrap: Tensor, ppo: PPOConfig
) -> tuple[Tensor, Tensor]:
    """Advantages and returns (N,) with a critic; `bootstrap` (episodes,) is the value after an episode's last token."""
    count = len(batch.groups)
    padded_rewards, mask = to_padded(rewards, batch.episodes, count)
    padded_values, _ = to_padded(values, batch.episodes, count)
    ends, _ = to_padded(batch.turn_ends, batch.episodes, count)
    advantages, returns = generalized_advantages(
        padded_rewards, padded_values, mask, ends, bootstrap, ppo.gamma, ppo.lam, ppo.turn_gamma
    )
    return advantages[mask], returns[mask]


def reinforce_credit(batch: TokenBatch, rewards: Tensor, ppo: PPOConfig) -> tuple[Tensor, Tensor]:
    """Advantages and returns (N,) without a critic: the return less the group's mean return (see `group_baseline`).

    The baseline is the mean of what the environments paid; a penalty inside `rewards` (divergence) counts in full.
    """
    count = len(batch.groups)
    padded, mask = to_padded(rewards, batch.episodes, count)
    paid, _ = to_padded(batch.rewards, batch.episodes, count)
    ends, _ = to_padded(batch.turn_ends, batch.episodes, count)
    returns = discounted_returns(padded, mask, ends, ppo.gamma, ppo.turn_gamma)[mask]
    paid_returns = discounted_returns(paid, mask, ends, ppo.gamma, ppo.turn_gamma)[mask]
    at = batch.turn_ends
    _, group = torch.unique(batch.groups, return_inverse=True)
    turn_groups = group[batch.episodes[at]]
    # A turn's own discounting starts at its last token: what stands before it in the turn only waits.
    baseline = group_baseline(paid_returns[at], turn_groups)
    return returns - baseline[group[batch.episodes]], returns


@torch.no_grad()
def bootstrap_values(episodes: Sequence[Episode], policy: PolicyAgent, critic: Critic) -> Tensor:
    """The critic's value of the state that a truncated episode was stopped in, 0 where the task ended: (episodes,)."""
    values = torch.zeros(len(episodes))
    cut = [index for index, episode in enumerate(episodes) if episode.truncated and episode.final_messages]
    if not cut:
        return values
    sequences: list[np.ndarray] = []
    images: list[list[PixelInput]] = []
    for index in cut:
        ids, pixels = state_after(episodes[index], policy)
        sequences.append(ids)
        images.append(pixels)
    network = critic.network or policy.loaded.network
    rows = Rows.pack(sequences, images, policy.loaded.pad_id)
    hidden = network.hidden(rows)[torch.arange(len(cut)), rows.lengths - 1]
    values[cut] = critic.head(hidden.float())[:, 0]
    return values


def state_after(episode: Episode, policy: PolicyAgent) -> tuple[np.ndarray, list[PixelInput]]:
    """The prompt that the policy would have answered next: int32 (length,) ids, and the images in order."""
    template = policy.template
    if episode.context == "turn":
        system = [m for turn in episode.turns[:1] for m in turn.messages if m["role"] == "system"]
        return template.first([*system, *episode.final_messages])
    sequence, _ = episode_sequences(episode, policy)[0]
    ended = int(episode.turns[-1].reply_ids[-1]) in policy.loaded.end_ids
    added, pixels = template.following(episode.final_messages, ended)
    return np.concatenate([sequence.ids, added]), [*sequence.images, *pixels]
