"""Attention over rows that begin alike: each beginning once, each ending over its beginning and itself.

The layout work around the two attentions (turning, spreading keys over the endings that share them, adding up their
gradients) is written out forward and backward: left to autograd it takes longer than the attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .rotary import rotate, rotate_back

if TYPE_CHECKING:
    from .qwen import QwenNetwork


@dataclass(frozen=True)
class BranchShape:
    """How the tokens of a tree stand.

    Places count the tokens of the beginnings first, row by row, padding included, then those of the endings.

    Attributes:
        beginnings, endings: how many rows there are, and how long they are with their padding.
        owners: int64 (endings,), the beginning of each ending.
        runs: (beginning, first ending, the one after the last) of endings side by side that share their beginning.
        visible: bool (endings, 1, ending length, beginning length + ending length), who sees whom.
        tokens: int64 (tokens,), the place of each token where the padding is left out, else None.
        spread: int64 (places,), the token of each place, 0 in the padding; None where it is not left out.
    """

    beginnings: tuple[int, int]
    endings: tuple[int, int]
    owners: Tensor
    runs: tuple[tuple[int, int, int], ...]
    visible: Tensor
    tokens: Tensor | None
    spread: Tensor | None


def attend_branches(network: QwenNetwork, joined: Tensor, cosine: Tensor, sine: Tensor, shape: BranchShape) -> Tensor:
    """What attention makes of projected tokens.

    Args:
        network: whose heads they are.
        joined: (tokens, (heads + 2 * kv_heads) * dim), queries, keys and values side by side, not rotated.
        cosine, sine: (tokens, 1, dim).
        shape: of the tree.

    Returns:
        (tokens, heads * dim).
    """
    # Checkpointing drops what autograd keeps and makes it again; of what a function keeps for itself it knows nothing.
    if network.checkpointing or not (torch.is_grad_enabled() and joined.requires_grad):
        return _attend(network, _cut(network, joined, cosine, sine), shape)[0]
    return _BranchAttention.apply(joined, cosine, sine, shape, network)  # pyright: ignore[reportReturnType]  # untyped


_Parts = tuple[Tensor, Tensor, Tensor]


def _cut(network: QwenNetwork, joined: Tensor, cosine: Tensor, sine: Tensor) -> _Parts:
    """Turned queries, turned keys and values, each (tokens, its heads, dim)."""
    heads = joined.unflatten(-1, (-1, network.head_dim))
    turned = rotate(heads[:, : network.heads + network.kv_heads], cosine, sine)
    return turned[:, : network.heads], turned[:, network.heads :], heads[:, network.heads + network.kv_heads :]


def _attend(network: QwenNetwork, parts: _Parts, shape: BranchShape, apart: bool = False) -> tuple[Tensor, list[_Call]]:
    """What attention makes of the parts, (tokens, heads * dim), and the calls that made it.

    Args:
        network: whose heads they are.
        parts: see `_cut`.
        shape: of the tree.
        apart: whether each call gets a graph of its own.
    """
    if shape.spread is not None:
        query, key, value = parts
        parts = _picked(query, shape.spread), _picked(key, shape.spread), _picked(value, shape.spread)
    middle = shape.beginnings[0] * shape.beginnings[1]
    whole = [part[:middle].unflatten(0, shape.beginnings) for part in parts]
    calls = [_Call.run(whole, None, network.grouped, apart)]
    if shape.endings[1]:
        query, *rest = (part[middle:].unflatten(0, shape.endings) for part in parts)
        spread = [
            torch.cat([_picked(beginning, shape.owners), own], 1)
            for beginning, own in zip(whole[1:], rest, strict=True)
        ]
        calls.append(_Call.run([query, *spread], shape.visible, network.grouped, apart))
    mixed = torch.cat([call.mixed.detach() if apart else call.mixed for call in calls])
    return (mixed if shape.tokens is None else _picked(mixed, shape.tokens)), calls


def _picked(tensor: Tensor, indices: Tensor) -> Tensor:
    """`tensor[indices]`, row by row: several times faster on a CPU than indexing."""
    return tensor.index_select(0, indices)


def add_up(sums: Tensor, parts: Tensor, runs: tuple[tuple[int, int, int], ...]) -> None:
    """Add to each beginning what its endings have, see `BranchShape.runs`.

    Deterministic, and several times faster than `index_add_` is then.
    """
    sizes = {stop - first for _, first, stop in runs}
    if len(sizes) == 1 and [owner for owner, *_ in runs] == list(range(len(sums))):
        sums += parts.unflatten(0, (len(runs), -1)).sum(1)
        return
    for owner, first, stop in runs:
        sums[owner] += parts[first:stop].sum(0)


@dataclass(frozen=True)
class _Call:
    """One attention: what went in, (rows, length, heads, dim) each, and what came out, (rows * length, heads * dim)."""

    inputs: list[Tensor]
    mixed: Tensor

    @classmethod
    def run(cls, inputs: list[Tensor], mask: Tensor | None, grouped: bool, apart: bool) -> _Call:
        if apart:
            inputs = [part.detach().requires_grad_() for part in inputs]
        with torch.set_grad_enabled(apart or torch.is_grad_enabled()):
            heads = (part.transpose(1, 2) for part in inputs)
            mixed = F.scaled_dot_product_attention(*heads, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)
            return cls(inputs, mixed.transpose(1, 2).flatten(2).flatten(0, 1))

    def gradients(self, grad: Tensor) -> list[Tensor]:
        """Those of the inputs."""
        return list(torch.autograd.grad(self.mixed, self.inputs, grad))


class _BranchAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, joined: Tensor, cosine: Tensor, sine: Tensor, shape: BranchShape, network: QwenNetwork
    ) -> Tensor:
        mixed, ctx.calls = _attend(network, _cut(network, joined, cosine, sine), shape, apart=True)
        ctx.shape = shape
        ctx.save_for_backward(cosine, sine)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        shape = ctx.shape
        cosine, sine = ctx.saved_tensors
        if shape.tokens is not None:
            # What stands in the padding was seen by nobody.
            grad = grad.new_zeros(len(shape.spread), grad.shape[1]).index_copy_(0, shape.tokens, grad)
        middle = shape.beginnings[0] * shape.beginnings[1]
        beginnings = ctx.calls[0].gradients(grad[:middle])
        endings = None
        if shape.endings[1]:
            query, *spread = ctx.calls[1].gradients(grad[middle:])
            for part, both in zip(beginnings[1:], spread, strict=True):
                add_up(part, both[:, : shape.beginnings[1]], shape.runs)
            endings = (query, *(both[:, shape.beginnings[1] :] for both in spread))
        query, key, value = (
            part.flatten(0, 1) if own is None else torch.cat([part.flatten(0, 1), own.flatten(0, 1)])
            for part, own in zip(beginnings, endings or (None,) * 3, strict=True)
        )
        if shape.tokens is not None:
            query, key, value = (_picked(part, shape.tokens) for part in (query, key, value))
        turned = rotate_back(torch.cat([query, key], 1), cosine, sine)
        return torch.cat([turned, value], 1).flatten(1), None, None, None, None
