"""Episodes side by side: each costs only itself, starts where its group starts, and follows its seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.playing import MOST_TURNS, Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_seed, play, rollout
from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.places import Place
from lmmr1.envs.messages import StopReason, message_images
from lmmr1.envs.registry import REGISTRATIONS

from .models import random_tiny
from .worlds import Pictures, pictures


class Parrot:
    """Always says the same."""

    name, context = "parrot", "conversation"

    def __init__(self, text: str = "<think></think><answer>1</answer>") -> None:
        self.text = text
        self.seen: list[int] = []

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        self.seen.append(len(conversations))
        return [AgentReply(self.text) for _ in conversations]


class Fragile(Pictures):
    """Breaks in `reset`, or in the step of that number."""

    def __init__(self, breaks_at: int | None) -> None:
        super().__init__(turns=4)
        self.breaks_at = breaks_at

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if self.breaks_at == 0:
            raise OSError("no such world")
        return super().reset(seed=seed, options=options)

    def step(self, action: int):
        if self.step_count + 1 == self.breaks_at:
            raise RuntimeError("the world broke")
        return super().step(action)


def seats(*breaks_at: int | None) -> list[Seat]:
    worlds = [ChatEnv(Fragile(at), instructions="brief") for at in breaks_at]
    return [Seat(env, "fragile", 7, (index,), index) for index, env in enumerate(worlds)]


def same(one: Episode, other: Episode) -> bool:
    texts = [[(turn.text, turn.reward, turn.reply_ids.tolist()) for turn in episode.turns] for episode in (one, other)]
    return texts[0] == texts[1] and (one.stop_reason, one.success) == (other.stop_reason, other.success)


# --------------------------------------------------------------------------------------------------- what goes wrong


def test_a_failing_environment_costs_its_own_episode() -> None:
    alone = play(Parrot(), seats(None), greedy=False)[0]
    episodes = play(Parrot(), seats(None, 0, 2, None), greedy=False)
    assert [episode.failure for episode in episodes] == [
        None,
        "OSError: no such world",
        "RuntimeError: the world broke",
        None,
    ]
    assert [episode.stop_reason for episode in episodes[1:3]] == [StopReason.FAILED] * 2
    assert [len(episode.turns) for episode in episodes] == [4, 0, 1, 4]
    assert not episodes[1].terminated and not episodes[1].truncated
    assert same(episodes[0], alone) and same(episodes[3], alone)


def test_when_every_environment_fails_nobody_is_asked() -> None:
    parrot = Parrot()
    episodes = play(parrot, seats(0, 0), greedy=False)
    assert parrot.seen == []
    assert all(episode.failure for episode in episodes)


def test_a_mistake_of_the_agent_stops_the_rollout() -> None:
    with pytest.raises(UserError, match="does not know its solution"):
        rollout(ExpertPlayer(), pictures, 2, seed=0, stream=0)


# --------------------------------------------------------------------------------------------------------- the limits


def test_replies_that_take_no_step_end_at_the_limit_of_turns() -> None:
    parrot = Parrot("nothing that any world understands")
    [episode] = rollout(parrot, lambda: pictures(2), 1, seed=0, stream=0)
    assert len(episode.turns) == MOST_TURNS
    assert episode.stop_reason is StopReason.TURN_LIMIT
    assert episode.truncated and episode.failure is None
    [episode] = rollout(parrot, lambda: pictures(2), 1, seed=0, stream=0, max_turns=3)
    assert len(episode.turns) == 3


def test_the_end_of_the_task_comes_before_the_limit() -> None:
    [episode] = rollout(Parrot(), lambda: pictures(3), 1, seed=0, stream=0, max_turns=3)
    assert episode.stop_reason is StopReason.TASK_ENDED
    assert episode.final_messages


def test_a_conversation_that_outgrows_the_context_is_truncated() -> None:
    policy = PolicyAgent(random_tiny(), Sampling(4), max_context_tokens=60)
    [episode] = rollout(policy, lambda: pictures(5), 1, seed=0, stream=0)
    assert episode.stop_reason is StopReason.CONTEXT_LIMIT
    assert 0 < len(episode.turns) < 5
    assert episode.truncated and episode.final_messages
    ids = sum(len(turn.prompt_ids) + len(turn.reply_ids) for turn in episode.turns)
    assert ids <= 60


# ---------------------------------------------------------------------------------------------------------- the seeds


def first_picture(episode: Episode) -> bytes:
    return message_images(episode.turns[0].messages[-1])[0].tobytes()


def test_groups_share_their_start_and_nothing_else() -> None:
    policy = PolicyAgent(random_tiny(), Sampling(6))
    episodes = rollout(policy, lambda: pictures(2), 6, seed=4, stream=0, group_size=3, max_turns=2)
    assert [episode.group for episode in episodes] == [0, 0, 0, 1, 1, 1]
    starts = [first_picture(episode) for episode in episodes]
    assert len(set(starts[:3])) == len(set(starts[3:])) == 1
    assert starts[0] != starts[3]
    assert len({episode.turns[0].text for episode in episodes}) == 6
    assert len({episode.key for episode in episodes}) == 6


def test_the_same_seed_gives_the_same_episodes() -> None:
    policy = PolicyAgent(random_tiny(), Sampling(6))
    made: list[Place] = []

    def episodes(seed: int, stream: int, pool: list[Place] | None = None) -> list[Episode]:
        return rollout(policy, lambda: pictures(3), 4, seed=seed, stream=stream, max_turns=3, environments=pool)

    one = episodes(1, 0, made)
    # In the same environments, which have played before, and in new ones.
    for again in (episodes(1, 0, made), episodes(1, 0)):
        assert all(same(a, b) and first_picture(a) == first_picture(b) for a, b in zip(one, again, strict=True))
    assert len(made) == 4
    for other in (episodes(2, 0), episodes(1, 1)):
        assert not any(first_picture(a) == first_picture(b) for a, b in zip(one, other, strict=True))


def test_an_episode_does_not_depend_on_how_many_are_played() -> None:
    policy = PolicyAgent(random_tiny(), Sampling(6))
    few = rollout(policy, lambda: pictures(2), 2, seed=1, stream=0, max_turns=2)
    many = rollout(policy, lambda: pictures(2), 9, seed=1, stream=0, max_turns=2)
    assert all(same(a, b) for a, b in zip(few, many, strict=False))


def test_greedy_replies_follow_no_seed() -> None:
    policy = PolicyAgent(random_tiny(), Sampling(6))
    world = [pictures(1)]
    replies = [
        play(policy, [Seat(world[0], "pictures", 5, (key,), 0)], greedy=True, max_turns=1)[0].turns[0].text
        for key in (1, 2)
    ]
    assert replies[0] == replies[1]


def test_derived_seeds_do_not_collide_where_sums_would() -> None:
    seeds = {derive_seed(seed, stream, index) for seed in range(8) for stream in range(8) for index in range(8)}
    assert len(seeds) == 512
    assert all(0 <= seed < 2**32 for seed in seeds)


# --------------------------------------------------------------------------------------------------------- the expert


@pytest.mark.parametrize("id", [row.id for row in REGISTRATIONS])
def test_the_expert_succeeds_in_every_world(id: str) -> None:
    kwargs: dict[str, Any] = {"dim_room": (6, 6)} if "Sokoban" in id else {}
    episodes = rollout(ExpertPlayer(), lambda: make_chat(id, **kwargs), 8, seed=0, stream=0)
    assert all(episode.success is True for episode in episodes)
    assert all(episode.format_rate == 1.0 and episode.terminated for episode in episodes)
    assert all(episode.env_id == id for episode in episodes)


def test_the_expert_writes_as_many_thoughts_as_asked() -> None:
    make = lambda: make_chat("LMMR1/Reasoning-v0")  # noqa: E731
    for rate, expected in ((0.0, 0), (1.0, 40)):
        episodes = rollout(ExpertPlayer(thought_rate=rate), make, 40, seed=0, stream=0)
        assert sum(bool(episode.turns[0].thought) for episode in episodes) == expected
    some = sum(bool(e.turns[0].thought) for e in rollout(ExpertPlayer(thought_rate=0.5), make, 40, seed=0, stream=0))
    assert 8 < some < 32


def test_an_expert_that_errs_plays_on_where_nothing_helps_any_more() -> None:
    def make() -> ChatEnv:
        return make_chat("LMMR1/Sokoban-v0", dim_room=(6, 6), inner_walls=0, max_steps=30)

    episodes = rollout(ExpertPlayer(skill=0.0), make, 12, seed=0, stream=0)
    assert all(episode.failure is None for episode in episodes)
    lost = [episode for episode in episodes if not episode.success]
    assert lost and all(len(episode.turns) == 30 for episode in lost)
    names = {action for episode in episodes for turn in episode.turns for action in turn.actions}
    assert names == {"Up", "Down", "Left", "Right"}
    # It says nothing about a position that it has no plan for.
    assert any(turn.thought == "" for episode in lost for turn in episode.turns)


def test_a_speaker_turns_demonstrations_into_ids() -> None:
    loaded = random_tiny()
    speaker = PolicyAgent(loaded, Sampling(40), context="turn")
    make = lambda: ChatEnv(gym.make("LMMR1/Sokoban-v0", dim_room=(6, 6)), instructions="brief")  # noqa: E731
    [episode] = rollout(ExpertPlayer(speaker=speaker), make, 1, seed=0, stream=0)
    assert episode.context == "turn"
    for turn in episode.turns:
        assert speaker.template.decode(turn.reply_ids) == turn.text
        assert turn.reply_ids[-1] == loaded.end_ids[0]
        assert len(turn.logprobs) == len(turn.reply_ids)
        assert np.array_equal(turn.prompt_ids, speaker.template.first(turn.messages)[0])
