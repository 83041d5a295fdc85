"""Operations with a backward pass of their own: the same values and gradients as autograd's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lmmr1.agents.networks.operations import rms_norm
from lmmr1.agents.networks.rotary import rotate, rotate_back


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


def test_rotating_back_undoes_rotating() -> None:
    generator = torch.Generator().manual_seed(0)
    heads, angles = torch.randn(7, 4, 12, generator=generator), torch.randn(7, 1, 6, generator=generator)
    cosine, sine = torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)
    turned = rotate(heads, cosine, sine)
    assert not torch.allclose(turned, heads, atol=0.1)
    assert torch.allclose(rotate_back(turned, cosine, sine), heads, atol=1e-6)
