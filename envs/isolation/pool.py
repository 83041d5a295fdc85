"""Environments in worker processes that are killed when one of them hangs, and made again as they were.

The workers are plain child processes (see `envs/rewards/symbolic.py` for why they are not made by `multiprocessing`).
A worker runs its orders one after the other and answers each as it is done, so that it is always known which
environment a deadline is running for. When a worker ends, the order that it was at is a fault; the episodes of its
other environments are innocent: their replies are played again in a new worker, and they go on as if nothing had been.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

from .outcomes import Fault
from .places import Answer, IsolatedEnv, Verb
from .process import START_SECONDS, Order, Script, WorkerProcess
from .slot import Slot

STARTS = 3  # whoever kills processes may hit one that is just starting


class EnvironmentPool:
    """Environments in worker processes; the results do not depend on how many there are.

    `submit` does not wait, and `poll` gives the answers as they come; whoever wants to wait for all that is asked calls
    `reset_all`, `step_all` and `solve_all`.

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
        self.slots: list[Slot] = []
        self._owner = os.getpid()
        self._inbox: deque[Order] = deque()  # submitted and not sent
        self._orders: dict[int, Order] = {}  # sent and not answered
        self._answers: list[tuple[int, Any]] = []
        self._failures = [0] * workers  # starts in a row that failed
        self._woken = False
        self._bell = os.pipe()
        for end in self._bell:
            os.set_blocking(end, False)
            weakref.finalize(self, os.close, end)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell[0], selectors.EVENT_READ)

    def add(self, config: EnvironmentConfig) -> IsolatedEnv:
        """A place for one more environment; it is made when it is first reset.

        Raises:
            UserError: its class cannot be found from another process.
        """
        self.slots.append(Slot.of(config, "set workers to 0"))
        return IsolatedEnv(self, len(self.slots) - 1, config)

    def submit(self, number: int, verb: Verb, argument: Any = None) -> None:
        """Give an order to the environment of a slot, which has none that is unanswered; any thread may.

        Args:
            number: the slot.
            verb: "reset", "step" or "solve"; the latter two need an episode that is running.
            argument: the seed, the reply, or nothing.
        """
        self._inbox.append((verb, number, argument))
        self._ring()

    def poll(self, timeout: float | None = None) -> list[tuple[int, Answer]]:
        """Wait for answers to what was submitted; one thread at a time.

        Args:
            timeout: seconds; None: until there is an answer.

        Returns:
            Slots and their answers: one at least, or none where the time is up or `wake` was called.

        Raises:
            RuntimeError: a worker process does not start.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._answers:
                self._send([self._inbox.popleft() for _ in range(len(self._inbox))])
                if self._woken or (end is not None and end <= time.monotonic()):
                    self._woken = False
                    break
                self._exchange(end)
        except BaseException:
            self.abandon()  # Ctrl-C, mostly
            raise
        answers, self._answers = self._answers, []
        return answers

    def wake(self) -> None:
        """Let the `poll` that is waiting, or the next one, come back; any thread may."""
        self._woken = True
        self._ring()

    def abandon(self) -> None:
        """Ask for nothing more of what was submitted: its answers never come.

        A worker that still owes one must not be asked again; all of them are killed, and made anew when needed.
        """
        self._forget(kill=True)

    def close(self) -> None:
        """Close the environments and end the processes; runs at exit by itself. The next call starts new ones."""
        atexit.unregister(self.close)
        if os.getpid() != self._owner:  # a forked child: they belong to the parent
            return
        running = [worker for worker in self.workers if worker is not None]
        self._forget(kill=False)
        for worker in running:
            worker.ask_to_end()
        for worker in running:
            worker.end()

    # ---------------------------------------------------------------------------------------------- orders and answers

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full: whoever waits will wake
            os.write(self._bell[1], b"!")

    def _send(self, orders: Sequence[Order]) -> None:
        """Give each order to its slot's worker, which is started if there is none."""
        shares: dict[int, list[Order]] = {}
        for order in orders:
            self._orders[order[1]] = order
            shares.setdefault(order[1] % len(self.workers), []).append(order)
        for index in sorted(shares):
            worker = self.workers[index]
            if worker is not None and not worker.is_busy and worker.has_died:
                self._let_go(index)  # killed while it had nothing to do: nobody's fault
                worker = None
            if worker is None:
                worker = self._start(index)
            worker.send([Script(order[1], self.slots[order[1]].script(order)) for order in shares[index]])
            if worker.orders not in self._selector.get_map():
                self._selector.register(worker.orders, selectors.EVENT_WRITE, index)

    def _start(self, index: int) -> WorkerProcess:
        if all(worker is None for worker in self.workers):
            atexit.register(self.close)
        worker = self.workers[index] = WorkerProcess(self.seconds)
        self._selector.register(worker.answers, selectors.EVENT_READ, index)
        return worker

    def _exchange(self, end: float | None) -> None:
        """Wait until a pipe, the bell, a deadline or `end` has something to say, and do what it says."""
        times = [worker.deadline for worker in self.workers if worker is not None and worker.is_busy]
        times += [] if end is None else [end]
        ready = self._selector.select(max(0.0, min(times) - time.monotonic()) if times else None)
        for key, _ in ready:
            if key.data is None:
                os.read(self._bell[0], 4096)
                continue
            worker = self.workers[key.data]
            if worker is None or key.fileobj not in (worker.orders, worker.answers):
                continue  # it was found dead a moment ago, at its other pipe
            if key.fileobj is worker.orders:
                if worker.write():
                    self._selector.unregister(worker.orders)
                continue
            for answer in worker.read():
                self._take(worker, answer)
            if worker.ended:
                self._lose(key.data, lambda worker=worker: Fault("death", worker.obituary()))
        # Looked at only when there is nothing to be read: whoever has answered in time is in time.
        for index, worker in enumerate(self.workers) if not ready else ():
            if worker is not None and worker.is_busy and worker.deadline <= time.monotonic():
                self._lose(index, worker.time_out)

    def _take(self, worker: WorkerProcess, answer: Any) -> None:
        """An answer came: pass it on if it is its script's last, else see that it is what it was before."""
        script, position = worker.advance(answer)
        if script.is_answered:
            return
        slot = self.slots[script.number]
        slot.made = True
        problem = None if script.is_done else slot.check_again(position, answer)
        if script.is_done or problem is not None:
            script.is_answered = True
            self._finish(script.number, problem or answer)

    def _finish(self, number: int, answer: Any) -> None:
        self.slots[number].note(self._orders.pop(number), answer)
        self._answers.append((number, answer))

    def _lose(self, index: int, say: Callable[[], Fault]) -> None:
        """A worker hung or died: the script that it was at is at fault, the others go to a new one.

        Args:
            index: of the worker.
            say: what there is to say of it.

        Raises:
            RuntimeError: it is the last of several in a row that did not even start.
        """
        worker = self.workers[index]
        assert worker is not None
        self._failures[index] = 0 if worker.is_ready else self._failures[index] + 1
        if self._failures[index] == STARTS:
            self._let_go(index)
            raise RuntimeError(
                f"a worker process for environments did not start ({worker.obituary()}); "
                "its messages are above; workers 0 plays without"
            )
        fault = say() if worker.is_ready and worker.scripts else None
        self._let_go(index)
        scripts = list(worker.scripts)
        if fault is not None and not scripts[0].is_answered:
            self._finish(scripts[0].number, fault)
        innocent = scripts if fault is None else scripts[1:]
        self._send([self._orders[script.number] for script in innocent if not script.is_answered])

    def _let_go(self, index: int, kill: bool = True) -> None:
        """Forget a worker, and that it knew its environments."""
        worker = self.workers[index]
        assert worker is not None
        for stream in (worker.answers, worker.orders):
            if stream in self._selector.get_map():
                self._selector.unregister(stream)
        if kill:
            worker.kill()
        self.workers[index] = None
        for slot in self.slots[index :: len(self.workers)]:
            slot.made = False

    def _forget(self, kill: bool) -> None:
        for index, worker in enumerate(self.workers):
            if worker is not None:
                self._let_go(index, kill)
        self._inbox.clear()
        self._orders.clear()
        self._answers.clear()


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
