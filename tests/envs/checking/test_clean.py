"""Sound environments pass: this project's own, Gymnasium's, MiniGrid's and PettingZoo's."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import pytest

from lmmr1.envs.checking import Limits, check_env
from lmmr1.envs.football.engine.process import is_installed
from lmmr1.envs.registry import REGISTRATIONS

# Latencies of a busy machine are no findings here.
FEW = Limits(
    episodes=3,
    most_steps=500,
    odd_replies=200,
    odd_seconds=5,
    audit_seeds=6,
    audit_seconds=5,
    step_warn=2.0,
    step_fail=5.0,
    reset_warn=5.0,
)
WITHOUT = pytest.mark.skipif(
    not is_installed() and os.environ.get("LMMR1_REQUIRE_FOOTBALL") != "1",
    reason="LMMR1/Football-v0: the football engine is not installed: make football",
)
OWN = [pytest.param(row.id, marks=[WITHOUT] if row.id == "LMMR1/Football-v0" else []) for row in REGISTRATIONS]
TAXI = next(f"Taxi-v{version}" for version in (4, 3) if f"Taxi-v{version}" in gym.registry)
OTHERS = ["FrozenLake-v1", TAXI, "CartPole-v1", "minigrid:MiniGrid-Empty-5x5-v0", "minigrid:MiniGrid-DoorKey-5x5-v0"]


@pytest.mark.parametrize("id", OWN)
def test_every_registered_environment_passes(id: str) -> None:
    report = check_env(id, limits=FEW)
    assert not report.failures, report.table()
    assert {"hang", "hash-seed", "reward-audit", "oracle"} <= set(report.named("pass")), report.table()
    assert "dawdling" in report.named("pass") or "dawdling" in report.warnings
    assert not set(report.warnings) - {"dawdling"}, report.table()


@pytest.mark.parametrize("id", OTHERS)
def test_environments_of_others_pass(id: str) -> None:
    report = check_env(id, limits=FEW)
    assert not report.failures, report.table()
    assert {"hang", "hash-seed", "reward-audit", "spoken", "odd-replies"} <= set(report.named("pass")), report.table()


@pytest.mark.parametrize("place", ["pettingzoo:classic/rps-v2", "pettingzoo:classic/tictactoe-v3"])
def test_games_of_pettingzoo_pass(place: str) -> None:
    report = check_env(place, limits=FEW)
    assert not report.failures, report.table()
    assert {"hang", "hash-seed", "spoken", "odd-replies", "same-seed"} <= set(report.named("pass")), report.table()


def test_an_environment_that_was_made_and_wrapped_is_checked_as_it_is() -> None:
    env: Any = gym.wrappers.TimeLimit(gym.make("FrozenLake-v1", is_slippery=False), 7)
    report = check_env(env, limits=FEW)
    assert report.id == "FrozenLake-v1" and not report.failures, report.table()
    [ends] = [finding for finding in report.findings if finding.name == "ends"]
    assert int(ends.seen.split()[2]) <= 7, ends
