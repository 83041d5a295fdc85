"""Environments in worker processes: the same results for any number of them, and each fault costs one episode."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import Fault, Opening, Outcome, run_reset, run_step
from lmmr1.envs.isolation.places import IsolatedEnv, reset_all, step_all
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.messages import message_images, message_text
from lmmr1.envs.registry import EnvironmentConfig

FOLDER = str(Path(__file__).parent)
ID = "worlds_that_break:Breaks-v0"
CHAT = {"instructions": "brief", "reply_format": "plain"}
SOKOBAN = {"dim_room": [6, 6], "inner_walls": 0, "max_steps": 6, "tile_size": 14}
# Waited for in full by what hangs, and long enough for what does not.
SECONDS = 2.0


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def pools() -> Iterator[Any]:
    made: list[EnvironmentPool] = []

    def make(workers: int) -> EnvironmentPool:
        made.append(EnvironmentPool(workers, SECONDS, SECONDS))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def breaks(**kwargs: Any) -> EnvironmentConfig:
    return EnvironmentConfig(ID, kwargs=kwargs, chat=CHAT)


def is_running(pid: int) -> bool:
    """Whether there is such a process, zombies included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def look(answer: Opening | Outcome | Fault) -> Any:
    """An answer without what it took."""
    if isinstance(answer, Fault):
        return answer.kind, answer.error
    shown = [(message_text(m), [image.tobytes() for image in message_images(m)]) for m in answer.messages]
    if isinstance(answer, Opening):
        return shown
    return shown, answer.reward, answer.reward_parts, answer.actions, answer.success, answer.stop_reason, answer.reply


def play(envs: list[ChatEnv | IsolatedEnv], replies: list[str]) -> list[list[Any]]:
    """Every environment's answers to the same replies, until it ends or breaks."""
    answers: list[list[Any]] = [
        [answer] for answer in reset_all([(env, 100 + index) for index, env in enumerate(envs)])
    ]
    for reply in replies:
        going = [i for i, row in enumerate(answers) if not isinstance(row[-1], Fault) and not is_over(row[-1])]
        for index, answer in zip(going, step_all([(envs[i], reply) for i in going]), strict=True):
            answers[index].append(answer)
    return [[look(answer) for answer in row] for row in answers]


def is_over(answer: Any) -> bool:
    return isinstance(answer, Outcome) and answer.stop_reason is not None


# ------------------------------------------------------------------------------------------------------- the same


@pytest.mark.parametrize("workers", [1, 3])
def test_a_worker_gives_what_this_process_gives(workers: int, pools: Any) -> None:
    configs = [EnvironmentConfig("LMMR1/Sokoban-v0", SOKOBAN)] * 4 + [EnvironmentConfig("LMMR1/Reasoning-v0")] * 3
    replies = [f"<think></think><answer>{word}</answer>" for word in ("Up", "Left", "nonsense", "Down, Right", "7")]
    pool = pools(workers)
    there = play([pool.add(config) for config in configs], replies)
    here = play([config.make() for config in configs], replies)
    assert there == here
    assert len(here[0]) == 6  # the game took all replies


@pytest.mark.parametrize("workers", [1, 3])
def test_each_fault_costs_its_own_episode(workers: int, pools: Any) -> None:
    plan = {"101": [1, "crash"], "102": [2, "nan"], "103": [1, "four"], "104": [0, "crash"], "105": [2, "exit"]}
    plan |= {"106": [1, "text"], "107": [2, "flag"]}
    config = breaks(plan=plan)
    pool = pools(workers)
    there = play([pool.add(config) for _ in range(10)], ["12a", "3", "b"])
    here = play([config.make() for _ in range(10)], ["12a", "3", "b"])
    assert there == here
    ends = [row[-1] for row in here]
    assert [len(row) for row in here] == [4, 2, 3, 2, 1, 3, 2, 3, 4, 4]
    assert [end[0] for end in ends[1:8]] == ["crash", "garbage", "crash", "crash", "crash", "crash", "crash"]
    assert ends[1][1] == "RuntimeError: boom" and ends[2][1] == "the reward is nan"
    assert [end[4] for end in (ends[0], ends[8], ends[9])] == [False] * 3


