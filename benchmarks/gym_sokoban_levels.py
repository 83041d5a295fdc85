"""Records levels of gym-sokoban, and of RAGEN and VAGEN, for the tests; runs in the environment of gym-sokoban.

    make bench-sokoban-peers
    .venv-gym-sokoban/bin/python benchmarks/gym_sokoban_levels.py > tests/envs/sokoban/peer_levels.json

One line a level in codes 0 to 5 with 6 for a player on a target, written as hexadecimal digits row by row. RAGEN and
VAGEN are not packaged; they change gym-sokoban's search in three places (pulls only, a pull counts when it is of
another box, another depth) and let the player walk at the end. These changes are made here to the functions of the
installed package.
"""

# gym-sokoban is installed where this runs, and nowhere else.
# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import time

import numpy as np
from gym_sokoban.envs import room_utils
from gym_sokoban.envs.sokoban_env import SokobanEnv

# Registered sizes: rows, columns, boxes, steps of the walk (0: the default), seeds.
SIZES = {
    "small-v0 with one box": (7, 7, 1, 0, 200),
    "small-v0": (7, 7, 2, 0, 200),
    "small-v1": (7, 7, 3, 0, 40),
    "v0": (10, 10, 3, 0, 12),
    "v1": (10, 10, 4, 0, 4),
    "v2": (10, 10, 5, 40, 3),
    "large-v0": (13, 11, 3, 43, 4),
    "large-v1": (13, 11, 5, 43, 2),
    "huge-v0": (13, 13, 5, 50, 2),
}
# Method, rows, columns, boxes, search depth, seeds.
VARIANTS = (
    ("ragen", 6, 6, 1, 300, 100),
    ("ragen", 6, 6, 3, 300, 100),
    ("ragen", 8, 8, 2, 10, 100),
    ("ragen", 8, 8, 2, 30, 60),
    ("vagen", 6, 6, 1, 100, 100),
)
LIMIT_S = 100.0  # CPU-seconds for one size; what is not done by then is left out


def write(fixed, state) -> str:
    merged = np.where((state == 5) & (fixed == 2), 6, state).astype(int)
    return "".join(str(code) for code in merged.ravel())


def record_size(rows: int, columns: int, boxes: int, steps: int, seeds: int) -> list[str]:
    env = SokobanEnv((rows, columns), 100, boxes, steps or None, reset=False)
    levels: list[str] = []
    began = time.process_time()
    for seed in range(seeds):
        random.seed(seed)
        np.random.seed(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            env.reset()
        levels.append(write(env.room_fixed, env.room_state))
        if time.process_time() - began > LIMIT_S:
            break
    return levels


def search_as_ragen(state, structure, mapping, swaps, last, ttl) -> None:
    """The search with RAGEN's three changes; the results go where gym-sokoban keeps them."""
    ttl -= 1
    key = state.tobytes()
    if ttl <= 0 or len(room_utils.explored_states) >= 300_000 or key in room_utils.explored_states:
        return
    bare = (state == 2).sum() == len(mapping)
    score = swaps * room_utils.box_displacement_score(mapping) if bare else 0
    if score > room_utils.best_room_score:
        room_utils.best_room_score, room_utils.best_room = score, state
        room_utils.best_box_mapping = mapping
    room_utils.explored_states.add(key)
    for action in range(4):
        after, moved, pulled = room_utils.reverse_move(state.copy(), structure, mapping.copy(), last, action)
        search_as_ragen(after, structure, moved, swaps + (pulled != last), pulled, ttl)


def walk_at_random(state, structure, chance: float) -> None:
    """The player's last walk: up to three steps, never back."""
    if random.random() > chance:
        return
    at = tuple(int(side) for side in np.argwhere(state == 5)[0])
    seen = [at]
    for taken in range(1, 4):
        nexts = [(at[0] + dy, at[1] + dx) for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        nexts = [place for place in nexts if state[place] in (1, 2) and place not in seen]
        if not nexts:
            return
        state[at] = structure[at]
        at = random.choice(nexts)
        state[at] = 5
        seen.append(at)
        if taken == 3 or random.random() > 0.5:
            return


def record_variant(method: str, rows: int, columns: int, boxes: int, depth: int, seeds: int) -> list[str]:
    """Levels by seed; "" where the variant fails on that seed."""
    levels: list[str] = []
    room_utils.depth_first_search = lambda state, structure, mapping, **rest: search_as_ragen(
        state, structure, mapping, 0, (-1, -1), depth
    )
    for seed in range(seeds):
        random.seed(seed)
        np.random.seed(seed)
        try:
            fixed, state, mapping = room_utils.generate_room((rows, columns), 0.35, int(1.7 * (rows + columns)), boxes)
        except (RuntimeError, RuntimeWarning):
            levels.append("")
            continue
        near = method == "ragen" and room_utils.box_displacement_score(mapping) == 1
        walk_at_random(state, fixed, 0.8 if near else 0.5)
        levels.append(write(fixed, state))
    return levels


def main() -> None:
    recorded = {}
    for name, (rows, columns, boxes, steps, seeds) in SIZES.items():
        levels = record_size(rows, columns, boxes, steps, seeds)
        recorded[name] = {
            "method": "compat",
            "dim_room": [rows, columns],
            "num_boxes": boxes,
            "num_gen_steps": steps or None,
            "search_depth": None,
            "levels": levels,
        }
        print(name, len(levels), file=sys.stderr)
    for method, rows, columns, boxes, depth, seeds in VARIANTS:
        recorded[f"{method} {rows}x{columns}x{boxes} depth {depth}"] = {
            "method": method,
            "dim_room": [rows, columns],
            "num_boxes": boxes,
            "num_gen_steps": None,
            "search_depth": depth,
            "levels": record_variant(method, rows, columns, boxes, depth, seeds),
        }
    print(json.dumps(recorded, indent=1))


if __name__ == "__main__":
    main()
