"""How episodes are collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .checks import at_least, one_of, positive, require

Context = Literal["conversation", "turn"]


@dataclass(frozen=True)
class RolloutConfig:
    """How episodes are collected in one iteration: `groups` starting states, each played `group_size` times."""

    groups: int = 32
    """Starting states (problems, levels) in one iteration."""
    group_size: int = 8
    """Episodes played from each starting state; their mean is the baseline of 'reinforce_baseline'."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    temperature: float = 1.0
    """Sampling temperature; the log-probabilities that are learned from are taken at it too."""
    context: Context = "conversation"
    """What the policy sees at each turn: the whole conversation so far, or the last message alone."""
    max_turns: int | None = None
    """Turns after which an episode is stopped; none: as many as the environment allows."""
    max_context_tokens: int = 4096
    """Tokens (prompts, image tokens and replies) after which an episode is stopped."""
    slots: int = 256
    """Episodes played side by side; bounds the memory that a rollout takes."""

    def __post_init__(self) -> None:
        for key in ("groups", "group_size", "max_new_tokens", "max_context_tokens", "slots"):
            at_least(key, vars(self)[key], 1)
        positive("temperature", self.temperature)
        one_of("context", self.context, get_args(Context))
        if self.max_turns is not None:
            at_least("max_turns", self.max_turns, 1)
        require(
            self.max_new_tokens < self.max_context_tokens,
            f"max_new_tokens ({self.max_new_tokens}) must be below max_context_tokens ({self.max_context_tokens})",
        )
