"""What a user can do with what is installed, and if not, the command that gets there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from lmmr1.envs.errors import UserError

from .machine import Machine
from .packages import Package, Packages, satisfies
from .problems import Problem, conflicts, find_problems


@dataclass(frozen=True)
class Capability:
    """Something that extras bring: its short name, what it is, and the extras, any one of which is enough."""

    name: str
    title: str
    extras: tuple[str, ...]


CAPABILITIES = (
    Capability("train", "train a model", ("train",)),
    Capability("vllm", "vLLM engine", ("vllm", "vllm-cpu")),
    Capability("deepspeed", "DeepSpeed backend", ("deepspeed",)),
    Capability("ray", "Ray launcher", ("ray",)),
    Capability("lora", "LoRA adapters", ("lora",)),
    Capability("math", "math answers", ("math",)),
    Capability("fast", "compiled Sokoban and kernels", ("fast",)),
    Capability("football", "football", ()),
    Capability("window", "window, PettingZoo", ("games",)),
    Capability("films", "films", ("video",)),
    Capability("report", "report", ("report",)),
    Capability("datasets", "data sets", ("datasets",)),
    Capability("reasoning-gym", "reasoning-gym", ("reasoning-gym",)),
    Capability("wandb", "Weights & Biases", ("wandb",)),
)
# The extras that train a model; what the others do needs no model.
LEARNING = ("vllm", "deepspeed", "ray", "lora")


@dataclass(frozen=True)
class Row:
    """One requirement of one extra: what is wanted and what is there (None: nothing)."""

    extra: str
    package: str
    wanted: str
    installed: str | None
    fits: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a capability is there: "yes", "no" (not installed) or "broken"; why not, and the command."""

    capability: Capability
    state: str
    reason: str = ""
    command: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that the doctor found."""

    machine: Machine
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    verdicts: tuple[Verdict, ...]

    def is_healthy(self, needed: Sequence[str] = ()) -> bool:
        """Whether nothing is broken and the capabilities `needed` are there."""
        states = {verdict.capability.name: verdict.state for verdict in self.verdicts}
        return "broken" not in states.values() and all(states[name] == "yes" for name in needed)


def diagnose(packages: Packages, machine: Machine, site: Path) -> Diagnosis:
    """Look at everything.

    Args:
        packages: what is installed.
        machine: what it runs on.
        site: the folder of site-packages.

    Raises:
        UserError: this package itself is not installed, so that its requirements cannot be read.
    """
    us = packages.get("lmmr1")
    if us is None:
        raise UserError("lmmr1 is imported from a folder and not installed: run pip install -e . in its checkout")
    general = list(find_problems(packages, machine, site))
    problems = [*general]
    verdicts = []
    for capability in CAPABILITIES:
        verdict, found = _judge(capability, us, packages, machine, general)
        verdicts.append(verdict)
        problems += found
    names = dict.fromkeys(extra for capability in CAPABILITIES for extra in capability.extras)
    rows = [row for extra in ("", *names) for row in _rows(us, extra, packages)]
    merged: dict[str, Problem] = {}
    for problem in problems:
        before = merged.get(problem.text)
        blocks = dict.fromkeys([*(before.blocks if before else ()), *problem.blocks])
        merged[problem.text] = Problem(problem.text, problem.command, tuple(blocks))
    return Diagnosis(machine, tuple(rows), tuple(merged.values()), tuple(verdicts))


def _judge(
    capability: Capability, us: Package, packages: Packages, machine: Machine, general: list[Problem]
) -> tuple[Verdict, list[Problem]]:
    """The verdict on a capability, and the problems that only its own packages have."""
    if capability.name == "football":
        if machine.football is None:
            return Verdict(capability, "yes"), []
        return Verdict(capability, "no", machine.football, "make football, in a checkout (docs/football.md)"), []
    unknown = [extra for extra in capability.extras if extra not in us.extras]
    if unknown:
        command = "pip install -e . in the checkout, or pip install --upgrade lmmr1"
        return Verdict(capability, "no", f"the installed lmmr1 {us.version} does not know it yet", command), []
    extra = next((extra for extra in capability.extras if _begun(us, extra, packages)), "")
    if not extra:
        names = " or ".join(f"'lmmr1[{extra}]'" for extra in _choices(capability, machine))
        return Verdict(capability, "no", "not installed", f"pip install {names}"), []
    roots = us.needs(extra) + (us.needs("train") if capability.name in LEARNING else [])
    found = [_misfit(root, packages) for root in roots if not satisfies(packages.get(root.name), root)]
    found += conflicts(packages, [*us.needs(), *roots])
    found = [Problem(problem.text, problem.command, (capability.name,)) for problem in found]
    blocking = [problem for problem in [*general, *found] if capability.name in problem.blocks]
    if blocking:
        return Verdict(capability, "broken", blocking[0].text, blocking[0].command), found
    return Verdict(capability, "yes"), found


def _begun(us: Package, extra: str, packages: Packages) -> bool:
    """Whether the first requirement of an extra, its namesake, is installed."""
    needs = us.needs(extra)
    return bool(needs) and needs[0].name.lower() in packages


def _choices(capability: Capability, machine: Machine) -> tuple[str, ...]:
    if capability.name != "vllm":
        return capability.extras
    return ("vllm",) if machine.gpus else ("vllm-cpu",)


def _misfit(root: Requirement, packages: Packages) -> Problem:
    wanted = f"{root.name}{root.specifier}"
    there = packages.get(root.name)
    found = f"found {there.version}" if there else "it is not installed"
    return Problem(f"lmmr1 needs {wanted}, {found}", f"pip install '{wanted}'")


def _rows(us: Package, extra: str, packages: Packages) -> list[Row]:
    rows = []
    for needed in us.needs(extra):
        there = packages.get(needed.name.lower())
        version = there and (
            there.version if "+" in there.version or not there.build else f"{there.version}+{there.build}"
        )
        rows.append(Row(extra, needed.name, str(needed.specifier), version, satisfies(there, needed)))
    return rows
