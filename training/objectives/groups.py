"""Credit from comparison: what was reached, against what others reached from the same start. Pure tensor functions.

Shapes: n scores, float32, and int64 (n,) groups numbered from 0. A score that is alone in its group has nothing to be
compared with and gets 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Added to standard deviations, as published implementations of GRPO do.
EPSILON = 1e-4


def _counts_and_sums(scores: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Of each score's group, (n,) each."""
    counts = torch.bincount(groups)
    sums = torch.zeros(len(counts), dtype=scores.dtype).index_add_(0, groups, scores)
    return counts[groups], sums[groups]


def leave_one_out_advantages(scores: Tensor, groups: Tensor) -> Tensor:
    """Each score less the mean of the others of its group (RLOO, arXiv 2402.14740, eq. 8), (n,)."""
    counts, sums = _counts_and_sums(scores, groups)
    others = (sums - scores) / (counts - 1).clamp(min=1)
    return torch.where(counts > 1, scores - others, 0.0)


def centred_advantages(scores: Tensor, groups: Tensor) -> Tensor:
    """Each score less its group's mean (Dr. GRPO, arXiv 2503.20783, section 3.2), (n,)."""
    counts, sums = _counts_and_sums(scores, groups)
    return torch.where(counts > 1, scores - sums / counts, 0.0)


def standardised_advantages(scores: Tensor, groups: Tensor) -> Tensor:
    """Each score less its group's mean, over its group's standard deviation (GRPO, arXiv 2402.03300, eq. 3 ff.), (n,).

    The deviation is the sample's (over n - 1), with `EPSILON` added.
    """
    centred = centred_advantages(scores, groups)
    counts, squares = _counts_and_sums(centred.pow(2), groups)
    return centred / ((squares / (counts - 1).clamp(min=1)).sqrt() + EPSILON)
