"""Families of problems: the promises that every one of them keeps."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmmr1.envs.reasoning.draw import Draw
from lmmr1.envs.reasoning.env import MAX_TEXT_LENGTH
from lmmr1.envs.reasoning.family import AREAS, POOL_WORDS, VOICE_BITS
from lmmr1.envs.reasoning.problems import DEFAULT_FAMILIES, FAMILIES, GROUPS, ProblemSource, TextFamily, split_of
from lmmr1.envs.reasoning.reasoning_gym import REFUSED
from lmmr1.envs.rewards.accuracy import Verdict, grade

COUNT = 200
every_family = pytest.mark.parametrize("family", DEFAULT_FAMILIES)


def draw(family, count, level=(1, 10), split="all", seed=0):
    source, rng = ProblemSource.of([family], level, split), np.random.default_rng(seed)
    return [source.draw(rng) for _ in range(count)]


def test_there_are_enough_families_in_every_area():
    assert len(DEFAULT_FAMILIES) >= 60 and len(set(DEFAULT_FAMILIES)) == len(DEFAULT_FAMILIES)
    assert all(len(GROUPS[area]) >= 5 for area in AREAS)
    assert sum(len(GROUPS[area]) for area in AREAS) == len(DEFAULT_FAMILIES)
    assert set(FAMILIES) == set(DEFAULT_FAMILIES) | set(GROUPS["primer"])


@every_family
def test_the_grader_agrees_with_gold_and_worked_solution_and_not_with_nothing(family):
    for problem in draw(family, COUNT):
        assert grade(problem.answer, problem.answer) is Verdict.EQUAL
        last = problem.thought.splitlines()[-1]
        assert last == f"The answer is \\boxed{{{problem.answer}}}."
        assert grade(problem.answer, last) is Verdict.EQUAL, problem
        assert len(problem.thought.splitlines()) > 1
    for problem in draw(family, 20):
        for null in ("", "0.123456789", problem.question):
            assert grade(problem.answer, null) is not Verdict.EQUAL, (null, problem)


@every_family
def test_questions_hardly_ever_come_twice_and_fit_the_space(family):
    problems = draw(family, COUNT)
    assert len({problem.question for problem in problems}) >= 0.99 * COUNT
    for problem in [*problems, *draw(family, COUNT, level=10)]:
        assert len(problem.question) <= MAX_TEXT_LENGTH
        assert problem.question.isascii() and problem.thought.isascii() and problem.answer.isascii()
        assert "  " not in problem.question and "{" not in problem.question and problem.question[-1] in ".?"


@every_family
def test_levels_change_what_is_asked(family):
    # What comes at level 10 hardly ever comes at level 1, and it has longer solutions or larger numbers.
    easy, hard = draw(family, COUNT, level=1), draw(family, COUNT, level=10)
    shared = {problem.numbers for problem in easy} & {problem.numbers for problem in hard}
    assert len(shared) <= 0.06 * COUNT
    length = lambda problems: np.mean([len(problem.thought) for problem in problems])  # noqa: E731
    size = lambda problems: np.mean([sum(map(abs, problem.numbers)) for problem in problems])  # noqa: E731
    assert length(hard) > 1.1 * length(easy) or size(hard) > 1.5 * size(easy)


@every_family
def test_no_problem_is_in_two_splits_in_whatever_words(family):
    found = {}
    for split in ("train", "validation", "test"):
        for problem in draw(family, COUNT // 2, split=split, seed=1):
            assert split_of(family, problem.numbers) == split
            assert found.setdefault(problem.question, split) == split, problem
    shares = [split_of(family, problem.numbers) for problem in draw(family, 2 * COUNT)]
    assert 0.04 < shares.count("validation") / len(shares) < 0.17 and 0.04 < shares.count("test") / len(shares) < 0.17


@every_family
def test_every_level_has_problems_of_every_split(family):
    for level in range(1, 11):
        for split in ("train", "validation", "test"):
            draw(family, 1, level, split)


@every_family
def test_voices_say_the_same_in_other_words(family):
    chosen = FAMILIES[family]
    assert isinstance(chosen, TextFamily)
    problem = draw(family, 1)[0]
    rng = np.random.default_rng(2)
    others = [chosen.problem(problem.numbers, int.from_bytes(rng.bytes(16), "little")) for _ in range(12)]
    assert len({other.question for other in others}) > 1
    assert chosen.problem(problem.numbers, problem.voice) == problem
    # Where names are what is asked for the answer may change with them; numbers never do.
    if any(character.isdigit() for character in problem.answer):
        assert {other.answer for other in others} == {problem.answer}


@every_family
def test_a_question_never_empties_its_pool(family, monkeypatch):
    # What is left over is the bias of a draw: at least 64 bits of numbers, and something of the voice.
    pools = []
    chosen = FAMILIES[family]
    assert isinstance(chosen, TextFamily)
    rng = np.random.default_rng(3)
    for _ in range(COUNT):
        draws = Draw((1 << (64 * POOL_WORDS - VOICE_BITS)) - 1), Draw((1 << VOICE_BITS) - 1)
        randomness = int.from_bytes(rng.bytes(80), "little")
        draws[0].pool -= randomness
        numbers = chosen.sample(draws[0], 10)
        if numbers is not None:
            chosen.word(numbers, draws[1])
            pools.append((draws[0].pool.bit_length(), draws[1].pool.bit_length()))
    assert min(pool for pool, _ in pools) > 64
    assert min(pool for _, pool in pools) > 16


def test_the_same_in_every_process():
    code = (
        "import hashlib, numpy as np\n"
        "from lmmr1.envs.reasoning.problems import ProblemSource\n"
        "source, rng = ProblemSource.of(None, (1, 10), 'train'), np.random.default_rng(5)\n"
        "print(hashlib.sha256(repr([source.draw(rng) for _ in range(2000)]).encode()).hexdigest())"
    )
    source, rng = ProblemSource.of(None, (1, 10), "train"), np.random.default_rng(5)
    here = hashlib.sha256(repr([source.draw(rng) for _ in range(2000)]).encode()).hexdigest()
    for salt in ("0", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == here, done.stderr


def test_the_docs_show_every_family_as_it_is():
    page = (Path(__file__).parents[3] / "docs/reasoning.md").read_text(encoding="utf-8")
    assert f"{len(DEFAULT_FAMILIES)} families over nine areas" in page
    for family in DEFAULT_FAMILIES:
        problem = draw(family, 1, level=3)[0]
        question = problem.question.replace("*", "\\*")
        assert f"| `{family}` | {question} | `{problem.answer}` |" in page
    for name in REFUSED:
        assert f"`{name}`" in page
