"""Which data set an environment asks, and how its columns are read."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lmmr1.envs.errors import UserError

from .presets import PRESETS

COLUMNS = ("question", "answer", "choices", "distractors", "image", "message", "solution", "category")
CHECKS = ("all", "fast")
SYSTEMS = ("data", "environment")
ColumnNames = tuple[str, ...]


@dataclass(frozen=True)
class DatasetConfig:
    """A data set behind an environment.

    Raises:
        UserError: a value is of the wrong type or not one there is.
    """

    path: str
    """A .jsonl or .parquet file, a folder of such files, a Hugging Face id (owner/name), or a preset's name."""
    preset: str | None = None
    """Read the columns as this preset does; where `path` names a preset itself, that one."""
    subset: str | None = None
    """The configuration of a Hugging Face data set that has several."""
    split: str | None = None
    """One of the data's own splits, by its name; none: the environment's `split` chooses."""
    revision: str | None = None
    """The branch, tag or commit of a Hugging Face data set."""
    columns: Mapping[str, str | tuple[str, ...] | list[str]] = field(default_factory=dict)
    """Names of columns: of question, answer, choices, distractors, image, message, solution, category, where needed."""
    image_root: str | None = None
    """The folder that image paths start from and may not leave; none: the folder of the data file."""
    image_folder: str | None = None
    """A folder in `image_root`: what stands before its name in an image path is cut off."""
    system: Literal["data", "environment"] = "data"
    """Whose system message opens a conversation where a row brings one of its own."""
    max_question_length: int = 8192
    """The most characters of a question; a row with a longer one is refused."""
    max_pixels: int = 1_048_576
    """A picture with more pixels is scaled down to as many."""
    check: Literal["all", "fast"] = "all"
    """Whether right answers that take algebra to read are checked when the data loads, or only plain ones."""

    def __post_init__(self) -> None:
        """Check the fields."""
        for key in ("path", "preset", "subset", "split", "revision", "image_root", "image_folder"):
            value = vars(self)[key]
            optional = key != "path" and value is None
            if not optional and (not isinstance(value, str) or not value.strip() or "\0" in value):
                raise UserError(f"dataset: {key} is {value!r}; give a text that is not empty")
        if self.preset is not None and self.preset not in PRESETS:
            raise UserError(f"dataset: preset is {self.preset!r}{suggest(self.preset, PRESETS)}")
        for key, known in (("system", SYSTEMS), ("check", CHECKS)):
            if vars(self)[key] not in known:
                raise UserError(f"dataset: {key} is {vars(self)[key]!r}; choose from {', '.join(known)}")
        for key in ("max_question_length", "max_pixels"):
            value = vars(self)[key]
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"dataset: {key} is {value!r}; give a whole number of at least 1")
        if not isinstance(self.columns, Mapping):
            raise UserError(f"dataset: columns is {self.columns!r}; give a mapping such as {{question: problem}}")
        for key, names in self.columns.items():
            if key not in COLUMNS:
                raise UserError(f"dataset: columns.{key} is unknown{suggest(str(key), COLUMNS)}")
            if not names or not isinstance(names, (str, list, tuple)) or not all(map(_is_name, _as_names(names))):
                raise UserError(f"dataset: columns.{key} is {names!r}; give the name of a column")

    def column_names(self) -> dict[str, ColumnNames]:
        """What is known about the columns' names before the data is seen: the preset's, then those given here."""
        known = dict(PRESETS[self.preset].columns) if self.preset is not None else {}
        return known | {key: _as_names(names) for key, names in self.columns.items()}


def read_config(dataset: str | Mapping[str, Any] | DatasetConfig, split: str | None = None) -> DatasetConfig:
    """Read the arguments ``dataset`` and ``dataset_split`` of an environment.

    Args:
        dataset: the path alone, or a mapping with the fields of `DatasetConfig`.
        split: one of the data's own splits, or None.

    Raises:
        UserError: a key or a value is wrong.
    """
    if isinstance(dataset, DatasetConfig):
        config = dataset
    elif isinstance(dataset, str):
        config = DatasetConfig(dataset)
    elif isinstance(dataset, Mapping):
        known = [item.name for item in dataclasses.fields(DatasetConfig)]
        for key in dataset:
            if key not in known:
                raise UserError(f"dataset: {key!r} is not a key{suggest(str(key), known)}")
        if "path" not in dataset:
            if dataset.get("preset") is None:
                raise UserError("dataset: path is missing; name a file, a folder, a Hugging Face id or a preset")
            dataset = {**dataset, "path": dataset["preset"]}
        config = DatasetConfig(**dataset)
    else:
        raise UserError(f"dataset is a {type(dataset).__name__}; give a path, or a mapping with path and more")
    if split is not None:
        if config.split not in (None, split):
            raise UserError(f"dataset_split is {split!r}, but dataset says split: {config.split!r}; leave one out")
        config = dataclasses.replace(config, split=split)
    if config.path in PRESETS:
        preset = PRESETS[config.path]
        named = {"preset": config.path, "subset": preset.subset, "split": preset.split}
        config = dataclasses.replace(config, **{key: vars(config)[key] or value for key, value in named.items()})
    if config.preset is not None and config.image_folder is None:
        config = dataclasses.replace(config, image_folder=PRESETS[config.preset].image_folder)
    return config


def suggest(word: str, known: Any) -> str:
    """Return the end of a message about an unknown word: what it may have meant, and what there is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}? There are {', '.join(known)}" if close else f"; there are {', '.join(known)}"


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name)


def _as_names(names: Any) -> ColumnNames:
    return (names,) if isinstance(names, str) else tuple(names)
