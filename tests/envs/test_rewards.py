"""Rewards: composition, format, and the accuracy of answers, hostile ones among them."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.reply import REPLY_FORMATS
from lmmr1.envs.rewards import accuracy, symbolic
from lmmr1.envs.rewards.accuracy import MAX_LENGTH, Verdict, clean_answer, close_grader, grade, read_number
from lmmr1.envs.rewards.composition import compose_reward, total_reward
from lmmr1.envs.rewards.format import format_reward


@pytest.mark.parametrize(
    ("task", "well_formed", "invalid", "mode", "parts"),
    [
        (1, True, False, "additive", (1.0, 0.5, 0.0)),
        (1, False, False, "additive", (1.0, 0.0, 0.0)),
        (1, False, False, "gated", (0.0, 0.0, 0.0)),
        (-2, True, False, "gated", (-2.0, 0.5, 0.0)),
        (0, True, True, "additive", (0.0, 0.5, -0.1)),
        (0, False, True, "gated", (0.0, 0.0, -0.1)),
    ],
)
def test_composition(task: float, well_formed: bool, invalid: bool, mode: Any, parts: tuple[float, ...]) -> None:
    composed = compose_reward(task, well_formed, invalid, mode=mode, invalid_reward=-0.1)
    assert composed == dict(zip(("task", "format", "invalid"), parts, strict=True))
    assert all(type(value) is float for value in composed.values())
    assert total_reward(composed) == pytest.approx(sum(parts))


def test_composition_refuses_other_modes() -> None:
    mode: Any = "mixed"
    with pytest.raises(UserError, match="additive, gated"):
        compose_reward(1, True, False, mode=mode)


def test_format_is_all_or_nothing() -> None:
    parse = REPLY_FORMATS["think_answer"].parse
    assert format_reward(parse("<think>a</think><answer>b</answer>")) == 1.0
    assert format_reward(parse("<think>a</think><answer>b")) == 0.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", Fraction(5)),
        ("-3", Fraction(-3)),
        ("- 3", Fraction(-3)),
        ("+.5", Fraction(1, 2)),
        ("007", Fraction(7)),
        ("1,234,567.5", Fraction(2469135, 2)),
        ("1.2e3", Fraction(1200)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\frac{1.5}{-2}", Fraction(3, 4)),
        ("1 3/4", Fraction(7, 4)),
        ("-1 3/4", Fraction(-7, 4)),
        ("9" * 300, Fraction(10**300 - 1)),
        ("1/0", None),
        ("1/2/3", None),
        ("1,23", None),
        ("", None),
        ("-", None),
        (".", None),
        ("e5", None),
        ("1e9999", None),
        ("9" * 500, None),
        ("\u0665", None),
        ("nan", None),
        ("1_000", None),
        ("0x10", None),
    ],
)
def test_numbers(text: str, number: Fraction | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"\boxed{5}", "5"),
        (r"so \boxed{3}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$\dfrac{1}{2}$.", r"\frac{1}{2}"),
        (r"\(\text{red}\)", "red"),
        (" a  b\n", "a b"),
        ("−3", "-3"),
        ("2π", r"2\pi"),
        ("2*pi", r"2*\pi"),
        ("spin", "spin"),
        ("3√2", r"3\sqrt{2}"),
        (r"90^\circ", "90°"),
        (r"\boxed{5", "5"),
    ],
)
def test_cleaning(text: str, clean: str) -> None:
    assert clean_answer(text).replace(r"\pi ", r"\pi") == clean


EXACT = [
    ("5", "5", True),
    ("5", "5.0", True),
    ("5", r"\boxed{5}", True),
    ("5", "$5$", True),
    ("5", "x = 5", True),
    ("5", "6", False),
    ("5", "", False),
    ("5", "five", False),
    ("1/2", "0.5", True),
    ("1/2", "2/4", True),
    ("1/2", r"\frac{1}{2}", True),
    ("1/3", "0.333333", False),
    ("1000", "1,000", True),
    ("90", "90°", True),
    ("90", r"90^{\circ}", True),
    ("90", "90 degrees", True),
    ("5 cm", "5", True),
    ("5 cm", "5 cm", True),
    ("5 cm", "5 m", False),
    ("B", "b", True),
    ("B", "(B)", True),
    ("B", "B.", True),
    ("B", "B. 45", True),
    ("B", "C", False),
    ("B", "A or B", False),
    ("B", "Bob", False),
    ("red", "Red.", True),
    ("red", "blue", False),
    ("cat", "act", False),
    ("no", "on", False),
    ("listen", "silent", False),
    ("not able", "notable", False),
    ("yes", "", False),
    ("Straße", "STRASSE", True),
    ("(1, 2)", "(1,2)", True),
    ("(1, 2)", "(2, 1)", False),
    ("(1, 2)", "[1, 2]", False),
    ("(1, 2)", "(0.5, 2)", False),
    ("1, 2", "2, 1", True),
    ("{1, 2}", "2, 1", True),
    ("1, 2", "1, 3", False),
    ("1, 2", "1, 2, 2", False),
    ("12:30", "12:30", True),
    ("x + 1", "x+1", True),
    ("5", "9" * 300, False),
    ("5", "5" * (MAX_LENGTH + 1), False),
    ("5", "5" * 1_000_000, False),
    ("x" * 5000, "x" * 5000, True),
]


@pytest.mark.parametrize(("gold", "answer", "equal"), EXACT, ids=range(len(EXACT)))
def test_exact_grades_start_no_worker(monkeypatch: pytest.MonkeyPatch, gold: str, answer: str, equal: bool) -> None:
    def refuse(gold: str, answer: str) -> str:
        raise AssertionError(f"{gold!r} and {answer!r} went to the symbolic grader")

    monkeypatch.setattr(accuracy, "compare_symbolically", refuse)
    accuracy._grade_cached.cache_clear()
    assert grade(gold, answer) is (Verdict.EQUAL if equal else Verdict.DIFFERENT)


def test_exact_grades_import_neither_sympy_nor_torch() -> None:
    code = (
        "import sys; from lmmr1.envs.rewards.accuracy import grade; "
        "assert [grade('1/2', a).value for a in ('0.5', '0.6')] == ['equal', 'different']; "
        "bad = {'sympy', 'math_verify', 'torch', 'av', 'pygame'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gold_answer_that_is_nothing_is_unverifiable() -> None:
    assert grade("", "5") is Verdict.UNVERIFIABLE
    assert grade("  ", "") is Verdict.UNVERIFIABLE
    assert grade("1" * 5000, "5") is Verdict.UNVERIFIABLE


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    close_grader()
    accuracy._grade_cached.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lmmr1\[math\]'"):
        grade("2\\pi + 1", "1 + 2\\pi")


symbolic_only = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs lmmr1[math]")
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
    ("3", "1+2=3", "equal"),  # and not the other way round: the gold answer comes first
    ("1+2=3", "3", "different"),
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


HOSTILE = [
    "9^{9^9}",
    "9**9**9",
    "2^{10^9}",
    "((9!)!)!",
    "10^6!",
    r"\binom{10^9}{5*10^8}",
    "(" * 900 + "1" + ")" * 900,
    "(" * 30 + "1" + ")" * 30,
    r"\frac{1}{" * 300 + "1" + "}" * 300,
    "[" * 1_000_000,
    "\\" * 1999,
    "$" * 1999,
    "{" * 1999,
    r"\boxed{" * 280,
    "\x00\x1b\u202e\ud800",
]


@symbolic_only
def test_hostile_answers_are_never_right_and_harm_nothing() -> None:
    for answer in HOSTILE:
        assert grade(r"5\pi", answer) in (Verdict.DIFFERENT, Verdict.UNVERIFIABLE), answer
    assert grade(r"3\sqrt{3}", r"\sqrt{27}") is Verdict.EQUAL
    assert grade(r"3\sqrt{3}", r"\sqrt{28}") is Verdict.DIFFERENT


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
        verdicts[number] = grade(rf"{number}\sqrt{{2}}", rf"\sqrt{{{2 * number * number + number % 2}}}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {n: Verdict.DIFFERENT if n % 2 else Verdict.EQUAL for n in range(3, 15)}


DAEMONIC = """
import multiprocessing, sys
from lmmr1.envs.rewards.accuracy import grade

def work(queue):
    queue.put(grade("x + 2", "2 + x").value)

if __name__ == "__main__":
    print(grade("x + 1", "1 + x").value)  # the parent's workers run already
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,), daemon=True)
    process.start()
    print(queue.get(timeout=60))
    process.join(timeout=60)
    print(process.exitcode, grade("x + 3", "3 + x").value)
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
