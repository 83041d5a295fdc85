"""What holds for every test."""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest

# One thread an operation, as everywhere here: on a busy machine threads that wait for each other take minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background lets them ignore an interrupt, and so would every run that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the whole stack must be, as in CI, a test that needs some of it fails rather than be skipped.
MUST_HAVE_STACK = os.environ.get("LMMR1_REQUIRE_STACK") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "stack(*modules): needs vLLM, DeepSpeed or Ray")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("stack"):
        missing = [module for module in marker.args if importlib.util.find_spec(module) is None]
        if missing and not MUST_HAVE_STACK:
            pytest.skip(f"{', '.join(missing)} is not installed: see lmmr1 doctor")
