"""The experiments: every shipped one is sound, verdicts by hand, and a small one from its file to its figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmmr1 import cli
from lmmr1.agents.episode import Episode, Turn
from lmmr1.commands.evaluating.training_arms import TrainedArms
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.experiments.experiment import Claim, experiment_names, load_experiment
from lmmr1.evaluation.experiments.judging import judge

SMALL = """
name: small
question: Does it run?
design: Two arms, one from the other.
paper: Nothing.
arms:
  base: {label: the base model}
  first:
    label: one
    recipe: fre_text_tiny
    overrides: {stages.fre_text.iterations: 1, stages.fre_text.rollout.groups: 4}
  second:
    label: two
    recipe: direct_rl_geo_tiny
    start: first
    overrides: {stages.direct_rl_geo.iterations: 1, stages.direct_rl_geo.rollout.groups: 4}
tasks:
  words:
    modality: text
    environment:
      id: LMMR1/Reasoning-v0
      kwargs: {families: [triangle_perimeter], split: test}
      chat: {instructions: brief, needs_thought: false}
    episodes: 6
claims:
  - {says: It gets better, better: first, worse: base, task: words}
figures: [success, reply_tokens]
curves: [accuracy, kl]
"""


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_that_ships_is_sound(name: str, tmp_path: Path):
    experiment = load_experiment(name)
    assert experiment.name == name and experiment.claims and experiment.paper
    arms = TrainedArms(experiment, tmp_path, seed=1)
    arms.prepare()
    folders = [folder.name for folder in arms.folders.values()]
    assert len(set(folders)) == len(folders), "two arms are the same"
    assert all(recipe.seed == 1 and not recipe.evaluation.tasks for recipe in arms.recipes.values())


def test_arms_of_different_experiments_that_are_the_same_are_trained_once(tmp_path: Path):
    one, other = (TrainedArms(load_experiment(name), tmp_path, 0) for name in ("fre", "kl"))
    one.prepare()
    other.prepare()
    assert one.folders["fre_text_30"] == other.folders["fre_text_30"] != other.folders["kl_off"]


def played(rates: dict[str, list[float]], tmp_path: Path):
    """Episodes of arms with these success rates, an entry for each seed; 200 problems, of the same luck for all."""
    luck = np.random.default_rng(0).random(200)

    def episodes(seed: int, rate: float) -> list[Episode]:
        turn = Turn([], "x", reply_ids=np.arange(3, dtype=np.int32))
        return [Episode("words", (seed, 1, n), n, turns=[turn], success=bool(luck[n] < rate)) for n in range(200)]

    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    experiment = load_experiment(str(path))
    seeds = range(len(next(iter(rates.values()))))
    sets = {
        seed: {
            arm: {("words", mode): episodes(seed, values[seed]) for mode in ("greedy", "sampled")}
            for arm, values in rates.items()
        }
        for seed in seeds
    }
    return experiment, sets


@pytest.mark.parametrize(
    ("base", "first", "seen"),
    [
        ([0.3, 0.3, 0.3], [0.5, 0.6, 0.4], "yes"),
        ([0.3, 0.3, 0.3], [0.7, 0.6, 0.3], "in some seeds"),
        ([0.3, 0.3, 0.3], [0.3, 0.3, 0.3], "no"),
        ([0.5, 0.5, 0.5], [0.3, 0.4, 0.3], "the opposite"),
    ],
)
def test_verdicts_by_hand(base, first, seen, tmp_path: Path):
    experiment, sets = played({"base": base, "first": first, "second": first}, tmp_path)
    [verdict] = judge(experiment, sets)
    assert verdict.seen == seen and verdict.problems == 600
    assert verdict.difference == pytest.approx(np.mean(first) - np.mean(base), abs=0.04)
    assert verdict.by_seed == pytest.approx(np.subtract(first, base), abs=0.08)
    word = {"yes": "Seen: ", "in some seeds": "Seen, but not in every seed: ", "no": "Not seen: "}.get(seen, "The opp")
    assert verdict.sentence.startswith(word) and "It gets better" in verdict.sentence


def test_a_small_experiment_from_its_file_to_its_figure(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    assert cli.main(["experiment", "small.yaml", "--seeds", "0,1"]) == 0
    text = capsys.readouterr().out
    assert "## Does it run?" in text and "| two |" in text and "It gets better" in text
    folder = Path("experiments/small")
    document = json.loads((folder / "result.json").read_text())
    assert document["seeds"] == [0, 1] and len(document["figures"]["second"]["words"]["sampled"]["success"]) == 2
    with Image.open(folder / "small.png") as figure:
        assert figure.width > 500
    arms = sorted(Path("experiments/arms").iterdir())
    assert len(arms) == 4
    weights = {arm.name: next((arm / "models").glob("*/model.safetensors")).stat().st_mtime_ns for arm in arms}
    assert cli.main(["experiment", "small.yaml", "--seeds", "0,1"]) == 0
    again = {arm.name: next((arm / "models").glob("*/model.safetensors")).stat().st_mtime_ns for arm in arms}
    assert weights == again and json.loads((folder / "result.json").read_text()) == document


def test_what_is_wrong_is_told(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = Path("small.yaml")
    for old, new, message in (
        ("start: first", "start: third", "arms.second.start must name an arm before it, not 'third'"),
        ("worse: base", "worse: none", "claims.0.worse is 'none'; there are base, first, second"),
        ("curves:", "curvs:", "curvs is not a key"),
        ("stages.fre_text.iterations", "stages.fre_text.iteration", "stages.fre_text.iteration is not a key"),
    ):
        path.write_text(SMALL.replace(old, new))
        assert cli.main(["experiment", "small.yaml"]) == 2
        assert message in capsys.readouterr().err
    for words, message in ((["nope"], "there is no experiment 'nope'"), (["fre", "--seeds", "0,0"], "--seeds must be")):
        assert cli.main(["experiment", *words]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(UserError):
        load_experiment("nope")
    assert Claim("x", "a", "b", "words").figure == "success"
