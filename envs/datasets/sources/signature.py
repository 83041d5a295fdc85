"""What changes when a file does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def sign(path: Path, status: os.stat_result) -> list[Any]:
    """The place, size, time of change and number of a file, as JSON."""
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino]


def differs(path: Path, signature: list[Any]) -> bool:
    """Whether a file is another one than the one that was signed, or gone."""
    try:
        return sign(path, path.stat()) != signature
    except OSError:
        return True
