"""Operations whose backward pass is written out: what autograd would string together from a dozen passes over memory.

On a CPU the products of a small model take half of an update; most of the rest is such passes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compiled.switch import kernels_fit


def attended(tensor: Tensor) -> Tensor:
    """A tensor in the format in which it goes through attention.

    A CPU has fast products in bfloat16 and no attention: the backward pass of torch's takes three times as long as that
    of float32, which is more exact besides.
    """
    return tensor.float() if tensor.device.type == "cpu" else tensor


def rms_norm(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root-mean-square normalisation (arXiv 1910.07467) over the last axis, as Qwen's: (..., size) to the same.

    What lies between is float32, and rounded to `hidden`'s format before the product with `weight` (size,); a kernel
    rounds once, after it.
    """
    if hidden.is_cuda:  # one kernel, with its own backward pass
        return F.rms_norm(hidden, weight.shape, weight, eps)
    if kernels_fit(hidden, weight, halves=True):
        from .compiled.functions import normed

        return normed(hidden, weight, eps)
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        return _RMSNorm.apply(hidden, weight, eps)  # pyright: ignore[reportReturnType]  # apply is untyped
    normed, _ = _normalise(hidden, eps)
    return normed.mul_(weight) if normed.dtype == weight.dtype else normed * weight


def _normalise(hidden: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`hidden` over its root mean square, in its own format, and one over that root, float32."""
    size = hidden.shape[-1]
    length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
    scale = length.square_().div_(size).add_(eps).rsqrt_()
    return (hidden * scale).to(hidden.dtype), scale


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, eps: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        normed, scale = _normalise(hidden, eps)
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        normed, scale, weight = ctx.saved_tensors
        size = normed.shape[-1]
        product = (grad * normed).flatten(0, -2)
        # y = n w with n = x s: dx = s (g w - n mean(g w n)).
        mean = (product @ weight).view_as(scale).float().div_(size)
        whole = (grad * weight).float()
        whole = whole.addcmul_(normed.float(), mean, value=-1).mul_(scale)
        return whole.to(grad.dtype), product.sum(0), None


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(`gate`) times `up`, both (..., units): the gated unit of arXiv 2002.05202 without its products."""
    if kernels_fit(gate, up):  # of bfloat16 torch's own passes are as fast
        from .compiled import functions

        return functions.gated(gate, up)
    return F.silu(gate) * up


def float_product(inputs: Tensor, weight: Tensor) -> Tensor:
    """`inputs` times `weight` transposed, in float32 whatever they are.

    A GPU multiplies bfloat16 exactly and adds up in float32, which is what is asked for, at many times the speed of
    float32; there the gradients are rounded to bfloat16 before they are multiplied. Elsewhere both are converted first.

    Args:
        inputs: (..., in), or (batch, n, in) where `weight` has three axes.
        weight: (out, in) or (batch, out, in).

    Returns:
        float32 (..., out) or (batch, n, out).
    """
    if inputs.is_cuda and inputs.dtype == weight.dtype == torch.bfloat16:
        if weight.dim() == 3:
            return torch.bmm(inputs, weight.mT, out_dtype=torch.float32)
        flat: Any = _FloatProduct.apply(inputs.flatten(0, -2), weight)
        return flat.view(*inputs.shape[:-1], len(weight))
    if weight.dim() == 3:
        return torch.bmm(inputs.float(), weight.float().mT)
    return F.linear(inputs.float(), weight.float())


class _FloatProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(inputs, weight)
        return torch.mm(inputs, weight.mT, out_dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        inputs, weight = ctx.saved_tensors
        rounded = grad.to(weight.dtype)
        own = rounded @ weight if ctx.needs_input_grad[0] else None
        return own, rounded.mT @ inputs if ctx.needs_input_grad[1] else None


def token_figures(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """How likely some tokens are, and how open the choice was.

    All that is kept for the backward pass are the probabilities, which it overwrites.

    Args:
        logits: float32 (n, vocabulary); nobody else may need them, for they may be written over.
        tokens: int64 (n,).

    Returns:
        float32 (n,) log-probabilities of the tokens, and (n,) entropies in nats.
    """
    return _TokenFigures.apply(logits, tokens)  # pyright: ignore[reportReturnType]  # apply is untyped


class _TokenFigures(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if kernels_fit(logits) and logits.is_contiguous():
            from .compiled.functions import figures

            logprobs, entropies, probabilities = figures(logits, tokens)
        else:
            probabilities = torch.softmax(logits, -1)
            # The logarithm of the softmax's divisor, as seen from the likeliest token, whose probability is never 0.
            whole = logits.amax(-1) - probabilities.amax(-1).log_()
            logprobs = logits.gather(-1, tokens[:, None])[:, 0] - whole
            # -sum p log p, with log p = logit - whole; what is banned (p = 0) adds nothing.
            entropies = whole - (probabilities * logits).sum(-1)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(probabilities, tokens, entropies)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, grad_entropies: Tensor | None) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        probabilities, tokens, entropies = ctx.saved_tensors
        grad = torch.zeros_like(entropies) if grad is None else grad
        rise = None
        if grad_entropies is not None:
            rise = torch.xlogy(probabilities, probabilities)
            rise = rise.addcmul_(probabilities, entropies[:, None]).mul_(grad_entropies[:, None])
        slope = probabilities.mul_(-grad[:, None])
        slope.scatter_add_(-1, tokens[:, None], grad[:, None])
        return slope if rise is None else slope.sub_(rise), None
