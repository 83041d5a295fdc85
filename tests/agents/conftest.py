"""What several of these tests ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lmmr1.agents.networks.compiled.switch import kernels_allowed


@pytest.fixture(params=[True, False], ids=["kernels", "plain"])
def both_kernels_and_none(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once with compiled kernels and once without them."""
    with kernels_allowed(request.param):
        yield
