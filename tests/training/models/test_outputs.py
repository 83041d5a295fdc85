"""Log-probabilities in chunks are those of the whole, gradients included, and no logits beyond a chunk exist."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.training import model as module
from lmmr1.training.model import TokenOutputs, in_chunks, run_tokens

from ...agents.models import random_tiny
from .episodes import all_rows, picture_batch, policy_of


def test_chunks_are_joined_in_order() -> None:
    first, second = torch.arange(7.0), torch.arange(7.0) ** 2
    assert torch.equal(in_chunks(lambda a, b: a + b, 3, first, second), first + second)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_chunked_equals_whole(temperature: float, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = random_tiny()
    policy = policy_of(loaded)
    packed = all_rows(policy, picture_batch(policy))
    reference = torch.log_softmax(torch.randn(len(packed.tokens), loaded.network.vocabulary_size), -1)
    weights = torch.randn(3, len(packed.source)) / len(packed.source)
    widths: list[int] = []
    logits = QwenNetwork.logits

    def watched(network: QwenNetwork, hidden: Tensor) -> Tensor:
        widths.append(len(hidden))
        return logits(network, hidden)

    def figures() -> tuple[TokenOutputs, list[Tensor]]:
        loaded.model.zero_grad()
        widths.clear()
        outputs = run_tokens(loaded.network, policy.sampler, packed, temperature, distributions=kept)
        parts = torch.stack([outputs.logprobs, outputs.entropies(), outputs.full_kl(reference)])
        (parts * weights).sum().backward()
        gradients = [p.grad for p in loaded.model.parameters() if p.grad is not None]
        return outputs, [parts.detach(), *(gradient.clone() for gradient in gradients)]

    monkeypatch.setattr(QwenNetwork, "logits", watched)
    whole, expected = figures()
    # Without all log-probabilities at hand the exact divergence makes them for itself, and again for its gradient.
    assert widths == [len(packed.tokens)] * (1 if kept else 3)
    assert (whole.whole is not None) == kept
    monkeypatch.setattr(module, "LOGIT_LIMIT", 5 * loaded.network.vocabulary_size + 1)
    chunked, found = figures()
    assert chunked.whole is None
    assert max(widths) == 5 and len(packed.tokens) > 20
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(chunked.distributions, whole.distributions, rtol=0, atol=0)


def test_no_gradient_needs_no_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = random_tiny()
    policy = policy_of(loaded)
    packed = all_rows(policy, picture_batch(policy, seats=2))
    monkeypatch.setattr(module, "LOGIT_LIMIT", 1)  # one token at a time
    with torch.no_grad():
        outputs = run_tokens(loaded.network, policy.sampler, packed, 1.0)
    assert not outputs.logprobs.requires_grad
    torch.testing.assert_close(
        outputs.entropies(), -(outputs.distributions.exp() * outputs.distributions).sum(-1)[packed.source]
    )
