"""Collect the episodes of one iteration: groups that share a start, drawn from the stage's environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import TRAINING_STREAM, derive_epoch_seed, derive_seed

from ..config import StageConfig
from ..guards import repeated_share
from .curriculum import Curriculum, ReplayMemory, Start, has_variance
from .playing import GroupPlayer, make_pool


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
    """Plays a stage's training episodes; what iteration i plays depends on the entropy, i, `state` and the policy."""

    def __init__(self, policy: PolicyAgent, config: StageConfig, seed: int, stage: int) -> None:
        self.config = config
        self.entropy = (seed, TRAINING_STREAM, stage)
        options = config.collection
        self.log = RolloutLog()
        self.pool = make_pool(options, config.environments)
        self.player = GroupPlayer(policy, config.environments, config.rollout, options.retries, self.pool, self.log)
        weights = np.array([environment.weight for environment in config.environments])
        self.curriculum = Curriculum(weights, options.curriculum)
        self.memory = ReplayMemory(options.replay)
        # How many starts each environment has had, where its seeds are a series.
        self.positions = [0] * len(config.environments)

    def collect(self, iteration: int) -> Collected:
        """Play `groups * group_size` episodes, and more where groups are dropped."""
        options, wanted = self.config.collection, self.config.rollout.groups
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration)))
        self.log.iteration = iteration + 1
        faults = self.log.faults
        starts: list[Start] = []
        played: list[list[Episode]] = []
        again = self.memory.take(wanted)
        rounds = 1 + (options.max_refills if options.dynamic_sampling else 0)
        while rounds and wanted:
            new = self._draw(rng, iteration, len(starts), wanted)
            new[wanted - len(again) :] = again
            self._number(new[: wanted - len(again)])
            groups = self.player.play(new, (*self.entropy, iteration), len(starts))
            starts, played, again, rounds = [*starts, *new], [*played, *groups], [], rounds - 1
            if all(episode.failure is not None for group in groups for episode in group):
                break  # no mere accident: more of the same would fail too
            wanted -= sum(has_variance(group) for group in groups)
        self._learn_from(starts, played)
        return self._choose(played, self.log.faults - faults)

    def _draw(self, rng: np.random.Generator, iteration: int, first: int, count: int) -> list[Start]:
        kinds = rng.choice(len(self.config.environments), size=count, p=self.curriculum.shares()).tolist()
        return [Start(kind, derive_seed(*self.entropy, iteration, first + index)) for index, kind in enumerate(kinds)]

    def _number(self, starts: Sequence[Start]) -> None:
        """Seed the starts of environments whose seeds are a series; a start that is played again keeps its own."""
        for start in starts:
            if self.config.environments[start.kind].in_epochs:
                start.env_seed = derive_epoch_seed(self.positions[start.kind], *self.entropy, start.kind)
                self.positions[start.kind] += 1

    def _learn_from(self, starts: Sequence[Start], played: Sequence[list[Episode]]) -> None:
        fresh = [
            (start.kind, episode)
            for start, group in zip(starts, played, strict=True)
            if not start.replays
            for episode in group
        ]
        self.curriculum.update([kind for kind, _ in fresh], [episode for _, episode in fresh])
        for start, group in zip(starts, played, strict=True):
            self.memory.note(start, group)

    def _choose(self, played: Sequence[list[Episode]], faults: int) -> Collected:
        everything = [episode for group in played for episode in group]
        figures, episodes = summarise(everything), everything
        options = self.config.collection
        if options.dynamic_sampling:
            kept = [group for group in played if has_variance(group)]
            # Where nothing varies the iteration goes on with what there is: it has nothing to teach, and does no harm.
            episodes = [episode for group in kept for episode in group] or everything
            learned = summarise(episodes)
            figures |= {key: learned[key] for key in ("episodes", "tokens") if key in learned}
            figures["groups_dropped"] = float(len(played) - len(kept))
            figures["groups_played"] = float(len(played))
        if faults:
            figures["faults"] = float(faults)
        if options.replay is not None:
            figures["replay_memory"] = float(len(self.memory.starts))
        if options.curriculum is not None:
            figures |= {f"success_rate/{kind}": rate for kind, rate in enumerate(self.curriculum.rates)}
        return Collected(episodes, figures)

    def state(self) -> dict[str, Any]:
        """What later iterations need of the earlier ones, as JSON."""
        return {
            "positions": list(self.positions),
            "rates": self.curriculum.rates,
            "memory": self.memory.state(),
            "log": self.log.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.positions = list(state["positions"])
        self.curriculum.rates = list(state["rates"])
        self.memory.restore(state["memory"])
        self.log.restore(state["log"])

    def close(self) -> None:
        """Close every environment."""
        if self.pool is not None:
            self.pool.close()
        self.player.close()


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
