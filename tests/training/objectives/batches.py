"""Random batches of many turns, as tensors and as plain lists, for formulas that are tested against plain loops."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch

from lmmr1.training.batching import TokenBatch

Tokens = list[float]


@dataclass
class Played:
    """An episode as lists: for each turn its tokens' rewards (with penalties), what was paid alone, and values."""

    group: int
    rewards: list[Tokens]
    paid: list[Tokens]
    values: list[Tokens]
    bootstrap: float
    states: list[int]


def play_at_random(seed: int) -> list[Played]:
    """Groups of 1 to 4 episodes, each of 1 to 4 turns of 1 to 5 tokens.

    Some turns pay nothing, one episode and one whole group pay nothing at all, some episodes are truncated (their
    bootstrap is not 0), and some turns of a group share a state.
    """
    rng = random.Random(seed)
    episodes = []
    for group, size in enumerate((4, 1, 3, 2, 3)):
        for index in range(size):
            nothing = group == 4 or (group == 0 and index == 1)
            lengths = [rng.choice((1, 1, 2, 5)) for _ in range(rng.randint(1, 4))]
            paid = [[0.0] * (n - 1) + [0.0 if nothing else rng.choice((0.0, rng.gauss(0, 1)))] for n in lengths]
            penalties = [[0.0 if nothing else 0.05 * rng.gauss(0, 1) for _ in turn] for turn in paid]
            rewards = [[p - k for p, k in zip(*turns, strict=True)] for turns in zip(paid, penalties, strict=True)]
            values = [[rng.gauss(0, 1) for _ in turn] for turn in paid]
            bootstrap = rng.choice((0.0, rng.gauss(0, 1)))
            states = [10 * group + rng.randint(0, 2) for _ in lengths]
            episodes.append(Played(group, rewards, paid, values, bootstrap, states))
    return episodes


def flat(parts: list[list[Tokens]]) -> torch.Tensor:
    """Episodes of turns of tokens as one tensor, float64."""
    return torch.tensor([x for turns in parts for tokens in turns for x in tokens], dtype=torch.float64)


def as_batch(episodes: list[Played]) -> TokenBatch:
    """The same as the tensors that the harness makes of episodes; one sequence an episode."""
    places = [
        (number, index, token == len(tokens) - 1)
        for number, episode in enumerate(episodes)
        for index, tokens in enumerate(episode.rewards)
        for token in range(len(tokens))
    ]
    columns = [torch.tensor(column) for column in zip(*places, strict=True)]
    lengths = [sum(map(len, episode.rewards)) for episode in episodes]
    count = len(places)
    return TokenBatch(
        sequences=[],
        copies=[np.array([start]) for start in np.cumsum([0, *lengths[:-1]])],
        slots=np.cumsum([0, *lengths]),
        tokens=torch.zeros(count, dtype=torch.long),
        old_logprobs=torch.zeros(count),
        episodes=columns[0],
        turns=columns[1],
        turn_ends=columns[2],
        answer=torch.zeros(count, dtype=torch.bool),
        rewards=flat([episode.paid for episode in episodes]),
        # Groups keep the numbers that they were collected under, which need not follow one another.
        groups=torch.tensor([3 * episode.group + 1 for episode in episodes]),
    )
