"""Episodes of text and pictures, and what a trainer makes of them, wherever its weights are."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import load_model
from lmmr1.agents.policy import PolicyAgent
from lmmr1.training.backends.opening import open_trainer
from lmmr1.training.collection.collect import Collector
from lmmr1.training.config import RunConfig
from lmmr1.training.demonstrations import speaker
from lmmr1.training.launchers.local import LocalLauncher
from lmmr1.training.model import freeze
from lmmr1.training.policies import load_policy
from lmmr1.training.recipe import read_recipe
from lmmr1.training.trainers import Trainer

STAGE: dict[str, Any] = {
    "kind": "ppo",
    "help": "text and pictures",
    "iterations": 3,
    "environments": [
        {
            "id": "LMMR1/Geometry-v0",
            "kwargs": {"families": ["triangle_perimeter"], "split": "train", "size": 84, "style": "slate"},
            "chat": {"instructions": "brief"},
        },
        {
            "id": "LMMR1/Reasoning-v0",
            "kwargs": {"families": ["rectangle_perimeter"], "split": "train"},
            "chat": {"instructions": "brief"},
        },
    ],
    "rollout": {"groups": 6, "group_size": 2, "max_new_tokens": 12},
    "ppo": {"minibatches": 2},
    "optimizer": {"learning_rate": 1.0e-3, "warmup": 1},
    "kl": {"coefficient": 0.05, "placement": "loss"},
}


def recipe_of(model: Path | str, backend: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    """One stage; `changes` are of it, and `backend` of where its weights are."""
    document = {
        "name": "learning",
        "help": "a test",
        "model": {"path": str(model)},
        "stages": {"learn": {**STAGE, **changes}},
        "backend": {"start_seconds": 300.0, **(backend or {})},
    }
    return read_recipe(yaml.safe_dump(document))


def play(recipe: RunConfig, iterations: int) -> list[list[Episode]]:
    """Episodes of the model as it starts, for each iteration, with rewards that differ.

    The model solves nothing, and where nothing is to be learned Adam makes steps of rounding errors.
    """
    stage = recipe.stages["learn"]
    policy = speaker(PolicyAgent(load_model(recipe.model.path), Sampling(1)), stage.rollout, "conversation")
    with contextlib.closing(Collector(policy, stage, 3, 0)) as collector:
        played = [collector.collect(iteration).episodes for iteration in range(iterations)]
    rng = np.random.default_rng(0)
    for episode in itertools.chain(*played):
        episode.turns[-1].reward = float(rng.uniform(-1, 1))
    return played


@contextlib.contextmanager
def opened(recipe: RunConfig) -> Iterator[tuple[Trainer, PolicyAgent]]:
    """The trainer of the recipe's stage, and the policy that gets its weights."""
    loaded = load_policy(recipe.model, recipe.seed)
    stage = recipe.stages["learn"]
    freeze(loaded.model, stage.freeze)
    policy = speaker(PolicyAgent(loaded, Sampling(1)), stage.rollout, "conversation")
    with contextlib.closing(open_trainer(policy, recipe, "learn", LocalLauncher(recipe))) as trainer:
        yield trainer, policy


def learn(
    recipe: RunConfig, episodes: Sequence[list[Episode]]
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Metrics of each iteration, and the weights afterwards."""
    with opened(recipe) as (trainer, policy):
        rows = [trainer.learn(played, iteration) for iteration, played in enumerate(episodes)]
        return rows, {name: weight.detach().clone() for name, weight in policy.loaded.model.named_parameters()}
