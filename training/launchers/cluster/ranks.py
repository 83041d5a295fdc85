"""Ranks in actors: see `Crew`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

from ...backends.base import LostError
from ...backends.host import Post


class ActorCrew:
    """See `Crew`.

    Args:
        actors: one for each rank.
        stop: ends one.
    """

    folder: Path | None = None

    def __init__(self, actors: Sequence[Any], stop: Callable[[Any], None]) -> None:
        self.actors, self._stop = actors, stop

    def begin(self, posts: Sequence[Post], seconds: float) -> None:
        """Tell each rank what it is to do; they meet and load the model."""
        self._answers([actor.begin.remote(post) for actor, post in zip(self.actors, posts, strict=True)], seconds)

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of every rank; what rank 0 answers."""
        import ray
        import ray.exceptions

        shared = ray.put(arguments)  # sent to each machine once
        return self._answers([actor.ask.remote(method, shared) for actor in self.actors], None)[0]

    def first(self, method: str, *arguments: object) -> Any:
        """Call a method of rank 0's actor itself."""
        return self._answers([getattr(self.actors[0], method).remote(*arguments)], None)[0]

    def _answers(self, calls: list[Any], seconds: float | None) -> list[Any]:
        import ray
        import ray.exceptions

        answers: dict[Any, Any] = {}
        waiting = list(calls)
        while waiting:
            done, waiting = ray.wait(waiting, timeout=seconds)
            if not done:
                self.close()
                raise LostError(f"the ranks have not met within backend.start_seconds ({seconds:.0f} s)")
            for call in done:
                answer = None
                try:
                    answer = ray.get(call)
                except ray.exceptions.RayActorError as error:
                    self._fail(calls.index(call), "ended by itself", error)
                except ray.exceptions.RayTaskError as error:
                    self._fail(calls.index(call), f"failed: {error.cause}", error)
                if isinstance(answer, UserError):
                    self.close()
                    raise answer
                answers[call] = answer
        return [answers[call] for call in calls]

    def _fail(self, rank: int, what: str, error: Exception) -> None:
        # The others may wait for it for ever.
        self.close()
        raise LostError(f"learner rank {rank} {what}") from error

    def close(self) -> None:
        """End all of them."""
        for actor in self.actors:
            self._stop(actor)
