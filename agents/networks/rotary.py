"""The rotary embedding's one operation, shared by text and vision."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(heads: Tensor, cosine: Tensor, signed_sine: Tensor) -> Tensor:
    """Turn the two halves of each head by the given angles.

    Args:
        heads: (..., length, dim).
        cosine: broadcastable to `heads`, the cosines of the angles, the half repeated.
        signed_sine: likewise the sines, negative in the first half.
    """
    half = heads.shape[-1] // 2
    swapped = torch.cat([heads[..., half:], heads[..., :half]], -1)
    return heads * cosine + swapped * signed_sine
