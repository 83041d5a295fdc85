"""A hundred answers that are meant to stall the grader, among a thousand good ones."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path

import pytest

from lmmr1.envs.rewards import symbolic
from lmmr1.envs.rewards.accuracy import Verdict, close_grader, configure_grader, grade

from .hostile import ANSWERS

pytestmark = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs lmmr1[math]")

GOLDS = [r"5\pi", "7", "x^2+1", "(1,2]", r"\{1,2\}", "A", "red", r"\sin^2 x"]


def good_pairs(count: int) -> list[tuple[str, str, Verdict]]:
    """Pairs of many kinds whose verdicts are known; one in fifty needs sympy."""
    pairs = []
    for n in range(count):
        right = n % 9 < 4
        m = n + (0 if right else 1)
        gold, answer = [
            (f"{n}", f"{m}.0"),
            (rf"\frac{{{2 * n + 1}}}{{4}}", f"{(2 * m + 1) / 4}"),
            (rf"{n + 2}\sqrt{{2}}", rf"\sqrt{{{2 * (m + 2) ** 2}}}"),
            (rf"{n}\pi+1", rf"1+{m}\pi"),
            (f"x^2+{n}x", f"x(x+{m})"),
            (f"({n},{n + 1}]", rf"{m}<x\le {n + 1}"),
            ("ABCDE"[n % 5], "ABCDE"[m % 5]),
        ][n % 7]
        if n % 50 == 49:
            gold, answer = rf"\ln {n}^2", rf"2\ln {m}"
        pairs.append((gold, answer, Verdict.EQUAL if right else Verdict.DIFFERENT))
    return pairs


def test_good_verdicts_are_unchanged_by_hostile_ones() -> None:
    configure_grader()
    for at, (gold, answer, verdict) in enumerate(good_pairs(1_000)):
        if at % 10 == 0:
            bad = ANSWERS[at // 10]
            assert grade(GOLDS[at // 10 % len(GOLDS)], bad) is not Verdict.EQUAL, bad[:80]
        assert grade(gold, answer) is verdict, (gold, answer)
    peaks = worker_peaks()
    assert not peaks or max(peaks) <= 1 << 30
    close_grader()


def worker_peaks() -> list[int]:
    """The most memory that each live worker ever held, where the system tells."""
    if sys.platform != "linux" or symbolic._pool is None:
        return []
    lines = []
    for worker in list(symbolic._pool.workers):
        if worker.can_take():
            lines += Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]


def test_from_four_threads_at_once_it_is_the_same() -> None:
    configure_grader()
    pairs = good_pairs(400)
    wrong: list[object] = []

    def work(part: int) -> None:
        for at in range(part, len(pairs), 4):
            gold, answer, verdict = pairs[at]
            if grade(gold, answer) is not verdict:
                wrong.append((gold, answer))
            if at % 8 < 4 and grade(GOLDS[at % len(GOLDS)], ANSWERS[at // 4 % 100]) is Verdict.EQUAL:
                wrong.append(ANSWERS[at // 4 % 100][:80])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_grader()
    assert wrong == []


@pytest.mark.parametrize("gold", GOLDS)
def test_only_few_hostile_answers_come_to_a_worker(monkeypatch: pytest.MonkeyPatch, gold: str) -> None:
    # What is refused without any work cannot hold a worker; the others are what the time limit is for.
    came: list[str] = []

    def note(_: str, answer: str) -> str:
        came.append(answer)
        return "unverifiable"

    configure_grader(cache_size=0)
    monkeypatch.setattr("lmmr1.envs.rewards.accuracy.compare_symbolically", note)
    for answer in ANSWERS:
        grade(gold, answer)
    configure_grader()
    assert len(came) <= 25, came
