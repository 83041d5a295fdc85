"""The suites: read, changed, checked, and played on small files in the published columns of their data sets."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from lmmr1 import cli
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.reporting.evaluation import write_evaluation_report
from lmmr1.evaluation.session import Settings, run_evaluation
from lmmr1.evaluation.suites.suite import load_suite, suite_names
from lmmr1.evaluation.suites.tables import PUBLISHED

COUNT = 6


def png() -> dict:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), (200, 30, 40)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def olympiad(n: int, pictures: int) -> dict:
    text = f"What is {n}+{n}?" + " See <image_1>." * (pictures > 0)
    images = {f"image_{place}": png() if place == 1 else None for place in range(1, 6)} if pictures else {}
    return {"id": n, "question": text, "final_answer": [f"${2 * n}$"], "subfield": "Algebra", "unit": None, **images}


def rows(preset: str) -> list[dict]:
    """Rows in the columns that are published, the answers of which are 0, 2, 4, ... or the letter B."""
    wrong = {f"Incorrect Answer {k}": f"no {k}" for k in (1, 2, 3)}
    make = {
        "math500": lambda n: {"problem": f"What is ${n}+{n}$?", "solution": "Add.", "answer": str(2 * n),
                              "subject": "Algebra", "level": 1, "unique_id": f"test/algebra/{n}.json"},
        "gpqa_diamond": lambda n: {"Question": f"Which is {n}?", "Correct Answer": f"it is {n}", **wrong,
                                   "Explanation": "So."},
        "olympiadbench_maths": lambda n: olympiad(n, 0),
        "olympiadbench_physics": lambda n: olympiad(100 + n, 0),
        "mathvision": lambda n: {"id": str(n), "question": f"Which is {n}?\n<image1>", "options": ["AB", "CD"],
                                 "image": "images/1.jpg", "decoded_image": png(), "answer": "B", "solution": None,
                                 "level": 1, "subject": ["solid geometry", "analytic geometry"][n % 2]},
        "mathverse": lambda n: {"sample_index": str(n), "problem_index": str(n), "question": "", "image": png(),
                                "problem_version": ["Vision Only", "Text Lite"][n % 2], "answer": "B",
                                "question_type": "multi-choice", "query_wo": f"Answer question {n} with the letter."},
        "mmstar": lambda n: {"index": n, "question": f"Which is {n}? A: cat, B: dog", "image": png(), "answer": "B",
                             "category": "logical reasoning", "l2_category": "x", "meta_info": {"source": "x"}},
        "mathvista": lambda n: {"pid": str(n), "question": f"Which is larger, {n}?", "image": "images/1.jpg",
                                "decoded_image": png(), "choices": ["AB", "CD"], "unit": None, "precision": None,
                                "answer": "CD", "question_type": "multi_choice", "answer_type": "text"},
        "olympiadbench_maths_mm": lambda n: olympiad(n, 1),
        "olympiadbench_physics_mm": lambda n: olympiad(100 + n, 1),
    }[preset]  # fmt: skip
    return [make(n) for n in range(COUNT)]


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Overrides that put a local file in each data set's place."""
    import datasets
    from datasets import config

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    datasets.disable_progress_bars()

    def make(suite: str) -> list[tuple[str, object]]:
        overrides: list[tuple[str, object]] = []
        for task in load_suite(suite).tasks:
            preset = task.environment.kwargs["dataset"]["path"]
            path = tmp_path / f"{preset}.parquet"
            datasets.Dataset.from_list(rows(preset)).to_parquet(str(path))
            overrides.append((f"tasks.{task.name}.environment.kwargs.dataset", {"path": str(path), "preset": preset}))
        return overrides

    return make


@pytest.mark.parametrize("name", ["text", "multimodal"])
def test_the_data_sets_are_played_and_fill_the_columns_of_the_paper(name: str, local, tmp_path: Path):
    suite = load_suite(name, local(name))
    settings = Settings(suite, {"name": "expert"}, 0)
    results = run_evaluation(tmp_path / "expert", settings, ExpertPlayer())
    for task, modes in results["tasks"].items():
        assert modes["greedy"]["episodes"] == COUNT and modes["greedy"]["success"] == 1.0, task
    known = {column for column in results["columns"] if results["columns"][column] is not None}
    assert all(results["columns"][column] == 1.0 for column in known)
    if name == "multimodal":
        assert {"MathVision: solid", "MathVerse: vision only"} <= known
        assert results["columns"]["MathVerse: vision intensive"] is None, "no row of it is in the file"
        one = run_evaluation(tmp_path / "b", Settings(suite, {"name": "B"}, 0), FixedPlayer("B"))
        assert one["columns"]["MathVista"] == 1.0 and one["columns"]["OlympiadBench"] == 0.0
    page = write_evaluation_report([tmp_path / "expert"], tmp_path / "expert")
    text = (tmp_path / "expert" / "report.md").read_text(encoding="utf-8")
    assert page.is_file() and "Table 1" in text and "| FRE-Text |" in text and "| 100.00 |" in text


def test_every_suite_is_read_and_its_columns_are_those_of_the_published_tables():
    assert suite_names() == ["agent", "multimodal", "paper", "text", "tiny"]
    for name in suite_names():
        suite = load_suite(name)
        for table in suite.published:
            assert set(suite.columns) & set(PUBLISHED[table].columns), (name, table)
    paper = load_suite("paper")
    assert {column for table in PUBLISHED.values() for column in table.columns} <= set(paper.columns)
    episodes = {task.name: task.episodes for task in paper.tasks}
    assert episodes["math500"] == 500 and episodes["gpqa_diamond"] == 198 and episodes["mathvista"] == 1000
    assert sum(count for name, count in episodes.items() if name.startswith("sokoban_global")) == 182
    assert episodes["football_online"] == 108


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suite", "tinny"], "there is no suite 'tinny'"),
        (["--suite", "tiny", "--only", "texts"], "the suite tiny has no task 'texts'; it has text, image"),
        (["--suite", "tiny", "--episodes", "0"], "episodes must be at least 1, not 0"),
        (["--suite", "tiny", "--attempts", "0"], "attempts must be at least 1, not 0"),
        (["--suite", "tiny", "--seed", "-1"], "--seed must be at least 0"),
        (["--suite", "tiny", "--tasks.texts.episodes", "3"], "the suite has no task 'texts'"),
        (["--suite", "tiny", "--tasks.text.episods", "3"], "tasks.0.episods is not a key"),
        (["--suite", "tiny", "--via", "helm"], "there is no such evaluator; choose from lmms-eval, lighteval"),
        (["--suite", "tiny", "mathvista"], "unrecognized arguments: mathvista"),
        (["--suite", "text"], "tasks.math500: "),
    ],
)
def test_what_is_wrong_is_told_in_a_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert cli.main(["evaluate", "random", *words]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_a_suite_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    text = "name: mine\nhelp: x\ntasks:\n  a: {modality: text, environment: {id: LMMR1/Reasoning-v0}, episodes: 3}\n"
    path.write_text(text + "columns: {A: {tasks: [b]}}\n")
    with pytest.raises(UserError, match="columns.A: there is no task 'b'; there are a"):
        load_suite(str(path))
    path.write_text(text + "columns: {A: {tasks: [a], figure: success}}\n")
    assert load_suite(str(path)).columns["A"].tasks == ["a"]
    path.write_text(text.replace("tasks:", "colour: red\ntasks:"))
    with pytest.raises(UserError, match="colour is not a key"):
        load_suite(str(path))
