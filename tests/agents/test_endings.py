"""How replies end: with their last token, cut off, or before their first; and what becomes of their rewards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.generic import GenericEngine
from lmmr1.agents.engines.stopping import StopStrings
from lmmr1.agents.episode import EPISODES_FILE, Episode, Turn, load_episodes, save_episodes
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import rollout
from lmmr1.training.batching import make_batch
from lmmr1.training.config import PPOConfig
from lmmr1.training.objectives.credit import assign_credit, state_after, state_groups

from .models import random_tiny
from .worlds import pictures

STOP = ("a", "7", "er")


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def sample(loaded: LoadedModel, fused: bool, limit: int, stop: tuple[str, ...]) -> list[Completion]:
    strings = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size)
    arguments = (loaded.banned_ids, loaded.end_ids, loaded.pad_id, 16, strings)
    assert isinstance(loaded.network, QwenNetwork)
    engine = (
        EmbeddedEngine(loaded.network, *arguments) if fused else GenericEngine(GenericNetwork(loaded.model), *arguments)
    )
    prompt = np.array(loaded.tokenizer.encode("Say a number."), np.int32)
    return engine.generate([Request(prompt, (), (index,)) for index in range(60)], Sampling(limit, stop=stop))


@pytest.mark.parametrize("stop", [(), STOP], ids=["end token", "stop string"])
@pytest.mark.parametrize("fused", [True, False], ids=["embedded", "generic"])
def test_a_reply_that_ends_with_the_last_token_it_may_have_is_whole(
    loaded: LoadedModel, fused: bool, stop: tuple[str, ...]
) -> None:
    free = sample(loaded, fused, 60, stop)
    lengths = [len(completion.ids) for completion in free if completion.ended]
    at_limit = 0
    for limit in sorted(set(lengths))[:6]:
        for one, other in zip(sample(loaded, fused, limit, stop), free, strict=True):
            assert one.ended == (other.ended and len(other.ids) <= limit)
            at_limit += one.ended and len(one.ids) == limit
    assert at_limit >= 6
    if stop:  # not with an end token, or there was nothing to be told apart
        assert any(c.ended and int(c.ids[-1]) not in loaded.end_ids for c in free)


def test_a_rollout_notes_what_was_cut_off_and_a_folder_keeps_it(loaded: LoadedModel, tmp_path: Path) -> None:
    policy = PolicyAgent(loaded, Sampling(4, stop=STOP))
    episodes = rollout(policy, lambda: pictures(2), 30, seed=1, stream=0, max_turns=2)
    turns = [turn for episode in episodes for turn in episode.turns]
    for turn in turns:
        ended = turn.ends_with(loaded.end_ids) or any(text in turn.text for text in STOP)
        assert turn.cut_off == (not ended)
        assert not turn.cut_off or len(turn.reply_ids) == 4
    assert {turn.cut_off for turn in turns if len(turn.reply_ids) == 4} == {True, False}
    save_episodes(tmp_path, episodes)
    back = [turn.cut_off for episode in load_episodes(tmp_path) for turn in episode.turns]
    assert back == [turn.cut_off for turn in turns]
    # A folder from before replies were marked is still read.
    path = tmp_path / EPISODES_FILE
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        for turn in row["turns"]:
            del turn["cut_off"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert not any(turn.cut_off for episode in load_episodes(tmp_path) for turn in episode.turns)


# ------------------------------------------------------------------------------------------- turns without any token


def of_lengths(*pairs: tuple[int, float]) -> Episode:
    """An episode whose turns have so many tokens and that reward."""
    turns = [Turn([], "", reward=reward, reply_ids=np.zeros(length, np.int32)) for length, reward in pairs]
    return Episode("x", (0,), 0, turns=turns)


def test_the_reward_of_a_turn_without_tokens_goes_to_the_turn_before_or_else_to_the_next() -> None:
    assert of_lengths((2, 1.0), (3, 2.0)).credited_rewards == [1.0, 2.0]
    assert of_lengths((2, 1.0), (0, 2.0), (0, 4.0), (1, 8.0)).credited_rewards == [7.0, 0.0, 0.0, 8.0]
    assert of_lengths((0, 1.0), (0, 2.0), (1, 4.0), (1, 8.0)).credited_rewards == [0.0, 0.0, 7.0, 8.0]
    assert of_lengths((0, 1.0), (0, 2.0)).credited_rewards == [0.0, 0.0]


@pytest.mark.parametrize("context", ["conversation", "turn"])
@pytest.mark.parametrize(
    ("empty", "expected"),
    [
        # Rewards 1, 2, 4, 8 and half of what a turn leads to: 1 + (2 + (4 + 8 / 2) / 2) / 2 = 4, 6, 8, 8.
        ((), [4.0, 6.0, 8.0, 8.0]),
        ((1,), [7.0, 8.0, 8.0]),  # 1 + 2 + (4 + 8 / 2) / 2
        ((0,), [7.0, 8.0, 8.0]),  # 1 + 2 + (4 + 8 / 2) / 2, of the turn that was the second
        ((2, 3), [8.0, 14.0]),  # 1 + (2 + 4 + 8) / 2
        ((0, 1, 2), [15.0]),
    ],
)
def test_no_reward_is_lost_to_a_turn_without_tokens(
    loaded: LoadedModel, context: str, empty: tuple[int, ...], expected: list[float]
) -> None:
    policy = PolicyAgent(loaded, Sampling(6), context)
    [episode] = rollout(policy, lambda: pictures(9), 1, seed=2, stream=0, max_turns=4)
    for index, turn in enumerate(episode.turns):
        turn.reward = 2.0**index
        if index in empty:
            turn.reply_ids, turn.logprobs, turn.text = turn.reply_ids[:0], turn.logprobs[:0], ""
    batch = make_batch([episode], policy)
    speaking = [index for index in range(4) if index not in empty]
    assert float(batch.rewards.sum()) == episode.total_reward == 15.0
    assert batch.turns[batch.turn_ends].tolist() == speaking
    assert len(batch) == episode.num_reply_tokens
    assert len(batch.sequences) == (1 if context == "conversation" else len(speaking))
    assert len(state_groups([episode], policy)) == len(speaking)
    nothing = torch.zeros(len(batch))
    settings = PPOConfig(estimator="reinforce", turn_gamma=0.5)
    credit = assign_credit(batch, batch.rewards, nothing, torch.zeros(1), None, settings)
    assert credit.advantages[batch.turn_ends].tolist() == expected
    ids, _ = state_after(episode, policy)  # the next prompt can be written, whether or not the last turn said anything
    assert len(ids) > 0
