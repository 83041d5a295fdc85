"""The generic engine: prompts run once, histories run once, rows that end make room; and none of it changes a token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.engines.batch import PREFIX_BYTES
from lmmr1.agents.engines.generic import GenericEngine
from lmmr1.agents.models import LoadedModel, load_model
from lmmr1.agents.networks.generic import GenericNetwork

from .models import FAMILIES, save_family

# Many end tokens, so that rows leave at all lengths.
ENDS = tuple(range(40, 70))


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp(request.param)
    save_family(request.param, folder)
    return load_model(str(folder))


def engine(loaded: LoadedModel, slots: int, prefix_bytes: int = PREFIX_BYTES) -> GenericEngine:
    network = GenericNetwork(loaded.model)
    return GenericEngine(network, loaded.banned_ids, ENDS, loaded.pad_id, slots, prefix_bytes=prefix_bytes)


def words(loaded: LoadedModel, rng: np.random.Generator, pictured: bool) -> tuple[np.ndarray, tuple]:
    """Some text; where the model sees and `pictured` says so, a picture before it."""
    ids = loaded.tokenizer.encode("".join(rng.choice(list("abc 12"), size=rng.integers(3, 25))))
    if loaded.images is None or not pictured:
        return np.array(ids, np.int32), ()
    config, picture = loaded.model.config, rng.integers(0, 256, (28 * int(rng.integers(1, 4)), 56, 3), dtype=np.uint8)
    pixels = loaded.images(picture)
    marks = [config.vision_start_token_id, *[config.image_token_id] * pixels.num_tokens, config.vision_end_token_id]
    return np.array([*marks, *ids], np.int32), (pixels,)


def first_turns(loaded: LoadedModel, count: int, distinct: int) -> list[Request]:
    said = [words(loaded, np.random.default_rng(index % distinct), index % 2 == 0) for index in range(count)]
    return [Request(ids, images, (5, index), keep=True) for index, (ids, images) in enumerate(said)]


def next_turns(
    loaded: LoadedModel, before: Sequence[Request], done: Sequence[Completion], kept: bool = True
) -> list[Request]:
    """Everything so far, and more: some turns show a picture and some none."""
    turns = []
    for index, (request, completion) in enumerate(zip(before, done, strict=True)):
        rng = np.random.default_rng((len(request.prompt_ids), index))
        ids, images = words(loaded, rng, index % 3 != 0)
        whole = np.concatenate([request.prompt_ids, completion.ids, ids])
        prefix = completion.prefix if kept else None
        turns.append(Request(whole, (*request.images, *images), (*request.key, len(whole)), prefix, keep=True))
    return turns


def watch(network: GenericNetwork, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and tokens of every forward pass from here on."""
    seen: list[tuple[int, int]] = []
    forward = network.model.forward
    monkeypatch.setattr(
        network.model, "forward", lambda **given: seen.append(tuple(given["input_ids"].shape)) or forward(**given)
    )
    return seen


@pytest.mark.parametrize("slots", [64, 5])
def test_a_kept_prefix_changes_nothing(loaded: LoadedModel, slots: int) -> None:
    runner = engine(loaded, slots)
    turn = first_turns(loaded, 18, 18)
    done = runner.generate(turn, Sampling(16))
    for _ in range(3):
        assert all(completion.prefix is not None for completion in done)
        plain = runner.generate(next_turns(loaded, turn, done, kept=False), Sampling(16))
        turn = next_turns(loaded, turn, done)
        done = runner.generate(turn, Sampling(16))
        assert len({len(completion.ids) for completion in done}) > 3
        for one, other in zip(done, plain, strict=True):
            assert np.array_equal(one.ids, other.ids)
            assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_a_later_turn_runs_the_new_ids_only(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = engine(loaded, 8)
    turn = first_turns(loaded, 1, 1)
    done = runner.generate(turn, Sampling(6))
    for _ in range(3):
        before = len(turn[0].prompt_ids) + len(done[0].ids) - 1  # the last id was sampled and never run
        turn = next_turns(loaded, turn, done)
        with monkeypatch.context() as patch:
            seen = watch(runner.network, patch)
            done = runner.generate(turn, Sampling(6))
        assert seen[0] == (1, len(turn[0].prompt_ids) - before)
        assert set(seen[1:]) <= {(1, 1)}


def test_equal_prompts_are_run_once(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = engine(loaded, 64)
    requests = first_turns(loaded, 24, 4)
    alone = [engine(loaded, 1).generate([request], Sampling(12))[0] for request in requests]
    seen = watch(runner.network, monkeypatch)
    together = runner.generate(requests, Sampling(12))
    assert seen[0][0] == 4 and seen[1][0] > 4
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_rows_that_end_make_room(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = first_turns(loaded, 40, 40)
    expected = engine(loaded, 64).generate(requests, Sampling(24))
    runner = engine(loaded, 8)
    seen = watch(runner.network, monkeypatch)
    found = runner.generate(requests, Sampling(24))
    steps = sum(tokens == 1 for _, tokens in seen)
    longest = [max(len(expected[i].ids) for i in range(first, first + 8)) for first in range(0, 40, 8)]
    assert max(rows for rows, _ in seen) <= 8
    assert steps < sum(longest) - 5, "batches that wait for their last row take as many steps as it has"
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert one.ended == other.ended


def test_prefixes_take_no_more_memory_than_they_may(loaded: LoadedModel) -> None:
    turn = first_turns(loaded, 6, 6)
    everything = engine(loaded, 8)
    done = everything.generate(turn, Sampling(8))
    taken = sum(kept.num_bytes for kept in everything._kept)
    assert taken > 0
    del done
    assert len(everything._kept) == 0, "memory goes with the conversations that held it"
    assert all(c.prefix is None for c in engine(loaded, 8, prefix_bytes=0).generate(turn, Sampling(8)))
    narrow = engine(loaded, 8, prefix_bytes=taken // 2)
    done = narrow.generate(turn, Sampling(8))
    assert 0 < sum(completion.prefix is not None for completion in done) < 6
    assert sum(kept.num_bytes for kept in narrow._kept) <= taken // 2


def test_a_prefix_of_other_weights_is_not_used(tmp_path: Path) -> None:
    save_family("qwen3", tmp_path)
    loaded = load_model(str(tmp_path))
    runner = engine(loaded, 8)
    turn = first_turns(loaded, 4, 4)
    done = runner.generate(turn, Sampling(8))
    with torch.no_grad():
        loaded.model.model.layers[0].self_attn.k_proj.weight += 0.1
    after = runner.generate(next_turns(loaded, turn, done), Sampling(8))
    plain = runner.generate(next_turns(loaded, turn, done, kept=False), Sampling(8))
    for one, other in zip(after, plain, strict=True):
        assert np.array_equal(one.ids, other.ids) and one.logprobs.tobytes() == other.logprobs.tobytes()
