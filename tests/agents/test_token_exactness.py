"""The promise that every other one stands on: ids are what was sampled, in every family, over turns with images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.models import LoadedModel, load_model
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import rollout
from lmmr1.envs.chat import ChatEnv
from lmmr1.training.batching import episode_sequences

from .models import FAMILIES, random_tiny, save_family
from .worlds import pictures

pytestmark = pytest.mark.usefixtures("both_kernels_and_none")

TURNS = 5


def words() -> ChatEnv:
    import gymnasium as gym

    return ChatEnv(gym.make("FrozenLake-v1", is_slippery=False), instructions="brief")


@pytest.fixture(scope="module", params=["tiny", *FAMILIES])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    if request.param == "tiny":
        return random_tiny()
    folder: Path = tmp_path_factory.mktemp(request.param)
    save_family(request.param, folder)
    return load_model(str(folder))


@pytest.fixture(scope="module")
def policy(loaded: LoadedModel) -> PolicyAgent:
    return PolicyAgent(loaded, Sampling(max_new_tokens=12))


@pytest.fixture(scope="module")
def episodes(policy: PolicyAgent):
    # Random replies are hardly ever legal actions: an illegal one costs a turn and shows the picture again.
    make = (lambda: pictures(TURNS)) if policy.loaded.images is not None else words
    return rollout(policy, make, 4, seed=3, stream=0, max_turns=TURNS)


def test_episodes_have_five_turns(episodes) -> None:
    assert [len(episode.turns) for episode in episodes] == [TURNS] * len(episodes)


def test_each_prompt_starts_with_all_ids_before_it(policy: PolicyAgent, episodes) -> None:
    from lmmr1.agents.base import Conversation
    from lmmr1.envs.messages import assistant

    make = pictures(TURNS) if policy.loaded.images is not None else words()
    for episode in episodes:
        messages, before = [], np.zeros(0, np.int32)
        for index, turn in enumerate(episode.turns):
            messages = messages + turn.messages
            conversation = Conversation(make, messages, turn.messages, episode.key, episode.turns[:index])
            prompt, added, _ = policy.prompt(conversation)
            assert np.array_equal(prompt[: len(before)], before)
            assert np.array_equal(prompt[len(before) :], added)
            assert np.array_equal(added, turn.prompt_ids)
            before = np.concatenate([prompt, turn.reply_ids])
            messages = [*messages, assistant(turn.text)]


def test_incremental_ids_are_those_of_the_whole_template(policy: PolicyAgent, episodes) -> None:
    """Where the replies are text that the tokenizer writes back the same way, one rendering gives the same ids."""
    from lmmr1.envs.messages import assistant

    ids = [policy.template.tokenizer.encode(f"<think>go {i}</think><answer>1</answer>") for i in range(3)]
    shown = [turn.messages for turn in episodes[0].turns[:4]]
    whole, _ = policy.template.first([*shown[0]])
    joined = [whole]
    for reply, new in zip(ids, shown[1:], strict=True):
        joined += [np.array([*reply, policy.loaded.end_ids[0]]), policy.template.following(new, True)[0]]
    conversation = list(shown[0])
    for i, new in enumerate(shown[1:]):
        conversation += [assistant(f"<think>go {i}</think><answer>1</answer>"), *new]
    at_once, _ = policy.template.first(conversation)
    assert np.array_equal(np.concatenate(joined), at_once)


def test_image_tokens_equal_what_the_vision_tower_makes(policy: PolicyAgent, episodes) -> None:
    if policy.loaded.images is None:
        pytest.skip("a language model shows no image")
    image_token = policy.loaded.model.config.image_token_id
    for episode in episodes:
        sequence, _ = episode_sequences(episode, policy)[0]
        assert len(sequence.images) == TURNS
        tokens = sum(image.num_tokens for image in sequence.images)
        assert int((sequence.ids == image_token).sum()) == tokens
        for image in sequence.images:
            output = policy.loaded.model.model.get_image_features(
                image.patches(), torch.tensor([image.grid])
            ).pooler_output
            assert sum(len(part) for part in output) == image.num_tokens


def test_banned_tokens_are_never_sampled(policy: PolicyAgent, episodes) -> None:
    sampled = {int(i) for episode in episodes for turn in episode.turns for i in turn.reply_ids}
    assert len(sampled) > 20
    assert not sampled & set(policy.loaded.banned_ids)
    if policy.loaded.images is not None:
        config = policy.loaded.model.config
        assert {config.image_token_id, config.vision_start_token_id} <= set(policy.loaded.banned_ids)


def test_text_is_derived_from_ids(policy: PolicyAgent, episodes) -> None:
    for episode in episodes:
        for turn in episode.turns:
            assert turn.text == policy.template.decode(turn.reply_ids)


def test_rollout_logprobs_equal_a_teacher_forced_pass(policy: PolicyAgent, episodes) -> None:
    loaded = policy.loaded
    for episode in episodes:
        sequence, turns = episode_sequences(episode, policy)[0]
        rows = Rows.pack([sequence.ids], [sequence.images], loaded.pad_id)
        with torch.no_grad():
            hidden = loaded.network.hidden(rows)[0, sequence.predictors]
            logprobs = policy.sampler.log_probabilities(loaded.network.logits(hidden), 1.0)
        ids = np.concatenate([turn.reply_ids for _, turn in turns])
        kept = np.concatenate([turn.logprobs for _, turn in turns])
        replayed = logprobs.gather(1, torch.from_numpy(ids).long()[:, None])[:, 0].numpy()
        assert np.abs(replayed - kept).max() < 1e-5


def test_transformers_forward_agrees(policy: PolicyAgent, episodes) -> None:
    """The same ids through the module's own forward, positions made by the module itself."""
    loaded = policy.loaded
    for episode in episodes[:2]:
        sequence, _ = episode_sequences(episode, policy)[0]
        inputs = {"input_ids": torch.from_numpy(sequence.ids).long()[None]}
        if sequence.images:
            image_token = loaded.model.config.image_token_id
            inputs["pixel_values"] = torch.cat([image.patches() for image in sequence.images])
            inputs["image_grid_thw"] = torch.tensor([image.grid for image in sequence.images])
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == image_token).int()
        rows = Rows.pack([sequence.ids], [sequence.images], loaded.pad_id)
        with torch.no_grad():
            theirs = loaded.model(**inputs).logits[0]
            ours = loaded.network.logits(loaded.network.hidden(rows))[0]
        assert (theirs - ours).abs().max() < 2e-4 * theirs.abs().max()


