"""Lineups that several scenarios share: who stands where at a kick-off."""

from __future__ import annotations

from .scenario import PlayerStart, Role


def lineup(*players: tuple[Role, float, float], controllable: bool = True) -> tuple[PlayerStart, ...]:
    """Players of one team, each as (role, x, y), in the own attacking frame."""
    return tuple(PlayerStart(float(x), float(y), role, controllable=controllable) for role, x, y in players)


# Eight of eleven stand the same whoever kicks off.
BEHIND_THE_BALL = lineup(
    ("LB", -0.422, -0.19576),
    ("CB", -0.5, -0.06356),
    ("CB", -0.5, 0.063559),
    ("RB", -0.422, 0.19576),
    ("CM", -0.184212, -0.10568),
    ("CM", -0.267574, 0),
    ("CM", -0.184212, 0.10568),
    ("LM", -0.01, -0.2161),
)
KEEPER = lineup(("GK", -1, 0))
KICKING_OFF = KEEPER + lineup(("RM", 0, 0.02), ("CF", 0, -0.02)) + BEHIND_THE_BALL
WAITING = KEEPER + lineup(("RM", -0.05, 0), ("CF", -0.01, 0.216102)) + BEHIND_THE_BALL
