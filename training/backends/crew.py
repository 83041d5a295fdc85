"""The ranks of a stage as one trainer, seen from the run's process."""

from __future__ import annotations

import json
import pickle
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import torch

from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.frames import read_frames, write_frame

from .base import LostError
from .host import Post
from .parcels import exchange_folder, pack, unpack

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lmmr1.training.backends.worker import main; main()"
)


class Crew(Protocol):
    """Ranks that are asked all at once.

    Attributes:
        folder: where tensors are exchanged in files; none: as bytes.
    """

    folder: Path | None

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of every `LearnerHost`; what rank 0 answers.

        Raises:
            UserError: one of them raised it.
            LostError: one of them ended, or failed.
        """
        ...

    def close(self) -> None:
        """End all of them."""
        ...


class ProcessCrew:
    """Ranks as child processes of this one; see `Crew`.

    Args:
        size: how many.
        seconds: they must have met and loaded the model after so long.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self.folder: Path | None = exchange_folder()
        self.seconds: float | None = seconds  # of the first answer
        # Groups of their own: Ctrl-C is this process's business, which ends them.
        command = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.processes = [subprocess.Popen(command, start_new_session=True, **pipes) for _ in range(size)]  # pyright: ignore[reportCallIssue, reportArgumentType]

    def begin(self, posts: Sequence[Post]) -> None:
        """Tell each rank what it is to do; they meet and load the model."""
        self._send([("begin", (post,)) for post in posts])
        self._answers(self.seconds)

    def ask(self, method: str, *arguments: object) -> Any:
        """See `Crew`."""
        self._send([(method, arguments)] * len(self.processes))
        return self._answers(None)[0]

    def _send(self, orders: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        same = len({id(order) for order in orders}) == 1
        packed = [pickle.dumps(order, pickle.HIGHEST_PROTOCOL) for order in (orders[:1] if same else orders)]
        for process, data in zip(self.processes, packed * (len(orders) if same else 1), strict=True):
            with suppress(OSError):  # it died; its answers end, which is where that is noticed
                write_frame(_stream(process.stdin), data)

    def _answers(self, seconds: float | None) -> list[Any]:
        answers: dict[int, Any] = {}
        deadline = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for rank, process in enumerate(self.processes):
                selector.register(_stream(process.stdout), selectors.EVENT_READ, rank)
            while len(answers) < len(self.processes):
                ready = selector.select(None if deadline is None else max(0.0, deadline - time.monotonic()))
                if not ready:
                    self.close()
                    raise LostError(f"the ranks have not met within backend.start_seconds ({seconds:.0f} s)")
                for key, _ in ready:
                    rank = key.data
                    data = next(read_frames(_stream(self.processes[rank].stdout)), None)
                    answer = None if data is None else pickle.loads(data)
                    if data is None or isinstance(answer, Exception):
                        self._fail(rank, answer)
                    answers[rank] = answer
                    selector.unregister(key.fileobj)
        return [answers[rank] for rank in range(len(self.processes))]

    def _fail(self, rank: int, error: Exception | None) -> None:
        # The others may wait for it for ever.
        code = self.processes[rank].wait() if error is None else None
        self.close()
        if isinstance(error, UserError):
            raise error
        reason = f"ended by itself ({_ending(code)})" if error is None else f"failed: {error}"
        raise LostError(f"learner rank {rank} {reason}")

    def close(self) -> None:
        """End them at once: they hold nothing that is not elsewhere."""
        for process in self.processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    _stream(stream).close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit code {code}"


class CrewTrainer:
    """Ranks as a trainer; the policy of this process has their weights after each `learn`."""

    def __init__(self, crew: Crew, policy: PolicyAgent) -> None:
        self.crew, self.policy = crew, policy

    def learn(self, episodes: Sequence[Episode], iteration: int) -> dict[str, float]:
        """Improve the policy; returns metrics."""
        metrics, parcel = self.crew.ask("learn", episodes, iteration)
        named = dict(self.policy.loaded.model.named_parameters())
        with torch.no_grad():
            for name, tensor in unpack(parcel, remove=True).items():
                named[name].copy_(tensor)
        return metrics

    def credits(self, count: int) -> list[dict[int, TokenCredit]]:
        """What the last `learn` made of the tokens of its first `count` episodes."""
        return self.crew.ask("credits", count)

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """What a checkpoint must keep beside the policy's weights, whole."""
        groups = self.crew.ask("tensors")
        return {name: unpack(parcel, remove=True) for name, parcel in groups.items()}

    def state(self) -> dict[str, Any]:
        """What else, as JSON."""
        return self.crew.ask("state")

    def restore(self, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave."""
        parcels = {name: pack(group, self.crew.folder) for name, group in tensors.items()}
        self.crew.ask("restore", parcels, dict(state))

    def close(self) -> None:
        """End the ranks."""
        self.crew.close()
