"""An evaluation in a folder: every episode is kept, and one that was stopped goes on where it was.

    settings.json                     the suite with all its values, the agent, the seed
    episodes/TASK/MODE/0000/          a block of problems: episodes.jsonl and images/, as `load_episodes` reads them
    results.json                      the figures, written last of all

A block appears under its name only when it is whole. What an episode is depends on the settings and its number alone,
so a run that was stopped ends with the same results, to the byte, as one that was not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmmr1.agents.base import Agent
from lmmr1.agents.episode import Episode, load_episodes, save_episodes
from lmmr1.envs.datasets import open_dataset
from lmmr1.envs.datasets.config import read_config
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.places import IsolatedEnv, Place
from lmmr1.envs.isolation.pool import EnvironmentPool

from .documents import read_as
from .runner import EvaluationTask, Mode, play_problems
from .scoring.figures import measure
from .suites.suite import Suite, plain_name

SETTINGS, RESULTS, EPISODES = "settings.json", "results.json", "episodes"
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What decides every episode of an evaluation.

    Attributes:
        suite: what is played.
        agent: who plays: its name and whatever tells it from others, such as a digest of its weights.
        seed: of the problems and of the sampling.
    """

    suite: Suite
    agent: Mapping[str, Any]
    seed: int

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"format": FORMAT, "agent": dict(self.agent), "seed": self.seed, "suite": self.suite.document()}


