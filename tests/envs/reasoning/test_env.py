"""Reasoning: the problems are right, the split holds, the environment grades."""

from __future__ import annotations

import hashlib
import math
import os
import re
import subprocess
import sys
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.reasoning import env as reasoning_env
from lmmr1.envs.reasoning.env import ReasoningEnv
from lmmr1.envs.reasoning.problems import FAMILIES, GROUPS, Problem, is_test, sample_problem
from lmmr1.envs.rewards.accuracy import Verdict, grade

PRIMER = GROUPS["primer"]
SHAPES = ("triangle_perimeter", "isosceles_perimeter", "rectangle_perimeter", "triangle_angle")
STEP = re.compile(r"(-?\d+)([-+*/])(\d+)=(-?\d+(?:/\d+)?)")


def draw(count, families=None, level=1, split="all", seed=0):
    rng = np.random.default_rng(seed)
    return [sample_problem(rng, families, level, split) for _ in range(count)]


@pytest.mark.parametrize(
    ("family", "numbers", "question", "thought", "answer"),
    [
        (
            "triangle_perimeter",
            (7, 18, 12),
            "Triangle with sides 7, 18, 12. Perimeter?",
            "7,18,12:7+18=25;25+12=37",
            "37",
        ),
        (
            "isosceles_perimeter",
            (7, 6),
            "Isosceles triangle with legs 7, base 6. Perimeter?",
            "7,6:7+7=14;14+6=20",
            "20",
        ),
        ("rectangle_perimeter", (7, 18), "Rectangle with sides 7, 18. Perimeter?", "7,18:7+18=25;25+25=50", "50"),
        ("triangle_angle", (47, 62), "Triangle with angles 47, 62. Third angle?", "47,62:180-47=133;133-62=71", "71"),
        ("product", (34, 27), "Compute 34 * 27.", "34,27:34*20=680;34*7=238;680+238=918", "918"),
        ("sequence", (1, 4, 9, 16, 25), "Next number of 1, 4, 9, 16, 25?", None, "36"),
        ("sequence", (2, 6, 18, 54), "Next number of 2, 6, 18, 54?", "2,6,18,54:6/2=3;54*3=162", "162"),
    ],
)
def test_wording(family, numbers, question, thought, answer):
    problem = FAMILIES[family].problem(numbers)
    assert problem.question == question
    assert thought is None or problem.thought == thought
    assert problem.answer == answer


@pytest.mark.parametrize("level", [1, 5, 10])
@pytest.mark.parametrize("family", PRIMER)
def test_every_step_is_right_and_the_last_one_shows_the_answer(family, level):
    for problem in draw(60, [family], level):
        numbers, _, steps = problem.thought.partition(":")
        assert numbers == ",".join(map(str, problem.numbers))
        assert steps.rpartition("=")[2] == problem.answer
        for step in steps.split(";"):
            match = STEP.fullmatch(step)
            if match is None:
                assert step == f"gcd={problem.answer}"
                continue
            left, sign, right = Fraction(match[1]), match[2], Fraction(match[3])
            value = {"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1)}[sign]
            assert value == Fraction(match[4]), step
        assert len(problem.question) <= reasoning_env.MAX_QUESTION_LENGTH


def test_answers_agree_with_another_way_of_working_them_out():
    other = {
        "triangle_perimeter": sum,
        "isosceles_perimeter": lambda n: 2 * n[0] + n[1],
        "rectangle_perimeter": lambda n: 2 * sum(n),
        "triangle_angle": lambda n: 180 - sum(n),
        "rectangle_area": math.prod,
        "right_triangle_area": lambda n: Fraction(math.prod(n), 2),
        "exterior_angle": sum,
        "sum_chain": sum,
        "product": math.prod,
        "linear_equation": lambda n: Fraction(n[2] - n[1], n[0]),
        "remainder": lambda n: n[0] % n[1],
        "fraction_sum": lambda n: Fraction(n[0], n[1]) + Fraction(n[2], n[3]),
        "greatest_common_divisor": lambda n: math.gcd(*n),
        "percentage": lambda n: Fraction(n[0] * n[1], 100),
        "average": lambda n: Fraction(sum(n), len(n)),
        "shopping": lambda n: n[0] * n[1] + n[2] * n[3],
    }
    assert set(other) == set(PRIMER) - {"sequence"}
    for family, work_out in other.items():
        for level in (1, 4, 10):
            for problem in draw(30, [family], level):
                assert Fraction(problem.answer) == work_out(problem.numbers), problem


def test_level_one_keeps_its_ranges():
    for problem in draw(2000, SHAPES):
        numbers = problem.numbers
        if problem.family == "triangle_angle":
            assert all(20 <= n <= 79 for n in numbers) and sum(numbers) <= 160
        else:
            assert all(2 <= n <= 19 for n in numbers)
        if problem.family == "triangle_perimeter":
            assert 2 * max(numbers) < sum(numbers)
        if problem.family == "isosceles_perimeter":
            assert 2 * numbers[0] > numbers[1]


def test_gold_answers_grade_as_equal():
    for problem in draw(300, PRIMER, level=6):
        assert grade(problem.answer, problem.answer) is Verdict.EQUAL


@pytest.mark.parametrize("level", [1, 10])
def test_train_and_test_share_no_problem(level):
    train = {(p.family, p.numbers) for p in draw(5000, PRIMER, level, split="train")}
    test = {(p.family, p.numbers) for p in draw(5000, PRIMER, level, split="test", seed=1)}
    assert not train & test
    everything = draw(5000, SHAPES, level=level)
    share = np.mean([is_test(p.family, p.numbers) for p in everything])
    assert 0.07 < share < 0.13


@pytest.mark.parametrize("family", PRIMER)
def test_every_family_has_both_splits_at_every_level(family):
    for level in range(1, 11):
        for split in ("train", "test"):
            (problem,) = draw(1, [family], level, split)
            assert is_test(family, problem.numbers) == (split == "test")


def test_the_split_is_the_same_in_another_process():
    code = (
        "import numpy as np\nfrom lmmr1.envs.reasoning.problems import sample_problem\n"
        "rng = np.random.default_rng(5)\nprint([sample_problem(rng, 'primer', 2, 'test').question for _ in range(50)])"
    )
    here = str([problem.question for problem in draw(50, PRIMER, level=2, split="test", seed=5)])
    for salt in ("0", "77"):
        output = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True
        )
        assert output.stdout.strip() == here, output.stderr


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"families": ["triangle_perimetre"]}, "triangle_perimeter"),
        ({"families": []}, "families is empty"),
        ({"level": 0}, "level is 0"),
        ({"level": 11}, "level is 11"),
        ({"level": True}, "level is True"),
        ({"level": 1.0}, "level is 1.0"),
        ({"level": (1, 11)}, "level is 11"),
        ({"level": (5, 2)}, "the lower end comes first: [2, 5]"),
        ({"level": [1, 2, 3]}, "a range has two ends"),
        ({"level": {}}, "level is an empty mapping"),
        ({"level": {3: 0}}, "level: the weight of 3 is 0; give a number above 0"),
        ({"level": {"three": 1}}, "level is 'three'"),
        ({"families": {"urn": -1}}, "families: the weight of urn is -1; give a number above 0"),
        ({"families": {"urn": float("nan")}}, "families: the weight of urn is nan"),
        ({"families": {"urns": 1}}, "did you mean urn?"),
        ({"families": ["algebr"]}, "did you mean algebra?"),
        ({"families": 3}, "families is 3; give a list of names"),
        ({"split": "dev"}, "split is 'dev'"),
        (
            {"families": ["urn", "product"], "split": "validation"},
            "product has no validation problems, only train and test",
        ),
        ({"render_mode": "human"}, "render_mode is 'human'"),
    ],
)
def test_bad_arguments(kwargs, told):
    with pytest.raises(UserError, match=re.escape(told)):
        ReasoningEnv(**kwargs)


