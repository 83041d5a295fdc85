"""What an agent is: conversations in, replies out, batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.messages import Message

from .episode import Turn


@dataclass
class Conversation:
    """A conversation that waits for the agent's reply.

    Attributes:
        env: the world; only players that stand for a person or an expert may look into it.
        messages: everything said so far, the agent's own replies included.
        new_messages: the messages since its last reply.
        turns: the turns so far.
        key: entropy of this episode's random streams.
    """

    env: ChatEnv
    messages: list[Message]
    new_messages: list[Message]
    key: tuple[int, ...]
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True)
class AgentReply:
    """A reply: its text and, from agents that speak in tokens, the ids behind it (see `Turn`).

    `overflow` says that the conversation no longer fits the agent's context: nothing was said and the episode is to be
    truncated.
    """

    text: str
    prompt_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    reply_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    logprobs: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    overflow: bool = False


class Agent(Protocol):
    """Anything that can take part in a conversation.

    Attributes:
        name: for tables and films.
        context: "conversation" or "turn", see `Episode`.
    """

    name: str
    context: str

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation."""
        ...
