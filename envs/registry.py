"""The table of this project's environments, and the description of one in a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.errors import UserError


@dataclass(frozen=True)
class Registration:
    """One row of the table. Entry points are strings, so that nothing is imported before it is made."""

    id: str
    entry_point: str
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_episode_steps: int | None = None
    vector_entry_point: str | None = None
    # Whether it can take down its process, so that rollouts play it in worker processes if nothing else is asked for.
    needs_worker: bool = False


REGISTRATIONS: tuple[Registration, ...] = (
    Registration("LMMR1/Reasoning-v0", "lmmr1.envs.reasoning.env:ReasoningEnv"),
    Registration("LMMR1/Geometry-v0", "lmmr1.envs.geometry.env:GeometryEnv"),
    Registration("LMMR1/Perception-v0", "lmmr1.envs.perception.env:PerceptionEnv"),
    # The step limit of Sokoban is its own argument max_steps, so the id sets none.
    Registration(
        "LMMR1/Sokoban-v0",
        "lmmr1.envs.sokoban.env:SokobanEnv",
        vector_entry_point="lmmr1.envs.sokoban.vector.env:SokobanVectorEnv",
    ),
    # The length of a match is its scenario's.
    Registration("LMMR1/Football-v0", "lmmr1.envs.football.env:FootballEnv", needs_worker=True),
)


def register_all() -> None:
    """Register every row of the table with Gymnasium, once."""
    for row in REGISTRATIONS:
        if row.id not in gym.registry:
            gym.register(  # pyright: ignore[reportUnknownMemberType]
                row.id,
                row.entry_point,
                kwargs=dict(row.kwargs),
                max_episode_steps=row.max_episode_steps,
                vector_entry_point=row.vector_entry_point,
            )


@dataclass(frozen=True)
class EnvironmentConfig:
    """An environment, as a recipe or a suite names it.

    Attributes:
        id: the id of the world.
        kwargs: arguments of the world.
        chat: arguments of ``ChatEnv``.
        weight: its share of the episodes, relative to the other environments of the same stage.
        order: how training and evaluation seed its resets. "random": each by itself. "epochs": in series, so that a
            world that chooses a row by its seed asks every row once before any comes again. None: "epochs" where
            ``kwargs`` names a ``dataset``, else "random".

    Raises:
        UserError: the weight is no positive number, or the order is unknown.
    """

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    chat: dict[str, Any] = field(default_factory=dict[str, Any])
    weight: float = 1.0
    order: Literal["random", "epochs"] | None = None

    def __post_init__(self) -> None:
        """Check the weight and the order; the rest is checked when the environment is made."""
        if self.order not in (None, "random", "epochs"):
            raise UserError(f'{self.id}: order must be "random" or "epochs", not {self.order!r}')
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise UserError(f"{self.id}: weight must be a positive number, not {self.weight}")

    @property
    def in_epochs(self) -> bool:
        """Whether its resets are seeded in series."""
        return self.order == "epochs" or (self.order is None and self.kwargs.get("dataset") is not None)

    @property
    def needs_worker(self) -> bool:
        """Whether it can take down its process, and is best played in a worker process."""
        return any(row.id == self.id and row.needs_worker for row in REGISTRATIONS)

    def make(self) -> ChatEnv:
        """Make the environment.

        Raises:
            UserError: the id or an argument is unknown.
        """
        return make_chat(self.id, chat=self.chat, **self.kwargs)
