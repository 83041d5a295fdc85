"""What runs in a rank's own process: orders in, answers out, each a pickle in a frame.

It ends when its orders end, so that nothing is left of it when the run's process is gone, however that ended.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import sys
import threading
import traceback
from typing import Any

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.frames import read_frames, write_frame

from .host import LearnerHost, Post


def main() -> None:
    """Serve until the orders end."""
    # What a library prints must not come between the frames.
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    folders: list[Any] = []

    def listen() -> None:
        # In a thread of its own: a rank that waits for others, or computes, must end with the run too.
        for data in read_frames(orders):
            frames.put(data)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)  # this process and whatever it has started

    threading.Thread(target=listen, daemon=True).start()
    host: LearnerHost | None = None
    while True:
        method, arguments = pickle.loads(frames.get())
        try:
            if method == "begin":
                [post] = arguments
                assert isinstance(post, Post)
                folders += [post.folder]
                host, answer = LearnerHost(post), None
            else:
                assert host is not None
                answer = host.asked(method, arguments)
        except UserError as error:
            answer = error
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        write_frame(answers, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
