"""Which environment and which start a group gets: by weight, by success, or again because it was not solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmmr1.agents.episode import Episode

from ..config import CurriculumConfig, ReplayConfig


@dataclass
class Start:
    """A starting state: the number of its environment, the seed of the reset, how often it was played again."""

    kind: int
    env_seed: int
    replays: int = 0


class Curriculum:
    """Success rates of the environments, and the shares that follow from them.

    Args:
        weights: (environments,), above 0.
        config: None keeps the shares in proportion to the weights.
    """

    def __init__(self, weights: np.ndarray, config: CurriculumConfig | None) -> None:
        self.weights, self.config = weights, config
        # 1/2 until something is known: everything is tried.
        self.rates = [0.5] * len(weights)

    def shares(self) -> np.ndarray:
        """Probability of each environment, float64 (environments,).

        The factor 4 p (1 - p) is the variance of success in units of its largest value: a group in which all succeed or
        all fail teaches nothing, and groups of the middle the most.
        """
        weights = self.weights
        if self.config is not None:
            factors = [max(4 * rate * (1 - rate), self.config.floor) for rate in self.rates]
            weights = weights * np.array(factors)
        return weights / weights.sum()

    def update(self, kinds: Sequence[int], episodes: Sequence[Episode]) -> None:
        """Learn from episodes and the number of each one's environment; those that nobody judged say nothing."""
        if self.config is None:
            return
        for kind in sorted(set(kinds)):
            pairs = zip(kinds, episodes, strict=True)
            outcomes = [episode.success for other, episode in pairs if other == kind and is_judged(episode)]
            if outcomes:
                rate = sum(outcome is True for outcome in outcomes) / len(outcomes)
                self.rates[kind] += self.config.rate * (rate - self.rates[kind])


class ReplayMemory:
    """Starts that were not solved, the oldest first.

    Args:
        config: None remembers nothing.
    """

    def __init__(self, config: ReplayConfig | None) -> None:
        self.config = config
        self.starts: list[Start] = []

    def take(self, groups: int) -> list[Start]:
        """Take out the starts that an iteration of so many groups plays again."""
        count = 0 if self.config is None else min(int(self.config.share * groups), len(self.starts))
        taken, self.starts = self.starts[:count], self.starts[count:]
        return taken

    def note(self, start: Start, episodes: Sequence[Episode]) -> None:
        """Remember the start of a group unless it was solved, was tried often enough, or says nothing of success."""
        config = self.config
        judged = [episode for episode in episodes if is_judged(episode)]
        if config is None or not judged or start.replays >= config.tries:
            return
        if sum(episode.success is True for episode in judged) < config.solved * len(judged):
            self.starts = [*self.starts, Start(start.kind, start.env_seed, start.replays + 1)][-config.memory :]

    def state(self) -> list[dict[str, Any]]:
        """The starts as JSON."""
        return [asdict(start) for start in self.starts]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        """Go on from what `state` gave."""
        self.starts = [Start(**row) for row in state]


def is_judged(episode: Episode) -> bool:
    """Whether an episode says something about success: it was played, and its environment judges."""
    return episode.failure is None and bool(episode.turns) and episode.success is not None


def has_variance(episodes: Sequence[Episode]) -> bool:
    """Whether a group's rewards differ, so that its mean tells its episodes apart; failed ones do not count."""
    rewards = [episode.total_reward for episode in episodes if episode.failure is None and episode.turns]
    return len(set(rewards)) > 1
