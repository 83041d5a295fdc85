"""Episodes that do not walk in step: whoever waits for a reply is answered by the next engine that is free.

One thread drives a stream. What takes long happens elsewhere, in an engine or behind a pool, and comes back as an
event; an environment of this process is called at once, and holds the others up for as long as it takes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmmr1.envs.isolation.outcomes import Fault, Opening, Outcome
from lmmr1.envs.isolation.places import IsolatedEnv, Pool, Verb, reset_all, step_all

from ..base import AgentReply
from ..engines.base import Completion
from ..episode import Episode
from ..incidents import RolloutLog
from ..playing import Next, Playing, Rules, Seat
from ..policy import Asked, PolicyAgent
from .calls import EngineCalls, EngineLostError

MOST_LOSSES = 3  # in a row; an engine that is lost so often is asked no more


@dataclass(eq=False)
class _Line:
    """An engine, and the call that it is at."""

    engine: EngineCalls
    since: float | None = None
    losses: int = 0


class EpisodeStream:
    """Plays episodes that begin when they are given and are handed back as they end.

    Faults, retries and log are those of `play`, and so are the episodes where the weights stay the same.

    Args:
        policy: who plays: its template, sampling and context; its own engine is not asked.
        engines: who is asked, each for one call at a time; whoever made them closes them.
        rules: what holds for all episodes.
        greedy: whether the policy takes its most likely token.

    Attributes:
        in_flight: how many episodes have begun and were not handed back.
    """

    def __init__(
        self, policy: PolicyAgent, engines: Sequence[EngineCalls], rules: Rules, *, greedy: bool = False
    ) -> None:
        self.policy, self.rules, self.greedy = policy, rules, greedy
        self.in_flight = 0
        self._lines = [_Line(engine) for engine in engines]
        self._waiting: list[Playing] = []
        self._finished: list[Playing] = []
        self._owed: dict[tuple[Pool, int], Callable[[Any], None]] = {}
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._listeners: dict[Pool, threading.Thread] = {}
        self._woken = self._closing = False
        self._spoken_seconds = 0.0

    def begin(self, seat: Seat) -> Playing:
        """Begin an episode; its environment is in no other that is in flight."""
        self.in_flight += 1
        one = Playing(seat, self.rules)
        self._reset(one)
        return one

    def wait(self, timeout: float | None = None) -> list[Playing]:
        """Go on until an episode has ended.

        Args:
            timeout: seconds; None: without end.

        Returns:
            What has ended; nothing where the time is up, `wake` was called, or nothing is in flight.

        Raises:
            EngineLostError: every engine is lost.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self._speak()
            if self._finished or self._woken or not self.in_flight:
                break
            try:
                event = self._events.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            event()
            # All that has come meanwhile is asked of the engines together.
            while not self._events.empty():
                self._events.get()()
        self._woken = False
        finished, self._finished = self._finished, []
        self.in_flight -= len(finished)
        return finished

    def wake(self) -> None:
        """Let the `wait` that goes on, or the next one, come back; any thread may."""
        self._events.put(partial(setattr, self, "_woken", True))

    @property
    def spoken_seconds(self) -> float:
        """How long the engines were at calls, all added up."""
        now = time.monotonic()
        return self._spoken_seconds + sum(now - line.since for line in self._lines if line.since is not None)

    @property
    def engines(self) -> int:
        """How many engines are left."""
        return len(self._lines)

    def close(self) -> None:
        """Let go of the episodes in flight, and of the calls that they wait for."""
        self._closing = True
        for pool, listener in self._listeners.items():
            pool.wake()
            listener.join()
            if any(other is pool for other, _ in self._owed):
                pool.abandon()
        self._listeners.clear()

    # ----------------------------------------------------------------------------------------------------- engines

    def _speak(self) -> None:
        """Share those who wait among the engines that are free."""
        free = [line for line in self._lines if line.since is None]
        while free and self._waiting:
            count = -(-len(self._waiting) // len(free))
            those, self._waiting = self._waiting[:count], self._waiting[count:]
            conversations = [one.conversation for one in those if one.conversation is not None]
            asked = self.policy.ask(conversations, self.greedy)
            if asked.requests:
                self._start(free.pop(), those, asked)
            else:
                self._hear(those, self.policy.read(asked, []))

    def _start(self, line: _Line, those: list[Playing], asked: Asked) -> None:
        line.since = time.monotonic()
        try:
            future = line.engine.start(asked.requests, asked.sampling)
        except EngineLostError as error:
            future = Future[list[Completion]]()
            future.set_exception(error)
        future.add_done_callback(lambda done: self._events.put(partial(self._end, line, those, asked, done)))

    def _end(self, line: _Line, those: list[Playing], asked: Asked, done: Future[list[Completion]]) -> None:
        """An engine's call is over."""
        assert line.since is not None
        self._spoken_seconds += time.monotonic() - line.since
        line.since = None
        try:
            completions = done.result()
        except EngineLostError:
            self._waiting = [*those, *self._waiting]
            line.losses += 1
            if line.losses == MOST_LOSSES:
                self._lines.remove(line)
            if not self._lines:
                raise
            return
        line.losses = 0
        self._hear(those, self.policy.read(asked, completions))

    def _hear(self, those: list[Playing], replies: list[AgentReply]) -> None:
        for one, reply in zip(those, replies, strict=True):
            if one.overflows(reply):
                self._finished.append(one)
            else:
                self._call("step", one, reply.text, partial(one.take, reply))

    # ------------------------------------------------------------------------------------------------ environments

    def _reset(self, one: Playing) -> None:
        self._call("reset", one, one.seat.env_seed, one.open)

    def _call(self, verb: Verb, one: Playing, argument: Any, take: Callable[[Any], Next]) -> None:
        """Call an environment; whatever it answers goes to `take`, now or later."""

        def answered(answer: Opening | Outcome | Fault) -> None:
            then = take(answer)
            if then is Next.RESET:
                self._reset(one)
            else:
                (self._waiting if then is Next.REPLY else self._finished).append(one)

        place = one.seat.env
        if isinstance(place, IsolatedEnv):
            self._owed[place.pool, place.slot] = answered
            place.pool.submit(place.slot, verb, argument)
            self._listen(place.pool)
        else:
            answered((reset_all if verb == "reset" else step_all)([(place, argument)])[0])

    def _listen(self, pool: Pool) -> None:
        """See to it that a pool's answers become events."""
        if pool in self._listeners:
            return

        def listen() -> None:
            try:
                while not self._closing:
                    for slot, answer in pool.poll():
                        self._events.put(partial(self._pass_on, pool, slot, answer))
            except BaseException as error:  # it belongs to whoever waits
                self._events.put(partial(_throw, error))

        self._listeners[pool] = threading.Thread(target=listen, name="environments", daemon=True)
        self._listeners[pool].start()

    def _pass_on(self, pool: Pool, slot: int, answer: Any) -> None:
        self._owed.pop((pool, slot))(answer)


def _throw(error: BaseException) -> None:
    raise error


def stream(
    policy: PolicyAgent,
    seats: Sequence[Seat],
    engines: Sequence[EngineCalls],
    *,
    greedy: bool,
    max_turns: int | None = None,
    retries: int = 0,
    log: RolloutLog | None = None,
) -> list[Episode]:
    """Play one episode in every seat, as `play` does but not in step; the episodes in the order of their seats."""
    rules = Rules(policy.context, max_turns, retries, RolloutLog() if log is None else log)
    flow = EpisodeStream(policy, engines, rules, greedy=greedy)
    try:
        playing = [flow.begin(seat) for seat in seats]
        while flow.in_flight:
            flow.wait()
    finally:
        flow.close()
    return [one.episode for one in playing]
