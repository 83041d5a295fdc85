"""The whole loss of a minibatch: against a plain loop, and the same however the minibatch is cut into micro-batches."""

from __future__ import annotations

import itertools
import math
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.config import CriticConfig, KLConfig, PPOConfig, RolloutConfig, StageConfig
from lmmr1.training.objectives.credit import Targets
from lmmr1.training.objectives.minibatch import MinibatchLoss, sequence_numbers

from .batches import as_batch, play_at_random

LONGEST, VOCABULARY = 9, 5


class Said:
    """What a policy says of some tokens, in the shape of `TokenOutputs`, from logits that gradients can be read of."""

    def __init__(self, logits: Tensor, tokens: Tensor) -> None:
        self.everything = torch.log_softmax(logits, -1)
        self.logprobs = self.everything.gather(-1, tokens[:, None])[:, 0]

    def entropies(self) -> Tensor:
        return -(self.everything.exp() * self.everything).sum(-1)

    def full_kl(self, reference: Tensor) -> Tensor:
        return (self.everything.exp() * (self.everything - reference)).sum(-1)


class Case:
    """A minibatch, drawn at random: some episodes of a batch, the second of which learns from none of its tokens."""

    def __init__(self, seed: int, weighted: bool, full: bool) -> None:
        self.batch = as_batch(play_at_random(seed))
        self.episodes = [0, 1, 4, 5, 8, 11]
        count, draw = len(self.batch), torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=draw)

        self.logits = normal(count, VOCABULARY)
        self.values = normal(count)
        self.tokens = torch.randint(VOCABULARY, (count,), generator=draw)
        said = Said(self.logits, self.tokens)
        learned = (normal(count) > -0.5) & (self.batch.episodes != self.episodes[1])
        learned[0] = True
        everything = torch.log_softmax(self.logits + 0.3 * normal(count, VOCABULARY), -1)
        self.data = Targets(
            old=said.logprobs + 0.4 * normal(count),
            weights=normal(count).abs() if weighted else None,
            advantages=torch.where(learned, normal(count), 0.0),
            returns=normal(count),
            values=self.values + 0.3 * normal(count),
            valued=normal(count) > 0,
            reference=everything.gather(-1, self.tokens[:, None])[:, 0],
            reference_all=everything if full else None,
            learned=learned,
            penalised=normal(count) > -0.3,
            sequences=sequence_numbers(self.batch),
        )

    def places(self, episodes: list[int]) -> Tensor:
        return torch.cat([(self.batch.episodes == number).nonzero()[:, 0] for number in episodes])

    def run(self, config: StageConfig, parts: list[list[int]]) -> tuple[float, Tensor, dict[str, float]]:
        """The loss, its gradients by logits and values, and the figures; one micro-batch for each of `parts`."""
        minibatch = MinibatchLoss(config, self.data, self.places(self.episodes), 0.7)
        logits, values = self.logits.clone().requires_grad_(), self.values.clone().requires_grad_()
        total, figures = 0.0, {}
        for part in parts:
            at = self.places(part)
            packed: Any = SimpleNamespace(places=at, slots=at)
            said: Any = Said(logits[at], self.tokens[at])
            policy_loss, value_loss, found = minibatch.part(packed, said, values[at], penalise=True)
            assert value_loss is not None
            loss = policy_loss + value_loss
            loss.backward()
            total += loss.item()
            figures = {name: figures.get(name, 0.0) + value for name, value in found.items()}
        assert logits.grad is not None and values.grad is not None
        return total, torch.cat([logits.grad.flatten(), values.grad]), figures


def stage(full: bool = False, kl: str = "k3", **ppo: Any) -> StageConfig:
    return StageConfig(
        kind="ppo",
        help="test",
        environments=[EnvironmentConfig("FrozenLake-v1")],
        rollout=RolloutConfig(max_new_tokens=LONGEST),
        ppo=PPOConfig(clip_low=0.2, clip_high=0.3, entropy=0.1, **ppo),
        kl=KLConfig(estimator="full" if full else kl),  # pyright: ignore[reportArgumentType]
        critic=CriticConfig(value_clip=0.2, loss_weight=0.5),
    )


def mean_of(values: list[float], kept: list[bool], lengths: list[int], normalisation: str) -> float:
    """The formulas of the three normalisations, over sequences of `lengths` that lie one after another."""
    starts = [0, *itertools.accumulate(lengths)]
    rows = [range(a, b) for a, b in itertools.pairwise(starts)]
    sums = [sum(values[i] for i in row if kept[i]) for row in rows]
    counts = [sum(kept[i] for i in row) for row in rows]
    if normalisation == "token":
        return sum(sums) / sum(counts)
    if normalisation == "sequence":
        means = [s / c for s, c in zip(sums, counts, strict=True) if c]
        return sum(means) / len(means)
    return sum(sums) / (len(rows) * LONGEST)


