"""What runs in a worker process: environments by slot. A frame of scripts comes in, a frame for each order goes out.

A frame holds a pickle. The process ends when its orders end, so nothing is left of it when the process that started it
is gone, however that ended. It imports the environments' floor and nothing above.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from lmmr1.envs.chat import ChatEnv

from .frames import read_frames, write_frame
from .outcomes import Fault, Opening, describe_error, run_reset, run_solve, run_step

READY = b"ready"


class Slots:
    """The environments of one worker by the number of their slot."""

    def __init__(self) -> None:
        self.envs: dict[int, ChatEnv] = {}
        self.configs: dict[int, Any] = {}

    def obey(self, order: tuple[Any, ...]) -> Any:
        """Carry out one order; returns what to answer."""
        verb, slot, argument = order
        if verb == "make":
            return self._make(slot, argument)
        env = self.envs.get(slot)
        if env is None:
            return Fault("crash", "the environment was not made")
        if verb == "solve":
            return run_solve(env)
        return run_reset(env, argument) if verb == "reset" else run_step(env, argument)

    def _make(self, slot: int, argument: tuple[Any, bytes | None]) -> Opening | Fault:
        config, spec = argument
        self.close(slot)
        try:
            if spec is not None:
                register(pickle.loads(spec))
            self.envs[slot] = config.make()
        except Exception as error:
            return Fault("crash", describe_error(error))
        return Opening([])

    def close(self, slot: int) -> None:
        """Close what is in a slot; what cannot be closed is let go."""
        env = self.envs.pop(slot, None)
        if env is None:
            return
        try:
            env.close()
        except Exception as error:
            print(f"an environment could not be closed: {describe_error(error)}", file=sys.stderr)


def register(spec: EnvSpec) -> None:
    """Register an environment that the other process knows and this one does not."""
    if spec.id not in gym.registry:
        gym.registry[spec.id] = spec


def pack(answer: Any) -> bytes:
    """An answer as bytes."""
    try:
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever lies in a message beside its text and pictures
        return pickle.dumps(Fault("garbage", f"the messages cannot be sent: {describe_error(error)}"))


def main() -> None:
    """Serve until told to stop, or until the orders end."""
    # What an environment prints must not come between the frames, and it gets no part of the orders either.
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def listen() -> None:
        # In a thread of its own, so that a worker whose environment hangs still ends with whoever gave the orders.
        for data in read_frames(orders):
            frames.put(data)
            if data == b"":
                return
        os.killpg(0, signal.SIGKILL)  # this process and whatever its environments have started

    threading.Thread(target=listen, daemon=True).start()
    slots = Slots()
    write_frame(answers, READY)
    while data := frames.get():
        for script in pickle.loads(data):
            for order in script:
                answer = slots.obey(order)
                write_frame(answers, pack(answer))
                if isinstance(answer, Fault):
                    break
    for slot in list(slots.envs):
        slots.close(slot)
