"""Makes the pictures of docs/sokoban.md, from fixed seeds: python docs/making/sokoban.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

import lmmr1  # noqa: F401  (registers the ids)
from lmmr1.envs.sokoban import SokobanEnv, parse_level, solve_level
from lmmr1.envs.sokoban.pictures.tiles import render

PICTURES = Path(__file__).resolve().parents[1] / "assets" / "sokoban"
# Every kind of cell is on it.
LEVEL = "########\n#@ $  .#\n#  #.$*#\n#   #  #\n########"
ON_TARGET = "########\n#  $  .#\n#  #+$*#\n#   #  #\n########"


def save(name: str, picture: np.ndarray, scale: int = 1) -> None:
    """Writes a picture, enlarged without smoothing, in few colours."""
    image = Image.fromarray(picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    image.quantize(64).save(PICTURES / name, optimize=True)


def main() -> None:
    """Write all of them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for size in (8, 16, 32, 48):
        save(f"rgb_{size}.png", SokobanEnv(levels=ON_TARGET, tile_size=size).reset(seed=0)[0])
    save("tiny_rgb.png", SokobanEnv(levels=LEVEL, observation="tiny_rgb").reset(seed=0)[0], scale=16)
    save_solution("solution.gif")
    save_boards("boards.png")
    save_generations("generations.png")
    for path in sorted(PICTURES.iterdir()):
        print(path.name, path.stat().st_size)


def save_solution(name: str) -> None:
    """A level of gym-sokoban's v0, solved with the fewest moves, a frame a move."""
    env = SokobanEnv((10, 10), 3, generation="compat", tile_size=20, observation="rgb")
    frames = [env.reset(seed=3)[0]]
    for letter in solve_level(env.state(), "moves").solution:
        frames.append(env.step("udlr".index(letter.lower()))[0])
    images = [Image.fromarray(frame).quantize(32) for frame in frames]
    durations = [900, *[160] * (len(images) - 2), 1800]
    rest = images[1:]
    images[0].save(PICTURES / name, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def save_boards(name: str) -> None:
    """What a vector environment of thirty-two boards shows after twenty steps."""
    envs: Any = gym.make_vec(
        "LMMR1/Sokoban-v0", num_envs=32, dim_room=(10, 10), num_boxes=4, generation="fast", pool=64, tile_size=8
    )
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    boards = np.zeros(0)
    for _ in range(20):
        boards = envs.step(rng.integers(4, size=32))[0]
    rows = boards.reshape(4, 8, *boards.shape[1:])
    save(name, np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))


def save_generations(name: str) -> None:
    """A level of each generation."""
    shown = []
    small, usual, large = (6, 6), (10, 10), (13, 13)
    kinds = [("scatter", (8, 8), 2), ("compat", usual, 4), ("fast", usual, 4), ("ragen", small, 1)]
    for generation, size, boxes in [*kinds, ("compat", large, 5)]:
        env = SokobanEnv(size, boxes, generation=generation, inner_walls=6)
        env.reset(seed=1)
        board = env.state().padded(13, 13).grid()
        shown.append(render(board[:, : size[1]], 12))
    bar = np.full((shown[0].shape[0], 8, 3), 255, np.uint8)
    save(name, np.concatenate([part for picture in shown for part in (picture, bar)][:-1], axis=1))


if __name__ == "__main__":
    assert parse_level(LEVEL) and parse_level(ON_TARGET)
    main()