def test_what_hangs_or_dies_takes_nobody_with_it(pools: Any) -> None:
    """All share one worker, so that each kill would cost the others their episodes were they not brought back."""
    plan = {"101": [2, "hang"], "102": [2, "die"], "103": [0, "hang"], "104": [3, "hang"]}
    pool = pools(1)
    broken = play([pool.add(breaks(plan=plan)) for _ in range(7)], ["12a", "3", "b"])
    whole = play([breaks().make() for _ in range(7)], ["12a", "3", "b"])
    ends = [row[-1] for row in broken]
    step, reset = (f"hung: {verb} did not come back within {SECONDS:g} s" for verb in ("step", "reset"))
    assert ends[1:5] == [
        ("hang", step),
        ("death", "its process ended with exit status 7"),
        ("hang", reset),
        ("hang", step),
    ]
    for there, here in zip(broken, whole, strict=True):
        played = len(there) - isinstance(there[-1][1], str)
        assert there[:played] == here[:played]
    assert [broken[index] == whole[index] for index in (0, 5, 6)] == [True] * 3


def test_what_broke_plays_again(pools: Any) -> None:
    pool = pools(2)
    envs = [pool.add(breaks(plan={"100": [1, "hang"], "101": [1, "crash"]})) for _ in range(2)]
    assert [row[-1][0] for row in play(envs, ["1"])] == ["hang", "crash"]
    openings = reset_all([(env, 7) for env in envs])
    outcomes = step_all([(env, "1") for env in envs])
    assert [type(answer) for answer in (*openings, *outcomes)] == [Opening, Opening, Outcome, Outcome]


def test_a_world_without_a_seed_is_found_out_when_it_is_brought_back(pools: Any) -> None:
    pool = pools(1)
    drifting = pool.add(EnvironmentConfig("worlds_that_break:Drifts-v0", chat=CHAT))
    hanging = pool.add(breaks(plan={"101": [1, "hang"]}))
    reset_all([(drifting, 100), (hanging, 101)])
    [fault] = step_all([(hanging, "1")])
    assert isinstance(fault, Fault) and fault.kind == "hang"
    [answer] = step_all([(drifting, "1")])
    assert isinstance(answer, Fault) and answer.kind == "garbage"
    assert "not deterministic: the opening differed" in answer.error


def test_an_environment_that_cannot_be_made_is_a_fault(pools: Any) -> None:
    env = pools(1).add(EnvironmentConfig("LMMR1/Sokoban-v0", {"num_boxes": -3}))
    [answer] = reset_all([(env, 0)])
    assert isinstance(answer, Fault) and "num_boxes" in answer.error


def test_a_class_that_no_other_process_can_find_is_told_before_the_first_step(pools: Any) -> None:
    class Local(gym.Env):
        pass

    gym.register("Local-v0", lambda **_: Local())
    try:
        with pytest.raises(UserError, match="Local-v0 cannot be played in a worker process.*'module:Class'"):
            pools(1).add(EnvironmentConfig("Local-v0"))
    finally:
        del gym.registry["Local-v0"]


# ---------------------------------------------------------------------------------------------------- the processes


def test_a_worker_imports_no_torch_and_leaves_nothing_behind() -> None:
    program = (
        "import os, sys\n"
        "from lmmr1.envs.isolation.places import reset_all\n"
        "from lmmr1.envs.isolation.pool import EnvironmentPool\n"
        "from lmmr1.envs.registry import EnvironmentConfig\n"
        "pool = EnvironmentPool(2, 9, 9)\n"
        f"config = EnvironmentConfig({ID!r})\n"
        "answers = reset_all([(pool.add(config), 1), (pool.add(config), 2)])\n"
        "print(*(worker.process.pid for worker in pool.workers), 'torch' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": FOLDER}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    *pids, torch = done.stdout.split()  # the pool was not closed: that happens at exit
    assert torch == "False" and len(pids) == 2
    assert not any(is_running(int(pid)) for pid in pids)


