"""Where the weights learn, and where everything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import at_least, one_of, positive, require


@dataclass(frozen=True)
class BackendConfig:
    """How the weights that learn are held: whole in one process, or split over several."""

    kind: Literal["single", "deepspeed"] = "single"
    """'single': in the run's own process; 'deepspeed': in processes of their own, split by ZeRO."""
    processes: int = 1
    """Ranks that learn together ('deepspeed'); on GPUs one for each of them."""
    stage: Literal[1, 2, 3] = 2
    """What ZeRO splits: the optimizer's state, the gradients too (2), the weights as well (3)."""
    offload: bool = False
    """Keep the optimizer's state, and with stage 3 the weights, in the memory of the CPU."""
    start_seconds: float = 600.0
    """The ranks must have met and loaded the model after so long."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("single", "deepspeed"))
        require(self.stage in (1, 2, 3), f"stage must be 1, 2 or 3, not {self.stage}")
        at_least("processes", self.processes, 1)
        positive("start_seconds", self.start_seconds)
        require(
            self.kind == "deepspeed" or self.processes == 1,
            f"processes is {self.processes} with kind single: that is one process; set kind to deepspeed",
        )
        require(self.kind == "deepspeed" or not self.offload, "offload needs kind deepspeed")


@dataclass(frozen=True)
class LauncherConfig:
    """What starts the processes of a run: the run itself on its own machine, or Ray on one or many."""

    kind: Literal["local", "ray"] = "local"
    """'local': everything on this machine, rollouts in the run's own process; 'ray': engines, environments and ranks
    are actors."""
    address: str | None = None
    """Of a Ray cluster that is up ('auto': this machine's); none: Ray is started for the run and ends with it."""
    engines: int = 1
    """Actors that sample ('ray')."""
    environments: int = 0
    """Actors that environments live in ('ray'); 0: in the run's own process and its workers."""
    colocated: bool = True
    """Engines share the GPUs of the ranks and sleep while these learn; else they have GPUs of their own."""
    engine_gpus: float = 1.0
    """GPUs of one engine that has its own; 0 on a machine without."""
    actor_cpus: float = 1.0
    """CPUs that each actor reserves ('ray')."""
    port: int = 0
    """Where the ranks meet ('ray'); 0: any port that is free."""
    restarts: int = 3
    """How often one engine or environment actor that died is started anew; its work is done again."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("local", "ray"))
        at_least("engines", self.engines, 1)
        for key in ("environments", "restarts", "engine_gpus", "actor_cpus", "port"):
            at_least(key, vars(self)[key], 0)
        require(self.port < 65536, f"port must be below 65536, not {self.port}")
        for key in ("address", "environments"):
            require(self.kind == "ray" or not vars(self)[key], f"{key} needs kind ray")
        require(self.kind == "ray" or self.engines == 1, "engines needs kind ray")
