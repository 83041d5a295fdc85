"""Rejection sampling: which episodes are kept, that their ids are those that were sampled, and that it teaches."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_epoch_seed, derive_seed, rollout
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.batching import make_batch
from lmmr1.training.collection.archive import pack_episodes, slim, unpack_episodes
from lmmr1.training.collection.rejection import OwnEpisodes, choose_episodes
from lmmr1.training.config import (
    CollectionConfig,
    DemonstrationConfig,
    RejectionConfig,
    RolloutConfig,
    SFTConfig,
    StageConfig,
)
from lmmr1.training.demonstrations import Demonstrations
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.checkpoint import save_checkpoint
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from ...agents.models import random_tiny
from ...agents.worlds import pictures
from ..small_run import results

ENVS = str(Path(__file__).parents[2] / "envs")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


# -------------------------------------------------------------------------------------------------- which are kept


def said(*lengths: int, success: bool | None = True, reward: float = 1.0, **changes: Any) -> Episode:
    """An episode of replies of so many tokens, each the number of its first reply's length."""
    turns = [Turn([], "", reward=reward, reply_ids=np.full(length, lengths[0], np.int32)) for length in lengths]
    return Episode("x", (0,), 0, turns=turns, success=success, **changes)


def kept(group: list[Episode], **settings: Any) -> list[int]:
    chosen = choose_episodes(group, RejectionConfig(**settings), np.random.default_rng(0))
    return places(chosen, group)


def places(chosen: list[Episode], group: list[Episode]) -> list[int]:
    return [next(at for at, other in enumerate(group) if other is episode) for episode in chosen]


def test_only_whole_and_successful_episodes_are_good() -> None:
    group = [
        said(3),
        said(4, success=False),
        said(5, success=None),
        said(6, failure="it broke"),
        said(7),
        said(8, 2),
        Episode("x", (0,), 0, success=True),  # nothing was said
    ]
    group[4].turns[0].cut_off = True
    assert kept(group, choose="all") == [0, 5]
    # With a least reward it alone counts, summed over the turns, whatever the environment calls it.
    assert kept(group, choose="all", min_reward=1.0) == [0, 1, 2, 5]
    assert kept(group, choose="all", min_reward=1.5) == [5]


def test_choosing() -> None:
    group = [said(5), said(3), said(4, success=False), said(3), said(2, 2), said(9)]
    assert kept(group, choose="shortest") == [1]  # 3 tokens, and the first who said them
    assert kept(group, choose="shortest", keep=2) == [1, 4]  # the one at 3 says the same as the one at 1
    assert kept(group, choose="shortest", keep=99) == [0, 1, 4, 5]
    assert kept(group, choose="all") == [0, 1, 3, 4, 5]
    config, rng = RejectionConfig(choose="random", keep=2), np.random.default_rng(1)
    draws = [tuple(places(choose_episodes(group, config, rng), group)) for _ in range(200)]
    assert all(len(draw) == 2 and set(draw) <= {0, 1, 4, 5} for draw in draws)
    assert len(set(draws)) == 6  # every pair


# --------------------------------------------------------------------------------------------- what is kept of them


def test_what_a_checkpoint_keeps_makes_the_same_batch() -> None:
    """Turns with pictures, in one row or in several: the same ids, pictures and log-probabilities come back."""
    policy = PolicyAgent(random_tiny(), Sampling(6))
    for context in ("conversation", "turn"):
        policy.context = context
        episodes = rollout(policy, lambda: pictures(3), 3, seed=4, stream=0, max_turns=3)
        tensors = pack_episodes([slim(episode) for episode in episodes])
        back = unpack_episodes(tensors, episodes[0].env_id, context, policy.template.decode)
        for before, after in zip(episodes, back, strict=True):
            assert (before.key, before.group, before.success) == (after.key, after.group, after.success)
            assert [turn.text for turn in before.turns] == [turn.text for turn in after.turns]
        one, other = make_batch(episodes, policy), make_batch(back, policy)
        assert [row.identity() for row in one.sequences] == [row.identity() for row in other.sequences]
        assert len(one.sequences) == (3 if context == "conversation" else 9)
        for name in ("tokens", "old_logprobs", "episodes", "turns", "turn_ends", "answer", "rewards", "groups"):
            assert torch.equal(vars(one)[name], vars(other)[name]), name


def test_each_different_picture_is_kept_once() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    turn = Turn([{"role": "user", "content": [{"type": "image", "image": picture}] * 2}], "", reply_ids=np.arange(3))
    turn.logprobs = np.zeros(3, np.float32)
    tensors = pack_episodes([slim(Episode("x", (0,), 0, turns=[turn, turn]))] * 5)
    assert tensors["pixels"].tolist() == picture.ravel().tolist() and tensors["pictures"].tolist() == [0] * 20


# ------------------------------------------------------------------------------------------------------ as a source


