"""How a policy is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from lmmr1.envs.registry import EnvironmentConfig

from .checks import at_least, one_of, plain_name, positive, require
from .rollout import Context, context_word

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
    """What the policy sees at each turn: the whole conversation so far, the last message alone, or the last turns."""
    window_turns: int | None = None
    """Turns that a 'window' shows, the present one among them; none: all."""
    window_images: int | None = None
    """Turns of a 'window', the last ones, that show their images; none: all."""

    def __post_init__(self) -> None:
        one_of("modality", self.modality, get_args(Modality))
        at_least("episodes", self.episodes, 1)
        context_word(self.context, self.window_turns, self.window_images)
        if self.max_turns is not None:
            at_least("max_turns", self.max_turns, 1)


@dataclass(frozen=True)
class EvaluationConfig:
    """How the policy is judged before the first stage and after each one."""

    tasks: dict[str, EvaluationTaskConfig] = field(default_factory=dict[str, EvaluationTaskConfig])
    """The tasks, by the name that reports use."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    stop: tuple[str, ...] = ()
    """A reply also ends with the token that completes one of these strings, such as '</answer>'."""
    max_context_tokens: int = 4096
    """Tokens (prompts, image tokens and replies) after which an episode is stopped."""
    every: int = 0
    """Also evaluate every so many iterations of a ppo stage; 0: only between stages."""
    workers: int | None = None
    """Processes that environments run in, killed when one hangs; 0: this one; None: some for those that need it."""
    step_seconds: float = 60.0
    """A step that takes longer fails its episode (with workers only)."""
    reset_seconds: float = 120.0
    """A reset that takes longer fails its episode (with workers only)."""
    retries: int = 0
    """How often an episode whose environment broke begins again, with the same seed, before it counts as failed."""

    def __post_init__(self) -> None:
        for task in self.tasks:
            plain_name("tasks", task)
        at_least("max_new_tokens", self.max_new_tokens, 1)
        require(all(self.stop), "stop: a stop string must not be empty")
        require(
            self.max_new_tokens < self.max_context_tokens,
            f"max_new_tokens ({self.max_new_tokens}) must be below max_context_tokens ({self.max_context_tokens})",
        )
        for key in ("every", "workers", "retries"):
            at_least(key, vars(self)[key] or 0, 0)
        for key in ("step_seconds", "reset_seconds"):
            positive(key, vars(self)[key])
