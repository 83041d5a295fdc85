"""Demonstrations: what the environments' experts say, played out as episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmr1.agents.episode import Episode
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import Seat, derive_seed, play
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError

from .config import DemonstrationConfig


class Demonstrations:
    """Fresh demonstrations without end; what a step yields depends on `entropy` and the step alone.

    Args:
        configs: the environments and how their experts behave.
        policy: whose template turns the demonstrations into ids.
        entropy: of all random choices.
    """

    def __init__(self, configs: Sequence[DemonstrationConfig], policy: PolicyAgent, entropy: tuple[int, ...]) -> None:
        self.configs, self.entropy = list(configs), entropy
        self.experts = [
            ExpertPlayer(c.thought_rate, c.skill, PolicyAgent(policy.loaded, policy.sampling, c.context_word))
            for c in configs
        ]
        self.pools: list[list[ChatEnv]] = [[] for _ in configs]
        weights = np.array([config.environment.weight for config in configs])
        self.shares = weights / weights.sum()

    def episodes(self, step: int, replies: int) -> list[Episode]:
        """Episodes with about `replies` replies, each environment's share drawn by its weight."""
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, step)))
        episodes: list[Episode] = []
        for kind, quota in enumerate(rng.multinomial(replies, self.shares)):
            got = played = 0
            while got < quota:
                count = -(-int(quota - got) // self.configs[kind].turns)
                for episode in self._play(kind, step, played, count):
                    if got < quota and episode.turns:
                        episodes.append(episode)
                        got += len(episode.turns)
                played += count
        return episodes

    def _play(self, kind: int, step: int, first: int, count: int) -> list[Episode]:
        environment, pool = self.configs[kind].environment, self.pools[kind]
        while len(pool) < count:
            pool.append(environment.make())
        seats = []
        for index in range(count):
            key = (*self.entropy, step, kind, first + index)
            seats.append(Seat(pool[index], environment.id, derive_seed(*key), key, index))
        episodes = play(self.experts[kind], seats, greedy=False)
        broken = next((episode.failure for episode in episodes if episode.failure is not None), None)
        if broken is not None:
            # An expert that cannot speak is a mistake in the recipe, not an accident of one episode.
            raise UserError(f"{environment.id} cannot be demonstrated: {broken}")
        return episodes

    def close(self) -> None:
        """Close every environment."""
        for pool in self.pools:
            for env in pool:
                env.close()
