"""Who runs which rows: the micro-batches of each rank, in step with those of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..batching import TokenBatch, microbatches
from .base import Ranks


@dataclass(frozen=True)
class Share:
    """What one rank runs at once.

    Attributes:
        rows: of the batch; none where there is nothing left for this rank.
        fillers: rows that are run beside them and count for nothing. Weights that are split over ranks are fetched by
            all of them together, so that all must run the same modules in the same order: a rank without rows runs some
            row, and one without images, where another has some, a row with an image.
    """

    rows: list[int]
    fillers: list[int]


def share_rows(batch: TokenBatch, rows: Sequence[int], limit: int, ranks: Ranks) -> list[Share]:
    """The micro-batches of this rank; every rank has equally many.

    Args:
        batch: the same on all ranks.
        rows: of it, the same on all ranks.
        limit: tokens of a micro-batch.
        ranks: who shares them.
    """
    if ranks.size == 1:
        return [Share(part, []) for part in microbatches(batch, rows, limit)]
    lengths = {row: len(batch.sequences[row].ids) for row in rows}
    even = -(-sum(lengths.values()) // ranks.size)
    parts = microbatches(batch, rows, max(1, min(limit, even)))
    shares: list[list[list[int]]] = [[] for _ in range(ranks.size)]
    # The next longest goes to whoever has least.
    loads = [0] * ranks.size
    for part in sorted(parts, key=lambda part: (-sum(lengths[row] for row in part), part)):
        rank = min(range(ranks.size), key=lambda rank: (len(shares[rank]), loads[rank]))
        shares[rank].append(part)
        loads[rank] += sum(lengths[row] for row in part)
    mine = []
    for step in range(max(map(len, shares))):
        every = [share[step] if step < len(share) else [] for share in shares]
        own = every[ranks.rank]
        pictured = any(batch.sequences[row].images for part in every for row in part)
        short = not own or (pictured and not any(batch.sequences[row].images for row in own))
        mine.append(Share(own, [_filler(batch, pictured)] if short else []))
    return mine


def _filler(batch: TokenBatch, pictured: bool) -> int:
    """The shortest row of the batch, with an image where one is needed."""
    rows = [row for row, sequence in enumerate(batch.sequences) if sequence.images or not pictured]
    return min(rows, key=lambda row: (len(batch.sequences[row].ids), row))
