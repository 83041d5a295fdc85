"""What runs in the process that may be killed: it takes one order, and sends what it finds as it finds it."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from typing import IO, Any

from lmmr1.envs.isolation.frames import read_frames, write_frame
from lmmr1.envs.isolation.outcomes import describe_error

from .case import Case, Watch
from .checks.seeding import write_transcript
from .examining import GROUPS, RefusedError, examine, groups_for


def main() -> None:
    """Obey the one order that comes."""
    # What an environment prints must not come between the frames, and it gets no part of the orders either.
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    verb, limits, luggage = pickle.loads(next(read_frames(orders)))
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
    try:
        source, chat = pickle.loads(luggage)
    except Exception:  # what it names cannot be imported here
        return _send(answers, ("unknown", None))
    watch = Watch(limits.deadline, os.fdopen(os.dup(2), "w"))
    case = Case(source, chat, limits, watch)
    try:
        _obey(verb, case, answers)
    except RefusedError as error:
        _send(answers, ("refused", str(error)))
    except (Exception, SystemExit) as error:  # whatever the world's constructor raises
        _send(answers, ("unmade", describe_error(error)))
    watch.rest()
    answers.close()
    sys.stderr.flush()
    os._exit(0)  # threads that an environment left behind must not keep it


def _end_with(orders: IO[bytes]) -> None:
    """End with whoever gave the order: it keeps the pipe open as long as it listens."""
    orders.read(1)
    os.killpg(0, signal.SIGKILL)


def _obey(verb: str, case: Case, answers: IO[bytes]) -> None:
    groups = groups_for(case)
    if verb == "transcript":
        if groups is not GROUPS:
            from .checks import agents

            return _send(answers, ("transcript", agents.write_transcript(case)))
        return _send(answers, ("transcript", write_transcript(case)))
    _send(answers, ("names", tuple(name for group in groups for name in group.names)))
    for item in examine(case, groups):
        _send(answers, ("item", item))
    _send(answers, ("done", None))


def _send(answers: IO[bytes], message: tuple[str, Any]) -> None:
    write_frame(answers, pickle.dumps(message))
