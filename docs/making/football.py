"""Makes the pictures of docs/football.md: `python docs/making/football.py` (needs the football engine)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

import lmmr1

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "football"


def play(steps: int, **kwargs: Any) -> np.ndarray:
    """A picture after some steps of the scripted player."""
    env = gym.make("LMMR1/Football-v0", render_mode="rgb_array", width=640, observation="simple115", **kwargs).unwrapped
    env.reset(seed=4)
    for _ in range(steps):
        name = env.solution().answer.removeprefix("action_")  # pyright: ignore[reportAttributeAccessIssue]
        env.step(env.seat.names.index(name))  # pyright: ignore[reportAttributeAccessIssue]
    picture = env.render()
    env.close()
    assert isinstance(picture, np.ndarray)
    return picture


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scenario, steps in (("academy_counterattack_easy", 24), ("academy_corner", 12), ("R6_P_1", 6)):
        Image.fromarray(play(steps, scenario=scenario)).save(FOLDER / f"{scenario}.png", optimize=True)
    Image.fromarray(play(24, scenario="academy_counterattack_easy", picture="frame")).save(
        FOLDER / "academy_counterattack_easy_3d.jpg", quality=85
    )
    teams = lmmr1.football_parallel_env("5_vs_5", 4, 4, observation="simple115", render_mode="rgb_array", width=640)
    teams.reset(seed=2)
    for step in range(40):
        teams.step({agent: (5, 13, 3, 7)[(step // 3 + index) % 4] for index, agent in enumerate(teams.agents)})
    picture = teams.render()
    assert isinstance(picture, np.ndarray)
    Image.fromarray(picture).save(FOLDER / "five_against_five.png", optimize=True)


if __name__ == "__main__":
    main()
