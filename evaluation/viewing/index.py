"""An index of the episodes in a folder, in memory: built in a thread of its own, grown as files come and grow."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmr1.agents.episode import EPISODES_FILE

from .curves import number
from .lines import GrowingFile

TRAINING, EVALUATION = "training", "evaluation"
# Where a run and an evaluation keep episodes, and a run its later evaluations.
_PLACES = ("episodes", "evaluations")
_TRAINING_SUFFIX = "-training"
EXCERPT = 160
# A line that has had no end for so long will not get one.
_PATIENCE = 30.0
_PUBLISH_SECONDS = 0.3
_REST_SECONDS = 1.0
# Most of a line are lists of numbers that the index has no use for. Where a key stands its quotes are plain, and within
# a text they never are, so no text is touched.
_NUMBERS = re.compile(rb'"(prompt_ids|logprobs|advantages|returns|values|learned)": ?\[[-+.,\d\seE]*\]')


@dataclass(frozen=True)
class Entry:
    """What the list of episodes shows of one, and what it can be found by.

    Attributes:
        folder, line: where it is kept: the folder beneath the subject's, and the number of the line from 1.
        offset, length: of the line in bytes.
        kind: whether it was learned from ("training") or judged ("evaluation").
        stage, iteration, mode: of the run; iteration 0 and an empty mode where there is none.
        environment: its id, or the task's name.
        outcome: "solved", "not solved", "ended" (nobody says whether it was solved) or "failed".
        reward: the sum over its turns.
        turns, tokens: how many replies, and how many tokens in them.
        stop: why it ended.
        excerpt: of the last reply.
        text: all replies and what broke, in small letters.
    """

    folder: str
    line: int
    offset: int
    length: int
    kind: str
    stage: str
    iteration: int
    mode: str
    environment: str
    outcome: str
    reward: float
    turns: int
    tokens: int
    stop: str
    excerpt: str
    text: str


class _File:
    """A file of episodes, and what was found in it so far."""

    def __init__(self, path: Path, folder: str) -> None:
        self.folder = folder
        self.lines = GrowingFile(path, _PATIENCE)
        self.stamp: tuple[int, int] = (-1, -1)
        self.begin()

    def begin(self) -> None:
        """What was found holds no longer."""
        self.entries: list[Entry] = []
        self.damaged: list[str] = []
        self.count = 0

    def read(self) -> bool:
        """Read what is new; whether anything is."""
        entries, count, damaged = self.entries, self.count, list(self.damaged)
        try:
            for offset, line in self.lines.look(self.begin):
                self.count += 1
                try:
                    row = json.loads(_NUMBERS.sub(rb'"\1":[]', line))
                    self.entries.append(_read_entry(row, self.folder, self.count, offset, len(line)))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                    where = f"{self.folder}/{EPISODES_FILE}, line {self.count}"
                    self.damaged.append(f"{where}: not readable as an episode")
        except OSError as error:
            self.damaged = [f"{self.folder}/{EPISODES_FILE}: {error.strerror}"]
        return self.entries is not entries or (self.count, self.damaged) != (count, damaged)


class EpisodeIndex:
    """All episodes beneath a folder. Readers take `entries`, which is replaced as a whole and never changed.

    Args:
        folder: of a run or an evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: tuple[Entry, ...] = ()
        self.damaged: tuple[str, ...] = ()
        self.version = 0
        self.building = True
        self.files_read, self.files = 0, 0
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()
        self._wanted, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Build it in a thread, and look for more whenever somebody has asked."""
        self._wanted.set()
        self._thread = threading.Thread(target=self._work, daemon=True, name="episode-index")
        self._thread.start()

    def want(self) -> None:
        """Somebody looks: see what has come since."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def has(self, folder: str) -> bool:
        """Whether episodes of that folder are in the index; nothing else beneath the subject is ever shown."""
        return folder in self._files

    def find(self, folder: str, line: int) -> Entry | None:
        """The episode in a line of a folder's file."""
        file = self._files.get(folder)
        return next((entry for entry in file.entries if entry.line == line), None) if file is not None else None

    def refresh(self) -> None:
        """See what has come, gone or changed, and read it."""
        with self._lock:
            found = dict(_find_files(self.folder))
            changed = bool(self._files.keys() - found.keys())
            self._files = {name: file for name, file in self._files.items() if name in found}
            due = [name for name, stamp in found.items() if self._is_due(name, stamp)]
            self.files_read, self.files = len(found) - len(due), len(found)
            published = time.monotonic()
            for name in due:
                if self._closed.is_set():
                    return
                file = self._files.setdefault(name, _File(self.folder / name / EPISODES_FILE, name))
                file.stamp = found[name]
                changed |= file.read()
                self.files_read += 1
                if changed and time.monotonic() - published > _PUBLISH_SECONDS:
                    self._publish()
                    published, changed = time.monotonic(), False
            if changed:
                self._publish()
            self.building = False

    def _work(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self.refresh()
            self._closed.wait(_REST_SECONDS)

    def _is_due(self, name: str, stamp: tuple[int, int]) -> bool:
        known = self._files.get(name)
        return known is None or known.stamp != stamp or known.lines.offset < stamp[1]

    def _publish(self) -> None:
        # As they were written; by name where that is the same.
        files = sorted(self._files.values(), key=lambda file: (file.stamp, file.folder))
        self.entries = tuple(entry for file in files for entry in file.entries)
        self.damaged = tuple(message for file in files for message in file.damaged)
        self.version += 1


def _find_files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The folders with episodes beneath one, by name, with time and size of their file."""
    waiting = [folder / place for place in _PLACES]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as items:
                for item in items:
                    if item.is_dir(follow_symlinks=False):
                        # Hidden ones are being written; pictures are found through their episodes.
                        if item.name != "images" and not item.name.startswith("."):
                            waiting.append(Path(item.path))
                    elif item.name == EPISODES_FILE:
                        found = item.stat()
                        name = Path(item.path).parent.relative_to(folder).as_posix()
                        yield name, (found.st_mtime_ns, found.st_size)
        except OSError:
            continue  # it is not there (yet, or any more)


def _read_entry(row: dict[str, Any], folder: str, line: int, offset: int, length: int) -> Entry:
    turns = row["turns"]
    texts = [str(turn["text"]) for turn in turns]
    failure = row.get("failure")
    kind, stage, iteration, mode = place_of(folder)
    return Entry(
        folder=folder,
        line=line,
        offset=offset,
        length=length,
        kind=kind,
        stage=stage,
        iteration=iteration,
        mode=mode,
        environment=str(row["env_id"]),
        outcome=outcome_of(row),
        # Tenths do not add up to nothing in binary, and nobody wants to see what is left.
        reward=round(sum((number(turn.get("reward")) or 0.0) for turn in turns), 9),
        turns=len(turns),
        tokens=sum(len(turn.get("reply_ids") or ()) for turn in turns),
        stop=str(row.get("stop_reason", "")),
        excerpt=" ".join((texts[-1] if texts else str(failure or "")).split())[:EXCERPT],
        text="\n".join([*texts, str(failure or "")]).casefold(),
    )


def outcome_of(row: dict[str, Any]) -> str:
    """How an episode came out: "solved", "not solved", "failed", or "ended" where nobody says."""
    if row.get("failure") is not None:
        return "failed"
    success = row.get("success")
    return "ended" if success is None else "solved" if success else "not solved"


def place_of(folder: str) -> tuple[str, str, int, str]:
    """Kind, stage, iteration and mode of the episodes in a folder, by its name.

    A run has episodes/STAGE and episodes/STAGE-training/ITERATION; an evaluation episodes/TASK/MODE/BLOCK; a run's own
    evaluations lie in evaluations/NAME, and NAME stands for the stage.
    """
    parts = folder.split("/")
    if parts[0] == "evaluations":
        return EVALUATION, parts[1], 0, parts[-2]
    if len(parts) == 4:
        return EVALUATION, "", 0, parts[2]
    if len(parts) == 3 and parts[1].endswith(_TRAINING_SUFFIX) and parts[2].isdecimal():
        return TRAINING, parts[1].removesuffix(_TRAINING_SUFFIX), int(parts[2]), ""
    return EVALUATION, parts[-1], 0, ""


def read_line(path: Path, entry: Entry) -> dict[str, Any] | None:
    """The line of an episode, parsed; None if it is damaged, or the file has changed since."""
    try:
        with open(path / entry.folder / EPISODES_FILE, "rb") as file:
            file.seek(entry.offset)
            row = json.loads(file.read(entry.length))
    except (OSError, ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("turns"), list) else None
