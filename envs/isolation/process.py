"""One worker process, seen from the process that gives it orders."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .frames import LENGTH
from .outcomes import Fault
from .worker import READY, main

START_SECONDS = 120.0  # to start a process, or to make an environment: imports, tables, levels
CLOSE_SECONDS = 5.0
_CHUNK = 1 << 20
_PROGRAM = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {main.__module__} import main; main()"

# A verb ("make", "reset", "step" or "solve"), the number of a slot, and what the verb needs.
Order = tuple[str, int, Any]


@dataclass
class Script:
    """Orders for one slot, in a row; the first fault ends it.

    Attributes:
        is_answered: its slot has its answer already (a fault that showed half-way): what is still to come is nobody's.
    """

    number: int
    orders: list[Order]
    position: int = 0
    is_done: bool = False
    is_answered: bool = False


class WorkerProcess:
    """A child process, its pipes and what it has still to do; it takes orders from the first moment.

    Args:
        seconds: the deadline of each verb.

    Attributes:
        is_ready: whether it has said its first word; until then the deadline is that of its start.
        ended: whether its answers have come to their end.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """See the class."""
        # One thread each: the workers share the machine with each other and with the policy.
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        # A group of its own: Ctrl-C is the parent's business, and what an environment has started is killed with it.
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.orders, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.orders.fileno(), False)
        os.set_blocking(self.answers.fileno(), False)
        self.seconds = seconds
        self.scripts: deque[Script] = deque()
        self.deadline = time.monotonic() + START_SECONDS
        self.is_ready = self.ended = False
        self._incoming = bytearray()
        self._outgoing = memoryview(b"")

    @property
    def is_busy(self) -> bool:
        """Whether something is to come of it: a deadline is running."""
        return bool(self.scripts) or not self.is_ready

    @property
    def has_died(self) -> bool:
        """Whether the process is known to have ended."""
        return self.process.poll() is not None

    def send(self, scripts: Sequence[Script]) -> None:
        """Give it scripts, after those that it has; `write` then sends them as the pipe takes them."""
        data = pickle.dumps([script.orders for script in scripts], pickle.HIGHEST_PROTOCOL)
        self._outgoing = memoryview(b"".join((self._outgoing, LENGTH.pack(len(data)), data)))
        was_idle = not self.is_busy
        self.scripts.extend(scripts)
        if was_idle:
            self._set_deadline()

    def write(self) -> bool:
        """Send what the pipe takes; whether all is sent."""
        try:
            self._outgoing = self._outgoing[os.write(self.orders.fileno(), self._outgoing[:_CHUNK]) :]
        except BlockingIOError:
            return False
        except OSError:  # it died; its answers end, which is where that is noticed
            self._outgoing = memoryview(b"")
        return not self._outgoing

    def read(self) -> Iterator[Any]:
        """The answers that have come; `ended` is set at their end."""
        for frame in self._frames():
            if not self.is_ready and frame == READY:
                self.is_ready = True
                self._set_deadline()
                continue
            try:
                answer = pickle.loads(frame)
            except Exception:  # what an environment wrote over the frames
                self.ended = True
                return
            yield answer

    def _frames(self) -> Iterator[bytes]:
        try:
            data = os.read(self.answers.fileno(), _CHUNK)
            self.ended = not data
        except BlockingIOError:
            return
        self._incoming += data
        while len(self._incoming) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._incoming)
            end = LENGTH.size + length
            if len(self._incoming) < end:
                return
            frame = bytes(self._incoming[LENGTH.size : end])
            del self._incoming[:end]
            yield frame

    def advance(self, answer: Any) -> tuple[Script, int]:
        """An answer came: the script that it belongs to, and its place in there."""
        script = self.scripts[0]
        position = script.position
        script.position += 1
        script.is_done = isinstance(answer, Fault) or script.position == len(script.orders)
        if script.is_done:
            self.scripts.popleft()
        self._set_deadline()
        return script, position

    def _set_deadline(self) -> None:
        if self.scripts:
            script = self.scripts[0]
            self.deadline = time.monotonic() + self.seconds[script.orders[script.position][0]]

    def time_out(self) -> Fault:
        """What to say of the order whose deadline has passed."""
        script = self.scripts[0]
        verb = script.orders[script.position][0]
        return Fault("hang", f"hung: {verb} did not come back within {self.seconds[verb]:g} s", self.seconds[verb])

    def obituary(self) -> str:
        """How it ended."""
        try:
            status = self.process.wait(1.0)  # its pipes end a moment before it does
        except subprocess.TimeoutExpired:
            return "its process closed its pipes"
        reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"its process ended with {reason}"

    def ask_to_end(self) -> None:
        """Let it close its environments and end by itself."""
        try:
            os.write(self.orders.fileno(), LENGTH.pack(0))
        except OSError:  # it has ended, or it is stuck: `end` sees to that
            return

    def end(self) -> None:
        """Wait until it has ended, for a few seconds, and then see to it."""
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """End it and all that it has started; leaves no zombie."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all of the group have gone
        self.process.wait()
        self.orders.close()
        self.answers.close()
