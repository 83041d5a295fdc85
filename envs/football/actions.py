"""The engine's actions: their names, their sets, and which of them last.

The numbers are those of Google Research Football's own sets, so that policies and recordings can be exchanged.
"""

from __future__ import annotations

from lmmr1.envs.errors import UserError

# Eight directions, clockwise from the left as they are seen on the pitch: "top" is up in the picture, towards -y.
DIRECTIONS = ("left", "top_left", "top", "top_right", "right", "bottom_right", "bottom", "bottom_left")
PASSES = ("long_pass", "high_pass", "short_pass")

DEFAULT = (
    "idle",
    *DIRECTIONS,
    *PASSES,
    "shot",
    "sprint",
    "release_direction",
    "release_sprint",
    "sliding",
    "dribble",
    "release_dribble",
)
# "builtin_ai" hands the player to the engine's own AI until its next other action.
V2 = (*DEFAULT, "builtin_ai")
FULL = (
    *V2,
    "keeper_rush",
    "pressure",
    "team_pressure",
    "switch",
    "release_long_pass",
    "release_high_pass",
    "release_short_pass",
    "release_shot",
    "release_keeper_rush",
    "release_sliding",
    "release_pressure",
    "release_team_pressure",
    "release_switch",
)
# Name of a set -> names of its actions; the place in the tuple is the number of the action.
ACTION_SETS: dict[str, tuple[str, ...]] = {"default": DEFAULT, "v2": V2, "full": FULL}

# An action of these goes on until it is released or, for a direction, until another direction takes its place.
STICKY = (*DIRECTIONS, "sprint", "dribble", "keeper_rush", "pressure", "team_pressure")

# What a direction is on the pitch: (x, y), x to the right goal, y down the picture; not of unit length.
VECTORS: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "top_left": (-1, -1),
    "top": (0, -1),
    "top_right": (1, -1),
    "right": (1, 0),
    "bottom_right": (1, 1),
    "bottom": (0, 1),
    "bottom_left": (-1, 1),
}


def action_names(action_set: str) -> tuple[str, ...]:
    """The names of the actions of a set.

    Raises:
        UserError: there is no such set.
    """
    if action_set not in ACTION_SETS:
        raise UserError(f"action_set is {action_set!r}; choose from {', '.join(ACTION_SETS)}")
    return ACTION_SETS[action_set]


def sticky_names(action_set: str) -> tuple[str, ...]:
    """The lasting actions of a set, in the order of the flags in `State.left_sticky`: 10 of them, 13 in "full"."""
    return tuple(name for name in action_names(action_set) if name in STICKY)


def flip_action(name: str) -> str:
    """The action that looks the same from the other side: the opposite direction, or the same action."""
    return DIRECTIONS[(DIRECTIONS.index(name) + 4) % 8] if name in VECTORS else name
