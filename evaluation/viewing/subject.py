"""What is looked at: the folder of a run or of an evaluation, and where its figures and episodes lie."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lmmr1.envs.errors import UserError

# As in `lmmr1.evaluation.session`, which reads suites and so needs packages that a page does not.
SETTINGS, RESULTS, EPISODES = "settings.json", "results.json", "episodes"
RECIPE, METRICS, EVALUATIONS, SUMMARY = "recipe.yaml", "metrics.jsonl", "evaluations.jsonl", "summary.json"
# What begins to exist within seconds of a run's start, each a sign that a folder is one.
_RUN_SIGNS = (RECIPE, METRICS, EVALUATIONS, SUMMARY)
_MOST_TEXT = 400_000


@dataclass(frozen=True)
class Subject:
    """A folder to look at.

    Attributes:
        folder: of a run or of an evaluation.
        kind: which of them.
        label: what the page calls it; different for every subject of a page.
    """

    folder: Path
    kind: Literal["run", "evaluation"]
    label: str

    def overview(self) -> dict[str, Any]:
        """What stands in the folder's small files, as the page shows it; whatever cannot be read is left out."""
        summary = _read_json(self.folder / SUMMARY)
        settings = _read_json(self.folder / SETTINGS)
        results = _read_json(self.folder / RESULTS)
        document = summary or settings
        told = {key: document[key] for key in ("name", "seed", "parameters", "versions", "failures") if key in document}
        finished = (self.folder / (SUMMARY if self.kind == "run" else RESULTS)).is_file()
        recipe = self.folder / RECIPE
        return {
            "label": self.label,
            "kind": self.kind,
            "folder": str(self.folder),
            "finished": finished,
            "age": _age(self.folder / (METRICS if self.kind == "run" else EPISODES)),
            "told": told,
            "tasks": results.get("tasks", {}),
            "recipe": _read_text(recipe) if recipe.is_file() else _read_text(self.folder / SETTINGS),
        }


def open_subjects(folders: Sequence[Path]) -> list[Subject]:
    """The folders of a page.

    Raises:
        UserError: one is no folder of a run or of an evaluation; says what it is instead.
    """
    kinds: list[Literal["run", "evaluation"]] = [_kind_of(folder) for folder in folders]
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise UserError("the same folder is named twice: name different runs to lay over each other")
    return [Subject(place, kind, label) for place, kind, label in zip(places, kinds, _labels(places), strict=True)]


def _kind_of(folder: Path) -> Literal["run", "evaluation"]:
    if not folder.exists():
        raise UserError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder of the run")
    if (folder / SETTINGS).is_file():
        return "evaluation"
    if any((folder / name).is_file() for name in _RUN_SIGNS):
        return "run"
    inside = sorted(path.parent.name for name in (RECIPE, SETTINGS) for path in folder.glob(f"*/{name}"))
    hint = f"; did you mean {folder / inside[0]}?" if inside else ""
    empty = "is empty" if not any(folder.iterdir()) else "holds neither a run nor an evaluation"
    raise UserError(f"{folder} {empty} ({RECIPE} and {SETTINGS} are missing){hint}")


def _labels(places: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    for count in range(1, max(len(place.parts) for place in places)):
        labels = ["/".join(place.parts[-count:]) for place in places]
        if len(set(labels)) == len(labels):
            return labels
    return [str(place) for place in places]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _read_text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""


def _age(path: Path) -> float | None:
    """Seconds since something was written, by the clock of whoever asks."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None
