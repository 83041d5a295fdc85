"""Divergence of the policy from a reference, token by token. Pure tensor functions.

k1, k2 and k3 estimate KL(policy || reference) from the log-probabilities of tokens that the policy sampled
(J. Schulman, "Approximating KL Divergence", 2020); `full` is the exact sum over the vocabulary.
"""

from __future__ import annotations

from torch import Tensor


def estimate_kl(logprobs: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """Estimate from sampled tokens, the shape of `logprobs`.

    Args:
        logprobs: of the sampled tokens under the policy.
        reference: of the same tokens under the reference.
        estimator: "k1" (unbiased, either sign), "k2" (half the square) or "k3" (unbiased, never negative).
    """
    log_ratio = reference - logprobs
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return 0.5 * log_ratio.pow(2)
    if estimator == "k3":
        return log_ratio.exp() - 1 - log_ratio
    raise ValueError(f"unknown KL estimator '{estimator}'")


def full_kl(distributions: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference), (n,), of log-probabilities (n, vocabulary); banned ids (both near -1e9) add nothing."""
    return (distributions.exp() * (distributions - reference)).sum(-1)


def adapted_coefficient(coefficient: float, divergence: float, target: float, episodes: int, horizon: int) -> float:
    """The penalty's weight for the next iteration (Ziegler et al. 2019, arXiv 1909.08593, section 2.2).

    It grows where the divergence lies above the target and falls where it lies below, in proportion to the error, which
    counts for at most 0.2.

    Args:
        coefficient: its present weight.
        divergence, target: of the policy from the reference, a token's mean.
        episodes: how many the divergence was measured on.
        horizon: in so many episodes the weight moves by a fifth at most.
    """
    error = min(max(divergence / target - 1, -0.2), 0.2)
    return coefficient * (1 + error * episodes / horizon)
