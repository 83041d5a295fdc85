"""The engine in a process of its own, which costs one match when it dies or hangs; and the choice between the two."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.frames import LENGTH

from ..state import State
from .core import CoreEngine, EngineMissing
from .match import Control, Engine, EngineFailure, KickOff, StepResult
from .wire import pack, read_state, unpack, write_control, write_kick_off

PYTHON_VARIABLE = "LMMR1_FOOTBALL_PYTHON"
# Starting Python, making the graphics and the first picture take long on a busy machine: so many times the deadline.
PATIENCE = 4.0
# The folder of lmmr1 itself; not resolved, as the floors are links in it.
PACKAGE = Path(__file__).absolute().parents[3]
_CHUNK = 1 << 20
# The package's own __init__ is left out, and with it everything that another Python need not have.
_PROGRAM = """
import json, sys, types
paths, packages = json.loads(sys.argv[1]), types.ModuleType("lmmr1")
sys.path[:] = paths["search"] or sys.path
packages.__path__ = paths["package"]
sys.modules["lmmr1"] = packages
from lmmr1.envs.football.engine.worker import main
main()
"""


def open_engine(control: Control, *, worker: bool = False, deadline: float = 60.0) -> Engine:
    """An engine: in this process where that is possible and wanted, else in one of its own.

    Pictures are always made in a process of their own: the engine can draw in one match of a process only, and it
    must not meet a display there.

    Args:
        control: whom the agents play.
        worker: in a process of its own in any case.
        deadline: seconds that such a process may take for a step; four times as many for what takes longer.

    Raises:
        EngineMissing: neither this Python nor another one at hand has the engine.
    """
    if worker or control.frame_size is not None or os.environ.get(PYTHON_VARIABLE) or not is_installed():
        return EngineProcess(control, find_python(), deadline)
    return CoreEngine(control)


def is_installed() -> bool:
    """Whether this Python has the engine."""
    return importlib.util.find_spec("gfootball_engine") is not None


def find_python() -> str:
    """The Python that engines run in: `LMMR1_FOOTBALL_PYTHON`, this one, or `python3.11` of the path.

    Raises:
        EngineMissing: none of them has the engine.
        UserError: the one that is named has not.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        if not has_engine(named):
            raise UserError(
                f"{PYTHON_VARIABLE} is {named!r}, which cannot import numpy and gfootball_engine: name a Python 3.11 "
                "that can, or unset it; `make football` builds the engine (docs/football.md)"
            )
        return named
    if is_installed():
        return sys.executable
    other = shutil.which("python3.11")
    if other is not None and has_engine(other):
        return other
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise EngineMissing(f"this Python {version} has no gfootball_engine, nor has a python3.11 on the path")


@functools.cache
def has_engine(python: str) -> bool:
    """Whether a Python can import what a worker needs; asked once for each."""
    try:
        program = [python, "-c", "import numpy, gfootball_engine"]
        done = subprocess.run(program, capture_output=True, timeout=60, env=_environment(python))
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _environment(python: str) -> dict[str, str]:
    # The engine draws without a display only if there is none; one thread each, as the workers share the machine.
    environment = {"OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": tempfile.gettempdir(), **os.environ}
    # What is set for this Python would mislead another one.
    mine = () if python == sys.executable else ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")
    for name in ("DISPLAY", *mine):
        environment.pop(name, None)
    return environment


