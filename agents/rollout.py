"""Many conversations at once: an agent plays episodes in environments, all of them in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.datasets import POSITIONS
from lmmr1.envs.isolation.places import Place, reset_all, step_all
from lmmr1.envs.recording import RecordChat

from .base import Agent
from .episode import Episode
from .incidents import RolloutLog
from .playing import Next, Playing, Rules, Seat

# What is drawn for one purpose never shares a random number with another.
TRAINING_STREAM, EVALUATION_STREAM, SHUFFLING_STREAM, DEMONSTRATION_STREAM, REJECTION_STREAM = 0, 1, 3, 9, 12


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
    if not isinstance(env, ChatEnv | RecordChat):
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
    the others.

    Args:
        agent: who acts.
        seats: where.
        greedy: whether a policy takes its most likely token.
        max_turns, retries, log: see `Rules`.
    """
    rules = Rules(agent.context, max_turns, retries, RolloutLog() if log is None else log)
    playing = [Playing(seat, rules) for seat in seats]

    def begin(those: Sequence[Playing]) -> None:
        while those:
            openings = reset_all([(one.seat.env, one.seat.env_seed) for one in those])
            those = [one for one, opening in zip(those, openings, strict=True) if one.open(opening) is Next.RESET]

    begin(playing)
    while waiting := [one for one in playing if one.conversation is not None]:
        replies = agent.act([one.conversation for one in waiting if one.conversation is not None], greedy=greedy)
        answering = [pair for pair in zip(waiting, replies, strict=True) if not pair[0].overflows(pair[1])]
        speaking = [(one.seat.env, reply.text) for one, reply in answering if reply.fault is None]
        outcomes = iter(step_all(speaking))
        taken = [(one, one.take(reply, reply.fault or next(outcomes))) for one, reply in answering]
        begin([one for one, then in taken if then is Next.RESET])
    return [one.episode for one in playing]
