"""`lmmr1 train RECIPE`: run all stages of a recipe into a folder, or go on with a run that was stopped."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from lmmr1.envs.errors import UserError

from . import settings
from .disk import DiskFullError, describe, is_disk_full

if TYPE_CHECKING:
    from lmmr1.agents.policy import PolicyAgent
    from lmmr1.envs.isolation.places import Place
    from lmmr1.training.config import EvaluationConfig, RunConfig

State = Literal["new", "begun", "unfinished", "complete", "foreign"]

_EPILOG = """\
Every value of the recipe can be changed: --stages.fre.iterations 5 --stages.fre.optimizer.learning_rate 1e-4
--stages.fre.environments.0.kwargs.level 2 --evaluation.tasks.text.episodes 64. Values are read as YAML.
--seed S and --model M are such keys too (--model is short for --model.path, --engine for --engine.kind). --env ID lets
every stage play another environment, "my_pkg:My-v0" or '{id: FrozenLake-v1, kwargs: {is_slippery: false}}', and judges
on it alone; the recipe `any` is made for that."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `train`."""
    parser = commands.add_parser("train", help="train a model by a recipe", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's name (see lmmr1 recipes) or a YAML file")
    parser.add_argument("--run-dir", type=Path, help="the folder of the run (default: runs/NAME)")
    parser.add_argument(
        "--resume",
        nargs="?",
        choices=("auto",),
        const=True,
        help="go on with the unfinished run in the folder; 'auto': start one where there is none",
    )
    parser.add_argument(
        "--allow-changes",
        action="store_true",
        help="with --resume: go on although values of the recipe differ from those that the run was started with",
    )
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; the exit code."""
    from lmmr1.training.recipe import load_recipe

    recipe = load_recipe(arguments.recipe, arguments.override)
    folder = arguments.run_dir or Path("runs") / recipe.name
    state = state_of(folder)
    if arguments.allow_changes and not arguments.resume:
        raise UserError("--allow-changes has a meaning with --resume only: add that, or leave it out")
    _check_start(folder, state, arguments.resume)
    if state in ("unfinished", "complete") and not arguments.allow_changes:
        _check_same(recipe, folder)
    if state == "complete":
        if not (folder / "report.html").is_file():  # it was stopped between its last stage and the report
            _report(recipe, folder)
        print(f"{folder} is complete: see {folder / 'report.html'}. To run it again from the start, remove the folder")
        print("or choose another one with --run-dir.")
        return 0
    print(f"{'Going on with' if state == 'unfinished' else 'Training'} {recipe.name} in {folder}: {recipe.help}")
    again = _command_to_resume(arguments, folder)
    return _train(recipe, folder, state == "unfinished", arguments.allow_changes, again)


def state_of(folder: Path) -> State:
    """What a folder holds: nothing, a run without, with some or with all results, or something that is no run."""
    if not folder.exists():
        return "new"
    if not folder.is_dir():
        return "foreign"
    if (folder / "summary.json").is_file():  # written last of all
        return "complete"
    if (folder / "recipe.yaml").is_file():
        return "unfinished" if any((folder / "checkpoints").glob("[0-9]*")) else "begun"
    return "foreign" if any(folder.iterdir()) else "new"


def _check_start(folder: Path, state: State, resume: Literal[True, "auto"] | None) -> None:
    if state == "foreign":
        raise UserError(f"{folder} holds something that is not a run: choose another folder with --run-dir")
    if resume is None and state == "unfinished":
        raise UserError(f"{folder} holds an unfinished run: go on with --resume, or choose another --run-dir")
    if resume is None and state == "complete":
        raise UserError(f"{folder} holds a complete run: choose another --run-dir, or remove the folder")
    if resume is True and state == "new":
        raise UserError(f"there is no run to resume in {folder}: leave --resume out, or write --resume auto")


def _check_same(recipe: RunConfig, folder: Path) -> None:
    from lmmr1.training.recipe import differences, load_recipe

    changed = differences(load_recipe(str(folder / "recipe.yaml")), recipe)
    if changed:
        told = "; ".join(f"{key}: {old!r} and now {new!r}" for key, (old, new) in changed.items())
        raise UserError(
            f"the run in {folder} was started with another recipe ({told}): resume it with its own values, add "
            "--allow-changes to go on with these, or choose another --run-dir"
        )


def _command_to_resume(arguments: argparse.Namespace, folder: Path) -> str:
    pairs = [word for key, value in arguments.override for word in (f"--{key}", value)]
    changes = ["--allow-changes"] if arguments.allow_changes else []
    return shlex.join(["lmmr1", "train", arguments.recipe, "--run-dir", str(folder), "--resume", *changes, *pairs])


def _train(recipe: RunConfig, folder: Path, resume: bool, allow_changes: bool, command_to_resume: str) -> int:
    from lmmr1.agents.streaming.calls import EngineLostError
    from lmmr1.training.backends.base import LostError
    from lmmr1.training.guards import GuardError
    from lmmr1.training.run import train

    from .evaluate import evaluate_policy

    # The same worlds at each evaluation: made once.
    environments: dict[str, list[Place]] = {}

    def evaluate(policy: PolicyAgent, config: EvaluationConfig, seed: int, samples: Path | None) -> dict[str, Any]:
        return evaluate_policy(policy, config, seed, samples, environments)

    before = signal.signal(signal.SIGTERM, _interrupt)  # how batch systems take a machine back
    try:
        summary = train(recipe, folder, evaluate=evaluate, resume=resume, allow_changes=allow_changes)
        _report(recipe, folder)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: {command_to_resume}", file=sys.stderr)
        return 130
    except GuardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (LostError, EngineLostError) as error:
        print(f"error: {error}; go on with: {command_to_resume}", file=sys.stderr)
        return 1
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise DiskFullError(f"{describe(error)}; make room, then go on with: {command_to_resume}") from error
    finally:
        signal.signal(signal.SIGTERM, before)
    from lmmr1.evaluation.reporting.tables import print_table

    print(f"\n{print_table(summary['evaluations'])}\n\nThe report is {folder / 'report.html'}")
    return 0


def _report(recipe: RunConfig, folder: Path) -> None:
    from lmmr1.evaluation.reporting.films import record_films
    from lmmr1.evaluation.reporting.report import write_report

    if recipe.films and recipe.evaluation.tasks:
        record_films(folder, ["start", *recipe.stages], recipe.films, recipe.name)
    write_report(folder)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
