"""The benchmarks of the paper's tables: rows of their published columns, in files that the tests write."""

from __future__ import annotations

import pytest

import lmmr1
from lmmr1.envs.datasets import open_dataset
from lmmr1.envs.datasets.presets import PRESETS

OLYMPIAD = {
    "id": 1, "question": "Find $x$ with $x+1=3$.", "solution": ["$x=2$."], "final_answer": ["$2$"], "context": None,
    "modality": "Text-only", "difficulty": "Competition", "is_multiple_answer": False, "unit": None,
    "answer_type": "Numerical", "error": None, "question_type": "Open-ended", "subfield": "Algebra",
    "subject": "Math", "language": "English",
}  # fmt: skip


def published(picture) -> dict[str, dict]:
    image = {"bytes": picture(), "path": None}
    drawn = {**OLYMPIAD, "question": "In <image_1> and <image_2>, as in <image_1>, find $x$.", "image_1": image}
    drawn |= {"image_2": {"bytes": picture((8, 9)), "path": None}, "image_3": None, "image_4": None, "image_5": None}
    return {
        "mathvision": {
            "id": "1", "question": "How long?\n<image1>", "options": ["AB", "CD"], "image": "images/1.jpg",
            "decoded_image": image, "answer": "B", "solution": None, "level": 2, "subject": "solid geometry",
        },
        "mathverse": {
            "sample_index": "1", "problem_index": "1", "problem_version": "Vision Only", "question": "", "image": image,
            "answer": "B", "question_type": "multi-choice", "metadata": {"split": "testmini"},
            "query_wo": "Answer the question in the picture with the letter.", "query_cot": "Think first.",
        },
        "mmstar": {
            "index": 0, "question": "Which?\nOptions: A: cat, B: dog", "image": image, "answer": "A",
            "category": "coarse perception", "l2_category": "image scene", "meta_info": {"source": "x"},
        },
        "olympiadbench_maths": OLYMPIAD,
        "olympiadbench_physics": OLYMPIAD,
        "olympiadbench_maths_mm": drawn,
        "olympiadbench_physics_mm": drawn,
    }  # fmt: skip


EXPECTED = {
    "mathvision": ("B", "solid geometry", 1),
    "mathverse": ("B", "Vision Only", 1),
    "mmstar": ("A", "coarse perception", 1),
    "olympiadbench_maths": ("$2$", "Algebra", 0),
    "olympiadbench_physics": ("$2$", "Algebra", 0),
    "olympiadbench_maths_mm": ("$2$", "Algebra", 2),
    "olympiadbench_physics_mm": ("$2$", "Algebra", 2),
}


def test_every_preset_is_read_by_a_test():
    others = ("deepscaler", "gpqa", "gpqa_diamond", "math500", "mathvista", "vermulti", "vermulti_geo")  # test_sources
    assert sorted(PRESETS) == sorted([*others, *EXPECTED])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_benchmark_is_asked_and_graded(name, hub, tmp_path, monkeypatch, picture):
    answer, category, pictures = EXPECTED[name]
    rows = hub.Dataset.from_list([published(picture)[name]] * 2)
    preset = PRESETS[name]

    def load_dataset(*args, **kwargs):
        assert args == (preset.hub, preset.subset) and kwargs["split"] == preset.split
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(hub, "load_dataset", load_dataset)
        dataset = open_dataset(name, pictures=pictures > 0)
    row = dataset.row(0)
    assert (row.answer, row.category, len(dataset.load_pictures(0, row))) == (answer, category, pictures)
    rows.to_parquet(tmp_path / "rows.parquet")
    world = "LMMR1/Geometry-v0" if pictures else "LMMR1/Reasoning-v0"
    env = lmmr1.make_chat(world, dataset={"path": str(tmp_path / "rows.parquet"), "preset": name})
    messages, info = env.reset(seed=0)
    shown = [part for part in messages[-1]["content"] if part["type"] == "image"]
    assert len(shown) == pictures and info["category"] == category
    right = env.step(f"<think>so</think><answer>{answer}</answer>")[4]
    env.reset(seed=0)
    wrong = env.step("<think>so</think><answer>17</answer>")[4]
    assert right["success"] and not wrong["success"]


def test_numbered_pictures_stand_where_they_are_first_named(hub, tmp_path, picture):
    rows = hub.Dataset.from_list([published(picture)["olympiadbench_maths_mm"]])
    rows.to_parquet(tmp_path / "rows.parquet")
    dataset = open_dataset({"path": str(tmp_path / "rows.parquet"), "preset": "olympiadbench_maths_mm"})
    [message] = dataset.row(0).messages
    assert message.parts == ("In ", 0, " and ", 1, ", as in ", "(picture 1)", ", find $x$.")


def test_a_number_without_its_picture_is_refused(hub, tmp_path, picture):
    row = {**published(picture)["mathvision"], "question": "See <image2>."}
    hub.Dataset.from_list([row, published(picture)["mathvision"]]).to_parquet(tmp_path / "rows.parquet")
    with pytest.warns(UserWarning, match="1 of 2 rows were refused .1 bad pictures"):
        open_dataset({"path": str(tmp_path / "rows.parquet"), "preset": "mathvision"})
