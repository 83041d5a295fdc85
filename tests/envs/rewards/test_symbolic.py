"""Symbolic comparison: worker processes with limits, from threads and children, and without any of them."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmmr1.envs.rewards import symbolic
from lmmr1.envs.rewards.accuracy import Verdict, close_grader, configure_grader, grade

symbolic_only = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs lmmr1[math]")


@pytest.fixture(autouse=True)
def fresh_grader() -> Iterator[None]:
    configure_grader()
    yield
    configure_grader()


SYMBOLIC = [
    (r"2\sqrt{2}", r"\sqrt{8}", "equal"),
    (r"2\sqrt{2}", "2sqrt(2)", "equal"),
    (r"2\sqrt{2}", "2*√2", "equal"),
    (r"2\sqrt{2}", r"\sqrt{9}", "different"),
    (r"12\pi", "12*pi", "equal"),
    (r"12\pi", "12", "different"),
    ("x^2+2*x+1", "(x+1)**2", "equal"),
    ("x^2+1", "x^2+2", "different"),
    ("x=3", "3", "equal"),
    ("5!", "120", "equal"),
    ("3", "1+2=3", "equal"),
    ("1+2=3", "3", "equal"),
    ("5", "3 or 5", "different"),
    ("5", r"5} \boxed{7", "different"),
    (r"\text{ }", "5", "unverifiable"),
]


def live_workers() -> list[Any]:
    assert symbolic._pool is not None
    return list(symbolic._pool.workers)


@symbolic_only
@pytest.mark.parametrize(("gold", "answer", "verdict"), SYMBOLIC)
def test_symbolic_grades(gold: str, answer: str, verdict: str) -> None:
    assert grade(gold, answer).value == verdict


@symbolic_only
@pytest.mark.parametrize("in_thread", [False, True])
def test_without_workers_nothing_is_started(monkeypatch: pytest.MonkeyPatch, in_thread: bool) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    configure_grader(workers=0)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    verdicts: list[str] = []

    def work() -> None:
        verdicts.extend(grade(r"\ln 8", answer).value for answer in (r"3\ln 2", r"2\ln 2 + 0x"))

    if in_thread:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    assert verdicts == ["equal", "different"]


@symbolic_only
@pytest.mark.skipif(sys.platform == "win32", reason="no such timer")
def test_without_workers_the_main_thread_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_grader(workers=0)
    assert symbolic.compare_symbolically("x+x", "2x") == "equal"  # sympy is imported now
    handler = signal.getsignal(signal.SIGVTALRM)
    monkeypatch.setattr(symbolic, "TIMEOUT_SECONDS", 0.05)
    assert symbolic.compare_symbolically("x", r"\int_0^1 \sin(x^x) e^{x^3} dx") == "unverifiable"
    assert signal.getsignal(signal.SIGVTALRM) == handler and signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    monkeypatch.setattr(symbolic, "TIMEOUT_SECONDS", 30.0)
    assert symbolic.compare_symbolically("x+x", "2x") == "equal"


@symbolic_only
def test_a_worker_that_takes_too_long_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    close_grader()
    monkeypatch.setattr(symbolic, "TIMEOUT_SECONDS", 0.001)
    assert symbolic.compare_symbolically("x", r"\int_0^1 \sin(x^x) e^{x^3} dx") == "unverifiable"
    monkeypatch.setattr(symbolic, "TIMEOUT_SECONDS", 20.0)
    assert symbolic.compare_symbolically("x+x", "2x") == "equal"


@symbolic_only
def test_a_worker_that_runs_short_of_memory_is_no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    # Less than it holds after its imports: every task runs short at once.
    monkeypatch.setattr(symbolic, "MEMORY_BYTES", 1 << 20)
    monkeypatch.setattr(symbolic, "TIMEOUT_SECONDS", 30.0)
    close_grader()
    try:
        assert symbolic.compare_symbolically("2^{9999999}", "2^{9999999}-1") == "unverifiable"
    finally:
        close_grader()


@symbolic_only
def test_a_worker_does_not_answer_for_the_memory_of_its_parent() -> None:
    # The peak that getrusage() names is handed down through fork and exec: a trainer holds more than a worker may.
    script = """
held = b"x" * (symbolic.MEMORY_BYTES * 3 // 4)
print(*[symbolic.compare_symbolically("x+1", answer) for answer in ("x", "1+x", "x+2", "x+2-1")])
symbolic.close_grader()
"""
    code = "from lmmr1.envs.rewards import symbolic\n" + script
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.split() == ["different", "equal", "different", "equal"]


@symbolic_only
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_has_a_limit_of_memory() -> None:
    assert symbolic.compare_symbolically("1+y", "y+1") == "equal"
    limits = Path(f"/proc/{live_workers()[0].process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max address space")]
    assert line.split()[3:5] == ["1073741824", "1073741824"]


@symbolic_only
def test_worn_out_and_dead_workers_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    close_grader()
    monkeypatch.setattr(symbolic, "MAX_TASKS", 2)
    pids = set()
    for number in range(4):
        assert symbolic.compare_symbolically(f"{number}+x", f"x+{number}") == "equal"
        pids |= {worker.process.pid for worker in live_workers()}
    assert len(pids) == 2
    monkeypatch.setattr(symbolic, "MAX_TASKS", 100)
    symbolic.compare_symbolically("y", "x")
    (worker,) = live_workers()
    worker.process.kill()
    worker.process.wait()
    assert symbolic.compare_symbolically("1+x", "x+1") == "equal"


@symbolic_only
def test_threads_share_the_grader() -> None:
    verdicts: dict[int, Verdict] = {}

    def work(number: int) -> None:
        verdicts[number] = grade(rf"\ln {number}^2", rf"2\ln {number + number % 2}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {n: Verdict.DIFFERENT if n % 2 else Verdict.EQUAL for n in range(3, 15)}


DAEMONIC = r"""
import multiprocessing, sys
from lmmr1.envs.rewards.accuracy import grade

def work(queue):
    queue.put(grade(r"\ln 8", r"3\ln 2").value)

if __name__ == "__main__":
    print(grade(r"\ln 4", r"2\ln 2").value)  # the parent's workers run already
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,), daemon=True)
    process.start()
    print(queue.get(timeout=60))
    process.join(timeout=60)
    print(process.exitcode, grade(r"\ln 9", r"2\ln 3").value)
"""


@symbolic_only
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_daemonic_children_can_grade(method: str, tmp_path: Path) -> None:
    # The workers of an AsyncVectorEnv are such children.
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    script = tmp_path / "daemonic.py"
    script.write_text(DAEMONIC, encoding="utf-8")
    run = subprocess.run([sys.executable, str(script), method], capture_output=True, text=True, timeout=180, check=True)
    assert run.stdout.split() == ["equal", "equal", "0", "equal"]


@symbolic_only
def test_the_interpreter_ends_and_takes_its_workers_along() -> None:
    # A script without a __main__ guard, which ends while a worker is alive.
    code = (
        "from lmmr1.envs.rewards import symbolic; "
        "assert symbolic.compare_symbolically('1+x', 'x+1') == 'equal'; "
        "print(symbolic._pool.workers[0].process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
