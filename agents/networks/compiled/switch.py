"""When the kernels run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from lmmr1.envs.compiling.kernel import has_numba

_allowed = True


def allow_kernels(allowed: bool) -> None:
    """Say whether kernels may run in this process; at first they may."""
    global _allowed
    _allowed = allowed


@contextmanager
def kernels_allowed(allowed: bool) -> Iterator[None]:
    """`allow_kernels` for a while."""
    before = _allowed
    allow_kernels(allowed)
    try:
        yield
    finally:
        allow_kernels(before)


def kernels_fit(*tensors: Tensor, halves: bool = False) -> bool:
    """Whether kernels may take these, on a CPU where torch computes with one thread as they do.

    Args:
        tensors: float32, that is.
        halves: whether bfloat16 will do too.
    """
    if not (_allowed and torch.get_num_threads() == 1 and has_numba()):
        return False
    for tensor in tensors:
        if not (tensor.is_cpu and (tensor.dtype == torch.float32 or (halves and tensor.dtype == torch.bfloat16))):
            return False
    return True


def array(tensor: Tensor) -> np.ndarray:
    """The same memory as an array, a copy where the tensor is not contiguous: kernels know one layout only.

    bfloat16 becomes int16 with the same bits.
    """
    whole = (tensor.detach() if tensor.requires_grad else tensor).contiguous()
    return (whole.view(torch.int16) if whole.dtype == torch.bfloat16 else whole).numpy()
