"""Collecting while the policy learns: the same starts, each once; none too old; no kill and no fault loses any."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_seed
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.collection.collect import Collector
from lmmr1.training.collection.stream import AsynchronousCollector
from lmmr1.training.config import (
    CollectionConfig,
    CorrectionConfig,
    CurriculumConfig,
    DemonstrationConfig,
    PPOConfig,
    ReplayConfig,
    RolloutConfig,
    SFTConfig,
    StageConfig,
)
from lmmr1.training.config.collection import AsynchronousConfig

from ...agents.models import random_tiny
from ...agents.streaming.scripted import ScriptedEngine

ENVS = str(Path(__file__).parents[2] / "envs")
CHAT = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}
Choose = Callable[[tuple[int, ...], int], bool]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def environment(turns: int = 1, **kwargs: Any) -> EnvironmentConfig:
    return EnvironmentConfig("worlds_that_break:Breaks-v0", kwargs={"turns": turns, **kwargs}, chat=CHAT)


def stage(bound: int | None = 1, ahead: int | None = None, iterations: int = 8, **changes: Any) -> StageConfig:
    environments = changes.pop("environments", None) or [environment(turns) for turns in (1, 2, 9)]
    return StageConfig(
        kind="ppo",
        help="test",
        iterations=iterations,
        environments=environments,
        rollout=RolloutConfig(groups=4, group_size=2, max_new_tokens=4),
        ppo=PPOConfig(minibatches=1),
        correction=CorrectionConfig(kind="truncate"),
        collection=CollectionConfig(
            asynchronous=None if bound is None else AsynchronousConfig(bound, ahead),
            **changes,
        ),
    )


def by_digit(key: tuple[int, ...], turn: int) -> bool:
    """A choice that varies within groups."""
    return (key[-1] + turn) % 2 == 0


class Run:
    """A collector with a scripted engine in the place of the policy's; leaves nothing behind."""

    def __init__(self, loaded: LoadedModel, config: StageConfig, choose: Choose = by_digit, **engine: Any) -> None:
        self.engine = ScriptedEngine(loaded, choose, **engine)
        self.policy = PolicyAgent(loaded, Sampling(4))
        self.collector = AsynchronousCollector(self.policy, config, 5, 2, engines=[self.engine])
        self.config = config

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.collector.close()
        self.engine.close()

    def collect(self, first: int = 0, last: int | None = None) -> list[Any]:
        return [self.collector.collect(i) for i in range(first, self.config.iterations if last is None else last)]


def in_step(loaded: LoadedModel, config: StageConfig, choose: Choose = by_digit) -> list[list[Episode]]:
    """What the synchronous collector plays."""
    engine = ScriptedEngine(loaded, choose)
    policy = PolicyAgent(loaded, Sampling(4))

    class Waiting:
        version = 0

        def generate(self, requests: Any, sampling: Any) -> Any:
            return engine.start(requests, sampling).result()

    policy.engine = Waiting()  # type: ignore[assignment]
    collector = Collector(policy, config, 5, 2)
    episodes = [collector.collect(iteration).episodes for iteration in range(config.iterations)]
    collector.close()
    engine.close()
    return episodes


def shown(episodes: Sequence[Episode]) -> list[Any]:
    return [
        (e.key, e.env_id, e.failure, e.stop_reason, e.final_messages, [(t.text, t.reward, t.messages) for t in e.turns])
        for e in episodes
    ]


def flat(batches: Sequence[Any]) -> list[Episode]:
    return [episode for batch in batches for episode in batch.episodes]


def keys(batches: Sequence[Any]) -> list[tuple[int, ...]]:
    return sorted(episode.key for episode in flat(batches))


# ----------------------------------------------------------------------------------------------- the same, each once


