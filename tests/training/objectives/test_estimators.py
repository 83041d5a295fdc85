"""Every estimator against a plain loop written from its formula, on random batches of many turns."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import pytest
import torch

from lmmr1.training.config import PPOConfig
from lmmr1.training.config.ppo import CRITIC_ESTIMATORS
from lmmr1.training.objectives.credit import assign_credit

from .batches import Played, Tokens, as_batch, flat, play_at_random

SEEDS = range(6)
# gamma, lambda, and both from turn to turn
RATES = [(1.0, 1.0, 1.0, 1.0), (0.97, 0.9, 0.8, 0.5), (1.0, 0.95, 0.9, None), (0.9, 0.0, 1.0, 0.7)]
Advantages = list[list[Tokens]]


def credit(episodes: list[Played], **settings: Any):
    batch = as_batch(episodes)
    bootstrap = torch.tensor([episode.bootstrap for episode in episodes], dtype=torch.float64)
    values, rewards = flat([e.values for e in episodes]), flat([e.rewards for e in episodes])
    states = torch.tensor([state for episode in episodes for state in episode.states])
    return assign_credit(batch, rewards, values, bootstrap, states, PPOConfig(**settings))


def assert_equal(found: torch.Tensor, expected: Advantages) -> None:
    assert found.tolist() == pytest.approx(flat(expected).tolist(), abs=1e-6)


def rates(gamma: float, lam: float, turn_gamma: float, turn_lam: float | None) -> dict[str, Any]:
    return {"gamma": gamma, "lam": lam, "turn_gamma": turn_gamma, "turn_lam": turn_lam}


def groups_of(episodes: list[Played]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, episode in enumerate(episodes):
        found.setdefault(episode.group, []).append(number)
    return found


# ------------------------------------------------------------------------------------------------------- with a critic


def gae(rewards: Tokens, values: Tokens, after: float, discounts: Tokens, decays: Tokens) -> Tokens:
    """delta_t = r_t + discount_t V_(t+1) - V_t;  A_t = delta_t + discount_t decay_t A_(t+1)."""
    advantages, following = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        ahead = values[t + 1] if t + 1 < len(values) else after
        following = rewards[t] + discounts[t] * ahead - values[t] + discounts[t] * decays[t] * following
        advantages[t] = following
    return advantages


def by_tokens(e: Played, gamma: float, lam: float, turn_gamma: float, turn_lam: float) -> list[Tokens]:
    rewards = [r for turn in e.rewards for r in turn]
    values = [v for turn in e.values for v in turn]
    discounts = [turn_gamma if i == len(turn) - 1 else gamma for turn in e.rewards for i in range(len(turn))]
    decays = [turn_lam if i == len(turn) - 1 else lam for turn in e.rewards for i in range(len(turn))]
    found = iter(gae(rewards, values, e.bootstrap, discounts, decays))
    return [[next(found) for _ in turn] for turn in e.rewards]


def by_turns(e: Played, gamma: float, lam: float, turn_gamma: float, turn_lam: float) -> list[Tokens]:
    count = len(e.rewards)
    begun = [values[0] for values in e.values]
    found = gae([sum(turn) for turn in e.rewards], begun, e.bootstrap, [turn_gamma] * count, [turn_lam] * count)
    return [[a] * len(turn) for a, turn in zip(found, e.rewards, strict=True)]


def by_both(e: Played, gamma: float, lam: float, turn_gamma: float, turn_lam: float) -> list[Tokens]:
    count = len(e.rewards)
    paid, ended = [turn[-1] for turn in e.rewards], [values[-1] for values in e.values]
    of_turns = gae(paid, ended, e.bootstrap, [turn_gamma] * count, [turn_lam] * count)
    result = []
    for of_turn, rewards, values in zip(of_turns, e.rewards, e.values, strict=True):
        advantages = [0.0] * len(rewards)
        advantages[-1] = of_turn
        for t in reversed(range(len(rewards) - 1)):
            delta = rewards[t] + gamma * values[t + 1] - values[t]
            advantages[t] = delta + gamma * lam * advantages[t + 1]
        result.append(advantages)
    return result


LOOPS = {"gae": by_tokens, "gae_turn": by_turns, "gae_bilevel": by_both}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", RATES)
@pytest.mark.parametrize("estimator", LOOPS)
def test_critics(estimator: str, settings: tuple[float, float, float, float | None], seed: int) -> None:
    episodes = play_at_random(seed)
    gamma, lam, turn_gamma, turn_lam = settings
    turn_lam = lam if turn_lam is None else turn_lam
    expected = [LOOPS[estimator](e, gamma, lam, turn_gamma, turn_lam) for e in episodes]
    found = credit(episodes, estimator=estimator, **rates(*settings))
    assert_equal(found.advantages, expected)
    values = flat([e.values for e in episodes])
    firsts = flat([[[1.0] + [0.0] * (len(t) - 1) for t in e.rewards] for e in episodes]).bool()
    assert torch.equal(found.valued, firsts if estimator == "gae_turn" else torch.ones_like(firsts))
    targets = (found.advantages + values)[found.valued]
    assert found.returns[found.valued].tolist() == pytest.approx(targets.tolist(), abs=1e-6)


@pytest.mark.parametrize("turn_gamma", [1.0, 0.9])
def test_bilevel_is_token_level_where_the_tokens_of_a_turn_neither_pay_nor_discount(turn_gamma: float) -> None:
    episodes = [replace(e, rewards=e.paid) for e in play_at_random(1)]
    settings = rates(1.0, 1.0, turn_gamma, 1.0)
    tokens, both = (credit(episodes, estimator=name, **settings).advantages for name in ("gae", "gae_bilevel"))
    assert torch.allclose(tokens, both, atol=1e-6)
    apart = credit(episodes, estimator="gae_bilevel", **rates(1.0, 0.5, turn_gamma, 1.0)).advantages
    assert not torch.allclose(tokens, apart, atol=1e-2)


@pytest.mark.parametrize("estimator", CRITIC_ESTIMATORS)
def test_a_turn_that_pays_nothing_is_still_a_turn(estimator: str) -> None:
    """Turns come from turn ends: with a turn discount of 0.5 a reward two turns on is worth a quarter."""
    episode = Played(0, [[0.0], [0.0], [1.0]], [[0.0], [0.0], [1.0]], [[0.0], [0.0], [0.0]], 0.0, [0, 0, 0])
    found = credit([episode], estimator=estimator, turn_gamma=0.5)
    assert found.advantages.tolist() == pytest.approx([0.25, 0.5, 1.0])
    nothing = Played(0, [[0.0], [0.0]], [[0.0], [0.0]], [[0.0], [0.0]], 0.0, [0, 0])
    assert credit([nothing], estimator=estimator).advantages.tolist() == [0.0, 0.0]


# ---------------------------------------------------------------------------------------------------- without a critic


def returns_of(turns: list[Tokens], gamma: float, turn_gamma: float) -> list[Tokens]:
    result, following = [], 0.0
    for k in reversed(range(len(turns))):
        tokens = [0.0] * len(turns[k])
        for t in reversed(range(len(tokens))):
            discount = turn_gamma if t == len(tokens) - 1 else gamma
            following = turns[k][t] + discount * following
            tokens[t] = following
        result.append(tokens)
    return result[::-1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", RATES)
def test_reinforce(settings: tuple[float, float, float, float | None], seed: int) -> None:
    episodes = play_at_random(seed)
    gamma, _, turn_gamma, _ = settings
    expected = [returns_of(e.rewards, gamma, turn_gamma) for e in episodes]
    assert_equal(credit(episodes, estimator="reinforce", **rates(*settings)).advantages, expected)
    by_turn, pooled = {}, {}
    for group, members in groups_of(episodes).items():
        paid = [returns_of(episodes[number].paid, gamma, turn_gamma) for number in members]
        pooled[group] = statistics.mean(turn[-1] for turns in paid for turn in turns)
        for k in range(max(map(len, paid))):
            by_turn[group, k] = statistics.mean(turns[k][-1] for turns in paid if len(turns) > k)
    for name, baseline in (
        ("reinforce_baseline", lambda e, k: by_turn[e.group, k]),
        ("reinforce_baseline_pooled", lambda e, _: pooled[e.group]),
    ):
        less = [
            [[value - baseline(e, k) for value in tokens] for k, tokens in enumerate(turns)]
            for e, turns in zip(episodes, expected, strict=True)
        ]
        assert_equal(credit(episodes, estimator=name, **rates(*settings)).advantages, less)


def test_a_baseline_knows_that_a_later_turn_has_less_ahead() -> None:
    """Two turns that pay 1 each, and all do it: nothing is to be learned, of neither turn."""
    episodes = [Played(0, [[1.0], [1.0]], [[1.0], [1.0]], [[0.0], [0.0]], 0.0, [0, 1]) for _ in range(3)]
    assert credit(episodes, estimator="reinforce_baseline").advantages.tolist() == [0.0] * 6
    pooled = credit(episodes, estimator="reinforce_baseline_pooled").advantages
    assert pooled.tolist() == [0.5, -0.5] * 3


def test_with_one_turn_an_episode_both_baselines_are_the_mean_reward_to_the_bit() -> None:
    episodes = [replace(e, rewards=e.rewards[:1], paid=e.paid[:1], values=e.values[:1]) for e in play_at_random(3)]
    one, other = (
        credit(episodes, estimator=name, gamma=0.9).advantages
        for name in ("reinforce_baseline", "reinforce_baseline_pooled")
    )
    assert torch.equal(one, other)


def compare(name: str, scores: list[float], own: int) -> float:
    """The advantage of the score at `own` among those of its group, from the papers' formulas."""
    if len(scores) == 1:
        return 0.0
    if name == "rloo":
        return scores[own] - statistics.mean(scores[:own] + scores[own + 1 :])
    centred = scores[own] - statistics.mean(scores)
    return centred if name == "dr_grpo" else centred / (statistics.stdev(scores) + 1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("turn_gamma", [1.0, 0.7])
@pytest.mark.parametrize("estimator", ["rloo", "grpo", "dr_grpo"])
def test_groups(estimator: str, turn_gamma: float, seed: int) -> None:
    episodes = play_at_random(seed)
    scores = [sum(turn_gamma**k * sum(turn) for k, turn in enumerate(e.rewards)) for e in episodes]
    advantages = {}
    for members in groups_of(episodes).values():
        reached = [scores[number] for number in members]
        advantages |= {number: compare(estimator, reached, place) for place, number in enumerate(members)}
    expected = [[[advantages[number]] * len(turn) for turn in e.rewards] for number, e in enumerate(episodes)]
    found = credit(episodes, estimator=estimator, turn_gamma=turn_gamma).advantages
    assert_equal(found, expected)
    assert found.abs().max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("turn_gamma,step_weight", [(1.0, 1.0), (0.7, 0.5), (0.0, 2.0)])
def test_gigpo(turn_gamma: float, step_weight: float, seed: int) -> None:
    episodes = play_at_random(seed)
    scores = [sum(sum(turn) for turn in e.rewards) for e in episodes]
    members = groups_of(episodes)
    whole = [
        compare("grpo", [scores[n] for n in members[e.group]], members[e.group].index(number))
        for number, e in enumerate(episodes)
    ]
    steps: dict[int, list[tuple[int, int]]] = {}
    reached: dict[tuple[int, int], float] = {}
    for number, e in enumerate(episodes):
        for k, state in enumerate(e.states):
            steps.setdefault(state, []).append((number, k))
            later = e.rewards[k:]
            reached[number, k] = sum(turn_gamma**i * sum(turn) for i, turn in enumerate(later))
    of_step = {}
    for group in steps.values():
        returns = [reached[step] for step in group]
        of_step |= {step: compare("grpo", returns, place) for place, step in enumerate(group)}
    expected = [
        [[whole[number] + step_weight * of_step[number, k]] * len(turn) for k, turn in enumerate(e.rewards)]
        for number, e in enumerate(episodes)
    ]
    found = credit(episodes, estimator="gigpo", turn_gamma=turn_gamma, step_weight=step_weight)
    assert_equal(found.advantages, expected)