class EngineProcess:
    """A match in a process of its own.

    Every method raises `EngineFailure` when that process dies or does not answer in time; it is then gone, and `reset`
    starts another one.

    Args:
        control: whom the agents play.
        python: what runs it.
        deadline: see `open_engine`.
    """

    def __init__(self, control: Control, python: str, deadline: float) -> None:
        """See the class."""
        self.name = ""
        self.control, self.python, self.deadline = control, python, deadline
        self._child: _Child | None = None
        self._state: State | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process that plays; None while there is none."""
        return None if self._child is None else self._child.process.pid

    @property
    def state(self) -> State:
        """What can be seen now."""
        assert self._state is not None
        return self._state

    def reset(self, kick_off: KickOff) -> None:
        """Begin a match, in a new process where the last one is gone."""
        if self._child is None or self._child.owner != os.getpid():  # what was forked is the other process's
            self._child = _Child(self.python)
            self._answer(PATIENCE)
            self.name = self._ask({"verb": "make", "control": write_control(self.control)}, patience=PATIENCE)[0][
                "name"
            ]
        order = {"verb": "reset", "kick_off": write_kick_off(kick_off)}
        self._state = read_state(self._ask(order, patience=PATIENCE)[1])

    def step(self, actions: Sequence[int]) -> StepResult:
        """Go on by one step."""
        told, data = self._ask({"verb": "step", "actions": [int(action) for action in actions]})
        self._state = read_state(data)
        return StepResult(told["goals"], told["done"])

    def frame(self) -> np.ndarray:
        """The 3D picture of now; shape (height, width, 3), dtype uint8."""
        told, data = self._ask({"verb": "frame"}, patience=PATIENCE)
        return np.frombuffer(data, np.uint8).reshape(told["shape"]).copy()

    def save(self) -> bytes:
        """The engine's memory."""
        return self._ask({"verb": "save"})[1]

    def load(self, data: bytes) -> None:
        """Back to where `save` was called."""
        self._state = read_state(self._ask({"verb": "load"}, data)[1])

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _ask(self, head: dict[str, Any], data: bytes = b"", patience: float = 1.0) -> tuple[dict[str, Any], bytes]:
        if self._child is None or self._child.owner != os.getpid():
            raise EngineFailure("the engine's process is gone: call reset()")
        if not self._child.send(pack(head, data)):
            self._fail(self._child.obituary())
        return self._answer(patience)

    def _answer(self, patience: float) -> tuple[dict[str, Any], bytes]:
        assert self._child is not None
        seconds = patience * self.deadline
        try:
            message = self._child.receive(seconds)
        except BaseException:  # Ctrl-C, mostly: it still owes an answer and must not be asked again
            self.close()
            raise
        if message is None:
            self._fail(f"no answer within {seconds:g} s" if self._child.lives() else self._child.obituary())
        told, data = unpack(message)
        if "error" in told:
            self._fail(told["error"])
        return told, data

    def _fail(self, reason: str) -> NoReturn:
        self.close()
        raise EngineFailure(f"the football engine's process failed: {reason}")


class _Child:
    """The process and its pipes."""

    def __init__(self, python: str) -> None:
        # Only this very Python can use this one's search path.
        search = sys.path if python == sys.executable else None
        paths = {"package": [str(PACKAGE)], "search": search}
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [python, "-c", _PROGRAM, json.dumps(paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_environment(python),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.orders, self.answers = self.process.stdin, self.process.stdout
        self._kept = bytearray()
        self._finalizer = weakref.finalize(self, _end, self.process, self.owner)

    def send(self, message: bytes) -> bool:
        """Whether it took a message."""
        try:
            self.orders.write(LENGTH.pack(len(message)))
            view = memoryview(message)
            while view:
                view = view[self.orders.write(view) :]
        except OSError:
            return False
        return True

    def receive(self, seconds: float) -> bytes | None:
        """Its next message, or None if none came in time or it is dead."""
        deadline = time.monotonic() + seconds
        kept = self._kept
        while True:
            if len(kept) >= LENGTH.size:
                (length,) = LENGTH.unpack_from(kept)
                end = LENGTH.size + length
                if len(kept) >= end:
                    message = bytes(kept[LENGTH.size : end])
                    del kept[:end]
                    return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            data = os.read(self.answers.fileno(), _CHUNK)
            if not data:
                return None
            kept += data

    def lives(self) -> bool:
        """Whether it has not ended yet."""
        try:
            self.process.wait(0.2)  # its pipes end a moment before it does
        except subprocess.TimeoutExpired:
            return True
        return False

    def obituary(self) -> str:
        """How it ended."""
        if self.lives():
            return "it closed its pipes"
        status = self.process.returncode
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def end(self) -> None:
        """End it; leaves no zombie."""
        self._finalizer()


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a forked copy: the process belongs to the parent
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
