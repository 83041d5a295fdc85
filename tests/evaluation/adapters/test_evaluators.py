"""The real lmms-eval and the real lighteval, offline, on small files in published columns: their scores are ours.

`make evaluators` makes their environments; where they are missing these tests are skipped, unless
LMMR1_REQUIRE_EVALUATORS is set.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import lmmr1
from lmmr1.envs.messages import message_images, message_text
from lmmr1.evaluation.adapters import workshop
from lmmr1.evaluation.adapters.inside.rule import is_right, read_answer

ROOT = Path(__file__).resolve().parents[3]
COUNT = 16
SHAPES = {"families": ["triangle_perimeter", "rectangle_perimeter", "triangle_angle"], "split": "test"}
SUITE = """
name: small
help: Rows in the columns of MATH-500 and MathVista that the embedded model can read.
tasks:
  words:
    modality: text
    environment:
      id: LMMR1/Reasoning-v0
      kwargs: {{dataset: {{path: {text}, preset: math500}}}}
      chat: &brief {{instructions: brief, needs_thought: false}}
    episodes: 100
  pictures:
    modality: image
    environment: {{id: LMMR1/Geometry-v0, kwargs: {{dataset: {{path: {image}, preset: mathvista}}}}, chat: *brief}}
    episodes: 100
modes: [greedy]
max_new_tokens: 40
max_context_tokens: 2048
"""


def environment(tool: workshop.Tool) -> Path:
    """Its Python; skips where it is not there and need not be."""
    if os.environ.get("LMMR1_REQUIRE_EVALUATORS"):
        return workshop.prepare(tool)
    place = workshop.place_of(tool)
    if not (place / ".complete").is_file():
        pytest.skip(f"{tool.name} is not installed: make evaluators")
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of two tasks: problems in words, and problems with pictures, the right answers among them."""
    import datasets

    datasets.disable_progress_bars()
    folder = tmp_path_factory.mktemp("data")
    words, pictures = [], []
    env = lmmr1.make_chat("LMMR1/Reasoning-v0", **SHAPES)
    drawn = lmmr1.make_chat("LMMR1/Geometry-v0", **SHAPES, size=84, style="slate")
    for number in range(COUNT):
        messages, _ = env.reset(seed=number)
        gold = env.solution().answer
        words.append(
            {"problem": message_text(messages[-1]), "solution": "", "answer": gold, "subject": "Geometry", "level": 1}
            | {"unique_id": f"test/{number}.json"}
        )
        messages, _ = drawn.reset(seed=number)
        buffer = io.BytesIO()
        Image.fromarray(message_images(messages[-1])[0]).save(buffer, "PNG")
        pictures.append(
            {"pid": str(number), "question": message_text(messages[-1]).strip(), "image": f"images/{number}.png"}
            | {"decoded_image": {"bytes": buffer.getvalue(), "path": None}, "choices": None, "unit": None}
            | {"precision": None, "answer": drawn.solution().answer, "question_type": "free_form"}
            | {"answer_type": "integer"}
        )
    for name, rows in (("text", words), ("image", pictures)):
        datasets.Dataset.from_list(rows).to_parquet(str(folder / f"{name}.parquet"))
    path = folder / "small.yaml"
    path.write_text(SUITE.format(text=folder / "text.parquet", image=folder / "image.parquet"), encoding="utf-8")
    return path


def evaluate(folder: Path, *words: str) -> dict:
    command = [sys.executable, "-m", "lmmr1", "evaluate", "tiny", *words, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def own(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Our own runner's scores."""
    told = evaluate(tmp_path_factory.mktemp("own"), "--suite", str(suite))
    scores = {task: modes["greedy"]["success"] for task, modes in told["tasks"].items()}
    assert all(0 < score < 1 for score in scores.values()), "equal scores must mean something"
    return scores


def test_lmms_eval_scores_our_rows_as_we_do(suite: Path, own: dict[str, float], tmp_path: Path):
    environment(workshop.LMMS_EVAL)
    told = evaluate(tmp_path, "--suite", str(suite), "--via", "lmms-eval")
    assert told["tool"] == "lmms-eval" and set(told["tasks"]) == {"words", "pictures"}
    for task, score in own.items():
        found = told["tasks"][task]
        assert found["rows"] == COUNT and found["metrics"]["answered"] == 1.0
        assert found["metrics"]["right"] == pytest.approx(score) and found["ours"] == pytest.approx(score)


def test_lighteval_scores_our_rows_as_we_do(suite: Path, own: dict[str, float], tmp_path: Path):
    environment(workshop.LIGHTEVAL)
    told = evaluate(tmp_path, "--suite", str(suite), "--only", "words", "--via", "lighteval")
    found = told["tasks"]["words"]
    assert found["rows"] == COUNT
    for score in (found["metrics"]["right"], found["metrics"]["math"], found["ours"]):
        assert score == pytest.approx(own["words"])


def test_a_policy_in_lmms_evals_own_process(suite: Path, own: dict[str, float], tmp_path: Path):
    """Found by the entry point, as it is when both are installed in one environment."""
    from lmmr1.evaluation.adapters.export import export_rows
    from lmmr1.evaluation.adapters.lmms_eval import write_tasks
    from lmmr1.evaluation.session import fit_to_data
    from lmmr1.evaluation.suites.suite import load_suite

    python = environment(workshop.LMMS_EVAL)
    loaded = fit_to_data(load_suite(str(suite)))
    names = write_tasks({task.name: export_rows(task, 0) for task in loaded.tasks}, tmp_path / "tasks", 40)
    # What pip writes down of an installed package, without installing it.
    told = tmp_path / "site" / "lmmr1-0.1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: lmmr1\nVersion: 0.1.0\n")
    points = "[lmms_eval.models]\nlmmr1 = lmmr1.evaluation.adapters.inside.lmms_model:manifest\n"
    (told / "entry_points.txt").write_text(points)
    paths = [tmp_path / "site", ROOT / "src", tmp_path / "tasks"]
    command = [str(python), "-m", "lmms_eval", "--model", "lmmr1", "--model_args"]
    command += ["pretrained=tiny,max_context_tokens=2048,max_new_tokens=40", "--tasks", ",".join(names.values())]
    command += ["--include_path", str(tmp_path / "tasks"), "--output_path", str(tmp_path / "out"), "--batch_size", "64"]
    variables = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    variables |= {"HF_DATASETS_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    [path] = (tmp_path / "out").rglob("*_results.json")
    results = json.loads(path.read_text())["results"]
    assert {task: results[its]["right,none"] for task, its in names.items()} == pytest.approx(own)


@pytest.mark.parametrize(
    ("text", "gold", "options", "right"),
    [
        ("<think>5</think><answer>6</answer>", "6", [], True),
        ("<think><answer>6</answer></think><answer>5</answer>", "6", [], False),
        ("<answer>\\boxed{1/2}</answer>", "0.5", [], True),
        ("<answer>(B) blue</answer>", "B", ["red", "blue"], True),
        ("<answer>blue</answer>", "B", ["red", "blue"], True),
        ("<answer>A</answer>", "B", ["red", "blue"], False),
        ("no tags: 6", "6", [], False),
        ("<answer>1,200</answer>", "1200", [], True),
    ],
)
def test_the_rule_that_runs_inside(text: str, gold: str, options: list[str], right: bool):
    assert is_right(text, gold, options) is right
    assert "<" not in read_answer(text)
