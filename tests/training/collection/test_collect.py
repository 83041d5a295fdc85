"""Collecting: which starts are played, what is dropped, what is played again, and that nothing of it is by accident."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.rollout import derive_seed
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.collection.collect import Collector
from lmmr1.training.collection.curriculum import Curriculum, ReplayMemory, Start, has_variance
from lmmr1.training.config import (
    CollectionConfig,
    CurriculumConfig,
    PPOConfig,
    ReplayConfig,
    RolloutConfig,
    StageConfig,
)

ENVS = str(Path(__file__).parents[2] / "envs")
ID = "worlds_that_break:Breaks-v0"
CHAT = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


class Chooser:
    """Says a digit or a letter, as `chooses` says for the key of the episode and the conversation."""

    name, context = "chooser", "conversation"

    def __init__(self, chooses: Any) -> None:
        self.chooses = chooses

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        return [AgentReply("7" if self.chooses(c.key, c) else "x") for c in conversations]


def environment(**kwargs: Any) -> EnvironmentConfig:
    return EnvironmentConfig(ID, kwargs={"turns": 1, **kwargs}, chat=CHAT)


def collector(chooses: Any, groups: int = 4, size: int = 2, environments: Any = None, **collection: Any) -> Collector:
    config = StageConfig(
        kind="ppo",
        help="test",
        environments=environments or [environment()],
        rollout=RolloutConfig(groups=groups, group_size=size),
        ppo=PPOConfig(minibatches=1, estimator="reinforce_baseline" if size > 1 else "gae"),
        collection=CollectionConfig(**collection),
    )
    policy: Any = Chooser(chooses)
    return Collector(policy, config, seed=5, stage=2)


def shown(episodes: Sequence[Episode]) -> list[Any]:
    return [
        (e.key, e.group, e.failure, [(t.text, t.reward, t.messages) for t in e.turns], e.final_messages, e.stop_reason)
        for e in episodes
    ]


# -------------------------------------------------------------------------------------------------------- as before


def test_what_an_iteration_plays_by_default() -> None:
    """The seeds and keys are part of what makes a run repeatable: they must never change."""
    kinds = [environment(turns=1), environment(turns=2)]
    collecting = collector(lambda key, _: True, groups=6, environments=kinds)
    episodes = collecting.collect(3).episodes
    rng = np.random.default_rng(np.random.SeedSequence((5, 0, 2, 3)))
    expected = rng.choice(2, size=6, p=[0.5, 0.5])
    assert [len(episode.turns) for episode in episodes] == [kind + 1 for kind in expected for _ in range(2)]
    assert [episode.key for episode in episodes] == [(5, 0, 2, 3, index) for index in range(12)]
    assert [episode.group for episode in episodes] == [index // 2 for index in range(12)]
    for group in range(6):
        seed = derive_seed(5, 0, 2, 3, group)
        digit = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).integers(10)
        text = episodes[2 * group].turns[0].messages[0]["content"][0]
        assert text == {"type": "text", "text": f"Say digits {digit}."}
    collecting.close()


# ------------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("retries", [0, 2])
def test_the_number_of_workers_changes_nothing(retries: int) -> None:
    results = []
    for workers in (0, 1, 3):
        collecting = collector(
            lambda key, _: key[-1] % 2,
            groups=12,
            environments=[environment(turns=4, rate=0.1, plan={})],
            workers=workers,
            retries=retries,
        )
        # What hangs or dies cannot be had in this process.
        collecting.config.environments[0].kwargs["rate"] = 0.0
        seeds = [derive_seed(5, 0, 2, iteration, group) for iteration in range(2) for group in (1, 4, 7)]
        kinds = ["crash", "nan", "flag", "exit", "four", "text"]
        plan = {str(seed): [index % 4 + 1, kind] for index, (seed, kind) in enumerate(zip(seeds, kinds, strict=True))}
        collecting.config.environments[0].kwargs["plan"] = plan
        episodes = [collecting.collect(iteration).episodes for iteration in range(2)]
        collecting.close()
        results.append(([shown(part) for part in episodes], collecting.log.failures()))
    assert results[0] == results[1] == results[2]
    _, failures = results[0]
    assert failures["failed_episodes"] == 12 and failures["faults"] == 12 * (1 + retries)
    assert {row["iteration"] for row in failures["incidents"]} == {1, 2}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_that_passes_costs_a_retry_and_no_episode(workers: int, tmp_path: Path) -> None:
    def episodes(**changes: Any) -> tuple[list[Any], Collector]:
        collecting = collector(lambda key, _: key[-1] % 2, size=1, workers=workers, **changes)
        played = collecting.collect(0).episodes
        collecting.close()
        return shown(played), collecting

    seeds = [derive_seed(5, 0, 2, 0, group) for group in range(4)]
    plan = {str(seeds[0]): [0, "crash"], str(seeds[2]): [2, "nan"]}
    broken = [environment(turns=3, plan=plan, once=str(tmp_path))]
    whole, _ = episodes(environments=[environment(turns=3)])
    retried, collecting = episodes(environments=broken, retries=1)
    assert retried == whole
    assert collecting.log.failures()["failed_episodes"] == 0
    incidents = [(i.env_seed, i.turn, i.attempt, i.final) for i in collecting.log.incidents]
    assert incidents == [(seeds[0], 0, 0, False), (seeds[2], 2, 0, False)]


def test_a_broken_environment_is_made_anew() -> None:
    seed = derive_seed(5, 0, 2, 0, 1)
    collecting = collector(lambda key, _: True, size=1, environments=[environment(plan={str(seed): [1, "crash"]})])
    collecting.collect(0)
    before = [place.env for place in collecting.player.places[0] if isinstance(place, LocalEnv)]
    assert [env is None for env in before] == [False, True, False, False]  # the broken one was let go
    assert not any(episode.failure for episode in collecting.collect(1).episodes)
    after = [place.env for place in collecting.player.places[0] if isinstance(place, LocalEnv)]
    assert after[1] is not None and [after[i] is before[i] for i in (0, 2, 3)] == [True] * 3


def test_the_log_counts_what_it_no_longer_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmr1.agents.incidents.MAX_INCIDENTS", 3)
    collecting = collector(lambda key, _: True, environments=[environment(plan={})], groups=4)
    collecting.config.environments[0].kwargs["rate"] = 1.1
    monkeypatch.setattr("worlds_that_break.fault_of", lambda *_: "crash", raising=False)
    collected = collecting.collect(0)
    failures = collecting.log.failures()
    assert (failures["failed_episodes"], failures["faults"], len(failures["incidents"])) == (8, 8, 3)
    assert collected.figures["failed_episodes"] == collected.figures["faults"] == 8


# -------------------------------------------------------------------------------------------------- dynamic sampling


def test_groups_without_variance_are_replaced() -> None:
    # Groups 0 and 2 agree; of their replacements 4 and 5, 4 agrees too; its replacement 6 differs.
    def chooses(key: tuple[int, ...], _: Any) -> bool:
        return key[-1] % 2 == 1 and key[-1] // 2 not in (0, 2, 4)

    collecting = collector(chooses, dynamic_sampling=True, max_refills=3)
    collected = collecting.collect(0)
    assert sorted({episode.group for episode in collected.episodes}) == [1, 3, 5, 6]
    figures = collected.figures
    assert (figures["groups_dropped"], figures["groups_played"], figures["episodes"]) == (3, 7, 8)
    assert figures["reward"] == pytest.approx(4 / 14)  # of all that was played: dropping must not flatter it
    starts = {episode.group: episode.turns[0].messages for episode in collected.episodes}
    assert len({derive_seed(5, 0, 2, 0, group) for group in starts}) == 4


def test_refilling_ends() -> None:
    some = collector(lambda key, _: key[-1] == 1, dynamic_sampling=True, max_refills=2).collect(0)
    assert {episode.group for episode in some.episodes} == {0}
    assert some.figures["groups_played"] == 4 + 3 + 3
    # Where nothing ever varies there is nothing better than what there is.
    none = collector(lambda key, _: True, dynamic_sampling=True, max_refills=2).collect(0)
    assert len(none.episodes) == 24 and none.figures["groups_dropped"] == 12


def test_a_group_of_failures_has_no_variance() -> None:
    def episode(reward: float, failure: str | None = None) -> Episode:
        turns = [Turn([], "", reward=reward)]
        return Episode("x", (0,), 0, turns=turns, failure=failure)

    assert has_variance([episode(0), episode(1)])
    assert not has_variance([episode(1), episode(1)])
    assert not has_variance([episode(0, "broke"), episode(1)])
    assert not has_variance([episode(0, "broke"), episode(0, "broke")])


def test_a_group_of_one_cannot_be_sampled_dynamically() -> None:
    with pytest.raises(UserError, match="rollout.group_size must be at least 2 for collection.dynamic_sampling"):
        collector(lambda key, _: True, size=1, dynamic_sampling=True)


# ---------------------------------------------------------------------------------------------------- the curriculum


def judged(success: bool | None, count: int = 1) -> list[Episode]:
    return [Episode("x", (0,), 0, turns=[Turn([], "")], success=success) for _ in range(count)]


def test_shares_follow_success_by_hand() -> None:
    curriculum = Curriculum(np.array([1.0, 2.0, 1.0]), CurriculumConfig(floor=0.2, rate=0.5))
    assert curriculum.shares() == pytest.approx([0.25, 0.5, 0.25])
    episodes = [*judged(True, 3), *judged(False), *judged(True, 2), *judged(None)]
    curriculum.update([0, 0, 0, 0, 1, 1, 2], episodes)
    # 1/2 + 1/2 (3/4 - 1/2), 1/2 + 1/2 (1 - 1/2), and nothing known
    assert curriculum.rates == [0.625, 0.75, 0.5]
    factors = np.array([4 * 0.625 * 0.375, 2 * 4 * 0.75 * 0.25, 1.0])
    assert curriculum.shares() == pytest.approx(factors / factors.sum())
    for _ in range(20):
        curriculum.update([1], judged(True))
    assert curriculum.shares()[1] == pytest.approx(2 * 0.2 / (4 * 0.625 * 0.375 + 0.4 + 1))


def test_the_curriculum_leaves_what_is_always_solved() -> None:
    kinds = [environment(turns=1), environment(turns=2)]

    # What has one turn is always solved; what has two, every other time.
    def chooses(key: tuple[int, ...], conversation: Any) -> bool:
        return conversation.env.unwrapped.turns == 1 or key[-1] % 2 == 1

    collecting = collector(chooses, groups=20, environments=kinds, curriculum=CurriculumConfig(floor=0.05, rate=0.5))
    counts = []
    for iteration in range(8):
        episodes = collecting.collect(iteration).episodes
        counts.append(sum(len(episode.turns) == 2 for episode in episodes) / len(episodes))
    assert 0.2 < counts[0] < 0.8 and min(counts[-2:]) > 0.8
    plain = collector(chooses, groups=20, environments=kinds)
    episodes = plain.collect(7).episodes
    assert sum(len(episode.turns) == 2 for episode in episodes) / len(episodes) < 0.8


# ------------------------------------------------------------------------------------------------------------ replay


def test_unsolved_starts_are_played_again() -> None:
    collecting = collector(
        lambda key, _: key[-2] == 1,
        groups=4,
        environments=[environment(turns=1)],
        replay=ReplayConfig(share=0.5, tries=2, memory=3),
    )
    first = collecting.collect(0)
    starts = [derive_seed(5, 0, 2, 0, group) for group in range(4)]
    assert [start.env_seed for start in collecting.starts.memory.starts] == starts[1:]  # the oldest is forgotten
    assert first.figures["replay_memory"] == 3
    second = collecting.collect(1)  # everything is solved now
    again = [second.episodes[4].turns[0].messages, second.episodes[6].turns[0].messages]
    assert again == [first.episodes[2].turns[0].messages, first.episodes[4].turns[0].messages]
    assert [start.env_seed for start in collecting.starts.memory.starts] == starts[3:]


def test_a_start_is_tried_so_often_and_then_forgotten() -> None:
    memory = ReplayMemory(ReplayConfig(share=1.0, tries=2, memory=10, solved=0.5))
    memory.note(Start(0, 11), [*judged(False, 3), *judged(True)])
    memory.note(Start(1, 12), [*judged(False, 2), *judged(True, 2)])  # solved
    memory.note(Start(1, 13), judged(None))  # nobody judged it
    assert memory.take(3) == [Start(0, 11, 1)] and memory.starts == []
    memory.note(Start(0, 11, 1), judged(False))
    assert memory.take(3) == [Start(0, 11, 2)]
    memory.note(Start(0, 11, 2), judged(False))
    assert memory.starts == []


def test_the_state_carries_all_of_it_through_a_checkpoint() -> None:
    def make() -> Collector:
        plan = {str(derive_seed(5, 0, 2, 1, 0)): [1, "crash"]}
        return collector(
            lambda key, _: key[-1] % 3 == 0,
            groups=6,
            environments=[environment(turns=1, plan=plan), environment(turns=2, plan=plan)],
            replay=ReplayConfig(share=0.5),
            curriculum=CurriculumConfig(),
            dynamic_sampling=True,
        )

    whole, before, after = make(), make(), make()
    expected = [whole.collect(iteration) for iteration in range(4)]
    for iteration in range(2):
        before.collect(iteration)
    after.restore(json.loads(json.dumps(before.state())))
    for iteration in (2, 3):
        collected = after.collect(iteration)
        assert shown(collected.episodes) == shown(expected[iteration].episodes)
        assert collected.figures == expected[iteration].figures
    assert after.log.failures() == whole.log.failures()
    fresh = make()
    assert shown(fresh.collect(3).episodes) != shown(expected[3].episodes)  # the state does matter
