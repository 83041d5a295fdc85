"""The rows that an embedded engine decodes side by side, and their cache.

All rows write the same column of the cache: a row's prompt is laid so that it ends where the batch stands, which keeps
every step a plain slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
        keys: per layer (rows, kv_heads, dim, columns): the order in which scores are a plain product.
        values: per layer (rows, kv_heads, columns, dim).
        starts: int64 (rows,), first column of the row's prompt.
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
    starts: Tensor
    positions: Tensor
    tokens: Tensor
    places: Tensor
    limits: Tensor
    stops: Tensor
    live: Tensor
    column: int

    def __post_init__(self) -> None:
        self.first = int(self.starts.min())
        self.unseen: Tensor | None = None
        if int(self.starts.max()) > self.first:
            kv_heads, columns = self.values[0].shape[1:3]
            hidden = torch.arange(columns, device=self.starts.device) < self.starts[:, None]
            unseen = torch.where(hidden, UNSEEN, 0.0).to(self.values[0].dtype)
            self.unseen = unseen.repeat_interleave(kv_heads, 0)[:, None]

    def __len__(self) -> int:
        return len(self.starts)

    def window(self) -> tuple[slice, Tensor | None]:
        """The columns to look at, the one to write included, and what to add to their scores."""
        window = slice(self.first, self.column + 1)
        return window, None if self.unseen is None else self.unseen[..., window]

    def kept(self, rows: Tensor) -> Batch:
        """The batch of some of the rows."""
        return Batch(
            [key[rows] for key in self.keys],
            [value[rows] for value in self.values],
            *(part[rows] for part in self._columns()),
            column=self.column,
        )

    def taken(self, rows: Tensor) -> tuple[KeptRows, list[int]]:
        """A copy of what some of the rows have cached, and the column of it where each begins."""
        starts = self.starts[rows]
        first = int(starts.min())
        return KeptRows(
            [key[rows, :, :, first : self.column] for key in self.keys],
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

        def aligned(running: Tensor, new: Tensor, along: int) -> Tensor:
            """Both laid out to `column` + budget columns; `along` (-1 or -2) is the axis of the columns."""
            inner = (0, 0) * (-1 - along)
            running = running.narrow(along, self.first, used)
            return torch.cat([F.pad(running, (*inner, left, budget)), F.pad(new, (*inner, lead, 0))])

        starts = self.starts + (left - self.first), entering.starts + lead
        others = zip(self._columns()[1:], entering._columns()[1:], strict=True)
        return Batch(
            [aligned(a, b, -1) for a, b in zip(self.keys, entering.keys, strict=True)],
            [aligned(a, b, -2) for a, b in zip(self.values, entering.values, strict=True)],
            torch.cat(starts),
            *(torch.cat(pair) for pair in others),
            column=column,
        )

    def _columns(self) -> Sequence[Tensor]:
        return self.starts, self.positions, self.tokens, self.places, self.limits, self.stops, self.live