def stage(
    rejection: RejectionConfig, env: EnvironmentConfig, rollouts: RolloutConfig, **collection: Any
) -> StageConfig:
    return StageConfig(
        kind="sft",
        help="own",
        demonstrations=[DemonstrationConfig(env, "rollouts", rejection=rejection)],
        rollout=rollouts,
        sft=SFTConfig(4, 8, 1e-3),
        collection=CollectionConfig(**collection),
    )


def breaks(**kwargs: Any) -> EnvironmentConfig:
    chat = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}
    return EnvironmentConfig("worlds_that_break:Breaks-v0", kwargs={"turns": 1, **kwargs}, chat=chat)


ANY = RejectionConfig(choose="all", min_reward=0.0)
# The random model hardly ever says that it has ended: these strings end its replies.
FEW = RolloutConfig(groups=4, group_size=3, max_new_tokens=24, stop=tuple("aeiour0123456789 .,"))


def own(config: StageConfig) -> tuple[Demonstrations, OwnEpisodes]:
    demonstrations = Demonstrations(PolicyAgent(random_tiny(2), Sampling(6)), config, 7, 0)
    return demonstrations, demonstrations.own[0]


def test_a_pass_takes_each_episode_once() -> None:
    demonstrations, source = own(stage(ANY, breaks(), FEW))
    first = demonstrations.episodes(0, 5)
    assert demonstrations.figures["episodes"] == 12
    count = len(source.kept)
    assert demonstrations.figures["episodes_kept"] == count
    assert count >= 8  # whoever was cut off is not among them
    rest = [demonstrations.episodes(step, 1)[0] for step in range(1, 2 * count - 4)]
    assert demonstrations.figures == {}  # nothing was played
    keys = [episode.key for episode in [*first, *rest]]
    passes = keys[:count], keys[count : 2 * count]
    assert all(sorted(part) == sorted(episode.key for episode in source.kept) for part in passes)
    assert passes[0] != passes[1]
    demonstrations.close()


def test_others_are_played_when_it_is_time() -> None:
    demonstrations, source = own(stage(RejectionConfig("all", min_reward=0.0, every=2), breaks(), FEW))
    collected = []
    for step in range(4):
        demonstrations.episodes(step, 1)
        collected.append({episode.key for episode in source.kept})
    assert collected[0] == collected[1] and collected[2] == collected[3]
    assert not collected[0] & collected[2]
    demonstrations.close()


def test_a_series_of_starts_goes_on_from_collection_to_collection() -> None:
    series = dataclasses.replace(breaks(), order="epochs")
    demonstrations, source = own(stage(RejectionConfig("all", min_reward=0.0, every=1), series, FEW))
    seeds = []
    play = source.player.play

    def listen(starts: Any, *rest: Any) -> Any:
        seeds.extend(start.env_seed for start in starts)
        return play(starts, *rest)

    source.player.play = listen  # pyright: ignore[reportAttributeAccessIssue]
    for step in range(2):
        demonstrations.episodes(step, 1)
    assert seeds == [derive_epoch_seed(position, 7, 12, 0, 0, 0) for position in range(8)]
    demonstrations.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_breaks_is_masked_and_counted(workers: int) -> None:
    seeds = [derive_seed(7, 12, 0, 0, 0, 0, group) for group in range(4)]
    plan = {str(seeds[1]): [1, "hang" if workers else "crash"]}
    demonstrations, source = own(stage(ANY, breaks(plan=plan), FEW, workers=workers, step_seconds=1.0))
    demonstrations.episodes(0, 4)
    figures = demonstrations.figures
    assert (figures["episodes"], figures["failed_episodes"], figures["faults"]) == (9, 3, 3)
    assert {episode.group for episode in source.kept} <= {0, 2, 3} and source.kept
    [kind] = {incident.kind for incident in demonstrations.log.incidents}
    assert kind == ("hang" if workers else "crash")
    demonstrations.close()


def test_when_nothing_is_good_it_says_why() -> None:
    config = stage(RejectionConfig(min_reward=5.0), breaks(), FEW)
    with pytest.raises(UserError, match=r"none of 12 episodes is good enough.*lower rejection.min_reward"):
        own(config)[0].episodes(0, 4)
    config = stage(RejectionConfig(), EnvironmentConfig("CartPole-v1", chat={"max_turns": 2}), FEW)
    with pytest.raises(UserError, match="never says what a success is: set rejection.min_reward"):
        own(config)[0].episodes(0, 4)
    crashing = breaks(plan={str(derive_seed(7, 12, 0, 0, 0, 0, group)): [0, "crash"] for group in range(4)})
    with pytest.raises(UserError, match="all 12 episodes failed, the first with RuntimeError: boom"):
        own(stage(ANY, crashing, FEW))[0].episodes(0, 4)


# ------------------------------------------------------------------------------------------------------ in a recipe

