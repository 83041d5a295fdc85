"""A Ray cluster that is up, or is started for the run; and the actors of a run on it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lmmr1.envs.errors import UserError

from ...config.backend import LauncherConfig

JOIN_SECONDS = 60.0
PLACE_SECONDS = 60.0


class Cluster:
    """Connects when it is made; the actors of a run go with it.

    Args:
        config: the launcher's settings.
        bundles: for each actor that the run has at the same time, what it reserves.

    Raises:
        UserError: Ray is missing, the cluster cannot be reached, or it is too small.
    """

    def __init__(self, config: LauncherConfig, bundles: Sequence[Mapping[str, float]]) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise UserError("launcher.kind ray needs Ray: run pip install 'lmmr1[ray]', or set it to local") from error
        self.config = config
        self.actors: list[Any] = []
        self._group: Any = None
        _connect(config, bundles)
        try:
            self._reserve(ray, bundles)
        except BaseException:
            self.close()
            raise

    def _reserve(self, ray: Any, bundles: Sequence[Mapping[str, float]]) -> None:
        wanted, there = _total(bundles), ray.cluster_resources()
        if any(amount > there.get(kind, 0) + 1e-6 for kind, amount in wanted.items()):
            raise UserError(
                f"launcher: the run's actors reserve {describe(wanted)}, and the cluster has {describe(there)}: add "
                "machines, or lower launcher.engines, launcher.environments, backend.processes or launcher.actor_cpus"
            )
        self._group = ray.util.placement_group([dict(bundle) for bundle in bundles], strategy="PACK")
        if not self._group.wait(PLACE_SECONDS):
            raise UserError(
                f"launcher: the cluster did not find room for {describe(wanted)} within {PLACE_SECONDS:.0f} s; "
                f"free are {describe(ray.available_resources())}: another run may hold the rest"
            )

    def start(self, kind: type, place: int, arguments: Sequence[Any], gpus: float = 0.0) -> Any:
        """Start an actor.

        Args:
            kind: its class.
            place: the number of the bundle that it lives in.
            arguments: of its constructor.
            gpus: its share of the bundle's.
        """
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=place)
        threads = {"env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}}
        options = {"num_cpus": 0, "num_gpus": gpus, "scheduling_strategy": strategy, "runtime_env": threads}
        actor = ray.remote(kind).options(**options).remote(*arguments)
        self.actors.append(actor)
        return actor

    def stop(self, actor: Any) -> None:
        """End an actor at once."""
        import ray

        if actor in self.actors:
            self.actors.remove(actor)
            ray.kill(actor)

    def close(self) -> None:
        """End every actor; a cluster that was started for the run ends too."""
        import ray

        if not ray.is_initialized():
            return
        for actor in list(self.actors):
            self.stop(actor)
        if self._group is not None:
            ray.util.remove_placement_group(self._group)
        ray.shutdown()


def _connect(config: LauncherConfig, bundles: Sequence[Mapping[str, float]]) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"logging_level": "error", "log_to_driver": True, "namespace": f"lmmr1-{os.getpid()}"}
    if config.address is None:
        # Of one machine, for this run alone, and closed to all others. What it "has" is what the actors reserve: on a
        # machine with few cores they share them.
        cores = max(float(os.cpu_count() or 1), _total(bundles)["CPU"])
        # Never one that happens to be up here: that is what an address is for.
        own: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", **common}
        ray.init("local", num_cpus=-int(-cores // 1), **own)
        return
    _check_reachable(config.address)
    try:
        ray.init(address=config.address, **common)  # pyright: ignore[reportArgumentType]
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"launcher.address: no Ray cluster answers at {config.address!r} ({reason})") from error


def _check_reachable(address: str) -> None:
    """Ray itself would try for a minute and then tell in many lines."""
    import socket

    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise UserError(f"launcher.address must be 'auto' or HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"launcher.address: no Ray cluster answers at {address!r} ({error.strerror or error}): start one with "
            "'ray start --head', or leave the address out to start one for the run"
        ) from error


def _total(bundles: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: sum(bundle.get(kind, 0.0) for bundle in bundles) for kind in ("CPU", "GPU")}


def describe(resources: Mapping[str, float]) -> str:
    """Some of a cluster's resources, for messages."""
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
