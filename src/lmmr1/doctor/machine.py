"""What this machine has: cores, memory, GPUs, a compiler; read from the system, with nothing heavy imported."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from lmmr1.envs.football.engine.core import EngineMissing
from lmmr1.envs.football.engine.process import find_python

# A lock younger than this may belong to a build that is about to start its compiler.
STARTING = 120.0


@dataclass(frozen=True)
class Gpu:
    """One GPU: its name, and its memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True)
class Machine:
    """The facts that decide what can run; sizes in bytes.

    Attributes:
        cores, memory: what this process may use, a container's limits taken into account.
        shared_memory: the size of /dev/shm, None where there is none.
        driver: the version of NVIDIA's driver, None without a GPU.
        compiler, ninja: paths of the programs that DeepSpeed compiles with.
        headers: whether the header files of this Python are installed.
        locks: lock files of builds of PyTorch extensions that no process works on.
        football: why the football engine cannot be used; None: it can.
    """

    python: str
    system: str
    cores: int
    memory: int
    shared_memory: int | None = None
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    compiler: str | None = None
    ninja: str | None = None
    headers: bool = False
    locks: tuple[Path, ...] = ()
    football: str | None = None


def read_machine() -> Machine:
    """The machine that this process runs on."""
    gpus, driver = read_gpus()
    shared = Path("/dev/shm")
    return Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=_cores(),
        memory=_memory(),
        shared_memory=shutil.disk_usage(shared).total if shared.is_dir() else None,
        gpus=gpus,
        driver=driver,
        compiler=shutil.which(os.environ.get("CXX", "g++")),
        ninja=shutil.which("ninja") or shutil.which("ninja", path=sysconfig.get_path("scripts")),
        headers=(Path(sysconfig.get_path("include")) / "Python.h").is_file(),
        locks=tuple(find_locks(_extensions())),
        football=_football(),
    )


def read_gpus(program: str = "nvidia-smi") -> tuple[tuple[Gpu, ...], str | None]:
    """The NVIDIA GPUs and their driver's version, as `nvidia-smi` tells them; none where it is missing or fails."""
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return (), None
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.count(",") == 2]
    if done.returncode or not rows:
        return (), None
    return tuple(Gpu(name, int(mebibytes) * 2**20) for name, mebibytes, _ in rows if mebibytes.isdigit()), rows[0][2]


def find_locks(root: Path) -> list[Path]:
    """The locks under the folder of PyTorch's extensions that a killed build left: every later build waits for ever.

    A build works in the folder of its lock; one that is young, or that a process of this machine works in, is not told.
    """
    busy = {_working_folder(process) for process in Path("/proc").glob("[0-9]*")}
    locks = sorted([*root.glob("*/lock"), *root.glob("*/*/lock")])
    now = time.time()
    return [lock for lock in locks if lock.parent.resolve() not in busy and now - lock.stat().st_mtime > STARTING]


def _working_folder(process: Path) -> Path | None:
    try:
        return Path(os.readlink(process / "cwd"))
    except OSError:  # it has ended, or is somebody else's
        return None


def _extensions() -> Path:
    named = os.environ.get("TORCH_EXTENSIONS_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch_extensions"


def _cores() -> int:
    count = len(os.sched_getaffinity(0)) if platform.system() == "Linux" else os.cpu_count() or 1
    quota, _, period = _limit("cpu.max").partition(" ")
    return min(count, max(1, int(quota) // int(period))) if quota.isdigit() and period.isdigit() else count


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _limit("memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def _limit(name: str) -> str:
    """A limit that a container sets, or nothing."""
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _football() -> str | None:
    try:
        find_python()
    except EngineMissing:
        return "no Python at hand has gfootball_engine"
    except ValueError as error:  # LMMR1_FOOTBALL_PYTHON names a wrong one, and the message says so
        return str(error)
    return None
