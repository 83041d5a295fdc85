"""What a full disk looks like, whoever finds it full."""

from __future__ import annotations

import errno
import re

# A full disk, a full quota, and a file that has come to the size that this process may write.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NUMBER = re.compile(r"\(os error (\d+)\)")


class DiskFullError(Exception):
    """Nothing more can be written; the message says where, and how to go on once there is room."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that nothing more can be written."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        number = _NUMBER.search(str(error))  # how libraries that are written in Rust tell it
        if number is not None and int(number[1]) in _FULL:
            return True
        error = error.__cause__
    return False


def describe(error: BaseException) -> str:
    """What happened and to which file, without the number that Python puts in front."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"cannot write {error.filename}: {error.strerror}" if error.filename else f"cannot write: {error.strerror}"
