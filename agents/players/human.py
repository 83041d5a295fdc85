"""The player at the keyboard: an agent as any other, who reads and types."""

from __future__ import annotations

from collections.abc import Sequence

from lmmr1.envs.errors import UserError
from lmmr1.envs.terminal import Terminal

from ..base import AgentReply, Conversation
from ..episode import Turn


class HumanPlayer:
    """Shows each conversation at the terminal and sends what is typed.

    A line is an answer, or a whole reply with its tags. An empty line or the end of the input ends everything, as
    Ctrl-C does: what is resumable goes on later.

    Args:
        terminal: where.
    """

    name = "human"
    context = "turn"

    def __init__(self, terminal: Terminal | None = None) -> None:
        self.terminal = Terminal() if terminal is None else terminal

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation, asked for one after the other.

        Raises:
            KeyboardInterrupt: an empty line was typed, or nothing more.
        """
        return [AgentReply(self._ask(conversation)) for conversation in conversations]

    def _ask(self, conversation: Conversation) -> str:
        if conversation.turns:
            print(tell_reward(conversation.turns))
        else:
            print(f"\n--- episode {conversation.key[-1] + 1} (an empty line stops) ---")
        self.terminal.show(conversation.new_messages)
        while True:
            line = self.terminal.read()
            if not line:
                raise KeyboardInterrupt
            try:
                return write_typed(conversation, line)
            except UserError as error:
                print(error)


def write_typed(conversation: Conversation, line: str) -> str:
    """The reply that a typed line stands for: itself where it has tags, else it is the answer.

    Raises:
        UserError: the answer cannot be written in the environment's reply format.
    """
    return line if "<" in line else conversation.reply_format.write("", line)


def tell_reward(turns: Sequence[Turn]) -> str:
    """What the last of some turns was paid, in one line."""
    last = turns[-1]
    parts = ", ".join(f"{name} {value:g}" for name, value in last.reward_parts.items())
    total = sum(turn.reward for turn in turns)
    return f"reward {last.reward:g} ({parts}), in all {total:g}"
