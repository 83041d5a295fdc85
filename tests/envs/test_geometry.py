"""Geometry: the labels are where they should be, and the picture alone tells the numbers."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.envs.diagrams.canvas import Canvas
from lmmr1.envs.errors import UserError
from lmmr1.envs.geometry.env import GeometryEnv
from lmmr1.envs.geometry.families import SHAPE_FAMILIES, draw_problem
from lmmr1.envs.reasoning.problems import FAMILIES, is_test, sample_problem

# Cells (row, column) of the 3 by 3 grid that hold a number, in the order of the numbers.
CELLS = {
    "triangle_perimeter": [(1, 0), (1, 2), (2, 1)],
    "isosceles_perimeter": [(1, 0), (2, 1)],
    "rectangle_perimeter": [(0, 1), (1, 0)],
    "triangle_angle": [(2, 0), (2, 2)],
    "rectangle_area": [(0, 1), (1, 0)],
    "right_triangle_area": [(1, 0), (2, 1)],
    "exterior_angle": [(0, 1), (2, 0)],
}
SLATE = {"size": 84, "style": "slate"}


def draw(family, numbers, seed=0, **kwargs):
    return draw_problem(FAMILIES[family].problem(numbers), np.random.default_rng(seed), **kwargs)


def white_centres(image):
    """For each cell of the 3 by 3 grid with white pixels: their middle, relative to the middle of the cell."""
    white = (image > 200).all(axis=2)
    side = image.shape[0] // 3
    centres = {}
    for row in range(3):
        for column in range(3):
            ys, xs = np.nonzero(white[row * side : (row + 1) * side, column * side : (column + 1) * side])
            if len(ys):
                middle = (side - 1) / 2
                centres[row, column] = ((ys.min() + ys.max()) / 2 - middle, (xs.min() + xs.max()) / 2 - middle)
    return centres


def test_every_family_is_covered():
    assert set(CELLS) == set(SHAPE_FAMILIES) and len(CELLS) >= 6


@pytest.mark.parametrize("family", CELLS)
def test_slate_labels_stand_in_the_middle_of_their_cells(family):
    rng = np.random.default_rng(0)
    for _ in range(40):
        problem = sample_problem(rng, [family])
        centres = white_centres(draw_problem(problem, rng, **SLATE))
        extra = {(1, 2)} if family == "exterior_angle" else set()  # the question mark
        assert set(centres) == set(CELLS[family]) | extra
        for cell in CELLS[family]:
            assert max(map(abs, centres[cell])) <= 3, (problem, centres)


@pytest.mark.parametrize("family", CELLS)
def test_slate_has_grey_ground_dark_outlines_and_white_digits(family):
    image = draw(family, (40, 50, 60)[: len(CELLS[family])], **SLATE)
    assert image.shape == (84, 84, 3) and image.dtype == np.uint8
    assert (image == 127).all(axis=2).mean() > 0.7
    dark = image[(image < 127).all(axis=2)]
    assert len(dark) > 50 and dark.min() >= 60 and dark.max() <= 110
    assert (image == 255).all(axis=2).sum() > 10


@pytest.mark.parametrize("style", ["paper", "slate"])
@pytest.mark.parametrize("size", [84, 224])
@pytest.mark.parametrize("family", CELLS)
def test_a_number_changes_its_own_cell_and_nothing_else(family, size, style):
    numbers = [41, 52, 63][: len(CELLS[family])]
    before = draw(family, tuple(numbers), seed=4, size=size, style=style)
    for i, (row, column) in enumerate(CELLS[family]):
        for other in (numbers[i] + 1, numbers[i] + 10):
            changed = [*numbers[:i], other, *numbers[i + 1 :]]
            after = draw(family, tuple(changed), seed=4, size=size, style=style)
            ys, xs = np.nonzero((before != after).any(axis=2))
            assert len(ys) > 5
            assert set(ys * 3 // size) == {row} and set(xs * 3 // size) == {column}


def test_every_pair_of_labels_looks_different():
    pictures = {draw("rectangle_perimeter", (n, 8), **SLATE).tobytes() for n in range(2, 20)}
    assert len(pictures) == 18


def test_paper_is_white_and_writes_degrees():
    angle = draw("triangle_angle", (40, 50))
    assert angle.shape == (224, 224, 3) and (angle == 255).all(axis=2).mean() > 0.7
    wide = (angle[149:, :75].max(axis=2) < 100).any(axis=0).sum()
    plain = (draw("triangle_perimeter", (50, 50, 40))[149:, 75:149].max(axis=2) < 100).any(axis=0).sum()
    assert wide > plain


def test_drawings_vary_and_repeat_with_the_generator():
    first, same, other = (draw("triangle_perimeter", (7, 8, 9), seed=seed) for seed in (1, 1, 2))
    assert (first == same).all() and (first != other).any()


def test_canvas_marks():
    canvas = Canvas(60, (255, 255, 255))
    canvas.angle_arc((30, 30), (60, 30), (30, 0), 12, (0, 0, 0), 1.5)
    ys, xs = np.nonzero(canvas.to_array().max(axis=2) < 128)
    # From "right" to "up" the arc stays in the upper right quarter, twelve pixels off.
    assert len(xs) and xs.min() >= 29 and ys.max() <= 31
    assert np.abs(np.hypot(xs - 30, ys - 30) - 12).max() < 2
    canvas = Canvas(60, (255, 255, 255), oversample=1)
    canvas.tick((10, 30), (50, 30), 9, (0, 0, 0))
    ys, xs = np.nonzero(canvas.to_array().max(axis=2) < 128)
    assert set(xs) == {30} and 7 <= np.ptp(ys) <= 10


@pytest.mark.parametrize("ask", ["solve", "read"])
def test_an_episode(ask):
    env = GeometryEnv(split="test", ask=ask, render_mode="rgb_array", **SLATE)
    with pytest.raises(gym.error.ResetNeeded):
        env.step("1")
    with pytest.raises(UserError):
        env.solution()
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert set(info) == {"family"}
    assert not re.search(r"\d", observation["question"])
    solution = env.solution()
    picture = env.render()
    assert picture is not None and (picture == observation["image"]).all()
    _, reward, terminated, truncated, info = env.step(solution.answer)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"] is True and info["verdict"] == "equal" and info["gold"] == solution.answer
    with pytest.raises(gym.error.ResetNeeded):
        env.step("1")
    env.reset()
    _, reward, _, _, info = env.step("999,999")
    assert (reward, info["success"], info["verdict"]) == (0.0, False, "different")


def test_reading_is_exact_but_for_spaces():
    problem = FAMILIES["triangle_perimeter"].problem((7, 18, 12))
    env = GeometryEnv(ask="read", **SLATE)
    for answer, right in (("7, 18 ,12", True), ("7,18,12", True), ("7,12,18", False), ("71812", False), ("", False)):
        observation, _ = env.reset(seed=0, options={"problem": problem})
        assert observation["question"] == "Read the numbers."
        assert env.solution().thought == ""
        assert env.step(answer)[1] == float(right)


def test_the_test_split_is_that_of_the_words():
    env = GeometryEnv(split="test", size=84)
    env.reset(seed=0)
    for _ in range(30):
        env.reset()
        numbers = env.solution().thought.partition(":")[0]
        assert is_test(env.step("0")[4]["family"], tuple(map(int, numbers.split(","))))


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({"families": ["sum_chain"]}, "'sum_chain' is not a family here"),
        ({"size": 20}, "size is 20"),
        ({"size": 84.0}, "size is 84.0"),
        ({"style": "chalk"}, "style is 'chalk'"),
        ({"ask": "guess"}, "ask is 'guess'"),
        ({"level": 99}, "level is 99"),
        ({"render_mode": "ansi"}, "render_mode is 'ansi'"),
    ],
)
def test_bad_arguments(kwargs, told):
    with pytest.raises(UserError, match=re.escape(told)):
        GeometryEnv(**kwargs)


def test_what_has_no_drawing():
    with pytest.raises(UserError, match="'product' has no drawing"):
        draw("product", (3, 4))
