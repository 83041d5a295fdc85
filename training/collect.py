"""Collect the episodes of one iteration: groups that share a start, drawn from the stage's environments by weight."""

from __future__ import annotations

import numpy as np

from lmmr1.agents.episode import Episode
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import TRAINING_STREAM, Seat, derive_seed, play
from lmmr1.envs.chat import ChatEnv

from .config import StageConfig


class Collector:
    """Plays a stage's training episodes; what iteration i plays depends on the entropy, i and the policy alone."""

    def __init__(self, policy: PolicyAgent, config: StageConfig, seed: int, stage: int) -> None:
        self.policy, self.config = policy, config
        self.entropy = (seed, TRAINING_STREAM, stage)
        self.pools: list[list[ChatEnv]] = [[] for _ in config.environments]
        weights = np.array([environment.weight for environment in config.environments])
        self.shares = weights / weights.sum()

    def collect(self, iteration: int) -> list[Episode]:
        """Play `groups * group_size` episodes; failed ones are among them, marked."""
        rollout = self.config.rollout
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration)))
        kinds = rng.choice(len(self.pools), size=rollout.groups, p=self.shares)
        used = [0] * len(self.pools)
        seats: list[Seat] = []
        for group, kind in enumerate(kinds.tolist()):
            for _ in range(rollout.group_size):
                environment, pool = self.config.environments[kind], self.pools[kind]
                if used[kind] == len(pool):
                    pool.append(environment.make())
                seed = derive_seed(*self.entropy, iteration, group)
                key = (*self.entropy, iteration, len(seats))
                seats.append(Seat(pool[used[kind]], environment.id, seed, key, group))
                used[kind] += 1
        return play(self.policy, seats, greedy=False, max_turns=rollout.max_turns)

    def close(self) -> None:
        """Close every environment."""
        for pool in self.pools:
            for env in pool:
                env.close()


def summarise(episodes: list[Episode]) -> dict[str, float]:
    """The figures of an iteration's episodes; failed ones count in `failed_episodes` and nowhere else."""
    played = [episode for episode in episodes if episode.failure is None and episode.turns]
    row: dict[str, float] = {"episodes": float(len(played)), "failed_episodes": float(len(episodes) - len(played))}
    if not played:
        return row
    turns = [turn for episode in played for turn in episode.turns]
    row["reward"] = float(np.mean([episode.total_reward for episode in played]))
    row["format_rate"] = float(np.mean([turn.well_formed for turn in turns]))
    row["reply_tokens"] = float(np.mean([len(turn.reply_ids) for turn in turns]))
    row["turns"] = len(turns) / len(played)
    row["tokens"] = float(sum(len(turn.reply_ids) + len(turn.prompt_ids) for turn in turns))
    # Where a world judges, an episode that was stopped before it said anything is no success.
    labels = sorted({episode.env_id for episode in played if episode.success is not None})
    solved = {label: [episode.success is True for episode in played if episode.env_id == label] for label in labels}
    if labels:
        row["accuracy"] = float(np.mean([success for outcomes in solved.values() for success in outcomes]))
    for label, outcomes in solved.items():
        row[f"accuracy/{label}"] = float(np.mean(outcomes))
    return row
