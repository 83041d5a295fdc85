"""The distributions that are installed, read from their metadata: nothing is imported to find its version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class Package:
    """One installed distribution.

    Attributes:
        name: as requirements name it: lower case, hyphens.
        version: with the local part, if its metadata have one ("2.13.0+cpu").
        build: what its files say that it was built for ("cpu", "cu130"); empty where they say nothing.
        requires: its requirements, the optional ones among them.
        extras: the extras that it offers.
    """

    name: str
    version: str
    build: str = ""
    requires: tuple[Requirement, ...] = ()
    extras: tuple[str, ...] = ()

    def needs(self, extra: str = "") -> list[Requirement]:
        """What it requires on this machine, by itself or for one of its extras only."""
        always = [r for r in self.requires if r.marker is None or r.marker.evaluate({"extra": ""})]
        if not extra:
            return always
        return [r for r in self.requires if r not in always and r.marker and r.marker.evaluate({"extra": extra})]


Packages = Mapping[str, Package]


def read_packages(paths: Sequence[str] | None = None) -> dict[str, Package]:
    """All distributions on `paths` (default: on `sys.path`) by name; of two with one name the first, as imports do."""
    found: dict[str, Package] = {}
    distributions = metadata.distributions() if paths is None else metadata.distributions(path=list(paths))
    for distribution in distributions:
        name = distribution.metadata["Name"]
        if (
            name is None or canonicalize_name(name) in found
        ):  # pip leaves folders without a name behind when it is killed
            continue
        found[canonicalize_name(name)] = Package(
            canonicalize_name(name),
            distribution.version,
            _build(distribution, name),
            tuple(_requirements(distribution)),
            tuple(distribution.metadata.get_all("Provides-Extra") or ()),
        )
    return found


def satisfies(package: Package | None, requirement: Requirement) -> bool:
    """Whether a package is there in a version that a requirement takes; releases before a final one count."""
    if package is None:
        return False
    try:
        return requirement.specifier.contains(Version(package.version), prereleases=True)
    except InvalidVersion:
        return False


def _requirements(distribution: metadata.Distribution) -> list[Requirement]:
    result = []
    for line in distribution.requires or ():
        try:
            result.append(Requirement(line))
        except InvalidRequirement:  # old distributions wrote what today's rules refuse; pip passes them over too
            continue
    return result


def _build(distribution: metadata.Distribution, name: str) -> str:
    """The local part of the version that PyTorch and its companions write into their version.py."""
    if name not in ("torch", "torchvision", "torchaudio"):
        return ""
    try:
        text = Path(str(distribution.locate_file(f"{name}/version.py"))).read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(r"__version__ = '[^'+]*\+([\w.]+)'", text)
    return match[1] if match else ""
