"""Episodes that do not walk in step: the same as in step, and nobody waits for anybody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.playing import Rules, Seat
from lmmr1.agents.policy import PolicyAgent, make_engine
from lmmr1.agents.rollout import play
from lmmr1.agents.streaming.calls import EngineLostError, ThreadedEngine
from lmmr1.agents.streaming.stream import MOST_LOSSES, EpisodeStream, stream
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import Place
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.messages import StopReason
from lmmr1.envs.registry import EnvironmentConfig

from ..models import random_tiny
from ..worlds import pictures
from .scripted import ScriptedEngine

ENVS = str(Path(__file__).parents[2] / "envs")
ID = "worlds_that_break:Breaks-v0"
CHAT = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}
SECONDS = 2.0  # waited for in full by what hangs, and long enough for what does not


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


@pytest.fixture
def pools() -> Iterator[Callable[[int], EnvironmentPool]]:
    made: list[EnvironmentPool] = []

    def make(workers: int) -> EnvironmentPool:
        made.append(EnvironmentPool(workers, SECONDS, SECONDS))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def world(**kwargs: Any) -> EnvironmentConfig:
    return EnvironmentConfig(ID, kwargs=kwargs, chat=CHAT)


def seats(places: Sequence[Place]) -> list[Seat]:
    return [Seat(place, "world", 100 + index, (3, index), index) for index, place in enumerate(places)]


def shown(episodes: Sequence[Episode]) -> list[Any]:
    def turns(episode: Episode) -> list[Any]:
        return [(t.text, t.reward, t.reply_ids.tolist(), t.prompt_ids.tolist(), t.actions) for t in episode.turns]

    return [(e.key, e.group, e.failure, e.stop_reason, e.success, turns(e)) for e in episodes]


def incidents(log: RolloutLog) -> list[Any]:
    return sorted((i.env_seed, i.turn, i.kind, i.error, i.attempt, i.final) for i in log.incidents)


# -------------------------------------------------------------------------------------------------- the same as in step


def test_a_stream_plays_what_a_rollout_in_step_plays(loaded: LoadedModel, pools: Any) -> None:
    """Real engines, two of them; pictures here and games behind two pools."""
    policy = PolicyAgent(loaded, Sampling(6))
    first, second = pools(2), pools(1)
    sokoban = EnvironmentConfig("LMMR1/Sokoban-v0", {"dim_room": [6, 6], "inner_walls": 0, "max_steps": 6})
    places: list[Place] = [pictures(3), *(LocalEnv(world(turns=turns)) for turns in (1, 4, 2))]
    places += [pool.add(config) for pool in (first, second, first) for config in (sokoban, world(turns=3))]
    engines = [ThreadedEngine(make_engine(loaded, 64)) for _ in range(2)]
    there = stream(policy, seats(places), engines, greedy=False, max_turns=5)
    for engine in engines:
        engine.close()
    here = play(policy, seats(places), greedy=False, max_turns=5)
    assert shown(there) == shown(here)
    assert {len(episode.turns) for episode in here} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("retries", [0, 1])
def test_faults_and_retries_are_those_of_a_rollout_in_step(
    workers: int, retries: int, loaded: LoadedModel, pools: Any, tmp_path: Path
) -> None:
    plan = {"101": [1, "crash"], "102": [0, "crash"], "103": [3, "nan"]}
    if workers:
        plan |= {"104": [2, "die"], "105": [2, "hang"]}
    policy, found = PolicyAgent(loaded, Sampling(6)), []
    for name in ("in step", "freely"):
        (once := tmp_path / name).mkdir()
        pool = pools(workers) if workers else None
        config = world(plan=plan, once=str(once))
        places = [LocalEnv(config) if pool is None else pool.add(config) for _ in range(7)]
        log, options = RolloutLog(), {"greedy": False, "retries": retries}
        if name == "in step":
            episodes = play(policy, seats(places), log=log, **options)
        else:
            episodes = stream(policy, seats(places), [ThreadedEngine(make_engine(loaded, 64))], log=log, **options)
        calls = log.times["world"].calls
        found.append((shown(episodes), incidents(log), log.failures()["kinds"], calls))
    assert found[0] == found[1]
    assert sum(episode[2] is not None for episode in found[0][0]) == (0 if retries else len(plan))


def test_a_conversation_that_outgrows_the_context_ends_alone(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(4), max_context_tokens=60)
    engine = ThreadedEngine(policy.engine)
    long, short = stream(policy, seats([pictures(5), LocalEnv(world(turns=1))]), [engine], greedy=False)
    assert long.stop_reason is StopReason.CONTEXT_LIMIT and 0 < len(long.turns) < 5
    assert short.stop_reason is StopReason.TASK_ENDED
    # Whoever does not even fit with the first prompt asks no engine.
    policy = PolicyAgent(loaded, Sampling(4), max_context_tokens=8)
    [none] = stream(policy, seats([pictures(1)]), [ScriptedEngine(loaded, lost_at=range(9))], greedy=False)
    assert none.stop_reason is StopReason.CONTEXT_LIMIT and not none.turns


# ------------------------------------------------------------------------------------------------------ at its own pace


def test_who_takes_long_holds_up_nobody(loaded: LoadedModel, pools: Any) -> None:
    """One environment hangs; all others end, and others begin and end in their places, before that is found out."""
    policy, pool = PolicyAgent(loaded, Sampling(4)), EnvironmentPool(4, 600.0, 600.0)
    places = [pool.add(world(turns=turns, plan={"100": [2, "hang"]})) for turns in (3, 1, 2, 3)]
    flow = EpisodeStream(policy, [ScriptedEngine(loaded)], Rules(policy.context))
    try:
        for seat in seats(places):
            flow.begin(seat)
        ended: list[int] = []
        while len(ended) < 9:
            for one in flow.wait():
                ended.append(one.seat.env_seed)
                if ended[-1] < 120:
                    flow.begin(Seat(one.seat.env, "world", ended[-1] + 10, (4, ended[-1]), 0))
        assert sorted(ended) == [101, 102, 103, 111, 112, 113, 121, 122, 123]
        assert flow.in_flight == 1
        assert flow.wait(timeout=0.05) == []  # and the time is up
        flow.wake()
        assert flow.wait() == []
    finally:
        running = [worker.process.pid for worker in pool.workers if worker is not None]
        flow.close()
        pool.close()
    assert len(running) == 4
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_every_engine_has_its_share_and_one_call_at_a_time(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(4))
    engines = [ScriptedEngine(loaded, seconds=0.01) for _ in range(3)]
    episodes = stream(policy, seats([LocalEnv(world(turns=4)) for _ in range(9)]), engines, greedy=False)
    assert all(len(episode.turns) == 4 and episode.success for episode in episodes)
    assert [len(engine.calls[0]) for engine in engines] == [3, 3, 3]
    asked = [key for engine in engines for call in engine.calls for key in call]
    assert sorted(asked) == sorted((3, index, turn) for index in range(9) for turn in range(4))


def test_an_episode_may_be_spoken_by_several_versions(loaded: LoadedModel) -> None:
    policy, engine = PolicyAgent(loaded, Sampling(4)), ScriptedEngine(loaded)
    flow = EpisodeStream(policy, [engine], Rules(policy.context))
    places = [LocalEnv(world(turns=turns)) for turns in (1, 2, 3)]
    for seat in seats(places):
        flow.begin(seat)
    versions = {}
    while flow.in_flight:
        for one in flow.wait():
            versions[len(one.episode.turns)] = [turn.version for turn in one.episode.turns]
        engine.update_weights(engine.version + 5)
    # Those that go on are asked again before the update, and what is asked is what counts.
    assert versions == {1: [0], 2: [0, 5], 3: [0, 5, 10]} or versions == {1: [0], 2: [0, 0], 3: [0, 0, 5]}


# ---------------------------------------------------------------------------------------------------- what goes wrong


def test_an_engine_that_dies_gives_its_requests_back(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(4))
    engines = [ScriptedEngine(loaded, lost_at=[1, 3], seconds=0.005), ScriptedEngine(loaded, seconds=0.005)]
    log = RolloutLog()
    episodes = stream(policy, seats([LocalEnv(world(turns=6)) for _ in range(8)]), engines, greedy=False, log=log)
    assert all(len(episode.turns) == 6 and episode.failure is None for episode in episodes)
    assert log.faults == 0 and log.times["world"].calls == 8 * 7  # no environment saw any of it
    asked = [key for engine in engines for call in engine.calls for key in call]
    lost = [key for number in (1, 3) for key in engines[0].calls[number]]
    assert sorted(asked) == sorted([(3, i, turn) for i in range(8) for turn in range(6)] + lost)


def test_an_engine_that_is_always_lost_is_asked_no_more(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(4))
    dead, alive = ScriptedEngine(loaded, lost_at=range(99)), ScriptedEngine(loaded)
    episodes = stream(policy, seats([LocalEnv(world(turns=99)) for _ in range(4)]), [dead, alive], greedy=False)
    assert all(len(episode.turns) == 99 for episode in episodes) and len(dead.calls) == MOST_LOSSES
    with pytest.raises(EngineLostError):
        stream(policy, seats([LocalEnv(world())]), [ScriptedEngine(loaded, lost_at=range(99))], greedy=False)


def test_a_mistake_of_an_engine_ends_the_rollout(loaded: LoadedModel) -> None:
    def mistaken(key: tuple[int, ...], turn: int) -> bool:
        raise ValueError("no such token")

    policy = PolicyAgent(loaded, Sampling(4))
    with pytest.raises(ValueError, match="no such token"):
        stream(policy, seats([LocalEnv(world())]), [ScriptedEngine(loaded, mistaken)], greedy=False)


@pytest.mark.parametrize("retries", [0, 3])
def test_workers_that_are_killed_in_flight_cost_one_attempt_each(retries: int, loaded: LoadedModel, pools: Any) -> None:
    policy, pool, log = PolicyAgent(loaded, Sampling(4)), pools(3), RolloutLog()
    killed: list[int] = []

    def kill(key: tuple[int, ...], turn: int) -> bool:
        # At the third turn of episodes 1 and 5: a worker each, wherever it is.
        if turn == 2 and key[1] in (1, 5) and len(killed) < 2 and key[1] not in killed:
            worker = pool.workers[key[1] % 3]
            os.kill(worker.process.pid, signal.SIGKILL)
            killed.append(key[1])
        return key[1] % 2 == 0

    engine = ScriptedEngine(loaded, kill)
    options: dict[str, Any] = {"greedy": False, "retries": retries, "log": log}
    episodes = stream(policy, seats([pool.add(world(turns=4)) for _ in range(9)]), [engine], **options)
    assert sorted(killed) == [1, 5]
    broken = [episode for episode in episodes if episode.failure is not None]
    assert len(broken) <= (2 if retries == 0 else 0)
    assert log.faults <= 2 and {incident.kind for incident in log.incidents} <= {"death"}
    whole = play(PolicyAgent(loaded, Sampling(4)), seats([LocalEnv(world(turns=4)) for _ in range(9)]), greedy=True)
    for episode, other in zip(episodes, whole, strict=True):
        if episode.failure is None:
            assert len(episode.turns) == 4 and episode.success == (episode.key[1] % 2 == 0)
            assert episode.turns[0].messages == other.turns[0].messages


def test_a_pool_that_cannot_start_tells_whoever_waits(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmr1.envs.isolation.process._PROGRAM", "raise SystemExit(9)")
    policy, pool = PolicyAgent(loaded, Sampling(4)), EnvironmentPool(1, SECONDS, SECONDS)
    with pytest.raises(RuntimeError, match="did not start .*exit status 9"):
        stream(policy, seats([pool.add(world())]), [ScriptedEngine(loaded)], greedy=False)
    pool.close()
