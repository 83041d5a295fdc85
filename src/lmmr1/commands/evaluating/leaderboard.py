"""`lmmr1 leaderboard AGENT ...`: agents by environments on the same seeds, in one table."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

from .. import settings
from .agents import HELP, HUMAN, load_agent

if TYPE_CHECKING:
    from lmmr1.evaluation.leaderboard.contest import Entry
    from lmmr1.evaluation.suites.suite import Suite

TEXT, PAGE, FIGURES = "leaderboard.md", "leaderboard.html", "leaderboard.json"
MODES = ("greedy", "sampled")
_EPILOG = """\
The same command again goes on where it was stopped; one agent more costs only its own episodes. With --envs
arguments of the environments can be given: --kwargs.NAME VALUE, --chat.NAME VALUE."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `leaderboard`."""
    parser = commands.add_parser(
        "leaderboard", help="rank agents over environments", epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("agents", metavar="AGENT", nargs="+", help=HELP)
    parser.add_argument("--envs", metavar="IDS", help="environments' ids, separated by commas")
    parser.add_argument("--suite", metavar="NAME", help="the tasks of a suite, or of a YAML file (default: tiny)")
    parser.add_argument("--episodes", type=int, metavar="N", help="of each environment (default: 32, or the suite's)")
    parser.add_argument("--max-turns", type=int, metavar="N", help="turns after which an episode is stopped")
    parser.add_argument("--mode", choices=MODES, default="greedy", help="how models speak (default: greedy)")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="longest reply (default: 512, or the suite's)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the problems (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where it is kept (default: in leaderboards/)")
    parser.add_argument("--again", action="store_true", help="play everything again, although it was played before")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page there as well")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Hold the contest and print the table; the exit code."""
    from lmmr1.evaluation.leaderboard.contest import hold_contest
    from lmmr1.evaluation.leaderboard.standings import as_document, rank
    from lmmr1.evaluation.leaderboard.writing import write_html, write_markdown

    from ..evaluate import play

    _check(arguments)
    suite = _suite(arguments)
    folder = arguments.out or _default_folder(suite, arguments.seed)
    if arguments.again and folder.is_dir():
        _forget(folder)
    cells = hold_contest(folder, suite, _entries(arguments.agents, suite), arguments.seed, play, _tell)
    standings = rank(cells, arguments.seed)
    document = as_document(standings, suite.name, arguments.seed, suite.modes[0])
    text = write_markdown(standings)
    names = ", ".join(task.name for task in suite.tasks)
    page = write_html(standings, "Leaderboard", f"{names}; seed {arguments.seed}, {suite.modes[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    figures = json.dumps(document, indent=1, ensure_ascii=False)
    for path, content in (
        (folder / TEXT, text),
        (folder / FIGURES, figures),
        (folder / PAGE, page),
        (arguments.json, figures),
        (arguments.html, page),
    ):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Names and reasons may hold half characters, which no file can.
            path.write_bytes(content.encode("utf-8", errors="replace"))
    print(f"{text}\n\nThe page is {folder / PAGE}")
    return 1 if all(cell.failure is not None for cell in cells) else 0


def _check(arguments: argparse.Namespace) -> None:
    for option in ("episodes", "max_turns", "max_new_tokens"):
        if vars(arguments)[option] is not None and vars(arguments)[option] < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {vars(arguments)[option]}")
    if arguments.seed < 0:
        raise UserError(f"--seed must be at least 0, not {arguments.seed}")
    if arguments.envs is not None and arguments.suite is not None:
        raise UserError("give --envs or --suite, not both")
    if arguments.envs is None and arguments.override:
        raise UserError(f"--{arguments.override[0][0]} goes with --envs")
    twice = [word for word in arguments.agents if arguments.agents.count(word) > 1]
    if twice:
        raise UserError(f"{twice[0]} is named twice: every agent takes part once")
    if HUMAN in arguments.agents and len(arguments.agents) > 1 and not sys.stdin.isatty():
        raise UserError("human needs a terminal to type at")


def _suite(arguments: argparse.Namespace) -> Suite:
    """What is played, in one mode."""
    from lmmr1.evaluation.runner import EvaluationTask
    from lmmr1.evaluation.suites.suite import Suite, load_suite

    if arguments.envs is None:
        suite = load_suite(arguments.suite or "tiny")
        suite = suite if arguments.episodes is None else suite.with_episodes(arguments.episodes)
        if arguments.max_turns is not None:
            suite = replace(suite, tasks=tuple(replace(t, max_turns=arguments.max_turns) for t in suite.tasks))
    else:
        ids = list(dict.fromkeys(id.strip() for id in arguments.envs.split(",") if id.strip()))
        if not ids:
            raise UserError("--envs names no environment: write ids separated by commas")
        tasks = tuple(
            EvaluationTask(
                id,
                "game",
                settings.environment_from(id, arguments.override),
                arguments.episodes or 32,
                arguments.max_turns,
            )
            for id in ids
        )
        suite = Suite("envs", "Environments by their ids.", tasks, max_new_tokens=512, block=32)
    if arguments.max_new_tokens is not None:
        suite = replace(suite, max_new_tokens=arguments.max_new_tokens)
    if HUMAN in arguments.agents:
        suite = replace(suite, block=1)  # a person plays one problem after the other
    return replace(suite, modes=(arguments.mode,), columns={})


def _entries(words: Sequence[str], suite: Suite) -> list[Entry]:
    from lmmr1.evaluation.leaderboard.contest import Entry

    def loader(word: str) -> Any:
        return lambda: load_agent(word, suite.max_new_tokens, suite.temperature)

    return [Entry(word, loader(word)) for word in words]


def _default_folder(suite: Suite, seed: int) -> Path:
    document = json.dumps([suite.document(), seed], sort_keys=True)
    return Path("leaderboards") / f"{suite.name}-{hashlib.sha256(document.encode()).hexdigest()[:8]}"


def _forget(folder: Path) -> None:
    """Remove the cells of an earlier contest, and nothing else."""
    for path in folder.glob("*/*/settings.json"):
        shutil.rmtree(path.parent)


def _tell(agent: str, task: str) -> None:
    if sys.stderr.isatty():
        print(f"{agent}: {task}", file=sys.stderr)
