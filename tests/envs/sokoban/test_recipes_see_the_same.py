"""What the shipped recipes see of Sokoban stays as it was when their results were measured, bit by bit.

`recipe_trajectories.json` was written before the present code: for every configuration of Sokoban in a shipped recipe
a digest of levels, pictures, texts, rewards and infos over fifty seeds (some hundred episodes in all). It was written
anew once, when the form of a reply that names no legal action ceased to be paid: all else was the same. To do that, on
purpose:

    python tests/envs/sokoban/test_recipes_see_the_same.py
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.recipe import load_recipe, recipe_names

RECORDED = Path(__file__).with_name("recipe_trajectories.json")
SEEDS, LONGEST = 50, 16


def configurations() -> dict[str, EnvironmentConfig]:
    """Every Sokoban of the shipped recipes, the same one only once."""
    found: dict[str, EnvironmentConfig] = {}
    for name in sorted(recipe_names()):
        recipe = load_recipe(name)
        configs = [task.environment for task in recipe.evaluation.tasks.values()]
        for stage in recipe.stages.values():
            configs += [*stage.environments, *(demo.environment for demo in stage.demonstrations)]
        for config in configs:
            if "Sokoban" in config.id and not any(_same(config, other) for other in found.values()):
                found[f"{name} {sum(key.startswith(name + ' ') for key in found)}"] = config
    return found


def _same(one: EnvironmentConfig, two: EnvironmentConfig) -> bool:
    return (one.kwargs, one.chat) == (two.kwargs, two.chat)


def digest_of(config: EnvironmentConfig) -> str:
    """A digest of everything that the configuration says in the episodes of fifty seeds."""
    chat = config.make()
    world: Any = chat.env.unwrapped
    digest = blake2b(digest_size=16)

    def take(messages: Any, *rest: Any) -> None:
        for message in messages:
            for part in message["content"]:
                said = part["image"].tobytes() if part["type"] == "image" else part["text"].encode()
                digest.update(message["role"].encode() + said)
        digest.update(repr(rest).encode())

    def shown(info: dict[str, Any]) -> list[Any]:
        names = ("success", "moved", "pushed", "blocked", "dead", "actions", "reward_parts")
        return [info[name] for name in names if name in info]

    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        # The second episode of a seed goes on with the world's generator.
        for first in (seed, None):
            messages, info = chat.reset(seed=first)
            take(messages, world.state().to_xsb(), shown(info))
            for _ in range(LONGEST):
                try:
                    solution = chat.solution()
                except UserError as error:
                    answer = thought = str(error)[:20]
                else:
                    # The expert used to say one move only.
                    answer, thought = solution.answer.partition(",")[0], solution.thought
                if rng.random() < 0.5:
                    answer = ", ".join(rng.choice(["Up", "Down", "Left", "Right", "Jump"], size=rng.integers(1, 3)))
                messages, reward, terminated, truncated, info = chat.step(chat.write_reply(thought, answer))
                take(messages, float(reward), terminated, truncated, shown(info), world.state().to_xsb())
                if terminated or truncated:
                    break
    return digest.hexdigest()


CONFIGURATIONS = configurations()


def test_every_configuration_is_recorded() -> None:
    assert set(json.loads(RECORDED.read_text())) == set(CONFIGURATIONS) and len(CONFIGURATIONS) >= 6


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_recipe_sees_what_it_saw(name: str) -> None:
    assert digest_of(CONFIGURATIONS[name]) == json.loads(RECORDED.read_text())[name]


if __name__ == "__main__":
    RECORDED.write_text(
        json.dumps({name: digest_of(config) for name, config in CONFIGURATIONS.items()}, indent=1) + "\n"
    )
