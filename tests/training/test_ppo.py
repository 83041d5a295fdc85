"""The trainer: it learns, by every estimator; its losses do not depend on how a batch is cut up."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.playing import Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_seed, play
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.spaces import Utterance
from lmmr1.training import batching
from lmmr1.training.batching import answer_tokens, make_batch
from lmmr1.training.config import (
    CorrectionConfig,
    CriticConfig,
    KLConfig,
    OptimizerConfig,
    PPOConfig,
    RolloutConfig,
    StageConfig,
)
from lmmr1.training.objectives.credit import state_groups
from lmmr1.training.ppo import PPOTrainer

from ..agents.models import random_tiny
from ..agents.worlds import pictures


class Digits(gym.Env):
    """Pays the share of digits among a reply's characters, over `turns` turns: learnable from random weights."""

    metadata = {"render_modes": []}

    def __init__(self, turns: int = 1) -> None:
        self.turns, self.render_mode = turns, None
        self.observation_space, self.action_space = Utterance(200), Utterance(200)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict]:
        super().reset(seed=seed)
        self.count = 0
        return "Say digits.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict]:
        self.count += 1
        reward = sum(character.isdigit() for character in action) / max(len(action), 1)
        done = self.count >= self.turns
        return "More.", reward, done, False, {"success": reward > 0.5}


def stage(**changes: Any) -> StageConfig:
    from lmmr1.envs.registry import EnvironmentConfig

    values: dict[str, Any] = {
        "kind": "ppo",
        "help": "test",
        "iterations": 20,
        "environments": [EnvironmentConfig("FrozenLake-v1")],
        "rollout": RolloutConfig(groups=8, group_size=4, max_new_tokens=6),
        "optimizer": OptimizerConfig(learning_rate=2e-3, warmup=2),
        "kl": KLConfig(coefficient=1e-3),
    }
    return StageConfig(**{**values, **changes})


def collect(policy: PolicyAgent, turns: int, iteration: int, groups: int = 8, size: int = 4):
    seats = [
        Seat(ChatEnv(Digits(turns), instructions="brief", reply_format="plain", format_weight=0.0), "digits",
             derive_seed(iteration, i // size), (iteration, i), i // size)
        for i in range(groups * size)
    ]  # fmt: skip
    return play(policy, seats, greedy=False)


def improvement(loaded: LoadedModel, config: StageConfig, turns: int) -> tuple[float, float]:
    policy = PolicyAgent(loaded, Sampling(config.rollout.max_new_tokens), config.rollout.context)
    trainer = PPOTrainer(policy, config, (0,))
    rewards: list[float] = []
    for iteration in range(config.iterations):
        if len(rewards) > 4 and np.mean(rewards[-3:]) > rewards[0] + 0.35:
            break  # it has learned what the test asks for
        episodes = collect(policy, turns, iteration)
        rewards.append(float(np.mean([episode.total_reward / turns for episode in episodes])))
        metrics = trainer.learn(episodes, iteration)
        assert all(np.isfinite(value) for value in metrics.values())
    return rewards[0], float(np.mean(rewards[-3:]))


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {"ppo": PPOConfig(estimator="reinforce_baseline")},
        {"ppo": PPOConfig(estimator="reinforce")},
        {"ppo": PPOConfig(estimator="gae")},
        {"ppo": PPOConfig(estimator="gae_turn", turn_lam=0.9)},
        {"ppo": PPOConfig(estimator="gae_bilevel", lam=0.95)},
        {"ppo": PPOConfig(estimator="rloo")},
        {"ppo": PPOConfig(estimator="grpo")},
        {"ppo": PPOConfig(estimator="dr_grpo")},
        {"ppo": PPOConfig(estimator="gigpo")},
        {
            "ppo": PPOConfig(estimator="gae", lam=0.95),
            "critic": CriticConfig(trunk="shared"),
        },
        {"kl": KLConfig(coefficient=1e-3, placement="reward", estimator="k1")},
        {
            "ppo": PPOConfig(estimator="grpo", ratio="sequence", clip_low=0.03, clip_high=0.04, dual_clip=3.0),
            "correction": CorrectionConfig(kind="truncate"),
        },
    ],
    ids=[
        "reinforce_baseline", "reinforce", "gae", "gae_turn", "gae_bilevel", "rloo", "grpo", "dr_grpo", "gigpo",
        "gae-shared", "kl-in-reward", "gspo-corrected",
    ],
)  # fmt: skip
def test_it_learns(changes: dict[str, Any], turns: int) -> None:
    first, last = improvement(random_tiny(2), stage(**changes), turns)
    assert first < 0.3
    assert last > first + 0.3


