"""An engine that says what it is told to, when it is told to, and breaks where it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.streaming.calls import EngineLostError


class ScriptedEngine:
    """Says a digit or a letter, as `chooses` says for the key of the episode, under the version that it was told last.

    Args:
        loaded: whose ids it speaks.
        chooses: (key of the episode, turn from 0) -> whether it says a digit.
        lost_at: the numbers of its calls, from 0, that it is lost at.
        seconds: what a call takes.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        chooses: Callable[[tuple[int, ...], int], bool] = lambda key, turn: True,
        lost_at: Sequence[int] = (),
        seconds: float = 0.0,
    ) -> None:
        self.loaded, self.chooses, self.lost_at, self.seconds = loaded, chooses, set(lost_at), seconds
        self.calls: list[list[tuple[int, ...]]] = []  # the keys asked for, call by call
        self.version = 0
        self._at_work = threading.Lock()
        self._threads = ThreadPoolExecutor(2)  # a second call at the same time would find the first at work

    def start(self, requests: Sequence[Request], sampling: Sampling) -> Future[list[Completion]]:
        self.calls.append([request.key for request in requests])
        return self._threads.submit(self._generate, requests, len(self.calls) - 1, self.version)

    def _generate(self, requests: Sequence[Request], number: int, version: int) -> list[Completion]:
        assert self._at_work.acquire(blocking=False), "two calls at a time"
        try:
            time.sleep(self.seconds)
            if number in self.lost_at:
                raise EngineLostError("killed")
            return [self._say("7" if self.chooses(r.key[:-1], r.key[-1]) else "x", version) for r in requests]
        finally:
            self._at_work.release()

    def _say(self, text: str, version: int) -> Completion:
        ids = np.array([*self.loaded.tokenizer.encode(text), self.loaded.end_ids[0]], np.int32)
        return Completion(ids, np.zeros(len(ids), np.float32), True, None, version)

    def update_weights(self, version: int) -> None:
        self.version = version

    def close(self) -> None:
        self._threads.shutdown()