def test_an_episode():
    env = ReasoningEnv(families=["sum_chain"], split="test", render_mode="ansi")
    with pytest.raises(gym.error.ResetNeeded):
        env.step("1")
    with pytest.raises(UserError):
        env.solution()
    question, info = env.reset(seed=3)
    assert env.observation_space.contains(question) and info == {"family": "sum_chain"}
    assert env.render() == question
    solution = env.solution()
    again, reward, terminated, truncated, info = env.step(f" {solution.answer} ")
    assert (again, reward, terminated, truncated) == (question, 1.0, True, False)
    assert info == {"family": "sum_chain", "success": True, "verdict": "equal", "gold": solution.answer}
    assert solution.answer in str(env.render())
    with pytest.raises(gym.error.ResetNeeded):
        env.step(solution.answer)
    env.reset()
    _, reward, terminated, _, info = env.step("-12345")
    assert (reward, terminated, info["success"], info["verdict"]) == (0.0, True, False, "different")


def test_the_primer_never_changes():
    # Recipes and the shipped model were trained on exactly these.
    told = hashlib.sha256()
    for level in range(1, 11):
        for split in ("all", "train", "test"):
            rng = np.random.default_rng(level)
            for _ in range(60):
                p = sample_problem(rng, "primer", level, split)
                told.update(repr((p.family, p.numbers, p.question, p.thought, p.answer)).encode())
    assert told.hexdigest() == "9f0bbfccf38029e73951dd57b48d8ef2701c8454798d8cd557647cad6c0faad8"
    assert list(PRIMER) == list(FAMILIES)[:17] and ReasoningEnv(families="primer").chat_spec.instructions.startswith(
        "You are given a problem about numbers."
    )


def test_an_answer_that_cannot_be_verified_is_told_apart(monkeypatch):
    monkeypatch.setattr(reasoning_env, "grade", lambda gold, answer, choices: Verdict.UNVERIFIABLE)
    env = ReasoningEnv()
    env.reset(seed=0)
    _, reward, _, _, info = env.step("7")
    assert (reward, info["success"], info["verdict"]) == (0.0, False, "unverifiable")


def test_same_seed_same_questions():
    first, second = ReasoningEnv(level=3), ReasoningEnv(level=3)
    one = [first.reset(seed=9)[0], *(first.reset()[0] for _ in range(20))]
    two = [second.reset(seed=9)[0], *(second.reset()[0] for _ in range(20))]
    assert one == two and len(set(one)) > 10


def test_a_problem_of_ones_own():
    env = ReasoningEnv(render_mode="rgb_array")
    problem = Problem("mine", (1, 2), "1 + 2 of a rather long question " * 3, "1,2:1+2=3", "3")
    assert env.reset(options={"problem": problem})[0] == problem.question
    card = env.render()
    assert isinstance(card, np.ndarray) and card.shape == (160, 480, 3) and card.min() < 60
    with pytest.raises(UserError, match="unknown option 'level'"):
        env.reset(options={"level": 3})
    with pytest.raises(UserError, match="give a Problem"):
        env.reset(options={"problem": "1+1?"})
