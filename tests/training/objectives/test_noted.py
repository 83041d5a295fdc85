"""What a trainer made of each token, as it is kept for people to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.policy import PolicyAgent
from lmmr1.training.config import CorrectionConfig, KLConfig, PPOConfig
from lmmr1.training.objectives.credit import Noted
from lmmr1.training.ppo import PPOTrainer

from ...agents.models import random_tiny
from ..test_ppo import collect, stage
from .batches import as_batch, play_at_random


@pytest.mark.parametrize("count", [0, 1, 5, 13])
def test_every_turn_gets_its_own_tokens(count: int) -> None:
    episodes = play_at_random(4)
    batch = as_batch(episodes)
    numbers = torch.arange(len(batch)).numpy()
    noted = Noted(batch.episodes.numpy(), batch.turns.numpy(), numbers, numbers + 0.5, None, numbers % 2 == 0)
    found = noted.credits(count)
    assert len(found) == count
    place = 0
    for episode, turns in zip(episodes, found, strict=False):
        assert list(turns) == list(range(len(episode.rewards)))
        for index, tokens in enumerate(episode.rewards):
            expected = list(range(place, place + len(tokens)))
            assert turns[index].advantages.tolist() == expected
            assert turns[index].learned.tolist() == [number % 2 == 0 for number in expected]
            assert turns[index].values is None
            place += len(tokens)


def test_a_trainer_tells_what_its_loss_took() -> None:
    policy = PolicyAgent(random_tiny(2), Sampling(6))
    episodes = collect(policy, 2, 0)
    config = stage(ppo=PPOConfig(estimator="gae"), kl=KLConfig(coefficient=0.0))
    trainer = PPOTrainer(policy, config, (0,))
    assert trainer.credits(3) == []  # nothing was learned yet
    trainer.learn(episodes, 0)
    credits = [credit for turns in trainer.credits(len(episodes)) for credit in turns.values()]
    assert len(credits) == 2 * len(episodes)
    advantages = np.concatenate([credit.advantages for credit in credits])
    # Whitened over all tokens; the critic begins with 0 everywhere, so that a return is what was paid.
    assert advantages.mean() == pytest.approx(0, abs=1e-5) and advantages.std() == pytest.approx(1, abs=0.01)
    assert all(credit.values is not None and not credit.values.any() for credit in credits)
    for episode, turns in zip(episodes, trainer.credits(len(episodes)), strict=True):
        assert turns[1].returns[-1] == pytest.approx(episode.turns[1].reward)


def test_tokens_that_are_left_out_are_marked() -> None:
    policy = PolicyAgent(random_tiny(2), Sampling(6))
    episodes = collect(policy, 1, 0)
    for episode in episodes[::2]:
        episode.turns[0].cut_off = False
    masked = CorrectionConfig(overlong="mask")
    trainer = PPOTrainer(policy, stage(correction=masked), (0,))
    trainer.learn(episodes, 0)
    cut = [episode.turns[0].cut_off for episode in episodes]
    assert any(cut) and not all(cut)
    for turns, is_cut in zip(trainer.credits(len(episodes)), cut, strict=True):
        assert turns[0].learned.all() != is_cut and turns[0].values is None
        assert not is_cut or not turns[0].advantages.any()
