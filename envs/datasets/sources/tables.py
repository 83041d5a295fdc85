"""Parquet files and Hugging Face data sets. The one file that imports ``datasets``, and only when it is needed.

The library turns what it reads into Arrow files in its own cache and maps them into memory: a row is read from the
disk when it is asked for, however large the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import MissingExtraError, UserError

from ..refusals import RowError
from .signature import differs, sign

BATCH = 64
Raw = dict[str, Any]


def write_rows(rows: Sequence[Raw], path: Path) -> None:
    """Write rows as a Parquet file.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("Writing Parquet files", "datasets", "datasets") from error
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(list(rows)).to_parquet(str(path))


class Table:
    """The rows of one Parquet file, or of one split of a Hugging Face data set.

    Args:
        name: what messages call it.
        data: a ``datasets.Dataset``.
        signature: what changes when the data does, as JSON.
        path: its file, if it is one; the paths of its pictures start from there.

    Raises:
        UserError: it has no rows.
    """

    def __init__(self, name: str, data: Any, signature: list[Any], path: Path | None) -> None:
        """See the class."""
        self.name, self.signature, self.path = name, signature, path
        self.root = path.parent if path is not None else None
        # In the Arrow format pictures stay bytes: decoding them is left to our own, bounded reader.
        self._data = data.with_format("arrow")
        if not len(data):
            raise UserError(f"dataset: {name} is empty")

    def is_changed(self) -> bool:
        """Whether its file is another one than when it was opened, or gone; what was read stays as it was."""
        return self.path is not None and differs(self.path, self.signature)

    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(self._data.column_names)

    def rows(self) -> Iterator[tuple[int, int, Raw | RowError]]:
        """Read all rows: the number of each, from 1 up, its place, and itself."""
        place = 0
        for batch in self._data.iter(BATCH):
            for raw in batch.to_pylist():
                yield place + 1, place, raw
                place += 1

    def read(self, place: int) -> Raw:
        """Read one row, whose number is ``place`` + 1."""
        return self._data[place].to_pylist()[0]


def open_parquet(path: Path) -> Table:
    """Open a Parquet file.

    Raises:
        UserError: it cannot be read, or ``datasets`` is not installed.
    """
    datasets = _import()
    try:
        signature = sign(path, path.stat())
        # The library alone would take a file of the same path and time of change for the same file.
        version = blake2b(repr(signature).encode(), digest_size=8).hexdigest()
        data = datasets.load_dataset("parquet", f"v{version}", data_files={"rows": str(path)}, split="rows")
    except Exception as error:
        raise UserError(f"dataset: {path} cannot be read as Parquet: {_reason(error)}") from error
    return Table(path.name, data, signature, path)


def open_hub(
    id: str, subset: str | None, split: str | None, revision: str | None, files: str | None
) -> dict[str, Table]:
    """Load a data set from the Hugging Face hub, or from the local cache of an earlier load.

    Args:
        id: owner/name.
        subset: its configuration, where there are several.
        split: the one split to load, or None for all.
        revision: branch, tag or commit.
        files: the one file of its repository to read, or None for what it declares.

    Returns:
        The table of each split.

    Raises:
        UserError: it cannot be fetched or read, or ``datasets`` is not installed.
    """
    datasets = _import()
    try:
        loaded = datasets.load_dataset(id, subset, split=split, revision=revision, data_files=files)
    except Exception as error:
        raise UserError(
            f"dataset: {id} cannot be loaded from the Hugging Face hub: {_reason(error)}; without access to it, "
            "download the data elsewhere and give the path of its file or folder"
        ) from error
    splits = {split: loaded} if split is not None else dict(loaded)
    return {
        str(name): Table(f"{id} ({name})", data, [id, [file["filename"] for file in data.cache_files], len(data)], None)
        for name, data in splits.items()
    }


def _import() -> Any:
    try:
        import datasets
    except ImportError as error:
        purpose = "Reading Parquet files and Hugging Face data sets"
        raise MissingExtraError(purpose, "datasets", "datasets") from error
    return datasets


def _reason(error: BaseException) -> str:
    # The library wraps what went wrong; the cause says more than "an error occurred while generating the dataset".
    inner = error.__cause__ or error
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text if len(text) <= 200 else text[:197] + "..."
