"""Tensors on their way between processes, as safetensors: in a file of shared memory, or as bytes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

# The path of a file that its reader removes, or the bytes themselves.
Parcel: TypeAlias = str | bytes


def exchange_folder() -> Path:
    """A new folder in shared memory, or where the machine has none, among the temporary files."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="lmmr1-", dir=shared if os.access(shared, os.W_OK) else None))


def pack(tensors: Mapping[str, Tensor], folder: Path | None = None) -> Parcel:
    """Write tensors down: into a new file of `folder`, or to bytes."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if folder is None:
        return save(whole)
    handle, path = tempfile.mkstemp(suffix=".safetensors", dir=folder)
    os.close(handle)
    save_file(whole, path)
    return path


def unpack(parcel: Parcel, remove: bool = False) -> dict[str, Tensor]:
    """The tensors; `remove` takes their file away, whose memory then lives as long as they do."""
    if isinstance(parcel, bytes):
        return load(parcel)
    tensors = load_file(parcel)
    if remove:
        os.unlink(parcel)
    return tensors
