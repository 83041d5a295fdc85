"""A data set as an environment uses it: which row a seed asks, and what is said about it."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, Part, image_part, text_part

from . import images
from .config import DatasetConfig, read_config
from .index import Index, build_index
from .presets import PRESETS
from .refusals import Report, RowError
from .rows import Row
from .sources.locations import find_sources

# A seed is a key of an order, times this, plus a position in that order.
POSITIONS = 2**32
RECENT = 4
ROUNDS = 6
# Of twenty rows two are for testing and one for validation, by the hash of the question.
SHARES = {"test": (0, 1), "validation": (2,), "train": tuple(range(3, 20))}


class DatasetWarning(UserWarning):
    """Rows of a data set were refused."""


class Dataset:
    """The rows of one split. Immutable; the environments of a process share it, and a pickled one is opened anew.

    Args:
        config: the data set.
        split: "all", "train", "validation" or "test".
        pictures: whether its rows have pictures; None where both kinds will do.

    Raises:
        UserError: the data cannot be read, or no row of it can be asked.
    """

    def __init__(self, config: DatasetConfig, split: str, pictures: bool | None) -> None:
        """See the class."""
        self.config, self.split, self.pictures = config, split, pictures
        self.family = _name_of(config)
        sources, divided = find_sources(config, split)
        self.indexes: list[Index] = [build_index(source, config, self.family, pictures) for source in sources]
        self.report = Report()
        for index in self.indexes:
            self.report.add(index.report)
        keys = np.concatenate([index.entries["key"] for index in self.indexes])
        self.report.duplicates = len(keys) - len(np.unique(keys))
        if not len(keys):
            raise UserError(f"dataset: no row of {config.path} can be asked: {self.report.summary()}")
        # The numbers of the split's rows, counted through all files.
        self._rows = np.flatnonzero(np.isin(keys % np.uint64(20), SHARES[split])) if divided else np.arange(len(keys))
        self._ends = np.cumsum([len(index.entries) for index in self.indexes])
        if not len(self._rows):
            raise UserError(
                f"dataset: none of the {len(keys)} rows of {config.path} falls to {split}; set split to another one, "
                'or to "all"'
            )
        self._recent: OrderedDict[int, tuple[np.ndarray, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many rows the split has."""
        return len(self._rows)

    def __reduce__(self) -> tuple[Any, ...]:
        """Opened anew, where a pickled one is read."""
        return open_dataset, (self.config, self.split, self.pictures)

    def __deepcopy__(self, memo: dict[int, Any]) -> Dataset:
        """Itself: nothing about it changes."""
        return self

    @property
    def nbytes(self) -> int:
        """The memory that it takes for its rows, in bytes."""
        return sum(index.entries.nbytes for index in self.indexes) + self._rows.nbytes

    def position(self, seed: int) -> int:
        """The row that a seed asks, from 0 up to the number of rows, in the order of the files.

        The seeds from ``k * 2**32`` on, one after the other, ask every row once before any row comes again: they are
        positions in an endless series of shuffled passes, and ``k`` chooses the series. Random seeds draw rows evenly.
        """
        key, position = divmod(seed, POSITIONS)
        done, place = divmod(position, len(self))
        return shuffled(place, len(self), f"{key}/{done}")

    def row(self, position: int) -> Row:
        """Read a row.

        Raises:
            UserError: there is no such row, or the file was changed since it was read first.
        """
        if not 0 <= position < len(self):
            raise UserError(f"dataset: there is no row {position}; {self.config.path} has {len(self)} of them here")
        index, end = self._index_of(position)
        return index.read(int(self._rows[position]) - end + len(index.entries))

    def source_name(self, position: int) -> str:
        """The name of the file, or the table, that a row stands in."""
        return self._index_of(position)[0].source.name

    def _index_of(self, position: int) -> tuple[Index, int]:
        file = int(np.searchsorted(self._ends, int(self._rows[position]), side="right"))
        return self.indexes[file], int(self._ends[file])

    def load_pictures(self, position: int, row: Row) -> tuple[np.ndarray, ...]:
        """Decode the pictures of a row.

        Returns:
            Each of shape (height, width, 3), dtype uint8, read-only.

        Raises:
            UserError: one cannot be decoded.
        """
        # The environments of a group ask the same row one after the other.
        if position not in self._recent:
            self._recent[position] = tuple(self._load(position, row))
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return self._recent[position]

    def _load(self, position: int, row: Row) -> list[np.ndarray]:
        index, pictures = self._index_of(position)[0], []
        for reference in row.pictures:
            try:
                picture = images.load(reference, index.root, self.config.max_pixels, self.config.image_folder)
            except RowError as error:
                raise UserError(f"dataset: {index.source.name}, row {row.number}: {error}") from error
            picture.setflags(write=False)
            pictures.append(picture)
        return pictures

    def opening(self, row: Row, pictures: tuple[np.ndarray, ...]) -> list[Message]:
        """The conversation that opens an episode, with its pictures in their places.

        The system message is left out where the configuration says that the environment's own takes its place.
        """
        return [
            {"role": draft.role, "content": [_part(part, pictures) for part in draft.parts]}
            for draft in row.messages
            if draft.role != "system" or self.config.system == "data"
        ]


def open_dataset(
    dataset: str | Mapping[str, Any] | DatasetConfig, split: str = "all", pictures: bool | None = None
) -> Dataset:
    """Open a data set; one that this process has open already is shared.

    Args:
        dataset: the path alone, or a mapping with the fields of `DatasetConfig`.
        split: "all", "train", "validation" or "test".
        pictures: whether its rows have pictures; None where both kinds will do.

    Raises:
        UserError: the configuration is wrong, the data cannot be read, or no row of it can be asked.
    """
    if split not in ("all", *SHARES):
        raise UserError(f"split is {split!r}; choose from all, {', '.join(SHARES)}")
    config = read_config(dataset)
    key = json.dumps([vars(config), split, pictures], default=list)
    opened = _opened.get(key)
    if opened is None or any(index.source.is_changed() for index in opened.indexes):
        opened = _opened[key] = Dataset(config, split, pictures)
        refused = opened.report.summary()
        if refused:
            text = f"dataset: {config.path}: {refused}; all of them: lmmr1 dataset check {config.path}"
            warnings.warn(text, DatasetWarning, stacklevel=3)
    return opened


_opened: dict[str, Dataset] = {}


def shuffled(place: int, count: int, key: str) -> int:
    """Where a number goes in a shuffled order of so many, without making the order.

    A Feistel network over the least even number of bits that holds ``count``, walked until it lands below ``count``
    (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).

    Args:
        place: 0 to count - 1.
        count: at least 1.
        key: which order.
    """
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for round_number in range(ROUNDS):
            digest = blake2b(f"{key}/{round_number}/{right}".encode(), digest_size=8).digest()
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        place = left << half | right
        if place < count:
            return place


def _part(part: str | int, pictures: tuple[np.ndarray, ...]) -> Part:
    return image_part(pictures[part]) if isinstance(part, int) else text_part(part)


def _name_of(config: DatasetConfig) -> str:
    if config.path in PRESETS:
        return config.path
    path = Path(config.path)
    return path.stem if path.suffix else path.name or config.path
