"""How a policy is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from lmmr1.envs.registry import EnvironmentConfig

from .checks import at_least, one_of, plain_name
from .rollout import Context

Modality = Literal["text", "image", "game"]


@dataclass(frozen=True)
class EvaluationTaskConfig:
    """One row of the evaluation table."""

    modality: Modality
    """What the task is seen through: 'text', 'image' or 'game'."""
    environment: EnvironmentConfig
    """The environment, held-out split included."""
    episodes: int = 192
    """Episodes played, once greedily and once by sampling."""
    max_turns: int | None = None
    """Turns after which an episode is stopped; none: as many as the environment allows."""
    context: Context = "conversation"
    """What the policy sees at each turn: the whole conversation so far, or the last message alone."""

    def __post_init__(self) -> None:
        one_of("modality", self.modality, get_args(Modality))
        at_least("episodes", self.episodes, 1)
        one_of("context", self.context, get_args(Context))
        if self.max_turns is not None:
            at_least("max_turns", self.max_turns, 1)


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is judged before the first stage and after each one."""

    tasks: dict[str, EvaluationTaskConfig] = field(default_factory=dict)
    """The tasks, by the name that reports use."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    every: int = 0
    """Also evaluate every so many iterations of a ppo stage; 0: only between stages."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            plain_name("tasks", task)
        at_least("max_new_tokens", self.max_new_tokens, 1)
        at_least("every", self.every, 0)
