"""Environments in actors, each of which has worker processes of its own: see `Pool`.

A worker that dies costs the episode that it was at, as everywhere. An actor that dies, with the machine it was on say,
is made anew, and the episodes that it held are played again up to where they were.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from lmmr1.envs.isolation.places import Answer, IsolatedEnv, Verb
from lmmr1.envs.isolation.process import Order
from lmmr1.envs.isolation.slot import Slot
from lmmr1.envs.registry import EnvironmentConfig

from ...backends.base import LostError


@dataclass
class _Home:
    """An actor, and how often it may still be made anew."""

    actor: Any
    restarts_left: int


class ActorPool:
    """See the module.

    Args:
        start: makes the actor of a number.
        stop: ends one.
        count: how many actors there are.
        restarts: how often each may be made anew.
    """

    def __init__(self, start: Callable[[int], Any], stop: Callable[[Any], None], count: int, restarts: int) -> None:
        self._start, self._stop = start, stop
        self._homes = [_Home(start(index), restarts) for index in range(count)]
        self.slots: list[Slot] = []
        self._orders: dict[int, Order] = {}  # submitted and not answered
        self._events: queue.SimpleQueue[tuple[int, Any, Future[Any]] | None] = queue.SimpleQueue()

    def add(self, config: EnvironmentConfig) -> IsolatedEnv:
        """A place for one more environment; it is made when it is first reset.

        Raises:
            UserError: its class cannot be found from another process.
        """
        self.slots.append(Slot.of(config, "set launcher.environments to 0"))
        return IsolatedEnv(self, len(self.slots) - 1, config)

    def submit(self, number: int, verb: Verb, argument: Any = None) -> None:
        """Give an order to the environment of a slot, which has none that is unanswered."""
        self._orders[number] = (verb, number, argument)
        self._send(number)

    def _send(self, number: int) -> None:
        actor = self._homes[number % len(self._homes)].actor
        call = actor.run.remote(self.slots[number].script(self._orders[number])).future()
        call.add_done_callback(lambda done: self._events.put((number, actor, done)))

    def poll(self, timeout: float | None = None) -> list[tuple[int, Answer]]:
        """Wait for answers to what was submitted.

        Raises:
            LostError: an actor died more often than it may.
        """
        answers: list[tuple[int, Answer]] = []
        try:
            event = self._events.get(timeout=timeout)
            while True:
                if event is None:  # woken
                    break
                answers += self._take(*event)
                if answers and self._events.empty():
                    break
                event = self._events.get(timeout=timeout)
        except queue.Empty:
            pass
        return answers

    def _take(self, number: int, actor: Any, done: Future[Any]) -> list[tuple[int, Answer]]:
        import ray
        import ray.exceptions

        if number not in self._orders:
            return []  # abandoned
        slot, order = self.slots[number], self._orders[number]
        error = done.exception()
        if isinstance(error, ray.exceptions.RayActorError):
            self._replace(number % len(self._homes), actor)
            self._send(number)
            return []
        if error is not None:
            raise error
        first = [*done.result()]
        slot.made = True
        answer, before = first[-1], first[:-1]
        problems = [slot.check_again(position, one) for position, one in enumerate(before)]
        answer = next((problem for problem in problems if problem is not None), answer)
        slot.note(order, answer)
        del self._orders[number]
        return [(number, answer)]

    def _replace(self, index: int, dead: Any) -> None:
        home = self._homes[index]
        if home.actor is not dead:
            return
        if not home.restarts_left:
            raise LostError("an actor of environments died more often than launcher.restarts allows")
        home.restarts_left -= 1
        self._renew(index)

    def _renew(self, index: int) -> None:
        """Another actor in the place of one, which knows none of its environments."""
        home = self._homes[index]
        self._stop(home.actor)
        home.actor = self._start(index)
        for slot in self.slots[index :: len(self._homes)]:
            slot.made = False

    def wake(self) -> None:
        """Let the `poll` that is waiting, or the next one, come back; any thread may."""
        self._events.put(None)

    def abandon(self) -> None:
        """Ask for nothing more of what was submitted: its answers never come."""
        self._orders.clear()
        for index in range(len(self._homes)):
            self._renew(index)

    def close(self) -> None:
        """End the actors, and with them their environments."""
        for home in self._homes:
            self._stop(home.actor)
