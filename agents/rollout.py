"""Many conversations at once: an agent plays episodes in environments, all of them in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.messages import Message, StopReason, assistant
from lmmr1.envs.reply import Reply

from .base import Agent, AgentReply, Conversation
from .episode import Episode, Turn

# What is drawn for one purpose never shares a random number with another.
TRAINING_STREAM, EVALUATION_STREAM, SHUFFLING_STREAM, DEMONSTRATION_STREAM = 0, 1, 3, 9


MOST_TURNS = 200


@dataclass(frozen=True)
class Seat:
    """Where one episode will be played.

    Attributes:
        env: its environment.
        label: what the episode is filed under.
        env_seed: seed of the reset; seats of one group share it.
        key: entropy of the sampling.
        group: the group's number.
    """

    env: ChatEnv
    label: str
    env_seed: int
    key: tuple[int, ...]
    group: int


def derive_seed(*entropy: int) -> int:
    """An environment seed from whole numbers, without the collisions of adding them up."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint32)[0])


def rollout(
    agent: Agent,
    make_env: Callable[[], ChatEnv],
    count: int,
    *,
    seed: int,
    stream: int,
    greedy: bool = False,
    group_size: int = 1,
    max_turns: int | None = None,
    label: str | None = None,
    environments: list[ChatEnv] | None = None,
) -> list[Episode]:
    """Play `count` episodes.

    Args:
        agent: who acts.
        make_env: makes one environment.
        count: how many episodes; a multiple of `group_size`.
        seed: of the run.
        stream: TRAINING_STREAM, EVALUATION_STREAM or one of one's own; different streams never share a random number.
        greedy: whether a policy takes its most likely token.
        group_size: how many episodes start from each environment seed.
        max_turns: an episode is truncated after so many replies.
        label: what the episodes are filed under; the environment's id by default.
        environments: made before, to be used again; grown as needed.

    Returns:
        The episodes in the order of their index.
    """
    pool = [] if environments is None else environments
    while len(pool) < count:
        pool.append(make_env())
    seats = [
        Seat(
            env=pool[index],
            label=label or environment_id(pool[index]),
            env_seed=derive_seed(seed, stream, index // group_size),
            key=(seed, stream, index),
            group=index // group_size,
        )
        for index in range(count)
    ]
    return play(agent, seats, greedy=greedy, max_turns=max_turns)


def environment_id(env: ChatEnv) -> str:
    """The id that the environment was registered under, or its class's name."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def play(agent: Agent, seats: Sequence[Seat], *, greedy: bool, max_turns: int | None = None) -> list[Episode]:
    """Play one episode in every seat, all in step, so that the agent always answers a full batch.

    An environment that raises costs its own episode (`failure`), not the others. Without `max_turns` an episode is
    stopped after `MOST_TURNS`: a reply that no environment understands takes no step, so its step limit alone would
    never come.
    """
    limit = MOST_TURNS if max_turns is None else max_turns
    episodes = [Episode(seat.label, seat.key, seat.group, agent.context) for seat in seats]
    conversations: dict[int, Conversation] = {}
    for index, seat in enumerate(seats):
        try:
            messages, _ = seat.env.reset(seed=seat.env_seed)
        except Exception as error:
            _fail(episodes[index], error)
        else:
            conversations[index] = Conversation(seat.env, list(messages), list(messages), seat.key)
    while conversations:
        waiting = list(conversations)
        replies = agent.act([conversations[index] for index in waiting], greedy=greedy)
        for index, reply in zip(waiting, replies, strict=True):
            if not _take_turn(conversations[index], episodes[index], reply, limit):
                del conversations[index]
    return episodes


def _take_turn(conversation: Conversation, episode: Episode, reply: AgentReply, max_turns: int) -> bool:
    """Give a reply to its environment and note what came of it; whether the episode goes on."""
    if reply.overflow:
        episode.stop_reason = StopReason.CONTEXT_LIMIT
        episode.final_messages = conversation.new_messages
        return False
    try:
        messages, reward, _, _, info = conversation.env.step(reply.text)
    except Exception as error:
        _fail(episode, error)
        return False
    parsed: Reply = info["reply"]
    turn = Turn(
        messages=conversation.new_messages,
        text=reply.text,
        thought=parsed.thought,
        answer=parsed.answer,
        actions=list(info["actions"]),
        well_formed=parsed.well_formed,
        reward=float(reward),
        reward_parts=dict(info["reward_parts"]),
        prompt_ids=reply.prompt_ids,
        reply_ids=reply.reply_ids,
        logprobs=reply.logprobs,
    )
    conversation.turns.append(turn)
    episode.turns.append(turn)
    episode.success = info["success"]
    reason: StopReason | None = info["stop_reason"]
    if reason is None and len(episode.turns) >= max_turns:
        reason = StopReason.TURN_LIMIT
    if reason is not None:
        episode.stop_reason, episode.final_messages = reason, list(messages)
        return False
    _continue(conversation, reply.text, list(messages))
    return True


def _continue(conversation: Conversation, text: str, messages: list[Message]) -> None:
    conversation.messages += [assistant(text), *messages]
    conversation.new_messages = messages


def _fail(episode: Episode, error: Exception) -> None:
    episode.stop_reason = StopReason.FAILED
    episode.failure = f"{type(error).__name__}: {error}"
