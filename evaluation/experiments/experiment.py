"""An experiment: which recipes are trained, on what they are judged, and which claims of the paper that may show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lmmr1.envs.errors import UserError

from ..documents import find_text, named, parse_mapping, read_as, shipped_names
from ..runner import EvaluationTask

FOLDER = "experiments"
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Arm:
    """One way of training; without a recipe, none: the base model.

    Raises:
        UserError: the name is no plain one.
    """

    name: str
    """By which other arms, claims and folders call it."""
    label: str
    """What tables and figures call it."""
    recipe: str | None = None
    """A recipe's name; it is trained as it is shipped, but for `overrides`, and without its own evaluation."""
    start: str | None = None
    """Another arm, whose model this one starts from; none: the recipe's own model."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Values of the recipe that are to be others, by their dotted keys."""

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(self.name):
            raise UserError(f"arms: {self.name!r} must be made of letters, digits, '_', '-' and '.'")
        if self.recipe is None and (self.start is not None or self.overrides):
            raise UserError(f"arms.{self.name}: start and overrides have a meaning with a recipe only")


@dataclass(frozen=True)
class Claim:
    """That one arm does better than another."""

    says: str
    """The claim in words; a whole sentence without its full stop."""
    better: str
    """The arm that is to have the larger figure."""
    worse: str
    """The arm that is to have the smaller one."""
    task: str
    """On which task."""
    figure: Literal["success", "return", "format_rate", "reply_tokens"] = "success"
    """Which figure of an episode is compared."""
    mode: Literal["greedy", "sampled"] = "sampled"
    """In which mode of play."""


@dataclass(frozen=True)
class Experiment:
    """A question to the paper's method at tiny scale.

    Raises:
        UserError: a name is used that there is not, or an arm comes before the one that it starts from.
    """

    name: str
    """As its file is called."""
    question: str
    """What is asked, in a line."""
    design: str
    """What is trained and what is judged, in a few sentences."""
    paper: str
    """What the paper reports, with its figures."""
    arms: Sequence[Arm]
    """What is trained, in the order of the table."""
    tasks: Sequence[EvaluationTask]
    """On what it is judged."""
    claims: Sequence[Claim]
    """What the paper's figures lead one to expect."""
    figures: Sequence[Literal["success", "format_rate", "reply_tokens"]] = ("success",)
    """The columns of the table and the panels of the figure."""
    modes: Sequence[Literal["greedy", "sampled"]] = ("greedy", "sampled")
    """How it is played."""
    curves: Sequence[str] = ()
    """Keys of `metrics.jsonl` to draw over the iterations, an arm a line."""
    remark: str = ""
    """What a reader of the result has to know besides."""

    def __post_init__(self) -> None:
        seen: list[str] = []
        for arm in self.arms:
            if arm.start is not None and arm.start not in seen:
                raise UserError(f"arms.{arm.name}.start must name an arm before it, not {arm.start!r}")
            seen.append(arm.name)
        tasks = [task.name for task in self.tasks]
        if not self.arms or not tasks:
            raise UserError("an experiment needs arms and tasks")
        for index, claim in enumerate(self.claims):
            for key, known in (("better", seen), ("worse", seen), ("task", tasks), ("mode", self.modes)):
                if vars(claim)[key] not in known:
                    raise UserError(f"claims.{index}.{key} is {vars(claim)[key]!r}; there are {', '.join(known)}")

    def arm(self, name: str) -> Arm:
        """An arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)


def experiment_names() -> list[str]:
    """The experiments that ship with the package."""
    return shipped_names(FOLDER)


def load_experiment(name_or_path: str) -> Experiment:
    """An experiment by its name or its file's path.

    Raises:
        UserError: there is none, or something in it is wrong.
    """
    document = parse_mapping(find_text(name_or_path, FOLDER, "experiment"), name_or_path)
    document.pop("shared", None)  # what anchors stand for
    for key in ("arms", "tasks"):
        named(document, key, name_or_path)
    return read_as(Experiment, document, name_or_path)
