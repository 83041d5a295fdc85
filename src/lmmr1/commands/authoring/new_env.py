"""`lmmr1 new-env NAME`: an environment of one's own, complete and small, to be changed."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from lmmr1.envs.errors import UserError

# Where each template goes, below the new folder.
_FILES = {
    "README.md.txt": "README.md",
    "pyproject.toml.txt": "pyproject.toml",
    "init.py.txt": "{package}/__init__.py",
    "env.py.txt": "{package}/env.py",
    "test.py.txt": "tests/test_{package}.py",
}
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
MOST_LETTERS = 50


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `new-env`."""
    parser = commands.add_parser("new-env", help="write an environment of your own to start from", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="such as my_game: lower-case letters, digits and underscores")
    parser.add_argument(
        "--dir", type=Path, default=Path(), metavar="D", help="make its folder in there (default: here)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write it; the exit code."""
    folder = write_package(arguments.name, arguments.dir)
    package = folder.name
    id = f"{package}:{_class_name(package)}-v0"
    print(f"Wrote {folder}: a small game, complete. Go on with")
    for line in (f"cd {folder}", f"lmmr1 check-env {id}", f"lmmr1 play {id}", f"lmmr1 train any --env {id}"):
        print(f"    {line}")
    print(f"and change {package}/env.py to a game of your own.")
    return 0


def write_package(name: str, parent: Path) -> Path:
    """Write a package from the templates.

    Args:
        name: of the package; hyphens become underscores.
        parent: the folder in which that of the package is made.

    Returns:
        The new folder.

    Raises:
        UserError: the name is no name, or is taken.
    """
    package = _package_name(name)
    if not parent.is_dir():
        raise UserError(f"--dir {parent}: there is no such folder")
    folder = parent / package
    if folder.exists():
        raise UserError(f"{folder} is there already: choose another name, or another folder with --dir")
    if importlib.util.find_spec(package) is not None:
        raise UserError(f"a module named {package} is installed here, which yours would hide: choose another name")
    values = {
        "package": package,
        "distribution": package.replace("_", "-"),
        "class_name": _class_name(package),
        "id": f"{_class_name(package)}-v0",
        "title": package.replace("_", " ").capitalize(),
    }
    templates = resources.files("lmmr1.commands.authoring") / "template"
    for source, target in _FILES.items():
        path = folder / target.format(package=package)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Template((templates / source).read_text(encoding="utf-8")).substitute(values)
        path.write_text(text, encoding="utf-8")
    return folder


def _package_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > MOST_LETTERS:
        raise UserError(
            f"NAME must be lower-case letters, digits and underscores, a letter first, {MOST_LETTERS} at most, such as "
            f"my_game; not {name[: MOST_LETTERS + 10]!r}"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise UserError(f"NAME must not be {package!r}, which is a word of Python: choose another name")
    return package


def _class_name(package: str) -> str:
    return "".join(word.capitalize() for word in package.split("_"))
