"""Credit for turns: one step of the decision process is a whole reply. Pure tensor functions over flat tokens.

Shapes: N reply tokens ordered by episode and turn, K turns, E episodes. What a turn is comes from explicit turn ends,
never from where a reward happens to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .advantages import generalized_advantages, to_padded


@dataclass(frozen=True)
class Turns:
    """Where the turns of a batch stand.

    Attributes:
        of_token: int64 (N,), the turn of each token.
        first, last: int64 (K,), each turn's first and last token.
        episodes: int64 (K,), each turn's episode.
        count: E.
    """

    of_token: Tensor
    first: Tensor
    last: Tensor
    episodes: Tensor
    count: int

    @classmethod
    def find(cls, turn_ends: Tensor, episodes: Tensor, count: int) -> Turns:
        """From bool (N,) marks of the last token of each turn, and int64 (N,) episodes of `count`."""
        last = turn_ends.nonzero()[:, 0]
        first = torch.cat([torch.zeros_like(last[:1]), last[:-1] + 1])
        of_token = turn_ends.cumsum(0) - turn_ends.long()
        return cls(of_token, first, last, episodes[last], count)

    def sums(self, values: Tensor) -> Tensor:
        """The sum of each turn's tokens' values, (K,)."""
        return torch.zeros(len(self.last), dtype=values.dtype).index_add_(0, self.of_token, values)


def advantages_of_turns(
    rewards: Tensor, values: Tensor, turns: Turns, bootstrap: Tensor, turn_gamma: float, turn_lam: float
) -> Tensor:
    """Generalised advantage estimation with a turn as the step, float32 (K,).

    Args:
        rewards, values: float32 (K,).
        turns: which episode each belongs to.
        bootstrap: float32 (E,), the value after an episode's last turn: 0 where the task ended.
        turn_gamma, turn_lam: discount and decay from one turn to the next.
    """
    padded, mask = to_padded(rewards, turns.episodes, turns.count)
    expected, _ = to_padded(values, turns.episodes, turns.count)
    found, _ = generalized_advantages(padded, expected, mask, mask, bootstrap, 1.0, 1.0, turn_gamma, turn_lam)
    return found[mask]


def discounted_turn_returns(rewards: Tensor, turns: Turns, turn_gamma: float) -> Tensor:
    """The discounted sum of the rewards from each turn on, float32 (K,), of rewards (K,)."""
    nothing = torch.zeros(turns.count)
    return advantages_of_turns(rewards, torch.zeros_like(rewards), turns, nothing, turn_gamma, 1.0)


def turn_level_advantages(
    rewards: Tensor, values: Tensor, turns: Turns, bootstrap: Tensor, turn_gamma: float, turn_lam: float
) -> tuple[Tensor, Tensor]:
    """One advantage for each turn, given to all its tokens, with the whole reply as the action.

    A turn's value is the one at its first token: that of the state in which the reply was begun. Its reward is the sum
    over its tokens.

    Args:
        rewards, values: float32 (N,).
        turns, bootstrap, turn_gamma, turn_lam: see `advantages_of_turns`.

    Returns:
        float32 (N,) advantages, and returns: advantage plus value at each turn's first token. Elsewhere they are the
        values themselves, which nothing uses and nothing is to learn.
    """
    begun = values[turns.first]
    found = advantages_of_turns(turns.sums(rewards), begun, turns, bootstrap, turn_gamma, turn_lam)
    returns = values.clone()
    returns[turns.first] = found + begun
    return found[turns.of_token], returns


def bilevel_advantages(
    rewards: Tensor,
    values: Tensor,
    turns: Turns,
    bootstrap: Tensor,
    gamma: float,
    lam: float,
    turn_gamma: float,
    turn_lam: float,
) -> tuple[Tensor, Tensor]:
    """Bi-level GAE (VAGEN, arXiv 2510.16907, section 4 and algorithm 2, as released).

    First over turns, each valued and paid at its last token; then within each turn over tokens, where the last token
    takes the turn's advantage in the place of its own. What is paid before the last token (a penalty for divergence)
    counts for its turn's tokens alone. Where nothing is, and `gamma` and both lambdas are 1, it is token-level GAE.

    Args:
        rewards, values: float32 (N,).
        turns, bootstrap: see `advantages_of_turns`.
        gamma, lam: within a turn.
        turn_gamma, turn_lam: from turn to turn.

    Returns:
        float32 (N,) advantages and returns (advantage plus value).
    """
    ended = values[turns.last]
    found = advantages_of_turns(rewards[turns.last], ended, turns, bootstrap, turn_gamma, turn_lam)
    targets = rewards.clone()
    targets[turns.last] = found + ended
    ends = torch.zeros_like(rewards, dtype=torch.bool)
    ends[turns.last] = True
    count = len(turns.last)
    padded, mask = to_padded(targets, turns.of_token, count)
    expected, _ = to_padded(values, turns.of_token, count)
    marks, _ = to_padded(ends, turns.of_token, count)
    nothing = torch.zeros(count)
    advantages, returns = generalized_advantages(padded, expected, mask, marks, nothing, gamma, lam, 0.0)
    return advantages[mask], returns[mask]