RECIPE = """
name: own
seed: 1
help: learns from its own successes
films: 0
checkpoint_every: 1
model: {path: tiny}
stages:
  warm:
    kind: sft
    help: the policy's own successes
    sft: {steps: 16, batch_size: 64, learning_rate: 5.0e-4, warmup: 2}
    rollout: {groups: 48, group_size: 8, max_new_tokens: 40}
    demonstrations:
      - environment: {id: LMMR1/Reasoning-v0, kwargs: &easy {families: [rectangle_perimeter], split: train}, chat: &brief {instructions: brief}}
        source: rollouts
        rejection: {keep: 2, every: 8}
evaluation:
  tasks:
    text:
      modality: text
      environment: {id: LMMR1/Reasoning-v0, kwargs: {<<: *easy, split: test}, chat: *brief}
      episodes: 64
"""  # noqa: E501


def test_a_policy_learns_from_its_own_successes(tmp_path: Path) -> None:
    summary = train(read_recipe(RECIPE), tmp_path, evaluate_policy)
    before, after = (row["tasks"]["text"] for row in summary["evaluations"])
    assert before["greedy"]["success"] < 0.5
    for mode in ("greedy", "sampled"):
        assert after[mode]["success"] > before[mode]["success"] + 0.1
    rows = read_metrics(tmp_path)
    assert [row["iteration"] for row in rows if "episodes_kept" in row] == [1, 9]
    assert rows[8]["accuracy"] > rows[0]["accuracy"] + 0.05  # with the weights of then


class StoppedError(Exception):
    """The run was stopped by this test."""


def test_a_resumed_run_goes_on_with_the_same_episodes(tmp_path: Path) -> None:
    """Two sources of its own, one with pictures in each turn, and an expert; stopped in and between collections."""
    game = "{id: LMMR1/Sokoban-v0, kwargs: {dim_room: [6, 6], num_boxes: 1, max_steps: 3, tile_size: 14, split: train}, chat: {instructions: brief}}"  # noqa: E501
    recipe = read_recipe(
        RECIPE,
        [
            ("stages.warm.sft", "{steps: 6, batch_size: 6, learning_rate: 1.0e-3, warmup: 1}"),
            ("stages.warm.rollout", "{groups: 4, group_size: 4, max_new_tokens: 24, max_turns: 2}"),
            (
                "stages.warm.demonstrations",
                "[{environment: {id: LMMR1/Reasoning-v0, kwargs: {families: [rectangle_perimeter]}, "
                "chat: {instructions: brief}}, source: rollouts, "
                "rejection: {choose: shortest, keep: 2, every: 4, min_reward: 0.5}}, "
                f"{{environment: {game}, source: rollouts, context: turn, "
                "rejection: {choose: all, min_reward: -9}}, "
                f"{{environment: {game}, context: turn, turns: 2}}]",
            ),
            ("evaluation.tasks.text.episodes", "2"),
        ],
    )
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, evaluate_policy)
    for stop in (2, 4, 5):  # steps: within a collection, before the next one, and right after it

        def saving(folder: Path, name: str, *rest: Any, stop: int = stop) -> Path:
            path = save_checkpoint(folder, name, *rest)
            if int(name) == stop:
                raise StoppedError
            return path

        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr("lmmr1.training.run.save_checkpoint", saving)
            train(recipe, stopped, evaluate_policy, resume=stop > 2)
    train(recipe, stopped, evaluate_policy, resume=True)
    expected, found = results(whole), results(stopped)
    for name in expected:
        assert found[name] == expected[name], name
    assert [row["step"] for row in read_metrics(stopped) if "episodes_kept" in row] == [1, 5]
    assert json.loads((stopped / "timing.json").read_text())["environments"]["warm"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("demonstrations.0.rejection.keep", "0", r"demonstrations\.0\.rejection\.keep must be at least 1"),
        ("demonstrations.0.rejection", "{choose: all, keep: 2}", r"rejection\.keep 2 has no meaning with choose all"),
        (
            "demonstrations.0.rejection.choose",
            "longest",
            r"choose must be 'random', 'shortest' or 'all', not 'longest'",
        ),
        ("demonstrations.0.source", "expert", r"demonstrations\.0\.rejection has no meaning with source expert"),
        ("demonstrations.0.thought_rate", "0.5", r"demonstrations\.0\.thought_rate has no meaning with source rollou"),
        ("rollout.context", "turn", r"stages\.warm\.rollout\.context has no meaning in a stage of kind sft"),
        ("collection.dynamic_sampling", "true", r"stages\.warm\.collection\.dynamic_sampling has no meaning"),
        ("collection.curriculum", "{}", r"stages\.warm\.collection\.curriculum has no meaning"),
    ],
)
def test_a_mistake_in_the_recipe_names_its_key(key: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_recipe(RECIPE, [(f"stages.warm.{key}", value)])
