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
    swapped = heads.roll(heads.shape[-1] // 2, -1)
    # Angles are float32; what is turned stays in the format that it came in.
    return torch.addcmul(heads * cosine, swapped, signed_sine).to(heads.dtype)


def rotate_back(heads: Tensor, cosine: Tensor, signed_sine: Tensor) -> Tensor:
    """Undo `rotate`: turn by the same angles the other way, which is also what its gradient needs."""
    swapped = heads.roll(heads.shape[-1] // 2, -1)
    return torch.addcmul(heads * cosine, swapped, signed_sine, value=-1).to(heads.dtype)
