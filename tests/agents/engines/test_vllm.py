"""vLLM in the learner's process: what it samples, from which weights, and what it leaves behind."""

# pyright: reportMissingImports=false
from __future__ import annotations

import random
from collections.abc import Iterator

import llvmlite.binding  # noqa: F401  # in the way of vLLM unless that is seen to
import numpy as np
import psutil
import pytest
import torch

from lmmr1.agents.engines.base import Request, Sampling
from lmmr1.agents.engines.config import EngineConfig
from lmmr1.agents.engines.opening import open_engine
from lmmr1.agents.engines.stopping import StopStrings
from lmmr1.agents.engines.vllm.engine import VLLMEngine
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.streaming.calls import EngineLostError
from lmmr1.envs.errors import UserError

from ..models import random_tiny
from .parity import following, largest_gap, perturb, picture_requests, same, text_requests

pytestmark = pytest.mark.stack("vllm")
# What the log-probabilities of two programs in float32 may differ by, in nats.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return random_tiny(heads=3)


@pytest.fixture(scope="module")
def engine(loaded: LoadedModel) -> Iterator[VLLMEngine]:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    before = states()
    engine = open_engine(loaded, EngineConfig("vllm", kv_cache_gib=0.25, sleep=True), 1024, 64)
    assert isinstance(engine, VLLMEngine)
    assert states() == before, "vLLM changed what belongs to the whole process"
    yield engine
    engine.close()
    engine.close()
    assert not torch.distributed.is_initialized()
    torch.use_deterministic_algorithms(False)


