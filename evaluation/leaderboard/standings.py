"""Who is ahead: cells of agents by tasks, their order, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from lmmr1.agents.episode import Episode

from ..scoring.figures import by_problem
from ..scoring.pairing import PairedDifference, pair_episodes, value_of
from ..scoring.scores import CONFIDENCE

RESAMPLES = 2000


@dataclass(frozen=True)
class Cell:
    """What one agent did in one task.

    Attributes:
        agent, task: whose, and where.
        figures: see `measure`; None where nothing was scored.
        failure: why not, in one line; None if there is something.
        episodes: what was played.
    """

    agent: str
    task: str
    figures: Mapping[str, Any] | None = None
    failure: str | None = None
    episodes: Sequence[Episode] = ()


@dataclass(frozen=True)
class Standing:
    """An agent's line of the table.

    Attributes:
        agent: whose.
        cells: by task.
        success: the mean over the tasks that say what success is, each counting the same; None if none does.
        interval: its 95 % bootstrap interval over problems, drawn anew within each task.
        reward: the mean over all tasks of the mean task reward, and `reward_interval` likewise.
        behind: {task: this agent's main figure less the leader's, on the same problems}; empty for the leader.
    """

    agent: str
    cells: Mapping[str, Cell]
    success: float | None
    interval: tuple[float, float] | None
    reward: float | None
    reward_interval: tuple[float, float] | None
    behind: Mapping[str, PairedDifference] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How many cells failed."""
        return sum(cell.failure is not None for cell in self.cells.values())


def rank(cells: Sequence[Cell], seed: int = 0) -> list[Standing]:
    """The standings, best first: by mean success, then by mean reward; who has a failed cell stands below the others.

    Args:
        cells: of every agent and task.
        seed: of the bootstrap.
    """
    rows: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.agent, {})[cell.task] = cell
    standings = [_stand(agent, row, seed) for agent, row in rows.items()]
    standings.sort(key=lambda one: (one.failures, -(one.success or 0.0), -_or_least(one.reward)))
    leader = standings[0]
    return [leader, *(_compare(one, leader, seed) for one in standings[1:])]


def task_reward(episode: Episode) -> float:
    """The rewards of an episode without what the form of replies is paid, which whoever idles long enough collects."""
    return float(sum(turn.reward_parts.get("task", turn.reward) for turn in episode.turns))


def main_figure(cells: Sequence[Cell]) -> str:
    """What a task is compared by: "success", or "reward" where nobody says what success is."""
    judged = any(cell.figures is not None and cell.figures["success"] is not None for cell in cells)
    return "success" if judged else "reward"


def values_of(cell: Cell, figure: str) -> list[float]:
    """The "success" or the "reward" of each problem of a cell; one that nobody judged is no success."""
    scored = by_problem([episode for episode in cell.episodes if episode.failure is None])
    return [fmean(_VALUES[figure](episode) or 0.0 for episode in tries) for tries in scored.values()]


_VALUES: dict[str, Callable[[Episode], float | None]] = {"success": value_of("success"), "reward": task_reward}


def _stand(agent: str, row: Mapping[str, Cell], seed: int) -> Standing:
    scored = [cell for cell in row.values() if cell.figures is not None]
    judged = [cell for cell in scored if cell.figures is not None and cell.figures["success"] is not None]
    return Standing(
        agent,
        row,
        success=fmean(fmean(values_of(cell, "success")) for cell in judged) if judged else None,
        interval=stratified_interval([values_of(cell, "success") for cell in judged], seed) if judged else None,
        reward=fmean(fmean(values_of(cell, "reward")) for cell in scored) if scored else None,
        reward_interval=stratified_interval([values_of(cell, "reward") for cell in scored], seed) if scored else None,
    )


def _compare(one: Standing, leader: Standing, seed: int) -> Standing:
    behind: dict[str, PairedDifference] = {}
    for task, cell in one.cells.items():
        other = leader.cells[task]
        if cell.failure is None and other.failure is None:
            value = _VALUES[main_figure([cell, other])]
            difference = pair_episodes(other.episodes, cell.episodes, value, seed)
            if difference is not None:
                behind[task] = difference
    return Standing(one.agent, one.cells, one.success, one.interval, one.reward, one.reward_interval, behind)


def stratified_interval(groups: Sequence[Sequence[float]], seed: int) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean of means: each group is drawn anew from itself.

    Efron and Tibshirani (1993), chapters 13 and 8.

    Args:
        groups: the values of each group, at least one each; every group counts the same.
        seed: of the resampling.

    Returns:
        Lower and upper end, of 95 %.

    Raises:
        ValueError: there is no group, or an empty one.
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    if not arrays or any(array.size == 0 for array in arrays):
        raise ValueError("an interval needs at least one value of each group")
    generator = np.random.default_rng(np.random.SeedSequence([seed, *(array.size for array in arrays)]))
    means = np.zeros(RESAMPLES)
    for array in arrays:
        for number in range(RESAMPLES):
            means[number] += array[generator.integers(array.size, size=array.size)].mean() / len(arrays)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


def as_document(standings: Sequence[Standing], suite: str, seed: int, mode: str) -> dict[str, Any]:
    """The standings as plain values, for JSON.

    Returns:
        "suite", "seed", "mode", and "agents", best first: "agent", "success", "interval", "reward", "reward_interval",
        "tasks": {task: figures and "task_reward", or {"failure": why}}, and "behind_leader": {task: difference,
        interval, problems, better, worse, p_value}.
    """
    rows = []
    for one in standings:
        tasks = {
            name: {"failure": cell.failure}
            if cell.figures is None
            else {**cell.figures, "task_reward": fmean(values_of(cell, "reward"))}
            for name, cell in one.cells.items()
        }
        rows.append(
            {
                "agent": one.agent,
                "success": one.success,
                "interval": one.interval,
                "reward": one.reward,
                "reward_interval": one.reward_interval,
                "tasks": tasks,
                "behind_leader": {name: asdict(difference) for name, difference in one.behind.items()},
            }
        )
    return {"suite": suite, "seed": seed, "mode": mode, "agents": rows}
