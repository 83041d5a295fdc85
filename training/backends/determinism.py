"""The same seed gives the same bits."""

from __future__ import annotations

import os

import torch


def use_determinism(threads: int) -> None:
    """Let torch compute the same bits for the same seed.

    Args:
        threads: of one operation on the CPU; the last bits depend on it.
    """
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Filling what is about to be written anyway finds mistakes of torch's, and takes 5 % of an iteration.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]  # no stub
