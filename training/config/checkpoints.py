"""Which checkpoints a run keeps."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import at_least, require

EVALUATION = "evaluation/"


@dataclass(frozen=True)
class CheckpointConfig:
    """Which checkpoints a run keeps; how often one is saved says `checkpoint_every`."""

    keep: int = 2
    """The newest ones that are kept."""
    best_by: str | None = None
    """Keep the best one too, and its model as models/best: a key of metrics.jsonl, or evaluation/TASK/MODE/FIGURE."""
    largest: bool = True
    """Whether the largest value of best_by is the best; false: the smallest."""

    def __post_init__(self) -> None:
        at_least("keep", self.keep, 1)
        if self.best_by is None:
            require(self.largest, "largest has no meaning without best_by: name a figure there")
            return
        require(bool(self.best_by), "best_by must name a figure, not be empty")
        if self.best_by.startswith(EVALUATION):
            parts = self.best_by.split("/")
            require(
                len(parts) == 4 and parts[2] in ("greedy", "sampled") and all(parts),
                f"best_by must be evaluation/TASK/MODE/FIGURE with the mode greedy or sampled, not {self.best_by!r}",
            )
