"""The format reward: 1 for a reply that follows its format exactly, else 0."""

from __future__ import annotations

from lmmr1.envs.reply import Reply


def format_reward(reply: Reply) -> float:
    """Return 1.0 if the reply is well formed, else 0.0 (no partial credit for some of the tags)."""
    return 1.0 if reply.well_formed else 0.0
