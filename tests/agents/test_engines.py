"""The engines: the same tokens as `transformers`, whoever else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Request, Sampling, uniforms
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.generic import GenericEngine
from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork

from .models import random_tiny


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def make_requests(loaded: LoadedModel, count: int, distinct: int, images: bool) -> list[Request]:
    requests = []
    for index in range(count):
        rng = np.random.default_rng(index % distinct)
        words = loaded.tokenizer.encode("".join(rng.choice(list("abc 12"), size=rng.integers(3, 25))))
        pixels = ()
        if images:
            assert loaded.images is not None
            config = loaded.model.config
            pixels = (loaded.images(rng.integers(0, 256, (84, 56, 3), dtype=np.uint8)),)
            marks = [config.image_token_id] * pixels[0].num_tokens
            words = [config.vision_start_token_id, *marks, config.vision_end_token_id, *words]
        requests.append(Request(np.array(words, np.int32), pixels, (5, index)))
    return requests


def engine(loaded: LoadedModel, slots: int) -> EmbeddedEngine:
    return embedded(loaded, loaded.end_ids, slots)


def embedded(loaded: LoadedModel, ends: Sequence[int], slots: int) -> EmbeddedEngine:
    assert isinstance(loaded.network, QwenNetwork)
    return EmbeddedEngine(loaded.network, loaded.banned_ids, ends, loaded.pad_id, slots)


@pytest.mark.parametrize("images", [False, True], ids=["text", "images"])
@pytest.mark.parametrize("slots", [64, 7])
def test_greedy_tokens_are_those_of_transformers_generate(loaded: LoadedModel, images: bool, slots: int) -> None:
    requests = make_requests(loaded, 24, 20, images)
    ours = engine(loaded, slots).generate(requests, Sampling(24, greedy=True))
    rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], loaded.pad_id)
    inputs = GenericNetwork(loaded.model).inputs(rows, left=True)
    theirs = loaded.model.generate(  # pyright: ignore[reportCallIssue]  # the base class does not declare it
        **inputs, do_sample=False, max_new_tokens=24, suppress_tokens=list(loaded.banned_ids)
    )[:, rows.ids.shape[1] :]
    for row, completion in zip(theirs.numpy(), ours, strict=True):
        assert np.array_equal(row[: len(completion.ids)], completion.ids)


def test_a_sample_does_not_depend_on_its_neighbours(loaded: LoadedModel) -> None:
    requests = make_requests(loaded, 40, 10, True)
    together = engine(loaded, 64).generate(requests, Sampling(20))
    crowded = engine(loaded, 6).generate(requests, Sampling(20))
    alone = [engine(loaded, 1).generate([request], Sampling(20))[0] for request in requests[:8]]
    for one, other in zip(together, crowded, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)
    for one, other in zip(together, alone, strict=False):
        assert np.array_equal(one.ids, other.ids)


def test_ragged_sequences_end_at_their_own_end_token(loaded: LoadedModel) -> None:
    # Many end tokens make replies end at all lengths, so rows leave and enter all the time.
    ends = tuple(range(40, 80))
    requests = make_requests(loaded, 60, 60, False)
    ragged = embedded(loaded, ends, 16).generate(requests, Sampling(30))
    generic = GenericEngine(GenericNetwork(loaded.model), loaded.banned_ids, ends, loaded.pad_id, 60)
    reference = generic.generate(requests, Sampling(30))
    lengths = {len(completion.ids) for completion in ragged}
    assert len(lengths) > 5
    for one, other in zip(ragged, reference, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert one.ended == other.ended == (int(one.ids[-1]) in ends)
        assert not set(one.ids[:-1].tolist()) & set(ends)
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_equal_images_are_encoded_once(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    encode = loaded.network.encode_images
    monkeypatch.setattr(loaded.network, "encode_images", lambda images: seen.append(len(images)) or encode(images))
    engine(loaded, 64).generate(make_requests(loaded, 32, 4, True), Sampling(3))
    assert seen == [4]


def test_an_empty_batch_is_an_empty_list(loaded: LoadedModel) -> None:
    assert engine(loaded, 4).generate([], Sampling(3)) == []


def test_sampler_follows_the_distribution_and_skips_banned_ids() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.1, 0.1]])).expand(20_000, -1)
    sampler = Sampler(4, [1], "cpu")
    noise = torch.from_numpy(uniforms((1, 2), 20_000))
    tokens, logprobs = sampler(logits, noise, 1.0, greedy=False)
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    assert shares[1] == 0
    assert torch.allclose(shares[[0, 2, 3]], torch.tensor([5 / 7, 1 / 7, 1 / 7]), atol=0.01)
    expected = torch.log(torch.tensor([5 / 7, 0.0, 1 / 7, 1 / 7]))[tokens]
    assert torch.allclose(logprobs, expected, atol=1e-5)


def test_temperature_sharpens_the_kept_logprobs() -> None:
    sampler = Sampler(3, [], "cpu")
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    expected = torch.log_softmax(logits / 0.5, -1)
    token, logprob = sampler(logits, torch.tensor([0.99]), 0.5, greedy=False)
    assert logprob.item() == pytest.approx(expected[0, token].item(), abs=1e-6)


def test_the_extremes_of_the_noise_are_inside_the_distribution() -> None:
    sampler = Sampler(5, [0, 4], "cpu")
    logits = torch.zeros(2, 5)
    tokens, _ = sampler(logits, torch.tensor([0.0, np.nextafter(np.float32(1), np.float32(0))]), 1.0, greedy=False)
    assert tokens.tolist() == [1, 3]


def test_features_are_kept_only_when_asked(loaded: LoadedModel, tmp_path: Path) -> None:
    keeper = engine(loaded, 8)
    requests = make_requests(loaded, 4, 4, True)
    keeper.generate(requests, Sampling(2))
    assert keeper.features == {}
    keeper.keep_features = True
    keeper.generate(requests, Sampling(2))
    assert len(keeper.features) == 4
