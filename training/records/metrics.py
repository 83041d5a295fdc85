"""The figures of a run: one JSON object a line in `metrics.jsonl`, and the same for TensorBoard and other trackers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

from ..config.tracking import TrackingConfig
from .board import Board
from .tags import tag_of
from .weights_and_biases import WeightsAndBiases

FILE_NAME = "metrics.jsonl"


class MetricsWriter:
    """Writes the rows of a run as they come; each is on the disk when `write` returns.

    A context manager. TensorBoard files go into `folder/tensorboard`; where TensorBoard is not installed they are left
    out (`tensorboard_problem` then says why) and `metrics.jsonl` is complete all the same.

    Args:
        folder: the folder of the run; made if absent.
        tracking: where the figures go besides; TensorBoard alone by default.
        resume_rows: how many rows to keep of a file that is there already; later rows, and a line that a killed
            process left half-written, are cut off. 0 starts afresh.

    Raises:
        UserError: the file holds fewer than `resume_rows` whole rows.
    """

    def __init__(self, folder: Path, resume_rows: int = 0, tracking: TrackingConfig | None = None) -> None:
        """See the class."""
        tracking = TrackingConfig() if tracking is None else tracking
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self.rows = resume_rows
        size, last = _measure(self.path, resume_rows)
        self._file = self.path.open("ab")
        self._file.truncate(size)
        self._step = -1 if last is None else _step_of(last, resume_rows - 1)
        self.tensorboard_problem: str | None = None
        self._trackers: list[Board | WeightsAndBiases] = []
        if tracking.tensorboard:
            self._open_board(folder / "tensorboard")
        if tracking.wandb != "none":
            fresh = resume_rows == 0
            self._trackers.append(WeightsAndBiases(folder, tracking.wandb, tracking.project, fresh))

    def _open_board(self, folder: Path) -> None:
        try:
            # Points from the first step that is written again are hidden: they were cut off the rows too.
            self._trackers.append(Board(folder, self._step + 1))
        except ImportError as error:
            self.tensorboard_problem = f"no TensorBoard files: {error}; run pip install 'lmmr1[train]'"

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row and wait until it is on the disk.

        NaN and infinity become null. Numbers also go to the trackers, by `tag_of` their keys, at the row's "step" (its
        index in the file where it has none); one curve of a figure runs through all stages.

        Args:
            row: strings, numbers, booleans, None, and lists and dicts of them.
        """
        clean = _jsonable(dict(row))
        self._file.write(json.dumps(clean, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._step = _step_of(clean, self.rows)
        self.rows += 1
        points = {
            tag_of(key): value
            for key, value in clean.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in ("step", "iteration")
        }
        for tracker in self._trackers:
            tracker.add(points, self._step)

    def close(self) -> None:
        """Close the files; may be called twice."""
        self._file.close()
        for tracker in self._trackers:
            tracker.close()
        self._trackers = []

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics file (or of the run folder that holds one); a half-written last line is left out.

    Raises:
        UserError: there is no such file, or a line of it is not a JSON object.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"cannot read the metrics {file}: {error.strerror}") from error
    rows = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        row = _parse(line)
        if row is None:
            raise UserError(f"{file}, line {number}: not a JSON object")
        rows.append(row)
    return rows


def _measure(path: Path, rows: int) -> tuple[int, dict[str, Any] | None]:
    """Length in bytes of the first `rows` rows, and the last of them."""
    if rows < 0:
        raise ValueError(f"resume_rows must be at least 0, not {rows}")
    if rows == 0:
        return 0, None
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    parsed = [_parse(line.decode("utf-8", errors="replace")) for line in lines[:rows]]
    if len(lines) < rows or None in parsed:
        found = parsed.index(None) if None in parsed else len(lines)
        raise UserError(
            f"{path} has {found} whole rows, and the checkpoint was saved after {rows}: it was cut or changed since; "
            "resume from an older checkpoint, or start again in a new folder"
        )
    return sum(len(line) + 1 for line in lines[:rows]), parsed[-1]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _step_of(row: Mapping[str, Any], index: int) -> int:
    step = row.get("step")
    return int(step) if isinstance(step, (int, float)) else index


def _jsonable(value: Any) -> Any:
    """The value with NaN and infinity as None, and numpy's and torch's scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(entry) for entry in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
