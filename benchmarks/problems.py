"""How many procedural problems a CPU-second makes: whole resets of an environment, families and levels mixed.

Each case is an environment; a problem counts when `reset` has returned it, question and all. There is no peer here:
reasoning-gym's `create_dataset` is measured beside the text problems where it is installed, on a data set of sums.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium as gym
from contest import finish, interleave, parse_arguments, print_rates

import lmmr1  # noqa: F401  # registers the environments

# Key of the figure: id, arguments, resets in a round.
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "text_problems_per_cpu_second": ("LMMR1/Reasoning-v0", {"level": (1, 10), "split": "train"}, 4_000),
    # Whole questions with their diagrams of 224 pixels.
    "geometry_questions_per_cpu_second": ("LMMR1/Geometry-v0", {"level": (1, 10), "split": "train"}, 150),
    "perception_questions_per_cpu_second": ("LMMR1/Perception-v0", {"level": (1, 10), "split": "train"}, 150),
}


def resets(id: str, kwargs: dict[str, Any], count: int) -> Callable[[], float]:
    """Work for `interleave`: `count` resets of one environment."""
    env = gym.make(id, disable_env_checker=True, **kwargs).unwrapped
    env.reset(seed=0)

    def work() -> float:
        for _ in range(count):
            env.reset()
        return float(count)

    return work


def main() -> None:
    """Measure every case and print it."""
    options = parse_arguments(__doc__ or "")
    contestants = {key: resets(*case) for key, case in CASES.items()}
    if importlib.util.find_spec("reasoning_gym") is not None:
        families = {"families": "reasoning-gym/chain_sum"}
        contestants["reasoning_gym_chain_sum_per_cpu_second"] = resets("LMMR1/Reasoning-v0", families, 500)
    rates = interleave(contestants, rounds=5 if options.quick else 15)
    print_rates("problems", rates, "problems per CPU-second")
    finish({key: sorted(values)[len(values) // 2] for key, values in rates.items()}, options.json)


if __name__ == "__main__":
    main()
