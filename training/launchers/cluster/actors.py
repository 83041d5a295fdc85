"""What runs inside the actors: engines, ranks and environments, each in a process somewhere in the cluster."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.agents.engines.base import Completion, Sampling
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.wire import PlainRequest, ServedEngine
from lmmr1.agents.policy import make_engine
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import Opening
from lmmr1.envs.isolation.places import IsolatedEnv
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.isolation.process import Order
from lmmr1.envs.isolation.worker import register

from ...backends.host import LearnerHost, Post
from ...backends.parcels import unpack
from ...backends.process import use_determinism
from ...policies import load_parameters, load_policy
from ...recipe import parse_recipe


class EngineActor:
    """An engine over a model of its own."""

    def __init__(self, recipe: str, slots: int) -> None:
        config = parse_recipe(recipe, "the recipe")
        use_determinism(config.threads, config.model.kernels)
        self.loaded = load_policy(config.model, config.seed)
        engine = open_engine(self.loaded, config.engine, config.max_context_tokens, slots)
        self.served = ServedEngine(make_engine(self.loaded, slots) if engine is None else engine, self.loaded.images)

    def process(self) -> int:
        """The number of its process, once it has begun."""
        return os.getpid()

    def load(self, weights: np.ndarray, version: int) -> None:
        """Sample from other weights."""
        load_parameters(self.loaded.model, unpack(weights.tobytes()), "the run's process")
        self.served.update_weights(version)

    def generate(self, requests: Sequence[PlainRequest], sampling: Sampling) -> list[Completion]:
        """Continue every request."""
        return self.served.generate(requests, sampling)

    def sleep(self) -> None:
        """Hand memory over to the learner."""
        self.served.engine.sleep()

    def close(self) -> None:
        """End the engine's own processes."""
        self.served.engine.close()


class RankActor:
    """One rank; a mistake of the user's is an answer, so that it comes back as what it is."""

    def __init__(self) -> None:
        self.host: LearnerHost | None = None

    def process(self) -> int:
        """The number of its process."""
        return os.getpid()

    def meeting_place(self, port: int, alone: bool) -> str | UserError:
        """Where ranks can meet on this machine; `alone`: with others of it only.

        Args:
            port: 0 for any that is free.
            alone: whether all ranks are on this machine.
        """
        import ray

        address = "127.0.0.1" if alone else ray.util.get_node_ip_address()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))  # as torch does, on every address of the machine
            except OSError as error:
                return UserError(
                    f"launcher.port: the ranks cannot meet at {address}:{port} ({error.strerror}): give another port, "
                    "or leave it out for one that is free"
                )
            return f"tcp://{address}:{probe.getsockname()[1]}"

    def begin(self, post: Post) -> UserError | None:
        """Meet the others and load the model."""
        try:
            self.host = LearnerHost(post)
        except UserError as error:
            return error
        return None

    def ask(self, method: str, arguments: Sequence[Any]) -> Any:
        """Call a method of the host."""
        assert self.host is not None
        try:
            return self.host.asked(method, arguments)
        except UserError as error:
            return error


class EnvironmentActor:
    """Environments behind worker processes of this actor's own."""

    def __init__(self, workers: int, step_seconds: float, reset_seconds: float) -> None:
        self.pool = EnvironmentPool(workers, step_seconds, reset_seconds)
        self.places: dict[int, IsolatedEnv] = {}
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.listener: threading.Thread | None = None

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            for slot, answer in self.pool.poll():
                loop.call_soon_threadsafe(self._pass_on, slot, answer)

    def _pass_on(self, slot: int, answer: Any) -> None:
        self.waiting.pop(slot).set_result(answer)

    async def process(self) -> int:
        """The number of its process."""
        return os.getpid()

    async def run(self, script: Sequence[Order]) -> list[Any]:
        """Carry out orders of one slot, one after the other; their answers."""
        loop = asyncio.get_running_loop()
        if self.listener is None:
            self.listener = threading.Thread(target=self._listen, args=(loop,), daemon=True)
            self.listener.start()
        answers: list[Any] = []
        for verb, number, argument in script:
            if verb == "make":
                config, spec = argument
                if spec is not None:
                    register(pickle.loads(spec))
                self.places[number] = self.pool.add(config)
                answers.append(Opening([]))
                continue
            place = self.places[number]
            answered = self.waiting[place.slot] = loop.create_future()
            assert verb in ("reset", "step", "solve")
            self.pool.submit(place.slot, verb, argument)
            answers.append(await answered)
        return answers
