"""`lmmr1 doctor`: what is installed, what works together, what is missing, and the command for it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sysconfig
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmmr1.doctor.capabilities import Diagnosis
    from lmmr1.doctor.machine import Machine
    from lmmr1.doctor.trials import Trial

_EPILOG = """\
Nothing is imported to find a version; --try starts things for real, each in a process of its own.
Exit code 1: something that is installed does not work, a trial failed, or what --need names is not there."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, what works together, and what to run for the rest",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--need", nargs="+", default=[], metavar="NAME", help="fail unless these are there: vllm ray ..."
    )
    parser.add_argument(
        "--try", dest="trials", action="store_true", help="start the engine, the backend and Ray for real"
    )
    parser.add_argument("--repair", action="store_true", help="put right what can be, and say what was done")
    parser.add_argument("--json", action="store_true", help="print it for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, repair if that is asked for, and tell; the exit code."""
    from lmmr1.doctor.capabilities import CAPABILITIES, diagnose
    from lmmr1.doctor.machine import read_machine
    from lmmr1.doctor.packages import read_packages
    from lmmr1.doctor.repair import repair
    from lmmr1.envs.errors import UserError

    names = [capability.name for capability in CAPABILITIES]
    unknown = [name for name in arguments.need if name not in names]
    if unknown:
        raise UserError(f"--need {unknown[0]}: no such capability; there are {', '.join(names)}")
    site = Path(sysconfig.get_path("purelib"))
    done: list[str] = []
    if arguments.repair:
        done = repair(read_packages(), site, list(read_machine().locks), quiet=arguments.json)
    diagnosis = diagnose(read_packages(), read_machine(), site)
    trials = _try(diagnosis, quiet=arguments.json) if arguments.trials else []
    healthy = diagnosis.is_healthy(arguments.need) and all(trial.passed for trial in trials)
    if arguments.json:
        print(json.dumps(_as_json(diagnosis, done, trials, healthy), indent=2))
        return 0 if healthy else 1
    if arguments.repair:
        print(
            "\n".join(["Repaired", *(f"  {line}" for line in done or ["nothing: there was nothing to put right"]), ""])
        )
    print(describe(diagnosis, shutil.get_terminal_size().columns))
    missing = [name for name in arguments.need if name in _absent(diagnosis)]
    if missing:
        print(f"\nNeeded and not there: {', '.join(missing)}")
    return 0 if healthy else 1


def describe(diagnosis: Diagnosis, width: int) -> str:
    """The diagnosis as plain text of at most `width` columns, where the words allow it."""
    parts = [
        ("This machine", _machine(diagnosis.machine, width)),
        ("Packages", _packages(diagnosis, width)),
        ("What works", _verdicts(diagnosis, width)),
    ]
    if diagnosis.problems:
        lines = []
        for problem in diagnosis.problems:
            mark = "broken " if problem.blocks else "warning"
            lines += _wrap(f"  {mark}  ", problem.text, width) + _wrap("           run: ", problem.command, width, 11)
        parts.append(("What is wrong", lines))
    return "\n\n".join("\n".join([title, *lines]) for title, lines in parts)


def _machine(machine: Machine, width: int) -> list[str]:
    gpus = [f"{gpu.name} ({gpu.memory / 2**30:.0f} GiB)" for gpu in machine.gpus]
    shared = "none" if machine.shared_memory is None else f"{machine.shared_memory / 2**30:.1f} GiB"
    facts = {
        "Python": machine.python,
        "system": machine.system,
        "cores": str(machine.cores),
        "memory": f"{machine.memory / 2**30:.1f} GiB, /dev/shm {shared}",
        "GPUs": f"{', '.join(gpus)}; driver {machine.driver}" if gpus else "none",
        "compiler": f"g++ {machine.compiler or 'missing'}, ninja {machine.ninja or 'missing'}, "
        f"headers of Python {'there' if machine.headers else 'missing'}",
    }
    return [line for name, fact in facts.items() for line in _wrap(f"  {name:9s}", fact, width)]


def _packages(diagnosis: Diagnosis, width: int) -> list[str]:
    lines = []
    names = max(len(row.package) for row in diagnosis.rows)
    extras = max(len(row.extra) for row in diagnosis.rows)
    versions = max(len(row.installed or "-") for row in diagnosis.rows)
    before = None
    for row in diagnosis.rows:
        extra = "" if row.extra == before else row.extra
        state = "" if row.installed is None or row.fits else "  does not fit"
        line = f"  {extra:{extras}s}  {row.package:{names}s}  {row.installed or '-':{versions}s}  {row.wanted}{state}"
        lines.append(line.rstrip())
        before = row.extra
    return lines


def _verdicts(diagnosis: Diagnosis, width: int) -> list[str]:
    lines = []
    titles = max(len(verdict.capability.title) for verdict in diagnosis.verdicts)
    for verdict in diagnosis.verdicts:
        start = f"  {verdict.capability.title:{titles}s}  {verdict.state:6s}  "
        if verdict.state == "yes":
            lines.append(start.rstrip())
        else:
            lines += _wrap(
                start, f"{verdict.reason}: {verdict.command}" if verdict.state == "no" else verdict.reason, width
            )
    return lines


def _wrap(start: str, text: str, width: int, indent: int | None = None) -> list[str]:
    margin = " " * (len(start) if indent is None else indent)
    # A path or a command that is cut in two cannot be copied.
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=start,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _absent(diagnosis: Diagnosis) -> list[str]:
    return [verdict.capability.name for verdict in diagnosis.verdicts if verdict.state != "yes"]


def _try(diagnosis: Diagnosis, quiet: bool) -> list[Trial]:
    """Start what is installed; a line for each as it ends."""
    from lmmr1.doctor.trials import TRIALS, try_it

    states = {verdict.capability.name: verdict.state for verdict in diagnosis.verdicts}
    trials = []
    for name in TRIALS:
        if states[name] == "no":
            continue
        trials.append(try_it(name))
        if not quiet:
            told = "works" if trials[-1].passed else "FAILED"
            print(f"  tried {name:10s} {told}, {trials[-1].seconds:.0f} s: {trials[-1].text}", flush=True)
    if not quiet:
        print()
    return trials


def _as_json(diagnosis: Diagnosis, done: Sequence[str], trials: Sequence[Trial], healthy: bool) -> dict[str, Any]:
    machine = dataclasses.asdict(diagnosis.machine)
    machine["locks"] = [str(lock) for lock in diagnosis.machine.locks]
    return {
        "healthy": healthy,
        "machine": machine,
        "packages": [dataclasses.asdict(row) for row in diagnosis.rows],
        "capabilities": {
            verdict.capability.name: {"state": verdict.state, "reason": verdict.reason, "command": verdict.command}
            for verdict in diagnosis.verdicts
        },
        "problems": [dataclasses.asdict(problem) for problem in diagnosis.problems],
        "repaired": list(done),
        "trials": [dataclasses.asdict(trial) for trial in trials],
    }
