"""Operations with a backward pass of their own: the same values and gradients as autograd's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lmmr1.agents.networks.operations import rms_norm, token_figures
from lmmr1.agents.networks.rotary import pairing, rotate

pytestmark = pytest.mark.usefixtures("both_kernels_and_none")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_that_of_torch_and_so_is_its_gradient(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, weight, grad = (
        torch.randn(*size, generator=generator).to(dtype) for size in ((2, 5, 24), (24,), (2, 5, 24))
    )
    hidden[0, 0] = 0  # which only eps keeps from a division by zero
    results = []
    for function in (lambda x, w: rms_norm(x, w, 1e-6), lambda x, w: F.rms_norm(x, (24,), w, 1e-6)):
        inputs = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
        output = function(*inputs)
        assert output.dtype == dtype
        results.append((output.detach(), *torch.autograd.grad(output, inputs, grad)))
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for ours, torchs in zip(*results, strict=True):
        scale = float(torchs.float().abs().max())
        assert float((ours.float() - torchs.float()).abs().max()) <= tolerance * scale
    with torch.no_grad():
        assert torch.equal(rms_norm(hidden, weight, 1e-6), results[0][0])


def test_turning_pairs_is_turning_halves() -> None:
    generator = torch.Generator().manual_seed(0)
    heads, angles = torch.randn(7, 4, 12, generator=generator), torch.randn(7, 1, 6, generator=generator)
    # Qwen's way: the halves of a head, one with the sine of the other.
    first, second = heads.chunk(2, -1)
    expected = torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1
    )
    order = pairing(3, 1, 12)
    assert sorted(order.tolist()) == list(range(48))
    paired = heads.flatten(1)[:, order].view(7, 4, 12)
    assert torch.equal(paired[:, 3], heads[:, 3])  # the last head is a value, which nobody turns
    turned = rotate(paired[:, :3], torch.polar(torch.ones_like(angles), angles))
    torch.testing.assert_close(turned, expected.flatten(1)[:, order].view(7, 4, 12)[:, :3])


@pytest.mark.parametrize("learned", ["logprobs", "entropies", "both"])
def test_token_figures_are_those_of_the_log_softmax(learned: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(30, 11, generator=generator)
    logits[:, 3] = -1e9  # banned
    logits[0, 0] = 300.0  # so likely that all others have no probability at all
    tokens = torch.tensor([4, *torch.randint(4, 11, (29,), generator=generator).tolist()])
    weights = torch.randn(2, 30, generator=generator)

    def plain(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        distributions = torch.log_softmax(logits, -1)
        return distributions.gather(-1, tokens[:, None])[:, 0], -(distributions.exp() * distributions).sum(-1)

    results = []
    for function in (lambda z: token_figures(z, tokens), plain):
        inputs = logits.clone().requires_grad_()
        logprobs, entropies = function(inputs)
        used = {"logprobs": [logprobs], "entropies": [entropies], "both": [logprobs, entropies]}[learned]
        rows = weights[:1] if learned == "logprobs" else weights[1:] if learned == "entropies" else weights
        total = sum((part * row).sum() for part, row in zip(used, rows, strict=True))
        assert isinstance(total, torch.Tensor)
        results.append((logprobs.detach(), entropies.detach(), torch.autograd.grad(total, inputs)[0]))
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=3e-6)
