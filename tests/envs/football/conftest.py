"""Tests that need the engine run wherever it is, and fail rather than be skipped where it must be: in CI."""

from __future__ import annotations

import os

import pytest

from lmmr1.envs.football.engine.process import is_installed

MUST_HAVE_ENGINE = os.environ.get("LMMR1_REQUIRE_FOOTBALL") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "football_engine: needs the football engine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("football_engine") and not is_installed() and not MUST_HAVE_ENGINE:
        pytest.skip("the football engine is not installed: make football")
