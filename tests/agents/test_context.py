"""Context policies: what each turn shows, and that nothing is ever cut in silence."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.decoders import Metaspace
from transformers import PreTrainedTokenizerFast

from lmmr1.agents.base import Conversation
from lmmr1.agents.context import Context
from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import rollout
from lmmr1.agents.template import HIDDEN_IMAGE
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import StopReason, message_images
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.runner import EvaluationTask, evaluate
from lmmr1.training.batching import episode_sequences
from lmmr1.training.config import (
    DemonstrationConfig,
    EvaluationConfig,
    EvaluationTaskConfig,
    KLConfig,
    OptimizerConfig,
    PPOConfig,
    RolloutConfig,
    StageConfig,
)
from lmmr1.training.objectives.credit import state_after
from lmmr1.training.ppo import PPOTrainer
from lmmr1.training.recipe import read_recipe
from lmmr1.training.stages import check_fit

from .models import random_tiny
from .worlds import pictures

TURNS = 5


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def play(policy: PolicyAgent, count: int = 3, **chat) -> list[Episode]:
    return rollout(policy, lambda: pictures(TURNS, **chat), count, seed=4, stream=0, max_turns=TURNS)


@pytest.mark.parametrize(
    ("context", "word", "shown", "pictured"),
    [
        (Context(), "conversation", (0, 5), (0, 5)),
        (Context("turn"), "turn", (4, 5), (4, 5)),
        (Context("window", 3, 1), "window:3:1", (2, 5), (4, 5)),
        (Context("window", 2), "window:2:all", (3, 5), (3, 5)),
        (Context("window", None, 2), "window:all:2", (0, 5), (3, 5)),
        (Context("window", 2, 4), "window:2:4", (3, 5), (3, 5)),
        (Context("window", 9, 9), "window:9:9", (0, 5), (0, 5)),
    ],
    ids=str,
)
def test_words_and_ranges(context: Context, word: str, shown: tuple[int, int], pictured: tuple[int, int]) -> None:
    assert str(context) == word and Context.parse(word) == context
    assert context.shown(4) == range(*shown) and context.pictured(4) == range(*pictured)
    assert context.shown(0) == context.pictured(0) == range(1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("all", "context must be one of conversation, turn, window; not 'all'"),
        ("window", "needs window_turns or window_images"),
        ("window:all:all", "needs window_turns or window_images"),
        ("window:0:all", "window_turns must be at least 1, not 0"),
        ("window:all:0", "window_images must be at least 1, not 0"),
        ("window:2", "write conversation, turn or window:TURNS:IMAGES"),
        ("window:-1:2", "write conversation, turn or window:TURNS:IMAGES"),
        ("turn:2:2", "write conversation, turn or window:TURNS:IMAGES"),
    ],
)
def test_bad_words_are_refused(loaded: LoadedModel, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PolicyAgent(loaded, Sampling(4), context=word)
    with pytest.raises(UserError, match="window_turns needs context: window"):
        Context("turn", turns=2)


def test_a_prompt_grows_while_nothing_is_dropped() -> None:
    assert [Context("window", 3, None).grows(turn) for turn in range(4)] == [True, True, False, False]
    assert [Context("window", 3, 2).grows(turn) for turn in range(3)] == [True, False, False]
    assert Context().grows(100) and not Context("turn").grows(0)


def test_a_window_of_one_turn_is_the_turn_context(loaded: LoadedModel) -> None:
    one = play(PolicyAgent(loaded, Sampling(8), context="turn"), instructions="full")
    other = play(PolicyAgent(loaded, Sampling(8), context="window:1:all"), instructions="full")
    for a, b in zip(one, other, strict=True):
        for x, y in zip(a.turns, b.turns, strict=True):
            assert np.array_equal(x.prompt_ids, y.prompt_ids) and np.array_equal(x.reply_ids, y.reply_ids)
            assert x.logprobs.tobytes() == y.logprobs.tobytes()


def test_a_window_over_everything_is_the_conversation(loaded: LoadedModel) -> None:
    one = play(PolicyAgent(loaded, Sampling(8)), instructions="full")
    other = play(PolicyAgent(loaded, Sampling(8), context=f"window:{TURNS}:{TURNS}"), instructions="full")
    for a, b in zip(one, other, strict=True):
        assert len(a.turns) == len(b.turns) == TURNS
        whole = np.zeros(0, np.int32)
        for x, y in zip(a.turns, b.turns, strict=True):
            whole = np.concatenate([whole, x.prompt_ids])
            assert np.array_equal(y.prompt_ids, whole) and np.array_equal(x.reply_ids, y.reply_ids)
            assert np.allclose(x.logprobs, y.logprobs, atol=1e-5)
            whole = np.concatenate([whole, x.reply_ids])


def test_what_a_window_shows(loaded: LoadedModel) -> None:
    """System message, the replies as they were sampled, and a word for each image that is hidden."""
    policy = PolicyAgent(loaded, Sampling(8), context="window:3:2")
    episode = play(policy, 1, instructions="full")[0]
    instructions = episode.turns[0].messages[0]["content"][0]
    assert instructions["type"] == "text"
    for number, turn in enumerate(episode.turns):
        shown = policy.template.decode(turn.prompt_ids)
        assert shown.startswith("<|im_start|>system") and instructions["text"] in shown
        assert shown.endswith("<|im_start|>assistant\n")
        assert shown.count("<|im_start|>user") == min(number + 1, 3)
        assert shown.count("<|vision_start|>") == min(number + 1, 2)
        assert shown.count(HIDDEN_IMAGE) == (number >= 2)
        joined = turn.prompt_ids.tobytes()
        for index, earlier in enumerate(episode.turns[:number]):
            assert (earlier.reply_ids.tobytes() in joined) == (index > number - 3)


def test_the_state_after_a_cut_episode_is_its_next_prompt(loaded: LoadedModel) -> None:
    for context in ("turn", "window:2:1", "conversation"):
        policy = PolicyAgent(loaded, Sampling(8), context=context)
        longer = rollout(policy, lambda: pictures(9), 2, seed=4, stream=0, max_turns=4)
        shorter = rollout(policy, lambda: pictures(9), 2, seed=4, stream=0, max_turns=3)
        for one, other in zip(longer, shorter, strict=True):
            assert other.stop_reason is StopReason.TURN_LIMIT
            ids, images = state_after(other, policy)
            sequence, turns = episode_sequences(one, policy)[-1]
            assert np.array_equal(ids, sequence.ids[: -len(turns[-1][1].reply_ids)])
            assert [image.digest for image in images] == [image.digest for image in sequence.images]


@pytest.mark.parametrize("context", ["conversation", "window:3:all", "window:all:1"])
def test_an_overflow_ends_the_episode_and_cuts_nothing(loaded: LoadedModel, context: str) -> None:
    wide = PolicyAgent(loaded, Sampling(8), context=context)
    lengths = [
        len(wide.prompt(Conversation(pictures(), e.turns[0].messages, t.messages, e.key, e.turns[:i]))[0])
        for e in play(wide, 1)
        for i, t in enumerate(e.turns)
    ]
    limit = lengths[2] + 8  # room for the third turn's prompt and a reply, and for not one id more
    assert lengths[3] > lengths[2]
    narrow = PolicyAgent(loaded, Sampling(8), context=context, max_context_tokens=limit)
    episode, whole = play(narrow, 1)[0], play(wide, 1)[0]
    assert episode.stop_reason is StopReason.CONTEXT_LIMIT and episode.truncated
    assert len(episode.turns) == 3
    assert message_images(episode.final_messages[-1])
    for one, other in zip(episode.turns, whole.turns, strict=False):
        assert np.array_equal(one.prompt_ids, other.prompt_ids) and np.array_equal(one.reply_ids, other.reply_ids)


def test_prefixes_serve_a_conversation_and_go_with_it(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = PolicyAgent(loaded, Sampling(8))
    assert isinstance(policy.engine, EmbeddedEngine)
    encoded, encode = [], loaded.network.encode_images
    monkeypatch.setattr(loaded.network, "encode_images", lambda images: encoded.append(len(images)) or encode(images))
    episodes = play(policy, 3)
    assert encoded == [3] * TURNS, "each turn encodes the images that are new"
    gc.collect()
    assert isinstance(policy.engine._kept, weakref.WeakSet) and not policy.engine._kept
    plain = play(PolicyAgent(loaded, Sampling(8), prefix_bytes=0), 3)
    again = play(policy, 3)
    for one, other, same in zip(episodes, plain, again, strict=True):
        for a, b, c in zip(one.turns, other.turns, same.turns, strict=True):
            assert np.array_equal(a.reply_ids, b.reply_ids)
            assert np.allclose(a.logprobs, b.logprobs, atol=1e-5)
            assert a.logprobs.tobytes() == c.logprobs.tobytes(), "the same seed gives the same bits"


def test_stop_strings_reach_the_replies(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(30, stop=("e", "1")))
    turns = [turn for episode in play(policy, 3) for turn in episode.turns]
    assert any(set(turn.text) & {"e", "1"} for turn in turns)
    assert not any(set(policy.template.decode(turn.reply_ids[:-1])) & {"e", "1"} for turn in turns)


def test_evaluation_lends_a_window(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(6))
    environment = EnvironmentConfig(id="LMMR1/Sokoban-v0", chat={"max_turns": 3})
    task = EvaluationTask("game", "game", environment, episodes=2, context="window", window_turns=2, window_images=1)
    samples: dict[str, list[Episode]] = {}
    evaluate(policy, [task], seed=0, modes=("greedy",), samples=samples)
    assert {episode.context for episode in samples["game"]} == {"window:2:1"}
    assert policy.context == "conversation"
    assert all(len(episode_sequences(episode, policy)) == len(episode.turns) for episode in samples["game"])


@pytest.mark.parametrize("estimator", ["gae", "reinforce_baseline"])
def test_a_window_is_learned_from(estimator: str) -> None:
    """Every turn a row of its own, episodes cut by the turn limit among them: credit flows over all of it."""
    loaded = random_tiny()
    rollouts = RolloutConfig(
        groups=2, group_size=2, max_new_tokens=6, context="window", window_turns=2, window_images=1
    )
    config = StageConfig(
        kind="ppo",
        help="test",
        iterations=1,
        environments=[EnvironmentConfig("FrozenLake-v1")],
        rollout=rollouts,
        kl=KLConfig(coefficient=1e-3),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup=0),
        ppo=PPOConfig(estimator=estimator, minibatches=1),  # pyright: ignore[reportArgumentType]
    )
    policy = PolicyAgent(loaded, Sampling(6), rollouts.context_word)
    episodes = rollout(policy, lambda: pictures(9), 4, seed=1, stream=0, group_size=2, max_turns=3)
    assert all(episode.truncated for episode in episodes)
    for number, episode in enumerate(episodes):
        episode.turns[number % 3].reward = float(number)
    before = [parameter.clone() for parameter in loaded.model.parameters()]
    metrics = PPOTrainer(policy, config, (0,)).learn(episodes, 0)
    assert all(np.isfinite(value) for value in metrics.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, loaded.model.parameters(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        RolloutConfig,
        partial(EvaluationTaskConfig, "game", EnvironmentConfig("FrozenLake-v1")),
        partial(DemonstrationConfig, EnvironmentConfig("FrozenLake-v1")),
    ],
    ids=["rollout", "evaluation", "demonstrations"],
)
def test_recipes_say_which_window(make: Callable[..., Any]) -> None:
    config = make(context="window", window_turns=3)
    limits = config.context, config.window_turns, config.window_images
    assert str(Context(*limits)) == "window:3:all"
    for wrong, complaint in (
        ({"context": "last"}, "context must be one of conversation, turn, window; not 'last'"),
        ({"context": "window"}, "context window needs window_turns or window_images"),
        ({"context": "turn", "window_images": 1}, "window_images needs context: window; the context is 'turn'"),
        ({"context": "window", "window_turns": 0}, "window_turns must be at least 1, not 0"),
    ):
        with pytest.raises(UserError, match=f"^{complaint}"):
            make(**wrong)


def test_recipes_with_impossible_stop_strings_are_refused() -> None:
    with pytest.raises(UserError, match=r"^stop: a stop string must not be empty"):
        RolloutConfig(stop=("a", ""))
    with pytest.raises(UserError, match=r"^stop: a stop string must not be empty"):
        EvaluationConfig(stop=("",))
    loaded = random_tiny()
    assert isinstance(loaded.tokenizer, PreTrainedTokenizerFast)
    loaded.tokenizer.backend_tokenizer.decoder = Metaspace()
    recipe = """
name: stopping
help: for the test
model: {path: tiny}
stages:
  play:
    kind: ppo
    help: try
    iterations: 1
    environments: [{id: FrozenLake-v1}]
    rollout: {stop: ["</answer>"], window_turns: 2, context: window}
"""
    read = read_recipe(recipe, (), where="stopping")
    assert read.stages["play"].rollout.stop == ("</answer>",)
    with pytest.raises(UserError, match=r"^stages.play.rollout.stop: stop strings need a byte-level tokenizer"):
        check_fit(loaded, read)
