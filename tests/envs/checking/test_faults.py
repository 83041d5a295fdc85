"""Planted faults: each is found by its name, and nothing else fails."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lmmr1.envs.checking import Limits, check_env

FEW = Limits(episodes=4, most_steps=200, odd_replies=150, audit_seeds=8, audit_turns=6, deadline=20.0)
# Gymnasium's own check comes to the same conclusion about some of them.
ALSO = "gymnasium"

FAULTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("SaltedSeed", "hash-seed", {}, {}),
    ("GlobalNumpy", "global-random", {}, {}),
    ("Unseeded", "same-seed", {}, {}),
    ("Leaks", "group-reset", {}, {}),
    ("Stale", "stale-observation", {}, {}),
    ("BothFlags", "flags", {}, {}),
    ("TooMuchReward", "reward", {}, {}),
    ("PartsDoNotSum", "native-parts-sum", {}, {}),
    ("GrowingPicture", "image-size", {}, {}),
    ("GrowingFrame", "render", {}, {}),
    ("FlickeringFrame", "render", {}, {}),
    ("OutsideSpace", "observation-in-space", {}, {}),
    ("NeverEnds", "ends", {}, {}),
    ("SlowStep", "step-latency", {}, {"step_warn": 0.005, "step_fail": 0.01}),
    ("SlowReset", "reset-latency", {}, {"reset_warn": 0.005, "reset_fail": 0.01}),
    ("Hangs", "hang", {}, {"deadline": 3.0}),
    ("Dies", "death", {}, {}),
    ("Raises", "crash", {}, {}),
    ("Unpicklable", "pickle", {}, {}),
    ("ClosesOnce", "close-twice", {}, {}),
    ("WrongExpert", "oracle", {}, {}),
    ("CannotReadOddLetters", "odd-replies", {}, {}),
    ("Sound", "reward-audit", {"reward": "lmmr1-paper"}, {}),
]


@pytest.mark.parametrize(("world", "name", "chat", "limits"), FAULTS, ids=[f"{row[0]}: {row[1]}" for row in FAULTS])
def test_a_fault_is_found_by_its_name(world: str, name: str, chat: dict[str, Any], limits: dict[str, Any]) -> None:
    report = check_env(f"broken_worlds:{world}-v0", chat=chat, limits=dataclasses.replace(FEW, **limits))
    assert set(report.failures) - {ALSO} == {name}, report.table()
    [finding] = [finding for finding in report.findings if finding.name == name]
    assert finding.seen and finding.remedy


@pytest.mark.parametrize(
    ("world", "names"),
    [
        ("FindsItAnywhere", {"reward-audit", "odd-replies-unpaid"}),
        ("PaysPrefixes", {"null-baseline", "odd-replies-unpaid"}),
        ("NoNumber", {"reward", "parts-sum"}),
        ("FlagIsText", {"flags", "crash"}),
    ],
)
def test_faults_that_show_in_several_places(world: str, names: set[str]) -> None:
    report = check_env(f"broken_worlds:{world}-v0", limits=FEW)
    assert set(report.failures) - {ALSO} == names, report.table()


@pytest.mark.parametrize(
    ("world", "name"), [("IgnoresSeed", "seeds-differ"), ("GoesOn", "after-end"), ("TooManyPictures", "turn-budget")]
)
def test_what_is_only_worth_a_look_is_a_warning(world: str, name: str) -> None:
    report = check_env(f"broken_worlds:{world}-v0", limits=FEW)
    assert not report.failures and name in report.warnings, report.table()


@pytest.mark.parametrize("world", ["Sound", "Asks"])
def test_the_sound_worlds_pass(world: str) -> None:
    report = check_env(f"broken_worlds:{world}-v0", chat={"format_weight": 0.02}, limits=FEW)
    assert not report.failures and not report.warnings, report.table()
    names = [finding.name for finding in report.findings]
    assert len(names) == len(set(names)) and {"hang", "hash-seed", "reward-audit"} <= set(names)


def test_a_hang_is_placed() -> None:
    report = check_env("broken_worlds:Hangs-v0", limits=dataclasses.replace(FEW, deadline=3.0))
    findings = {finding.name: finding for finding in report.findings}
    assert "broken_worlds.py:" in findings["hang"].where and findings["hang"].where.endswith("in step")
    assert findings["reward-audit"].verdict == "skip" and "hung" in findings["reward-audit"].seen


def test_a_crash_is_placed() -> None:
    report = check_env("broken_worlds:Raises-v0", limits=FEW)
    [crash] = [finding for finding in report.findings if finding.name == "crash"]
    assert "IndexError: the third step" in crash.seen and "broken_worlds.py:" in crash.where
