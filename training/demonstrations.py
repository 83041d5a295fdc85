"""Demonstrations: episodes of the environments' experts, or of the policy itself where it was good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.agents.playing import Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import DEMONSTRATION_STREAM, REJECTION_STREAM, derive_seed, play
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import IsolatedEnv, Pool

from .collection.collect import summarise
from .collection.playing import GroupPlayer, make_pool
from .collection.rejection import OwnEpisodes
from .config import DemonstrationConfig, RejectionConfig, RolloutConfig, StageConfig

# Episodes of one step that may all fail before it counts as a mistake of the recipe.
MOST_FAILURES = 8


class Demonstrations:
    """Demonstrations without end.

    What a step yields of an expert depends on the seed and the step alone; of the policy's own episodes, on `state` and
    `tensors` too. An environment that breaks costs its own episode; another takes its place.

    Args:
        policy: whose template turns the demonstrations into ids, and who plays with source 'rollouts'.
        config: an sft stage.
        seed: of the run.
        stage: the stage's number.
        pool: where the environments live, closed with this; None: where `config.collection.workers` says.

    Attributes:
        figures: of the last step, where episodes were played from which to choose, or where environments broke.
        log: every fault.
    """

    def __init__(
        self, policy: PolicyAgent, config: StageConfig, seed: int, stage: int, pool: Pool | None = None
    ) -> None:
        self.log = RolloutLog()
        self.figures: dict[str, float] = {}
        environments = [one.environment for one in config.demonstrations]
        self.pool = make_pool(config.collection, environments) if pool is None else pool
        retries = config.collection.retries
        self.sources: list[_Expert | OwnEpisodes] = []
        for kind, demonstration in enumerate(config.demonstrations):
            if demonstration.source != "rollouts":
                entropy = (seed, DEMONSTRATION_STREAM, stage)
                self.sources.append(_Expert(policy, demonstration, entropy, kind, retries, self.pool, self.log))
                continue
            rollout = config.rollout
            player = GroupPlayer(
                speaker(policy, rollout, demonstration.context_word),
                [demonstration.environment],
                rollout,
                retries,
                self.pool,
                self.log,
            )
            rejection = demonstration.rejection or RejectionConfig()
            entropy = (seed, REJECTION_STREAM, stage, kind)
            self.sources.append(OwnEpisodes(player, rollout.groups, rejection, entropy))
        weights = np.array([demonstration.environment.weight for demonstration in config.demonstrations])
        self.shares, self.entropy = weights / weights.sum(), (seed, DEMONSTRATION_STREAM, stage)

    @property
    def own(self) -> dict[int, OwnEpisodes]:
        """Those of the policy itself, by their number."""
        return {kind: source for kind, source in enumerate(self.sources) if isinstance(source, OwnEpisodes)}

    def episodes(self, step: int, replies: int) -> list[Episode]:
        """Episodes with about `replies` replies, each environment's share drawn by its weight."""
        faults = self.log.faults
        played = [episode for source in self.own.values() for episode in source.collect(step)]
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, step)))
        quotas = rng.multinomial(replies, self.shares).tolist()
        episodes: list[Episode] = []
        for source, quota in zip(self.sources, quotas, strict=True):
            episodes += source.take(quota) if isinstance(source, OwnEpisodes) else source.play(step, quota)
        self.figures = {}
        if played:
            kept = sum(len(source.kept) for source in self.own.values())
            self.figures = {**summarise(played), "episodes_kept": float(kept)}
        if self.log.faults > faults:
            self.figures["faults"] = float(self.log.faults - faults)
        return episodes

    def tensors(self) -> dict[str, Tensor]:
        """What was kept of the policy's own episodes."""
        packs = {kind: source.tensors() for kind, source in self.own.items()}
        return {f"{kind}.{name}": tensor for kind, pack in packs.items() for name, tensor in pack.items()}

    def state(self) -> dict[str, Any]:
        """What later steps need of the earlier ones, as JSON."""
        return {"own": {str(kind): source.state() for kind, source in self.own.items()}, "log": self.log.state()}

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` and `tensors` gave."""
        self.log.restore(state["log"])
        for kind, source in self.own.items():
            start = f"{kind}."
            mine = {name.removeprefix(start): part for name, part in tensors.items() if name.startswith(start)}
            source.restore(state["own"][str(kind)], mine)

    def close(self) -> None:
        """Close every environment."""
        if self.pool is not None:
            self.pool.close()
        for source in self.sources:
            (source.player if isinstance(source, OwnEpisodes) else source).close()


def speaker(policy: PolicyAgent, rollout: RolloutConfig, context: str) -> PolicyAgent:
    """The policy as it plays the rollouts of a stage; `context` is the word for what it sees."""
    return PolicyAgent(
        policy.loaded,
        Sampling(rollout.max_new_tokens, rollout.temperature, stop=rollout.stop),
        context,
        rollout.max_context_tokens,
        rollout.slots,
        policy.name,
        int(rollout.prefix_gib * 2**30),
        policy.shared_engine,
    )


class _Expert:
    """An environment's expert, or whoever answers there at random; see `Demonstrations`."""

    def __init__(
        self,
        policy: PolicyAgent,
        config: DemonstrationConfig,
        entropy: tuple[int, ...],
        kind: int,
        retries: int,
        pool: Pool | None,
        log: RolloutLog,
    ) -> None:
        self.config, self.entropy, self.kind, self.retries = config, entropy, kind, retries
        # Who answers at random looks into the environment, which must be in this process then.
        self.pool, self.log = pool if config.source == "expert" else None, log
        voice = PolicyAgent(policy.loaded, policy.sampling, config.context_word)
        expert = config.source == "expert"
        self.player = ExpertPlayer(config.thought_rate, config.skill, voice) if expert else RandomPlayer(voice)
        self.places: list[LocalEnv | IsolatedEnv] = []

    def play(self, step: int, replies: int) -> list[Episode]:
        """Fresh episodes with `replies` replies or a few more."""
        episodes: list[Episode] = []
        got = first = 0
        self.log.iteration = step + 1
        while got < replies:
            count = -(-(replies - got) // self.config.turns)
            played = self._play(step, first, count)
            first += count
            for episode in played:
                if got < replies and episode.failure is None and episode.turns:
                    episodes.append(episode)
                    got += len(episode.turns)
            if not episodes and first >= MOST_FAILURES and played[-1].failure is not None:
                # What goes wrong every time is a mistake, not an accident.
                raise UserError(f"{self.config.environment.id} cannot be demonstrated: {played[-1].failure}")
        return episodes

    def _play(self, step: int, first: int, count: int) -> list[Episode]:
        environment = self.config.environment
        while len(self.places) < count:
            self.places.append(LocalEnv(environment) if self.pool is None else self.pool.add(environment))
        seats = []
        for index in range(count):
            key = (*self.entropy, step, self.kind, first + index)
            seats.append(Seat(self.places[index], environment.id, derive_seed(*key), key, index))
        return play(self.player, seats, greedy=False, retries=self.retries, log=self.log)

    def close(self) -> None:
        """Close the environments of this process."""
        for place in self.places:
            if isinstance(place, LocalEnv):
                place.close()
