"""An engine over a copy: it says what the learner would have said when it last gave its weights."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Completion, Request, Sampling
from lmmr1.agents.models import LoadedModel, with_adapter
from lmmr1.agents.networks.lora import Adapter, is_adapter
from lmmr1.agents.policy import make_engine
from lmmr1.agents.streaming.mirror import MirrorEngine, with_own_voice

from ..models import random_tiny

SAMPLING = Sampling(8)


def requests(loaded: LoadedModel) -> list[Request]:
    ids = [loaded.tokenizer.encode(text) for text in ("abc", "12", "a longer one")]
    return [Request(np.array(row, np.int32), (), (7, index)) for index, row in enumerate(ids)]


def said(completions: list[Completion]) -> list[Any]:
    return [(completion.ids.tolist(), completion.logprobs.tolist()) for completion in completions]


def learn(loaded: LoadedModel) -> None:
    """Move all that learns, in place, as an optimizer does."""
    generator = torch.Generator().manual_seed(int(torch.initial_seed()) % 1000)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("fused", [True, False])
def test_it_says_what_the_learner_said_when_it_gave_its_weights(fused: bool) -> None:
    loaded = random_tiny(fused=fused)
    mirror, engine = MirrorEngine(loaded), make_engine(loaded, 256)
    asked = requests(loaded)
    first = said(engine.generate(asked, SAMPLING))
    assert said(mirror.start(asked, SAMPLING).result()) == first
    learn(loaded)
    second = said(engine.generate(asked, SAMPLING))
    assert second != first
    assert said(mirror.start(asked, SAMPLING).result()) == first  # it was told nothing
    mirror.update_weights(3)
    learn(loaded)  # what comes after the update is not in it
    done = mirror.start(asked, SAMPLING).result()
    assert said(done) == second and {completion.version for completion in done} == {3}
    mirror.close()


def test_an_update_waits_for_no_call_and_touches_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given while a call is under way, it holds for the next one: what the call says, and its number, are the old."""
    loaded = random_tiny()
    mirror, asked = MirrorEngine(loaded), requests(random_tiny())
    first = said(mirror.start(asked, SAMPLING).result())
    under_way: Future[None] = Future()
    goes_on: Future[None] = Future()
    generate = mirror.engine.generate

    def pausing(*arguments: Any) -> list[Completion]:
        if not under_way.done():
            under_way.set_result(None)
            goes_on.result()
        return generate(*arguments)

    monkeypatch.setattr(mirror.engine, "generate", pausing)
    call = mirror.start(asked, SAMPLING)
    under_way.result()
    learn(loaded)
    mirror.update_weights(1)  # comes back although the call has not
    learn(loaded)
    mirror.update_weights(2)
    assert not call.done()
    goes_on.set_result(None)
    assert said(call.result()) == first and call.result()[0].version == 0
    after = mirror.start(asked, SAMPLING).result()
    assert said(after) == said(make_engine(loaded, 256).generate(asked, SAMPLING)) and after[0].version == 2
    mirror.close()


def test_what_never_learns_is_shared() -> None:
    loaded = with_adapter(random_tiny(), Adapter(2, 4.0, ("q_proj", "v_proj")), seed=0)
    for name, parameter in loaded.model.named_parameters():
        parameter.requires_grad_(is_adapter(name))
    mirror = MirrorEngine(loaded)
    theirs, mine = dict(loaded.model.named_parameters()), dict(mirror.loaded.model.named_parameters())
    assert theirs.keys() == mine.keys()
    assert {name for name in theirs if theirs[name] is not mine[name]} == {name for name in theirs if is_adapter(name)}
    learn(loaded)
    mirror.update_weights(1)
    asked = requests(loaded)
    there = mirror.start(asked, SAMPLING).result()
    assert said(there) == said(make_engine(loaded, 256).generate(asked, SAMPLING))
    mirror.close()


def test_a_voice_of_its_own() -> None:
    loaded = random_tiny()
    own = with_own_voice(loaded)
    assert own.network is loaded.network
    assert own.tokenizer is not loaded.tokenizer and own.images is not loaded.images
    assert own.tokenizer.encode("abc 12") == loaded.tokenizer.encode("abc 12")
