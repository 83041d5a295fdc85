"""The player behind a function of one's own: messages in, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message

from ..base import AgentReply, Conversation

# The conversation so far -> an answer, or (thought, answer), or a whole reply with its tags; which it is is checked.
Script = Callable[[list[Message]], object]


class ScriptedPlayer:
    """Answers what a function says.

    Args:
        script: gets all messages of a conversation, its own replies included, the newest one last; images are arrays of
            shape (height, width, 3), dtype uint8. Returns an answer ("Up"), a thought and an answer, or a whole reply
            in the environment's reply format, which is passed on as it is.
        name: for tables and films.
    """

    context = "conversation"

    def __init__(self, script: Script, name: str = "scripted") -> None:
        self.script, self.name = script, name

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation.

        Raises:
            UserError: the function raised, or returned something else; says what.
        """
        return [AgentReply(self._say(conversation)) for conversation in conversations]

    def _say(self, conversation: Conversation) -> str:
        try:
            said = self.script(list(conversation.messages))
        except Exception as error:
            turn = len(conversation.turns) + 1
            raise UserError(f"{self.name} broke in turn {turn}: {type(error).__name__}: {error}") from error
        replies = conversation.reply_format
        if isinstance(said, str):
            if replies.parse(said).well_formed:
                return said
            return replies.write("", said)
        match said:
            case tuple((str(thought), str(answer))):
                return replies.write(thought, answer)
            case _:
                pass
        raise UserError(f"{self.name} must return an answer, or a thought and an answer, not {type(said).__name__}")