@pytest.mark.parametrize(
    "ppo",
    [
        PPOConfig(estimator="gae"),
        PPOConfig(estimator="gae_turn", normalisation="sequence", ratio="sequence"),
        PPOConfig(estimator="dr_grpo", dual_clip=1.5),
        PPOConfig(estimator="grpo"),
    ],
    ids=lambda ppo: ppo.estimator,
)
def test_losses_do_not_depend_on_the_micro_batches(ppo: PPOConfig) -> None:
    results = []
    for limit in (100_000, 60):
        loaded = random_tiny(2)
        policy = PolicyAgent(loaded, Sampling(6))
        optimizer = OptimizerConfig(learning_rate=1e-3, warmup=1, microbatch_tokens=limit)
        config = stage(ppo=ppo, optimizer=optimizer, kl=KLConfig(coefficient=0.1))
        trainer = PPOTrainer(policy, config, (0,))
        metrics = trainer.learn(collect(policy, 2, 0), 0)
        results.append((metrics, [p.detach().clone() for p in loaded.model.parameters()]))
    (one, weights), (other, others) = results
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5), name
    for a, b in zip(weights, others, strict=True):
        assert torch.allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("estimator", ["gae", "reinforce_baseline"])
def test_rows_that_occur_twice_are_run_once_and_count_twice(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for apart in (False, True):  # `apart`: as if no two rows were equal
        loaded = random_tiny(2)
        policy = PolicyAgent(loaded, Sampling(2))
        kl = KLConfig(coefficient=0.1, placement="loss", estimator="full")
        ppo = PPOConfig(estimator=estimator, minibatches=1)
        optimizer = OptimizerConfig(learning_rate=1e-3, warmup=1)
        trainer = PPOTrainer(policy, stage(ppo=ppo, optimizer=optimizer, kl=kl), (0,))
        episodes = collect(policy, 4, 0)
        twins = [replace(episode, turns=list(episode.turns)) for episode in episodes[:3]]
        episodes = [*episodes, *twins, *twins]
        if apart:
            numbers = map(str, count())
            monkeypatch.setattr(batching.TokenSequence, "identity", lambda _, numbers=numbers: (next(numbers),))
        batch = make_batch(episodes, policy)
        assert (len(batch.sequences) == len(episodes)) == apart
        assert int(batch.slots[-1]) == (len(batch) if apart else sum(len(s.predictors) for s in batch.sequences))
        results.append((trainer.learn(episodes, 0), [p.detach().clone() for p in loaded.model.parameters()]))
    (one, weights), (other, others) = results
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5), name
    for a, b in zip(weights, others, strict=True):
        assert torch.allclose(a, b, atol=2e-4)


def test_learning_twice_from_the_same_episodes_gives_the_same_weights() -> None:
    digests = []
    for _ in range(2):
        loaded = random_tiny(2)
        policy = PolicyAgent(loaded, Sampling(6))
        trainer = PPOTrainer(policy, stage(), (0,))
        for iteration in range(2):
            trainer.learn(collect(policy, 1, iteration), iteration)
        digests.append([p.detach().clone() for p in loaded.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*digests, strict=True))


def learn_once(
    policy: PolicyAgent, episodes: list[Episode], **changes: Any
) -> tuple[dict[str, float], PPOTrainer, bool]:
    """One iteration: its metrics, the trainer after it, and whether the weights are still what they were."""
    parameters = policy.loaded.model.parameters()
    before = [p.detach().clone() for p in policy.loaded.model.parameters()]
    trainer = PPOTrainer(policy, stage(**changes), (0,))
    metrics = trainer.learn(episodes, 0)
    return metrics, trainer, all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_cut_off_episodes_can_be_left_out_of_the_policy_loss() -> None:
    free = KLConfig(coefficient=0.0)
    kept, left_out = CorrectionConfig(), CorrectionConfig(overlong="mask")
    policy = PolicyAgent(random_tiny(2), Sampling(6))
    episodes = collect(policy, 1, 0)
    for episode in episodes:
        [turn] = episode.turns
        ended = int(turn.reply_ids[-1]) in policy.loaded.end_ids
        assert turn.cut_off == (not ended) and (ended or len(turn.reply_ids) == 6)
    episodes = [episode for episode in episodes if episode.turns[0].cut_off]
    assert len(episodes) > 20
    metrics, _, same = learn_once(policy, episodes, kl=free, correction=left_out)
    assert same and metrics["policy_loss"] == 0
    for episode in episodes[::2]:
        episode.turns[0].cut_off = False
    metrics, _, same = learn_once(policy, episodes, kl=free, correction=left_out)
    assert not same
    assert not learn_once(policy, episodes, kl=free, correction=kept)[2]


def test_rewards_are_clipped_and_long_replies_pay() -> None:
    policy = PolicyAgent(random_tiny(2), Sampling(6))
    episodes = collect(policy, 2, 0)
    nothing = {"ppo": PPOConfig(estimator="rloo"), "kl": KLConfig(coefficient=0.0)}
    clipped = CorrectionConfig(reward_clip=(0.0, 1e-9))
    assert learn_once(policy, episodes, **nothing, correction=clipped)[0]["policy_loss"] == pytest.approx(0, abs=1e-8)
    config = CorrectionConfig(overlong="penalise", overlong_buffer=4, overlong_penalty=0.5, reward_clip=(0.25, 0.5))
    trainer = PPOTrainer(policy, stage(correction=config), (0,))
    found = trainer.corrected(make_batch(episodes, policy))
    expected = []
    for turn in (turn for episode in episodes for turn in episode.turns):
        length = len(turn.reply_ids)
        paid = min(max(turn.reward, 0.25), 0.5) - 0.5 * max(0.0, (length - 2) / 4)
        expected += [0.0] * (length - 1) + [paid]
    assert found.rewards.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind,weight", [("truncate", 0.5), ("mask", 0.0)])
