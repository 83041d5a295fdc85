"""The starts of a stage's groups: drawn by weight or by success, played again where they were not solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.agents.episode import Episode
from lmmr1.agents.rollout import derive_epoch_seed, derive_seed

from ..config import StageConfig
from .curriculum import Curriculum, ReplayMemory, Start


class StageStarts:
    """Draws starts, and learns from what came of them.

    Args:
        config: the stage.
        entropy: of all that is drawn.
    """

    def __init__(self, config: StageConfig, entropy: tuple[int, ...]) -> None:
        self.config, self.entropy = config, entropy
        weights = np.array([environment.weight for environment in config.environments])
        self.curriculum = Curriculum(weights, config.collection.curriculum)
        self.memory = ReplayMemory(config.collection.replay)
        # How many starts each environment has had, where its seeds are a series.
        self.positions = [0] * len(config.environments)

    def random(self, iteration: int) -> np.random.Generator:
        """What an iteration draws its starts with."""
        return np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration)))

    def draw(
        self, rng: np.random.Generator, iteration: int, first: int, count: int, again: Sequence[Start] = ()
    ) -> list[Start]:
        """`count` starts of an iteration, from the `first` on; the last of them are those to be played again."""
        kinds = rng.choice(len(self.config.environments), size=count, p=self.curriculum.shares()).tolist()
        new = [Start(kind, derive_seed(*self.entropy, iteration, first + index)) for index, kind in enumerate(kinds)]
        new[count - len(again) :] = again
        for start in new[: count - len(again)]:
            # Environments whose seeds are a series; a start that is played again keeps its own.
            if self.config.environments[start.kind].in_epochs:
                start.env_seed = derive_epoch_seed(self.positions[start.kind], *self.entropy, start.kind)
                self.positions[start.kind] += 1
        return new

    def learn_from(self, starts: Sequence[Start], played: Sequence[list[Episode]]) -> None:
        """Groups have ended; each is given with its start."""
        fresh = [
            (start.kind, episode)
            for start, group in zip(starts, played, strict=True)
            if not start.replays
            for episode in group
        ]
        self.curriculum.update([kind for kind, _ in fresh], [episode for _, episode in fresh])
        for start, group in zip(starts, played, strict=True):
            self.memory.note(start, group)

    def figures(self) -> dict[str, float]:
        """What there is to say of the choice."""
        options, figures = self.config.collection, {}
        if options.replay is not None:
            figures["replay_memory"] = float(len(self.memory.starts))
        if options.curriculum is not None:
            figures |= {f"success_rate/{kind}": rate for kind, rate in enumerate(self.curriculum.rates)}
        return figures

    def state(self) -> dict[str, Any]:
        """What later iterations need of the earlier ones, as JSON."""
        return {
            "positions": list(self.positions),
            "rates": list(self.curriculum.rates),
            "memory": self.memory.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.positions = list(state["positions"])
        self.curriculum.rates = list(state["rates"])
        self.memory.restore(state["memory"])
