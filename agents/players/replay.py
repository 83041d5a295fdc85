"""The player who says again what was said: episodes scored anew, under other rules or none."""

from __future__ import annotations

from collections.abc import Sequence

from lmmr1.envs.errors import UserError

from ..base import AgentReply, Conversation
from ..episode import Episode


class ReplayPlayer:
    """Gives the replies of recorded episodes, ids and all.

    Args:
        episodes: whose replies; known by their keys.
        name: for tables.
    """

    context = "conversation"

    def __init__(self, episodes: Sequence[Episode], name: str = "replay") -> None:
        self.episodes = {episode.key: episode for episode in episodes}
        self.name = name

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """The recorded reply of each conversation's turn.

        Where the episode goes on beyond what was recorded (other rules may end it later) nothing is said: it overflows.

        Raises:
            UserError: there is no recorded episode of a conversation's key.
        """
        return [self._reply(conversation) for conversation in conversations]

    def _reply(self, conversation: Conversation) -> AgentReply:
        episode = self.episodes.get(conversation.key)
        if episode is None:
            raise UserError(f"no episode with the key {conversation.key} was recorded")
        number = len(conversation.turns)
        if number >= len(episode.turns):
            return AgentReply("", overflow=True)
        turn = episode.turns[number]
        return AgentReply(turn.text, turn.prompt_ids, turn.reply_ids, turn.logprobs, cut_off=turn.cut_off)
