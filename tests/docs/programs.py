"""What a command in the docs is held to: lmmr1's by its own parser and recipes, others by what can be looked up."""

from __future__ import annotations

import argparse
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from lmmr1.cli import build_parser
from lmmr1.commands import settings

from .messages import ROOT

# Cheap, and the same wherever they run: these are run for real.
RUN = {"envs", "recipes", "grade", "size", "dataset", "--version"}
# Other people's programs, whose words nobody here can check.
FOREIGN = {"git", "cd", "export", "source", "apt-get", "ray", "hf", "ls", "cat", "cp", "rm", "mkdir", "docker", "kill"}
FOREIGN |= {"pytest", "curl", "echo"}
PYTHONS = re.compile(r"(\S*/)?python3?(\.\d+)?$")
PIPS = re.compile(r"(\S*/)?pip3?$")


class WrongCommandError(AssertionError):
    """A command of the docs that would not work."""


def check(words: list[str], folder: Path, here: bool = True) -> str:
    """Hold a command to what is known of it.

    Args:
        words: the command.
        folder: where it would run.
        here: whether what it needs is here, so that a recipe's environments can be made.

    Returns:
        "run" where it is one to be run, "parsed" where it was held to a parser or a table, "foreign" elsewhere.

    Raises:
        WrongCommandError: it would not work.
    """
    while words and re.match(r"[A-Z_]+=", words[0]):  # variables before the command
        words = words[1:]
    if not words:
        return "parsed"
    program, rest = words[0], words[1:]
    if program == "lmmr1" or program.endswith("/lmmr1"):
        return check_own(rest, folder, here)
    if PYTHONS.match(program):
        if rest[:2] == ["-m", "lmmr1"]:
            return check_own(rest[2:], folder, here)
        return "foreign" if rest[:1] == ["-m"] else check_script(rest, folder)
    if PIPS.match(program):
        return check_pip(rest)
    if program == "make":
        return check_make(rest)
    if program == "sbatch":
        scripts = [word for word in rest if word.endswith(".sbatch")]
        return need(bool(scripts) and (ROOT / scripts[0]).is_file(), f"there is no {scripts}")
    if program.startswith(".ci/"):
        return need((ROOT / program).is_file(), f"there is no {program}")
    need(program in FOREIGN, f"{program} is not known: mark the block, or add it to FOREIGN")
    return "foreign"


def need(holds: bool, problem: str) -> str:
    """Raise unless it holds."""
    if not holds:
        raise WrongCommandError(problem)
    return "parsed"


def check_own(words: list[str], folder: Path, here: bool) -> str:
    """A command of ours: its options by its parser, a recipe's keys by the recipe."""
    if words in (["--version"], ["--help"]):
        return "run"
    try:
        arguments = build_parser().parse_args(settings.gather(words))
    except Exception as error:
        raise WrongCommandError(f"lmmr1 {' '.join(words)}: {error}") from error
    if words[0] in ("train", "size"):
        check_recipe(arguments, folder, here)
    named = [word for word in words[1:] if re.search(r"\.(jsonl|parquet)$", word)]
    return "run" if words[0] in RUN and all((folder / name).is_file() for name in named) else "parsed"


def check_recipe(arguments: argparse.Namespace, folder: Path, here: bool) -> None:
    """A recipe that ships, or lies in the page, takes the keys that the command gives it."""
    from lmmr1.envs.errors import UserError
    from lmmr1.training import recipe

    if arguments.recipe is None:
        return  # the command names an environment instead
    place = folder / arguments.recipe
    if place.is_file() or arguments.recipe in recipe.recipe_names():
        named = str(place) if place.is_file() else arguments.recipe
        try:
            if here:
                recipe.load_recipe(named, arguments.override)
            else:  # its keys and values; its data sets cannot be had
                recipe._read(recipe.find_recipe(named), arguments.override, named)
        except UserError as error:
            if here or "cannot import the module" not in str(error):  # the page itself makes that module
                raise WrongCommandError(str(error)) from error
        return
    # A run's own recipe, which is there once the run is.
    need(arguments.recipe.endswith("recipe.yaml"), f"there is no recipe {arguments.recipe}")


def check_script(words: list[str], folder: Path) -> str:
    """A script of this repository, and the options that it, or what it imports beside it, knows."""
    script = ROOT / words[0]
    need(script.is_file() or (folder / words[0]).is_file(), f"there is no script {words[0]}")
    source = script.read_text(encoding="utf-8")
    for name in re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE):
        beside = script.with_name(f"{name}.py")
        source += beside.read_text(encoding="utf-8") if beside.is_file() else ""
    for word in words[1:]:
        option = word.split("=")[0]
        if option == "--":
            break
        need(not option.startswith("--") or f'"{option}"' in source, f"{words[0]} has no option {option}")
    return "parsed"


def check_pip(words: list[str]) -> str:
    """The extras of this package that are to be installed."""
    try:
        known = set(metadata("lmmr1").get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        known = set()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"(?:lmmr1|\.)\[([\w,-]+)\]", " ".join(words)):
        for extra in extras.split(","):
            there = re.search(rf"^{extra} = \[", project, re.MULTILINE) or extra in known
            need(bool(there), f"there is no extra {extra}")
    return "parsed"


def check_make(words: list[str]) -> str:
    """A target of the Makefile, and variables that it has."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, equals, _ = word.partition("=")
        pattern = rf"^{name} \??=" if equals else rf"^{name}:"
        need(re.search(pattern, makefile, re.MULTILINE) is not None, f"the Makefile knows no {name}")
    return "parsed"
