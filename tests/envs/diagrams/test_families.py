"""Every family of diagrams: what is drawn is what is told, and the answer is what a ruler would find."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.placement import NoRoomError
from lmmr1.envs.diagrams.posing import Look, pose_question
from lmmr1.envs.diagrams.question import Question, make_question, sample_question
from lmmr1.envs.diagrams.rendering import Layout, lay_out, paint
from lmmr1.envs.diagrams.scene import AngleMark, Name, SideLabel
from lmmr1.envs.diagrams.styles import STYLE_TABLE
from lmmr1.envs.geometry.figures import FIGURES
from lmmr1.envs.perception.families import PERCEPTION
from lmmr1.envs.reasoning.splits import split_of
from lmmr1.envs.rewards.accuracy import Verdict, grade

FAMILIES = FIGURES | PERCEPTION
COUNT = 60
LOOK = Look(224, "paper", "both", "open")
every_family = pytest.mark.parametrize("name", FAMILIES)


def questions(name: str, count: int, seed: int = 0, split: str = "all") -> list[Question]:
    """Questions of all levels in turn."""
    lots = Lots(np.random.default_rng([seed, *name.encode()]))
    return [sample_question(lots, FAMILIES[name], 1 + i % 10, split) for i in range(count)]


def layouts(name: str, count: int) -> list[tuple[Question, Layout]]:
    """Questions and their layouts; a few leave no room for a label, and those are never asked."""
    lots, found = Lots(np.random.default_rng(1)), []
    for question in questions(name, count):
        try:
            found.append((question, lay_out(question.scene, lots, 224)))
        except NoRoomError:
            continue
    assert len(found) >= 0.9 * count
    return found


def value(text: str) -> float | tuple[float, ...]:
    """The value of an answer, by Python's own arithmetic."""
    assert re.fullmatch(r"[0-9+\-*/(), .sqrtpi^]+", text), text
    return eval(text.replace("^", "**"), {"__builtins__": {}}, {"sqrt": math.sqrt, "pi": math.pi})


def is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9+\-*/(), .sqrtpi^]+", text) is not None and any(map(str.isdigit, text))


@every_family
def test_the_answer_is_measured_in_the_drawing(name: str) -> None:
    for question, layout in layouts(name, COUNT):
        measured = FAMILIES[name].measure(layout.measured(), question.numbers)
        if isinstance(measured, str):
            assert measured == question.answer
        else:
            assert measured == pytest.approx(value(question.answer), rel=1e-6, abs=1e-6), question


@every_family
def test_labels_tell_the_truth_about_the_drawing(name: str) -> None:
    for question, layout in layouts(name, COUNT):
        at = layout.measured()
        for mark in question.scene.marks:
            if isinstance(mark, SideLabel) and mark.value is not None:
                assert math.dist(at[mark.start], at[mark.end]) == pytest.approx(mark.value, rel=1e-6), (question, mark)
                if is_number(mark.text):
                    assert value(mark.text) == pytest.approx(mark.value)
            elif isinstance(mark, AngleMark) and mark.value is not None:
                legs = [np.subtract(at[end], at[mark.corner]) for end in (mark.start, mark.end)]
                cosine = np.dot(*legs) / math.prod(map(np.linalg.norm, legs))
                assert math.degrees(math.acos(cosine)) == pytest.approx(mark.value, abs=1e-4), (question, mark)
                if mark.text.endswith("°"):
                    assert float(mark.text[:-1]) == pytest.approx(mark.value)


@every_family
def test_labels_stand_on_nothing(name: str) -> None:
    ground = np.array(STYLE_TABLE["paper"].background)
    for _, layout in layouts(name, 30):
        # What the painter itself draws, without tints, ground lines and labels.
        strokes = [stroke for stroke in layout.strokes if not stroke.faint]
        bare = paint(replace(layout, fills=[], strokes=strokes), Lots(np.random.default_rng(0)), labels=False)
        boxes = [label.box for label in layout.labels]
        for i, (left, top, right, bottom) in enumerate(boxes):
            assert 0 <= left < right <= 224 and 0 <= top < bottom <= 224
            assert (bare[top:bottom, left:right] == ground).all(), layout.labels[i]
            for other in boxes[:i]:
                assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


@every_family
def test_the_picture_is_used(name: str) -> None:
    for question, layout in layouts(name, 10):
        picture = paint(layout, Lots(np.random.default_rng(0)))
        assert picture.shape == (224, 224, 3) and picture.dtype == np.uint8
        ys, xs = np.nonzero((picture != 255).any(axis=2))
        assert max(np.ptp(ys), np.ptp(xs)) > 110, question
        # Nothing runs over the edge.
        assert (picture[0] == 255).all() and (picture[-1] == 255).all() or question.scene.frame is not None


