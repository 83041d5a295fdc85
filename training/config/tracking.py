"""Where the figures of a run go besides metrics.jsonl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import at_least, one_of, require


@dataclass(frozen=True)
class TrackingConfig:
    """Where the figures of a run go besides metrics.jsonl, which holds them all."""

    tensorboard: bool = True
    """Write TensorBoard's event files into the run's folder."""
    wandb: Literal["none", "offline", "online"] = "none"
    """Weights & Biases: not at all, into files of the run's folder (wandb sync sends them later), or at once."""
    project: str = "lmmr1"
    """The project of Weights & Biases."""
    episodes_every: int = 0
    """Keep training episodes of every so many iterations, as text and images, under episodes/; 0: none."""
    episodes: int = 4
    """How many of them: the first of an iteration."""

    def __post_init__(self) -> None:
        at_least("episodes_every", self.episodes_every, 0)
        at_least("episodes", self.episodes, 1)
        one_of("wandb", self.wandb, ("none", "offline", "online"))
        require(bool(self.project), "project must name a project of Weights & Biases, not be empty")
