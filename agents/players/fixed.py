"""The player who always gives one answer: idleness, an AI behind an action, any constant to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from lmmr1.envs.errors import UserError
from lmmr1.envs.reply import REPLY_FORMATS

from ..base import AgentReply, Conversation


class FixedPlayer:
    """Gives the same answer in every turn, wherever the environment lives.

    Args:
        answer: such as "action_idle".
        name: for tables and films; the answer by default.
        reply_format: how it is written, a key of `REPLY_FORMATS`; None takes that of each environment.

    Raises:
        UserError: the answer is empty or holds a tag of the format, or there is no such format.
    """

    context = "turn"

    def __init__(self, answer: str, name: str | None = None, reply_format: str | None = None) -> None:
        if reply_format is not None and reply_format not in REPLY_FORMATS:
            raise UserError(f"reply_format is {reply_format!r}; choose from {', '.join(REPLY_FORMATS)}")
        REPLY_FORMATS[reply_format or "think_answer"].write("", answer)  # refuses what cannot be said
        self.answer, self.reply_format = answer, reply_format
        self.name = name or answer

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """The answer, once for each conversation."""
        chosen = None if self.reply_format is None else REPLY_FORMATS[self.reply_format]
        return [AgentReply((chosen or one.reply_format).write("", self.answer)) for one in conversations]
