"""What an agent is: conversations in, replies out, batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.outcomes import Fault
from lmmr1.envs.isolation.places import IsolatedEnv, Place
from lmmr1.envs.messages import Message
from lmmr1.envs.recording import RecordChat
from lmmr1.envs.reply import REPLY_FORMATS, ReplyFormat

from .episode import Turn

if TYPE_CHECKING:  # players without a model need no torch
    from .engines.prefix import Prefix
    from .networks.base import PixelInput


@dataclass
class Conversation:
    """A conversation that waits for the agent's reply.

    Attributes:
        place: where its environment lives: here or in a worker process.
        messages: everything said so far, the agent's own replies included.
        new_messages: the messages since its last reply.
        turns: the turns so far.
        key: entropy of this episode's random streams.
        prefix: what the agent's engine keeps of the ids so far; goes with the conversation.
        pixels: for each of the first turns, the images that it showed as the agent's model reads them.
    """

    place: Place
    messages: list[Message]
    new_messages: list[Message]
    key: tuple[int, ...]
    turns: list[Turn] = field(default_factory=list[Turn])
    prefix: Prefix | None = None
    pixels: list[list[PixelInput]] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]

    @property
    def env(self) -> ChatEnv:
        """The environment; only players that stand for a person or choose at random may look into it.

        Raises:
            UserError: it lives in another process.
        """
        place = self.place
        env = place.chat if isinstance(place, RecordChat) else place.env if isinstance(place, LocalEnv) else place
        if not isinstance(env, ChatEnv):
            raise UserError("this player looks into the environment, which is in a worker process: set workers to 0")
        return env

    @property
    def reply_format(self) -> ReplyFormat:
        """How the environment's replies are written, wherever it lives."""
        if isinstance(self.place, LocalEnv | IsolatedEnv):
            return REPLY_FORMATS[str(self.place.config.chat.get("reply_format", "think_answer"))]
        return self.place.reply_format


@dataclass(frozen=True)
class AgentReply:
    """A reply: its text and, from agents that speak in tokens, the ids behind it (see `Turn`).

    `overflow` says that the conversation no longer fits the agent's context: nothing was said and the episode is to be
    truncated. `cut_off` says that the reply ran out of tokens before it ended. `fault` is what broke in the environment
    when the agent asked it for advice: nothing was said and the episode has failed. `version` numbers the weights that
    spoke.
    """

    text: str
    prompt_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    reply_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    logprobs: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    overflow: bool = False
    cut_off: bool = False
    fault: Fault | None = None
    version: int = 0


class Agent(Protocol):
    """Anything that can take part in a conversation.

    Attributes:
        name: for tables and films.
        context: what it sees at each turn, as the word for a `Context`: "conversation", "turn" or "window:3:1".
    """

    name: str
    context: str

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation."""
        ...
