"""What is kept of a file: where the rows that can be asked begin, and what was found when they were read.

A row takes 20 bytes of memory. Reading a large file takes a while, so what came of it is kept in the user's cache
folder (``$XDG_CACHE_HOME/lmmr1`` or ``~/.cache/lmmr1``) until the file changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from lmmr1.envs.errors import UserError

from . import images
from .config import ColumnNames, DatasetConfig
from .golds import check_gold, kind_of
from .refusals import Refusal, Report, RowError
from .rows import Row, find_columns, read_row
from .sources.locations import Source

# Part of the name of what is kept: to be changed with whatever decides which rows are asked.
VERSION = 1
KEPT_FROM = 1_000
# Refusals that may have another reason than the file itself, which alone is known to be unchanged.
PASSING = frozenset(("missing picture", "bad picture", "path outside"))
LAYOUT = np.dtype([("place", "<i8"), ("key", "<u8"), ("number", "<u4")])


@dataclass
class Index:
    """The rows of one file that can be asked.

    Attributes:
        source: the file.
        family: the name of the data set.
        columns: what its columns are called, by what they hold.
        root: the folder that the paths of its pictures start from, or None.
        entries: shape (rows,); where each row begins (int64), the hash of its question (uint64), its number (uint32).
        report: what was found.
    """

    source: Source
    family: str
    columns: dict[str, ColumnNames]
    root: Path | None
    entries: np.ndarray
    report: Report

    def read(self, entry: int) -> Row:
        """Read a row.

        Args:
            entry: its number among the rows that can be asked, from 0 up.

        Raises:
            UserError: the file was changed since it was read first.
        """
        place, key, number = self.entries[entry].tolist()
        try:
            row = read_row(self.source.read(place), self.columns, self.family, number)
        except RowError as error:
            raise UserError(f"dataset: {self.source.name}, row {number}: {error}") from error
        if row.key != key:
            raise UserError(f"dataset: {self.source.name} was changed while it was in use; start again")
        return row


def build_index(source: Source, config: DatasetConfig, family: str, pictures: bool | None) -> Index:
    """Read a file once, or take what was kept of it.

    Args:
        source: the file.
        config: the data set.
        family: its name.
        pictures: whether the rows that are wanted have pictures; those that do not fit are refused. None takes both.

    Raises:
        UserError: it has no column of questions or answers, or reading its right answers takes a package that is not
            installed.
    """
    columns = find_columns(config.column_names(), source.columns(), source.name)
    root = source.root if config.image_root is None else Path(config.image_root).expanduser()
    if config.image_root is not None and root is not None and not root.is_dir():
        raise UserError(f"dataset: image_root {config.image_root} is not a folder")
    kept = _kept_at(source, config, columns, root, pictures)
    known = _load(kept)
    if known is None:
        known = _scan(source, config, columns, root, family, pictures)
        if len(known[0]) >= KEPT_FROM and not PASSING & set(known[1].refused):
            _keep(kept, *known)
    return Index(source, family, columns, root, *known)


def _scan(
    source: Source,
    config: DatasetConfig,
    columns: dict[str, ColumnNames],
    root: Path | None,
    family: str,
    pictures: bool | None,
) -> tuple[np.ndarray, Report]:
    report, room, size = Report(), np.empty(256, LAYOUT), 0
    for number, place, raw in source.rows():
        try:
            if isinstance(raw, RowError):
                raise raw
            row = read_row(raw, columns, family, number)
            kind = _check_row(row, config, root, pictures, report)
        except RowError as error:
            report.refuse(source.name, number, error)
            continue
        report.golds[kind] += 1
        report.longest = max(report.longest, len(row.question))
        if size == len(room):
            room = np.concatenate([room, np.empty(size, LAYOUT)])
        room[size] = (place, row.key, number)
        size += 1
    report.rows = size
    return room[:size].copy(), report


def _check_row(row: Row, config: DatasetConfig, root: Path | None, pictures: bool | None, report: Report) -> str:
    if len(row.question) > config.max_question_length:
        reason = f"the question has {len(row.question)} characters; max_question_length is {config.max_question_length}"
        raise RowError("long question", reason)
    if pictures and not row.pictures:
        raise RowError("no picture", "the row has no picture; LMMR1/Reasoning-v0 asks such rows")
    if row.pictures and pictures is False:
        raise RowError("has pictures", "the row has pictures; LMMR1/Geometry-v0 asks such rows")
    sizes = [images.measure(picture, root, config.image_folder) for picture in row.pictures]
    kind = kind_of(row.answer)
    if kind != "expression" or config.check == "all":
        check_gold(row.answer, row.choices)
    else:
        report.unchecked += 1
    for width, height in sizes:
        report.note_picture(width, height)
    return kind


# ---------------------------------------------------------------------------------------------------------- keeping


def _kept_at(
    source: Source, config: DatasetConfig, columns: Mapping[str, ColumnNames], root: Path | None, pictures: bool | None
) -> Path | None:
    folder = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path(folder) if folder else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    decisive = [
        VERSION,
        source.signature,
        columns,
        str(root),
        config.image_folder,
        pictures,
        config.max_question_length,
        config.check,
    ]
    name = blake2b(json.dumps(decisive, sort_keys=True).encode(), digest_size=16).hexdigest()
    return home / "lmmr1" / "datasets" / f"{name}.npz"


def _load(kept: Path | None) -> tuple[np.ndarray, Report] | None:
    if kept is None:
        return None
    try:
        with np.load(kept, allow_pickle=False) as file:
            entries, found = file["entries"], json.loads(file["report"].tobytes())
        if entries.dtype != LAYOUT or entries.ndim != 1:
            return None
        refusals = [Refusal(**item) for item in found.pop("refusals")]
        refused, golds = Counter(found.pop("refused")), Counter(found.pop("golds"))
        return entries, Report(**found, refused=refused, golds=golds, refusals=refusals)
    except (OSError, ValueError, KeyError, TypeError, EOFError):  # none there, or damaged: the file is read again
        return None


def _keep(kept: Path | None, entries: np.ndarray, report: Report) -> None:
    if kept is None:
        return
    plain = vars(report) | {"refusals": [vars(refusal) for refusal in report.refusals]}
    found = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    # A folder that cannot be written to costs time, not results.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=kept.parent, suffix=".npz")
        with os.fdopen(number, "wb") as file:
            np.savez(file, entries=entries, report=found)
        os.replace(temporary, kept)
