"""Suites and experiments are YAML files; this reads one into its dataclass, and tells every mistake in one line."""

from __future__ import annotations

import difflib
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from lmmr1.envs.errors import UserError

Kind = TypeVar("Kind")


def shipped_names(folder: str) -> list[str]:
    """Names of the YAML files that ship in a folder of this floor."""
    items = (importlib.resources.files("lmmr1.evaluation") / folder).iterdir()
    return sorted(item.name.removesuffix(".yaml") for item in items if item.name.endswith(".yaml"))


def is_path(name_or_path: str) -> bool:
    """Whether it names a YAML file and not one that ships."""
    return name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path


def find_text(name_or_path: str, folder: str, noun: str) -> str:
    """The text of a shipped file by its name, or of any file by its path.

    Args:
        name_or_path: such as "tiny" or "mine.yaml".
        folder: where the shipped ones are.
        noun: what messages call it.

    Raises:
        UserError: there is none.
    """
    if is_path(name_or_path):
        try:
            return Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"cannot read the {noun} {name_or_path}: {reason}") from error
    names = shipped_names(folder)
    if name_or_path not in names:
        raise UserError(f"there is no {noun} {name_or_path!r}{suggest(name_or_path, names)}")
    shipped = importlib.resources.files("lmmr1.evaluation") / folder / f"{name_or_path}.yaml"
    return shipped.read_text(encoding="utf-8")


def suggest(word: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown word."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    meant = f"; did you mean {close[0]}?" if close else ";"
    return f"{meant} there are {', '.join(known)} (or give the path of a YAML file)"


def parse_mapping(text: str, where: str) -> dict[str, Any]:
    """A YAML text that is a mapping.

    Raises:
        UserError: it is not.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise UserError(f"{where}: not a mapping of keys to values")
    return document


def read_as(kind: type[Kind], document: Any, where: str) -> Kind:
    """A document as a dataclass, strictly: no unknown key, no value of another type.

    Raises:
        UserError: something in it is wrong; says which key.
    """
    # In a list, because an adapter's settings reach a dataclass only from around it.
    adapter: pydantic.TypeAdapter[list[Kind]] = pydantic.TypeAdapter(
        list[kind],  # type: ignore[valid-type]
        config=pydantic.ConfigDict(extra="forbid", strict=True),
    )
    try:
        [value] = adapter.validate_json(json.dumps([document], default=str))
    except pydantic.ValidationError as error:
        raise UserError(f"{where}: {_explain(error.errors()[0])}") from error
    return value


def write_yaml(document: Any) -> str:
    """A document as YAML, its keys in their order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def as_document(kind: type[Kind], value: Kind) -> Any:
    """The inverse of `read_as`: plain mappings, lists and values."""
    return pydantic.TypeAdapter(kind).dump_python(value, mode="json")


def _explain(problem: Any) -> str:
    key = ".".join(map(str, problem["loc"][1:]))
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{key}: {message}" if key else message
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{key} is not a key"
    if problem["type"] in ("missing", "missing_argument"):
        return f"{key} is missing"
    return f"{key} {problem['msg'].replace('Input should be', 'must be')}, not {problem['input']!r:.60}"


def named(document: dict[str, Any], key: str, where: str) -> None:
    """Turn the mapping of names to entries under a key into a list of entries that hold their `name`.

    Raises:
        UserError: it is no mapping of names to mappings.
    """
    entries = document.get(key, {})
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UserError(f"{where}: {key} must map names to entries")
    document[key] = [{"name": str(name), **entry} for name, entry in entries.items()]
