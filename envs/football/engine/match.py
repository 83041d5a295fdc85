"""What every engine can do, wherever it runs, and what a match is begun with and saved as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmmr1.envs.errors import UserError

from ..scenarios.scenario import Scenario
from ..state import State

Actions = tuple[int, ...]


class EngineFailure(RuntimeError):  # noqa: N818 - the field's word for it
    """The engine's process died, hung or could not be started; the message says how. `reset` starts a new one."""


@dataclass(frozen=True)
class Control:
    """Whom the agents play, and with what.

    Attributes:
        left, right: how many players of each team are controlled from outside.
        action_set: a key of `ACTION_SETS`.
        frame_size: (width, height) of the 3D pictures in pixels; None where there will be none.
    """

    left: int = 1
    right: int = 0
    action_set: str = "default"
    frame_size: tuple[int, int] | None = None

    def check(self, scenario: Scenario) -> None:
        """See that a scenario has that many players to control.

        Raises:
            UserError: it has not, or nobody is controlled.
        """
        for side, wanted, there in (
            ("left", self.left, scenario.controllable_left),
            ("right", self.right, scenario.controllable_right),
        ):
            if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 <= wanted <= there:
                raise UserError(
                    f"{side}_players is {wanted!r}, but {scenario.name} has {there} {side} players to control: "
                    f"give a whole number from 0 to {there}"
                )
        if self.left + self.right == 0:
            raise UserError("nobody is controlled: give left_players or right_players")


@dataclass(frozen=True)
class KickOff:
    """Everything that decides how a match begins.

    Attributes:
        scenario: the task.
        seed: of the engine, 0 to 2**31 - 1.
        swapped: whether the teams have each other's lineup.
    """

    scenario: Scenario
    seed: int
    swapped: bool = False


@dataclass(frozen=True)
class StepResult:
    """What a step gave beside the new state.

    Attributes:
        goals: goals of the left team less goals of the right one, in this step.
        done: whether the match is over.
    """

    goals: int
    done: bool


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A match that can be gone on with.

    Attributes:
        kick_off, actions: how it began, and the actions of each step since: what brings any engine to the same place.
        engine: names the engine that it was taken from.
        data: that engine's own memory, which it restores at once; another engine plays the actions again.
    """

    kick_off: KickOff
    actions: tuple[Actions, ...]
    engine: str
    data: bytes


class Engine(Protocol):
    """A match under way.

    Attributes:
        name: differs from every other engine's.
    """

    name: str

    @property
    def state(self) -> State:
        """What can be seen now."""
        ...

    def reset(self, kick_off: KickOff) -> None:
        """Begin a match."""
        ...

    def step(self, actions: Sequence[int]) -> StepResult:
        """Go on by 0.1 s; one action for each controlled player, those of the left team first."""
        ...

    def frame(self) -> np.ndarray:
        """The 3D picture of now; shape (height, width, 3), dtype uint8."""
        ...

    def save(self) -> bytes:
        """The engine's memory."""
        ...

    def load(self, data: bytes) -> None:
        """Back to where `save` was called; on this same engine, in a match with the same `KickOff`."""
        ...

    def close(self) -> None:
        """Give the engine back."""
        ...
