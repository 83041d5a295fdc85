"""Everything on this machine, by child processes of the run's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from lmmr1.agents.engines.base import Engine
from lmmr1.agents.engines.opening import check_engine, open_engine
from lmmr1.agents.models import LoadedModel
from lmmr1.envs.isolation.places import Pool
from lmmr1.envs.registry import EnvironmentConfig

from ..backends.crew import ProcessCrew
from ..backends.host import Post
from ..backends.parcels import pack
from ..config import CollectionConfig, RunConfig
from ..recipe import dump_recipe


class LocalLauncher:
    """See `Launcher`."""

    def __init__(self, recipe: RunConfig) -> None:
        check_engine(recipe.engine)
        self.recipe = recipe
        self._engine: Engine | None = None

    def open_engine(self, loaded: LoadedModel) -> Engine | None:
        """None for the embedded engine; vLLM beside the learner, or in processes of its own."""
        self._engine = open_engine(loaded, self.recipe.engine, self.recipe.max_context_tokens, self.recipe.slots)
        return self._engine

    def engine_calls(self) -> None:
        """The embedded engine samples over a copy of the policy instead; vLLM beside the learner cannot."""

    def open_pool(self, options: CollectionConfig, environments: Sequence[EnvironmentConfig]) -> Pool | None:
        """In this process or in workers of it."""

    def open_crew(self, stage: str, weights: Mapping[str, Tensor]) -> ProcessCrew:
        """Child processes, which meet in a file."""
        size = self.recipe.backend.processes
        crew = ProcessCrew(size, self.recipe.backend.start_seconds)
        try:
            text, parcel = dump_recipe(self.recipe), pack(weights, crew.folder)
            meeting = f"file://{crew.folder}/meeting"
            crew.begin([Post(text, stage, rank, size, meeting, parcel, crew.folder) for rank in range(size)])
        except BaseException:
            crew.close()
            raise
        return crew

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()