def loop(case: Case, config: StageConfig) -> float:
    """The loss, number by number."""
    ppo, data = config.ppo, case.data
    at = case.places(case.episodes).tolist()
    lengths = [len(case.places([number])) for number in case.episodes]
    old, advantages = data.old.tolist(), data.advantages.tolist()
    logprobs = Said(case.logits, case.tokens).everything.tolist()
    own = [logprobs[i][int(case.tokens[i])] for i in range(len(logprobs))]
    learned, penalised, valued = data.learned.tolist(), data.penalised.tolist(), data.valued.tolist()
    ratios = {i: own[i] - old[i] for i in at}
    if ppo.ratio == "sequence":
        for number in case.episodes:
            places = case.places([number]).tolist()
            kept = [own[i] - old[i] for i in places if learned[i]]
            ratios |= dict.fromkeys(places, sum(kept) / max(len(kept), 1))
    policy, entropy, divergence, errors = [], [], [], []
    for i in at:
        ratio, advantage = math.exp(ratios[i]), advantages[i]
        gain = min(ratio * advantage, min(max(ratio, 0.8), 1.3) * advantage)
        if ppo.dual_clip is not None and advantage < 0:
            gain = max(gain, ppo.dual_clip * advantage)
        policy.append(-gain * (1.0 if data.weights is None else float(data.weights[i])))
        entropy.append(-sum(math.exp(p) * p for p in logprobs[i]))
        log_ratio = float(data.reference[i]) - own[i]
        if data.reference_all is not None:
            there = data.reference_all[i].tolist()
            divergence.append(sum(math.exp(p) * (p - q) for p, q in zip(logprobs[i], there, strict=True)))
        else:
            estimates = {"k1": -log_ratio, "k2": log_ratio**2 / 2, "k3": math.exp(log_ratio) - 1 - log_ratio}
            divergence.append(estimates[config.kl.estimator])
        value, before, target = float(case.values[i]), float(data.values[i]), float(data.returns[i])
        near = min(max(value, before - 0.2), before + 0.2)
        errors.append(0.5 * max((value - target) ** 2, (near - target) ** 2))

    def mean(values: list[float], kept: list[bool], normalisation: str) -> float:
        return mean_of(values, [kept[i] for i in at], lengths, normalisation)

    way = ppo.loss_normalisation
    total = mean(policy, learned, way) + 0.7 * mean(divergence, penalised, way)
    return total - 0.1 * mean(entropy, learned, "token") + 0.5 * mean(errors, valued, "token")


@pytest.mark.parametrize("normalisation", ["token", "sequence", "constant"])
@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize(
    ("seed", "weighted", "kl", "dual_clip"),
    [(0, False, "k1", None), (1, True, "k2", 1.5), (2, False, "k3", 1.2), (3, True, "full", None)],
)
def test_the_loss_is_the_formula_however_it_is_cut_up(
    normalisation: str, ratio: str, seed: int, weighted: bool, kl: str, dual_clip: float | None
) -> None:
    case = Case(seed, weighted, kl == "full")
    config = stage(kl == "full", kl, normalisation=normalisation, ratio=ratio, dual_clip=dual_clip)
    total, gradients, figures = case.run(config, [case.episodes])
    assert total == pytest.approx(loop(case, config), abs=1e-6)
    rng = random.Random(seed)
    for size in (1, 2, 4):
        order = rng.sample(case.episodes, len(case.episodes))
        parts = [order[i : i + size] for i in range(0, len(order), size)]
        again, others, figures_again = case.run(config, parts)
        assert again == pytest.approx(total, abs=1e-6)
        assert torch.allclose(others, gradients, atol=1e-6)
        assert figures_again == pytest.approx(figures, abs=1e-6)


def test_each_estimator_has_its_papers_normalisation() -> None:
    found = {name: stage(estimator=name).ppo.loss_normalisation for name in ("gae", "rloo", "grpo", "dr_grpo")}
    assert found == {"gae": "token", "rloo": "token", "grpo": "sequence", "dr_grpo": "constant"}
    assert stage(estimator="dr_grpo", normalisation="token").ppo.loss_normalisation == "token"


def test_a_minibatch_that_nothing_is_learned_from_has_no_loss() -> None:
    case = Case(0, False, False)
    case.data.learned[:], case.data.penalised[:], case.data.valued[:] = False, False, False
    for normalisation in ("token", "sequence", "constant"):
        total, gradients, _ = case.run(stage(normalisation=normalisation), [case.episodes])
        assert total == 0 and (gradients == 0).all()