def run_evaluation(
    folder: Path,
    settings: Settings,
    agent: Agent,
    *,
    pool: EnvironmentPool | None = None,
    retries: int = 0,
    on_block: Callable[[str, str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Play a suite into a folder, or go on with it.

    Args:
        folder: new, or of an evaluation with the same settings.
        settings: what is played by whom.
        agent: who plays.
        pool, retries: see `lmmr1.evaluation.runner.evaluate`.
        on_block: called before each block with task, mode, and how many problems of how many are done.

    Returns:
        The content of results.json: "agent", "suite", "seed", and "tasks": {task: {mode: figures}}, see `measure`.

    Raises:
        UserError: the folder holds an evaluation with other settings, or something else; data cannot be read.
    """
    settings = replace(settings, suite=fit_to_data(settings.suite))
    _begin(folder, settings)
    if (folder / RESULTS).is_file():
        return json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    for task in settings.suite.tasks:
        places: list[Place] = []
        try:
            for mode in settings.suite.modes:
                _play_task(folder, settings, agent, task, mode, places, pool, retries, on_block)
        finally:
            for place in places:
                if not isinstance(place, IsolatedEnv):
                    place.close()
    return write_results(folder)


def fit_to_data(suite: Suite) -> Suite:
    """The suite with no more problems of a data set than it has rows.

    Raises:
        UserError: a data set cannot be read; says for which task, and how to leave it out.
    """

    def fit(task: EvaluationTask) -> EvaluationTask:
        kwargs = task.environment.kwargs
        if kwargs.get("dataset") is None:
            return task
        try:
            config = read_config(kwargs["dataset"], kwargs.get("dataset_split"))
            pictures = task.environment.id != "LMMR1/Reasoning-v0"
            rows = len(open_dataset(config, kwargs.get("split", "all"), pictures))
        except UserError as error:
            others = ",".join(other.name for other in suite.tasks if other.name != task.name)
            hint = f"; leave it out with --only {others}" if others else ""
            raise UserError(f"tasks.{task.name}: {error}{hint}") from error
        return replace(task, episodes=min(task.episodes, rows))

    return replace(suite, tasks=tuple(fit(task) for task in suite.tasks))


def _begin(folder: Path, settings: Settings) -> None:
    text = json.dumps(settings.document(), indent=1, ensure_ascii=False)
    path = folder / SETTINGS
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise UserError(f"{folder} holds an evaluation with other settings: choose another folder with --out")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something that is not an evaluation: choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, text)


def _play_task(
    folder: Path,
    settings: Settings,
    agent: Agent,
    task: EvaluationTask,
    mode: Mode,
    places: list[Place],
    pool: EnvironmentPool | None,
    retries: int,
    on_block: Callable[[str, str, int, int], None] | None,
) -> None:
    suite = settings.suite
    attempts = suite.attempts if mode == "sampled" else 1
    for number, first in enumerate(range(0, task.episodes, suite.block)):
        place = block_folder(folder, task.name, mode, number)
        if place.is_dir():
            continue
        if on_block is not None:
            on_block(task.name, mode, first, task.episodes)
        problems = range(first, min(first + suite.block, task.episodes))
        episodes = play_problems(agent, task, settings.seed, mode, places, pool, retries, problems, attempts)
        for episode in episodes:
            # Numbers of problems go through all blocks.
            episode.group = episode.key[-1] // attempts
        partial = place.with_name(f".{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        save_episodes(partial, episodes)
        os.rename(partial, place)


def block_folder(folder: Path, task: str, mode: str, number: int) -> Path:
    """Where a block of episodes is kept; a task's name may hold what a folder's may not."""
    return folder / EPISODES / plain_name(task) / mode / f"{number:04d}"


def read_settings(folder: Path) -> Settings:
    """The settings of an evaluation.

    Raises:
        UserError: the folder holds none.
    """
    try:
        document = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        agent, seed, suite = document["agent"], document["seed"], document["suite"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} is not the folder of an evaluation ({SETTINGS} cannot be read)") from error
    return Settings(read_as(Suite, suite, str(folder / SETTINGS)), agent, int(seed))


def read_episodes(folder: Path, suite: Suite, task: str, mode: str) -> list[Episode]:
    """The episodes of a task in a mode, as far as they were played."""
    episodes: list[Episode] = []
    [size] = [known.episodes for known in suite.tasks if known.name == task]
    for number in range(-(-size // suite.block)):
        place = block_folder(folder, task, mode, number)
        if place.is_dir():
            episodes += load_episodes(place)
    return episodes


def score_evaluation(folder: Path) -> dict[str, Any]:
    """The figures of an evaluation, from its episodes alone.

    Raises:
        UserError: the folder holds no evaluation, or an episode of it is damaged.
    """
    settings = read_settings(folder)
    suite, tasks, columns = settings.suite, {}, {}
    categories: dict[str, list[Episode]] = {}
    for task in suite.tasks:
        tasks[task.name] = {}
        for mode in suite.modes:
            episodes = read_episodes(folder, suite, task.name, mode)
            if episodes:
                tasks[task.name][mode] = measure(episodes, settings.seed)
            if mode == suite.modes[0]:
                categories[task.name] = episodes
    for name, column in suite.columns.items():
        chosen = [e for task in column.tasks for e in categories[task]]
        if column.categories:
            chosen = [e for e in chosen if e.facts.get("category") in column.categories]
        # Problems of different tasks are different problems.
        numbered = [replace(e, group=i) for i, e in enumerate(chosen)]
        columns[name] = measure(numbered, settings.seed).get(column.figure) if numbered else None
    return {
        "agent": dict(settings.agent),
        "suite": suite.name,
        "seed": settings.seed,
        "tasks": tasks,
        **({"columns": columns} if columns else {}),
    }


def replay_evaluation(
    folder: Path,
    out: Path,
    change: Callable[[EvaluationTask], EvaluationTask],
    player: Callable[[Sequence[Episode], str], Agent],
) -> dict[str, Any]:
    """Score the kept episodes of an evaluation anew, under changed tasks; nobody plays.

    Args:
        folder: of a complete evaluation.
        out: of the new one.
        change: what becomes of each task.
        player: makes the agent that says again what was said.

    Returns:
        The new results.

    Raises:
        UserError: the folder holds no evaluation, or `out` something else.
    """
    before = read_settings(folder)
    suite = replace(before.suite, tasks=tuple(map(change, before.suite.tasks)))
    settings = Settings(suite, before.agent, before.seed)
    _begin(out, settings)
    for task in suite.tasks:
        for mode in suite.modes:
            agent = player(read_episodes(folder, before.suite, task.name, mode), str(before.agent["name"]))
            places: list[Place] = []
            try:
                _play_task(out, settings, agent, task, mode, places, None, 0, None)
            finally:
                for place in places:
                    if not isinstance(place, IsolatedEnv):
                        place.close()
    return write_results(out)


def write_results(folder: Path) -> dict[str, Any]:
    """Score an evaluation and write results.json; the results."""
    results = score_evaluation(folder)
    _write(folder / RESULTS, json.dumps(results, indent=1, ensure_ascii=False))
    return results


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
