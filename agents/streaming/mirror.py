"""An engine over a copy of the learner's model, so that one samples while the other learns."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch

from ..engines.base import Completion, Request, Sampling
from ..engines.embedded import PREFIX_BYTES, EmbeddedEngine
from ..models import LoadedModel
from ..policy import make_engine


class MirrorEngine:
    """The embedded engine in a thread of its own, over weights of its own.

    An update is copied twice: aside when the learner says so, which takes no longer than the copy, and into the
    engine's model before its next call. What never learns (a frozen tower, the base of an adapter) is shared, not
    copied.

    Args:
        loaded: the learner's model; its parameters' `requires_grad` say which of them learn.
        slots, prefix_bytes: see `PolicyAgent`.

    Attributes:
        loaded: the copy.
        engine: the engine over it.
    """

    def __init__(self, loaded: LoadedModel, slots: int = 256, prefix_bytes: int = PREFIX_BYTES) -> None:
        shared = {id(part): part for part in loaded.model.parameters() if not part.requires_grad}
        self.loaded = replace(loaded, network=copy.deepcopy(loaded.network, dict(shared)))
        self.engine = make_engine(self.loaded, slots, prefix_bytes)
        pairs = zip(loaded.model.parameters(), self.loaded.model.parameters(), strict=True)
        self._pairs = [(theirs, mine) for theirs, mine in pairs if theirs is not mine]
        self._aside: list[torch.Tensor] = []
        self._version: int | None = None  # of what lies aside; None: nothing new does
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "engine")

    def start(self, requests: Sequence[Request], sampling: Sampling) -> Future[list[Completion]]:
        """Begin to continue every request."""
        return self._thread.submit(self._generate, requests, sampling)

    @torch.no_grad()
    def update_weights(self, version: int) -> None:
        """Put the learner's present weights aside for the next call."""
        with self._lock:
            if not self._aside:
                self._aside = [torch.empty_like(theirs) for theirs, _ in self._pairs]
            for kept, (theirs, _) in zip(self._aside, self._pairs, strict=True):
                kept.copy_(theirs)
            self._version = version

    @torch.no_grad()
    def _generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        with self._lock:
            if self._version is not None:
                for kept, (_, mine) in zip(self._aside, self._pairs, strict=True):
                    mine.copy_(kept)
                self.engine.update_weights(self._version)
                self._version = None
                if isinstance(self.engine, EmbeddedEngine):
                    self.engine.features.clear()  # those of pictures long gone among them
        return self.engine.generate(requests, sampling)

    def close(self) -> None:
        """Wait for the call that is under way and end the thread."""
        self._thread.shutdown(cancel_futures=True)
        self.engine.close()


def with_own_voice(loaded: LoadedModel) -> LoadedModel:
    """The model with a tokenizer and an image encoder of its own, since those are not made for two threads."""
    return replace(loaded, tokenizer=copy.deepcopy(loaded.tokenizer), images=copy.deepcopy(loaded.images))
