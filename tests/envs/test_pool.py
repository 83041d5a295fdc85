"""The pool without waiting: answers as they come, whoever else is slow; who pays when workers are killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmmr1.envs.isolation.outcomes import Fault, Opening, Outcome
from lmmr1.envs.isolation.places import IsolatedEnv, reset_all, step_all
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.registry import EnvironmentConfig

FOLDER = str(Path(__file__).parent)
CHAT = {"instructions": "brief", "reply_format": "plain"}
NEVER = 600.0


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def pool() -> Iterator[EnvironmentPool]:
    made = EnvironmentPool(2, NEVER, NEVER)
    yield made
    made.abandon()  # what hangs in there is not waited for
    made.close()


def add(pool: EnvironmentPool, count: int, **kwargs: Any) -> list[IsolatedEnv]:
    return [pool.add(EnvironmentConfig("worlds_that_break:Breaks-v0", kwargs=kwargs, chat=CHAT)) for _ in range(count)]


def gather(pool: EnvironmentPool, count: int) -> dict[int, Any]:
    """The next `count` answers, by slot."""
    answers: dict[int, Any] = {}
    while len(answers) < count:
        answers.update(pool.poll())
    return answers


def kill(pool: EnvironmentPool, index: int) -> int:
    worker = pool.workers[index]
    assert worker is not None
    os.kill(worker.process.pid, signal.SIGKILL)
    return worker.process.pid


def test_answers_come_while_another_worker_hangs(pool: EnvironmentPool) -> None:
    """Slots 0 and 2 live in one worker, 1 and 3 in the other."""
    add(pool, 4, plan={"100": [1, "hang"]})
    for slot in range(4):
        pool.submit(slot, "reset", 100 + slot)
    assert all(isinstance(answer, Opening) for answer in gather(pool, 4).values())
    for slot in range(4):
        pool.submit(slot, "step", "1")
    assert set(gather(pool, 2)) == {1, 3}
    for turn in range(2):  # they go on while the others wait
        pool.submit(1, "step", str(turn))
        [(slot, answer)] = pool.poll()
        assert slot == 1 and isinstance(answer, Outcome)
    assert pool.poll(timeout=0.05) == []
    kill(pool, 0)
    answers = gather(pool, 2)
    assert isinstance(answers[0], Fault) and answers[0].kind == "death"
    assert isinstance(answers[2], Outcome)  # it only waited behind the other, and was brought back


def test_an_order_may_come_while_somebody_polls(pool: EnvironmentPool) -> None:
    add(pool, 1)
    found: list[Any] = []
    polling = threading.Thread(target=lambda: found.extend(pool.poll()))
    polling.start()
    pool.submit(0, "reset", 1)
    polling.join(60)
    assert [slot for slot, _ in found] == [0] and isinstance(found[0][1], Opening)


def test_a_poll_can_be_woken_before_and_while_it_waits(pool: EnvironmentPool) -> None:
    pool.wake()
    assert pool.poll() == []
    found: list[Any] = [None]
    polling = threading.Thread(target=lambda: found.append(pool.poll()))
    polling.start()
    pool.wake()
    polling.join(60)
    assert found == [None, []]


@pytest.mark.parametrize("asks_at_once", [False, True])
def test_a_worker_that_is_killed_while_idle_costs_nobody(pool: EnvironmentPool, asks_at_once: bool) -> None:
    envs = add(pool, 4)
    openings = reset_all([(env, 7) for env in envs])
    first = step_all([(env, "1") for env in envs])
    assert all(isinstance(answer, Opening) for answer in openings)
    worker = pool.workers[0]
    assert worker is not None
    kill(pool, 0)
    worker.process.wait(60)
    if not asks_at_once:
        assert pool.poll(timeout=0.2) == []
    second = step_all([(env, "2") for env in envs])
    assert all(isinstance(answer, Outcome) for answer in (*first, *second))
    assert [answer.messages for answer in second[::2]] == [answer.messages for answer in second[1::2]]  # type: ignore[union-attr]


def test_what_is_abandoned_is_never_answered(pool: EnvironmentPool) -> None:
    envs = add(pool, 2, plan={"100": [0, "hang"]})
    pool.submit(0, "reset", 100)
    pool.submit(1, "reset", 101)
    assert set(gather(pool, 1)) == {1}
    pool.submit(1, "step", "1")
    pool.abandon()
    assert pool.poll(timeout=0.05) == [] and pool.workers == [None, None]
    [answer] = reset_all([(envs[0], 5)])
    assert isinstance(answer, Opening) and answer.messages
