"""Guards: each stops the run it is for, names what went wrong and the last good checkpoint, and lets others pass."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1 import cli
from lmmr1.training.config import GuardsConfig
from lmmr1.training.guards import GuardError, Guards, repeated_share
from lmmr1.training.recipe import dump_recipe, read_recipe
from lmmr1.training.records.metrics import read_metrics

from ..small_run import RECIPE

HEALTHY = {"policy_loss": 0.1, "grad_norm": 1.0, "reward": 0.5, "task_reward": 0.3, "format_rate": 0.9}
HEALTHY |= {"entropy": 0.5, "kl": 0.01, "repetition": 0.1}
CHECKPOINTS = [Path(f"run/checkpoints/{index:06d}-{step:07d}") for index, step in enumerate((0, 4, 8, 12), 1)]


def row(step: int, **changes: Any) -> dict[str, Any]:
    return {"stage": "fre", "iteration": step, "step": step, **HEALTHY, **changes}


def feed(guards: Guards, *changes: dict[str, Any]) -> str:
    """What the guard says, or an empty text; with the number of rows that it took."""
    for index, change in enumerate(changes, start=1):
        try:
            guards.check(row(index, **change), CHECKPOINTS)
        except GuardError as error:
            return f"{index}: {error}"
    return ""


@pytest.mark.parametrize("key", ["policy_loss", "value_loss", "loss", "grad_norm", "reward", "kl", "entropy"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_stops_at_once(key: str, value: float) -> None:
    said = feed(Guards(GuardsConfig()), {}, {}, {}, {}, {key: value})
    assert said.startswith(f"5: stage fre, iteration 5: {key} is {value} (guards.finite")
    assert f"the last good checkpoint is {CHECKPOINTS[1]};" in said
    assert feed(Guards(GuardsConfig(finite=False)), {key: value}) == ""


@pytest.mark.parametrize(
    ("guard", "bad", "says"),
    [
        ("entropy_low", {"entropy": 1e-6}, "entropy is 1e-06, below the limit 0.0001 (guards.entropy_low)"),
        ("entropy_rise", {"entropy": 4.0}, "entropy is 4, above the limit 3.5 (guards.entropy_rise"),
        ("kl", {"kl": 21.0}, "kl is 21, above the limit 20 (guards.kl)"),
        ("repetition", {"repetition": 0.95}, "repetition is 0.95, above the limit 0.9 (guards.repetition)"),
    ],
)
def test_a_limit_is_passed_for_some_iterations(guard: str, bad: dict[str, float], says: str) -> None:
    # Twice is an accident; the third time in a row is not. It began at 7: the checkpoint at 8 is no good one.
    story = [{}, {}, bad, bad, {}, {}, bad, bad, bad]
    said = feed(Guards(GuardsConfig()), *story)
    assert said.startswith(f"9: stage fre, iteration 9: {says}"), said
    assert f"the last good checkpoint is {CHECKPOINTS[1]};" in said
    assert feed(Guards(dataclasses.replace(GuardsConfig(), **{guard: None})), *story) == ""
    assert feed(Guards(GuardsConfig(patience=4)), *story) == ""
    assert feed(Guards(GuardsConfig(patience=1)), *story).startswith("3:")


def test_format_that_rises_while_the_task_falls() -> None:
    good = {"task_reward": 0.4, "format_rate": 0.5}
    bad = {"task_reward": 0.1, "format_rate": 0.9}
    limits = GuardsConfig(window=6, reward_drop=0.5, format_rise=0.1)
    said = feed(Guards(limits), good, good, good, bad, bad, bad)
    assert "task_reward fell from 0.4 to 0.1 while format_rate rose from 0.5 to 0.9" in said
    assert "guards.reward_drop" in said and said.startswith("6:")
    for harmless in (
        {**bad, "task_reward": 0.25},  # it fell, but not so far
        {**bad, "format_rate": 0.55},  # it fell, and form has nothing to do with it
        {**bad, "task_reward": 0.5},  # both rose
    ):
        assert feed(Guards(limits), good, good, good, harmless, harmless, harmless) == ""
    nothing = {"task_reward": 0.0, "format_rate": 0.0}
    assert feed(Guards(limits), nothing, nothing, nothing, bad, bad, bad) == ""
    off = dataclasses.replace(limits, reward_drop=None)
    assert feed(Guards(off), good, good, good, bad, bad, bad) == ""


def test_a_resumed_run_is_stopped_where_the_other_one_is() -> None:
    bad = {"kl": 21.0}
    story = [row(index, **change) for index, change in enumerate([{}, bad, bad], start=1)]
    guards = Guards(GuardsConfig(), story)
    with pytest.raises(
        GuardError, match="iteration 4: kl is 21.*the last good checkpoint is run/checkpoints/000001-0000000"
    ):
        guards.check(row(4, **bad), CHECKPOINTS)


def test_without_a_good_checkpoint_it_says_so() -> None:
    with pytest.raises(
        GuardError, match=r"no checkpoint is left from before it began \(step 3\).*000002-0000004, is a later"
    ):
        Guards(GuardsConfig()).check(row(3, reward=math.nan), CHECKPOINTS[1:])


def test_rows_of_other_kinds_pass() -> None:
    guards = Guards(GuardsConfig())
    for step in range(1, 30):
        guards.check({"stage": "sft", "iteration": step, "step": step, "loss": 1.0, "grad_norm": 2.0, "kl": None})


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 9, 40])
def test_repeated_share_is_the_plain_loop(length: int) -> None:
    ids = np.random.default_rng(length).integers(0, 2, length)
    seen, repeated = [], 0
    for start in range(length - 3):
        gram = ids[start : start + 4].tolist()
        repeated += gram in seen
        seen.append(gram)
    assert repeated_share(ids) == pytest.approx(repeated / len(seen) if seen else 0)
    assert repeated_share(np.full(40, 7)) == pytest.approx(36 / 37)


def test_the_command_fails_and_names_metric_limit_and_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = read_recipe(RECIPE, [("evaluation.every", "0"), ("guards.entropy_low", "1000"), ("guards.patience", "2")])
    recipe = dataclasses.replace(recipe, stages={"words": recipe.stages["words"]})
    (tmp_path / "words.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    folder = tmp_path / "run"
    assert cli.main(["train", str(tmp_path / "words.yaml"), "--run-dir", str(folder)]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: stage words, iteration 2: entropy is ")
    assert "below the limit 1000 (guards.entropy_low), for 2 iterations" in line
    assert f"the last good checkpoint is {folder / 'checkpoints' / '000001-0000000'}" in line
    assert len(read_metrics(folder)) == 2 and not (folder / "summary.json").exists()
