"""Real checkpoints on the page: what they say is what they said in the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import load_episodes
from lmmr1.agents.policy import PolicyAgent, use_threads
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.commands.viewing.theatre import CheckpointTheatre
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.viewing.plays import Order
from lmmr1.evaluation.viewing.subject import open_subjects
from lmmr1.training.policies import kept_parameters, load_policy
from lmmr1.training.recipe import dump_recipe, read_recipe
from lmmr1.training.records.checkpoint import Checkpoint, save_checkpoint

from .folders import RECIPE, make_evaluation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was evaluated at its start, with a model and a checkpoint that say something else."""
    import torch

    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    recipe = read_recipe(RECIPE)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    use_threads(recipe.threads)
    policy = PolicyAgent(load_policy(recipe.model, recipe.seed), Sampling(24))
    evaluate_policy(policy, recipe.evaluation, recipe.seed, folder / "episodes/start")
    with torch.no_grad():
        for parameter in policy.loaded.model.parameters():
            parameter.mul_(0.9)
    policy.save_pretrained(folder / "models/fre")
    tensors = {"model": kept_parameters(policy.loaded.model)}
    save_checkpoint(folder / "checkpoints", "0000004", Checkpoint(tensors, {}))
    return folder


@pytest.fixture
def theatre(folder: Path) -> CheckpointTheatre:
    return CheckpointTheatre(open_subjects([folder]), "cpu")


def order(**others) -> Order:
    values = {"environment": "0:task:text", "seed": 3, "problem": 2, "greedy": True, "sampling": 0, **others}
    return Order(("0:start", "0:models/fre"), **values)


def test_what_can_be_chosen(theatre: CheckpointTheatre):
    choices = theatre.choices()
    assert [(one["word"], one["label"]) for one in choices["checkpoints"]] == [
        ("0:start", "start (tiny)"),
        ("0:models/fre", "after fre"),
        ("0:checkpoints/000001-0000004", "step 4"),
    ]
    assert [one["word"] for one in choices["environments"]] == ["0:task:text", "0:stage:fre:0"]
    assert choices["environments"][0]["seed"] == 3 and choices["problems"] == []


def test_the_problems_of_the_evaluation_are_played_again_to_the_token(theatre: CheckpointTheatre, folder: Path):
    kept = load_episodes(folder / "episodes/start")
    for problem in (0, 2):
        played = theatre.play("0:start", order(problem=problem))
        [turn] = played.turns
        assert turn.messages == kept[problem].turns[0].messages
        assert np.array_equal(turn.reply_ids, kept[problem].turns[0].reply_ids)
        # Alone a batch rounds otherwise than among others.
        assert np.allclose(turn.logprobs, kept[problem].turns[0].logprobs, atol=1e-4)


def test_a_model_and_a_checkpoint_of_the_same_weights_say_the_same(theatre: CheckpointTheatre):
    start, model, checkpoint = (
        theatre.play(word, order()).turns[0] for word in ("0:start", "0:models/fre", "0:checkpoints/000001-0000004")
    )
    assert np.array_equal(model.reply_ids, checkpoint.reply_ids) and np.array_equal(model.logprobs, checkpoint.logprobs)
    assert start.messages == model.messages
    assert start.text != model.text or not np.array_equal(start.logprobs, model.logprobs)


def test_drawn_tokens_have_a_seed(theatre: CheckpointTheatre):
    drawn = {s: theatre.play("0:start", order(greedy=False, sampling=s)).turns[0].logprobs.tobytes() for s in (0, 1, 2)}
    again = theatre.play("0:start", order(greedy=False, sampling=2)).turns[0].logprobs.tobytes()
    assert drawn[2] == again and len(set(drawn.values())) > 1


def test_a_stage_has_the_limits_of_its_rollouts(theatre: CheckpointTheatre):
    episode = theatre.play("0:start", order(environment="0:stage:fre:0"))
    assert episode.failure is None and 0 < len(episode.turns[0].reply_ids) <= 40


def test_a_world_that_can_take_down_its_process_is_played_in_another(theatre: CheckpointTheatre, monkeypatch):
    here = theatre.play("0:start", order()).turns[0]
    monkeypatch.setattr(EnvironmentConfig, "needs_worker", property(lambda self: True))
    there = theatre.play("0:start", order())
    assert there.failure is None and there.turns[0].text == here.text and there.turns[0].messages == here.messages


@pytest.mark.parametrize(
    ("checkpoint", "change", "message"),
    [
        ("0:models/none", {}, "there is no checkpoint 'models/none'"),
        ("0:models/../../run/models/fre", {}, "there is no checkpoint"),
        ("0:checkpoints/..", {}, "there is no checkpoint"),
        ("7:start", {}, "names no run of this page"),
        ("start", {}, "names no run of this page"),
        ("0:start", {"environment": "0:task:none"}, "there is no environment 'task:none'"),
        ("0:start", {"environment": "0:os:system"}, "there is no environment"),
    ],
)
def test_nothing_else_is_played(theatre: CheckpointTheatre, checkpoint: str, change: dict, message: str):
    with pytest.raises(UserError, match=message):
        theatre.play(checkpoint, order(**change))


def test_what_cannot_play_says_why(tmp_path: Path, folder: Path):
    evaluation = make_evaluation(tmp_path / "evaluation")
    [problem] = CheckpointTheatre(open_subjects([evaluation]), "cpu").choices()["problems"]
    assert "view the run that it is of" in problem
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/metrics.jsonl").touch()
    [problem] = CheckpointTheatre(open_subjects([tmp_path / "bare"]), "cpu").choices()["problems"]
    assert "recipe.yaml is missing" in problem
    # The evaluation of a run is played by the run that it lies in.
    inside = make_evaluation(folder / "evaluations/tiny-1a2b")
    assert CheckpointTheatre(open_subjects([inside]), "cpu").choices()["checkpoints"][1]["word"] == "0:models/fre"