def states() -> tuple:
    """What vLLM would change for everybody."""
    figures = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    return *figures, torch.get_num_threads(), torch.set_num_threads, torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("greedy", [False, True], ids=["sampled", "greedy"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probabilities_are_the_learners(
    engine: VLLMEngine, loaded: LoadedModel, temperature: float, greedy: bool
) -> None:
    requests = text_requests(loaded, 6) + picture_requests(loaded)
    before = states()
    completions = engine.generate(requests, Sampling(24, temperature, greedy))
    assert states() == before
    assert largest_gap(loaded, requests, completions, temperature) < ROUNDING
    assert not {int(token) for one in completions for token in one.ids} & set(loaded.banned_ids)
    assert all(one.ended == (int(one.ids[-1]) in loaded.end_ids) for one in completions)


def test_banned_ids_would_have_been_sampled(engine: VLLMEngine, loaded: LoadedModel) -> None:
    # Else the test above could not fail: make one of them by far the likeliest.
    weight = loaded.model.get_parameter("lm_head.weight")
    kept = weight.detach().clone()
    request = text_requests(loaded, 1)
    banned, likeliest = loaded.banned_ids[0], engine.generate(request, Sampling(1, greedy=True))[0].ids[0]
    try:
        with torch.no_grad():
            weight[banned] = 3 * weight[int(likeliest)]
        engine.update_weights(1)
        completions = engine.generate(request, Sampling(8, greedy=True))
        assert banned not in completions[0].ids
        assert largest_gap(loaded, request, completions) < ROUNDING
    finally:
        with torch.no_grad():
            weight.copy_(kept)
        engine.update_weights(0)


def test_later_turns_with_more_pictures(engine: VLLMEngine, loaded: LoadedModel) -> None:
    requests = picture_requests(loaded)
    for turn in range(3):
        completions = engine.generate(requests, Sampling(12))
        assert largest_gap(loaded, requests, completions) < ROUNDING
        picture = np.random.default_rng(turn).integers(0, 256, (84, 84, 3), dtype=np.uint8)
        requests = [
            following(loaded, request, completion, picture)
            for request, completion in zip(requests, completions, strict=True)
        ]
    assert len(requests[1].images) == 5


def test_a_sample_depends_on_its_key_alone(engine: VLLMEngine, loaded: LoadedModel) -> None:
    requests = text_requests(loaded, 8) + picture_requests(loaded)
    together = engine.generate(requests, Sampling(24))
    turned = engine.generate(requests[::-1], Sampling(24))[::-1]
    alone = [engine.generate([request], Sampling(24))[0] for request in requests[-3:]]
    assert all(map(same, together, turned))
    assert all(map(same, together[-3:], alone))
    others = [Request(r.prompt_ids, r.images, (8, *r.key[1:])) for r in requests]
    assert sum(map(same, together, engine.generate(others, Sampling(24)))) < 3


def test_stop_strings_end_a_reply_with_the_token_that_completes_them(engine: VLLMEngine, loaded: LoadedModel) -> None:
    requests = text_requests(loaded, 12) + picture_requests(loaded)
    free = engine.generate(requests, Sampling(24))
    stop = tuple(sorted({str(loaded.tokenizer.decode(one.ids[len(one.ids) // 2 :][:2])) for one in free[:6]} - {""}))
    table = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size).table(stop)
    stopped = engine.generate(requests, Sampling(24, stop=stop))
    for whole, cut in zip(free, stopped, strict=True):
        state, count = 0, 0
        while count < len(whole.ids) and state != len(table) - 1:
            state, count = int(table[state, whole.ids[count]]), count + 1
        assert np.array_equal(cut.ids, whole.ids[:count])
        assert cut.ended == (state == len(table) - 1 or whole.ended)
    assert sum(len(cut.ids) < len(whole.ids) for whole, cut in zip(free, stopped, strict=True)) >= 3
    assert not engine.llms[0].llm_engine.has_unfinished_requests()
    assert largest_gap(loaded, requests, stopped) < ROUNDING


def test_new_weights_are_taken_when_told_and_not_before(engine: VLLMEngine, loaded: LoadedModel) -> None:
    # The head is the embedding, of which vLLM on a CPU keeps a packed copy that a reload alone leaves as it was.
    assert loaded.model.config.tie_word_embeddings
    requests = text_requests(loaded, 6) + picture_requests(loaded)
    engine.update_weights(6)
    before = engine.generate(requests, Sampling(24))
    perturb(loaded, 1)
    assert all(map(same, before, engine.generate(requests, Sampling(24)))), "it holds weights of its own"
    assert largest_gap(loaded, requests, before) > 0.1
    engine.update_weights(7)
    after = engine.generate(requests, Sampling(24))
    assert largest_gap(loaded, requests, after) < ROUNDING
    assert {one.version for one in before} == {6} and {one.version for one in after} == {7}
    assert engine.llms[0].llm_engine.get_weight_version() == "7"


def test_fifty_updates_leave_nothing_behind(engine: VLLMEngine, loaded: LoadedModel) -> None:
    requests = text_requests(loaded, 4) + picture_requests(loaded)
    process, sizes, completions = psutil.Process(), [], []
    for update in range(60):
        perturb(loaded, update, 0.01)
        engine.update_weights(update)
        completions = engine.generate(requests, Sampling(4))
        sizes.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
    assert largest_gap(loaded, requests, completions) < ROUNDING
    model = sum(parameter.nbytes for parameter in loaded.model.parameters())
    assert sizes[-1][0] - sizes[9][0] < 4 * model, "more than 0.1 of a copy of the model an update"
    assert sizes[-1][1:] == sizes[9][1:]


def test_it_sleeps_when_told_and_wakes_when_needed(
    engine: VLLMEngine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(engine.llms[0], "sleep", lambda level: calls.append(f"sleep {level}"))
    monkeypatch.setattr(engine.llms[0], "wake_up", lambda: calls.append("wake"))
    engine.sleep()
    engine.sleep()
    assert calls == ["sleep 1"]
    engine.update_weights(1)
    assert calls == ["sleep 1", "wake"]
    engine.sleep()
    assert len(engine.generate(text_requests(loaded, 1), Sampling(2))) == 1
    assert calls == ["sleep 1", "wake"] * 2


def test_a_prompt_that_is_too_long_and_a_call_that_breaks(
    engine: VLLMEngine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = text_requests(loaded, 4)
    with pytest.raises(UserError, match="do not fit into engine.max_model_len 1024"):
        engine.generate(requests, Sampling(1020))
    monkeypatch.setattr(engine.llms[0].llm_engine, "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.generate(requests, Sampling(8))
    from vllm.v1.engine.exceptions import EngineDeadError

    def die() -> None:
        raise EngineDeadError

    monkeypatch.setattr(engine.llms[0].llm_engine, "step", die)
    with pytest.raises(EngineLostError, match="a process of vLLM's has ended"):
        engine.generate(requests, Sampling(8))
    monkeypatch.undo()
    assert not engine.llms[0].llm_engine.has_unfinished_requests(), "what was begun is taken out"
    assert largest_gap(loaded, requests, engine.generate(requests, Sampling(8))) < ROUNDING
    assert engine.generate([], Sampling(8)) == []