@every_family
def test_answers_are_graded(name: str) -> None:
    for question in questions(name, COUNT):
        assert grade(question.answer, question.answer) is Verdict.EQUAL
        assert grade(question.answer, "") is Verdict.DIFFERENT
        posed = pose_or_none(question, LOOK)
        if posed is not None:
            assert posed.answer == question.answer
            last = posed.thought.splitlines()[-1]
            assert grade(question.answer, last.removeprefix("The answer is ").removesuffix(".")) is Verdict.EQUAL


def pose_or_none(question: Question, look: Look):
    try:
        return pose_question(question, 3, look)
    except NoRoomError:
        return None


@every_family
def test_the_steps_arrive_at_the_answer(name: str) -> None:
    for question in questions(name, COUNT):
        assert len(question.steps) >= 1 and all(question.steps)
        # After the last sign of equality, or colon, of some step the answer stands.
        ends = {re.split(r"=|:|, of |row ", step)[-1].strip().removesuffix(".") for step in question.steps}
        assert question.answer in ends or question.steps[-1].endswith(f" {question.answer}"), question


@every_family
def test_wrong_options_are_wrong(name: str) -> None:
    for question in questions(name, 60):
        assert len(set(question.wrong)) == len(question.wrong) >= 3
        for wrong in question.wrong[:3]:
            if is_number(question.answer):
                assert value(wrong) != pytest.approx(value(question.answer), rel=1e-9)
            assert wrong != question.answer
    for question in questions(name, 3, seed=5):
        for wrong in question.wrong[:3]:
            assert grade(question.answer, wrong) is Verdict.DIFFERENT, (question.answer, wrong)


@every_family
def test_questions_are_distinct(name: str) -> None:
    asked = questions(name, 5 * COUNT)
    assert len({question.words for question in asked}) >= 0.99 * len(asked)


@every_family
def test_levels_change_the_numbers(name: str) -> None:
    lots = Lots(np.random.default_rng(2))
    sizes = []
    for level in (1, 10):
        asked = [sample_question(lots, FAMILIES[name], level, "all") for _ in range(60)]
        numbers = [sum(map(abs, map(float, question.numbers))) % 1e6 for question in asked]
        sizes.append(np.mean(numbers) + np.mean([len(question.words) for question in asked]))
    assert sizes[0] != pytest.approx(sizes[1], rel=0.005)


@every_family
@pytest.mark.parametrize("level", [1, 5, 10])
def test_every_level_has_every_split(name: str, level: int) -> None:
    lots = Lots(np.random.default_rng(4))
    for split in ("train", "validation", "test"):
        for _ in range(3):
            question = sample_question(lots, FAMILIES[name], level, split)
            assert split_of(name, question.numbers) == split


@every_family
def test_names_do_not_decide_the_answer(name: str) -> None:
    for question in questions(name, 10):
        again = make_question(FAMILIES[name], question.numbers, "PQRSTUVW")
        assert again.answer == question.answer and again.numbers == question.numbers


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("median_length", "figures_in_a_figure")])
def test_words_say_what_the_diagram_shows(name: str) -> None:
    for question in questions(name, 40):
        told = set(re.findall(r"\d+(?:/\d+)?|\d*x(?: [+-] \d+)?", question.words))
        for mark in question.scene.marks:
            if isinstance(mark, (SideLabel, AngleMark)) and mark.text not in ("", "?"):
                text = mark.text.removesuffix("°")
                if "." in text:
                    numerator, denominator = float(text).as_integer_ratio()
                    text = f"{numerator}/{denominator}"
                assert text in told or text in question.words, (question.words, mark)
        # Beside the diagram less is said, and never more.
        assert len(question.text) <= len(question.words) or "marked ?" in question.text


def test_there_are_enough_families() -> None:
    assert len(FIGURES) >= 26 and len(PERCEPTION) >= 8
    assert not set(FIGURES) & set(PERCEPTION)


PROGRAM = """
import hashlib, numpy as np
from lmmr1.envs.geometry.env import GeometryEnv
from lmmr1.envs.perception.env import PerceptionEnv
digest = hashlib.sha256()
for world in (GeometryEnv, PerceptionEnv):
    for style in ("mixed", "slate"):
        env = world(level=(1, 10), style=style, answer_format="choice")
        env.reset(seed=3)
        for _ in range(120):
            observation, info = env.reset()
            solution = env.solution()
            digest.update(observation["image"].tobytes())
            said = [info["family"], observation["question"], solution.thought, solution.answer]
            digest.update("|".join(said).encode())
print(digest.hexdigest())
"""


def test_every_process_asks_the_same() -> None:
    said = set()
    for seed in ("0", "1", "77"):
        environment = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
        )
        said.add(done.stdout)
    assert len(said) == 1


@every_family
def test_nothing_is_labelled_twice(name: str) -> None:
    for question in questions(name, 40):
        kinds = (SideLabel, AngleMark, Name)
        labels = [mark for mark in question.scene.marks if isinstance(mark, kinds)]
        assert len(set(labels)) == len(labels), question
