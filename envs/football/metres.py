"""The engine's units in metres: a step along x is shorter than one along y, so distances and angles need it."""

from __future__ import annotations

import math

import numpy as np

METRES_PER_X, METRES_PER_Y = 54.4, 83.6
SCALE = np.array((METRES_PER_X, METRES_PER_Y))
SCALE.setflags(write=False)


def to_metres(places: np.ndarray) -> np.ndarray:
    """Places, or ways, of shape (..., 2) in metres, from the middle of the pitch; float64."""
    return places * SCALE


def distance(one: tuple[float, float] | np.ndarray, other: tuple[float, float] | np.ndarray) -> float:
    """Metres between two places, each (x, y) in the engine's units."""
    return math.hypot((one[0] - other[0]) * METRES_PER_X, (one[1] - other[1]) * METRES_PER_Y)


def distances(places: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Metres from each of the places, shape (n, 2), to another, shape (2,); shape (n,)."""
    return np.hypot(*to_metres(places - other).T)


def distances_to_way(places: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Metres from each of the places, shape (n, 2), to the straight way from `start` to `end`; shape (n,)."""
    way = to_metres(end - start)
    offsets = to_metres(places - start)
    length = float(way @ way)
    share = np.clip(offsets @ way / length, 0.0, 1.0) if length > 0 else np.zeros(len(offsets))
    return np.hypot(*(offsets - share[:, None] * way).T)
