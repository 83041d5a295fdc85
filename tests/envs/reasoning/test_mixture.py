"""Mixtures of families and of levels."""

from __future__ import annotations

from collections import Counter

import gymnasium as gym
import numpy as np

from lmmr1.envs.reasoning.problems import DEFAULT_FAMILIES, FAMILIES, GROUPS, ProblemSource, sample_problem


def count(families, level=1, draws=6000):
    source, rng = ProblemSource.of(families, level), np.random.default_rng(0)
    return Counter(source.draw(rng).family for _ in range(draws))


def test_weights_are_shares():
    found = count({"weekday": 3, "shares": 1})
    assert set(found) == {"weekday", "shares"}
    assert abs(found["weekday"] / 6000 - 0.75) < 0.03


def test_a_group_shares_its_weight_among_its_families():
    found = count({"units": 1, "weekday": 1, "shares": 2})
    assert set(found) == {*GROUPS["units"], "shares"}
    assert abs(found["shares"] / 6000 - 0.5) < 0.03
    assert abs(found["weekday"] / 6000 - 0.25 - 0.25 / len(GROUPS["units"])) < 0.03


def test_a_list_takes_every_family_once():
    source = ProblemSource.of(["weekday", "units", "weekday"])
    assert source.families.things == ("weekday", *(name for name in GROUPS["units"] if name != "weekday"))
    assert ProblemSource.of("logic").families.things == GROUPS["logic"]
    assert ProblemSource.of().families.things == DEFAULT_FAMILIES == ProblemSource.of(None).families.things
    assert not set(DEFAULT_FAMILIES) & set(GROUPS["primer"])


class Recorded:
    """A family that notes the levels it is asked for."""

    def __init__(self, family):
        self.family, self.levels, self.name = family, Counter(), family.name

    def draw(self, rng, level):
        self.levels[level] += 1
        return self.family.draw(rng, level)

    def problem(self, *drawn):
        return self.family.problem(*drawn)


def levels_of(level, monkeypatch):
    recorded = Recorded(FAMILIES["weekday"])
    monkeypatch.setitem(FAMILIES, "weekday", recorded)
    source, rng = ProblemSource.of("weekday", level), np.random.default_rng(1)
    for _ in range(2000):
        source.draw(rng)
    monkeypatch.setitem(FAMILIES, "weekday", recorded.family)
    return recorded.levels


def test_a_range_of_levels_is_drawn_evenly(monkeypatch):
    found = levels_of((3, 6), monkeypatch)
    assert set(found) == {3, 4, 5, 6} and min(found.values()) > 400
    assert set(levels_of([7, 7], monkeypatch)) == {7}


def test_levels_by_weight(monkeypatch):
    found = levels_of({1: 1, 10: 3}, monkeypatch)
    assert set(found) == {1, 10} and abs(found[10] / 2000 - 0.75) < 0.05
    # As it comes back from a file of JSON.
    assert levels_of({"1": 1, "10": 3}, monkeypatch) == found


def test_a_single_level_takes_nothing_from_the_generator():
    problems = [
        sample_problem(np.random.default_rng(4), ["weekday"], level) for level in (5, (5, 5), {5: 2.0}, {"5": 1})
    ]
    assert len(set(problems)) == 1


def test_the_environment_takes_them():
    env = gym.make("LMMR1/Reasoning-v0", families={"algebra": 2, "logic": 1}, level=[2, 9], split="validation")
    families = {env.reset(seed=seed)[1]["family"] for seed in range(120)}
    assert families <= {*GROUPS["algebra"], *GROUPS["logic"]} and len(families) > 12
