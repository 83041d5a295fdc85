"""Engines that are called without waiting: in a thread of this process, or wherever else a future can come from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from ..engines.base import Completion, Engine, Request, Sampling


class EngineLostError(Exception):
    """An engine died, or cannot be reached, with a call unanswered; its requests may be asked again."""


class EngineCalls(Protocol):
    """An engine that is called without waiting; it is never given a call before the one before it is done."""

    def start(self, requests: Sequence[Request], sampling: Sampling) -> Future[list[Completion]]:
        """Begin to continue every request.

        An `EngineLostError`, raised here or by the future, gives the requests back: they are asked again, of this
        engine too, which may have been made anew by then. Any other error ends the rollout.
        """
        ...

    def update_weights(self, version: int) -> None:
        """Sample whatever is started from here on from the learner's present weights, and call them by this number.

        Comes back as soon as the learner may change its weights again.
        """
        ...

    def close(self) -> None:
        """End the call that is under way, if there is one, and let go of memory, threads and processes."""
        ...


class ThreadedEngine:
    """An engine of this process, called in a thread of its own.

    Args:
        engine: what is called; whoever made it closes it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(1, "engine")

    def start(self, requests: Sequence[Request], sampling: Sampling) -> Future[list[Completion]]:
        """Begin to continue every request."""
        return self._thread.submit(self.engine.generate, requests, sampling)

    def update_weights(self, version: int) -> None:
        """Wait for the call that is under way, then see `Engine.update_weights`."""
        self._thread.submit(self.engine.update_weights, version).result()

    def close(self) -> None:
        """Wait for the call that is under way and end the thread."""
        self._thread.shutdown(cancel_futures=True)
