"""Episodes that a run or an evaluation kept: found by their folder, chosen by task, stage, mode and outcome."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.agents.episode import Episode

PICKS = {"solved": True, "unsolved": False}


@dataclass(frozen=True)
class Kept:
    """Episodes and where they are from, in a word or two."""

    name: str
    episodes: list[Episode]


def holds_episodes(folder: Path) -> bool:
    """Whether a folder is an evaluation, or one of episodes themselves; a run may be filmed live as well."""
    return (folder / "settings.json").is_file() or (folder / "episodes.jsonl").is_file()


def read_kept(folder: Path, stage: str | None, task: str | None, mode: str | None) -> Kept:
    """The kept episodes of a folder.

    Args:
        folder: of a run, of an evaluation, or the one that holds episodes.jsonl.
        stage: after which stage of a run; None: the last one that left any.
        task: only those of this task; None: all of a run, the first one of an evaluation.
        mode: "greedy" or "sampled", of an evaluation; None: the first one that it has.

    Raises:
        UserError: there are none, or a name is not among them.
    """
    from lmmr1.agents.episode import load_episodes

    if (folder / "settings.json").is_file():
        return _read_evaluation(folder, task, mode)
    if mode is not None:
        raise UserError("--mode goes with an evaluation")
    run, name = folder, folder.name
    if not (folder / "episodes.jsonl").is_file():
        folder = _stage_folder(folder, stage)
        stage = folder.relative_to(run / "episodes").as_posix()
        name = "before training" if stage == "start" else stage if "/" in stage else f"after {stage}"
    episodes = load_episodes(folder)
    tasks = list(dict.fromkeys(episode.env_id for episode in episodes))
    if task is not None and task not in tasks:
        raise UserError(f"{folder} has no episodes of {task!r}; it has {', '.join(tasks) or 'none'}")
    return Kept(name, [episode for episode in episodes if task in (None, episode.env_id)])


def _stage_folder(run: Path, stage: str | None) -> Path:
    root = run / "episodes"
    found = {path.parent.relative_to(root).as_posix(): path.parent for path in root.glob("*/episodes.jsonl")}
    if not found:
        raise UserError(f"{run} keeps no episodes (episodes/STAGE/episodes.jsonl is missing)")
    if stage is None:
        return max(found.values(), key=lambda folder: (folder / "episodes.jsonl").stat().st_mtime_ns)
    # Those that were learned from lie one deeper, as STAGE-training/ITERATION.
    found |= {path.parent.relative_to(root).as_posix(): path.parent for path in root.glob("*/*/episodes.jsonl")}
    if stage not in found:
        raise UserError(f"{run} keeps no episodes of {stage!r}; it has {', '.join(sorted(found))}")
    return found[stage]


def _read_evaluation(folder: Path, task: str | None, mode: str | None) -> Kept:
    from lmmr1.evaluation.session import read_episodes, read_settings

    settings = read_settings(folder)
    tasks, modes = [known.name for known in settings.suite.tasks], list(settings.suite.modes)
    if task is not None and task not in tasks:
        raise UserError(f"the evaluation has no task {task!r}; it has {', '.join(tasks)}")
    if mode is not None and mode not in modes:
        raise UserError(f"the evaluation has no mode {mode!r}; it has {', '.join(modes)}")
    episodes = read_episodes(folder, settings.suite, task or tasks[0], mode or modes[0])
    if not episodes:
        raise UserError(f"{folder} keeps no episodes of {task or tasks[0]}, {mode or modes[0]} yet")
    return Kept(str(settings.agent["name"]), episodes)


def pick(episodes: Sequence[Episode], wish: str | None, count: int) -> list[Episode]:
    """Some episodes: the first ones, the first solved or unsolved ones, or those of some problems.

    Args:
        episodes: all.
        wish: None, "solved", "unsolved", or the numbers of problems from 0, "3,17".
        count: how many at most; numbers are taken as they are.

    Raises:
        UserError: the wish is none of those, or there is no such episode.
    """
    if wish is None:
        return list(episodes)[:count]
    if wish in PICKS:
        chosen = [episode for episode in episodes if episode.success is PICKS[wish]]
        if not chosen:
            raise UserError(f"none of the {len(episodes)} episodes is {wish}")
        return chosen[:count]
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", wish):
        raise UserError(f"--pick {wish}: write solved, unsolved, or numbers of problems such as 3,17")
    by_number = {episode.key[-1]: episode for episode in reversed(episodes)}
    missing = [number for number in wish.split(",") if int(number) not in by_number]
    if missing:
        known = ", ".join(str(number) for number in sorted(by_number)[:20])
        raise UserError(f"there is no episode of problem {missing[0]}; there are {known}")
    return [by_number[int(number)] for number in wish.split(",")]
