"""One episode under way: what an opening, a reply and its outcome make of it, whoever asks for them and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from lmmr1.envs.isolation.outcomes import Fault, Opening, Outcome
from lmmr1.envs.isolation.places import Place
from lmmr1.envs.messages import StopReason, assistant

from .base import AgentReply, Conversation
from .episode import Episode, Turn
from .incidents import Incident, RolloutLog

MOST_TURNS = 200


@dataclass(frozen=True)
class Seat:
    """Where one episode will be played.

    Attributes:
        env: its environment, in this process or in a worker's.
        label: what the episode is filed under.
        env_seed: seed of the reset; seats of one group share it.
        key: entropy of the sampling.
        group: the group's number.
    """

    env: Place
    label: str
    env_seed: int
    key: tuple[int, ...]
    group: int


@dataclass(frozen=True)
class Rules:
    """What holds for all episodes of a rollout.

    Attributes:
        context: what the agent sees, as the word for a `Context`.
        max_turns: an episode is truncated after so many replies; None: after `MOST_TURNS`, since a reply that no
            environment understands takes no step, so that its step limit alone would never come.
        retries: how often an episode that failed begins again, with the same seed and the same entropy.
        log: takes every fault, those that were made good by a retry too, and how long the environments took.
    """

    context: str
    max_turns: int | None = None
    retries: int = 0
    log: RolloutLog = field(default_factory=RolloutLog)


class Next(Enum):
    """What an episode waits for: its environment's reset, the agent's reply, or nothing more."""

    RESET = "reset"
    REPLY = "reply"
    NOTHING = "nothing"


class Playing:
    """An episode in a seat, from its first reset to its end.

    Attributes:
        episode: as far as it has come.
        conversation: what the agent is asked with; None before the opening and after the end.
    """

    def __init__(self, seat: Seat, rules: Rules) -> None:
        self.seat, self.rules = seat, rules
        self.conversation: Conversation | None = None
        self._attempts = 0
        self.episode = self._new()

    def _new(self) -> Episode:
        return Episode(self.seat.label, self.seat.key, self.seat.group, self.rules.context)

    def open(self, opening: Opening | Fault) -> Next:
        """The environment was reset."""
        seat = self.seat
        self.rules.log.note_call(seat.label, seat.env_seed, 0, opening.seconds)
        self.episode = self._new()
        if isinstance(opening, Fault):
            return self._fail(opening, 0)
        self.episode.facts = dict(opening.facts)
        messages = opening.messages
        self.conversation = Conversation(seat.env, list(messages), list(messages), seat.key)
        return Next.REPLY

    def overflows(self, reply: AgentReply) -> bool:
        """Whether the conversation no longer fits the agent's context; then the episode has ended."""
        if reply.overflow:
            assert self.conversation is not None
            self.episode.stop_reason = StopReason.CONTEXT_LIMIT
            self.episode.final_messages = self.conversation.new_messages
            self.conversation = None
        return reply.overflow

    def take(self, reply: AgentReply, outcome: Outcome | Fault) -> Next:
        """The agent replied, and this is what came of it."""
        seat, turn = self.seat, len(self.episode.turns) + 1
        self.rules.log.note_call(seat.label, seat.env_seed, turn, outcome.seconds)
        if isinstance(outcome, Fault):
            return self._fail(outcome, turn)
        if self._take_turn(reply, outcome):
            return Next.REPLY
        self.conversation = None
        return Next.NOTHING

    def _fail(self, fault: Fault, turn: int) -> Next:
        """Note a fault; the episode begins again, or has failed for good."""
        seat, log = self.seat, self.rules.log
        # The same answer would come again, and could be verified no better.
        again = self._attempts < self.rules.retries and fault.kind != "unverifiable"
        log.note_fault(Incident(seat.label, seat.env_seed, turn, fault.kind, fault.error, self._attempts, not again))
        self._attempts += 1
        self.episode.stop_reason, self.episode.failure = StopReason.FAILED, fault.error
        self.conversation = None
        return Next.RESET if again else Next.NOTHING

    def _take_turn(self, reply: AgentReply, outcome: Outcome) -> bool:
        """Note what came of a reply; whether the episode goes on."""
        conversation, episode = self.conversation, self.episode
        assert conversation is not None
        turn = Turn(
            messages=conversation.new_messages,
            text=reply.text,
            thought=outcome.reply.thought,
            answer=outcome.reply.answer,
            actions=outcome.actions,
            well_formed=outcome.reply.well_formed,
            reward=outcome.reward,
            reward_parts=outcome.reward_parts,
            prompt_ids=reply.prompt_ids,
            reply_ids=reply.reply_ids,
            logprobs=reply.logprobs,
            cut_off=reply.cut_off,
            version=reply.version,
        )
        conversation.turns.append(turn)
        episode.turns.append(turn)
        episode.success = outcome.success
        episode.facts |= outcome.facts
        reason = outcome.stop_reason
        limit = MOST_TURNS if self.rules.max_turns is None else self.rules.max_turns
        if reason is None and len(episode.turns) >= limit:
            reason = StopReason.TURN_LIMIT
        if reason is not None:
            episode.stop_reason, episode.final_messages = reason, outcome.messages
            return False
        conversation.messages += [assistant(reply.text), *outcome.messages]
        conversation.new_messages = outcome.messages
        return True
