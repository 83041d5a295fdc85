"""The kernels as functions of tensors, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .attention import attend_newest
from .choices import draw_tokens, figure_tokens
from .exponential import scratch
from .halves import normalise_halves, normalise_halves_backward
from .passes import gate_units, gate_units_backward, normalise, normalise_backward
from .switch import array


def normed(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `operations.rms_norm`."""
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        return _Normed.apply(hidden, weight, eps)  # pyright: ignore[reportReturnType]  # apply is untyped
    return _normalised(hidden, weight, eps)[0]


def _normalised(hidden: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """What comes out, what went in (contiguous), and the scales of its rows."""
    hidden = hidden.contiguous()
    rows = array(hidden).reshape(-1, hidden.shape[-1])
    out, scales = torch.empty_like(hidden), torch.empty(len(rows))
    run = normalise if hidden.dtype == torch.float32 else normalise_halves
    run(rows, array(weight.float()), np.float32(eps), array(out).reshape(rows.shape), scales.numpy())
    return out, hidden, scales


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, eps: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        out, hidden, scales = _normalised(hidden, weight, eps)
        ctx.save_for_backward(hidden, scales, weight)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden, scales, weight = ctx.saved_tensors
        out, weight_grad, size = torch.empty_like(hidden), torch.empty(weight.shape), hidden.shape[-1]
        run = normalise_backward if hidden.dtype == torch.float32 else normalise_halves_backward
        run(
            array(grad).reshape(-1, size),
            array(hidden).reshape(-1, size),
            scales.numpy(),
            array(weight.float()),
            array(out).reshape(-1, size),
            weight_grad.numpy(),
        )
        return out, weight_grad.to(weight.dtype), None


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """See `operations.gated`."""
    if torch.is_grad_enabled() and (gate.requires_grad or up.requires_grad):
        return _Gated.apply(gate, up)  # pyright: ignore[reportReturnType]  # apply is untyped
    out = torch.empty_like(gate, memory_format=torch.contiguous_format)
    gate_units(array(gate).ravel(), array(up).ravel(), out.view(-1).numpy())
    return out


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(gate, up)
        return gated(gate, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gate, up = ctx.saved_tensors
        grads = torch.empty(2, *gate.shape, dtype=gate.dtype)
        gate_grad, up_grad = grads.unbind(0)
        into = (gate_grad.view(-1).numpy(), up_grad.view(-1).numpy())
        gate_units_backward(array(grad).ravel(), array(gate).ravel(), array(up).ravel(), *into)
        return gate_grad, up_grad


def figures(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of tokens, entropies, and probabilities; the last are written over the logits.

    Args:
        logits: float32 (n, vocabulary), contiguous.
        tokens: int64 (n,).
    """
    probabilities = logits.detach()
    logprobs, entropies = probabilities.new_empty(len(tokens)), probabilities.new_empty(len(tokens))
    figure_tokens(probabilities.numpy(), array(tokens), logprobs.numpy(), entropies.numpy())
    return logprobs, entropies, probabilities


def drawn(logits: Tensor, bias: Tensor, temperature: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """See `Sampler.__call__`; int64 (rows,) tokens and float32 (rows,) log-probabilities."""
    tokens, logprobs = torch.empty(len(logits), dtype=torch.long), torch.empty(len(logits))
    sharpness = np.float32(1 / temperature)
    draw_tokens(array(logits), array(bias), sharpness, array(noise), tokens.numpy(), logprobs.numpy())
    return tokens, logprobs


def attended_newest(
    joined: Tensor,
    turn: Tensor,
    keys: Tensor,
    values: Tensor,
    places: tuple[Tensor, Tensor, Tensor],
    column: int,
) -> Tensor:
    """What attention makes of the newest token of every row, whose keys and values are written to `column`.

    Args:
        joined: float32 (rows, (heads + 2 * kv_heads) * dim), queries, keys and values side by side, not turned; the
            root of dim is in the queries already.
        turn: complex64 (rows, dim / 2), see `rotary.rotate`.
        keys, values: float32 (rows, kv_heads, columns, dim), written to.
        places: starts, ends and leaders, int64 (rows,) each, see `decoding.RowCache`.
        column: to write, and the last to look at.

    Returns:
        float32 (rows, heads * dim).
    """
    rows, kv_heads, columns, dim = keys.shape
    out = torch.empty(rows, joined.shape[1] - 2 * kv_heads * dim)
    angles = torch.view_as_real(turn).reshape(rows, dim)
    starts, ends, leaders = (part.numpy() for part in places)
    inputs = (array(joined), array(angles), keys.numpy(), values.numpy(), starts, ends, leaders, column)
    attend_newest(*inputs, *scratch(columns), out.numpy())
    return out
