"""Playing groups: several episodes from each start, in environments that are made as they are needed and kept."""

from __future__ import annotations

from collections.abc import Sequence

from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.playing import Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import play
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import IsolatedEnv, Pool
from lmmr1.envs.isolation.pool import EnvironmentPool, open_pool
from lmmr1.envs.registry import EnvironmentConfig

from ..config import CollectionConfig, RolloutConfig
from .curriculum import Start


def make_pool(options: CollectionConfig, environments: Sequence[EnvironmentConfig]) -> EnvironmentPool | None:
    """The worker processes that a stage's environments live in; None where they live in this process."""
    return open_pool(options.workers, environments, options.step_seconds, options.reset_seconds)


class GroupPlayer:
    """Plays `group_size` episodes from each start.

    Args:
        policy: who plays.
        environments: what the starts' kinds number.
        rollout: the size of a group and the limit of turns.
        retries: how often an episode that failed begins again.
        pool: where the environments live, None: in this process; whoever made it closes it.
        log: takes faults and times.
    """

    def __init__(
        self,
        policy: PolicyAgent,
        environments: Sequence[EnvironmentConfig],
        rollout: RolloutConfig,
        retries: int,
        pool: Pool | None,
        log: RolloutLog,
    ) -> None:
        self.policy, self.environments, self.rollout, self.retries = policy, environments, rollout, retries
        self.pool, self.log = pool, log
        self.places: list[list[LocalEnv | IsolatedEnv]] = [[] for _ in environments]

    def play(self, starts: Sequence[Start], entropy: tuple[int, ...], first: int) -> list[list[Episode]]:
        """The episodes of each start.

        Args:
            starts: where they begin.
            entropy: of this round; what an episode samples depends on it and the episode's number alone.
            first: the number of the first group in this round.
        """
        size, used = self.rollout.group_size, [0] * len(self.places)
        seats: list[Seat] = []
        for group, start in enumerate(starts, first):
            environment, places = self.environments[start.kind], self.places[start.kind]
            for member in range(size):
                if used[start.kind] == len(places):
                    places.append(LocalEnv(environment) if self.pool is None else self.pool.add(environment))
                key = (*entropy, group * size + member)
                seats.append(Seat(places[used[start.kind]], environment.id, start.env_seed, key, group))
                used[start.kind] += 1
        limit = self.rollout.max_turns
        episodes = play(self.policy, seats, greedy=False, max_turns=limit, retries=self.retries, log=self.log)
        return [episodes[place : place + size] for place in range(0, len(episodes), size)]

    def close(self) -> None:
        """Close the environments of this process."""
        for places in self.places:
            for env in places:
                if isinstance(env, LocalEnv):
                    env.close()
