"""The other Sokobans, each run by the Python of its own environment: takes a line of JSON, answers with one.

    .venv-jumanji/bin/python benchmarks/sokoban_peers.py jumanji levels.npy

A request names a case and how many seconds to play it; the answer is steps (or levels) and CPU-seconds of the process,
all threads. ``levels.npy`` holds boards in codes 0 to 6, uint8, shape (M, 10, 10). All play random actions, episodes
of 120 steps, and start over by themselves.
"""

# The peers are installed where this runs, and nowhere else.
# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import time
from collections.abc import Callable

import numpy as np

Play = Callable[[], int]  # plays on for a while and says how many steps that were


def play_gym_sokoban(boards: np.ndarray) -> dict[str, Callable[[], Play]]:
    from gym_sokoban.envs.sokoban_env import SokobanEnv

    fixed = np.where((boards == 2) | (boards == 3) | (boards == 6), 2, np.where(boards == 0, 0, 1))
    state = np.where(boards == 6, 5, boards)

    def make(mode: str, count: int) -> Play:
        env = SokobanEnv((10, 10), 120, 4, reset=False)
        rng = np.random.default_rng(0)

        def restart() -> None:
            level = int(rng.integers(len(boards)))
            env.room_fixed, env.room_state = fixed[level].copy(), state[level].copy()
            env.player_position = np.argwhere(env.room_state == 5)[0]
            env.num_env_steps, env.reward_last, env.boxes_on_target = 0, 0, 0

        restart()
        actions = rng.integers(9, size=4096).tolist()

        def play() -> int:
            for action in actions[:count]:
                if env.step(action, observation_mode=mode)[2]:
                    restart()
            return count

        return play

    def generate(size: tuple[int, int], boxes: int, seeds: int) -> Play:
        env = SokobanEnv(size, 120, boxes, reset=False)

        def play() -> int:
            for seed in range(seeds):
                random.seed(seed)
                np.random.seed(seed)
                with contextlib.redirect_stdout(io.StringIO()):
                    env.reset(render_mode="tiny_rgb_array")
            return seeds

        return play

    return {
        "single tiny": lambda: make("tiny_rgb_array", 500),
        "single rgb160": lambda: make("rgb_array", 100),
        "levels 7x7x1": lambda: generate((7, 7), 1, 40),
        "levels 7x7x2": lambda: generate((7, 7), 2, 25),
        "levels 10x10x3": lambda: generate((10, 10), 3, 2),
    }


def play_jumanji(boards: np.ndarray) -> dict[str, Callable[[], Play]]:
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax
    import jax.numpy as jnp
    from jumanji.environments import Sokoban
    from jumanji.environments.routing.sokoban.generator import Generator
    from jumanji.environments.routing.sokoban.types import State
    from jumanji.wrappers import AutoResetWrapper, VmapWrapper

    targets = (boards == 2) | (boards == 3) | (boards == 6)
    fixed = jnp.asarray(np.where(boards == 0, 1, np.where(targets, 2, 0)), jnp.uint8)
    moving = np.where(boards >= 5, 3, np.where((boards == 3) | (boards == 4), 4, 0))
    places = jnp.asarray([np.argwhere(board >= 5)[0] for board in boards], jnp.int32)
    variable = jnp.asarray(moving, jnp.uint8)

    class FromLevels(Generator):
        def __call__(self, rng_key):
            key, draw = jax.random.split(rng_key)
            level = jax.random.randint(draw, (), 0, len(boards))
            return State(
                key=key,
                fixed_grid=fixed[level],
                variable_grid=variable[level],
                agent_location=places[level],
                step_count=jnp.array(0, jnp.int32),
            )

    def make(count: int, steps: int) -> Play:
        env = AutoResetWrapper(Sokoban(FromLevels(), time_limit=120))
        if count:
            env = VmapWrapper(env)
        step = jax.jit(env.step)
        key = jax.random.PRNGKey(0)
        state, _ = jax.jit(env.reset)(jax.random.split(key, count) if count else key)
        rng = np.random.default_rng(0)
        actions = [rng.integers(4, size=(count,) if count else ()).astype(np.int32) for _ in range(steps)]
        kept = [state]
        jax.block_until_ready(step(state, actions[0]))

        def play() -> int:
            state = kept[0]
            for action in actions:
                state, timestep = step(state, action)
                # What a user needs on his side, without a copy: observations, rewards, ends.
                np.asarray(timestep.observation.grid)
                np.asarray(timestep.reward)
                np.asarray(timestep.step_type)
            kept[0] = state
            return steps * max(count, 1)

        return play

    return {"single": lambda: make(0, 200), "64": lambda: make(64, 100), "1024": lambda: make(1024, 30)}


def play_envpool(boards: np.ndarray) -> dict[str, Callable[[], Play]]:
    import envpool

    # Without base_path the level file is not found, and every environment gets one trivial level.
    base = os.path.dirname(str(envpool.__file__))

    def make(count: int, steps: int) -> Play:
        env = envpool.make("Sokoban-v0", "gymnasium", num_envs=count, num_threads=1, base_path=base)
        env.reset()
        rng = np.random.default_rng(0)
        actions = [rng.integers(4, size=count).astype(np.int32) for _ in range(steps)]

        def play() -> int:
            for action in actions:
                env.step(action)
            return steps * count

        return play

    def make_async(count: int, steps: int) -> Play:
        env = envpool.make(
            "Sokoban-v0", "gymnasium", num_envs=count, batch_size=count // 2, num_threads=1, base_path=base
        )
        env.async_reset()
        action = np.random.default_rng(0).integers(4, size=count // 2).astype(np.int32)

        def play() -> int:
            for _ in range(steps):
                ids = env.recv()[4]["env_id"]
                env.send(action, ids)
            return steps * (count // 2)

        return play

    return {"64": lambda: make(64, 50), "1024": lambda: make(1024, 8), "1024 async": lambda: make_async(1024, 16)}


PEERS = {"gym-sokoban": play_gym_sokoban, "jumanji": play_jumanji, "envpool": play_envpool}


def main() -> None:
    peer, path = sys.argv[1:]
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the packages print is no answer
    cases = PEERS[peer](np.load(path))
    made: dict[str, Play] = {}
    print(json.dumps({"cases": list(cases)}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        name = request["case"]
        if name not in made:
            made[name] = cases[name]()
        play, done = made[name], 0
        began, wall = time.process_time(), time.monotonic()
        while done == 0 or time.monotonic() - wall < request["seconds"]:
            done += play()
        print(json.dumps({"done": done, "cpu": time.process_time() - began}), file=answers, flush=True)


if __name__ == "__main__":
    main()
