"""Asynchronous against synchronous rollouts in a world whose steps wait and whose episodes are long-tailed.

The same stage (PPO from random weights of the tiny model, one seed after the other) with `collection.asynchronous` of
several bounds of staleness, and without: episodes per second of wall time over the second half of the iterations (in
the first half worker processes are still starting), and, after the same number of episodes, the success of the final
weights on fresh episodes with its 95 % interval (Wilson). The modes run in turn within each seed; ratios are medians
over the seeds. Wall time, not CPU time, is what waiting costs.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import waiting_world  # noqa: F401  # registers the world
from contest import finish, parse_arguments

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.models import load_model
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import EVALUATION_STREAM, rollout
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.scoring.scores import wilson_interval
from lmmr1.training.config import (
    CollectionConfig,
    CorrectionConfig,
    KLConfig,
    OptimizerConfig,
    RolloutConfig,
    RunConfig,
    StageConfig,
)
from lmmr1.training.config.collection import AsynchronousConfig
from lmmr1.training.launchers.local import LocalLauncher
from lmmr1.training.stages import make_stage_runner

HEADLINE = 1  # the bound that is compared with the synchronous schedule
SIZE = 4
MODES: dict[str, int | None] = {
    "synchronous": None,
    "staleness 0": 0,
    "staleness 1": 1,
    "staleness 2": 2,
    "staleness 4": 4,
}


@dataclass(frozen=True)
class Plan:
    """How much is done: seeds, the bounds compared, the size of a run, and the episodes that judge it."""

    seeds: int
    modes: tuple[str, ...]
    iterations: int
    groups: int
    judged: int


FULL = Plan(3, tuple(MODES), 48, 4, 200)
QUICK = Plan(1, ("synchronous", f"staleness {HEADLINE}"), 10, 2, 16)


@dataclass(frozen=True)
class Outcome:
    """What one run gave: episodes per second, successes among those judged, means of metrics over its iterations."""

    rate: float
    successes: int
    judged: int
    figures: dict[str, float]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the success."""
        return wilson_interval(self.successes, self.judged)


def world(**kwargs: Any) -> EnvironmentConfig:
    """The waiting world."""
    chat = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}
    return EnvironmentConfig("waiting_world:Waits-v0", kwargs, chat)


def run(plan: Plan, bound: int | None, seed: int) -> Outcome:
    """Train once."""
    in_flight = SIZE * plan.groups * (1 + (bound or 0))
    stage = StageConfig(
        kind="ppo",
        help="digits",
        iterations=plan.iterations,
        environments=[world()],
        rollout=RolloutConfig(groups=plan.groups, group_size=SIZE, max_new_tokens=6),
        collection=CollectionConfig(
            workers=in_flight, asynchronous=None if bound is None else AsynchronousConfig(bound)
        ),
        optimizer=OptimizerConfig(learning_rate=6e-4, warmup=4),
        kl=KLConfig(coefficient=0.0),
        correction=CorrectionConfig(kind="truncate"),
    )
    recipe = RunConfig(name="asynchronous", help="benchmark", seed=seed, stages={"digits": stage})
    policy = PolicyAgent(load_model("tiny-random", seed=seed), Sampling(6))
    half = plan.iterations // 2
    with contextlib.closing(make_stage_runner(policy, recipe, "digits", LocalLauncher(recipe))) as runner:
        rows = [runner.iterate(iteration) for iteration in range(half)]
        began = time.perf_counter()
        rows += [runner.iterate(iteration) for iteration in range(half, plan.iterations)]
        seconds = time.perf_counter() - began
    judged = rollout(policy, lambda: world(median_seconds=0.0).make(), plan.judged, seed=seed, stream=EVALUATION_STREAM)
    keys = ("reward", "staleness", "staleness_max", "waiting_seconds", "engine_utilisation", "mismatch")
    figures = {key: statistics.mean(row[key] for row in rows) for key in keys if key in rows[-1]}
    episodes = (plan.iterations - half) * plan.groups * SIZE
    return Outcome(episodes / seconds, sum(episode.success is True for episode in judged), plan.judged, figures)


def main() -> None:
    """Run the modes in turn for each seed, and print a table."""
    options = parse_arguments(__doc__ or "")
    plan = QUICK if options.quick else FULL
    torch.set_num_threads(1)
    outcomes: dict[str, list[Outcome]] = {mode: [] for mode in plan.modes}
    for seed in range(plan.seeds):
        for mode in plan.modes:
            outcome = run(plan, MODES[mode], seed)
            outcomes[mode].append(outcome)
            low, high = outcome.interval
            told = "  ".join(f"{key} {value:.3f}" for key, value in outcome.figures.items())
            success = f"{outcome.successes / outcome.judged:.3f} ({low:.3f} to {high:.3f})"
            print(f"seed {seed}  {mode:12s} {outcome.rate:7.1f} episodes/s  success {success}  {told}", flush=True)
    plain = outcomes["synchronous"]
    figures: dict[str, float | None] = {}
    for mode, found in outcomes.items():
        name = mode.replace(" ", "_")
        figures[f"{name}_episodes_per_second"] = statistics.median(outcome.rate for outcome in found)
        figures[f"{name}_speedup"] = statistics.median(a.rate / b.rate for a, b in zip(found, plain, strict=True))
        figures[f"{name}_success"] = statistics.mean(outcome.successes / outcome.judged for outcome in found)
        for key in ("reward", "staleness", "waiting_seconds", "engine_utilisation"):
            values = [outcome.figures[key] for outcome in found if key in outcome.figures]
            if values:
                figures[f"{name}_{key}"] = statistics.mean(values)
    # Equal learning: for how many seeds each interval reaches into that of the synchronous run.
    for mode, found in outcomes.items():
        equal = sum(
            a.interval[0] <= b.interval[1] and b.interval[0] <= a.interval[1] for a, b in zip(found, plain, strict=True)
        )
        figures[f"{mode.replace(' ', '_')}_equal_seeds"] = float(equal)
    figures["asynchronous_speedup"] = figures[f"staleness_{HEADLINE}_speedup"]
    finish(figures, options.json)


if __name__ == "__main__":
    main()
