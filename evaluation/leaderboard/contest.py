"""Agents play the tasks, each cell an evaluation of its own: one that fails costs only itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmmr1.agents.base import Agent

from ..runner import EvaluationTask, Mode
from ..session import Settings, read_episodes
from ..suites.suite import Suite, plain_name
from .standings import Cell

LONGEST_REASON = 200


@dataclass(frozen=True)
class Entry:
    """Somebody who takes part.

    Attributes:
        name: in the table, unless two agents call themselves the same.
        load: makes the agent and says who it is in plain values.
    """

    name: str
    load: Callable[[], tuple[Agent, Mapping[str, Any]]]


def hold_contest(
    folder: Path,
    suite: Suite,
    entries: Sequence[Entry],
    seed: int,
    play: Callable[[Path, Settings, Agent], Mapping[str, Any]],
    on_cell: Callable[[str, str], None] | None = None,
) -> list[Cell]:
    """Let every agent play every task, on the same problems.

    Args:
        folder: each cell is kept in FOLDER/AGENT/TASK and not played again; one that was stopped goes on.
        suite: what is played, in one mode.
        entries: who.
        seed: of the problems and of the sampling.
        play: plays one evaluation into its folder and returns its results, as `run_evaluation` does.
        on_cell: called with agent and task before each cell.

    Returns:
        A cell for each agent and task. Where an agent cannot be loaded, an environment cannot be made or something
        breaks, its `failure` says so; only Ctrl-C stops the contest.
    """
    cells: list[Cell] = []
    taken: set[str] = set()
    for entry in entries:
        try:
            agent, identity = entry.load()
        except Exception as error:  # whatever loading a model or a script of the user's may raise
            taken.add(entry.name)
            cells += [Cell(entry.name, task.name, failure=_reason(error)) for task in suite.tasks]
            continue
        name = str(identity["name"])
        name = entry.name if name in taken else name
        taken.add(name)
        digest = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()[:8]
        own = folder / f"{plain_name(name)}-{digest}"
        for task in suite.tasks:
            if on_cell is not None:
                on_cell(name, task.name)
            cells.append(_play_cell(own / plain_name(task.name), suite, task, name, agent, identity, seed, play))
    return cells


def _play_cell(
    folder: Path,
    suite: Suite,
    task: EvaluationTask,
    name: str,
    agent: Agent,
    identity: Mapping[str, Any],
    seed: int,
    play: Callable[[Path, Settings, Agent], Mapping[str, Any]],
) -> Cell:
    mode: Mode = suite.modes[0]
    settings = Settings(replace(suite, tasks=(task,), columns={}, modes=(mode,)), identity, seed)
    try:
        figures = play(folder, settings, agent)["tasks"].get(task.name, {}).get(mode)
        episodes = read_episodes(folder, settings.suite, task.name, mode)
    except Exception as error:  # a world or an agent of the user's may raise anything
        return Cell(name, task.name, failure=_reason(error))
    if figures is None or not figures["episodes"]:
        reasons = ", ".join(figures.get("failures", {})) if figures else ""
        return Cell(name, task.name, failure=f"every episode failed: {reasons}"[:LONGEST_REASON])
    return Cell(name, task.name, figures, None, episodes)


def _reason(error: Exception) -> str:
    told = " ".join(str(error).split())
    return (told or type(error).__name__)[:LONGEST_REASON]
