"""A match under way: an engine, how the match began, and every action since, so that it can be saved and copied."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError

from .engine.match import Actions, Control, Engine, KickOff, Snapshot, StepResult
from .engine.process import open_engine
from .scenarios.scenario import Scenario
from .state import State


class Session:
    """One match after another, on one engine that is opened when it is first needed.

    A copy (by `pickle` or `copy`) plays the actions of its match again on an engine of its own, when it is first used.

    Args:
        control: whom the agents play.
        worker, deadline: see `open_engine`.
    """

    def __init__(self, control: Control, worker: bool, deadline: float) -> None:
        self.control, self.worker, self.deadline = control, worker, deadline
        self.kick_off: KickOff | None = None
        self.actions: list[Actions] = []
        self._engine: Engine | None = None

    def begin(self, scenario: Scenario, rng: np.random.Generator) -> None:
        """Kick off.

        Args:
            scenario: the task; it must have the players that are controlled.
            rng: what the engine's seed, and in some scenarios the lineups, are drawn from.
        """
        seed = int(rng.integers(2**31))
        swapped = scenario.swap_lineups and bool(rng.integers(2))
        self.kick_off, self.actions = KickOff(scenario, seed, swapped), []
        self._open().reset(self.kick_off)

    def step(self, actions: Sequence[int]) -> StepResult:
        """Go on by one step; see `Engine.step`."""
        engine = self.engine
        self.actions.append(tuple(actions))
        return engine.step(actions)

    @property
    def state(self) -> State:
        """What can be seen now."""
        return self.engine.state

    def frame(self) -> np.ndarray:
        """The 3D picture of now; shape (height, width, 3), dtype uint8."""
        return self.engine.frame()

    def save(self) -> Snapshot:
        """The match as it is now."""
        engine, kick_off = self.engine, self.kick_off
        assert kick_off is not None
        return Snapshot(kick_off, tuple(self.actions), engine.name, engine.save())

    def restore(self, snapshot: Snapshot) -> None:
        """Back to a match that was saved, here or elsewhere.

        In the same match of the same engine this takes a moment; else its actions are played again, because the
        engine's memory is not exact in another match of 5 or 11 players.
        """
        same = self._engine is not None and self._engine.name == snapshot.engine and self.kick_off == snapshot.kick_off
        self.kick_off, self.actions = snapshot.kick_off, list(snapshot.actions)
        if same:
            self.engine.load(snapshot.data)
        else:
            self._replay()

    def close(self) -> None:
        """Give the engine back; the match can be gone on with, by being played again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @property
    def engine(self) -> Engine:
        """The engine of the match.

        Raises:
            UserError: no match was begun.
        """
        if self._engine is None:
            if self.kick_off is None:
                raise UserError("there is no match yet: call reset() first")
            self._replay()
        assert self._engine is not None
        return self._engine

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self.control, worker=self.worker, deadline=self.deadline)
        return self._engine

    def _replay(self) -> None:
        assert self.kick_off is not None
        engine = self._open()
        engine.reset(self.kick_off)
        for actions in self.actions:
            engine.step(actions)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the engine."""
        return {**vars(self), "_engine": None, "actions": list(self.actions)}

    def __deepcopy__(self, memo: dict[int, Any]) -> Session:
        """As pickling does."""
        twin = Session(self.control, self.worker, self.deadline)
        twin.kick_off, twin.actions = copy.copy(self.kick_off), list(self.actions)
        return twin
