"""`lmmr1 rescore EVALUATION`: its kept episodes, paid by other rules or read by a corrected one; nobody plays."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from lmmr1.envs.errors import UserError

from .. import settings


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `rescore`."""
    epilog = "What changes: --chat.NAME VALUE, as in --chat.reward lmmr1-paper. Without, the figures come out equal."
    parser = commands.add_parser("rescore", help="score kept episodes anew", epilog=epilog, allow_abbrev=False)
    parser.add_argument("folder", metavar="EVALUATION", type=Path, help="a folder that lmmr1 evaluate made")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: EVALUATION-rescored")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score anew; the exit code."""
    from lmmr1.agents.players.replay import ReplayPlayer
    from lmmr1.evaluation.reporting.evaluation import write_evaluation_report
    from lmmr1.evaluation.runner import EvaluationTask
    from lmmr1.evaluation.session import replay_evaluation

    from ..evaluate import table

    changes = settings.environment_from("", arguments.override)
    if changes.kwargs:
        raise UserError("the worlds themselves stay as they were; what can change is --chat.NAME VALUE")
    out = arguments.out or arguments.folder.with_name(f"{arguments.folder.name}-rescored")

    def change(task: EvaluationTask) -> EvaluationTask:
        environment = task.environment
        return dataclasses.replace(
            task, environment=dataclasses.replace(environment, chat={**environment.chat, **changes.chat})
        )

    results = replay_evaluation(arguments.folder, out, change, ReplayPlayer)
    print(table(results["tasks"]))
    print(f"\nThe report is {write_evaluation_report([out], out)}")
    return 0
