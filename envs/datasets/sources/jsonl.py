"""Files of JSON lines, read row by row: what is kept of a large file is where its rows begin."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lmmr1.envs.errors import UserError

from ..refusals import RowError
from .signature import differs, sign

MOST_LINE_BYTES = 64 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Raw = dict[str, Any]


class JsonLines:
    """A .jsonl file.

    Args:
        path: the file.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        """See the class."""
        self.name = path.name
        self.path = path
        self.root: Path | None = path.parent
        try:
            with path.open("rb") as file:
                self.signature = sign(path, os.fstat(file.fileno()))
        except OSError as error:
            raise UserError(f"dataset: {path} cannot be read: {error.strerror}") from error

    def is_changed(self) -> bool:
        """Whether the file is another one than when it was opened, or gone."""
        return differs(self.path, self.signature)

    def columns(self) -> list[str]:
        """The keys of the first 100 rows.

        Raises:
            UserError: there is no row among them, or the file is empty.
        """
        names: dict[str, None] = {}
        last = 0
        for number, _, raw in self.rows():
            if number > 100:
                break
            last = number
            if not isinstance(raw, RowError):
                names |= dict.fromkeys(raw)
        if not last:
            raise UserError(f"dataset: {self.path} is empty")
        if not names:
            first = next(raw for _, _, raw in self.rows() if isinstance(raw, RowError))
            raise UserError(f"dataset: {self.path} holds no rows; the first line: {first}")
        return list(names)

    def rows(self) -> Iterator[tuple[int, int, Raw | RowError]]:
        """Read the file from its beginning to its end.

        Yields:
            The number of a line, from 1 up; the byte where it begins; and the row, or why it is none. Lines of white
            space are left out.
        """
        with self.path.open("rb") as file:
            number, place = 0, 0
            while line := file.readline(MOST_LINE_BYTES + 1):
                number, begin, place = number + 1, place, place + len(line)
                if len(line) > MOST_LINE_BYTES:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(1 << 20)
                        place += len(line)
                    yield number, begin, RowError("bad line", f"the line is longer than {MOST_LINE_BYTES:,} bytes")
                elif line.strip():
                    yield number, begin, _parse(line)

    def read(self, place: int) -> Raw:
        """Read one row.

        Args:
            place: the byte where its line begins.

        Raises:
            UserError: the file was changed or removed since it was read first.
        """
        try:
            with self.path.open("rb") as file:
                same = sign(self.path, os.fstat(file.fileno())) == self.signature
                file.seek(place)
                raw = _parse(file.readline(MOST_LINE_BYTES + 1)) if same else None
        except OSError as error:
            raise UserError(f"dataset: {self.path} cannot be read any more: {error.strerror}") from error
        if raw is None or isinstance(raw, RowError):
            raise UserError(f"dataset: {self.path} was changed while it was in use; start again")
        return raw


def _parse(line: bytes) -> Raw | RowError:
    try:
        text = line.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
        value = json.loads(text, object_pairs_hook=_pair, parse_constant=_refuse_constant)
    except RowError as error:
        return error
    except UnicodeDecodeError as error:
        return RowError("bad line", f"the line is no UTF-8 text: {error.reason} at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return RowError("bad line", f"the line is no JSON: {error}")
    if not isinstance(value, dict):
        return RowError("bad line", f"the line is a {type(value).__name__}, not a mapping of columns to values")
    return value


def _pair(pairs: list[tuple[str, Any]]) -> Raw:
    row = dict(pairs)
    if len(row) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RowError("bad line", f"the key {key[:60]!r} is written twice")
            seen.add(key)
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise RowError("bad line", f"{name} is no JSON")
