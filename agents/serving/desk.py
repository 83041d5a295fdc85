"""Where requests wait: one thread lets the agent answer those that wait together, in batches."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.registry import EnvironmentConfig

from ..base import Agent, AgentReply, Conversation
from ..policy import PolicyAgent
from .requests import ChatRequest, Limits, RefusalError

# A random stream of its own, so that what is served never repeats a sample of training.
SERVING_STREAM = 14


@dataclass(eq=False)
class Ticket:
    """A request that waits; its `future` takes the replies, and is cancelled when nobody wants them any more."""

    request: ChatRequest
    future: Future[list[AgentReply]] = field(default_factory=Future)


class Desk:
    """Answers requests in batches, in the order of their arrival; a batch shares one wish.

    Args:
        agent: who answers. What it is told of sampling is followed by a `PolicyAgent`; others reply as they do.
        limits: how many may wait, and how many are answered together.
        place: the environment that the agent looks into, for those that look into one.
        seed: of the sampling of requests without a seed.
    """

    def __init__(self, agent: Agent, limits: Limits, place: LocalEnv | None = None, seed: int = 0) -> None:
        self.agent, self.limits, self.seed = agent, limits, seed
        self.place = place if place is not None else LocalEnv(EnvironmentConfig("none"))
        self._waiting: deque[Ticket] = deque()
        self._news = threading.Condition()
        self._count = itertools.count()
        self._open = True
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._thread.start()

    def submit(self, request: ChatRequest) -> Ticket:
        """Let a request wait.

        Raises:
            RefusalError: too many wait already, or the desk is closed.
        """
        ticket = Ticket(request)
        with self._news:
            if not self._open:
                raise RefusalError(503, "the server is closing")
            if len(self._waiting) >= self.limits.waiting:
                raise RefusalError(429, f"{len(self._waiting)} requests are waiting: try again", code="too_many")
            self._waiting.append(ticket)
            self._news.notify()
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """Nobody waits for it any more; what is being answered already is dropped when it comes."""
        ticket.future.cancel()
        with self._news, contextlib.suppress(ValueError):
            self._waiting.remove(ticket)

    def close(self) -> None:
        """Answer no more; what waits is refused."""
        with self._news:
            self._open = False
            self._news.notify()
        self._thread.join()
        for ticket in self._waiting:
            if ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(RefusalError(503, "the server is closing"))

    def _serve(self) -> None:
        while True:
            with self._news:
                while self._open and not self._waiting:
                    self._news.wait()
                if not self._open:
                    return
                batch = self._next_batch()
            # From here on it can be dropped, but no longer be cancelled.
            batch = [ticket for ticket in batch if ticket.future.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _next_batch(self) -> list[Ticket]:
        wish, size = self._waiting[0].request.wish, 0
        batch: list[Ticket] = []
        for ticket in list(self._waiting):
            if ticket.request.wish == wish and (not batch or size + ticket.request.replies <= self.limits.batch):
                batch.append(ticket)
                size += ticket.request.replies
                self._waiting.remove(ticket)
        return batch

    def _answer(self, batch: Sequence[Ticket]) -> None:
        conversations = [c for ticket in batch for c in self._conversations(ticket.request)]
        wish = batch[0].request.wish
        if isinstance(self.agent, PolicyAgent):
            temperature = 1.0 if wish.greedy else wish.temperature
            self.agent.sampling = replace(
                self.agent.sampling, max_new_tokens=wish.new_tokens, temperature=temperature, stop=wish.stop
            )
        try:
            replies = self.agent.act(conversations, greedy=wish.greedy)
        except Exception as error:
            # One request may be what broke it: the others are answered one by one.
            if len(batch) > 1:
                for ticket in batch:
                    self._answer([ticket])
                return
            told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            status = 400 if isinstance(error, UserError) else 500
            batch[0].future.set_exception(RefusalError(status, told))
            return
        for ticket in batch:
            ticket.future.set_result(replies[: ticket.request.replies])
            replies = replies[ticket.request.replies :]

    def _conversations(self, request: ChatRequest) -> list[Conversation]:
        """The same conversation as often as replies are asked for, each with a random stream of its own."""
        if request.seed is None:
            entropy: tuple[int, ...] = (SERVING_STREAM, self.seed, next(self._count))
        else:
            entropy = (SERVING_STREAM, request.seed)
        return [
            Conversation(self.place, list(request.messages), list(request.messages), (*entropy, index))
            for index in range(request.replies)
        ]
