"""The processes of check-env find the worlds of these tests on `sys.path`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def worlds_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, FOLDER])
