"""A run with every kind of stage, as small as can be, and what must be equal about two of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

# Text with a reference model, pictures and text with a critic of its own, a game of many turns with a frozen vision
# tower (whose features are kept), and supervised training; evaluations within the stages too.
RECIPE = """
name: small
help: every kind of stage, as small as can be
checkpoint_every: 1
films: 0
stages:
  words:
    kind: ppo
    help: the mean of a group is the baseline
    iterations: 3
    environments:
      - id: LMMR1/Reasoning-v0
        kwargs: &shapes {families: [triangle_perimeter, rectangle_perimeter], split: train}
        chat: &brief {instructions: brief}
    rollout: {groups: 4, group_size: 2, max_new_tokens: 24}
    kl: {coefficient: 0.01, placement: loss}
  critic:
    kind: ppo
    help: a critic with a network of its own
    iterations: 3
    environments:
      - {id: LMMR1/Geometry-v0, kwargs: {<<: *shapes, size: 84, style: slate}, chat: *brief}
      - {id: LMMR1/Reasoning-v0, kwargs: *shapes, chat: *brief}
    rollout: {groups: 4, group_size: 1, max_new_tokens: 24}
    ppo: {estimator: gae, lam: 0.95}
    optimizer: {learning_rate: 1.0e-3}
    kl: {coefficient: 0.01, placement: reward, estimator: k1, target: 0.001, horizon: 50}
  game:
    kind: ppo
    help: many turns, each a sequence of its own; branches from the first stage
    start: words
    iterations: 3
    environments:
      - id: LMMR1/Sokoban-v0
        kwargs: &sokoban {dim_room: [6, 6], num_boxes: 1, inner_walls: 0, max_steps: 6, tile_size: 14, split: train}
        chat: *brief
    rollout: {groups: 3, group_size: 2, max_new_tokens: 24, context: turn, max_turns: 4}
    optimizer: {learning_rate: 1.0e-3}
    ppo: {epochs: 2, policy_tokens: answer, turn_gamma: 0.0}
    kl: {coefficient: 1.0, placement: loss, estimator: full, tokens: thought}
    freeze: [model.visual.*]
  copy:
    kind: sft
    help: worked solutions
    sft: {steps: 3, batch_size: 8, learning_rate: 0.001, warmup: 1}
    demonstrations:
      - environment: {id: LMMR1/Geometry-v0, kwargs: {<<: *shapes, size: 84, style: slate}, chat: *brief}
        thought_rate: 0.5
      - environment: {id: LMMR1/Sokoban-v0, kwargs: *sokoban, chat: *brief}
        skill: 0.5
        context: turn
        turns: 3
evaluation:
  max_new_tokens: 24
  every: 2
  tasks:
    image:
      modality: image
      environment: {id: LMMR1/Geometry-v0, kwargs: {<<: *shapes, split: test, size: 84, style: slate}, chat: *brief}
      episodes: 4
    sokoban:
      modality: game
      environment: {id: LMMR1/Sokoban-v0, kwargs: {<<: *sokoban, split: test}, chat: *brief}
      episodes: 2
      context: turn
      max_turns: 3
"""
STAGES = ("words", "critic", "game", "copy")
TIMES = ("cpu_seconds", "wall_seconds")


def run_small(folder: Path) -> dict[str, Any]:
    """Run it from start to end in this process; returns the summary."""
    return train(read_recipe(RECIPE), folder, evaluate_policy)


def results(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind and that must not depend on when and how often it was stopped."""
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in read_metrics(folder)]
    kept = {name: (folder / name).read_bytes() for name in ("summary.json", "evaluations.jsonl", "recipe.yaml")}
    files = [path for name in ("models", "episodes") for path in (folder / name).rglob("*") if path.is_file()]
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {**kept, "metrics": rows, "files": digests}