def test_a_turn_context_shows_only_the_present(loaded: LoadedModel) -> None:
    policy = PolicyAgent(loaded, Sampling(8), context="turn")
    make = (lambda: pictures(3)) if loaded.images is not None else words
    episode = rollout(policy, make, 1, seed=1, stream=0, max_turns=3)[0]
    assert episode.context == "turn"
    for turn in episode.turns:
        expected, _ = policy.template.first(turn.messages)
        assert np.array_equal(turn.prompt_ids, expected)
    assert len(episode_sequences(episode, policy)) == len(episode.turns)


@pytest.mark.parametrize("context", ["window:2:1", "window:3:all", "window:all:2"])
def test_a_window_is_exact_in_every_turn(loaded: LoadedModel, context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained on is what was in the prompt, and the kept log-probabilities are those of that prompt."""
    policy = PolicyAgent(loaded, Sampling(8), context=context)
    prompts, generate = [], policy.engine.generate
    monkeypatch.setattr(
        policy.engine, "generate", lambda requests, s: prompts.extend(requests) or generate(requests, s)
    )
    make = (lambda: pictures(TURNS)) if loaded.images is not None else words
    episode = rollout(policy, make, 1, seed=1, stream=0, max_turns=TURNS)[0]
    sequences = episode_sequences(episode, policy)
    assert len(sequences) == len(prompts) == TURNS
    image_token = loaded.model.config.image_token_id if loaded.images is not None else -1
    for number, ((sequence, turns), request) in enumerate(zip(sequences, prompts, strict=True)):
        turn = episode.turns[number]
        assert turns == [(number, turn)]
        assert np.array_equal(sequence.ids, np.concatenate([request.prompt_ids, turn.reply_ids]))
        assert [image.digest for image in sequence.images] == [image.digest for image in request.images]
        assert int((sequence.ids == image_token).sum()) == sum(image.num_tokens for image in sequence.images)
        rows = Rows.pack([sequence.ids], [sequence.images], loaded.pad_id)
        with torch.no_grad():
            hidden = loaded.network.hidden(rows)[0, sequence.predictors]
            logprobs = policy.sampler.log_probabilities(loaded.network.logits(hidden), 1.0)
        replayed = logprobs.gather(1, torch.from_numpy(turn.reply_ids).long()[:, None])[:, 0].numpy()
        assert np.abs(replayed - turn.logprobs).max() < 1e-5
