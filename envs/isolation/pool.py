"""Environments in worker processes that are killed when one of them hangs, and made again as they were.

The workers are plain child processes (see `envs/rewards/symbolic.py` for why they are not made by `multiprocessing`).
A worker runs its orders one after the other and answers each as it is done, so that it is always known which
environment a deadline is running for. When a worker ends, the order that it was at is a fault; the episodes of its
other environments are innocent: their replies are played again in a new worker, and they go on as if nothing had been.
"""

from __future__ import annotations

import atexit
import os
import pickle
import selectors
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_images, message_text
from lmmr1.envs.registry import EnvironmentConfig

from .local import LocalEnv
from .outcomes import Advice, Fault, Opening, Outcome, run_reset, run_solve, run_step
from .process import START_SECONDS, Order, Script, WorkerProcess

STARTS = 3  # whoever kills processes may hit one that is just starting


@dataclass
class _Slot:
    """An environment, and what brings it back to where it is: the seed of its episode, the replies, what they gave."""

    config: EnvironmentConfig
    spec: bytes | None
    made: bool = False
    seed: int | None = None
    replies: list[str] = field(default_factory=list)
    marks: list[Any] = field(default_factory=list)

    def script(self, number: int, order: Order) -> list[Order]:
        """An order, and before it whatever a worker that does not know the environment must do first."""
        if self.made:
            return [order]
        make: Order = ("make", number, (self.config, self.spec))
        if order[0] == "reset":
            return [make, order]
        return [make, ("reset", number, self.seed), *(("step", number, text) for text in self.replies), order]

    def check_again(self, position: int, answer: Any) -> Fault | None:
        """Whether an answer in the middle of a script is what it was the first time."""
        place = position - 1  # the first order of a script makes the environment
        if place < 0 or _mark(answer) == self.marks[place]:
            return None
        where = f"turn {place}" if place else "the opening"
        return Fault(
            "garbage", f"not deterministic: {where} differed when the episode was played again in a new worker"
        )


@dataclass(frozen=True)
class IsolatedEnv:
    """An environment that lives in a worker process."""

    pool: EnvironmentPool
    slot: int

    @property
    def config(self) -> EnvironmentConfig:
        """What it is made by."""
        return self.pool.slots[self.slot].config


