"""A trajectory as one digest; as a script, played in another process: `python trajectories.py spawn`."""

from __future__ import annotations

import hashlib
import multiprocessing
import sys

import numpy as np

from lmmr1.envs.football.engine.match import Control, KickOff
from lmmr1.envs.football.engine.process import open_engine
from lmmr1.envs.football.engine.wire import write_state
from lmmr1.envs.football.scenarios.table import BUILT_IN


def trajectory(worker: bool = False, seed: int = 11, frame_size: tuple[int, int] | None = None) -> str:
    """A digest of 40 steps in three scenarios one after the other on one engine."""
    found = hashlib.sha256()
    engine = open_engine(Control(frame_size=frame_size), worker=worker)
    for name in ("11_vs_11_stochastic", "academy_3_vs_1_with_keeper", "academy_corner"):
        engine.reset(KickOff(BUILT_IN[name], seed))
        rng = np.random.default_rng(seed)
        for step in range(40):
            if frame_size is not None and step % 20 == 3:
                engine.frame()
            result = engine.step([int(rng.integers(19))])
            found.update(write_state(engine.state))
            if result.done:
                break
    engine.close()
    return found.hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        trajectory(seed=1)  # there is a live engine to be forked
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.apply(trajectory))
