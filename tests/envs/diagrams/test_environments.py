"""Geometry and Perception as environments: modalities, options, splits, and what is refused."""

from __future__ import annotations

import pickle
import re
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest

import lmmr1
from lmmr1.envs.diagrams.asking import IMAGE_PROMPT
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import sample_question
from lmmr1.envs.errors import UserError
from lmmr1.envs.geometry.env import GeometryEnv
from lmmr1.envs.geometry.figures import FIGURE_GROUPS, FIGURES
from lmmr1.envs.perception.env import PerceptionEnv
from lmmr1.envs.perception.families import PERCEPTION
from lmmr1.envs.reasoning.problems import sample_problem
from lmmr1.envs.reasoning.splits import split_of

worlds = pytest.mark.parametrize("world", [GeometryEnv, PerceptionEnv])
MODALITIES = ("both", "text_only", "image_only")


@worlds
def test_one_seed_asks_one_question_in_every_modality(world) -> None:
    envs = {modality: world(modality=modality, level=(1, 10)) for modality in MODALITIES}
    for seed in range(25):
        seen = {modality: env.reset(seed=seed)[0] for modality, env in envs.items()}
        for modality, env in envs.items():
            assert env.observation_space.contains(seen[modality])
        answers = {env.solution() for env in envs.values()}
        assert len(answers) == 1
        assert set(seen["text_only"]) == {"question"}
        assert seen["image_only"]["question"] == IMAGE_PROMPT
        assert (seen["image_only"]["image"][:224] == seen["both"]["image"]).all()
        # The question stands under the picture.
        below = seen["image_only"]["image"][224:]
        assert (below != below[0, 0]).any()
        assert len(seen["text_only"]["question"]) >= len(seen["both"]["question"]) - 60


@worlds
def test_the_words_are_not_in_the_text_beside_a_picture(world) -> None:
    env, words = world(), world(modality="text_only")
    longer = 0
    for seed in range(40):
        longer += len(words.reset(seed=seed)[0]["question"]) > len(env.reset(seed=seed)[0]["question"]) + 5
    assert longer >= 36


def test_schematic_families_in_every_modality() -> None:
    for modality in MODALITIES:
        env = GeometryEnv(families="schematic", modality=modality, size=84)
        observation, info = env.reset(seed=1)
        assert env.observation_space.contains(observation)
        assert env.step(env.solution().answer)[1] == 1.0
    assert re.search(r"\d", GeometryEnv(families="schematic", modality="text_only").reset(seed=1)[0]["question"])


@pytest.mark.parametrize("world", [GeometryEnv, PerceptionEnv])
def test_options(world) -> None:
    env, letters = world(answer_format="choice", level=(1, 10)), Counter()
    plain = world(level=(1, 10))
    env.action_space.seed(0)
    for seed in range(300):
        observation, _ = env.reset(seed=seed)
        plain.reset(seed=seed)
        options = dict(re.findall(r"^\((\w)\) (.+)$", observation["question"], re.MULTILINE))
        solution, value = env.solution(), plain.solution().answer
        assert list(options) == list("ABCD") and len(set(options.values())) == 4
        assert options[solution.answer] == value
        assert solution.thought.endswith(f"\\boxed{{{solution.answer}}}.")
        letters[solution.answer] += 1
        wrong = "ABCD"[("ABCD".index(solution.answer) + 1) % 4]
        right = seed % 2 == 0
        assert env.step(solution.answer if right else wrong)[1] == float(right)
    # 300 draws of four: 75 each, give or take four standard deviations.
    assert all(45 <= letters[letter] <= 105 for letter in "ABCD"), letters


def test_schematic_options() -> None:
    env = GeometryEnv(families="schematic", answer_format="choice")
    letters = Counter()
    for seed in range(200):
        observation, _ = env.reset(seed=seed)
        solution = env.solution()
        options = dict(re.findall(r"^\((\w)\) (.+)$", observation["question"], re.MULTILINE))
        problem = env._sitting.posed.problem  # pyright: ignore[reportOptionalMemberAccess]
        assert options[solution.answer] == problem.answer  # pyright: ignore[reportAttributeAccessIssue]
        letters[solution.answer] += 1
    assert min(letters.values()) >= 25 and len(letters) == 4


@worlds
def test_splits_share_no_problem(world) -> None:
    seen: dict[str, set] = {}
    for split in ("train", "validation", "test"):
        env = world(split=split, level=(1, 10))
        env.reset(seed=0)
        for _ in range(150):
            env.reset()
            problem = env._sitting.posed.problem
            assert split_of(problem.family, problem.numbers) == split
            seen.setdefault(split, set()).add((problem.family, problem.numbers))
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]


@worlds
@pytest.mark.parametrize("style", ["paper", "grid", "sketch", "board", "slate", "mixed"])
def test_styles(world, style: str) -> None:
    env = world(style=style, render_mode="rgb_array")
    pictures = [env.reset(seed=seed)[0]["image"] for seed in range(4)]
    assert len({picture.tobytes() for picture in pictures}) == 4
    assert (env.render() == pictures[-1]).all()


def test_styles_differ_and_mixed_is_all_of_them() -> None:
    grounds = {style: tuple(GeometryEnv(style=style).reset(seed=3)[0]["image"][0, 0]) for style in ("paper", "board")}
    assert grounds["paper"] == (255, 255, 255) and grounds["board"] != grounds["paper"]
    env = GeometryEnv(style="mixed")
    corners = {tuple(env.reset(seed=seed)[0]["image"][0, 0]) for seed in range(30)}
    assert len(corners) >= 3


