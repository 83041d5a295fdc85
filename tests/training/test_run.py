"""A whole run: the same seed gives the same files, its models are ordinary ones, every shipped recipe runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from lmmr1.agents.models import load_model
from lmmr1.agents.networks.base import Rows
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.evaluation.reporting.curves import draw_curves
from lmmr1.training.recipe import find_recipe, load_recipe, read_recipe, recipe_names
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from .conftest import WholeRun
from .small_run import RECIPE, STAGES, results, run_small


def test_the_same_seed_gives_the_same_run(whole_run: WholeRun, tmp_path: Path) -> None:
    run_small(tmp_path / "again")
    one, other = results(whole_run.folder), results(tmp_path / "again")
    for name in one:
        assert one[name] == other[name], name


def test_another_seed_gives_another_run(whole_run: WholeRun, tmp_path: Path) -> None:
    recipe = read_recipe(RECIPE, [("seed", "1")])
    first = {name: stage for name, stage in recipe.stages.items() if name == "words"}
    summary = train(dataclasses.replace(recipe, stages=first), tmp_path, evaluate_policy)
    before = read_metrics(whole_run.folder)[: first["words"].iterations]
    assert [row["tokens"] for row in read_metrics(tmp_path)] != [row["tokens"] for row in before]
    assert summary["seed"] == 1


def test_what_a_run_leaves(whole_run: WholeRun) -> None:
    folder = whole_run.folder
    rows = read_metrics(folder)
    assert [(row["stage"], row["iteration"]) for row in rows] == [(stage, i) for stage in STAGES for i in (1, 2, 3)]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all({"cpu_seconds", "wall_seconds", "learning_rate", "grad_norm"} <= set(row) for row in rows)
    summary = json.loads((folder / "summary.json").read_bytes())
    assert list(summary["stages"]) == list(STAGES)
    lines = (folder / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert summary["evaluations"] == [json.loads(line) for line in lines]
    assert {path.name for path in (folder / "models").iterdir()} == set(STAGES)
    assert {path.name for path in (folder / "episodes").iterdir()} == {"start", *STAGES}
    assert not list(folder.rglob("*.partial"))


def test_evaluations_within_a_stage(whole_run: WholeRun) -> None:
    """`evaluation.every` is 2: after the second iteration of each ppo stage; the third one ends it."""
    lines = (whole_run.folder / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    places = [(row["stage"], row.get("iteration")) for row in rows]
    within = [place for stage in STAGES[:3] for place in ((stage, 2), (stage, None))]
    assert places == [("start", None), *within, ("copy", None)]
    for row in rows:
        assert set(row["tasks"]) == {"image", "sokoban"}
        assert all(set(modes) == {"greedy", "sampled"} for modes in row["tasks"].values())
    # The curves put it in its place.
    assert draw_curves(read_metrics(whole_run.folder), rows).startswith(b"\x89PNG")


def test_evaluations_within_a_stage_change_nothing_else(whole_run: WholeRun, tmp_path: Path) -> None:
    recipe = read_recipe(RECIPE, [("evaluation.every", "0"), ("checkpoint_every", "0")])
    stages = {name: stage for name, stage in recipe.stages.items() if name == "words"}
    train(dataclasses.replace(recipe, stages=stages), tmp_path, evaluate_policy)
    for name in ("models/words/model.safetensors", "episodes/words/episodes.jsonl"):
        assert (tmp_path / name).read_bytes() == (whole_run.folder / name).read_bytes()
    assert len((tmp_path / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("stage", ["words", "copy"])
def test_an_exported_model_is_one_of_transformers(whole_run: WholeRun, stage: str) -> None:
    folder = whole_run.folder / "models" / stage
    theirs = AutoModelForImageTextToText.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = AutoImageProcessor.from_pretrained(folder)
    ours = load_model(str(folder))
    assert ours.images is not None
    picture = np.random.default_rng(0).integers(0, 256, (84, 56, 3), dtype=np.uint8)
    pixels = ours.images(picture)
    shown = f"<|vision_start|>{'<|image_pad|>' * pixels.num_tokens}<|vision_end|>Perimeter?"
    asked = f"<|im_start|>user\n{shown}<|im_end|>\n<|im_start|>assistant\n"
    inputs = tokenizer(asked, return_tensors="pt")
    images = processor(images=[picture], return_tensors="pt")
    with torch.no_grad():
        marks = (inputs["input_ids"] == theirs.config.image_token_id).int()
        expected = theirs(**inputs, **images, mm_token_type_ids=marks).logits[0]
        rows = Rows.pack([inputs["input_ids"][0].numpy()], [[pixels]], ours.pad_id)
        logits = ours.network.logits(ours.network.hidden(rows))[0]
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_runs_one_step(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(find_recipe(name))
    smallest = [("films", "0"), ("evaluation.max_new_tokens", "16")]
    if not recipe.model.path.startswith("tiny"):
        smallest += [("model", "tiny"), ("model.dtype", "float32"), ("model.device", "cpu")]
    for key, stage in recipe.stages.items():
        if stage.kind == "sft":
            smallest += [(f"stages.{key}.sft.{field}", value) for field, value in (("steps", "1"), ("batch_size", "4"))]
            continue
        sizes = {"groups": 2, "group_size": min(2, stage.rollout.group_size), "max_turns": 2, "max_new_tokens": 16}
        smallest += [(f"stages.{key}.rollout.{field}", str(value)) for field, value in sizes.items()]
        smallest += [(f"stages.{key}.iterations", "1"), (f"stages.{key}.ppo.minibatches", "1")]
    for key in recipe.evaluation.tasks:
        smallest += [(f"evaluation.tasks.{key}.{field}", "2") for field in ("episodes", "max_turns")]
    summary = train(load_recipe(name, smallest), tmp_path, evaluate_policy)
    assert [row["stage"] for row in summary["evaluations"]] == ["start", *recipe.stages]
    assert [row["stage"] for row in read_metrics(tmp_path)] == list(recipe.stages)
