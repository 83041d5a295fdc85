"""`lmmr1 doctor --repair`: what can be put right without choosing versions for the user."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lmmr1.envs.errors import UserError

from . import torchvision_operators
from .packages import Packages

# What pip brings along with vLLM and what is of no use beside a CPU build of PyTorch.
CUDA_ONLY = ("torchaudio", "torchcodec", "triton")
HOOK = "lmmr1_torchvision_operators"
_LINE = f"import {HOOK}; {HOOK}.install()\n"


def is_torch_for_cpu(packages: Packages) -> bool:
    """Whether PyTorch is there and was built for the CPU alone."""
    return "torch" in packages and packages["torch"].build == "cpu"


def needs_hook(packages: Packages) -> bool:
    """Whether torchvision was built for CUDA and PyTorch was not."""
    return is_torch_for_cpu(packages) and "torchvision" in packages and packages["torchvision"].build.startswith("cu")


def has_hook(site: Path) -> bool:
    """Whether the hook is in a folder of site-packages, as this version of it is."""
    source = Path(torchvision_operators.__file__).read_bytes()
    files = {site / f"{HOOK}.py": source, site / f"{HOOK}.pth": _LINE.encode()}
    return all(path.is_file() and path.read_bytes() == content for path, content in files.items())


def superfluous(packages: Packages) -> list[str]:
    """The packages to uninstall beside a CPU build of PyTorch."""
    return [name for name in CUDA_ONLY if name in packages] if is_torch_for_cpu(packages) else []


def uninstall_command(names: list[str]) -> list[str]:
    """How pip of this interpreter removes packages."""
    return [sys.executable, "-m", "pip", "uninstall", "--yes", *names]


def repair(
    packages: Packages,
    site: Path,
    locks: list[Path],
    quiet: bool = False,
    run: Callable[[list[str]], int] | None = None,
) -> list[str]:
    """Put right what can be; a line for each thing done.

    Args:
        packages: what is installed.
        site: the folder of site-packages that the hook goes into.
        locks: lock files that a killed build left behind; the folders that they lie in are half-built and are removed.
        quiet: whether pip keeps silent.
        run: runs a command and returns its exit code; in a process by default.

    Raises:
        UserError: a file cannot be written, or pip fails.
    """
    done = []
    try:
        if needs_hook(packages) and not has_hook(site):
            shutil.copyfile(torchvision_operators.__file__, site / f"{HOOK}.py")
            (site / f"{HOOK}.pth").write_text(_LINE, encoding="utf-8")
            done.append(f"wrote {site / HOOK}.pth and .py: torchvision (CUDA) can be imported beside PyTorch (CPU)")
        for lock in locks:
            shutil.rmtree(lock.parent)
            done.append(f"removed {lock.parent}: a build that was killed had left its lock there")
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; run the command as a user who may write there") from error
    names = superfluous(packages)
    if names:
        command = uninstall_command(names)
        if (run or _run)([*command, "--quiet"] if quiet else command):
            raise UserError(f"pip could not uninstall {', '.join(names)}: do it by hand, {' '.join(command)}")
        done.append(f"uninstalled {', '.join(names)}: built for CUDA, of no use beside PyTorch for the CPU")
    return done


def _run(command: list[str]) -> int:
    return subprocess.run(command).returncode
