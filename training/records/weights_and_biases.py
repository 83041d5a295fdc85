"""Weights & Biases, the one file that imports wandb."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal


class WeightsAndBiases:
    """Sends the figures of a run, or keeps them in `folder/wandb` to be sent later.

    A run that is resumed goes on with the same run there: its id is kept in `folder/wandb/id`.

    Args:
        folder: of the run; made if absent.
        mode: "offline" or "online".
        project: where the run belongs.
        fresh: begin a new run there, whatever ran in the folder before.

    Raises:
        ModuleNotFoundError: wandb is not installed.
    """

    def __init__(self, folder: Path, mode: Literal["offline", "online"], project: str, fresh: bool) -> None:
        """See the class."""
        import wandb  # pyright: ignore[reportMissingImports]  # an extra that `all` leaves out

        place = folder / "wandb"
        place.mkdir(parents=True, exist_ok=True)
        kept = place / "id"
        if fresh or not kept.is_file():
            kept.write_text(uuid.uuid4().hex[:8], encoding="utf-8")
        identity = kept.read_text(encoding="utf-8")
        self._run: Any = wandb.init(
            project=project, name=folder.name, dir=str(folder), id=identity, mode=mode, resume="allow"
        )

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Send one point of each tag."""
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        """End the run there; may be called twice."""
        self._run.finish()
