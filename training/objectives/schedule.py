"""Learning rates by step."""

from __future__ import annotations

import math


def learning_rate(peak: float, step: int, total: int, warmup: int, shape: str, final_fraction: float) -> float:
    """The learning rate of optimizer step `step` (from 0) of `total`.

    It rises linearly over `warmup` steps, then stays ("constant") or falls ("linear", "cosine") to `final_fraction` of
    `peak`.
    """
    rise = min(1.0, (step + 1) / max(warmup, 1))
    progress = min(step / max(total - 1, 1), 1.0)
    fall = {"constant": 0.0, "linear": progress, "cosine": 0.5 * (1 - math.cos(math.pi * progress))}[shape]
    return peak * rise * (1 - (1 - final_fraction) * fall)
