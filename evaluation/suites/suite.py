"""A suite: tasks with their numbers of problems, how they are played, and the columns of the table that they fill."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lmmr1.envs.errors import UserError

from ..documents import as_document, find_text, is_path, named, parse_mapping, read_as, shipped_names, suggest
from ..runner import EvaluationTask

FOLDER = "suites"
Figure = Literal["success", "return", "score"]


@dataclass(frozen=True)
class Column:
    """A column of a table: the mean of a figure over the problems of some tasks."""

    tasks: Sequence[str]
    """The tasks; every problem counts the same."""
    figure: Figure = "success"
    """Which figure: the share of right answers in percent, the mean return, or MageBench's score."""
    categories: Sequence[str] = ()
    """Only problems that the data set files under these; none: all."""


@dataclass(frozen=True)
class Suite:
    """What is evaluated, and how.

    Raises:
        UserError: a column names a task that there is not, or a value is out of range.
    """

    name: str
    """As its file is called."""
    help: str
    """One line."""
    tasks: Sequence[EvaluationTask]
    """What is played."""
    modes: Sequence[Literal["greedy", "sampled"]] = ("greedy", "sampled")
    """How: with the likeliest token, by sampling, or both."""
    attempts: int = 1
    """How often each problem is sampled; for pass@k and avg@k."""
    max_new_tokens: int = 2048
    """Longest reply, in tokens."""
    max_context_tokens: int = 16384
    """Tokens after which an episode is stopped."""
    temperature: float = 1.0
    """Of sampling."""
    stop: Sequence[str] = ()
    """A reply also ends with the token that completes one of these strings."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """The columns of the table by their names; none: a column for each task."""
    published: Sequence[str] = ()
    """Tables of the paper whose rows are shown beside ours, see `tables.PUBLISHED`."""
    block: int = 64
    """Problems that are played and kept together; an evaluation that is stopped goes on with the next block."""
    workers: int | None = None
    """Processes that environments run in; 0: this one; None: some for those that need it."""

    def __post_init__(self) -> None:
        if not self.tasks:
            raise UserError("a suite needs tasks")
        known = [task.name for task in self.tasks]
        if len({plain_name(name) for name in known}) < len(known):
            raise UserError(f"tasks: {', '.join(known)}: two names come to the same folder")
        for name, column in self.columns.items():
            for task in column.tasks:
                if task not in known:
                    raise UserError(f"columns.{name}: there is no task {task!r}; there are {', '.join(known)}")
        for key in ("attempts", "max_new_tokens", "block"):
            if vars(self)[key] < 1:
                raise UserError(f"{key} must be at least 1, not {vars(self)[key]}")
        for task in self.tasks:
            if task.episodes < 1:
                raise UserError(f"tasks.{task.name}: episodes must be at least 1, not {task.episodes}")
        if self.max_new_tokens >= self.max_context_tokens:
            raise UserError(f"max_new_tokens must be below max_context_tokens ({self.max_context_tokens})")

    def only(self, names: Sequence[str]) -> Suite:
        """The suite with some of its tasks.

        Raises:
            UserError: it has no such task.
        """
        known = [task.name for task in self.tasks]
        for name in names:
            if name not in known:
                raise UserError(f"the suite {self.name} has no task {name!r}; it has {', '.join(known)}")
        kept = {name: column for name, column in self.columns.items() if set(column.tasks) <= set(names)}
        return replace(self, tasks=tuple(task for task in self.tasks if task.name in names), columns=kept)

    def with_episodes(self, episodes: int) -> Suite:
        """The suite with at most so many problems of each task."""
        shortened = (replace(task, episodes=min(task.episodes, episodes)) for task in self.tasks)
        if episodes < 1:
            raise UserError(f"episodes must be at least 1, not {episodes}")
        return replace(self, tasks=tuple(shortened))

    def document(self) -> dict[str, Any]:
        """All of it as plain values; two suites with the same document play the same."""
        return as_document(Suite, self)


def plain_name(name: str) -> str:
    """A task's name as a folder's: letters, digits, "-", "_" and "." stay."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def suite_names() -> list[str]:
    """The suites that ship with the package."""
    return shipped_names(FOLDER)


def load_suite(name_or_path: str, overrides: Sequence[tuple[str, Any]] = ()) -> Suite:
    """A suite by its name or its file's path.

    Args:
        name_or_path: such as "tiny" or "mine.yaml".
        overrides: values by dotted keys, such as ("tasks.math500.episodes", 50).

    Raises:
        UserError: there is none, or something in it is wrong.
    """
    document = _read(name_or_path)
    for key, value in overrides:
        _override(document, key, value)
    return parse_suite(document, name_or_path)


def parse_suite(document: dict[str, Any], where: str) -> Suite:
    """A suite from a document whose `tasks` are a mapping of names to tasks.

    Raises:
        UserError: something in it is wrong.
    """
    named(document, "tasks", where)
    return read_as(Suite, document, where)


def _read(name_or_path: str) -> dict[str, Any]:
    document = parse_mapping(find_text(name_or_path, FOLDER, "suite"), name_or_path)
    document.pop("shared", None)  # what anchors stand for
    parts = document.pop("includes", [])
    for part in parts:
        if is_path(str(part)) or part not in suite_names():
            raise UserError(f"{name_or_path}: includes: there is no suite {part!r}{suggest(str(part), suite_names())}")
        included = _read(str(part))
        for key in ("tasks", "columns"):
            document[key] = {**document.get(key, {}), **included.get(key, {})}
        document["published"] = [*document.get("published", []), *included.get("published", [])]
    # An anchor's value is one object at all its places until here, and an override would change all of them.
    return copy.deepcopy(document)


def _override(document: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    node: Any = document
    for depth, part in enumerate(path):
        if path[depth - 1 : depth] == ["tasks"] and part not in node:
            raise UserError(f"--{key}: the suite has no task {part!r}; it has {', '.join(node)}")
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise UserError(f"--{key}: {'.'.join(path[: depth + 1])} has no keys")
    node[last] = value
