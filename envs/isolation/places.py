"""Where an episode can be played: in this process, or behind a pool; and calls to many places that are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.recording import RecordChat
from lmmr1.envs.registry import EnvironmentConfig

from .local import LocalEnv
from .outcomes import Advice, Fault, Opening, Outcome, run_reset, run_solve, run_step

Verb: TypeAlias = Literal["reset", "step", "solve"]
Answer: TypeAlias = Opening | Outcome | Advice | Fault


class Pool(Protocol):
    """Environments elsewhere, each in a slot: orders go out, and their answers come when they come.

    One owner at a time: whoever submits is whoever polls, or has a thread that does.
    """

    def add(self, config: EnvironmentConfig) -> IsolatedEnv:
        """A place for one more environment; it is made when it is first reset."""
        ...

    def submit(self, number: int, verb: Verb, argument: Any = None) -> None:
        """Give an order to the environment of a slot, which has none that is unanswered; any thread may.

        Args:
            number: the slot.
            verb: "reset", "step" or "solve"; the latter two need an episode that is running.
            argument: the seed, the reply, or nothing.
        """
        ...

    def poll(self, timeout: float | None = None) -> list[tuple[int, Answer]]:
        """Wait for answers to what was submitted; one thread at a time.

        Args:
            timeout: seconds; None: until there is an answer.

        Returns:
            Slots and their answers: one at least, or none where the time is up or `wake` was called.
        """
        ...

    def wake(self) -> None:
        """Let the `poll` that is waiting, or the next one, come back; any thread may."""
        ...

    def abandon(self) -> None:
        """Ask for nothing more of what was submitted: its answers never come."""
        ...

    def close(self) -> None:
        """Close the environments and end what they lived in."""
        ...


@dataclass(frozen=True)
class IsolatedEnv:
    """An environment that lives behind a pool, made by `config`."""

    pool: Pool
    slot: int
    config: EnvironmentConfig = field(compare=False)


Place: TypeAlias = ChatEnv | RecordChat | LocalEnv | IsolatedEnv


def reset_all(calls: Sequence[tuple[Place, int]]) -> list[Opening | Fault]:
    """Reset environments of all kinds, each given with its seed; the answers are in the same order."""
    return _call_all("reset", calls)


def step_all(calls: Sequence[tuple[Place, str]]) -> list[Outcome | Fault]:
    """Give replies to environments of all kinds, each given with its reply; the answers are in the same order."""
    return _call_all("step", calls)


def solve_all(places: Sequence[Place]) -> list[Advice | Fault]:
    """Ask environments of all kinds for their solutions; the answers are in the same order."""
    return _call_all("solve", [(place, None) for place in places])


def _call_all(verb: Verb, calls: Sequence[tuple[Place, Any]]) -> list[Any]:
    """Call every place, those behind pools side by side, and wait for all; the answers are in the same order."""
    answers: dict[int, Any] = {}
    owed: dict[Pool, dict[int, int]] = {}
    for index, (place, _) in enumerate(calls):
        if isinstance(place, IsolatedEnv):
            owed.setdefault(place.pool, {})[place.slot] = index
    try:
        for pool, indices in owed.items():
            for slot, index in indices.items():
                pool.submit(slot, verb, calls[index][1])
        for index, (place, argument) in enumerate(calls):
            if not isinstance(place, IsolatedEnv):
                answers[index] = _call_here(verb, place, argument)
        for pool, indices in owed.items():
            while indices:
                for slot, answer in pool.poll():
                    answers[indices.pop(slot)] = answer
    except BaseException:
        # Ctrl-C, mostly: nobody will ask for the other answers.
        for pool in owed:
            pool.abandon()
        raise
    return [answers[index] for index in range(len(calls))]


def _call_here(verb: Verb, place: ChatEnv | RecordChat | LocalEnv, argument: Any) -> Answer:
    if isinstance(place, ChatEnv | RecordChat):
        if verb == "solve":
            return run_solve(place)
        return run_reset(place, argument) if verb == "reset" else run_step(place, argument)
    if verb == "solve":
        return place.solve()
    return place.reset(argument) if verb == "reset" else place.step(argument)
