"""Losses, divergences and schedules against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lmmr1.agents.episode import Episode, Turn
from lmmr1.envs.messages import StopReason
from lmmr1.training.objectives.kl import adapted_coefficient, estimate_kl, full_kl
from lmmr1.training.objectives.losses import (
    clip_fraction,
    clipped_policy_loss,
    clipped_value_loss,
    importance_weights,
    sequence_log_ratio,
)
from lmmr1.training.objectives.overlong import is_cut_off, length_penalty
from lmmr1.training.objectives.schedule import learning_rate


def test_the_clipped_surrogate_by_hand() -> None:
    log_ratio = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5]))
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_policy_loss(log_ratio, advantages, 0.2, 0.3)
    # gains are capped at 1.3 and 0.8; losses beyond the bounds count in full
    assert loss.tolist() == pytest.approx([-1.3, 1.5, -0.5, 0.8])
    assert clip_fraction(log_ratio, 0.2, 0.3).tolist() == [1.0, 1.0, 1.0, 1.0]
    assert clip_fraction(torch.log(torch.tensor([1.25, 0.85])), 0.2, 0.3).tolist() == [0.0, 0.0]


def test_dual_clip_bounds_the_loss_of_what_is_bad_and_likelier_now() -> None:
    log_ratio = torch.log(torch.tensor([9.0, 9.0, 2.0])).requires_grad_()
    advantages = torch.tensor([-2.0, 2.0, -2.0])
    loss = clipped_policy_loss(log_ratio, advantages, 0.2, 0.2, dual_clip=3.0)
    assert loss.tolist() == pytest.approx([6.0, -2.4, 4.0])
    loss.sum().backward()
    assert log_ratio.grad is not None
    assert log_ratio.grad.tolist() == pytest.approx([0.0, 0.0, 4.0])


def test_a_sequence_has_one_ratio_and_its_tokens_their_own_gradients() -> None:
    log_ratio = torch.tensor([0.1, 0.4, -0.7, 0.9], requires_grad=True)
    chosen = torch.tensor([True, True, True, False])
    found = sequence_log_ratio(log_ratio, torch.tensor([7, 7, 2, 7]), chosen)
    assert found.tolist() == pytest.approx([0.25, 0.25, -0.7, 0.25])
    (found * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert log_ratio.grad is not None
    assert log_ratio.grad.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_importance_weights_by_hand() -> None:
    log_ratio = torch.log(torch.tensor([0.1, 0.5, 1.0, 2.0, 3.0]))
    assert importance_weights(log_ratio, "truncate", 2.0, 0.5).tolist() == pytest.approx([0.1, 0.5, 1.0, 2.0, 2.0])
    assert importance_weights(log_ratio, "mask", 2.5, 0.4).tolist() == pytest.approx([0.0, 0.5, 1.0, 2.0, 0.0])
    with pytest.raises(ValueError, match="clip"):
        importance_weights(log_ratio, "clip", 2.0, 0.5)


def test_what_a_long_reply_pays() -> None:
    found = length_penalty(torch.tensor([1, 80, 85, 90, 100]), limit=100, buffer=20)
    assert found.tolist() == pytest.approx([0.0, 0.0, -0.25, -0.5, -1.0])


@pytest.mark.parametrize(
    ("cut_off", "reason", "expected"),
    [
        (True, StopReason.TASK_ENDED, True),
        (False, StopReason.TASK_ENDED, False),
        (False, StopReason.TURN_LIMIT, True),
        (False, StopReason.CONTEXT_LIMIT, True),
        (False, StopReason.STEP_LIMIT, False),
    ],
)
def test_what_counts_as_cut_off(cut_off: bool, reason: StopReason, expected: bool) -> None:
    turns = [Turn([], "", cut_off=cut_off), Turn([], "")]
    assert is_cut_off(Episode("x", (0,), 0, turns=turns, stop_reason=reason)) == expected


def test_the_weight_of_the_penalty_follows_the_divergence() -> None:
    # errors of -0.5 and 2 count for -0.2 and 0.2, one of 0.1 in full
    assert adapted_coefficient(0.5, 0.1, target=0.2, episodes=100, horizon=1000) == pytest.approx(0.5 * 0.98)
    assert adapted_coefficient(0.5, 0.6, target=0.2, episodes=100, horizon=1000) == pytest.approx(0.5 * 1.02)
    assert adapted_coefficient(0.5, 0.22, target=0.2, episodes=100, horizon=1000) == pytest.approx(0.5 * 1.01)


def test_no_gradient_where_the_gain_is_capped() -> None:
    logprobs = torch.log(torch.tensor([1.5, 1.1])).requires_grad_()
    clipped_policy_loss(logprobs, torch.ones(2), 0.2, 0.2).sum().backward()
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
