"""Evaluators whose versions fit with nothing else: each lives in a virtual environment of its own, made once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmmr1.envs.errors import UserError

# In a venv torch is asked for by the exact version that is here: asked for a range, pip may take a far larger build
# of it.
TORCH = "2.13.0"


@dataclass(frozen=True)
class Tool:
    """An evaluator and what has to be right around it.

    Attributes:
        name: as its package is called.
        version: the one that is known to work.
        requirements: what pip installs beside it, torch first.
        removed: packages that are uninstalled again.
        files: what is written into site-packages, by path.
    """

    name: str
    version: str
    requirements: tuple[str, ...]
    removed: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def torch_version() -> str:
    """The version of torch that is installed here, without its build."""
    try:
        return importlib.metadata.version("torch").partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return TORCH


LMMS_EVAL = Tool(
    "lmms-eval",
    "0.7.3",
    # It reaches into a module of filelock that version 4 has no longer.
    # gymnasium is for the policy that may live in its process (inside/lmms_model.py).
    ("lmms-eval==0.7.3", "math-verify==0.9.0", "filelock<4", "gymnasium"),
    # torchvision comes as a CUDA build, which cannot be imported beside a CPU torch. The latex2sympy2 that pip finds
    # cannot
    # be imported at all; tasks that ask for it find the one that is kept under its name.
    removed=("torchvision", "latex2sympy2"),
    files=(("latex2sympy2.py", "from latex2sympy2_extended.latex2sympy import *  # noqa: F403\n"),),
)
LIGHTEVAL = Tool(
    "lighteval",
    "0.13.0",
    # xxhash 4 refuses the texts that it is given here, and later versions of litellm lack the cache that it sets up.
    (
        *("lighteval[litellm]==0.13.0", "xxhash<4", "litellm==1.99.4"),
        # Exact, or pip looks for many minutes for versions that go together.
        *("openai==2.24.0", "aiohttp==3.14.5", "aiobotocore==3.10.0", "botocore==1.43.117", "s3fs==2026.6.0"),
        *("fsspec==2026.6.0", "transformers==5.23.0", "huggingface_hub==1.33.0", "tokenizers==0.23.3"),
        *("datasets==5.2.0", "inspect-ai==0.3.285", "importlib_metadata==8.5.0"),
    ),
    # Its registry imports every task, and one of them fetches this file; that it exists is all that is looked at.
    files=(("lighteval/tasks/tasks/tinyBenchmarks.pkl", ""),),
)
TOOLS = {tool.name: tool for tool in (LMMS_EVAL, LIGHTEVAL)}


def find_tool(name: str) -> Tool:
    """An evaluator by its name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in TOOLS:
        raise UserError(f"--via {name}: there is no such evaluator; choose from {', '.join(TOOLS)}")
    return TOOLS[name]


def environments_folder() -> Path:
    """Where the environments are: $LMMR1_ENVIRONMENTS, or a folder in the user's cache."""
    given = os.environ.get("LMMR1_ENVIRONMENTS")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "lmmr1" / "environments"


def place_of(tool: Tool) -> Path:
    """The folder of an evaluator's environment; its name changes with all that decides what is in it."""
    decisive = (tool, torch_version(), sys.version_info[:2])
    return (
        environments_folder() / f"{tool.name}-{tool.version}-{hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]}"
    )


def prepare(tool: Tool, on_start: Callable[[str], None] | None = None) -> Path:
    """The Python of an evaluator's environment, which is made where it is missing; one that was begun is made anew.

    Args:
        tool: which.
        on_start: called with a line to show before anything is installed.

    Raises:
        UserError: pip could not install it; says why.
    """
    folder, torch = place_of(tool), f"torch=={torch_version()}"
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if done.is_file():
        return python
    if on_start is not None:
        on_start(f"Installing {tool.name} {tool.version} into {folder} (some minutes, once) ...")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], tool)
    # torch alone first: its wheel may lie elsewhere than the rest.
    _run([str(python), "-m", "pip", "install", "--quiet", torch], tool)
    _run([str(python), "-m", "pip", "install", "--quiet", torch, *tool.requirements], tool)
    if tool.removed:
        _run([str(python), "-m", "pip", "uninstall", "--quiet", "--yes", *tool.removed], tool)
    where = _run([str(python), "-c", "import site; print(site.getsitepackages()[0])"], tool).strip()
    for path, text in tool.files:
        (Path(where) / path).write_text(text, encoding="utf-8")
    done.touch()
    return python


def _run(command: list[str], tool: Tool) -> str:
    # What this process's Python was told of paths is not for another one.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"the environment of {tool.name} cannot be made: {' '.join(command[1:4])} ...: {reason}")
    return done.stdout


if __name__ == "__main__":
    for one in TOOLS.values():
        print(f"{one.name}: {prepare(one, lambda line: print(line, flush=True))}")