def test_workers_end_with_a_parent_that_was_killed() -> None:
    program = (
        "import time\n"
        "from lmmr1.envs.isolation.places import reset_all\n"
        "from lmmr1.envs.isolation.pool import EnvironmentPool\n"
        "from lmmr1.envs.registry import EnvironmentConfig\n"
        "pool = EnvironmentPool(1, 999, 999)\n"
        f"env = pool.add(EnvironmentConfig({ID!r}, {{'plan': {{'1': [0, 'hang']}}}}))\n"
        "reset_all([(env, 0)])\n"
        "print(pool.workers[0].process.pid, flush=True)\n"
        "reset_all([(env, 1)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": FOLDER}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    with parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    stat = Path(f"/proc/{worker}/stat")
    for _ in range(600):
        # Whoever inherits orphans here may be slow to clear them away: dead is dead.
        if not is_running(worker) or (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def test_an_interruption_leaves_no_worker_that_owes_an_answer(pools: Any) -> None:
    pool = pools(2)
    envs = [pool.add(breaks(plan={"101": [1, "hang"]})) for _ in range(2)]
    reset_all([(env, 100 + index) for index, env in enumerate(envs)])
    pids = [worker.process.pid for worker in pool.workers if worker is not None]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            step_all([(env, "1") for env in envs])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(pids) == 2 and not any(is_running(pid) for pid in pids)
    # The pool can be used again, from the start or from where an episode was.
    assert isinstance(step_all([(envs[0], "1")])[0], Outcome)
    assert isinstance(reset_all([(envs[1], 5)])[0], Opening)


# ------------------------------------------------------------------------------------------------ what is garbage


class Says(ChatEnv):
    """Returns what it is given."""

    def __init__(self, opening: Any = None, result: Any = None) -> None:
        super().__init__(gym.make("FrozenLake-v1"))
        self.opening, self.result = opening, result

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.opening

    def step(self, action: str) -> Any:
        return self.result


def right_result() -> tuple[Any, ...]:
    env = make_chat("FrozenLake-v1")
    env.reset(seed=0)
    return env.step("<think></think><answer>1</answer>")


def test_the_right_result_is_no_garbage() -> None:
    assert isinstance(run_step(Says(result=right_result()), ""), Outcome)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: None,
        lambda r: r[:4],
        lambda r: (None, *r[1:]),
        lambda r: ([{"role": "user"}], *r[1:]),
        lambda r: ([{"role": "user", "content": [{"type": "text", "text": 3}]}], *r[1:]),
        lambda r: ([{"role": "user", "content": [{"type": "image", "image": np.zeros((4, 4))}]}], *r[1:]),
        lambda r: (r[0], "1 point", *r[2:]),
        lambda r: (r[0], float("inf"), *r[2:]),
        lambda r: (*r[:4], None),
        lambda r: (*r[:4], {**r[4], "reward_parts": {"task": float("nan")}}),
        lambda r: (*r[:4], {**r[4], "success": "yes"}),
        lambda r: (*r[:4], {**r[4], "stop_reason": "tired"}),
    ],
)
def test_garbage_is_a_fault(change: Any) -> None:
    fault = run_step(Says(result=change(right_result())), "")
    assert isinstance(fault, Fault) and fault.kind == "garbage" and fault.error


@pytest.mark.parametrize("opening", [None, (1, 2, 3), ("text", {}), ([{"role": "user", "content": [None]}], {})])
def test_a_garbage_opening_is_a_fault(opening: Any) -> None:
    fault = run_reset(Says(opening=opening), 0)
    assert isinstance(fault, Fault) and fault.kind == "garbage" and fault.error
