"""The 108 scenarios of our own in the manner of MageBench: nine regions of the pitch, three kinds of task, four each.

``R6_T_2`` is the second shooting task of region 6. The regions are thirds of the length by thirds of the width, row by
row: 1 to 3 along the upper touch line from the own goal to the opponent's, 4 to 6 in the middle, 7 to 9 below. The
kinds say what the place asks for:

* P, pass: two opponents close the way to the goal, and three team mates are free;
* R, run: a corridor of open ground lies ahead;
* T, shoot: the line to the goal is free but for the keeper, and opponents come from the sides. In the two thirds that
  are too far for a shot the ball has to be carried along that line first.

The places are drawn once and for all from `SEED`, so every installation has the same 108 (MageBench: arXiv 2412.04531,
whose own scenarios these are not).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from ..metres import METRES_PER_X, METRES_PER_Y, distance, distances, distances_to_way
from ..scenarios.scenario import PlayerStart, Role, Scenario

SEED = 2412_04531
REGIONS, KINDS, NUMBERS = range(1, 10), ("P", "R", "T"), range(1, 5)
STEPS = 400
GOAL = np.array((1.0, 0.0))
COLUMNS = ((-0.85, -0.45), (-0.22, 0.22), (0.45, 0.82))
SHOT_COLUMN = (0.66, 0.86)  # in the last third a shot has to be in reach
ROWS = ((-0.36, -0.17), (-0.09, 0.09), (0.17, 0.36))
EDGE = np.array((0.95, 0.395))
APART = 3.2  # metres between any two players at least

# Slots: role, how far ahead of the ball the player stands, and y. The attackers' lines move with the ball ...
ATTACK: tuple[tuple[Role, float, float], ...] = (
    ("LB", -0.30, -0.26),
    ("CB", -0.42, -0.09),
    ("CB", -0.42, 0.09),
    ("RB", -0.30, 0.26),
    ("DM", -0.14, 0.0),
    ("LM", 0.06, -0.3),
    ("RM", 0.06, 0.3),
    ("AM", 0.16, 0.05),
    ("CF", 0.32, -0.12),
    ("CF", 0.32, 0.14),
)
# ... and so do the defenders', who stand between it and their goal. Their roles are told from their own side.
DEFENCE: tuple[tuple[Role, float, float], ...] = (
    ("RB", 0.38, -0.24),
    ("CB", 0.44, -0.08),
    ("CB", 0.44, 0.08),
    ("LB", 0.38, 0.24),
    ("DM", 0.22, 0.0),
    ("RM", 0.12, -0.26),
    ("LM", 0.12, 0.26),
    ("AM", 0.04, 0.1),
    ("CF", -0.16, -0.12),
    ("CF", -0.16, 0.16),
)
Fits = Callable[[np.ndarray], bool]


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All 108, in the order R1_P_1, R1_P_2, ..., R9_T_4."""
    return tuple(_make(region, kind, number) for region in REGIONS for kind in KINDS for number in NUMBERS)


def mini_scenarios() -> tuple[Scenario, ...]:
    """Twenty of them, for a quick look: two of each region, three of the first and the last; each kind 6 or 7 times."""
    names = [f"R{region}_{KINDS[(region + turn) % 3]}_{1 + turn}" for region in REGIONS for turn in (0, 1)]
    wanted = {*names, "R1_P_3", "R9_T_3"}
    return tuple(scenario for scenario in scenarios() if scenario.name in wanted)


def _make(region: int, kind: str, number: int) -> Scenario:
    rng = np.random.default_rng(np.random.SeedSequence([SEED, region, KINDS.index(kind), number]))
    # A drawing in which somebody finds no place is thrown away whole.
    drawn = None
    while drawn is None:
        drawn = _draw(rng, region, kind)
    ball, left, right = drawn
    keeper = PlayerStart(-0.98, 0.0, "GK")
    return Scenario(
        f"R{region}_{kind}_{number}",
        (keeper, *(_start(place, role) for place, (role, _, _) in zip(left, ATTACK, strict=True))),
        (keeper, *(_start(-place, role) for place, (role, _, _) in zip(right, DEFENCE, strict=True))),
        (float(ball[0]), float(ball[1])),
        game_duration=STEPS,
        right_team_difficulty=0.0,
        left_team_difficulty=1.0,
        offsides=False,
        end_episode_on_score=True,
        end_episode_on_out_of_play=True,
        end_episode_on_possession_change=True,
    )


def _start(place: np.ndarray, role: Role) -> PlayerStart:
    return PlayerStart(float(place[0]), float(place[1]), role)


