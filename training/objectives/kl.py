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
