"""Many conversations at once: an agent plays episodes in environments, all of them in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.datasets import POSITIONS
from lmmr1.envs.isolation.outcomes import Fault, Outcome
from lmmr1.envs.isolation.pool import Place, reset_all, step_all
from lmmr1.envs.messages import Message, StopReason, assistant

from .base import Agent, AgentReply, Conversation
from .episode import Episode, Turn
from .incidents import Incident, RolloutLog

# What is drawn for one purpose never shares a random number with another.
TRAINING_STREAM, EVALUATION_STREAM, SHUFFLING_STREAM, DEMONSTRATION_STREAM, REJECTION_STREAM = 0, 1, 3, 9, 12


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


def derive_seed(*entropy: int) -> int:
    """An environment seed from whole numbers, without the collisions of adding them up."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint32)[0])


def derive_epoch_seed(position: int, *entropy: int) -> int:
    """The environment seed of a place in a series: one after the other, they ask each row of a data set in turn.

    The series is chosen by the entropy; see `lmmr1.envs.datasets.Dataset.position`.
    """
    return (derive_seed(*entropy) >> 1) * POSITIONS + position


def rollout(
    agent: Agent,
    make_env: Callable[[], Place],
    count: int,
    *,
    seed: int,
    stream: int,
    greedy: bool = False,
    group_size: int = 1,
    max_turns: int | None = None,
    label: str | None = None,
    environments: list[Place] | None = None,
    retries: int = 0,
    log: RolloutLog | None = None,
    in_epochs: bool = False,
    first: int = 0,
) -> list[Episode]:
    """Play `count` episodes.

    Args:
        agent: who acts.
        make_env: makes one environment, here or in a worker process.
        count: how many episodes; a multiple of `group_size`.
        seed: of the run.
        stream: TRAINING_STREAM, EVALUATION_STREAM or one of one's own; different streams never share a random number.
        greedy: whether a policy takes its most likely token.
        group_size: how many episodes start from each environment seed.
        max_turns: an episode is truncated after so many replies.
        label: what the episodes are filed under; the environment's id by default.
        environments: made before, to be used again; grown as needed.
        retries, log: see `play`.
        in_epochs: whether the environments' seeds are a series, see `derive_epoch_seed`.
        first: the index of the first episode; a multiple of `group_size`. What an episode is depends on its index, not
            on which others are played beside it.

    Returns:
        The episodes in the order of their index.
    """
    pool = [] if environments is None else environments
    while len(pool) < count:
        pool.append(make_env())
    seats = [
        Seat(
            env=pool[index - first],
            label=label or environment_id(pool[index - first]),
            env_seed=(
                derive_epoch_seed(index // group_size, seed, stream)
                if in_epochs
                else derive_seed(seed, stream, index // group_size)
            ),
            key=(seed, stream, index),
            group=index // group_size,
        )
        for index in range(first, first + count)
    ]
    return play(agent, seats, greedy=greedy, max_turns=max_turns, retries=retries, log=log)


def environment_id(env: Place) -> str:
    """The id that the environment was registered under, or its class's name."""
    if not isinstance(env, ChatEnv):
        return env.config.id
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def play(
    agent: Agent,
    seats: Sequence[Seat],
    *,
    greedy: bool,
    max_turns: int | None = None,
    retries: int = 0,
    log: RolloutLog | None = None,
) -> list[Episode]:
    """Play one episode in every seat, all in step, so that the agent always answers a full batch.

    An environment that crashes, hangs (in a worker process) or returns garbage costs its own episode (`failure`), not
    the others. Without `max_turns` an episode is stopped after `MOST_TURNS`: a reply that no environment understands
    takes no step, so its step limit alone would never come.

    Args:
        agent: who acts.
        seats: where.
        greedy: whether a policy takes its most likely token.
        max_turns: an episode is truncated after so many replies.
        retries: how often an episode that failed begins again, with the same seed and the same entropy.
        log: takes every fault, those that were made good by a retry too, and how long the environments took.
    """
    limit = MOST_TURNS if max_turns is None else max_turns
    log = RolloutLog() if log is None else log
    episodes = [Episode(seat.label, seat.key, seat.group, agent.context) for seat in seats]
    conversations: dict[int, Conversation] = {}
    attempts = [0] * len(seats)

    def fail(index: int, fault: Fault, turn: int) -> bool:
        """Note a fault; whether the episode may begin again."""
        # The same answer would come again, and could be verified no better.
        seat, again = seats[index], attempts[index] < retries and fault.kind != "unverifiable"
        log.note_fault(Incident(seat.label, seat.env_seed, turn, fault.kind, fault.error, attempts[index], not again))
        attempts[index] += 1
        episodes[index].stop_reason, episodes[index].failure = StopReason.FAILED, fault.error
        return again

    def begin(indices: Sequence[int]) -> None:
        while indices:
            openings = reset_all([(seats[index].env, seats[index].env_seed) for index in indices])
            failed = []
            for index, opening in zip(indices, openings, strict=True):
                seat = seats[index]
                log.note_call(seat.label, seat.env_seed, 0, opening.seconds)
                episodes[index] = Episode(seat.label, seat.key, seat.group, agent.context)
                if isinstance(opening, Fault):
                    failed += [index] if fail(index, opening, 0) else []
                    continue
                episodes[index].facts = dict(opening.facts)
                messages = opening.messages
                conversations[index] = Conversation(seat.env, list(messages), list(messages), seat.key)
            indices = failed

    begin(range(len(seats)))
    while conversations:
        waiting = sorted(conversations)
        replies = dict(zip(waiting, agent.act([conversations[index] for index in waiting], greedy=greedy), strict=True))
        for index in [index for index in waiting if replies[index].overflow]:
            episodes[index].stop_reason = StopReason.CONTEXT_LIMIT
            episodes[index].final_messages = conversations.pop(index).new_messages
        answering = [index for index in waiting if index in conversations]
        speaking = [index for index in answering if replies[index].fault is None]
        outcomes = dict(
            zip(speaking, step_all([(seats[index].env, replies[index].text) for index in speaking]), strict=True)
        )
        failed = []
        for index in answering:
            turn, seat = len(episodes[index].turns) + 1, seats[index]
            outcome = replies[index].fault or outcomes[index]
            log.note_call(seat.label, seat.env_seed, turn, outcome.seconds)
            if isinstance(outcome, Fault):
                del conversations[index]
                failed += [index] if fail(index, outcome, turn) else []
            elif not _take_turn(conversations[index], episodes[index], replies[index], outcome, limit):
                del conversations[index]
        begin(failed)
    return episodes


def _take_turn(
    conversation: Conversation, episode: Episode, reply: AgentReply, outcome: Outcome, max_turns: int
) -> bool:
    """Note what came of a reply; whether the episode goes on."""
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
    )
    conversation.turns.append(turn)
    episode.turns.append(turn)
    episode.success = outcome.success
    episode.facts |= outcome.facts
    reason = outcome.stop_reason
    if reason is None and len(episode.turns) >= max_turns:
        reason = StopReason.TURN_LIMIT
    if reason is not None:
        episode.stop_reason, episode.final_messages = reason, outcome.messages
        return False
    _continue(conversation, reply.text, outcome.messages)
    return True


def _continue(conversation: Conversation, text: str, messages: list[Message]) -> None:
    conversation.messages += [assistant(text), *messages]
    conversation.new_messages = messages
