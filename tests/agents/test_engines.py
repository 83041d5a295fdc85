"""The engines: the same tokens as `transformers`, whoever else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from lmmr1.agents.engines.base import Completion, Request, Sampling, uniforms
from lmmr1.agents.engines.batch import Batch
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.generic import GenericEngine
from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.engines.stopping import StopStrings, token_bytes
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.template import Template
from lmmr1.envs.errors import UserError

from .models import random_tiny

pytestmark = pytest.mark.usefixtures("both_kernels_and_none")


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


def test_rows_that_ended_may_fill_up_a_batch(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = tuple(range(40, 80))
    requests = [Request(r.prompt_ids, r.images, r.key, keep=True) for r in make_requests(loaded, 30, 30, False)]
    plain = embedded(loaded, ends, 16).generate(requests, Sampling(30))
    sizes: list[int] = []
    kept = Batch.kept
    monkeypatch.setattr(Batch, "kept", lambda batch, rows: sizes.append(len(rows)) or kept(batch, rows))
    monkeypatch.setattr(QwenNetwork, "row_multiple", 16)
    filled = embedded(loaded, ends, 16).generate(requests, Sampling(30))
    assert sizes and not any(size % 4 for size in sizes)
    for one, other in zip(filled, plain, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert one.prefix is not None and other.prefix is not None
        assert np.array_equal(one.prefix.ids, other.prefix.ids)


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


def next_turns(
    loaded: LoadedModel, requests: Sequence[Request], done: Sequence[Completion], kept: bool = True
) -> list[Request]:
    """The requests of the turn after `done`: everything so far, an image and a few words."""
    new = make_requests(loaded, len(requests), len(requests), images=True)[::-1]
    return [
        Request(
            np.concatenate([before.prompt_ids, completion.ids, added.prompt_ids]),
            (*before.images, *added.images),
            (*before.key, len(before.prompt_ids)),
            completion.prefix if kept else None,
            keep=True,
        )
        for before, completion, added in zip(requests, done, new, strict=True)
    ]


def first_turns(loaded: LoadedModel, count: int, distinct: int) -> list[Request]:
    requests = make_requests(loaded, count, distinct, images=True)
    return [Request(r.prompt_ids, r.images, r.key, keep=True) for r in requests]


@pytest.mark.parametrize("slots", [64, 5])
def test_a_kept_prefix_changes_nothing(loaded: LoadedModel, slots: int) -> None:
    # Many end tokens, so that rows leave at all lengths; equal prompts, so that some of them share a prefix.
    runner = embedded(loaded, tuple(range(40, 60)), slots)
    turn = first_turns(loaded, 24, 9)
    done = runner.generate(turn, Sampling(20))
    for _ in range(4):
        assert all(completion.prefix is not None for completion in done)
        plain = runner.generate(next_turns(loaded, turn, done, kept=False), Sampling(20))
        turn = next_turns(loaded, turn, done)
        done = runner.generate(turn, Sampling(20))
        assert len({len(completion.ids) for completion in done}) > 3
        for one, other in zip(done, plain, strict=True):
            assert np.array_equal(one.ids, other.ids)
            assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_a_later_turn_runs_the_new_ids_only(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    images, tokens = [], []
    encode, embed = network.encode_images, network.embed
    monkeypatch.setattr(network, "encode_images", lambda new: images.append(len(new)) or encode(new))
    monkeypatch.setattr(
        network, "embed", lambda weights, ids, features: tokens.append(ids.numel()) or embed(weights, ids, features)
    )
    runner = engine(loaded, 8)
    turn = first_turns(loaded, 1, 1)
    done = runner.generate(turn, Sampling(6))
    for _ in range(3):
        before = len(turn[0].prompt_ids) + len(done[0].ids) - 1  # the last id was sampled and never run
        turn = next_turns(loaded, turn, done)
        done = runner.generate(turn, Sampling(6))
        assert tokens[-1] == len(turn[0].prompt_ids) - before
    assert images == [1, 1, 1, 1]


def test_samples_of_equal_conversations_are_run_once(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    runner = engine(loaded, 8)
    done = runner.generate(first_turns(loaded, 6, 2), Sampling(5, greedy=True))
    again = next_turns(loaded, first_turns(loaded, 6, 2), done)
    again = [Request(*vars(again[i % 2]).values()) for i in range(6)]
    rows, embed = [], network.embed
    monkeypatch.setattr(
        network, "embed", lambda weights, ids, features: rows.append(len(ids)) or embed(weights, ids, features)
    )
    runner.generate(again, Sampling(5))
    assert rows == [2]


def test_a_prefix_of_other_weights_is_not_used(tmp_path: Path) -> None:
    loaded = random_tiny(seed=3)
    runner = engine(loaded, 8)
    turn = first_turns(loaded, 4, 4)
    done = runner.generate(turn, Sampling(8))
    optimizer = torch.optim.AdamW([loaded.model.model.visual.patch_embed.proj.weight], lr=0.05, fused=True)
    optimizer.param_groups[0]["params"][0].grad = torch.ones_like(optimizer.param_groups[0]["params"][0])
    optimizer.step()
    turns = next_turns(loaded, turn, done)
    after = runner.generate(turns, Sampling(8))
    plain = engine(loaded, 8).generate(next_turns(loaded, turn, done, kept=False), Sampling(8))
    for one, other in zip(after, plain, strict=True):
        assert np.array_equal(one.ids, other.ids) and one.logprobs.tobytes() == other.logprobs.tobytes()


def test_a_prefix_that_does_not_begin_the_prompt_is_not_used(loaded: LoadedModel) -> None:
    runner = engine(loaded, 8)
    turn = first_turns(loaded, 2, 2)
    done = runner.generate(turn, Sampling(8))
    turns = next_turns(loaded, turn, done)
    assert turns[0].prefix is not None and turns[1].prefix is not None
    for wrong in (
        Request(turns[1].prompt_ids, turns[1].images, (1,), turns[0].prefix),  # another conversation's
        Request(turns[1].prompt_ids, (turns[0].images[0], turns[1].images[1]), (1,), turns[1].prefix),  # same ids
    ):
        plain = Request(wrong.prompt_ids, wrong.images, wrong.key)
        one, other = (runner.generate([request], Sampling(8))[0] for request in (wrong, plain))
        assert one.logprobs.tobytes() == other.logprobs.tobytes()
        assert wrong.prefix is not None and wrong.prefix.rows is None


def test_prefixes_take_no_more_memory_than_they_may(loaded: LoadedModel) -> None:
    assert isinstance(loaded.network, QwenNetwork)
    turn = first_turns(loaded, 6, 6)
    arguments = (loaded.network, loaded.banned_ids, loaded.end_ids, loaded.pad_id)
    everything = EmbeddedEngine(*arguments)
    done = everything.generate(turn, Sampling(8))
    taken = sum(kept.num_bytes for kept in everything._kept)
    assert taken > 0
    del done
    assert len(everything._kept) == 0, "memory goes with the conversations that held it"
    assert all(c.prefix is None for c in EmbeddedEngine(*arguments, prefix_bytes=0).generate(turn, Sampling(8)))
    narrow = EmbeddedEngine(*arguments, prefix_bytes=taken // 2)
    done = narrow.generate(turn, Sampling(8))
    assert 0 < sum(completion.prefix is not None for completion in done) < 6
    assert sum(kept.num_bytes for kept in narrow._kept) <= taken // 2
    plain = everything.generate(next_turns(loaded, turn, done, kept=False), Sampling(8))
    for one, other in zip(narrow.generate(next_turns(loaded, turn, done), Sampling(8)), plain, strict=True):
        assert np.array_equal(one.ids, other.ids)


def test_nothing_is_kept_unasked(loaded: LoadedModel) -> None:
    assert all(c.prefix is None for c in engine(loaded, 8).generate(make_requests(loaded, 4, 4, True), Sampling(4)))


def cut_by_decoding(template: Template, ids: np.ndarray, stop: Sequence[str]) -> int:
    """How many of `ids` there are up to the first whose text holds a stop string; all where none does."""
    for count in range(1, len(ids) + 1):
        if any(text in template.decode(ids[:count]) for text in stop):
            return count
    return len(ids)


@pytest.mark.parametrize("fused", [True, False], ids=["embedded", "generic"])
@pytest.mark.parametrize("stop", [("a",), ("</think>", "B", "é", "9"), ("7<", "me", "goal box", " ")], ids=str)
def test_a_stop_string_ends_a_reply_at_its_token(loaded: LoadedModel, fused: bool, stop: tuple[str, ...]) -> None:
    strings = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size)
    arguments = (loaded.banned_ids, loaded.end_ids, loaded.pad_id, 16, strings)
    assert isinstance(loaded.network, QwenNetwork)
    runner = (
        EmbeddedEngine(loaded.network, *arguments) if fused else GenericEngine(GenericNetwork(loaded.model), *arguments)
    )
    requests = make_requests(loaded, 40, 40, False)
    free = runner.generate(requests, Sampling(40))
    stopped = runner.generate(requests, Sampling(40, stop=stop))
    template = Template(loaded)
    cuts = [cut_by_decoding(template, completion.ids, stop) for completion in free]
    assert [len(completion.ids) for completion in stopped] == cuts
    assert sum(cut < len(completion.ids) for cut, completion in zip(cuts, free, strict=True)) > 3
    for one, other, cut in zip(stopped, free, cuts, strict=True):
        assert np.array_equal(one.ids, other.ids[:cut])
        assert one.ended == (int(one.ids[-1]) in loaded.end_ids or any(s in template.decode(one.ids) for s in stop))


def test_the_stop_table_finds_strings_across_tokens_and_inside_them(loaded: LoadedModel) -> None:
    tokenizer, size = loaded.tokenizer, loaded.network.vocabulary_size
    strings = ("abab", "bb", "er re", "ü\U0001f642", "<answer>x")
    table, pieces = StopStrings(tokenizer, size).table(strings), token_bytes(tokenizer, size)
    rng = np.random.default_rng(0)
    speakable = np.array(tokenizer.encode("ab er reuserabü\U0001f642x<answer>Perimeter read Your"))
    found = 0
    for _ in range(300):
        ids = rng.choice(speakable, 30)
        state, first = 0, None
        for count, token in enumerate(ids.tolist(), 1):
            state = int(table[state, token])
            if state == len(table) - 1 and first is None:
                first = count
        text = b"".join(pieces[token] for token in ids.tolist()[: first or len(ids)])
        assert first == next((n for n in range(1, 31) if any(s in tokenizer.decode(ids[:n]) for s in strings)), None)
        assert any(s.encode() in text for s in strings) == (first is not None)
        found += first is not None
    assert 50 < found < 300


def test_stop_strings_that_cannot_be_are_refused(loaded: LoadedModel) -> None:
    from tokenizers.decoders import Metaspace

    strings = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size)
    with pytest.raises(UserError, match="a stop string must not be empty"):
        strings.table(("a", ""))
    other = random_tiny().tokenizer
    assert isinstance(other, PreTrainedTokenizerFast)
    other.backend_tokenizer.decoder = Metaspace()
    with pytest.raises(UserError, match="need a byte-level tokenizer, and that of .* is none; leave stop empty"):
        StopStrings(other, 400).table(("a",))
