"""The player at random: any legal action, evenly. What every other agent has to beat."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmr1.envs.chat import ChatEnv

from ..base import AgentReply, Conversation

if TYPE_CHECKING:  # a player without a model needs no torch
    from ..policy import PolicyAgent


class RandomPlayer:
    """Answers with one of the world's named actions, or with a sample of its action space written as text.

    Args:
        speaker: a policy whose template turns conversation and reply into ids, for demonstrations to learn from.
    """

    name = "random"

    def __init__(self, speaker: PolicyAgent | None = None) -> None:
        self.speaker = speaker
        self.context = "turn" if speaker is None else speaker.context

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation; the choices depend on its key and turn alone."""
        replies = [(conversation, self._say(conversation)) for conversation in conversations]
        if self.speaker is None:
            return [AgentReply(text) for _, text in replies]
        return [self.speaker.recite(conversation, text) for conversation, text in replies]

    def _say(self, conversation: Conversation) -> str:
        entropy = np.random.SeedSequence((*conversation.key, len(conversation.turns)))
        return conversation.env.write_reply("", _answer(conversation.env, entropy))


def _answer(env: ChatEnv, entropy: np.random.SeedSequence) -> str:
    names = env.chat_spec.action_names
    if names is not None:
        return str(np.random.default_rng(entropy).choice(names))
    space = copy.deepcopy(env.env.action_space)  # its own generator stays where it is
    space.seed(int(entropy.generate_state(1)[0]))
    action: Any = space.sample()
    if isinstance(action, str):
        return action.strip() or "?"  # an answer of spaces is none
    numbers: list[Any] = np.ravel(action).tolist()
    return ", ".join(str(number) for number in numbers)