class EnvironmentPool:
    """Environments in worker processes; the results do not depend on how many there are.

    Args:
        workers: how many processes; they start when they are first needed.
        step_seconds: a step, or a solution, that takes longer is a fault.
        reset_seconds: the same for a reset.

    Raises:
        UserError: the system has no process groups.
    """

    def __init__(self, workers: int, step_seconds: float, reset_seconds: float) -> None:
        """See the class."""
        if sys.platform == "win32":
            raise UserError("workers: environments in killable processes need Linux or macOS; set it to 0")
        self.seconds = {"make": START_SECONDS, "reset": reset_seconds, "step": step_seconds, "solve": step_seconds}
        self.workers: list[WorkerProcess | None] = [None] * workers
        self.slots: list[_Slot] = []
        self._owner = os.getpid()

    def add(self, config: EnvironmentConfig) -> IsolatedEnv:
        """A place for one more environment; it is made when it is first reset.

        Raises:
            UserError: its class cannot be found from another process.
        """
        spec = gym.registry.get(config.id.rpartition(":")[2])
        try:
            packed = None if spec is None or config.id.startswith("LMMR1/") else pickle.dumps(spec)
        except Exception as error:  # pickle raises whatever the object raises
            raise UserError(
                f"{config.id} cannot be played in a worker process ({error}): register it with an entry point written "
                "as 'module:Class', or set workers to 0"
            ) from error
        self.slots.append(_Slot(config, packed))
        return IsolatedEnv(self, len(self.slots) - 1)

    def reset(self, calls: Sequence[tuple[int, int]]) -> list[Opening | Fault]:
        """Reset the environments of some slots, all side by side.

        Args:
            calls: pairs of a slot and a seed; each slot once.
        """
        answers = self._run({number: ("reset", number, seed) for number, seed in calls})
        for number, seed in calls:
            slot, answer = self.slots[number], answers[number]
            slot.seed, slot.replies, slot.marks = seed, [], [_mark(answer)]
            slot.made = slot.made and isinstance(answer, Opening)
        return [answers[number] for number, _ in calls]

    def step(self, calls: Sequence[tuple[int, str]]) -> list[Outcome | Fault]:
        """Give replies to the environments of some slots, all side by side.

        Args:
            calls: pairs of a slot, whose episode is running, and a reply; each slot once.
        """
        answers = self._run({number: ("step", number, text) for number, text in calls})
        for number, text in calls:
            slot, answer = self.slots[number], answers[number]
            slot.replies.append(text)
            slot.marks.append(_mark(answer))
            # What broke is made anew before it plays again.
            slot.made = slot.made and isinstance(answer, Outcome)
        return [answers[number] for number, _ in calls]

    def solve(self, numbers: Sequence[int]) -> list[Advice | Fault]:
        """Ask the environments of some slots, whose episodes are running, for their solutions; each slot once."""
        answers = self._run({number: ("solve", number, None) for number in numbers})
        for number in numbers:
            slot = self.slots[number]
            slot.made = slot.made and isinstance(answers[number], Advice)
        return [answers[number] for number in numbers]

    def close(self) -> None:
        """Close the environments and end the processes; runs at exit by itself. The next call starts new ones."""
        atexit.unregister(self.close)
        if os.getpid() != self._owner:  # a forked child: they belong to the parent
            return
        running = [worker for worker in self.workers if worker is not None]
        self._forget(range(len(self.workers)))
        for worker in running:
            worker.ask_to_end()
        for worker in running:
            worker.end()

    # ---------------------------------------------------------------------------------------------- orders and answers

    def _run(self, orders: Mapping[int, Order]) -> dict[int, Any]:
        """Have orders carried out, one for a slot; starts and replaces workers as needed."""
        answers: dict[int, Any] = {}
        try:
            # Each round that loses a worker has at least one answer more than the one before: a fault.
            while waiting := [number for number in orders if number not in answers]:
                self._exchange({number: orders[number] for number in waiting}, answers)
        except BaseException:
            # Ctrl-C, mostly. A worker that still owes answers must not be asked again.
            for worker in self.workers:
                if worker is not None:
                    worker.kill()
            self._forget(range(len(self.workers)))
            raise
        return answers

    def _start(self, indices: set[int]) -> None:
        new = [index for index in sorted(indices) if self.workers[index] is None]
        if new and all(worker is None for worker in self.workers):
            atexit.register(self.close)
        for index in new:  # side by side
            self.workers[index] = WorkerProcess(self.seconds)
        for index in new:
            self._wait_until_ready(index)

    def _wait_until_ready(self, index: int) -> None:
        """Wait for a worker that was started; one that dies over it is started again, `STARTS` times in all."""
        for tries_left in reversed(range(STARTS)):
            worker = self.workers[index]
            assert worker is not None
            try:
                return worker.wait_until_ready()
            except RuntimeError:
                if not tries_left:
                    raise
                self.workers[index] = WorkerProcess(self.seconds)

    def _exchange(self, orders: Mapping[int, Order], answers: dict[int, Any]) -> None:
        """Send orders and take the answers; an order that its worker never came to has none in the end."""
        count = len(self.workers)
        self._start({number % count for number in orders})
        with selectors.DefaultSelector() as selector:
            for index, worker in enumerate(self.workers):
                mine = [number for number in orders if number % count == index]
                if worker is None or not mine:
                    continue
                worker.send([Script(number, self.slots[number].script(number, orders[number])) for number in mine])
                selector.register(worker.answers, selectors.EVENT_READ, index)
                selector.register(worker.orders, selectors.EVENT_WRITE, index)
            while busy := [worker for worker in self.workers if worker is not None and worker.scripts]:
                timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
                ready = selector.select(timeout)
                for key, _ in ready:
                    worker = self.workers[key.data]
                    if worker is None:
                        continue  # it was found dead a moment ago, at its other pipe
                    if key.fileobj is worker.orders:
                        if worker.write():
                            selector.unregister(worker.orders)
                        continue
                    for answer in worker.read():
                        self._take(worker, answer, answers)
                    if worker.ended:
                        self._lose(key.data, Fault("death", worker.obituary()), answers, selector)
                # Looked at only when there is nothing to be read: whoever has answered in time is in time.
                for index, worker in enumerate(self.workers) if not ready else ():
                    if worker is not None and worker.scripts and worker.deadline <= time.monotonic():
                        self._lose(index, worker.time_out(), answers, selector)

    def _take(self, worker: WorkerProcess, answer: Any, answers: dict[int, Any]) -> None:
        """An answer came: note it if it is its script's last, else see that it is what it was before."""
        script, position = worker.advance(answer)
        slot = self.slots[script.number]
        slot.made = True
        if script.is_done:
            answers.setdefault(script.number, answer)
        elif (problem := slot.check_again(position, answer)) is not None:
            answers.setdefault(script.number, problem)

    def _lose(self, index: int, fault: Fault, answers: dict[int, Any], selector: selectors.BaseSelector) -> None:
        """A worker hung or died: the script that it was at is at fault."""
        worker = self.workers[index]
        assert worker is not None
        for stream in (worker.answers, worker.orders):
            if stream in selector.get_map():
                selector.unregister(stream)
        worker.kill()
        if worker.scripts:
            answers.setdefault(worker.scripts[0].number, fault)
        self._forget([index])

    def _forget(self, indices: Sequence[int]) -> None:
        for index in indices:
            self.workers[index] = None
            for slot in self.slots[index :: len(self.workers)]:
                slot.made = False


