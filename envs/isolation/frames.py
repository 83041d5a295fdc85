"""Frames: how a process and its worker speak through a pipe. Eight bytes of length, and that many bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

LENGTH = struct.Struct("<Q")


def read_frames(stream: IO[bytes]) -> Iterator[bytes]:
    """Frames until the end of the stream."""
    while len(head := stream.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        if len(data := stream.read(length)) < length:
            return
        yield data


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write one frame whole."""
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()
