"""What the solver adds to an episode: the terms of the reward that look ahead, lost positions, best actions, regret."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .levels.level import Level
from .rules import LOST_MOVES, SOLVED, WALKED, RewardTerms
from .solving.room import DEAD, Solver, solver_for

_GAME = RewardTerms()
_PAYS = _GAME.by_kind()


class Shown(NamedTuple):
    """What infos are to hold: the best actions, the optimum and the regret, MageBench's score."""

    optimal_moves: bool
    regret: bool
    score: bool


class Foresight:
    """Follows one environment.

    Attributes:
        dead: Whether the present position provably has no solution.

    Args:
        terms: What a step pays.
        end_when_dead: Whether a position without a solution ends the episode.
        shown: What infos are to hold.
        prefix: What stands before the name of a move in that of an action.
    """

    def __init__(self, terms: RewardTerms, end_when_dead: bool, shown: Shown, prefix: str) -> None:
        self.asked = terms.needs_solver or end_when_dead or any(shown)
        self.dead = False
        self._terms, self._end_when_dead, self._prefix = terms, end_when_dead, prefix
        self._shown = shown
        self._room: Level | None = None
        self._solver: Solver | None = None
        self._to_go: int | None = None
        self._optimal, self._potential = -1, 0.0
        self._return = self._best_return = self._best_possible = 0.0

    def start(self, level: Level) -> None:
        """Begins an episode."""
        self._room, self._solver = level, None
        self.dead, self._to_go, self._optimal = False, None, -1
        if not self.asked:
            return
        self._to_go = self.solver.distance(level.player, level.boxes)
        self.dead = self._to_go == DEAD
        if self._to_go is not None and not self.dead:
            self._optimal = self._to_go
            covered = len(set(level.targets) - set(level.boxes))
            self._best_possible = _GAME.step * self._to_go + _GAME.box_on_target * covered + _GAME.solved
        self._return = self._best_return = 0.0
        self._potential = self._potential_of(level.player, level.boxes, False)

    @property
    def solver(self) -> Solver:
        """The solver of the present room."""
        # Kept for the episode: with many environments in one process the shared memory of solvers is too short.
        if self._solver is None:
            assert self._room is not None, "an episode was started"
            self._solver = solver_for(self._room)
        return self._solver

    def follow(self, kind: int, player: int, boxes: tuple[int, ...]) -> float:
        """Looks at the position after a step of some kind, and returns what that pays."""
        terms, paid = self._terms, 0.0
        self._return += _PAYS[kind]
        self._best_return = max(self._best_return, self._return)
        if kind >= WALKED:
            before, after = self._to_go, self.solver.distance(player, boxes)
            self._to_go = after
            if after == DEAD:
                paid, self.dead = 0.0 if self.dead else terms.dead, True
            elif before is not None and after is not None and before != DEAD:
                paid = terms.closer * (before - after)
        if terms.potential:
            before_it = self._potential
            self._potential = self._potential_of(player, boxes, kind == SOLVED or (self._end_when_dead and self.dead))
            paid += terms.potential * (terms.discount * self._potential - before_it)
        return paid

    def _potential_of(self, player: int, boxes: tuple[int, ...], over: bool) -> float:
        """Minus the moves to go; 0 once nothing more is paid, which is what leaves the best policies best."""
        if not self._terms.potential or over:
            return 0.0
        to_go = self.solver.estimate(player, boxes) if self._to_go is None else self._to_go
        return float(-LOST_MOVES if to_go >= DEAD else -to_go)

    def tell(self, info: dict[str, Any], player: int, boxes: tuple[int, ...], steps_taken: int) -> None:
        """Adds to an info what was asked for."""
        info["dead"] = self.dead
        if self._shown.optimal_moves:
            info["optimal_moves"] = self.best_actions(player, boxes)
        if self._shown.regret:
            known = info["success"] and self._optimal > 0
            info["optimal"] = self._optimal
            info["regret"] = steps_taken / self._optimal if known else 0.0

        if self._shown.score:
            # https://arxiv.org/abs/2412.04531; their bound is a stored solution's return, ours is the best there is.
            lacking = self._best_return - self._best_possible
            info["score"] = 100.0 + 5.0 * lacking if self._optimal > 0 else -math.inf

    def plan(self, player: int, boxes: tuple[int, ...]) -> list[str]:
        """Returns the names of the actions of a shortest solution; empty when there is none or none was found."""
        return [self._prefix + move for move in self.solver.plan(player, boxes)]

    def best_actions(self, player: int, boxes: tuple[int, ...]) -> tuple[str, ...]:
        """Returns the names of all actions that start a shortest solution."""
        return tuple(self._prefix + move for move in self.solver.optimal_moves(player, boxes))
