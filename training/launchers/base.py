"""What a launcher is: it opens the engine, the environments and the ranks that a recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from lmmr1.agents.engines.base import Engine
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.streaming.calls import EngineCalls
from lmmr1.envs.isolation.places import Pool
from lmmr1.envs.registry import EnvironmentConfig

from ..backends.crew import Crew
from ..config import CollectionConfig


class Launcher(Protocol):
    """Opens what a run needs; whoever gets a pool or a crew closes it, and the launcher the rest."""

    def open_engine(self, loaded: LoadedModel) -> Engine | None:
        """The engine that all agents over the model share; None where each makes its own in this process.

        Raises:
            UserError: it is not installed, or cannot run this model here.
        """
        ...

    def engine_calls(self) -> Sequence[EngineCalls] | None:
        """The same engine as one or several that sample while the policy learns; None where it cannot."""
        ...

    def open_pool(self, options: CollectionConfig, environments: Sequence[EnvironmentConfig]) -> Pool | None:
        """Where a stage's environments live; None: on the run's own machine, as `options.workers` says."""
        ...

    def open_crew(self, stage: str, weights: Mapping[str, Tensor]) -> Crew:
        """The ranks of a stage, which have met and loaded the model.

        Args:
            stage: its name.
            weights: the policy's, as the stage begins (see `kept_parameters`).

        Raises:
            UserError: the backend is not installed.
            LostError: a rank ended before it began.
        """
        ...

    def close(self) -> None:
        """End every process that was started and is not yet ended."""
        ...
