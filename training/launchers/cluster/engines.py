"""Engines in actors: one engine for those who wait, several for those who do not. One that dies is made anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.engines.wire import PlainRequest
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.streaming.calls import EngineLostError

from ...backends.base import LostError
from ...backends.parcels import pack
from ...policies import kept_parameters


class EngineSeat:
    """An engine's actor, and whoever takes its place; see `EngineCalls`.

    Args:
        start: makes an actor.
        stop: ends one.
        restarts: how often it may be made anew.
        weights: the learner's present ones and their number, to be given to a new one.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        stop: Callable[[Any], None],
        restarts: int,
        weights: Callable[[], tuple[Any, int]],
        publish: Callable[[int], None],
    ) -> None:
        self._start, self._stop, self._weights, self._publish = start, stop, weights, publish
        self.restarts_left = restarts
        self._lock = threading.Lock()
        self.actor = start()

    def load(self) -> None:
        """Let it sample from the present weights from the next call on."""
        self.actor.load.remote(*self._weights())

    def start(self, requests: Sequence[Request], sampling: Sampling) -> Future[list[Completion]]:
        """Begin to continue every request."""
        import ray
        import ray.exceptions

        plain = [PlainRequest.of(request) for request in requests]
        actor, result = self.actor, Future[list[Completion]]()

        def pass_on(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                result.set_result(done.result())
            elif isinstance(error, ray.exceptions.RayActorError):
                # Not here: Ray's own thread must not wait for Ray.
                threading.Thread(target=self._recover, args=(actor, result), daemon=True).start()
            else:
                result.set_exception(error)

        actor.generate.remote(plain, sampling).future().add_done_callback(pass_on)
        return result

    def _recover(self, dead: Any, result: Future[list[Completion]]) -> None:
        try:
            self.replace(dead)
            result.set_exception(EngineLostError("an engine's actor died"))
        except Exception as error:  # it belongs to whoever waits for the result
            result.set_exception(error)

    def replace(self, dead: Any) -> None:
        """Make an actor anew, unless that is done already.

        Raises:
            LostError: it was made anew too often.
        """
        with self._lock:
            if self.actor is not dead:
                return
            if not self.restarts_left:
                raise LostError("an engine's actor died more often than launcher.restarts allows")
            self.restarts_left -= 1
            self._stop(dead)
            self.actor = self._start()
            self.load()

    def update_weights(self, version: int) -> None:
        """Publish the learner's present weights, if nobody has yet, and have them loaded before the next call."""
        self._publish(version)
        self.load()

    def close(self) -> None:
        """The launcher ends the actors."""


class ActorEngines:
    """Engines in actors as one; see `Engine`.

    A conversation stays with the engine that it began with, which keeps what it has computed of it.

    Args:
        loaded: the learner's model; its weights are sent out when they have changed.
        start: makes the actor of an engine, given its number.
        stop: ends one.
        count: how many engines.
        restarts: how often each may be made anew.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        start: Callable[[int], Any],
        stop: Callable[[Any], None],
        count: int,
        restarts: int,
    ) -> None:
        self.loaded, self.version = loaded, 0
        self._published: tuple[Any, int] | None = None
        self._homes: dict[tuple[int, ...], int] = {}
        self.seats = [
            EngineSeat(lambda index=index: start(index), stop, restarts, self._weights, self._publish)
            for index in range(count)
        ]

    def _weights(self) -> tuple[Any, int]:
        if self._published is None:
            self._publish(self.version)
        assert self._published is not None
        return self._published

    def _publish(self, version: int) -> None:
        """Put the learner's present weights where every engine can fetch them, once for each version."""
        import ray
        import ray.exceptions

        if self._published is None or self._published[1] != version:
            packed = pack(kept_parameters(self.loaded.model))
            assert isinstance(packed, bytes)
            # An array of bytes is shared by all processes of a machine, bytes themselves are copied into each.
            self._published, self.version = (ray.put(np.frombuffer(packed, np.uint8)), version), version

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request, each engine a share; what a dead one left is asked again."""
        completions: dict[int, Completion] = {}
        waiting = list(range(len(requests)))
        while waiting:
            shares: dict[int, list[int]] = {}
            for at, index in enumerate(waiting):
                conversation = requests[index].key[:-1]
                home = self._homes.setdefault(conversation, at * len(self.seats) // len(waiting))
                shares.setdefault(home, []).append(index)
            calls = [
                (mine, self.seats[home].start([requests[index] for index in mine], sampling))
                for home, mine in shares.items()
            ]
            waiting = []
            for mine, call in calls:
                try:
                    completions.update(zip(mine, call.result(), strict=True))
                except EngineLostError:
                    waiting += mine
            waiting.sort()
        return [completions[index] for index in range(len(requests))]

    def update_weights(self, version: int) -> None:
        """Send the learner's present weights to every engine."""
        self._homes.clear()
        self._published = None  # the same number may stand for other weights where a stage begins
        for seat in self.seats:
            seat.update_weights(version)

    def sleep(self) -> None:
        """Let every engine hand its memory over."""
        for seat in self.seats:
            seat.actor.sleep.remote()

    def close(self) -> None:
        """The launcher ends the actors."""
