"""What the environments, single and in numbers, look their steps up in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError

from .rules import BLOCKED, SOLVED, STOOD, WALKED, transitions
from .speech.chat import ACTION_SETS

Play = tuple[int, tuple[tuple[int, int, int] | None, ...], int]
INFO_KEYS = ("success", "moved", "pushed", "blocked", "dead")


def plays_of(action_set: str, columns: int) -> dict[int, Play]:
    """Returns for each action: the cells it goes on, its `transitions`, and the kind of step where nothing moves."""
    steps = (-columns, columns, -1, 1)
    nothing: tuple[None, ...] = (None,) * 64
    return {
        action: (0, nothing, STOOD) if direction is None else (steps[direction], transitions(push), BLOCKED)
        for action, (direction, push) in enumerate(ACTION_SETS[action_set].values())
    }


def infos_by_kind() -> tuple[dict[str, Any], ...]:
    """Returns the info of each kind of step, `STOOD` to `SOLVED`, as far as the solver is not needed for it."""
    return tuple(
        {
            "success": kind == SOLVED,
            "moved": kind >= WALKED,
            "pushed": kind > WALKED,
            "blocked": kind == BLOCKED,
            "dead": False,
        }
        for kind in range(SOLVED + 1)
    )


def check_size(dim_room: Sequence[int] | None) -> tuple[int, int] | None:
    """Returns rows and columns as a pair of integers.

    Raises:
        UserError: They are no pair of integers.
    """
    if dim_room is None:
        return None
    is_pair = isinstance(dim_room, (Sequence, np.ndarray)) and len(dim_room) == 2
    if not is_pair or not all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in dim_room):
        raise UserError(f"dim_room is {dim_room!r}; give rows and columns, each at least 3, walls included")
    return int(dim_room[0]), int(dim_room[1])
