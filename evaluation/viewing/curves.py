"""The figures of a run while they are written: each look reads only what was added since the last one."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lines import GrowingFile

# What tells where a row stands and is no figure itself.
PLACES = ("stage", "iteration", "step")
MOST_ROWS = 5000


class Tail:
    """The rows of a file of JSON lines that grows.

    A line that is no JSON object is counted and left out. `generation` rises where the file was written anew, and what
    was read before holds no longer.

    Args:
        path: of the file, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.damaged = 0
        self.generation = 0
        self._file = GrowingFile(path)

    def _begin(self) -> None:
        self.damaged = 0
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
        return new


@dataclass
class _Table:
    """The rows of a run as columns, each with a place for every row; where stages and iterations end."""

    steps: list[int] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    columns: dict[str, list[float | None]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows in."""
        before = len(self.steps)
        for count, row in enumerate(rows, before + 1):
            step, iteration, stage = number(row.get("step")), number(row.get("iteration")), str(row.get("stage", ""))
            self.steps.append(count if step is None else int(step))
            self.stages.append(stage)
            self.ends[stage] = self.places[stage, int(iteration or 0)] = self.steps[-1]
        for key in dict.fromkeys(key for row in rows for key in row if key not in PLACES):
            if key not in self.columns:
                if not any(key in row and (row[key] is None or number(row[key]) is not None) for row in rows):
                    continue  # words are no figure
                self.columns[key] = [None] * before
            self.columns[key] += [number(row.get(key)) for row in rows]
        for column in self.columns.values():
            column += [None] * (len(self.steps) - len(column))


class Curves:
    """The figures of one run; threads may share it.

    Args:
        metrics, evaluations: the two files of a run folder.
    """

    def __init__(self, metrics: Path, evaluations: Path) -> None:
        self._metrics, self._evaluations = Tail(metrics), Tail(evaluations)
        self._lock = threading.Lock()
        self._table = _Table()
        self._judged: list[dict[str, Any]] = []

    def read(self, keys: Sequence[str], after: int, generation: int) -> dict[str, Any]:
        """What a page does not have yet, at most `MOST_ROWS` rows of it.

        Args:
            keys: the figures that it draws.
            after: how many rows it has.
            generation: the one that they are of.

        Returns:
            "generation", "start" (the index of the first row; 0 where the page must begin anew), "rows" (how many there
            are in all), "steps", "stages", "columns" by key with None where there is no number, "keys" (all there are),
            "evaluations" (each with the step that it was made after, and its figures by TASK/MODE/FIGURE),
            "evaluation_keys", and "damaged" (lines that could not be read).
        """
        with self._lock:
            self._take()
            table, now = self._table, self._metrics.generation
            start = after if generation == now and 0 <= after <= len(table.steps) else 0
            part = slice(start, start + MOST_ROWS)
            evaluations = [{**point, "step": self._step_of(point)} for point in self._judged]
            return {
                "generation": now,
                "start": start,
                "rows": len(table.steps),
                "steps": table.steps[part],
                "stages": table.stages[part],
                "columns": {key: table.columns[key][part] for key in keys if key in table.columns},
                "keys": sorted(table.columns),
                "evaluation_keys": sorted({key for point in evaluations for key in point["figures"]}),
                "evaluations": evaluations,
                "damaged": self._metrics.damaged + self._evaluations.damaged,
            }

    def _take(self) -> None:
        before = self._metrics.generation, self._evaluations.generation
        rows, judged = self._metrics.look(), self._evaluations.look()
        if self._metrics.generation != before[0]:
            self._table = _Table()
        if self._evaluations.generation != before[1]:
            self._judged = []
        if rows:
            self._table.add(rows)
        self._judged += [
            {
                "stage": str(row.get("stage", "")),
                "iteration": number(row.get("iteration")),
                "figures": _flatten(row.get("tasks")),
            }
            for row in judged
        ]

    def _step_of(self, point: Mapping[str, Any]) -> int:
        """The step that an evaluation was made after; 0 for one before all."""
        stage, iteration = point["stage"], point["iteration"]
        end = self._table.ends.get(stage, 0)
        return end if iteration is None else self._table.places.get((stage, int(iteration)), end)


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
