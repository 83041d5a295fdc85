"""The steps of a GPU, run one by one on the CPU: the same samples as the CPU's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.stopping import StopStrings
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.networks.qwen import QwenNetwork

from ..models import random_tiny


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny()


def engine(loaded: LoadedModel, steady: bool, slots: int = 64) -> EmbeddedEngine:
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    stop_strings = StopStrings(loaded.tokenizer, network.vocabulary_size)
    made = EmbeddedEngine(network, loaded.banned_ids, loaded.end_ids, loaded.pad_id, slots, stop_strings)
    assert not made.steady, "a CPU has steps of its own"
    made.steady = steady
    return made


def requests(loaded: LoadedModel, count: int, images: bool, keep: bool = False) -> list[Request]:
    made = []
    for index in range(count):
        rng = np.random.default_rng(index)
        ids = loaded.tokenizer.encode("".join(rng.choice(list("abc 12"), size=rng.integers(3, 25))))
        pixels = ()
        if images:
            assert loaded.images is not None
            config = loaded.model.config
            pixels = (loaded.images(rng.integers(0, 256, (84, 56, 3), dtype=np.uint8)),)
            ids = [config.vision_start_token_id, *[config.image_token_id] * pixels[0].num_tokens, *ids]
        made.append(Request(np.array(ids, np.int32), pixels, (5, index), keep=keep))
    return made


def assert_same(some: list[Completion], others: list[Completion]) -> None:
    for one, other in zip(some, others, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)
        assert one.ended == other.ended


@pytest.mark.parametrize("images", [False, True], ids=["text", "images"])
@pytest.mark.parametrize(
    "sampling",
    [Sampling(40), Sampling(40, 0.7), Sampling(40, greedy=True), Sampling(40, stop=("a", "1 "))],
    ids=["sampled", "cooler", "greedy", "stop strings"],
)
def test_the_same_samples(loaded: LoadedModel, images: bool, sampling: Sampling) -> None:
    asked = requests(loaded, 24, images)
    expected = engine(loaded, False).generate(asked, sampling)
    found = engine(loaded, True).generate(asked, sampling)
    assert_same(found, expected)
    assert len({len(completion.ids) for completion in found}) > 1 or sampling.greedy, "they should end at many places"


def test_rows_enter_and_leave(loaded: LoadedModel) -> None:
    asked = requests(loaded, 40, True)
    assert_same(
        engine(loaded, True, slots=6).generate(asked, Sampling(40)),
        engine(loaded, False).generate(asked, Sampling(40)),
    )


def test_a_window_that_is_full_is_left_for_the_next(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmmr1.agents.engines.device.steps.WINDOW", 8)
    asked = requests(loaded, 10, False)
    assert_same(
        engine(loaded, True).generate(asked, Sampling(40)),
        engine(loaded, False).generate(asked, Sampling(40)),
    )


def test_a_conversation_goes_on_from_its_cache(loaded: LoadedModel) -> None:
    following: list[list[Completion]] = []
    for steady in (True, False):
        played = engine(loaded, steady)
        first = requests(loaded, 12, True, keep=True)
        said = played.generate(first, Sampling(30))
        assert all(completion.prefix is not None for completion in said)
        second = [
            Request(
                np.concatenate([request.prompt_ids, completion.ids, request.prompt_ids[-3:]]),
                request.images,
                (6, index),
                completion.prefix,
            )
            for index, (request, completion) in enumerate(zip(first, said, strict=True))
        ]
        following.append(played.generate(second, Sampling(30)))
    assert_same(*following)


def test_what_was_asked_of_torch_is_asked_again_afterwards(loaded: LoadedModel) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        engine(loaded, True).generate(requests(loaded, 2, False), Sampling(5))
        assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
