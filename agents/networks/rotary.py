"""The rotary embedding of queries and keys, as a product of complex numbers.

Qwen turns dimension i of a head together with i + dim / 2. Here the two stand side by side: the rows of the projections
are put in that order (see `pairing`), which changes no product of a query with a key, and turning a pair is then one
multiplication, in one pass over memory instead of four.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pairing(turned: int, others: int, dim: int) -> Tensor:
    """int64 ((turned + others) * dim,), the order of a projection's rows that puts pairs side by side.

    Args:
        turned: how many heads are turned; they come first.
        others: how many are not, and stay as they are.
        dim: of a head.
    """
    rows = torch.arange((turned + others) * dim).view(-1, 2, dim // 2)
    return torch.cat([rows[:turned].mT.flatten(), rows[turned:].flatten()])


def rotate(heads: Tensor, turn: Tensor) -> Tensor:
    """Turn each pair by the given angle.

    Args:
        heads: (..., dim), pairs side by side.
        turn: complex64, broadcastable to (..., dim / 2): cosine + i sine of the angles.
    """
    # Angles are float32; what is turned stays in the format that it came in.
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(heads.dtype)