def test_a_bound_of_nothing_plays_what_is_played_in_step(loaded: LoadedModel) -> None:
    expected = in_step(loaded, stage(None))
    with Run(loaded, stage(0)) as run:
        found = run.collect()
    assert [shown(batch.episodes) for batch in found] == [shown(episodes) for episodes in expected]
    assert all(batch.figures["staleness_max"] == 0 for batch in found)
    assert [{turn.version for e in batch.episodes for turn in e.turns} for batch in found] == [{i} for i in range(8)]


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(("bound", "ahead"), [(1, None), (3, None), (3, 5), (2, 0)])
def test_nothing_is_lost_or_learned_from_twice_or_too_late(
    bound: int, ahead: int | None, workers: int, loaded: LoadedModel
) -> None:
    """All that is played in step is learned from once, whatever its length; what differs is when."""
    expected = [episode for episodes in in_step(loaded, stage(None)) for episode in episodes]
    with Run(loaded, stage(bound, ahead, workers=workers)) as run:
        found = run.collect()
    assert sorted(shown(flat(found))) == sorted(shown(expected), key=lambda row: row[0])
    lengths = Counter(len(episode.turns) for episode in flat(found))
    assert lengths == Counter(len(episode.turns) for episode in expected) and set(lengths) == {1, 2, 9}
    for iteration, batch in enumerate(found):
        versions = [turn.version for episode in batch.episodes for turn in episode.turns]
        assert iteration - bound <= min(versions) and max(versions) <= iteration
        groups = Counter(episode.group for episode in batch.episodes)
        assert len(groups) == 4 and set(groups.values()) == {2}  # whole groups
        tokens = [iteration - t.version for e in batch.episodes for t in e.turns for _ in t.reply_ids]
        assert batch.figures["staleness"] == pytest.approx(np.mean(tokens))
        assert batch.figures["staleness_max"] == max(tokens)
        assert 0 <= batch.figures["engine_utilisation"] <= 1 and batch.figures["waiting_seconds"] >= 0
    if ahead == 0:
        assert all(batch.figures["staleness_max"] == 0 for batch in found)
    asked = Counter(key for call in run.engine.calls for key in call)
    assert set(asked.values()) == {1}  # and the engine was asked for nothing that nobody learned from


def test_a_long_episode_holds_the_update_back_and_is_not_let_go(loaded: LoadedModel) -> None:
    """One world is far longer than the bound allows for: its episodes span versions, and are waited for."""
    kinds = [environment(1), environment(60)]
    with Run(loaded, stage(2, iterations=10, environments=kinds), seconds=0.002) as run:
        found = run.collect()
    long = [episode for episode in flat(found) if len(episode.turns) == 60]
    assert 10 < len(long) < 70
    assert any(len({turn.version for turn in episode.turns}) > 1 for episode in long)
    assert max(batch.figures["staleness_max"] for batch in found) <= 2


# ----------------------------------------------------------------------------------------------------- what it goes by


def test_groups_without_variance_are_replaced(loaded: LoadedModel) -> None:
    def choose(key: tuple[int, ...], turn: int) -> bool:
        place = key[-1] // 2
        return place % 4 < 2 or key[-1] % 2 == 0  # half of the groups agree

    config = stage(1, environments=[environment(1)], dynamic_sampling=True)
    with Run(loaded, config, choose) as run:
        found = run.collect()
    for batch in found:
        assert len(batch.episodes) == 8
        assert all(len({e.total_reward for e in batch.episodes[i : i + 2]}) == 2 for i in range(0, 8, 2))
    assert sum(batch.figures["groups_dropped"] for batch in found) >= 8 * 4 - 4
    # Where nothing ever varies, an iteration goes on with what there is after so many refills.
    with Run(loaded, stage(1, iterations=3, dynamic_sampling=True, max_refills=2), lambda key, turn: True) as run:
        assert all(batch.figures["groups_played"] == 4 + 2 * 4 for batch in run.collect())


def test_the_curriculum_and_the_replays_go_by_what_came_of_it(loaded: LoadedModel) -> None:
    kinds = [environment(1), environment(2)]
    config = stage(1, iterations=12, environments=kinds, curriculum=CurriculumConfig(floor=0.05, rate=0.5))
    # What has one turn is always solved.
    with Run(loaded, config, lambda key, turn: True) as run:
        rates = run.collect()[-1].figures
    assert rates["success_rate/0"] > 0.9 and rates["success_rate/1"] > 0.9
    replay = ReplayConfig(share=0.5, tries=1)
    with Run(loaded, stage(1, environments=kinds, replay=replay), lambda key, turn: False) as run:
        found = run.collect()
    openings = Counter(episode.turns[0].messages[0]["content"][0]["text"] for episode in flat(found))  # type: ignore[typeddict-item]
    assert found[-1].figures["replay_memory"] > 0 and max(openings.values()) >= 4
    assert len(set(keys(found))) == len(keys(found)) == 64


# ---------------------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("bound", [0, 2])
def test_what_was_in_flight_is_played_again_from_its_starts(bound: int, loaded: LoadedModel) -> None:
    expected = sorted(shown(episode for episodes in in_step(loaded, stage(None)) for episode in episodes))  # type: ignore[arg-type]
    found: list[Any] = []
    state: dict[str, Any] | None = None
    for first, last in ((0, 3), (3, 4), (4, 8)):
        with Run(loaded, stage(bound), seconds=0.001) as run:
            if state is not None:
                run.collector.restore(json.loads(json.dumps(state)))
            found += run.collect(first, last)
            state = run.collector.state()
    assert sorted(shown(flat(found)), key=lambda row: row[0]) == expected
    for iteration, batch in enumerate(found):
        assert all(iteration - t.version <= bound for episode in batch.episodes for t in episode.turns)


