"""Collect the episodes of one iteration: groups that share a start, drawn from the stage's environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import TRAINING_STREAM
from lmmr1.envs.isolation.places import Pool

from ..config import StageConfig
from ..guards import repeated_share
from .curriculum import Start, has_variance
from .playing import GroupPlayer, make_pool
from .starts import StageStarts


@dataclass
class Collected:
    """What an iteration collected.

    Attributes:
        episodes: to learn from; failed ones are among them, marked.
        figures: for the metrics, over everything that was played.
    """

    episodes: list[Episode]
    figures: dict[str, float]


class Collector:
    """Plays a stage's training episodes; what iteration i plays depends on the entropy, i, `state` and the policy.

    Args:
        policy: who plays.
        config: the stage.
        seed, stage: of the entropy.
        pool: where the environments live, closed with the collector; None: where `config.collection.workers` says.
    """

    def __init__(
        self, policy: PolicyAgent, config: StageConfig, seed: int, stage: int, pool: Pool | None = None
    ) -> None:
        self.config = config
        self.entropy = (seed, TRAINING_STREAM, stage)
        options = config.collection
        self.log = RolloutLog()
        self.pool = make_pool(options, config.environments) if pool is None else pool
        self.player = GroupPlayer(policy, config.environments, config.rollout, options.retries, self.pool, self.log)
        self.starts = StageStarts(config, self.entropy)

    def collect(self, iteration: int) -> Collected:
        """Play `groups * group_size` episodes, and more where groups are dropped."""
        options, wanted = self.config.collection, self.config.rollout.groups
        rng = self.starts.random(iteration)
        self.log.iteration = iteration + 1
        faults = self.log.faults
        starts: list[Start] = []
        played: list[list[Episode]] = []
        again = self.starts.memory.take(wanted)
        rounds = 1 + (options.max_refills if options.dynamic_sampling else 0)
        while rounds and wanted:
            new = self.starts.draw(rng, iteration, len(starts), wanted, again)
            groups = self.player.play(new, (*self.entropy, iteration), len(starts))
            starts, played, again, rounds = [*starts, *new], [*played, *groups], [], rounds - 1
            if all(episode.failure is not None for group in groups for episode in group):
                break  # no mere accident: more of the same would fail too
            wanted -= sum(has_variance(group) for group in groups)
        self.starts.learn_from(starts, played)
        return choose(played, self.log.faults - faults, self.starts)

    def state(self) -> dict[str, Any]:
        """What later iterations need of the earlier ones, as JSON."""
        return {**self.starts.state(), "log": self.log.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.starts.restore(state)
        self.log.restore(state["log"])

    def close(self) -> None:
        """Close every environment."""
        if self.pool is not None:
            self.pool.close()
        self.player.close()


def choose(played: Sequence[list[Episode]], faults: int, starts: StageStarts) -> Collected:
    """What an iteration learns from of the groups that it played, and what there is to say of them.

    Args:
        played: the groups.
        faults: how many calls of environments broke.
        starts: where they began.
    """
    everything = [episode for group in played for episode in group]
    figures, episodes = summarise(everything), everything
    if starts.config.collection.dynamic_sampling:
        kept = [group for group in played if has_variance(group)]
        # Where nothing varies the iteration goes on with what there is: it has nothing to teach, and does no harm.
        episodes = [episode for group in kept for episode in group] or everything
        learned = summarise(episodes)
        figures |= {key: learned[key] for key in ("episodes", "tokens") if key in learned}
        figures["groups_dropped"] = float(len(played) - len(kept))
        figures["groups_played"] = float(len(played))
    if faults:
        figures["faults"] = float(faults)
    return Collected(episodes, {**figures, **starts.figures()})


def summarise(episodes: list[Episode]) -> dict[str, float]:
    """The figures of an iteration's episodes; failed ones count in `failed_episodes` and nowhere else."""
    played = [episode for episode in episodes if episode.failure is None and episode.turns]
    row: dict[str, float] = {"episodes": float(len(played)), "failed_episodes": float(len(episodes) - len(played))}
    if not played:
        return row
    turns = [turn for episode in played for turn in episode.turns]
    row["reward"] = float(np.mean([episode.total_reward for episode in played]))
    task = [sum(turn.reward_parts.get("task", turn.reward) for turn in episode.turns) for episode in played]
    row["task_reward"] = float(np.mean(task))
    row["format_rate"] = float(np.mean([turn.well_formed for turn in turns]))
    row["reply_tokens"] = float(np.mean([len(turn.reply_ids) for turn in turns]))
    row["repetition"] = float(np.mean([repeated_share(turn.reply_ids) for turn in turns]))
    row["turns"] = len(turns) / len(played)
    row["tokens"] = float(sum(len(turn.reply_ids) + len(turn.prompt_ids) for turn in turns))
    # Where a world judges, an episode that was stopped before it said anything is no success.
    labels = sorted({episode.env_id for episode in played if episode.success is not None})
    solved = {label: [episode.success is True for episode in played if episode.env_id == label] for label in labels}
    if labels:
        row["accuracy"] = float(np.mean([success for outcomes in solved.values() for success in outcomes]))
    if len(labels) > 1:
        for label, outcomes in solved.items():
            row[f"accuracy/{label}"] = float(np.mean(outcomes))
    return row