@worlds
def test_a_given_question_is_asked(world) -> None:
    family = next(iter((FIGURES if world is GeometryEnv else PERCEPTION).values()))
    question = sample_question(Lots(np.random.default_rng(0)), family, 3, "all")
    env = world()
    first, _ = env.reset(seed=0, options={"problem": question})
    second, info = env.reset(seed=1, options={"problem": question})
    assert info["family"] == family.name and first["question"] == second["question"] == question.text
    assert (first["image"] != second["image"]).any() or world is PerceptionEnv
    assert env.step(question.answer)[1] == 1.0


def test_a_schematic_problem_is_asked_by_any_environment() -> None:
    problem = sample_problem(np.random.default_rng(0), ["triangle_perimeter"])
    env = GeometryEnv()
    assert env.reset(seed=0, options={"problem": problem})[1]["family"] == "triangle_perimeter"
    assert env.step(problem.answer)[1] == 1.0


def test_what_none_stands_for() -> None:
    def families(**kwargs) -> set[str]:
        env = GeometryEnv(**kwargs)
        env.reset(seed=0)
        return {env.reset()[1]["family"] for _ in range(150)}

    assert families() <= set(FIGURES)
    assert len(families(size=84)) == len(families(ask="read")) == 7
    assert families(families="circles") <= set(FIGURE_GROUPS["circles"])
    weighted = families(families={"ring": 1.0, "triangle_perimeter": 1.0})
    assert weighted == {"ring", "triangle_perimeter"}


@worlds
def test_an_episode(world) -> None:
    env = world(render_mode="rgb_array")
    with pytest.raises(gym.error.ResetNeeded):
        env.step("1")
    with pytest.raises(UserError, match="no question yet"):
        env.solution()
    assert env.render().shape == (224, 224, 3)
    env.reset(seed=0)
    copy = pickle.loads(pickle.dumps(env))
    answer = env.solution().answer
    _, reward, terminated, truncated, info = env.step(answer)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"] is True and info["gold"] == answer
    assert copy.step("no idea")[1] == 0.0
    with pytest.raises(gym.error.ResetNeeded):
        env.step(answer)


def test_a_chat_without_a_picture() -> None:
    messages, _ = lmmr1.make_chat("LMMR1/Perception-v0", modality="text_only").reset(seed=0)
    assert [part["type"] for part in messages[-1]["content"]] == ["text"]
    messages, _ = lmmr1.make_chat("LMMR1/Geometry-v0", modality="image_only").reset(seed=0)
    assert [part["type"] for part in messages[-1]["content"]] == ["image", "text"]


def test_groups_draw_a_question_once() -> None:
    one, other = GeometryEnv(), GeometryEnv()
    first, second = one.reset(seed=5)[0], other.reset(seed=5)[0]
    assert (first["image"] == second["image"]).all() and first["question"] == second["question"]
    # What one of them does to its picture is not seen by the other.
    first["image"][:] = 0
    assert other.reset(seed=5)[0]["image"].any()
    # The next questions are the same as well.
    assert one.reset()[0]["question"] == other.reset()[0]["question"]


@pytest.mark.parametrize(
    ("world", "kwargs", "told"),
    [
        (GeometryEnv, {"families": ["circle"]}, "'circle' is not a family here; did you mean circles?"),
        (GeometryEnv, {"families": "ring", "size": 84}, "ring needs at least 160 pixels"),
        (GeometryEnv, {"families": "ring", "ask": "read"}, "ring has no fixed order of numbers"),
        (GeometryEnv, {"ask": "read", "modality": "text_only"}, 'needs modality="both"'),
        (GeometryEnv, {"modality": "sound"}, "modality is 'sound'"),
        (GeometryEnv, {"answer_format": "essay"}, "answer_format is 'essay'"),
        (GeometryEnv, {"families": "schematic", "split": "validation"}, "no validation problems"),
        (PerceptionEnv, {"size": 83}, "size is 83"),
        (PerceptionEnv, {"size": 84, "families": "charts"}, "bar_chart needs at least 160 pixels"),
        (PerceptionEnv, {"families": ["clocks"]}, "did you mean clock?"),
        (PerceptionEnv, {"level": 11}, "level is 11"),
        (PerceptionEnv, {"style": "crayon"}, "style is 'crayon'"),
        (PerceptionEnv, {"render_mode": "ansi"}, "render_mode is 'ansi'"),
    ],
)
def test_bad_arguments(world, kwargs, told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        world(**kwargs)


@worlds
def test_a_given_question_has_to_have_room(world) -> None:
    family = (FIGURES if world is GeometryEnv else PERCEPTION)["grid_area" if world is GeometryEnv else "bar_chart"]
    question = sample_question(Lots(np.random.default_rng(0)), family, 9, "all")
    with pytest.raises(UserError, match="cannot be drawn in 84 pixels"):
        world(size=84).reset(options={"problem": question})


def test_small_pictures_of_perception() -> None:
    env = PerceptionEnv(size=84, style="slate")
    env.reset(seed=0)
    families = set()
    for _ in range(60):
        observation, info = env.reset()
        assert observation["image"].shape == (84, 84, 3) and (observation["image"] != 127).any()
        families.add(info["family"])
    assert families == {"count_shapes", "spatial_relation", "odd_one_out", "dice"}


@worlds
def test_bad_options(world) -> None:
    with pytest.raises(UserError, match="unknown option 'level'"):
        world().reset(options={"level": 3})
    with pytest.raises(UserError, match="give a"):
        world().reset(options={"problem": 5})
