"""How the blocks of the docs fared, said at the end of the tests' output."""

from __future__ import annotations

from collections import Counter

import pytest

FARED: pytest.StashKey[Counter[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def fared(pytestconfig: pytest.Config) -> Counter[str]:
    """How many blocks and commands were run, parsed, marked."""
    return pytestconfig.stash.setdefault(FARED, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the counts."""
    counts = config.stash.get(FARED, None)
    if counts:
        terminalreporter.section("blocks of code in the docs", sep="-")
        for name, count in sorted(counts.items()):
            terminalreporter.line(f"{count:5d}  {name}")
