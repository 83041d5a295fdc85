"""`lmmr1 compare EVALUATION EVALUATION ...`: evaluations side by side, on the same problems."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmmr1.envs.errors import UserError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `compare`."""
    parser = commands.add_parser("compare", help="set evaluations side by side", allow_abbrev=False)
    parser.add_argument("folders", metavar="EVALUATION", nargs="+", type=Path, help="folders that lmmr1 evaluate made")
    parser.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="default: comparison/")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare; the exit code."""
    from lmmr1.evaluation.reporting.evaluation import TEXT, write_evaluation_report
    from lmmr1.evaluation.session import read_settings

    if len(arguments.folders) < 2:
        raise UserError("a comparison needs two evaluations at least")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a file: name a folder")
    known = [read_settings(folder) for folder in arguments.folders]
    for folder, settings in zip(arguments.folders, known, strict=True):
        if settings.seed != known[0].seed:
            raise UserError(
                f"{folder} was played with seed {settings.seed} and {arguments.folders[0]} with {known[0].seed}:"
                " these are different problems; evaluate both with the same --seed"
            )
    page = write_evaluation_report(arguments.folders, arguments.out)
    print((arguments.out / TEXT).read_text(encoding="utf-8"))
    print(f"The report is {page}")
    return 0