def _draw(rng: np.random.Generator, region: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The ball, the ten fielders of the left team and those of the right one, as seen on the pitch."""
    row, column = divmod(region - 1, 3)
    span = SHOT_COLUMN if kind == "T" and column == 2 else COLUMNS[column]
    ball = np.round((rng.uniform(*span), rng.uniform(*ROWS[row])), 4)
    slots = np.array([(min(ball[0] + ahead, 0.88), y) for _, ahead, y in ATTACK]).clip(-EDGE, EDGE)
    order = np.argsort(distances(slots, ball), kind="stable").tolist()
    carrier = order[0]
    # Half a metre behind the ball, so that it is his with the first touch.
    taken: dict[int, np.ndarray] = {carrier: np.round(ball - (0.009, 0.0), 4)}
    receivers: list[int] = []
    pressers: list[np.ndarray] = []
    if kind == "P":
        mates = [mate for mate in order[1:] if ATTACK[mate][1] > -0.2][:3]
        receivers = mates
        for mate, angle in zip(mates, rng.permutation((-58.0, 0.0, 58.0)), strict=True):
            place = _somewhere(rng, _ahead_of(ball, (12, 26), angle, 22), _apart_from([*taken.values()]))
            if place is None:
                return None
            taken[mate] = place
        pressers = _two(
            rng, ball, (5.5, 8.0), (-24.0, 24.0), _off_lanes(ball, [taken[mate] for mate in mates], 2.4), taken
        )
    if kind == "T":
        pressers = _two(rng, ball, (7.0, 10.0), (-100.0, 100.0), _off_lanes(ball, [GOAL], 4.0), taken)
    if kind != "R" and len(pressers) < 2:
        return None
    clear = _clear_of_others(kind, rng, ball, [taken[mate] for mate in receivers])
    for mate, slot in enumerate(slots):
        if mate not in taken:
            place = _somewhere(rng, _around(slot), _both(clear, _apart_from([*taken.values(), *pressers])))
            if place is None:
                return None
            taken[mate] = place
    left = np.array([taken[mate] for mate in range(len(ATTACK))])
    right = _draw_defence(rng, ball, left, pressers, clear)
    return None if right is None else (ball, left, right)


def _draw_defence(
    rng: np.random.Generator, ball: np.ndarray, left: np.ndarray, pressers: list[np.ndarray], clear: Fits
) -> np.ndarray | None:
    slots = np.array([(min(ball[0] + ahead, 0.9 - 0.02 * abs(y)), y) for _, ahead, y in DEFENCE]).clip(-EDGE, EDGE)
    taken: dict[int, np.ndarray] = {}
    for place in pressers:
        near = np.argsort(distances(slots, place), kind="stable").tolist()
        taken[next(rival for rival in near if rival not in taken)] = place

    def is_off_the_ball(place: np.ndarray) -> bool:
        return distance(place, ball) > 9.0

    for rival, slot in enumerate(slots):
        if rival not in taken:
            fits = _both(_both(clear, is_off_the_ball), _apart_from([*left, *taken.values()]))
            place = _somewhere(rng, _around(slot), fits)
            if place is None:
                return None
            taken[rival] = place
    return np.array([taken[rival] for rival in range(len(DEFENCE))])


def _clear_of_others(kind: str, rng: np.random.Generator, ball: np.ndarray, receivers: list[np.ndarray]) -> Fits:
    """Where those may stand whom nothing else has placed."""
    if kind == "P":
        crowd = np.array(receivers)
        return _both(_off_lanes(ball, receivers, 3.5), lambda place: bool((distances(crowd, place) > 7.0).all()))
    if kind == "R":
        length = min(30.0, 0.8 * distance(ball, GOAL))
        end = _ahead_of(ball, (length, length), float(rng.uniform(-12, 12)), 0)(rng)
        return _off_lanes(ball, [end], 8.0)
    return _off_lanes(ball, [GOAL], 4.0)


def _off_lanes(ball: np.ndarray, ends: list[np.ndarray], metres: float) -> Fits:
    """Whether a place is farther than that from all straight ways of the ball to the ends."""
    return lambda place: all(distances_to_way(place[None], ball, end)[0] > metres for end in ends)


def _two(
    rng: np.random.Generator,
    ball: np.ndarray,
    far: tuple[float, float],
    angles: tuple[float, float],
    fits: Fits,
    taken: dict[int, np.ndarray],
) -> list[np.ndarray]:
    """Two places at two angles from the way to the goal; fewer where there is no room."""
    found: list[np.ndarray] = []
    for angle in angles:
        place = _somewhere(rng, _ahead_of(ball, far, angle, 12), _both(fits, _apart_from([*taken.values(), *found])))
        if place is not None:
            found.append(place)
    return found


def _ahead_of(
    ball: np.ndarray, far: tuple[float, float], angle: float, spread: float
) -> Callable[[np.random.Generator], np.ndarray]:
    """Draws places so many metres from the ball, at an angle in degrees from the way to the goal."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        to_goal = math.atan2(-ball[1] * METRES_PER_Y, (1 - ball[0]) * METRES_PER_X)
        turned = to_goal + math.radians(angle + rng.uniform(-spread, spread))
        reach = rng.uniform(*far)
        return ball + reach * np.array((math.cos(turned) / METRES_PER_X, math.sin(turned) / METRES_PER_Y))

    return draw


def _around(slot: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """Draws places near a slot, and farther away the longer it takes."""
    tries = 0

    def draw(rng: np.random.Generator) -> np.ndarray:
        nonlocal tries
        tries += 1
        return slot + rng.normal(0.0, (0.04, 0.025)) * (1 + tries / 15)

    return draw


def _somewhere(
    rng: np.random.Generator, draw: Callable[[np.random.Generator], np.ndarray], fits: Fits
) -> np.ndarray | None:
    for _ in range(120):
        place = np.round(draw(rng), 4)
        if (np.abs(place) <= EDGE).all() and fits(place):
            return place
    return None


def _apart_from(others: list[np.ndarray]) -> Fits:
    crowd = np.array(others)
    return lambda place: bool((distances(crowd, place) > APART).all())


def _both(one: Fits, other: Fits) -> Fits:
    return lambda place: one(place) and other(place)
