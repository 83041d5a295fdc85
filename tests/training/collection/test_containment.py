"""Where 5 % of all environment steps break, a run ends, learns, and says exactly what broke."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lmmr1.agents.rollout import derive_seed
from lmmr1.envs.errors import UserError
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

ENVS = str(Path(__file__).parents[2] / "envs")
ITERATIONS, GROUPS, SIZE, TURNS, RATE, SEED = 20, 8, 4, 2, 0.05, 20
RECIPE = f"""
name: breaking
help: a world that breaks
seed: {SEED}
films: 0
checkpoint_every: 0
model: {{path: tiny-random}}
stages:
  digits:
    kind: ppo
    help: say digits, although the world breaks
    iterations: {ITERATIONS}
    environments:
      - id: worlds_that_break:Breaks-v0
        kwargs: {{turns: {TURNS}, rate: {RATE}}}
        chat: {{instructions: brief, reply_format: plain, format_weight: 0.0}}
    rollout: {{groups: {GROUPS}, group_size: {SIZE}, max_new_tokens: 6}}
    collection: {{workers: 4, step_seconds: 2.0, reset_seconds: 10.0}}
    optimizer: {{learning_rate: 2.0e-3, warmup: 2}}
evaluation: {{tasks: {{}}}}
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


def no_evaluation(*_: Any) -> dict[str, Any]:
    return {}


def expected_faults() -> Counter[tuple[int, int, int, str]]:
    """(iteration, seed, turn, kind) of every fault, from the world's own rule."""
    from worlds_that_break import TOLD_AS, fault_of  # type: ignore[import-not-found]

    faults: Counter[tuple[int, int, int, str]] = Counter()
    for iteration in range(ITERATIONS):
        for group in range(GROUPS):
            seed = derive_seed(SEED, 0, 0, iteration, group)
            for turn in range(1, TURNS + 1):
                kind = fault_of(seed, turn, RATE)
                if kind is not None:
                    faults[iteration + 1, seed, turn, TOLD_AS.get(kind, "crash")] += SIZE
                    break
    return faults


def test_a_run_survives_its_environments(tmp_path: Path) -> None:
    expected = expected_faults()
    assert {kind for *_, kind in expected} == {"crash", "garbage", "hang", "death"}  # or there is nothing to survive
    train(read_recipe(RECIPE), tmp_path, no_evaluation)
    rows = read_metrics(tmp_path)
    assert len(rows) == ITERATIONS
    failures = json.loads((tmp_path / "summary.json").read_text())["failures"]["digits"]
    incidents = failures["incidents"]
    found = Counter((row["iteration"], row["env_seed"], row["turn"], row["kind"]) for row in incidents)
    assert found == expected
    assert failures["failed_episodes"] == failures["faults"] == expected.total()
    assert all(row["environment"] == "worlds_that_break:Breaks-v0" and row["error"] for row in incidents)
    for row in rows:
        failed = sum(count for (iteration, *_), count in expected.items() if iteration == row["iteration"])
        assert row["failed_episodes"] == failed and row["episodes"] == GROUPS * SIZE - failed
    rewards = [row["reward"] / TURNS for row in rows]
    assert rewards[0] < 0.3 and sum(rewards[-3:]) / 3 > rewards[0] + 0.3
    [slowest] = json.loads((tmp_path / "timing.json").read_text())["environments"]["digits"]
    assert slowest["slowest_seconds"] >= 2.0
    assert (slowest["slowest_env_seed"], slowest["slowest_turn"], "hang") in {key[1:] for key in expected}


def test_when_all_breaks_the_run_says_so_at_once(tmp_path: Path) -> None:
    changes = [("stages.digits.environments.0.kwargs.turns", "0"), ("stages.digits.collection.workers", "1")]
    recipe = read_recipe(RECIPE, [*changes, ("stages.digits.environments.0.kwargs.rate", "1.0")])
    kinds = sys.modules["worlds_that_break"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "KINDS", ("crash",))
        recipe.stages["digits"].environments[0].kwargs.update(
            rate=0.0,
            plan={str(derive_seed(SEED, 0, 0, 0, group)): [0, "crash"] for group in range(GROUPS)},
        )
        with pytest.raises(UserError, match="iteration 1 has nothing to learn from: all 32 episodes failed.*boom"):
            train(recipe, tmp_path, no_evaluation)
