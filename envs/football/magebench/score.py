"""The score of MageBench's football, from what can be seen after each step and the action that was taken in it.

MageBench (arXiv 2412.04531) adds up twenty times this over the steps of an episode; its first step is worth nothing:

* progress: while the own team owns the ball, 0.8 for each unit of x that the ball is farther than ever before;
* passed: while the own team owns the ball, 1/11 for each opponent whom the ball has newly got past, and as much less
  for each who got back behind it;
* goal: 2;
* kept: when the opponent gets the ball and it is not by a shot, 1 - steps_left / 400, and the episode is over;
* pass: when the ball has another owner after an action that passes, 20 * c * 0.75 ** (passes paid before), where c is
  the least of distance / (10 * max(cos a, 0) + 1) over the opponents: their distance from the ball, and the angle a
  between them and the middle of the goal as seen from there;
* shot: when the own team owns the ball and the action is a shot, at most 2/3 of 100 * c * d, where c is how near
  opponents come to the way of the ball to that one of five points of the goal whose way is the clearest, and d is 1
  within 0.3 of the goal line, else 1 less the distance from it, at least 0. It is paid once until nobody owns the ball.

Distances are in the numbers of the pitch, not in metres. Nothing is cut off at 100.
"""

from __future__ import annotations

import numpy as np

from ..actions import PASSES
from ..state import State

SCALE = 20.0
EPISODE = 400
PROGRESS, GOAL, PASS, SHOT = 0.8, 2.0, 20.0, 100.0
MOST_OF_A_SHOT = GOAL / 3
FADING = 0.75
NEAR_GOAL = 0.3
TARGETS = np.array([(1.0, y) for y in (-0.044, -0.02, 0.0, 0.022, 0.044)])
SAMPLES = np.arange(1, 101) / 100
PARTS = ("progress", "passed", "goal", "kept", "pass", "shot")


class MageBenchScore:
    """The score of an episode so far; a reward of a step is what it adds.

    Attributes:
        total: points so far.
        parts: the same by where they come from, the keys of `PARTS`.
        ended: whether MageBench would have ended the episode, the ball being lost.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.total = 0.0
        self.parts: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self.ended = False
        self._best_x: float | None = None
        self._passed = 0
        self._goals = 0
        self._owner = -1
        self._is_passing = False
        self._has_shot = False
        self._pass_share = 1.0

    def reset(self, state: State) -> None:
        """An episode begins."""
        self._forget()

    def update(self, state: State, goals: int, action: str) -> float:
        """The points of one step.

        Args:
            state: after the step, with the own team as the left one.
            goals: goals of this step; the state's own score is what counts.
            action: the name of the action that was taken in it, such as "short_pass".
        """
        if self._best_x is None:
            self._best_x, self._passed, self._goals = float(state.ball[0]), count_passed(state), state.score[0]
            return 0.0
        if self.ended:  # MageBench looks no further, though the engine may go on for a while
            return 0.0
        earned = {name: SCALE * value for name, value in self._earn(state, action, self._best_x).items()}
        for name, points in earned.items():
            self.parts[name] += points
        points = sum(earned.values())
        self.total += points
        return points

    def _earn(self, state: State, action: str, best_x: float) -> dict[str, float]:
        earned: dict[str, float] = {}
        is_ours = state.ball_owned_team == 0 and state.ball_owned_player >= 0
        if is_ours:
            x, passed = float(state.ball[0]), count_passed(state)
            earned["progress"] = PROGRESS * max(0.0, x - best_x)
            earned["passed"] = (passed - self._passed) / 11
            self._best_x, self._passed = max(best_x, x), passed
        if state.score[0] > self._goals:
            earned["goal"] = GOAL
        self._goals = state.score[0]
        is_lost = state.ball_owned_team == 1 and not self._has_shot
        if is_lost:
            earned["kept"] = 1.0 - state.steps_left / EPISODE
            self.ended = True
        if state.ball_owned_player >= 0:
            if self._is_passing and not is_lost and self._owner not in (-1, state.ball_owned_player):
                earned["pass"] = PASS * pass_clearance(state) * self._pass_share
                self._pass_share *= FADING
                self._is_passing = False
            self._owner = state.ball_owned_player
        if action in PASSES:
            self._is_passing = True
        if action == "shot" and is_ours and not self._has_shot:
            earned["shot"] = min(SHOT * shot_clearance(state) * shot_distance(state), MOST_OF_A_SHOT)
            self._has_shot = True
        if state.ball_owned_player < 0 <= self._owner:
            self._has_shot = False
        return earned


def count_passed(state: State) -> int:
    """How many opponents the ball has got past: those of a smaller x."""
    return int((state.right.positions[:, 0] < state.ball[0]).sum())


def pass_clearance(state: State) -> float:
    """How free the ball is: the least distance to an opponent; towards the goal they count as up to 11 times nearer."""
    to_goal = np.array((1.0, 0.0)) - state.ball[:2]
    offsets = state.right.positions - state.ball[:2]
    far = np.hypot(*offsets.T)
    # Somebody on the very spot is at distance 0, whatever the angle.
    cosines = offsets @ to_goal / np.maximum(far * np.hypot(*to_goal), 1e-12)
    return float((far / (10 * np.maximum(cosines, 0.0) + 1)).min())


def shot_clearance(state: State) -> float:
    """How far opponents stay from the clearest way of the ball into the goal."""
    ball = state.ball[:2]
    ways = ball + SAMPLES[:, None, None] * (TARGETS - ball)  # (samples, targets, 2)
    offsets = ways[:, :, None] - state.right.positions  # (samples, targets, opponents, 2)
    return float(np.hypot(offsets[..., 0], offsets[..., 1]).min(axis=(0, 2)).max())


def shot_distance(state: State) -> float:
    """1 near the goal line, less farther from it, 0 in the own half."""
    distance = 1.0 - float(state.ball[0])
    return 1.0 if distance < NEAR_GOAL else max(1.0 - distance, 0.0)
