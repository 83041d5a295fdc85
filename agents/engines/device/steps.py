"""Decoding on a GPU: the sampling steps of a batch, recorded as a graph and replayed.

One recording serves the steps of a batch until rows leave it, others enter, or the columns that it looks at are full.
What ends is looked for every few steps only, since asking a GPU means waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..batch import UNSEEN, Batch
from ..sampler import Drawing
from .decoder import DeviceDecoder

# Columns that one recording looks at beyond those written when it is made.
WINDOW = 256
# Steps between two looks at what has ended.
UNWATCHED = 16
# A recording costs about as much as so many steps run one by one.
WORTH_RECORDING = 8


class DeviceSteps:
    """Runs the steps of one call's batches.

    Args:
        decoder: the network.
        drawing: of the call.
        turns: complex64 (positions, dim / 2), see `rotate`.
        record: whether steps are recorded; without it they run one by one, on any device, with the same results.
    """

    def __init__(self, decoder: DeviceDecoder, drawing: Drawing, turns: Tensor, record: bool = True) -> None:
        self.decoder, self.drawing, self.turns, self.record = decoder, drawing, turns, record
        self.batch: Batch | None = None
        self.stop = 0
        self.replay: Callable[[], None] | None = None
        self.step: Callable[[], None] | None = None
        self.pool = torch.cuda.graph_pool_handle() if record else None

    def advance(self, batch: Batch) -> None:
        """Run up to `UNWATCHED` steps, so that each live row has as many tokens more or has ended."""
        columns = batch.values[0].shape[2]
        with repeatable_writes():
            if batch is not self.batch or batch.column >= self.stop:
                self._enter(batch, columns)
            for _ in range(min(UNWATCHED, self.stop - batch.column)):
                assert self.replay is not None
                self.replay()
                batch.column += 1

    def _enter(self, batch: Batch, columns: int) -> None:
        stop = batch.column + WINDOW
        self.batch, self.stop = batch, min(columns, stop + -stop % 8)
        # As the whole cache, what is looked at begins and ends at a multiple of 16 bytes.
        window = slice(batch.first - batch.first % 8, self.stop)
        here = torch.arange(window.start, window.stop, device=batch.starts.device)
        column = torch.tensor([batch.column], device=batch.starts.device)

        def step() -> None:
            hidden = (here < batch.starts[:, None]) | (here > column)
            unseen = torch.where(hidden, UNSEEN, 0.0)[:, None, None]
            turn = self.turns.index_select(0, batch.positions)
            logits = self.decoder.step(batch.tokens, turn, batch.keys, batch.values, column, window, unseen)
            self.drawing.draw(logits, batch)
            # A row that ended stays where it is, so that it needs no angles beyond its own.
            batch.positions.add_(batch.live)
            column.add_(1)

        # A recording knows addresses and nothing more: what it reads lives as long as the step that was recorded.
        self.step = step
        if not self.record or self.stop - batch.column < WORTH_RECORDING:
            self.replay = step
            return
        # Libraries set themselves up when they are first used, which cannot be recorded; the step counts.
        step()
        batch.column += 1
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            step()
        self.replay = graph.replay


@contextmanager
def repeatable_writes() -> Iterator[None]:
    """Let writes to places that are all different, or that nobody reads, go the fast way: no order can change them."""
    asked, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=warns)
