"""`lmmr1 check-env ID`: what is wrong with an environment, before a model is trained on it."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.commands import settings
from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.envs.checking import Finding, Limits

_EPILOG = """\
ID is a registered id, "module:id", or "module:function" for what a function or a class makes; PettingZoo environments
are checked too. Arguments of the environment: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE; how
much is tried and where warnings begin: --limits.NAME VALUE (docs/check-env.md). Exit code: 0 passed, 1 failed, 2 wrong
input."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `check-env`."""
    parser = commands.add_parser(
        "check-env", help="find what is wrong with an environment", epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("id", metavar="ID", help="an id of this package or of any Gymnasium or PettingZoo environment")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the report as JSON; - for standard output"
    )
    parser.add_argument("--quick", action="store_true", help="every check with fewer goes: some seconds")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check; the exit code."""
    from lmmr1.envs.checking import Limits, check_env
    from lmmr1.envs.checking.limits import QUICK

    groups = settings.grouped(arguments.override, "check-env", ("kwargs", "chat", "limits"))
    limits = _limits(QUICK if arguments.quick else Limits(), groups["limits"])
    file: Path | None = None if str(arguments.json) == "-" else arguments.json
    if file is not None and not file.parent.is_dir():
        raise UserError(f"--json {file}: there is no folder {file.parent}")
    tell = _tell if sys.stderr.isatty() else None
    report = check_env(arguments.id, kwargs=groups["kwargs"], chat=groups["chat"], limits=limits, on_finding=tell)
    if tell is not None:
        print("\r\x1b[K", end="", file=sys.stderr)
    if file is not None:
        file.write_text(report.to_json() + "\n", encoding="utf-8")
    print(report.table() if file is not None or arguments.json is None else report.to_json())
    return 1 if report.failures or (arguments.strict and report.warnings) else 0


def _limits(base: Limits, changes: dict[str, Any]) -> Limits:
    known = [field.name for field in dataclasses.fields(base)]
    for name in changes:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
            raise UserError(f"--limits.{name} is not a limit{meant}")
    return dataclasses.replace(base, **changes)


def _tell(finding: Finding) -> None:
    print(f"\r\x1b[Kchecked {finding.name}: {finding.verdict}", end="", file=sys.stderr, flush=True)