def test_what_another_engine_sampled_is_weighed_by_the_trainers_own_probabilities(kind: Any, weight: float) -> None:
    """An engine that claims twice the probability: the ratio still starts from 1; tokens count half, or not at all."""
    results = {}
    for shift in (0.0, float(np.log(2))):
        policy = PolicyAgent(random_tiny(2), Sampling(6))
        episodes = collect(policy, 2, 0)
        for turn in (turn for episode in episodes for turn in episode.turns):
            turn.logprobs = turn.logprobs + np.float32(shift)
        changes = {"ppo": PPOConfig(estimator="gae", minibatches=1), "kl": KLConfig(coefficient=0.0)}
        correction = CorrectionConfig(kind=kind, floor=0.6)
        results[shift] = learn_once(policy, episodes, **changes, correction=correction)[0]
    (exact, off) = results.values()
    assert exact["mismatch"] == pytest.approx(0.0, abs=1e-5)
    assert off["mismatch"] == pytest.approx(np.log(2), abs=1e-5)
    assert exact["clip_fraction"] == off["clip_fraction"] == 0
    assert off["grad_norm"] == pytest.approx(weight * exact["grad_norm"], rel=1e-3)


def test_the_penalty_is_steered_to_its_target() -> None:
    for target, factor in ((1e-9, 1 + 0.2 * 32 / 100), (1e9, 1 - 0.2 * 32 / 100)):
        policy = PolicyAgent(random_tiny(2), Sampling(6))
        kl = KLConfig(coefficient=0.1, target=target, horizon=100)
        metrics, trainer, _ = learn_once(policy, collect(policy, 1, 0), kl=kl)
        assert metrics["kl_coefficient"] == 0.1
        assert trainer.kl_coefficient == pytest.approx(0.1 * factor)


@pytest.mark.parametrize("context", ["conversation", "turn"])
def test_states_are_equal_where_the_same_was_shown_to_the_same_group(context: Any) -> None:
    loaded = random_tiny(2)
    policy = PolicyAgent(loaded, Sampling(3), context)
    episodes = collect(policy, 2, 0, groups=2, size=3)
    if context == "conversation":  # a reply that ended by itself is followed by other ids than one that was cut off
        for episode in episodes:
            episode.turns[1].prompt_ids = episodes[0].turns[1].prompt_ids
    states = state_groups(episodes, policy).reshape(2, 3, 2)
    assert (states == states[:, :1]).all()
    assert len(states.unique()) == 4
    seats = [Seat(pictures(2), "pictures", i // 2, (i,), 0) for i in range(4)]
    shown = play(policy, seats, greedy=False, max_turns=2)
    for episode in shown:  # nothing but the pictures differs
        for turn, first in zip(episode.turns, shown[0].turns, strict=True):
            turn.prompt_ids = first.prompt_ids
    begun = state_groups(shown, policy).reshape(4, 2)[:, 0].tolist()
    assert begun[0] == begun[1] != begun[2] == begun[3]


def test_a_batch_of_turns_and_one_of_conversations_hold_the_same_tokens() -> None:
    loaded = random_tiny(2)
    for context, rows in (("conversation", 2), ("turn", 10)):
        policy = PolicyAgent(loaded, Sampling(6), context)
        seats = [Seat(pictures(5), "pictures", i, (i,), i) for i in range(2)]
        episodes = play(policy, seats, greedy=False, max_turns=5)
        batch = make_batch(episodes, policy)
        assert sum(len(starts) for starts in batch.copies) == rows
        replies = np.concatenate([turn.reply_ids for episode in episodes for turn in episode.turns])
        assert np.array_equal(batch.tokens.numpy(), replies)
        assert int(batch.turn_ends.sum()) == 10
        for sequence, starts in zip(batch.sequences, batch.copies, strict=True):
            for start in starts:
                span = slice(start, start + len(sequence.predictors))
                assert np.array_equal(sequence.ids[sequence.predictors + 1], batch.tokens[span].numpy())


def test_answer_tokens_are_those_between_the_last_answer_tags() -> None:
    loaded = random_tiny(2)
    policy = PolicyAgent(loaded, Sampling(6))
    from lmmr1.agents.episode import Turn

    text = "<think>1+2</think><answer>37</answer>"
    ids = np.array([*loaded.tokenizer.encode(text), loaded.end_ids[0]], np.int32)
    chosen = answer_tokens(Turn([], text, reply_ids=ids), policy)
    assert loaded.tokenizer.decode(ids[chosen]) == "37"
    bare = np.array(loaded.tokenizer.encode("no tags"), np.int32)
    assert not answer_tokens(Turn([], "no tags", reply_ids=bare), policy).any()
