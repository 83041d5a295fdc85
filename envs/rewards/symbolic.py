"""Symbolic comparison in worker processes that can be killed.

The workers are plain child processes that answer one line of JSON with one word. They are not made by
``multiprocessing``, for three reasons: an environment often lives in a daemonic process (every
``AsyncVectorEnv`` worker is one), which may not start such children; no script needs a
``if __name__ == "__main__"`` guard because of them; and a worker imports nothing but math-verify.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import LifoQueue

from lmmr1.envs.errors import MissingExtraError

from . import symbolic_worker

TIMEOUT_SECONDS = 1.2  # of CPU time, counted by the worker itself
WALL_SECONDS = 20.0  # by the clock, for a worker that sleeps or starves
START_SECONDS = 60.0
MEMORY_BYTES = 1 << 30
MAX_TASKS = 1_000
MAX_WORKERS = max(1, min(4, os.cpu_count() or 1))
WORKER_FILE = Path(__file__).with_name("symbolic_worker.py")
WORDS = ("equal", "different", "unverifiable")


class _Worker:
    """One child process; used by one thread at a time."""

    def __init__(self) -> None:
        # Unbuffered pipes: nothing of ours can be left half written in a buffer when a process forks.
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER_FILE), str(MEMORY_BYTES), str(TIMEOUT_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self.tasks = 0
        self.ended = False
        if self.read_line(START_SECONDS) != "ready":
            self.kill()
            raise RuntimeError(f"the grader's worker process did not start (exit status {self.process.returncode})")

    def ask(self, gold: str, answer: str) -> str | None:
        """Return the worker's word, or None if it had to be killed or died."""
        self.tasks += 1
        data = json.dumps([gold, answer]).encode("ascii") + b"\n"
        assert self.process.stdin is not None
        try:
            while data:
                data = data[self.process.stdin.write(data) or 0 :]
            word = self.read_line(WALL_SECONDS)
        except (OSError, ValueError):
            # The process died, or close_grader() closed its pipes from another thread.
            self.ended = True
            return None
        word, _, last = word.partition(" ")
        self.ended = self.ended or bool(last)
        return word if word in WORDS else None

    def can_take(self) -> bool:
        """Say whether the worker can be asked again: alive, within its limits, and not worn out."""
        return not self.ended and self.tasks < MAX_TASKS and self.process.poll() is None

    def read_line(self, timeout: float) -> str:
        """Read one line; past the timeout the process is killed, which ends the line."""
        assert self.process.stdout is not None
        killer = threading.Timer(timeout, self._time_out)
        killer.daemon = True
        killer.start()
        try:
            return self.process.stdout.readline().decode("ascii", "replace").strip()
        finally:
            killer.cancel()
            # Afterwards it is certain whether the timer struck: a line may come in the very last moment.
            killer.join()

    def _time_out(self) -> None:
        self.ended = True
        self.process.kill()

    def kill(self) -> None:
        """End the process and release its pipes."""
        self.process.kill()
        self.process.wait()
        self.close_pipes()

    def close_pipes(self) -> None:
        """Close this side of the pipes; a worker that waits for a task then ends by itself."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class _Pool:
    """A few workers, each started when it is first needed and replaced when it is killed or worn out."""

    def __init__(self, size: int) -> None:
        # Last in, first out: a single caller keeps to one worker, and the others are never started.
        self.free: LifoQueue[_Worker | None] = LifoQueue()
        self.workers: list[_Worker] = []
        for _ in range(size):
            self.free.put(None)

    def compare(self, gold: str, answer: str) -> str:
        """Compare in the next free worker; waits for one if all are busy."""
        worker = self.free.get()
        kept = None
        try:
            if worker is not None and not worker.can_take():  # it died while it waited
                self._remove(worker)
                worker = None
            if worker is None:
                worker = _Worker()
                self.workers.append(worker)
            word = worker.ask(gold, answer)
            if word is not None and worker.can_take():
                kept = worker
            return word or "unverifiable"
        finally:
            # Also after an interruption (Ctrl-C): a worker that still owes an answer must not be asked again.
            if worker is not None and kept is None:
                self._remove(worker)
            self.free.put(kept)

    def _remove(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.kill()

    def close(self) -> None:
        """Kill the workers."""
        for worker in list(self.workers):
            worker.kill()

    def forget(self) -> None:
        """In a forked child: let go of the workers, which belong to the parent."""
        for worker in self.workers:
            worker.process.returncode = 0
            worker.close_pipes()


_lock = threading.Lock()
_pool: _Pool | None = None
_workers = MAX_WORKERS


def set_workers(workers: int | None) -> None:
    """Set how many workers the next pool may have; None for the default, 0 to compare in this process."""
    global _workers
    _workers = MAX_WORKERS if workers is None else workers


def compare_symbolically(gold: str, answer: str) -> str:
    """Compare two answers with math-verify, in a worker process (or in this one, see ``set_workers``).

    Returns:
        "equal", "different", or "unverifiable" (the gold answer cannot be read, or the worker took more than
        its time or one gigabyte, or died).

    Raises:
        UserError: math-verify is not installed.
    """
    pool = _start_pool()
    return _compare_here(gold, answer) if pool is None else pool.compare(gold, answer)


def _start_pool() -> _Pool | None:
    global _pool
    with _lock:
        if _pool is None:
            if importlib.util.find_spec("math_verify") is None:
                raise MissingExtraError("Comparing answers symbolically", "math-verify", "math")
            if _workers == 0:
                return None
            _pool = _Pool(_workers)
        return _pool


class _OutOfTimeError(BaseException):
    """Raised by the timer; no ``except Exception`` of a parser may catch it."""


def _compare_here(gold: str, answer: str) -> str:
    """Compare in this process, in the main thread with the time limit of a worker."""
    timed = sys.platform != "win32" and threading.current_thread() is threading.main_thread()
    if not timed:
        return symbolic_worker.judge(gold, answer)

    def stop(*_: object) -> None:
        raise _OutOfTimeError

    # Not the timer of SIGALRM, which others use. It counts the CPU time of this process.
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, TIMEOUT_SECONDS)
        return symbolic_worker.judge(gold, answer)
    except _OutOfTimeError:
        return "unverifiable"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def close_grader() -> None:
    """Kill the worker processes; the next comparison starts new ones. Runs at exit by itself."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


def _forget_after_fork() -> None:
    global _lock, _pool
    _lock = threading.Lock()
    pool, _pool = _pool, None
    if pool is not None:
        pool.forget()


atexit.register(close_grader)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_after_fork)
