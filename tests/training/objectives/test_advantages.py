"""Credit by hand: small episodes with numbers worked out on paper, and a plain loop written from the formula."""

from __future__ import annotations

import pytest
import torch

from lmmr1.training.objectives.advantages import (
    discounted_returns,
    explained_variance,
    generalized_advantages,
    group_baseline,
    to_padded,
    whiten,
)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


def test_one_turn_by_hand() -> None:
    rewards, values = row(0, 0, 1.0), row(0.5, 0.6, 0.7)
    mask, ends = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[False, False, True]])
    advantages, returns = generalized_advantages(rewards, values, mask, ends, torch.zeros(1), 0.9, 0.5, 1.0)
    # deltas: 0.9*0.6-0.5=0.04, 0.9*0.7-0.6=0.03, 1-0.7=0.3; A2=0.3, A1=0.03+0.45*0.3=0.165, A0=0.04+0.45*0.165=0.11425
    assert advantages[0].tolist() == pytest.approx([0.11425, 0.165, 0.3])
    assert returns[0].tolist() == pytest.approx([0.61425, 0.765, 1.0])


def test_the_discount_between_turns_is_its_own() -> None:
    rewards = row(0, 2.0, 0, 4.0)
    mask, ends = torch.ones(1, 4, dtype=torch.bool), torch.tensor([[False, True, False, True]])
    assert discounted_returns(rewards, mask, ends, 1.0, 0.5)[0].tolist() == [4.0, 4.0, 4.0, 4.0]
    assert discounted_returns(rewards, mask, ends, 1.0, 0.0)[0].tolist() == [2.0, 2.0, 4.0, 4.0]
    assert discounted_returns(rewards, mask, ends, 0.5, 1.0)[0].tolist() == [0.5 * 4.0, 4.0, 2.0, 4.0]


def test_a_truncated_episode_is_worth_what_comes_after() -> None:
    rewards, values = row(0, 0), row(0.2, 0.4)
    mask, ends = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[False, True]])
    cut, _ = generalized_advantages(rewards, values, mask, ends, torch.tensor([0.8]), 1.0, 1.0, 0.5)
    # the last token ends a turn, so the state after it is discounted by 0.5: 0.5*0.8-0.4=0; then 0.4-0.2+0=0.2
    assert cut[0].tolist() == pytest.approx([0.2, 0.0])
    ended, _ = generalized_advantages(rewards, values, mask, ends, torch.zeros(1), 1.0, 1.0, 0.5)
    assert ended[0].tolist() == pytest.approx([-0.2, -0.4])


@pytest.mark.parametrize("gamma,lam,turn_gamma", [(1.0, 1.0, 1.0), (0.97, 0.9, 0.8), (1.0, 0.95, 0.0)])
def test_ragged_episodes_equal_a_plain_loop(gamma: float, lam: float, turn_gamma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [7, 1, 12, 4]
    episodes = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))
    count = len(episodes)
    rewards, values = torch.randn(count, generator=generator), torch.randn(count, generator=generator)
    ends = torch.rand(count, generator=generator) < 0.4
    bootstrap = torch.tensor([0.0, 1.5, 0.0, -0.5])
    padded, mask = to_padded(rewards, episodes, 4)
    advantages, returns = generalized_advantages(
        padded,
        to_padded(values, episodes, 4)[0],
        mask,
        to_padded(ends, episodes, 4)[0],
        bootstrap,
        gamma,
        lam,
        turn_gamma,
    )
    expected = [0.0] * count
    start = 0
    for episode, length in enumerate(lengths):
        after_value, after_advantage = float(bootstrap[episode]), 0.0
        for t in reversed(range(start, start + length)):
            discount = turn_gamma if ends[t] else gamma
            delta = float(rewards[t]) + discount * after_value - float(values[t])
            after_advantage = delta + discount * lam * after_advantage
            after_value = float(values[t])
            expected[t] = after_advantage
        start += length
    assert torch.allclose(advantages[mask], torch.tensor(expected), atol=1e-6)
    assert torch.allclose(returns[mask], torch.tensor(expected) + values, atol=1e-6)
    assert (advantages[~mask] == 0).all() and (returns[~mask] == 0).all()


def test_the_group_baseline_is_the_mean_over_the_groups_turns() -> None:
    baseline = group_baseline(torch.tensor([1.0, 0.0, 5.0, 1.0, 3.0]), torch.tensor([0, 0, 1, 1, 1]))
    assert baseline.tolist() == [0.5, 3.0]


def test_whitened_values_have_mean_0_and_deviation_1() -> None:
    assert whiten(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1.0, 1.0])
    assert whiten(torch.full((5,), 2.0)).tolist() == [0.0] * 5


def test_explained_variance() -> None:
    returns = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(torch.zeros(3), returns) == 0.0
    assert explained_variance(torch.zeros(3), torch.ones(3)) == 0.0
