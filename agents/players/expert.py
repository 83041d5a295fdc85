"""The expert: says what the environment's own solver would say. For demonstrations, upper bounds and films."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import Advice, Fault
from lmmr1.envs.isolation.places import solve_all

from ..base import AgentReply, Conversation

if TYPE_CHECKING:  # the expert itself needs no torch
    from ..policy import PolicyAgent


class ExpertPlayer:
    """Writes the environment's solution in its reply format.

    Args:
        thought_rate: how often the thought is written out; otherwise it is left empty and the answer comes at once.
        skill: how often the answer is the solver's; otherwise it is one of the environment's named actions at random.
        speaker: a policy whose template turns conversation and reply into ids, for demonstrations to learn from.
    """

    name = "expert"

    def __init__(self, thought_rate: float = 1.0, skill: float = 1.0, speaker: PolicyAgent | None = None) -> None:
        self.thought_rate, self.skill, self.speaker = thought_rate, skill, speaker
        self.context = speaker.context if speaker is not None else "conversation"

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation; the choices depend on its key and turn alone."""
        advised = solve_all([conversation.place for conversation in conversations])
        return [self._reply(*pair) for pair in zip(conversations, advised, strict=True)]

    def _reply(self, conversation: Conversation, advice: Advice | Fault) -> AgentReply:
        if isinstance(advice, Fault):
            return AgentReply("", fault=advice)
        rng = np.random.default_rng(np.random.SeedSequence((*conversation.key, len(conversation.turns))))
        names, solution = advice.action_names, advice.solution
        # Without one, one of its own errors has led it where nothing helps any more: it plays on at random.
        if solution is None and (not names or self.skill == 1):
            raise UserError(advice.problem)
        errs = len(names) > 0 and rng.random() >= self.skill
        answer = str(rng.choice(names)) if errs or solution is None else solution.answer
        thought = solution.thought if solution is not None and rng.random() < self.thought_rate else ""
        text = advice.reply_format.write(thought, answer)
        return AgentReply(text) if self.speaker is None else self.speaker.recite(conversation, text)
