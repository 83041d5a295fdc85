"""Guards: a run whose training has gone wrong stops by itself, and says why and where it was still right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .config import GuardsConfig

NGRAM = 4
# What must be a number in every row that has it; the others may be undefined for good reasons.
FINITE = ("policy_loss", "value_loss", "loss", "grad_norm", "reward", "task_reward", "kl", "entropy")


class GuardError(Exception):
    """Training has gone wrong; the message says which metric has which value, the limit and the last good checkpoint.

    Not the user's input but the run failed: the command line exits with status 1.
    """


class Guards:
    """Looks at the rows of one stage as they come.

    Args:
        config: the limits.
        rows: the stage's rows so far, as they were written (a resumed run).
    """

    def __init__(self, config: GuardsConfig, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """See the class."""
        self.config = config
        self.rows = list(rows)

    def check(self, row: Mapping[str, Any], checkpoints: Sequence[Path] = ()) -> None:
        """Look at one more row.

        Args:
            row: with "stage", "iteration" and "step".
            checkpoints: of the run, oldest first; their names end with their step ("000003-0000010").

        Raises:
            GuardError: a limit is passed.
        """
        self.rows.append(row)
        found = self._find(row)
        if found is None:
            return
        problem, since = found
        raise GuardError(
            f"stage {row['stage']}, iteration {row['iteration']}: {problem}; {_last_good(checkpoints, since)}; "
            "a guard's limit of null (finite: false) switches it off"
        )

    def _find(self, row: Mapping[str, Any]) -> tuple[str, int] | None:
        """What is wrong, and the step at which it began."""
        config = self.config
        if config.finite:
            for key in FINITE:
                value = row.get(key)
                if value is not None and not math.isfinite(value):
                    return f"{key} is {value} (guards.finite: it must be a finite number)", int(row["step"])
        first = next((entry["entropy"] for entry in self.rows if entry.get("entropy") is not None), None)
        rise = None if config.entropy_rise is None or first is None else first + config.entropy_rise
        limits = (
            ("entropy", config.entropy_low, -1, "guards.entropy_low"),
            (
                "entropy",
                rise,
                1,
                f"guards.entropy_rise: {config.entropy_rise:g} above the first iteration's {first:.4g}",
            )
            if rise is not None
            else ("entropy", None, 1, ""),
            ("kl", config.kl, 1, "guards.kl"),
            ("repetition", config.repetition, 1, "guards.repetition"),
        )
        for key, limit, sign, name in limits:
            if limit is not None and (problem := self._beyond(key, limit, sign, name)) is not None:
                return problem
        return self._format_without_task()

    def _beyond(self, key: str, limit: float, sign: int, name: str) -> tuple[str, int] | None:
        recent = self.rows[-self.config.patience :]
        values = [entry.get(key) for entry in recent]
        if len(values) < self.config.patience or any(v is None or not (v - limit) * sign > 0 for v in values):
            return None
        side = "above" if sign > 0 else "below"
        often = f", for {len(values)} iterations" if len(values) > 1 else ""
        return f"{key} is {values[-1]:.4g}, {side} the limit {limit:.4g} ({name}){often}", int(recent[0]["step"])

    def _format_without_task(self) -> tuple[str, int] | None:
        """The policy has found a way to be paid for its form: the format rate rises while the task reward falls."""
        config, half = self.config, self.config.window // 2
        recent = [entry for entry in self.rows[-config.window :] if entry.get("task_reward") is not None]
        if config.reward_drop is None or len(recent) < config.window:
            return None
        task, form = (
            [float(np.mean([entry[key] for entry in part])) for part in (recent[:half], recent[half:])]
            for key in ("task_reward", "format_rate")
        )
        if task[0] <= 0 or task[1] > task[0] * (1 - config.reward_drop) or form[1] - form[0] < config.format_rise:
            return None
        return (
            f"task_reward fell from {task[0]:.4g} to {task[1]:.4g} while format_rate rose from {form[0]:.4g} to "
            f"{form[1]:.4g} (means of {half} iterations; limit guards.reward_drop: {config.reward_drop:g})",
            int(recent[0]["step"]),
        )


def _last_good(checkpoints: Sequence[Path], since: int) -> str:
    good = [path for path in checkpoints if int(path.name.rpartition("-")[2]) < since]
    if good:
        return f"the last good checkpoint is {good[-1]}"
    kept = f"; the oldest that is kept, {checkpoints[0]}, is a later one" if checkpoints else ""
    return f"no checkpoint is left from before it began (step {since}){kept}"


def repeated_share(ids: np.ndarray) -> float:
    """Share of a reply's 4-grams of tokens that occurred earlier in it; 0 for a reply of fewer than 4 tokens.

    1 less the share of distinct n-grams ("distinct-n", Li et al. 2016, arXiv 1510.03055).

    Args:
        ids: int (n,).
    """
    count = len(ids) - NGRAM + 1
    if count <= 0:
        return 0.0
    data = ids.astype(np.int32).tobytes()
    return 1 - len({data[4 * start : 4 * (start + NGRAM)] for start in range(count)}) / count
