"""Where a data set lies, and which of its own splits are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lmmr1.envs.errors import UserError

from ..config import DatasetConfig, suggest
from ..presets import PRESETS
from .jsonl import JsonLines
from .tables import Table, open_hub, open_parquet

SUFFIXES = (".jsonl", ".parquet")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}")
NAMED = re.compile(r"(train|validation|valid|val|dev|test)(?:[-_.].*)?", re.IGNORECASE)
Source = JsonLines | Table


class _Opener(Protocol):
    def __call__(self, path: Path) -> Source: ...


OPENERS: dict[str, _Opener] = {".jsonl": JsonLines, ".parquet": open_parquet}


def find_sources(config: DatasetConfig, split: str) -> tuple[list[Source], bool]:
    """Open the files, or the tables, that hold the rows of a split.

    Args:
        config: the data set.
        split: "all", "train", "validation" or "test".

    Returns:
        The sources, and whether the split still has to be divided from their rows (by content), which is so where the
        data has no splits of its own, or one for training alone.

    Raises:
        UserError: there is no such data, or it has no such split.
    """
    preset = PRESETS.get(config.preset or "")
    path = Path(config.path).expanduser()
    if config.path in PRESETS:
        where, found = PRESETS[config.path].hub, _open_hub(config)
    elif path.suffix.lower() in SUFFIXES:
        where, found = config.path, [(_split_of(path), path)]
        if not path.is_file():
            raise UserError(f"dataset: there is no file {path}")
    elif path.is_dir():
        files = [path / preset.files] if preset is not None and preset.files else _list_files(path)
        where, found = config.path, [(_split_of(file), file) for file in files]
    elif HUB_ID.fullmatch(config.path):
        where, found = config.path, _open_hub(config)
    elif path.is_file():
        raise UserError(f"dataset: {path} is no {' or '.join(SUFFIXES)} file; convert it to JSON lines")
    else:
        raise UserError(f"dataset: there is no file, folder or preset {config.path!r}{suggest(config.path, PRESETS)}")
    held_out = preset is not None and preset.held_out
    chosen, divided = _choose([name for name, _ in found], config.split, split, held_out, where)
    taken = [item for name, item in found if name in chosen]
    return [OPENERS[item.suffix.lower()](item) if isinstance(item, Path) else item for item in taken], divided


def _open_hub(config: DatasetConfig) -> list[tuple[str, Path | Source]]:
    preset = PRESETS.get(config.path)
    hub, files = (preset.hub, preset.files) if preset is not None else (config.path, None)
    if preset is not None and preset.archive is not None and config.image_root is None:
        raise UserError(
            f"dataset: the pictures of {config.path} are in the archive {preset.archive} of {hub}: unpack it, and set "
            "image_root to the folder it gives"
        )
    tables = open_hub(hub, config.subset, config.split, config.revision, files)
    return [(name, table) for name, table in tables.items()]


def _list_files(folder: Path) -> list[Path]:
    for place in (folder, folder / "data"):
        files = sorted(path for path in place.glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if files:
            return files
    raise UserError(f"dataset: the folder {folder} holds no {' or '.join(SUFFIXES)} files, nor does its folder data")


def _split_of(path: Path) -> str:
    """The split that a file's name tells, else the name without its ending."""
    shard = SHARD.fullmatch(path.stem)
    name = shard[1] if shard is not None else path.stem
    named = NAMED.fullmatch(name)
    return named[1].lower() if named is not None else name


def _purpose(name: str) -> str:
    """What a split is for, by its name; what says nothing is there to train on."""
    folded = name.casefold()
    if folded.startswith("test"):
        return "test"
    return "validation" if folded.startswith(("val", "dev")) else "train"


def _choose(names: Sequence[str], named: str | None, split: str, held_out: bool, where: str) -> tuple[set[str], bool]:
    known = list(dict.fromkeys(names))
    if named is not None:
        if named not in known:
            raise UserError(f"dataset: {where} has no split {named!r}{suggest(named, known)}")
        known = [named]
    purposes = {"test"} if held_out else {_purpose(name) for name in known}
    if split == "all":
        return set(known), False
    if purposes == {"train"}:
        return set(known), True
    if split not in purposes:
        purpose = " and ".join(sorted(purposes))
        raise UserError(
            f"dataset: {where} has no split for {split}: what is there ({', '.join(known)}) is for {purpose}; "
            'set split to "all" or one of these'
        )
    return {name for name in known if held_out or _purpose(name) == split}, False