def _mark(answer: Any) -> Any:
    """What must be the same when an episode is played again."""
    if isinstance(answer, Fault):
        return None
    texts = [message_text(message) for message in answer.messages]
    images = [zlib.crc32(image.tobytes()) for message in answer.messages for image in message_images(message)]
    return texts, images, answer.reward if isinstance(answer, Outcome) else None


def open_pool(
    workers: int | None, environments: Sequence[EnvironmentConfig], step_seconds: float, reset_seconds: float
) -> EnvironmentPool | None:
    """The worker processes for some environments; None where they are to live in this process.

    Args:
        workers: how many; None for as many as there are cores, at most 8, if one of the environments can take down its
            process, and else none.
        environments: which.
        step_seconds, reset_seconds: see `EnvironmentPool`.
    """
    if workers is None:
        workers = min(8, os.cpu_count() or 1) if any(config.needs_worker for config in environments) else 0
    return EnvironmentPool(workers, step_seconds, reset_seconds) if workers else None


# Where an episode can be played.
Place: TypeAlias = ChatEnv | LocalEnv | IsolatedEnv


def reset_all(calls: Sequence[tuple[Place, int]]) -> list[Opening | Fault]:
    """Reset environments of all kinds, each given with its seed; the answers are in the same order."""
    answers: dict[int, Opening | Fault] = {}
    for pool, indices in _by_pool(calls).items():
        results = pool.reset([(_slot(calls[index][0]), calls[index][1]) for index in indices])
        answers.update(zip(indices, results, strict=True))
    for index, (env, seed) in enumerate(calls):
        if not isinstance(env, IsolatedEnv):
            answers[index] = run_reset(env, seed) if isinstance(env, ChatEnv) else env.reset(seed)
    return [answers[index] for index in range(len(calls))]


def step_all(calls: Sequence[tuple[Place, str]]) -> list[Outcome | Fault]:
    """Give replies to environments of all kinds, each given with its reply; the answers are in the same order."""
    answers: dict[int, Outcome | Fault] = {}
    for pool, indices in _by_pool(calls).items():
        results = pool.step([(_slot(calls[index][0]), calls[index][1]) for index in indices])
        answers.update(zip(indices, results, strict=True))
    for index, (env, text) in enumerate(calls):
        if not isinstance(env, IsolatedEnv):
            answers[index] = run_step(env, text) if isinstance(env, ChatEnv) else env.step(text)
    return [answers[index] for index in range(len(calls))]


def solve_all(places: Sequence[Place]) -> list[Advice | Fault]:
    """Ask environments of all kinds for their solutions; the answers are in the same order."""
    answers: dict[int, Advice | Fault] = {}
    for pool, indices in _by_pool([(place, None) for place in places]).items():
        answers.update(zip(indices, pool.solve([_slot(places[index]) for index in indices]), strict=True))
    for index, env in enumerate(places):
        if not isinstance(env, IsolatedEnv):
            answers[index] = run_solve(env) if isinstance(env, ChatEnv) else env.solve()
    return [answers[index] for index in range(len(places))]


def _by_pool(calls: Sequence[tuple[Place, Any]]) -> dict[EnvironmentPool, list[int]]:
    groups: dict[EnvironmentPool, list[int]] = {}
    for index, (env, _) in enumerate(calls):
        if isinstance(env, IsolatedEnv):
            groups.setdefault(env.pool, []).append(index)
    return groups


def _slot(env: Place) -> int:
    assert isinstance(env, IsolatedEnv)
    return env.slot
