"""Everything in the actors of a Ray cluster; see `Launcher`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lmmr1.agents.engines.opening import check_engine
from lmmr1.agents.models import LoadedModel
from lmmr1.envs.registry import EnvironmentConfig

from ...backends.host import Post
from ...backends.parcels import pack
from ...config import CollectionConfig, RunConfig
from ...recipe import dump_recipe
from .actors import EngineActor, EnvironmentActor, RankActor
from .cluster import Cluster
from .engines import ActorEngines, EngineSeat
from .environments import ActorPool
from .ranks import ActorCrew


class ClusterLauncher:
    """See `Launcher`.

    The bundles of the placement group stand in the order ranks, engines, environments. Colocated engines have bundles
    without GPUs and live in those of the ranks, one after the other.
    """

    def __init__(self, recipe: RunConfig) -> None:
        check_engine(recipe.engine)
        self.recipe, self.config = recipe, recipe.launcher
        self.text = dump_recipe(recipe)
        self.ranks = recipe.backend.processes if recipe.backend.kind == "deepspeed" else 0
        on_gpu = recipe.model.device == "cuda"
        self.together = on_gpu and self.config.colocated and self.ranks > 0
        cpus = {"CPU": self.config.actor_cpus}
        engine_gpus = self.config.engine_gpus if on_gpu and not self.together else 0.0
        self.rank_gpus = (0.5 if self.together else 1.0) if on_gpu else 0.0
        self.engine_gpus = 0.5 if self.together else engine_gpus
        bundles: list[dict[str, float]] = []
        bundles += [{**cpus, **({"GPU": 1.0} if on_gpu else {})}] * self.ranks
        bundles += [{**cpus, **({"GPU": engine_gpus} if engine_gpus else {})}] * self.config.engines
        bundles += [cpus] * self.config.environments
        self.cluster = Cluster(self.config, bundles)
        self._engine: ActorEngines | None = None

    def open_engine(self, loaded: LoadedModel) -> ActorEngines:
        """Engines in actors."""

        def start(index: int) -> Any:
            place = index % self.ranks if self.together else self.ranks + index
            return self.cluster.start(EngineActor, place, (self.text, self.recipe.slots), self.engine_gpus)

        self._engine = ActorEngines(loaded, start, self.cluster.stop, self.config.engines, self.config.restarts)
        return self._engine

    def engine_calls(self) -> Sequence[EngineSeat] | None:
        """Each of them, called without waiting."""
        return None if self._engine is None else self._engine.seats

    def open_pool(self, options: CollectionConfig, environments: Sequence[EnvironmentConfig]) -> ActorPool | None:
        """Environments in actors with at least one worker process each."""
        if not self.config.environments:
            return None
        limits = (max(1, options.workers or 1), options.step_seconds, options.reset_seconds)

        def start(index: int) -> Any:
            return self.cluster.start(EnvironmentActor, self.ranks + self.config.engines + index, limits)

        return ActorPool(start, self.cluster.stop, self.config.environments, self.config.restarts)

    def open_crew(self, stage: str, weights: Mapping[str, Tensor]) -> ActorCrew:
        """Ranks in actors, which meet where rank 0 is."""
        size = self.ranks
        actors = [self.cluster.start(RankActor, rank, (), self.rank_gpus) for rank in range(size)]
        crew = ActorCrew(actors, self.cluster.stop)
        try:
            address = crew.first("meeting_place", self.config.port, self.config.address is None)
            parcel = pack(weights)
            posts = [Post(self.text, stage, rank, size, address, parcel, None) for rank in range(size)]
            crew.begin(posts, self.recipe.backend.start_seconds)
        except BaseException:
            crew.close()
            raise
        return crew

    def close(self) -> None:
        """End every actor, and the cluster if it was started for the run."""
        self.cluster.close()
