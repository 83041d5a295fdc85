"""Matches: Google Research Football's full games, 1 against 1 to 11 against 11, as our own data."""

from __future__ import annotations

from .lineups import BEHIND_THE_BALL, KEEPER, KICKING_OFF, WAITING, lineup
from .scenario import Scenario

_KEEPER_OF_FIVE = lineup(("GK", -1, 0), controllable=False)
_BACKS_OF_FIVE = lineup(("LB", -0.1, -0.1), ("CB", -0.1, 0.1))


def _eleven(name: str, left: float, right: float) -> Scenario:
    return Scenario(
        name, KICKING_OFF, WAITING, left_team_difficulty=left, right_team_difficulty=right, swap_lineups=True
    )


MATCHES: tuple[Scenario, ...] = (
    _eleven("11_vs_11_easy_stochastic", 1.0, 0.05),
    _eleven("11_vs_11_stochastic", 1.0, 0.6),
    _eleven("11_vs_11_hard_stochastic", 1.0, 0.95),
    _eleven("11_vs_11_competition", 1.0, 1.0),
    Scenario(
        "11_vs_11_kaggle",
        KEEPER + BEHIND_THE_BALL + lineup(("CF", 0, 0.02), ("RM", 0, -0.02)),
        KEEPER + BEHIND_THE_BALL + lineup(("CF", -0.05, 0), ("RM", -0.01, 0.216102)),
        second_half=1500,
        left_team_difficulty=1.0,
        right_team_difficulty=1.0,
        swap_lineups=True,
    ),
    Scenario(
        "5_vs_5",
        _KEEPER_OF_FIVE + lineup(("RM", 0, 0.02), ("CF", 0, -0.02)) + _BACKS_OF_FIVE,
        _KEEPER_OF_FIVE + lineup(("RM", -0.04, 0.04), ("CF", -0.04, -0.04)) + _BACKS_OF_FIVE,
        left_team_difficulty=0.05,
        right_team_difficulty=0.05,
        swap_lineups=True,
    ),
    Scenario(
        "1_vs_1_easy",
        KEEPER,
        KEEPER,
        game_duration=500,
        left_team_difficulty=0.0,
        right_team_difficulty=0.0,
        swap_lineups=True,
    ),
)
