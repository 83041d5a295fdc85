"""Every estimator on two small tasks of one's own, from the same start and the same budget: medians over seeds.

    python examples/estimators.py                       # all of them, seeds 0 1 2; some minutes on one core
    python examples/estimators.py --estimators grpo --seeds 0 --iterations 2

`identity` says a number of two digits and pays for its digits. `memory` asks for it once more a turn later, when only
the conversation holds it. Both are plain Gymnasium environments, registered below: this is all that a new task needs.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from typing import Any, get_args

import gymnasium as gym

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.models import load_model
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.envs.spaces import Utterance
from lmmr1.training.config import KLConfig, OptimizerConfig, PPOConfig, RolloutConfig, RunConfig, StageConfig
from lmmr1.training.config.ppo import Estimator
from lmmr1.training.stages import PPOStage

DIGITS = "1234"


class Number(gym.Env):
    """Says a number of two digits and wants it back, at once and (`turns` 2) in the turn after; half for each digit."""

    metadata = {"render_modes": []}

    def __init__(self, turns: int = 1) -> None:
        self.turns, self.render_mode = turns, None
        self.observation_space, self.action_space = Utterance(200), Utterance(200)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Say a new number."""
        super().reset(seed=seed)
        self.number, self.count = "".join(self.np_random.choice(list(DIGITS), 2)), 0
        return f"Say {self.number}.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Compare digit by digit."""
        self.count += 1
        said = action.strip()
        right = sum(a == b for a, b in zip(said, self.number, strict=False)) if len(said) == 2 else 0
        return "Again?", right / 2, self.count == self.turns, False, {"success": said == self.number}


gym.register("Identity-v0", f"{__name__}:Number")
gym.register("Memory-v0", f"{__name__}:Number", kwargs={"turns": 2})
TASKS = {"identity": "Identity-v0", "memory": "Memory-v0"}


def learn(estimator: Estimator, task: str, seed: int, iterations: int) -> tuple[float, float]:
    """The success rate of the first iteration and the mean of the last five."""
    stage = StageConfig(
        kind="ppo",
        help="a small task",
        iterations=iterations,
        environments=[EnvironmentConfig(TASKS[task], chat={"instructions": "brief", "format_weight": 0.1})],
        rollout=RolloutConfig(groups=16, group_size=8, max_new_tokens=24),
        ppo=PPOConfig(estimator=estimator, lam=0.95 if estimator.startswith("gae") else 1.0, entropy=0.02),
        optimizer=OptimizerConfig(learning_rate=5e-4, warmup=4),
        kl=KLConfig(coefficient=1e-3),
    )
    recipe = RunConfig(name="estimators", help="every estimator", seed=seed, stages={task: stage})
    runner = PPOStage(PolicyAgent(load_model("tiny"), Sampling(24)), recipe, task)
    rates = [runner.iterate(iteration)["accuracy"] for iteration in range(iterations)]
    runner.close()
    return rates[0], statistics.fmean(rates[-5:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and print one row an estimator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--estimators", nargs="+", default=list(get_args(Estimator)))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=60)
    chosen = parser.parse_args(arguments)
    print(f"| estimator | {' | '.join(TASKS)} |")
    print("|---" * (len(TASKS) + 1) + "|")
    for estimator in chosen.estimators:
        cells = []
        for task in TASKS:
            pairs = [learn(estimator, task, seed, chosen.iterations) for seed in chosen.seeds]
            before, after = (statistics.median(values) for values in zip(*pairs, strict=True))
            cells.append(f"{before:.0%} to **{after:.0%}** ({' '.join(f'{end:.0%}' for _, end in pairs)})")
        print(f"| {estimator} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
