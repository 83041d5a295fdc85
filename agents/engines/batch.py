"""The rows that an embedded engine decodes side by side, and their cache.

All rows write the same column of the cache: a row's prompt is laid so that it ends where the batch stands, which keeps
every step a plain slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .prefix import KeptRows

# Leaving the batch costs a copy of the cache; it pays once this share of the rows has ended.
COMPACT_AT = 0.25
# The memory that what is kept between calls may take, unless somebody says otherwise.
PREFIX_BYTES = 4 << 30
# Added to the scores of columns that a row must not look at.
UNSEEN = -1e9


@dataclass
class Batch:
    """Row i of every tensor belongs to one request.

    Attributes:
        keys, values: per layer (rows, kv_heads, columns, dim).
        prompts: int64 (rows,), equal for rows of one prompt, which have the same in the columns of it.
        starts, ends: int64 (rows,), first column of the row's prompt, and the one after its last.
        positions: int64 (rows,), rotary position of the next token.
        tokens: int64 (rows,), last sampled token.
        places: int64 (rows,), where the next token stands among all results.
        limits: int64 (rows,), the place that the row must not reach.
        stops: int64 (rows,), how far into a stop string the row's text is (see `StopStrings`).
        live: bool (rows,), still decoding.
        column: next column to write.
    """

    keys: list[Tensor]
    values: list[Tensor]
    prompts: Tensor
    starts: Tensor
    ends: Tensor
    positions: Tensor
    tokens: Tensor
    places: Tensor
    limits: Tensor
    stops: Tensor
    live: Tensor
    column: int

    def __post_init__(self) -> None:
        self.first = int(self.starts.min())
        self._aligned = int(self.starts.max()) == self.first
        self._unseen: Tensor | None = None
        self._leaders: Tensor | None = None

    @property
    def unseen(self) -> Tensor | None:
        """What is added to the scores of all columns, (rows * kv_heads, 1, columns); None: nothing is."""
        if self._unseen is None and not self._aligned:
            kv_heads, columns = self.values[0].shape[1:3]
            hidden = torch.arange(columns, device=self.starts.device) < self.starts[:, None]
            unseen = torch.where(hidden, UNSEEN, 0.0).to(self.values[0].dtype)
            self._unseen = unseen.repeat_interleave(kv_heads, 0)[:, None]
        return self._unseen

    @property
    def leaders(self) -> Tensor:
        """int64 (rows,), the first of the rows that have the same prompt."""
        if self._leaders is None:
            _, firsts, numbers = np.unique(self.prompts.numpy(), return_index=True, return_inverse=True)
            self._leaders = torch.from_numpy(firsts[numbers])
        return self._leaders

    def __len__(self) -> int:
        return len(self.starts)

    def kept(self, rows: Tensor) -> Batch:
        """The batch of some of the rows."""
        return Batch(
            [key.index_select(0, rows) for key in self.keys],
            [value.index_select(0, rows) for value in self.values],
            *(part[rows] for part in self._columns()),
            column=self.column,
        )

    def taken(self, rows: Tensor) -> tuple[KeptRows, list[int]]:
        """A copy of what some of the rows have cached, and the column of it where each begins."""
        starts = self.starts[rows]
        first = int(starts.min())
        return KeptRows(
            [key[rows, :, first : self.column] for key in self.keys],
            [value[rows, :, first : self.column] for value in self.values],
        ), (starts - first).tolist()

    def joined(self, entering: Batch, budget: int, multiple: int = 1) -> Batch:
        """Both batches side by side, all prompts and replies ending at one column, `budget` columns before the last.

        That column is a multiple of `multiple`.
        """
        # Columns before the first that any row still reads are dropped, or the cache would grow for ever.
        used = self.column - self.first
        left = max(entering.column - used, 0)
        left += -(left + used) % multiple
        column = left + used
        lead = column - entering.column

        def aligned(running: Tensor, new: Tensor) -> Tensor:
            """Both laid out to `column` + budget columns."""
            running = running[:, :, self.first : self.column]
            return torch.cat([F.pad(running, (0, 0, left, budget)), F.pad(new, (0, 0, lead, 0))])

        before, after = self._columns(left - self.first), entering._columns(lead)
        return Batch(
            [aligned(a, b) for a, b in zip(self.keys, entering.keys, strict=True)],
            [aligned(a, b) for a, b in zip(self.values, entering.values, strict=True)],
            *(torch.cat(pair) for pair in zip(before, after, strict=True)),
            column=column,
        )

    def _columns(self, shift: int = 0) -> Sequence[Tensor]:
        """What stands beside the rows, as it is when the cache moves by `shift` columns."""
        moved = (self.starts + shift, self.ends + shift) if shift else (self.starts, self.ends)
        return self.prompts, *moved, self.positions, self.tokens, self.places, self.limits, self.stops, self.live
