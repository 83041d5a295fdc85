"""How a process that learns computes: the same bits for the same seed, in memory that it keeps."""

from __future__ import annotations

import ctypes
import os
import platform

import torch

from lmmr1.agents.networks.compiled.switch import allow_kernels

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def use_determinism(threads: int, kernels: bool = True) -> None:
    """Let torch compute the same bits for the same seed, wherever the device can.

    Args:
        threads: of one operation on the CPU; the last bits depend on it.
        kernels: whether compiled kernels may run where they can; the last bits depend on them too.
    """
    torch.set_num_threads(threads)
    allow_kernels(kernels)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # A GPU has operations that know no other way; a run says which.
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Filling what is about to be written anyway finds mistakes of torch's, and takes 5 % of an iteration.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]  # no stub


def keep_freed_memory() -> None:
    """Let this process reuse up to 512 MiB that it has freed: under glibc; elsewhere nothing changes.

    An iteration frees and asks for the same tensors again and again. Each would be taken from the system anew, page by
    page, which takes 5 % of the time of a small model.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(TRIM_THRESHOLD, 512 << 20)
