"""What runs in an engine's own process: one match, told by frames what to do.

It may be another Python than the one that gives the orders: it imports numpy, gfootball_engine and the light modules of
this folder. It ends when its orders end, so nothing is left of it when whoever gave them is gone, however that ended.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import traceback
from typing import Any

from lmmr1.envs.isolation.frames import read_frames, write_frame

from .core import CoreEngine
from .wire import pack, read_control, read_kick_off, unpack, write_state


class Player:
    """Carries out orders on its one engine."""

    def __init__(self) -> None:
        self.engine: CoreEngine | None = None

    def obey(self, head: dict[str, Any], data: bytes) -> bytes:
        """Carry out one order; returns the answer."""
        verb, engine = head["verb"], self.engine
        if verb == "make":
            self.engine = CoreEngine(read_control(head["control"]))
            return pack({"name": self.engine.name})
        if engine is None:
            raise RuntimeError("no engine was made")
        if verb == "frame":
            picture = engine.frame()
            return pack({"shape": picture.shape}, picture.tobytes())
        if verb == "save":
            return pack({}, engine.save())
        told: dict[str, Any] = {}
        if verb == "reset":
            engine.reset(read_kick_off(head["kick_off"]))
        elif verb == "load":
            engine.load(data)
        else:
            result = engine.step(head["actions"])
            told = {"goals": result.goals, "done": bool(result.done)}
        return pack(told, write_state(engine.state))


def main() -> None:
    """Serve until the orders end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of whoever gives the orders
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # The engine prints to its output, between the frames, whatever is said there.
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        # In a thread of its own, so that a worker whose engine hangs still ends with whoever gave the orders.
        for data in read_frames(orders):
            frames.put(data)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    player = Player()
    write_frame(answers, pack({"ready": True}))
    while True:
        message = frames.get()
        try:
            answer = player.obey(*unpack(message))
        except Exception as error:
            traceback.print_exc()
            answer = pack({"error": f"{type(error).__name__}: {error}"})
        write_frame(answers, answer)
