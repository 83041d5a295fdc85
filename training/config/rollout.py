"""How episodes are collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lmmr1.agents.context import Context as ContextPolicy

from .checks import at_least, one_of, positive, require

Context = Literal["conversation", "turn", "window"]


def context_word(context: str, window_turns: int | None, window_images: int | None) -> str:
    """The word that agents know a context by; raises `UserError` where the three contradict each other."""
    one_of("context", context, get_args(Context))
    return str(ContextPolicy(context, window_turns, window_images))


@dataclass(frozen=True)
class RolloutConfig:
    """How episodes are collected in one iteration: `groups` starting states, each played `group_size` times."""

    groups: int = 32
    """Starting states (problems, levels) in one iteration."""
    group_size: int = 8
    """Episodes played from each starting state; estimators with a baseline, and rejection, compare them."""
    max_new_tokens: int = 40
    """Longest reply, in tokens."""
    temperature: float = 1.0
    """Sampling temperature; the log-probabilities that are learned from are taken at it too."""
    context: Context = "conversation"
    """What the policy sees at each turn: the whole conversation so far, the last message alone, or the last turns."""
    window_turns: int | None = None
    """Turns that a 'window' shows, the present one among them; none: all."""
    window_images: int | None = None
    """Turns of a 'window', the last ones, that show their images; none: all."""
    max_turns: int | None = None
    """Turns after which an episode is stopped; none: as many as the environment allows."""
    max_context_tokens: int = 4096
    """Tokens (prompts, image tokens and replies) after which an episode is stopped."""
    slots: int = 256
    """Episodes played side by side; bounds the memory that a rollout takes."""
    stop: tuple[str, ...] = ()
    """A reply also ends with the token that completes one of these strings, such as '</answer>'."""
    prefix_gib: float = 4.0
    """Memory for what the embedded engine keeps of conversations between turns; beyond it they are run again."""

    @property
    def context_word(self) -> str:
        """The context with its limits, as agents take it (see `lmmr1.agents.context.Context`)."""
        return context_word(self.context, self.window_turns, self.window_images)

    def __post_init__(self) -> None:
        for key in ("groups", "group_size", "max_new_tokens", "max_context_tokens", "slots"):
            at_least(key, vars(self)[key], 1)
        positive("temperature", self.temperature)
        require(all(self.stop), "stop: a stop string must not be empty")
        at_least("prefix_gib", self.prefix_gib, 0)
        context_word(self.context, self.window_turns, self.window_images)
        if self.max_turns is not None:
            at_least("max_turns", self.max_turns, 1)
        require(
            self.max_new_tokens < self.max_context_tokens,
            f"max_new_tokens ({self.max_new_tokens}) must be below max_context_tokens ({self.max_context_tokens})",
        )
