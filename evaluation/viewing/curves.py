"""The figures of a run while they are written: each look reads only what was added since the last one."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .lines import GrowingFile

# What tells where a row stands and is no figure itself.
PLACES = ("stage", "iteration", "step")
MOST_ROWS = 5000


class Tail:
    """The rows of a file of JSON lines that grows.

    A line that is no JSON object is counted and left out. `generation` rises where the file was written anew and all
    rows are others.

    Args:
        path: of the file, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.rows: list[dict[str, Any]] = []
        self.damaged = 0
        self.generation = 0
        self._file = GrowingFile(path)

    def _begin(self) -> None:
        self.rows, self.damaged = [], 0
        self.generation += 1

    def look(self) -> list[dict[str, Any]]:
        """Read what was added; returns the new rows, all of them after a new start."""
        new: list[dict[str, Any]] = []
        for _, line in self._file.look(self._begin):
            row = _parse(line)
            if row is None:
                self.damaged += 1
            else:
                new.append(row)
        self.rows += new
        return new


class Curves:
    """The figures of one run as columns; threads may share it.

    Args:
        metrics, evaluations: the two files of a run folder.
    """

    def __init__(self, metrics: Path, evaluations: Path) -> None:
        self._metrics, self._evaluations = Tail(metrics), Tail(evaluations)
        self._lock = threading.Lock()
        self._columns: dict[str, list[float | None]] = {}
        self._steps: list[int] = []
        self._stages: list[str] = []
        self._iterations: list[int] = []

    def read(self, keys: Sequence[str], after: int, generation: int) -> dict[str, Any]:
        """What a page does not have yet, at most `MOST_ROWS` rows of it.

        Args:
            keys: the figures that it draws.
            after: how many rows it has.
            generation: the one that they are of.

        Returns:
            "generation", "start" (the index of the first row; 0 where the page must begin anew), "rows" (how many there
            are in all), "steps", "stages", "columns" by key with None where there is no number, "keys" (all there are),
            "evaluations" and "damaged" (lines that could not be read).
        """
        with self._lock:
            self._take()
            start = after if generation == self._metrics.generation and 0 <= after <= len(self._steps) else 0
            part = slice(start, start + MOST_ROWS)
            evaluations = self._place_evaluations()
            found = {key for point in evaluations for key in point["figures"]}
            return {
                "generation": self._metrics.generation,
                "start": start,
                "rows": len(self._steps),
                "steps": self._steps[part],
                "stages": self._stages[part],
                "columns": {key: self._columns[key][part] for key in keys if key in self._columns},
                "keys": sorted(self._columns),
                "evaluation_keys": sorted(found),
                "evaluations": evaluations,
                "damaged": self._metrics.damaged + self._evaluations.damaged,
            }

    def _take(self) -> None:
        before = self._metrics.generation
        new = self._metrics.look()
        if self._metrics.generation != before:
            for column in (self._steps, self._stages, self._iterations):
                column.clear()
            self._columns.clear()
        for row in new:
            count = len(self._steps)
            step = number(row.get("step"))
            self._steps.append(count + 1 if step is None else int(step))
            self._stages.append(str(row.get("stage", "")))
            iteration = number(row.get("iteration"))
            self._iterations.append(0 if iteration is None else int(iteration))
            for key, value in row.items():
                if key not in PLACES and (value is None or number(value) is not None):
                    column = self._columns.setdefault(key, [None] * count)
                    column.append(number(value))
            for column in self._columns.values():
                if len(column) <= count:
                    column.append(None)

    def _place_evaluations(self) -> list[dict[str, Any]]:
        """Each evaluation at the step that it was made after, with its figures by TASK/MODE/FIGURE."""
        self._evaluations.look()
        ends: dict[str, int] = {}
        places: dict[tuple[str, int], int] = {}
        for step, stage, iteration in zip(self._steps, self._stages, self._iterations, strict=True):
            ends[stage] = places[stage, iteration] = step
        points = []
        for row in self._evaluations.rows:
            stage, iteration = str(row.get("stage", "")), number(row.get("iteration"))
            step = ends.get(stage, 0) if iteration is None else places.get((stage, int(iteration)), ends.get(stage, 0))
            points.append({"stage": stage, "step": step, "figures": _flatten(row.get("tasks"))})
        return points


def _flatten(tasks: Any) -> dict[str, float]:
    """The numbers of an evaluation by TASK/MODE/FIGURE, those of an interval by TASK/MODE/FIGURE/0 and /1."""
    found: dict[str, Any] = {}
    for task, modes in tasks.items() if isinstance(tasks, dict) else ():
        for mode, figures in modes.items() if isinstance(modes, dict) else ():
            for figure, value in figures.items() if isinstance(figures, dict) else ():
                key = f"{task}/{mode}/{figure}"
                found |= {f"{key}/{i}": end for i, end in enumerate(value)} if isinstance(value, list) else {key: value}
    return {key: value for key, raw in found.items() if (value := number(raw)) is not None}


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON knows whole numbers beyond any float
        return None


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
