"""Files of lines that grow while they are read, such as a run writes them: each look takes only what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


class GrowingFile:
    """A file of lines, read as far as their ends are written.

    Where it was cut, replaced or written anew (a run that was resumed, an evaluation made again), it is read from its
    start once more: that is noticed by its inode, its size, and the last line that was read, which must still be there.

    Args:
        path: of the file, which may not exist yet.
        patience: seconds after its last change that a line without an end is taken as it is; None: never.
    """

    def __init__(self, path: Path, patience: float | None = None) -> None:
        self.path, self.patience = path, patience
        self.offset = 0
        self._inode, self._last = -1, b""

    def look(self, begin: Callable[[], None]) -> Iterator[tuple[int, bytes]]:
        """The lines that are new, each with its place in bytes.

        Args:
            begin: called before them where what was read so far holds no longer.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            file = open(self.path, "rb")
        except FileNotFoundError:
            if self.offset:
                self._start(begin)
            return
        with file:
            found = os.fstat(file.fileno())
            if self.offset and self._was_rewritten(file, found):
                self._start(begin)
            self._inode = found.st_ino
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n") and not self._is_settled(found):
                    return  # its other half is under way
                place, self.offset, self._last = self.offset, self.offset + len(line), line
                yield place, line

    def _start(self, begin: Callable[[], None]) -> None:
        self.offset, self._inode, self._last = 0, -1, b""
        begin()

    def _was_rewritten(self, file: BinaryIO, found: os.stat_result) -> bool:
        if found.st_ino != self._inode or found.st_size < self.offset:
            return True
        file.seek(self.offset - len(self._last))
        return file.read(len(self._last)) != self._last

    def _is_settled(self, found: os.stat_result) -> bool:
        return self.patience is not None and time.time() - found.st_mtime > self.patience
