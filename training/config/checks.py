"""What a configuration checks of itself; every message starts with the key that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from lmmr1.envs.errors import UserError


def require(holds: bool, message: str) -> None:
    """Raise `UserError` with `message` unless it holds."""
    if not holds:
        raise UserError(message)


def at_least(key: str, value: float, least: float) -> None:
    """Finite and not below `least`."""
    # Written so that nan fails too.
    require(value >= least and math.isfinite(value), f"{key} must be at least {least}, not {value}")


def positive(key: str, value: float) -> None:
    """Finite and above 0."""
    require(value > 0 and math.isfinite(value), f"{key} must be above 0, not {value}")


def fraction(key: str, value: float) -> None:
    """From 0 to 1."""
    require(0 <= value <= 1, f"{key} must be between 0 and 1, not {value}")


def one_of(key: str, value: str, allowed: Collection[str]) -> None:
    """One of the allowed words."""
    require(value in allowed, f"{key} must be one of {', '.join(allowed)}; not {value!r}")


def plain_name(key: str, name: str) -> None:
    """Fit to name a file."""
    # Files and folders are called after it.
    letters = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)
    require(letters is not None, f"{key}: a name is made of letters, digits, '_', '-' and '.'; {name!r} is not")


def decay_rates(key: str, betas: tuple[float, float]) -> None:
    """Two numbers from 0 to below 1."""
    require(
        len(betas) == 2 and all(0 <= beta < 1 for beta in betas),
        f"{key} must be two numbers from 0 to below 1, not {betas}",
    )
