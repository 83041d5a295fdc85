"""Weights in the hands of DeepSpeed learn what they learn in one process, on the real DeepSpeed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from lmmr1.envs.errors import UserError
from lmmr1.training.backends.base import LostError
from lmmr1.training.backends.crew import CrewTrainer, ProcessCrew
from tests.agents.models import random_tiny

from .learning import learn, opened, play, recipe_of

pytestmark = pytest.mark.stack("deepspeed")

SPLIT: list[dict[str, Any]] = [
    {"kind": "deepspeed", "processes": 2, "stage": 2},
    {"kind": "deepspeed", "processes": 2, "stage": 3},
]
CRITIC = {"ppo": {"estimator": "gae", "minibatches": 2}, "kl": {"coefficient": 0.05, "placement": "reward"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    random_tiny().save(folder)
    return folder


def assert_alike(ours: list[dict[str, float]], theirs: list[dict[str, float]], within: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert other[name] == pytest.approx(value, rel=within, abs=within), name


@pytest.mark.parametrize("backend", SPLIT, ids=["zero2", "zero3"])
@pytest.mark.parametrize("changes", [{}, CRITIC], ids=["groups", "critic"])
def test_ranks_learn_what_one_process_learns(folder: Path, backend: dict[str, Any], changes: dict[str, Any]):
    episodes = play(recipe_of(folder, **changes), 3)
    single, weights = learn(recipe_of(folder, **changes), episodes)
    split, same = learn(recipe_of(folder, backend, **changes), episodes)
    assert_alike(single, split, 1e-4)
    moved = max(float((weights[name] - start).abs().max()) for name, start in random_tiny().model.named_parameters())
    apart = max(float((weights[name] - same[name]).abs().max()) for name in weights)
    assert apart < 0.02 * moved  # Adam divides by the gradient's own size, so that tiny gradients differ most


def test_an_adapter_and_frozen_pictures(folder: Path):
    def recipe(backend: dict[str, Any] | None):
        from dataclasses import replace

        from lmmr1.training.config import LoRAConfig

        recipe = recipe_of(folder, backend)
        return replace(recipe, model=replace(recipe.model, lora=LoRAConfig(4, 8.0, ("q_proj", "v_proj"))))

    episodes = play(recipe_of(folder), 2)
    single, _ = learn(recipe(None), episodes)
    split, _ = learn(recipe(SPLIT[1]), episodes)
    assert_alike(single, split, 1e-4)


def test_low_precision_keeps_what_is_small(folder: Path):
    """A step of a bfloat16 weight is mostly lost unless float32 copies take it: two hundred small ones must add up."""
    from dataclasses import replace

    recipe = recipe_of(folder, SPLIT[0], optimizer={"learning_rate": 2e-6, "warmup": 1})
    recipe = replace(recipe, model=replace(recipe.model, dtype="bfloat16"))
    episodes = play(recipe_of(folder), 1)
    with opened(recipe) as (trainer, _):
        trainer.learn(episodes[0], 0)
        kept = trainer.tensors()["optimizer"]
    masters = {name: tensor for name, tensor in kept.items() if name.endswith("/master")}
    assert masters and all(tensor.dtype == torch.float32 for tensor in masters.values())
    start = {f"{name}/master": weight.bfloat16().float() for name, weight in random_tiny().model.named_parameters()}
    moved = [float((tensor - start[name]).abs().max()) for name, tensor in masters.items()]
    assert 0 < max(moved) < 1e-5


@pytest.mark.parametrize(
    ("first", "then"),
    [(SPLIT[0], {**SPLIT[1], "processes": 1}), (SPLIT[1], {"kind": "single"}), ({"kind": "single"}, SPLIT[0])],
    ids=["zero2 to zero3", "zero3 to one process", "one process to zero2"],
)
def test_a_checkpoint_goes_on_anywhere(folder: Path, first: dict[str, Any], then: dict[str, Any]):
    recipe = recipe_of(folder, **CRITIC)
    episodes = play(recipe, 3)
    expected, _ = learn(recipe, episodes)
    with opened(recipe_of(folder, first, **CRITIC)) as (trainer, policy):
        for iteration in range(2):
            trainer.learn(episodes[iteration], iteration)
        tensors, state = trainer.tensors(), trainer.state()
        weights = {name: weight.detach().clone() for name, weight in policy.loaded.model.named_parameters()}
    continued = random_tiny()
    with torch.no_grad():
        for name, weight in continued.model.named_parameters():
            weight.copy_(weights[name])
    place = folder.parent / f"continued-{first['kind']}-{then['kind']}"
    continued.save(place)
    with opened(recipe_of(place, then, **CRITIC)) as (trainer, _):
        trainer.restore(tensors, state)
        row = trainer.learn(episodes[2], 2)
    assert_alike(expected[2:], [row], 1e-4)


def test_the_same_again_is_the_same_to_the_bit(folder: Path):
    recipe = recipe_of(folder, SPLIT[0])
    episodes = play(recipe, 2)
    (once, weights), (again, same) = learn(recipe, episodes), learn(recipe, episodes)
    assert once == again
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_ranks_tell_what_they_made_of_tokens(folder: Path):
    episodes = play(recipe_of(folder, **CRITIC), 1)
    told = []
    for backend in (None, SPLIT[0]):
        with opened(recipe_of(folder, backend, **CRITIC)) as (trainer, _):
            trainer.learn(episodes[0], 0)
            told.append(trainer.credits(3))
    single, split = told
    assert len(split) == 3
    for episode, here, there in zip(episodes[0], single, split, strict=False):
        assert here.keys() == there.keys() and len(here) > 0
        for index, credit in here.items():
            assert len(credit.advantages) == len(episode.turns[index].reply_ids)
            assert there[index].learned.all()
            assert there[index].advantages == pytest.approx(credit.advantages, rel=1e-3, abs=1e-4)


def test_ranks_that_got_different_episodes_say_so(folder: Path):
    recipe = recipe_of(folder, SPLIT[0])
    episodes = play(recipe, 2)
    with opened(recipe) as (trainer, _):
        assert isinstance(trainer, CrewTrainer) and isinstance(trainer.crew, ProcessCrew)
        trainer.crew._send([("learn", (played, 0)) for played in episodes])
        with pytest.raises(UserError, match="rank 1 has other episodes of iteration 1 than rank 0"):
            trainer.crew._answers(None)


def test_a_rank_that_is_killed_ends_the_others(folder: Path):
    recipe = recipe_of(folder, SPLIT[1])
    episodes = play(recipe, 1)
    with opened(recipe) as (trainer, _):
        assert isinstance(trainer, CrewTrainer) and isinstance(trainer.crew, ProcessCrew)
        processes, exchange = trainer.crew.processes, trainer.crew.folder
        os.kill(processes[1].pid, signal.SIGKILL)
        with pytest.raises(LostError, match=r"learner rank 1 ended by itself \(signal 9\)"):
            trainer.learn(episodes[0], 0)
        assert all(process.poll() is not None for process in processes)
        assert exchange is not None and not exchange.exists()


def test_ranks_that_do_not_meet_are_given_up(folder: Path):
    began = time.monotonic()
    with pytest.raises(LostError, match="have not met within backend.start_seconds"):
        with opened(recipe_of(folder, {**SPLIT[0], "start_seconds": 0.5})):
            pass
    assert time.monotonic() - began < 60
