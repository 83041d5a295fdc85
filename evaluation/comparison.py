"""Several agents on the same tasks, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from lmmr1.agents.base import Agent
from lmmr1.envs.isolation.pool import EnvironmentPool

from .runner import EvaluationTask, Mode, evaluate

Comparison = dict[str, dict[str, dict[str, Any]]]
Measure = Literal["success", "return"]
MEAN = "mean"


def compare(
    agents: Sequence[Agent],
    tasks: Sequence[EvaluationTask],
    seed: int,
    *,
    mode: Mode = "greedy",
    pool: EnvironmentPool | None = None,
    retries: int = 0,
    on_agent: Callable[[str], None] | None = None,
) -> Comparison:
    """Let every agent play every task, all of them the same episodes.

    Args:
        agents: who; their names must differ.
        tasks: what; their names must differ.
        seed: of the episodes.
        mode: "greedy" or "sampled".
        pool, retries: see `evaluate`.
        on_agent: called with the name of each agent when it begins.

    Returns:
        {task: {agent: figures}}, see `summarize`; JSON-able.

    Raises:
        ValueError: two agents or two tasks have the same name.
        UserError: an environment cannot be made.
    """
    names = [agent.name for agent in agents]
    if len(set(names)) != len(names):
        raise ValueError(f"the agents of a comparison need different names, not {names}")
    comparison: Comparison = {task.name: {} for task in tasks}
    for agent in agents:
        if on_agent is not None:
            on_agent(agent.name)
        for name, modes in evaluate(agent, tasks, seed, modes=(mode,), pool=pool, retries=retries).items():
            comparison[name][agent.name] = modes[mode]
    return comparison


def write_comparison(comparison: Mapping[str, Mapping[str, Mapping[str, Any]]], measure: Measure) -> str:
    """A Markdown table: a row for each task, a column for each agent, and the mean over the tasks below.

    Args:
        comparison: what `compare` returned.
        measure: "success" in percent, or the mean "return". Where nothing is known the cell says "-", and where
            episodes failed, how many: they are left out of the figure.
    """
    names = list(dict.fromkeys(name for row in comparison.values() for name in row))
    rows = [[task, *(_cell(row.get(name), measure) for name in names)] for task, row in comparison.items()]
    known = {
        name: [v for row in comparison.values() if (v := (row.get(name) or {}).get(measure)) is not None]
        for name in names
    }
    if len(comparison) > 1:
        means = [_number(fmean(known[name]), measure) if known[name] else "-" for name in names]
        rows.append([MEAN, *means])
    head = ["task", *names]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = zip(cells, widths, strict=True)
        return (
            "| " + " | ".join(f"{cell:{'>' if at else '<'}{width}}" for at, (cell, width) in enumerate(padded)) + " |"
        )

    rule = "|" + "|".join("-" * (width + 1) + (":" if at else "-") for at, width in enumerate(widths)) + "|"
    return "\n".join((line(head), rule, *(line(row) for row in rows)))


def _cell(figures: Mapping[str, Any] | None, measure: Measure) -> str:
    if figures is None:
        return "-"
    value = figures.get(measure)
    text = "-" if value is None else _number(value, measure)
    return f"{text} ({figures['failed']} failed)" if figures.get("failed") else text


def _number(value: float, measure: Measure) -> str:
    return f"{100 * value:.0f}" if measure == "success" else f"{value:.2f}"
