"""Losses, divergences and schedules against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lmmr1.training.objectives.kl import estimate_kl, full_kl
from lmmr1.training.objectives.losses import clip_fraction, clipped_policy_loss, clipped_value_loss
from lmmr1.training.objectives.schedule import learning_rate


def test_the_clipped_surrogate_by_hand() -> None:
    old = torch.zeros(4)
    logprobs = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5]))
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_policy_loss(logprobs, old, advantages, 0.2, 0.3)
    # gains are capped at 1.3 and 0.8; losses beyond the bounds count in full
    assert loss.tolist() == pytest.approx([-1.3, 1.5, -0.5, 0.8])
    assert clip_fraction(logprobs, old, 0.2, 0.3).tolist() == [1.0, 1.0, 1.0, 1.0]
    assert clip_fraction(torch.log(torch.tensor([1.25, 0.85])), torch.zeros(2), 0.2, 0.3).tolist() == [0.0, 0.0]


def test_no_gradient_where_the_gain_is_capped() -> None:
    logprobs = torch.log(torch.tensor([1.5, 1.1])).requires_grad_()
    clipped_policy_loss(logprobs, torch.zeros(2), torch.ones(2), 0.2, 0.2).sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([0.0, -1.1])


def test_the_value_loss_takes_the_larger_error() -> None:
    values, old, returns = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0])
    assert clipped_value_loss(values, old, returns, None).tolist() == pytest.approx([0.0, 2.0])
    assert clipped_value_loss(values, old, returns, 0.2).tolist() == pytest.approx([0.5 * 0.64, 0.5 * 2.8**2])


def test_kl_estimators_by_hand() -> None:
    logprobs, reference = torch.log(torch.tensor([0.5])), torch.log(torch.tensor([0.25]))
    ratio = math.log(2)
    assert estimate_kl(logprobs, reference, "k1").item() == pytest.approx(ratio)
    assert estimate_kl(logprobs, reference, "k2").item() == pytest.approx(ratio**2 / 2)
    assert estimate_kl(logprobs, reference, "k3").item() == pytest.approx(0.5 - 1 + ratio)
    with pytest.raises(ValueError, match="k9"):
        estimate_kl(logprobs, reference, "k9")


def test_k1_and_k3_average_to_the_exact_divergence() -> None:
    generator = torch.Generator().manual_seed(0)
    policy = torch.log_softmax(torch.randn(1, 6, generator=generator), -1)
    reference = torch.log_softmax(torch.randn(1, 6, generator=generator), -1)
    exact = full_kl(policy, reference)
    probabilities = policy.exp()
    for estimator in ("k1", "k3"):
        expected = (probabilities * estimate_kl(policy, reference, estimator)).sum(-1)
        assert torch.allclose(expected, exact, atol=1e-6)


def test_banned_ids_add_nothing_to_the_exact_divergence() -> None:
    policy, reference = (
        torch.log_softmax(torch.tensor([[0.0, 1.0, -1e9]]), -1),
        torch.log_softmax(torch.tensor([[1.0, 0.0, -1e9]]), -1),
    )
    assert torch.allclose(full_kl(policy, reference), full_kl(policy[:, :2], reference[:, :2]))


def test_learning_rates() -> None:
    assert learning_rate(1.0, 0, 10, 4, "constant", 1.0) == 0.25
    assert learning_rate(1.0, 9, 10, 4, "constant", 1.0) == 1.0
    assert learning_rate(2.0, 9, 10, 1, "linear", 0.1) == pytest.approx(0.2)
    assert learning_rate(2.0, 0, 11, 1, "cosine", 0.1) == 2.0
    assert learning_rate(2.0, 5, 11, 1, "cosine", 0.0) == pytest.approx(1.0)
