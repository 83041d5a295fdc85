"""One whole small run for all tests that only look at what it left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from .small_run import run_small


class WholeRun(NamedTuple):
    folder: Path
    seconds: float


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run that nobody stopped, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    run_small(folder)
    return WholeRun(folder, time.monotonic() - began)
