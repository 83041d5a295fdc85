"""Two checkpoints on the same seed: played one after the other in a thread, and kept as any episode is."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lmmr1.agents.episode import Episode, save_episodes
from lmmr1.envs.errors import UserError

MOST_WAITING = 8
MOST_KEPT = 64
LARGEST_SEED = 2**31 - 1
SIDES = ("left", "right")


@dataclass(frozen=True)
class Order:
    """What is to be played.

    Attributes:
        checkpoints: who plays, left and right, by the words of `Theatre.choices`.
        environment: where, by its word.
        seed, problem: of the environment, as an evaluation with this seed numbers its problems.
        greedy: whether the likeliest token is taken.
        sampling: the seed of the tokens that are drawn otherwise.
    """

    checkpoints: tuple[str, str]
    environment: str
    seed: int
    problem: int
    greedy: bool
    sampling: int

    @classmethod
    def read(cls, document: Any) -> Order:
        """From what a page sent.

        Raises:
            UserError: a key is missing or its value is of another kind.
        """
        if not isinstance(document, Mapping):
            raise UserError("what is to be played must be a JSON object")
        words = {key: document.get(key) for key in (*SIDES, "environment")}
        for key, word in words.items():
            if not isinstance(word, str) or not word:
                raise UserError(f"{key} must be one of the choices")
        numbers = {key: document.get(key, 0) for key in ("seed", "problem", "sampling")}
        for key, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
                raise UserError(f"{key} must be a whole number from 0 to {LARGEST_SEED}, not {value!r:.40}")
        greedy = document.get("greedy", True)
        if not isinstance(greedy, bool):
            raise UserError("greedy must be true or false")
        return cls((str(words["left"]), str(words["right"])), str(words["environment"]), **numbers, greedy=greedy)


class Theatre(Protocol):
    """Who plays; the command line hands it over, since loading a checkpoint is not this floor's business."""

    def choices(self) -> dict[str, Any]:
        """What there is: "checkpoints" (word, label, run) and "environments" (word, label, seed), or "problem"."""
        ...

    def play(self, checkpoint: str, order: Order) -> Episode:
        """One episode.

        Raises:
            UserError: there is no such checkpoint or environment, or it cannot be played here.
        """
        ...


@dataclass
class Play:
    """One order, and what came of it; `episodes` are kept in `folder` once it is done."""

    order: Order
    folder: Path
    state: str = "waiting"
    message: str = ""
    done: list[Episode] = field(default_factory=list)


class Plays:
    """Orders that are played one at a time.

    Args:
        theatre: who plays.
    """

    def __init__(self, theatre: Theatre) -> None:
        self.theatre = theatre
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._plays: dict[str, Play] = {}
        self._waiting: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self._number = 0
        self._thread = threading.Thread(target=self._work, daemon=True, name="plays")
        self._thread.start()

    def submit(self, order: Order) -> str:
        """Take an order; the number by which it is asked for.

        Raises:
            UserError: too many are waiting.
        """
        with self._lock:
            if self._waiting.qsize() >= MOST_WAITING:
                raise UserError(f"{MOST_WAITING} comparisons are waiting already: come back when one is done")
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="lmmr1-view-")
            self._number += 1
            number = str(self._number)
            self._plays[number] = Play(order, Path(self._folder.name) / number)
            while len(self._plays) > MOST_KEPT:
                shutil.rmtree(self._plays.pop(next(iter(self._plays))).folder, ignore_errors=True)
        self._waiting.put(number)
        return number

    def find(self, number: str) -> Play | None:
        """An order by its number; old ones are forgotten."""
        return self._plays.get(number)

    def close(self) -> None:
        """Take no more; what is being played ends with the process."""
        self._waiting.put(None)
        if self._folder is not None:
            self._folder.cleanup()

    def _work(self) -> None:
        while (number := self._waiting.get()) is not None:
            play = self._plays.get(number)
            if play is not None:
                self._play(play)

    def _play(self, play: Play) -> None:
        play.state = "playing"
        try:
            for checkpoint in play.order.checkpoints:
                play.done.append(self.theatre.play(checkpoint, play.order))
            save_episodes(play.folder, play.done)
        except UserError as error:
            play.state, play.message = "failed", str(error)
        except Exception as error:  # whatever a model or a world does, the page goes on
            traceback.print_exc()
            play.state, play.message = "failed", f"{type(error).__name__}: {error}"
        else:
            play.state = "done"
