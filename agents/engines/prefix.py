"""What an engine keeps of a sequence between two turns: the keys and values of its ids, so that they run once.

A prefix belongs to whoever holds it, usually a conversation, and goes with it. It serves one call: the engine moves its
contents into the cache that it decodes over and gives a longer one back. Where there is none, or where it no longer
fits, the engine runs the whole prompt again; results then differ by rounding at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..networks.base import PixelInput


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The caches of rows that left a batch together.

    Attributes:
        keys, values: per layer (rows, kv_heads, columns, dim).
    """

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def num_bytes(self) -> int:
        """The memory that they take."""
        return sum(part.numel() * part.element_size() for part in (*self.keys, *self.values))


@dataclass
class Prefix:
    """The cache of a sequence's first ids.

    Attributes:
        ids: int32 (n,), the ids that it covers: a prompt and all of the reply but its last id, which never ran.
        digests: of the images among them, in order.
        position: rotary position of the id that follows.
        stamp: of the weights that it was made with, see `weight_stamp`.
        rows: where it lies; None once it was used.
        row, start: which row of those, and its first column.
    """

    ids: np.ndarray
    digests: tuple[bytes, ...]
    position: int
    stamp: bytes
    rows: KeptRows | None
    row: int
    start: int

    def fits(self, prompt_ids: np.ndarray, images: Sequence[PixelInput], stamp: bytes) -> bool:
        """Whether it covers the beginning of a prompt, under the same weights."""
        length = len(self.ids)
        return (
            self.rows is not None
            and self.stamp == stamp
            and length < len(prompt_ids)
            and np.array_equal(prompt_ids[:length], self.ids)
            and self.digests == tuple(image.digest for image in images[: len(self.digests)])
        )

    def copy_into(self, keys: Sequence[Tensor], values: Sequence[Tensor], row: int, column: int) -> None:
        """Write it to row `row` of a cache laid out as `KeptRows`, from `column` on."""
        assert self.rows is not None, "a prefix serves one call"
        here, there = slice(self.start, self.start + len(self.ids)), slice(column, column + len(self.ids))
        for cache, kept in zip((*keys, *values), (*self.rows.keys, *self.rows.values), strict=True):
            cache[row, :, there] = kept[self.row, :, here]

    def release(self) -> None:
        """Let go of the memory."""
        self.rows = None


def weight_stamp(parameters: Sequence[Tensor]) -> bytes:
    """A digest that differs when any weight does.

    The bits of each tensor added up as integers. Version counters would be cheaper, but the fused optimizers of torch
    change weights without counting.
    """
    bits = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = [part.detach().contiguous().view(bits[part.element_size()]).sum() for part in parameters]
    return torch.stack(sums).cpu().numpy().tobytes()
