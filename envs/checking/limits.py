"""How much is tried, and where a warning or a failure begins."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from lmmr1.envs.errors import UserError


@dataclass(frozen=True)
class Limits:
    """How much is tried, and where a warning or a failure begins.

    Raises:
        UserError: a value is no positive number.
    """

    episodes: int = 8
    """Native episodes of random actions that are watched."""
    most_steps: int = 2000
    """Steps after which an episode of random actions counts as one that never ends, where the id sets no limit."""
    odd_replies: int = 10_000
    """Odd replies that are given."""
    odd_seconds: float = 60.0
    """The odd replies end after so many seconds, and the finding says how many there were."""
    audit_seeds: int = 32
    """Episodes for each kind of reply in the reward audit and the baselines."""
    audit_turns: int = 8
    """Turns after which such an episode is stopped, if the environment does not stop it first."""
    audit_seconds: float = 60.0
    """The audit plays fewer seeds, at least four, where all of them would take longer than this."""
    deadline: float = 30.0
    """Seconds after which a call has hung: its process is killed."""
    step_warn: float = 0.05
    """Median seconds of a step that are worth a warning; a thousand steps then take a minute."""
    step_fail: float = 1.0
    """Median seconds of a step that fail."""
    reset_warn: float = 1.0
    """Median seconds of a reset that are worth a warning."""
    reset_fail: float = 10.0
    """Median seconds of a reset that fail."""
    turn_images: int = 4
    """Pictures in one turn's messages that are no cause for a warning."""
    turn_image_tokens: int = 1280
    """Tokens of one turn's pictures, by Qwen2.5-VL's rule, that are no cause for a warning."""
    turn_text_tokens: int = 2048
    """Tokens of one turn's text, at four characters each, that are no cause for a warning."""

    def __post_init__(self) -> None:
        """Check that all are positive numbers, of the right kind."""
        for field in fields(self):
            value = vars(self)[field.name]
            whole = field.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise UserError(f"{field.name} must be a {'whole ' if whole else ''}number, not {value!r}")
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"{field.name} must be above 0, not {value!r}")


# What --quick tries: every check, with fewer goes.
QUICK = Limits(
    episodes=3, most_steps=1000, odd_replies=400, odd_seconds=10.0, audit_seeds=8, audit_seconds=10.0, deadline=15.0
)
