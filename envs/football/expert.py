"""A scripted player: dribble towards the goal around opponents, shoot in range, pass when the way is blocked.

It looks at the present state alone: what it does over several steps (turn, then kick) it tells from the lasting actions
that are on. It plays the left team; show it `State.flipped` for the right one. Distances are metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .actions import DIRECTIONS, VECTORS
from .metres import distance, distances, distances_to_way, to_metres
from .state import PITCH_HALF_LENGTH, PITCH_HALF_WIDTH, GameMode, State

GOAL = np.array((PITCH_HALF_LENGTH, 0.0))
SHOT_RANGE = 22.0
POINT_BLANK = 11.0
# An opponent so near to the way of a shot may block it; nearer to the way of a pass it may catch it.
SHOT_WIDTH, PASS_WIDTH = 1.1, 2.2
LOOK_AHEAD = 9.0
ELBOW_ROOM = 3.0  # an opponent this near decides what to do
SHORT_PASS, FAR_PASS = 24.0, 45.0
RUN = 0.7  # metres that a player makes in a step
FORESIGHT = 6  # steps that opponents are thought ahead
CAUTION = 0.35  # what room is worth beside the way to the goal
BACKWARDS = -6.0  # a pass may lose so many metres
SPRINT = DIRECTIONS.index("bottom_left") + 1  # the flag behind the eight directions


@dataclass(frozen=True)
class Advice:
    """What to do, and why.

    Attributes:
        action: the name of an action, without "action_".
        reason: one short sentence.
    """

    action: str
    reason: str


def advise(state: State, seat: int = 0) -> Advice:
    """What the scripted player does now.

    Args:
        state: with the player's own team as the left one.
        seat: which of its team's controlled players it is.

    Returns:
        An action of every set.
    """
    me = state.left_controlled[seat]
    if me < 0:
        return Advice("idle", "I control nobody now.")
    if not state.is_in_play:
        return _restart(state, me, seat)
    if state.ball_owned_team == 0 and state.ball_owned_player == me:
        return _attack(state, me, seat)
    if state.ball_owned_team == 0:
        return _support(state, me, seat)
    return _chase(state, me, seat)


def direction_to(start: np.ndarray, end: np.ndarray) -> str:
    """The nearest of the eight directions from one place to another, each of shape (2,)."""
    x, y = to_metres(end - start).tolist()
    # The circle of the directions begins at the left and goes round clockwise, with y down.
    return DIRECTIONS[round((math.atan2(y, x) - math.pi) / (math.pi / 4)) % 8]


def _restart(state: State, me: int, seat: int) -> Advice:
    mode = GameMode(state.game_mode)
    name = mode.name.lower().replace("_", " ")
    place = state.left.positions[me]
    near = distance(place, state.ball[:2]) < 3.0
    if mode == GameMode.PENALTY:
        return Advice("shot", "A penalty: I shoot.")
    if not near:
        return Advice("idle", f"A {name}: I wait for it.")
    if mode == GameMode.FREE_KICK and distance(place, GOAL) < SHOT_RANGE:
        return Advice("shot", "A free kick in range: I shoot.")
    if mode == GameMode.CORNER:
        return _turn_then(state, seat, direction_to(place, np.array((0.88, 0.0))), "high_pass", "A corner: I cross it.")
    mate = _best_mate(state, me)
    if mate is None:
        return Advice("short_pass", f"A {name}: I pass it.")
    way = direction_to(place, state.left.positions[mate])
    return _turn_then(state, seat, way, "short_pass", f"A {name}: I pass it to {_shirt(mate)}.")


def _attack(state: State, me: int, seat: int) -> Advice:
    place = state.left.positions[me]
    rivals = _rivals(state)
    to_goal = distance(place, GOAL)
    if to_goal < SHOT_RANGE and _can_shoot(rivals, place, to_goal):
        return Advice("shot", f"The goal is {to_goal:.0f} m away and I can see it: I shoot.")
    near = float(distances(rivals, place).min(initial=math.inf))
    ahead = rivals + FORESIGHT * state.right.directions[state.right.active]
    way, room = _best_way(ahead, place)
    if room < ELBOW_ROOM and near < 1.6 * ELBOW_ROOM:
        mate = _best_mate(state, me)
        if mate is not None:
            end = state.left.positions[mate]
            far = distance(place, end)
            kick = "short_pass" if far < SHORT_PASS else "high_pass"
            return _turn_then(
                state, seat, direction_to(place, end), kick, f"I am closed down: I pass to {_shirt(mate)}."
            )
        if to_goal < 1.4 * SHOT_RANGE:
            return Advice("shot", "I am closed down and nobody is free: I shoot from here.")
    reason = f"The goal is {to_goal:.0f} m away: I carry the ball {way.replace('_', ' ')}."
    return _run(state, seat, way, near > ELBOW_ROOM and to_goal > POINT_BLANK, reason)


def _support(state: State, me: int, seat: int) -> Advice:
    """A team mate has the ball: be ahead of it, on my own side of the pitch, and not offside."""
    place, ball = state.left.positions[me], state.ball[:2]
    if me == 0:
        return Advice("idle", "My team has the ball: I keep the goal.")
    lines = np.sort(state.right.positions[:, 0])
    offside = max(float(lines[-2]) if len(lines) > 1 else 1.0, float(ball[0]))
    x = min(float(ball[0]) + 0.22, offside - 0.03, 0.85)
    y = float(
        np.clip(place[1] if abs(place[1] - ball[1]) > 0.12 else ball[1] + math.copysign(0.16, -ball[1]), -0.3, 0.3)
    )
    target = np.array((x, y))
    if distance(place, target) < 4.0:
        return Advice("release_direction", "My team has the ball and I stand well.")
    return _run(state, seat, direction_to(place, target), True, "My team has the ball: I run into the open.")


def _chase(state: State, me: int, seat: int) -> Advice:
    place = state.left.positions[me]
    target = _meeting_place(state, place)
    seats = [player for player in state.left_controlled if player >= 0]
    mine = distances(state.left.positions[seats], target)
    who = "Nobody has" if state.ball_owned_team < 0 else "The opponent has"
    if seats[int(mine.argmin())] == me:
        return _run(state, seat, direction_to(place, target), True, f"{who} the ball: I run after it.")
    # Somebody else of us is nearer: stay between the ball and the own goal.
    home = 0.55 * target + 0.45 * np.array((-PITCH_HALF_LENGTH, 0.0))
    home = home + 0.35 * (place - home)
    if distance(place, home) < 4.0:
        return Advice("release_direction", f"{who} the ball: I hold my place.")
    return _run(state, seat, direction_to(place, home), False, f"{who} the ball: I cover the goal.")


def _meeting_place(state: State, place: np.ndarray) -> np.ndarray:
    """Where a player can be as soon as the ball, should it go on as it does."""
    steps = np.arange(0, 31, 2)
    way = state.ball[:2] + steps[:, None] * state.ball_direction[:2] * 0.9
    way = np.clip(way, (-PITCH_HALF_LENGTH, -PITCH_HALF_WIDTH), (PITCH_HALF_LENGTH, PITCH_HALF_WIDTH))
    in_time = np.flatnonzero(distances(way, place) <= RUN * steps + 0.5)
    return way[in_time[0] if len(in_time) else -1]


def _run(state: State, seat: int, way: str, sprints: bool, reason: str) -> Advice:
    """Set the direction first, the pace once it is set."""
    flags = state.left_sticky[seat]
    if not flags[DIRECTIONS.index(way)]:
        return Advice(way, reason)
    if bool(flags[SPRINT]) != sprints:
        return Advice("sprint" if sprints else "release_sprint", reason)
    return Advice(way, reason)


def _turn_then(state: State, seat: int, way: str, kick: str, reason: str) -> Advice:
    """A pass goes where its player looks: turn, then kick."""
    return Advice(kick if state.left_sticky[seat][DIRECTIONS.index(way)] else way, reason)


def _rivals(state: State) -> np.ndarray:
    return state.right.positions[state.right.active]


def _can_shoot(rivals: np.ndarray, place: np.ndarray, to_goal: float) -> bool:
    if to_goal < POINT_BLANK:
        return True
    # The keeper stands in the way of every shot: only who is well in front of the goal line counts.
    fielders = rivals[distances(rivals, GOAL) > 6.0]
    return bool((distances_to_way(fielders, place, GOAL) > SHOT_WIDTH).all())


def _best_way(rivals: np.ndarray, place: np.ndarray) -> tuple[str, float]:
    """The direction to carry the ball in, and how near opponents are to it in metres."""
    # From the wing towards the near corner of the penalty area first, from there to the goal.
    goal = np.array((0.97, 0.0)) if place[0] > 0.6 or abs(place[1]) < 0.2 else np.array((0.85, 0.5 * place[1]))
    wanted = to_metres(goal - place)
    wanted = wanted / max(float(np.hypot(*wanted)), 1e-9)
    best, best_score, best_room = "right", -math.inf, 0.0
    for name, vector in VECTORS.items():
        unit = np.array(vector) / math.hypot(*vector)
        end = place + LOOK_AHEAD * unit / (54.4, 83.6)
        if abs(end[0]) > PITCH_HALF_LENGTH - 0.01 or abs(end[1]) > PITCH_HALF_WIDTH - 0.01:
            continue
        room = float(distances_to_way(rivals, place, end).min(initial=LOOK_AHEAD))
        score = float(unit @ wanted) + CAUTION * min(room, 1.5 * ELBOW_ROOM) / ELBOW_ROOM
        if score > best_score:
            best, best_score, best_room = name, score, room
    return best, best_room


def _best_mate(state: State, me: int) -> int | None:
    """The team mate whom a pass reaches and helps most, or None."""
    place, rivals = state.left.positions[me], _rivals(state)
    best, best_score = None, 0.0
    for mate, end in enumerate(state.left.positions):
        if mate in (me, 0) or not state.left.active[mate]:
            continue
        far = distance(place, end)
        if not 5.0 < far < FAR_PASS:
            continue
        free = float(distances(rivals, end).min(initial=20.0))
        lane = float(distances_to_way(rivals, place, end).min(initial=20.0))
        if lane < PASS_WIDTH or free < ELBOW_ROOM:
            continue
        gain = distance(place, GOAL) - distance(end, GOAL)
        if gain < BACKWARDS:
            continue
        score = 1.0 + min(free, 10.0) / 10.0 + gain / 25.0 - far / 60.0
        if score > best_score:
            best, best_score = mate, score
    return best


def _shirt(player: int) -> str:
    return f"#{player + 1}"
