"""The 108 scenarios in the manner of MageBench: that they are what their names say."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from lmmr1.envs.football.magebench import mini_scenarios, scenarios
from lmmr1.envs.football.metres import distance, distances, distances_to_way
from lmmr1.envs.football.scenarios.scenario import NO_SECOND_HALF, Scenario

SCENARIOS = scenarios()
GOAL = np.array((1.0, 0.0))
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])


def places(scenario: Scenario) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ball, left and right fielders as they stand on the pitch."""
    left = np.array([(player.x, player.y) for player in scenario.left_team[1:]])
    right = -np.array([(player.x, player.y) for player in scenario.right_team[1:]])
    return np.array(scenario.ball_position), left, right


def test_nine_regions_three_kinds_four_each() -> None:
    names = [f"R{region}_{kind}_{number}" for region in range(1, 10) for kind in "PRT" for number in range(1, 5)]
    assert [scenario.name for scenario in SCENARIOS] == names and len(set(SCENARIOS)) == 108


def test_the_places_are_the_same_everywhere() -> None:
    # A change of these numbers, whether by us or by a new NumPy, makes scores incomparable: it needs another version.
    written = "\n".join(
        f"{scenario.name} {scenario.ball_position} {[(p.x, p.y, p.role) for p in scenario.left_team]} "
        f"{[(p.x, p.y, p.role) for p in scenario.right_team]}"
        for scenario in SCENARIOS
    )
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == "cd701cfaa7a605a3"


def test_the_mini_subset_has_every_region_and_kind() -> None:
    mini = mini_scenarios()
    assert len(mini) == len({scenario.name for scenario in mini}) == 20 and set(mini) <= set(SCENARIOS)
    assert set(Counter(scenario.name[:2] for scenario in mini).values()) == {2, 3}
    assert sorted(Counter(scenario.name[3] for scenario in mini).values()) == [6, 7, 7]


@every_scenario
def test_the_rules_are_those_of_magebench(scenario: Scenario) -> None:
    assert (scenario.game_duration, scenario.second_half, scenario.offsides) == (400, NO_SECOND_HALF, False)
    assert scenario.end_episode_on_score and scenario.end_episode_on_out_of_play
    assert scenario.end_episode_on_possession_change and not scenario.deterministic
    assert (scenario.left_team_difficulty, scenario.right_team_difficulty) == (1.0, 0.0)
    assert len(scenario.left_team) == len(scenario.right_team) == 11
    roles = Counter(player.role for player in scenario.left_team)
    assert roles == Counter(player.role for player in scenario.right_team) and roles["GK"] == 1


@every_scenario
def test_the_ball_is_in_its_region_and_at_a_left_players_feet(scenario: Scenario) -> None:
    ball, left, right = places(scenario)
    row, column = divmod(int(scenario.name[1]) - 1, 3)
    assert (-1 + 2 * column / 3) < ball[0] < (-1 + 2 * (column + 1) / 3)
    assert (-0.42 + 0.28 * row) < ball[1] < (-0.42 + 0.28 * (row + 1))
    assert distances(left, ball).min() < 1.0 and distances(right, ball).min() > 4.0


@every_scenario
def test_nobody_stands_on_anybody(scenario: Scenario) -> None:
    _, left, right = places(scenario)
    everybody = np.concatenate((left, right))
    for index, place in enumerate(everybody):
        assert np.delete(distances(everybody, place), index).min() > 3.0


@every_scenario
def test_the_place_asks_for_what_the_name_says(scenario: Scenario) -> None:
    ball, left, right = places(scenario)
    kind = scenario.name[3]
    if kind == "P":
        to_goal = distance(ball, GOAL)
        ahead = ball + (GOAL - ball) * min(1.0, 12.0 / to_goal)
        assert distances_to_way(right, ball, ahead).min() < 4.5, "nobody closes the way to the goal"
        free = [
            mate
            for mate in left
            if 8 < distance(mate, ball) < 30
            and distances(right, mate).min() > 3
            and distances_to_way(right, ball, mate).min() > 2
        ]
        assert len(free) >= 3
    elif kind == "R":
        reach = 0.8 * min(30.0, 0.8 * distance(ball, GOAL))
        ways = [ball + reach * np.array((np.cos(a) / 54.4, np.sin(a) / 83.6)) for a in np.linspace(-np.pi, np.pi, 73)]
        room = [distances_to_way(right, ball, way).min() for way in ways if (np.abs(way) < (1, 0.42)).all()]
        assert max(room) > 7.0
    else:
        assert distances_to_way(right, ball, GOAL).min() > 3.9
        assert (distances(right, ball) < 12).sum() >= 2
        assert scenario.name[1] not in "369" or distance(ball, GOAL) < 36
