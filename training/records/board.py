"""TensorBoard's event files, the one file that imports TensorBoard.

Its own writer hands every point to a thread; here a point is on its way to the disk when `add` returns, so that a full
disk stops the run where it is and not in the background.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes scalars to an event file of its own in `folder`.

    Args:
        folder: for the event files of a run; made if absent.
        first_step: points of older files from this step on are hidden, since they will be written again.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        """See the class."""
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        # Their classes come into being at import, unknown to any reader of the code.
        self._events: Any = event_pb2
        self._summaries: Any = summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names, which start with the time.
        name = f"events.out.tfevents.{time.time_ns():020d}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        log = self._events.SessionLog
        self._write(step=first_step, session_log=log(status=log.START))

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Write one point of each tag."""
        values = [self._summaries.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._write(step=step, summary=self._summaries.Summary(value=values))

    def _write(self, **fields: object) -> None:
        self._records.write(self._events.Event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()
