"""Rejection sampling: the policy's own good episodes, kept with the ids that were sampled, as demonstrations.

The policy plays several episodes from each of many starts, and what was good is learned from by supervised training
(RAFT, arXiv 2304.06767; rejection sampling fine-tuning, arXiv 2308.01825).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lmmr1.agents.episode import Episode
from lmmr1.agents.rollout import derive_epoch_seed, derive_seed
from lmmr1.envs.errors import UserError

from ..config import RejectionConfig
from .archive import pack_episodes, slim, unpack_episodes
from .curriculum import Start
from .playing import GroupPlayer

# What is drawn for one purpose never shares a random number with another.
PLAYING, CHOOSING, ORDERING = 0, 1, 2


def is_good(episode: Episode, min_reward: float | None) -> bool:
    """Whether an episode may be learned from.

    It must not have failed, each of its replies must have come to its end (whoever learns one that was cut off learns
    not to stop), and it must be a success, or reach `min_reward` where there is one.
    """
    whole = episode.failure is None and episode.num_reply_tokens > 0 and not any(t.cut_off for t in episode.turns)
    if min_reward is None:
        return whole and episode.success is True
    return whole and episode.total_reward >= min_reward


def choose_episodes(group: Sequence[Episode], config: RejectionConfig, rng: np.random.Generator) -> list[Episode]:
    """The episodes of one start that are kept, in the order in which they were played.

    With `choose` 'all' these are all good ones, so that what the policy says often is learned often. Otherwise good
    episodes of the same reply ids count once, and of equally short ones the first is taken.
    """
    good = [episode for episode in group if is_good(episode, config.min_reward)]
    if config.choose == "all":
        return good
    different: list[Episode] = []
    said: set[tuple[bytes, ...]] = set()
    for episode in good:
        replies = tuple(turn.reply_ids.tobytes() for turn in episode.turns)
        if replies not in said:
            said.add(replies)
            different.append(episode)
    if config.choose == "shortest":
        lengths = [episode.num_reply_tokens for episode in different]
        chosen = np.argsort(lengths, kind="stable")[: config.keep]
    else:
        chosen = rng.permutation(len(different))[: config.keep]
    return [different[index] for index in sorted(chosen.tolist())]


class OwnEpisodes:
    """The good episodes of the last collection, drawn in passes, each in an order of its own.

    What it holds depends on `entropy`, the collection's number and the policy's weights; `state` and `tensors` carry it
    through a checkpoint.

    Args:
        player: of one environment.
        groups: how many starts there are in one collection.
        config: which episodes are kept, and when others are played.
        entropy: of all random choices.

    Attributes:
        kept: what the last collection kept.
    """

    def __init__(self, player: GroupPlayer, groups: int, config: RejectionConfig, entropy: tuple[int, ...]) -> None:
        self.player, self.groups, self.config, self.entropy = player, groups, config, entropy
        self.number, self.taken = -1, 0
        self.kept: list[Episode] = []

    def collect(self, step: int) -> list[Episode]:
        """Play and choose, if that is due before this step; returns all that was played, or nothing.

        Raises:
            UserError: not one episode was good.
        """
        number = 0 if self.config.every is None else step // self.config.every
        if number == self.number:
            return []
        self.number, self.taken = number, 0
        self.player.log.iteration = step + 1
        entropy = (*self.entropy, PLAYING, number)
        starts = [Start(0, self._seed(number, group)) for group in range(self.groups)]
        self.player.policy.engine.update_weights(step)
        played = self.player.play(starts, entropy, 0)
        self.player.policy.engine.sleep()
        self.kept = []
        for index, group in enumerate(played):
            rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, CHOOSING, number, index)))
            self.kept += [slim(episode) for episode in choose_episodes(group, self.config, rng)]
        everything = [episode for group in played for episode in group]
        if not self.kept:
            raise UserError(self._why_nothing(everything))
        return everything

    def _seed(self, number: int, group: int) -> int:
        if self.player.environments[0].in_epochs:
            return derive_epoch_seed(number * self.groups + group, *self.entropy, PLAYING)
        return derive_seed(*self.entropy, PLAYING, number, group)

    def _why_nothing(self, played: Sequence[Episode]) -> str:
        name, whole = self.player.environments[0].id, [episode for episode in played if episode.failure is None]
        if not whole:
            return f"{name}: all {len(played)} episodes failed, the first with {played[0].failure}"
        if self.config.min_reward is None and all(episode.success is None for episode in whole):
            return f"{name} never says what a success is: set rejection.min_reward to choose by the sum of rewards"
        best = max(episode.total_reward for episode in whole)
        return (
            f"{name}: none of {len(played)} episodes is good enough to learn from (the highest sum of rewards is "
            f"{best:.4g}): play more (rollout.groups, rollout.group_size), lower rejection.min_reward, raise "
            "rollout.max_new_tokens if replies are cut off, or start from a better model"
        )

    def take(self, replies: int) -> list[Episode]:
        """The next episodes with `replies` replies or a few more."""
        episodes: list[Episode] = []
        while replies > 0:
            number, place = divmod(self.taken, len(self.kept))
            rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, ORDERING, self.number, number)))
            episodes.append(self.kept[rng.permutation(len(self.kept))[place]])
            replies -= len(episodes[-1].turns)
            self.taken += 1
        return episodes

    def tensors(self) -> dict[str, Tensor]:
        """The episodes that were kept."""
        return pack_episodes(self.kept)

    def state(self) -> dict[str, Any]:
        """The number of the collection, and how many of its episodes were taken."""
        return {"number": self.number, "taken": self.taken}

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` and `tensors` gave."""
        self.number, self.taken = int(state["number"]), int(state["taken"])
        name, policy = self.player.environments[0].id, self.player.policy
        self.kept = unpack_episodes(tensors, name, policy.context, policy.template.decode)