def test_workers_that_are_killed_cost_a_retry_and_no_group(loaded: LoadedModel) -> None:
    killed: list[int] = []
    pool: EnvironmentPool | None = None

    def choose(key: tuple[int, ...], turn: int) -> bool:
        if turn == 1 and pool is not None and len(killed) < 3 and key[-1] % 2 == 0:
            alive = [worker for worker in pool.workers if worker is not None]
            worker = alive[len(killed) % len(alive)]
            killed.append(worker.process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGKILL)
        return by_digit(key, turn)

    expected = sorted(episode.key for episodes in in_step(loaded, stage(None)) for episode in episodes)
    with Run(loaded, stage(2, workers=3, retries=4), choose) as run:
        made = run.collector.pool
        assert isinstance(made, EnvironmentPool)
        pool = made
        found = run.collect()
    assert len(killed) == 3
    assert keys(found) == expected
    assert all(episode.failure is None for episode in flat(found))
    for pid in killed:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_faults_are_counted_where_they_are_learned_from(loaded: LoadedModel) -> None:
    plan = {str(derive_seed(5, 0, 2, i, group)): [1, "crash"] for i, group in ((0, 1), (2, 3), (7, 0))}
    with Run(loaded, stage(1, environments=[environment(2, plan=plan)])) as run:
        found = run.collect()
        failures = run.collector.log.failures()
    assert sum(batch.figures["failed_episodes"] for batch in found) == 6 == failures["failed_episodes"]
    assert sum(batch.figures.get("faults", 0) for batch in found) == 6


def test_what_breaks_in_the_thread_reaches_the_learner(loaded: LoadedModel) -> None:
    def mistaken(key: tuple[int, ...], turn: int) -> bool:
        if key[-2] == 2:
            raise ZeroDivisionError("in the engine")
        return True

    with Run(loaded, stage(1), mistaken) as run:
        for _ in range(2):  # and the second time too, rather than a wait without end
            with pytest.raises(ZeroDivisionError, match="in the engine"):
                run.collect()


def test_closing_in_the_middle_leaves_no_process(loaded: LoadedModel) -> None:
    slow = [environment(5, plan={}), environment(2)]
    with Run(loaded, stage(2, environments=slow, workers=3)) as run:
        run.collect(0, 2)
        assert isinstance(run.collector.pool, EnvironmentPool)
        pids = [worker.process.pid for worker in run.collector.pool.workers if worker is not None]
    assert len(pids) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert run.collector._thread is not None and not run.collector._thread.is_alive()


# ------------------------------------------------------------------------------------------------------------ bad input


def test_an_engine_that_only_answers_while_the_learner_waits_is_refused(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(4))
    shared = policy.over(loaded, policy.engine)
    with pytest.raises(UserError, match="collection.asynchronous needs engines that sample while the policy learns"):
        AsynchronousCollector(shared, stage(1), 5, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correction": CorrectionConfig()}, "correction.kind must be truncate or mask with collection.asynchronous"),
        (
            {"collection": CollectionConfig(asynchronous=AsynchronousConfig(2, 9))},
            r"collection.asynchronous.ahead \(9\) must not exceed max_staleness \* rollout.groups \(8\)",
        ),
    ],
)
def test_contradictions_are_told(changes: dict[str, Any], message: str) -> None:
    values = {**vars(stage(1)), **changes}
    with pytest.raises(UserError, match=message):
        StageConfig(**values)


def test_a_supervised_stage_plays_nothing_while_it_learns() -> None:
    collection = CollectionConfig(asynchronous=AsynchronousConfig())
    demonstrations = [DemonstrationConfig(environment())]
    with pytest.raises(UserError, match="collection.asynchronous has no meaning in a stage of kind sft"):
        StageConfig("sft", "test", demonstrations=demonstrations, sft=SFTConfig(1, 1, 0.1), collection=collection)


def test_numbers_below_nothing_are_told() -> None:
    for key, config in (("max_staleness", {"max_staleness": -1}), ("ahead", {"ahead": -1})):
        with pytest.raises(UserError, match=f"{key} must be at least 0, not -1"):
            AsynchronousConfig(**config)
