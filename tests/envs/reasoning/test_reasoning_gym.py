"""reasoning-gym's data sets as families."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.reasoning import reasoning_gym as adapter
from lmmr1.envs.reasoning.env import ReasoningEnv
from lmmr1.envs.reasoning.problems import Problem, ProblemSource, find_family, split_of
from lmmr1.envs.rewards.accuracy import Verdict

# Quick ones of many kinds: numbers, words, lists, grids, several right answers, those that are compared as text.
NAMES = (
    "leg_counting chain_sum gcd dice number_format decimal_arithmetic complex_arithmetic calendar_arithmetic"
    " basic_arithmetic time_intervals coin_flip simple_geometry self_reference knights_knaves syllogism"
    " family_relationships tower_of_hanoi shortest_path"
    " cryptarithm binary_matrix spiral_matrix string_insertion letter_jumble spell_backward gsm_symbolic"
    " prime_factorization polynomial_equations fraction_simplification number_sorting palindrome_generation acre"
).split()
JUNK = ("", "zzz", "0.123456789", "I do not know", "[]", "{}", "-", "\x00\ud800", "9" * 5000, "(" * 3000)


needs_it = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None, reason="the extra reasoning-gym is not installed"
)


def draw(name, count, level=1, split="all"):
    source, rng = ProblemSource.of([adapter.PREFIX + name], level, split), np.random.default_rng(0)
    return [source.draw(rng) for _ in range(count)]


@needs_it
@pytest.mark.parametrize("name", NAMES)
def test_gold_is_right_and_nothing_else_is_paid(name):
    for problem in draw(name, 6):
        assert adapter.grade_foreign(problem, problem.answer) is Verdict.EQUAL
        assert adapter.grade_foreign(problem, f"\n {problem.answer} ") is Verdict.EQUAL
        hedged = (f"{problem.answer} or not {problem.answer}", f"{problem.answer} {problem.answer} x", problem.question)
        for junk in (*JUNK, *hedged):
            if junk.strip() != problem.answer.strip():
                assert adapter.grade_foreign(problem, junk) is not Verdict.EQUAL, (junk, problem)
        assert find_family(problem.family).problem(problem.numbers) == problem


@needs_it
def test_a_second_right_answer_counts():
    (problem,) = draw("palindrome_generation", 1)
    half = problem.answer[: len(problem.answer) // 2]
    middle = problem.answer[len(half) : len(problem.answer) - len(half)]
    other = half[::-1] + middle + half
    assert other != problem.answer
    assert adapter.grade_foreign(problem, other) is Verdict.EQUAL


@needs_it
def test_levels_are_steps_of_the_curriculum():
    assert np.mean([len(p.question) for p in draw("leg_counting", 12, 10)]) > 1.3 * np.mean(
        [len(p.question) for p in draw("leg_counting", 12, 1)]
    )
    with pytest.raises(UserError, match="acre has no levels in reasoning-gym; leave level at 1"):
        ProblemSource.of(["reasoning-gym/acre"], 2)
    with pytest.raises(UserError, match="level 5 takes too long to build; the highest is 4"):
        ProblemSource.of(["reasoning-gym/jugs"], (1, 5))


@needs_it
def test_splits_share_no_question():
    found = {}
    for split in ("train", "validation", "test"):
        for problem in draw("syllogism", 15, split=split):
            key = find_family(problem.family).content(problem.numbers)
            assert split_of(problem.family, key) == split
            assert found.setdefault(problem.question, split) == split


@needs_it
@pytest.mark.parametrize("name", adapter.REFUSED)
def test_the_unsound_are_refused_with_the_reason(name):
    with pytest.raises(UserError, match="cannot be used for training: its? "):
        ProblemSource.of([adapter.PREFIX + name])


@needs_it
def test_the_list_holds_all_others():
    names = adapter.foreign_names()
    assert len(names) > 80 and not {adapter.PREFIX + name for name in adapter.REFUSED} & set(names)
    known = {adapter.PREFIX + name for name in (*adapter.EXACT, *adapter.NUMBERS, *adapter.HARDEST)}
    assert known <= set(names)
    with pytest.raises(UserError, match="no data set 'leg_countin'; did you mean reasoning-gym/leg_counting"):
        ProblemSource.of("reasoning-gym/leg_countin")


@needs_it
def test_an_episode_beside_families_of_our_own():
    env = gym.make(
        "LMMR1/Reasoning-v0", families={"reasoning-gym/leg_counting": 1, "logic": 1}, disable_env_checker=True
    )
    seen = set()
    for seed in range(12):
        question, info = env.reset(seed=seed)
        assert env.observation_space.contains(question)
        seen.add(info["family"].startswith(adapter.PREFIX))
        gold = env.unwrapped.solution().answer  # pyright: ignore[reportAttributeAccessIssue]
        assert env.step(gold)[1] == 1.0
        env.reset(seed=seed)
        _, reward, terminated, _, info = env.step("no idea")
        assert (reward, terminated, info["success"], info["verdict"]) == (0.0, True, False, "different")
    assert seen == {True, False}


@needs_it
def test_the_same_in_every_process():
    code = (
        "import numpy as np\nfrom lmmr1.envs.reasoning.problems import ProblemSource\n"
        f"names = {['reasoning-gym/' + name for name in NAMES]}\n"
        "rng = np.random.default_rng(5)\n"
        "for name in names: print(ascii(ProblemSource.of([name]).draw(rng)))"
    )
    told = []
    for salt in ("0", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1] and told[0].count("\n") >= len(NAMES)


def test_without_it_the_extra_is_named(without_it):
    with pytest.raises(UserError, match=r"pip install 'lmmr1\[reasoning-gym\]'"):
        ReasoningEnv(families=["reasoning-gym/leg_counting"])
    assert isinstance(ProblemSource.of().draw(np.random.default_rng(0)), Problem)


@pytest.fixture
def without_it(monkeypatch):
    adapter._registry.cache_clear()
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    yield
    adapter._registry.cache_clear()
