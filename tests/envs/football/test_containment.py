"""A crash, an exit or a hang of the engine costs one episode, which is counted, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.rollout import EVALUATION_STREAM, rollout
from lmmr1.envs.errors import UserError
from lmmr1.envs.football.engine import process
from lmmr1.envs.football.engine.core import EngineMissing
from lmmr1.envs.football.engine.match import Control, EngineFailure, KickOff
from lmmr1.envs.football.engine.process import EngineProcess, open_engine
from lmmr1.envs.football.env import FootballEnv
from lmmr1.envs.football.scenarios.table import BUILT_IN
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.pool import EnvironmentPool, open_pool
from lmmr1.envs.registry import EnvironmentConfig

pytestmark = pytest.mark.football_engine
# As many as the promise says with LMMR1_FOOTBALL_EPISODES=200; fewer by default, so that nobody waits for it.
EPISODES = int(os.environ.get("LMMR1_FOOTBALL_EPISODES", "32"))
SEATS = 16
KICK_OFF = KickOff(BUILT_IN["academy_3_vs_1_with_keeper"], 4)
SHORT: dict[str, Any] = {"scenario": "academy_3_vs_1_with_keeper", "observation": "text", "max_steps": 24}


class Babbler:
    """Says any actions, by the key of the conversation alone."""

    name = "babbler"
    context = "turn"

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.before = before

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        self.before()
        return [AgentReply(self._say(conversation)) for conversation in conversations]

    def _say(self, conversation: Conversation) -> str:
        rng = np.random.default_rng((*conversation.key, len(conversation.turns)))
        names = rng.choice(["right", "top_right", "sprint", "short_pass", "shot", "left"], size=4)
        return f"<think>so</think><answer>{', '.join('action_' + name for name in names)}</answer>"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def told(episode: Episode) -> list[Any]:
    """What an episode was, as far as it has to be the same again."""
    turns = [(turn.messages, turn.text, turn.actions, turn.reward) for turn in episode.turns]
    return [turns, episode.final_messages, episode.success, episode.stop_reason]


def engine_process(deadline: float = 20.0) -> EngineProcess:
    engine = open_engine(Control(), worker=True, deadline=deadline)
    assert isinstance(engine, EngineProcess)
    return engine


# The engine's own handler turns a segmentation fault into exit(1), which would end the process of a trainer as well.
@pytest.mark.parametrize(("number", "reason"), [(signal.SIGKILL, "signal SIGKILL"), (signal.SIGSEGV, "exit status 1")])
def test_an_engine_that_dies_says_so_and_the_next_match_is_another_ones(number: int, reason: str) -> None:
    engine = engine_process()
    engine.reset(KICK_OFF)
    first = [engine.step([5]), engine.state.ball.tolist()]
    pid = engine.process_id
    assert pid is not None
    os.kill(pid, number)
    with pytest.raises(EngineFailure, match=reason):
        for _ in range(3):
            engine.step([5])
    with pytest.raises(EngineFailure, match="call reset"):
        engine.step([5])
    engine.reset(KICK_OFF)
    assert engine.process_id != pid and not is_alive(pid)
    assert [engine.step([5]), engine.state.ball.tolist()] == first
    pid = engine.process_id
    engine.close()
    assert pid is not None and not is_alive(pid)


def test_an_engine_that_hangs_is_ended_after_the_deadline() -> None:
    engine = engine_process(deadline=0.5)
    engine.reset(KICK_OFF)
    pid = engine.process_id
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineFailure, match=r"no answer within 0\.5 s"):
        engine.step([0])
    assert not is_alive(pid)


def test_what_goes_wrong_inside_is_told() -> None:
    engine = engine_process()
    engine.reset(KICK_OFF)
    with pytest.raises(EngineFailure, match="IndexError"):
        engine.step([99])
    engine.close()


def test_an_engine_ends_with_whoever_uses_it() -> None:
    program = (
        "from lmmr1.envs.football.engine.process import open_engine\n"
        "from lmmr1.envs.football.engine.match import Control, KickOff\n"
        "from lmmr1.envs.football.scenarios.table import BUILT_IN\n"
        "engine = open_engine(Control(), worker=True)\n"
        "engine.reset(KickOff(BUILT_IN['5_vs_5'], 1))\n"
        "print(engine.process_id, flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    pytest.fail("the engine's process outlived its user")


def test_an_environment_goes_on_after_its_engine_died() -> None:
    env = FootballEnv(worker=True, observation="simple115")
    env.reset(seed=1)
    engine = env._session.engine
    assert isinstance(engine, EngineProcess) and engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)
    with pytest.raises(EngineFailure):
        env.step(0)
    import gymnasium as gym

    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    first, _ = env.reset(seed=1)
    again, _ = FootballEnv(observation="simple115").reset(seed=1)
    np.testing.assert_array_equal(first, again)
    env.close()


def test_rollouts_play_football_in_workers_unless_they_are_told_otherwise() -> None:
    football, sokoban = EnvironmentConfig("LMMR1/Football-v0"), EnvironmentConfig("LMMR1/Sokoban-v0")
    pool = open_pool(None, [sokoban, football], 1.0, 1.0)
    assert pool is not None and len(pool.workers) >= 1
    assert open_pool(None, [sokoban], 1.0, 1.0) is None
    assert open_pool(0, [football], 1.0, 1.0) is None


def play(agent: Babbler, make: Any, places: list[Any], log: RolloutLog | None = None) -> list[Episode]:
    """All episodes, some at a time in the same environments: each has an engine of its own, of 50 MB."""
    episodes: list[Episode] = []
    while len(episodes) < EPISODES:
        seed = len(episodes)
        episodes += rollout(agent, make, SEATS, seed=seed, stream=EVALUATION_STREAM, environments=places, log=log)
    return episodes


def test_workers_killed_at_random_moments_cost_one_episode_each() -> None:
    config = EnvironmentConfig("LMMR1/Football-v0", kwargs=SHORT)
    calm: list[Any] = []
    expected = play(Babbler(), lambda: LocalEnv(config), calm)
    assert not any(episode.failure for episode in expected)
    for place in calm:
        place.close()
    pool = EnvironmentPool(3, 3.0, 30.0)
    pids: set[int] = set()
    struck: list[int] = []
    over = threading.Event()
    chance = random.Random(7)
    stopped: list[int] = []

    def running() -> list[int]:
        found = [worker.process for worker in pool.workers if worker is not None]
        pids.update(process.pid for process in found)
        return [process.pid for process in found if process.poll() is None and process.pid not in stopped]

    def stop_one() -> None:
        # While every worker is idle, so that it is a reply which is never answered.
        if not stopped:
            stopped.append(running()[0])
            os.kill(stopped[0], signal.SIGSTOP)

    def strike() -> None:
        for _ in range(2 + EPISODES // 12):
            if over.wait(chance.uniform(0.2, 1.0)):
                return
            if victims := running():
                struck.append(chance.choice(victims))
                os.kill(struck[-1], signal.SIGKILL)

    thread = threading.Thread(target=strike)
    log = RolloutLog()
    thread.start()
    try:
        episodes = play(Babbler(stop_one), lambda: pool.add(config), [], log)
    finally:
        over.set()
        thread.join()
        pids.update(worker.process.pid for worker in pool.workers if worker is not None)
        pool.close()
    failed = [place for place, episode in enumerate(episodes) if episode.failure is not None]
    print(f"{len(episodes)} episodes, {len(struck)} killed, {len(stopped)} stopped, {len(failed)} failed:")
    print(*(f"{incident.kind}: {incident.error}" for incident in log.incidents), sep="\n")
    assert len(struck) >= 3 and len(failed) <= len(struck) + len(stopped), "a strike cost more than one episode"
    assert len(episodes) == len(expected) and len(log.incidents) == len(failed)
    assert {incident.kind for incident in log.incidents} == {"death", "hang"}
    for place, (episode, calm_one) in enumerate(zip(episodes, expected, strict=True)):
        if place not in failed:
            assert repr(told(episode)) == repr(told(calm_one)), f"episode {place} is not what it is undisturbed"
    assert not any(is_alive(pid) for pid in pids), "a process was left behind"


# ---------------------------------------------------------------------------------------------- which Python plays it


def test_another_python_plays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_engine(Control())
    here.reset(KICK_OFF)
    monkeypatch.setenv(process.PYTHON_VARIABLE, sys.executable)
    # As if it were another one, which can take nothing from this one's search path.
    monkeypatch.setattr(sys, "executable", "/usr/bin/another-python")
    process.has_engine.cache_clear()
    away = open_engine(Control())
    assert isinstance(away, EngineProcess)
    away.reset(KICK_OFF)
    for action in (5, 13, 11, 0, 12):
        assert here.step([action]) == away.step([action])
    np.testing.assert_array_equal(here.state.ball, away.state.ball)
    away.close()


def test_a_python_without_the_engine_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(process.PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(UserError, match="LMMR1_FOOTBALL_PYTHON is .* cannot import numpy and gfootball_engine"):
        FootballEnv().reset(seed=0)


def test_without_the_engine_the_error_says_how_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "is_installed", lambda: False)
    monkeypatch.setattr(process.shutil, "which", lambda name: None)
    with pytest.raises(EngineMissing, match=r"make football.*3\.11.*LMMR1_FOOTBALL_PYTHON") as caught:
        FootballEnv().reset(seed=0)
    assert "\n" not in str(caught.value)
