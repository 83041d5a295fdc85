"""Attention over rows that begin alike: each beginning once, each ending over its beginning and itself.

Endings of like length stand together in a block, so that little is padding. Where the scores of a block are few, the
products of attention are written out, forward and backward: for short rows torch's own attention takes twice the time.
So is the layout work around them (gathering keys for the endings that share them, adding up their gradients), which
takes longer than the attention if it is left to autograd.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compiled.switch import kernels_fit
from .operations import attended
from .rotary import rotate

if TYPE_CHECKING:
    from .qwen import QwenNetwork

# Scores (rows, heads, queries, keys) that may exist at a time: 16 MB.
MOST_SCORES = 1 << 22


@dataclass(frozen=True)
class Block:
    """Rows of one length that attend together: all beginnings, or endings of like length.

    Attributes:
        rows, length: how many there are, and how long they are with their padding.
        first: the place of their first token; places of a block follow each other row by row.
        queries: int64 (rows * length,), the token at each of its places.
        keys: int64 (rows, columns), the tokens that a row may look at: those of its beginning, then its own.
        unseen: float32 (rows or 1, length, columns), what is added to the scores: 0, or -inf where one is not seen.
        owned: float32 (beginnings, rows), 1 where an ending has that beginning; None of beginnings.
    """

    rows: int
    length: int
    first: int
    queries: Tensor
    keys: Tensor
    unseen: Tensor
    owned: Tensor | None

    @property
    def columns(self) -> int:
        """How many tokens a row may look at, padding included."""
        return self.keys.shape[1]

    def scores(self, heads: int) -> int:
        """How many scores that many heads have."""
        return self.rows * heads * self.length * self.columns

    @property
    def shared(self) -> int:
        """How many of those are of another block."""
        return self.columns - self.length


@dataclass(frozen=True)
class BranchShape:
    """How the tokens of a tree stand.

    Places count the tokens block by block, padding included; the beginnings are the first block.

    Attributes:
        blocks: that attend.
        places: how many places there are.
        tokens: int64 (tokens,), the place of each token where the padding is left out, else None.
        spread: int64 (places,), the token of each place, 0 in the padding; None where it is not left out.
    """

    blocks: tuple[Block, ...]
    places: int
    tokens: Tensor | None
    spread: Tensor | None


def attend_branches(network: QwenNetwork, joined: Tensor, turn: Tensor, shape: BranchShape) -> Tensor:
    """What attention makes of projected tokens.

    Args:
        network: whose heads they are.
        joined: (tokens, (heads + 2 * kv_heads) * dim), queries, keys and values side by side, not rotated.
        turn: complex64 (tokens, 1, dim / 2), see `rotate`.
        shape: of the tree.

    Returns:
        (tokens, heads * dim), in the format of `attended`.
    """
    joined = attended(joined)
    # Checkpointing drops what autograd keeps and makes it again; of what a function keeps for itself it knows nothing.
    learns = torch.is_grad_enabled() and joined.requires_grad
    few = all(block.scores(network.heads) <= MOST_SCORES for block in shape.blocks)
    if few and not (learns and network.checkpointing) and kernels_fit(joined):
        from .compiled.tree import attended_tree

        return attended_tree(joined, turn, shape, network.heads, network.kv_heads)
    if network.checkpointing or not learns:
        return _attend(network, _cut(network, joined, turn), shape)[0]
    return _BranchAttention.apply(joined, turn, shape, network)  # pyright: ignore[reportReturnType]  # untyped


_Parts = tuple[Tensor, Tensor, Tensor]


def _cut(network: QwenNetwork, joined: Tensor, turn: Tensor) -> _Parts:
    """Turned queries, turned keys and values, each (tokens, its heads, dim), of projections in `attended`'s format."""
    heads = joined.unflatten(-1, (-1, network.head_dim))
    turned = rotate(heads[:, : network.heads + network.kv_heads], turn)
    return turned[:, : network.heads], turned[:, network.heads :], heads[:, network.heads + network.kv_heads :]


def _attend(
    network: QwenNetwork, parts: _Parts, shape: BranchShape, apart: bool = False
) -> tuple[Tensor, list[_Written | _Torchs]]:
    """What attention makes of the parts, (tokens, heads * dim), and the calls that made it.

    Args:
        network: whose heads they are.
        parts: see `_cut`.
        shape: of the tree.
        apart: whether each of torch's calls gets a graph of its own.
    """
    query, key, value = parts
    calls: list[_Written | _Torchs] = []
    for block in shape.blocks:
        around = block.keys.flatten()
        inputs = (
            query.index_select(0, block.queries).unflatten(0, (block.rows, block.length)),
            key.index_select(0, around).unflatten(0, block.keys.shape),
            value.index_select(0, around).unflatten(0, block.keys.shape),
        )
        small = (
            apart
            and block.scores(network.heads) <= MOST_SCORES
            and query.dtype == torch.float32
            and query.device.type == "cpu"
        )
        calls.append(_Written.run(inputs, block) if small else _Torchs.run(inputs, block, network.grouped, apart))
    mixed = torch.cat([call.mixed for call in calls])
    return (mixed if shape.tokens is None else mixed.index_select(0, shape.tokens)), calls


@dataclass(frozen=True)
class _Written:
    """The attention of one block, written out.

    Attributes:
        query: (rows * kv_heads, group * length, dim): heads that share a key stand one below the other.
        key, value: (rows * kv_heads, columns, dim).
        weights: (rows * kv_heads, group * length, columns), the softmax of the scores.
        mixed: (rows * length, heads * dim), what came out.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    mixed: Tensor

    @classmethod
    def run(cls, inputs: _Parts, block: Block) -> _Written:
        """Of queries (rows, length, heads, dim), keys and values (rows, columns, kv_heads, dim)."""
        heads, kv_heads, dim = inputs[0].shape[2], *inputs[1].shape[2:]
        query = cls.stacked(inputs[0], kv_heads)
        key, value = (part.transpose(1, 2).flatten(0, 1) for part in inputs[1:])
        shape = (block.rows, kv_heads, heads // kv_heads, block.length, block.columns)
        scores = block.unseen[:, None, None].expand(shape).clone(memory_format=torch.contiguous_format)
        scores = scores.view(len(query), -1, block.columns).baddbmm_(query, key.mT, alpha=dim**-0.5)
        weights = scores.softmax(-1)
        mixed = cls.unstacked(torch.bmm(weights, value), block.rows, block.length)
        return cls(query, key, value, weights, mixed.flatten(2).flatten(0, 1))

    @staticmethod
    def stacked(heads: Tensor, kv_heads: int) -> Tensor:
        """(rows, length, heads, dim) to (rows * kv_heads, group * length, dim)."""
        grouped = heads.unflatten(2, (kv_heads, -1)).permute(0, 2, 3, 1, 4)
        return grouped.reshape(len(heads) * kv_heads, -1, heads.shape[-1])

    @staticmethod
    def unstacked(stacked: Tensor, rows: int, length: int) -> Tensor:
        """Undo `stacked`."""
        kv_heads = len(stacked) // rows
        return stacked.view(rows, kv_heads, -1, length, stacked.shape[-1]).permute(0, 3, 1, 2, 4).flatten(2, 3)

    def gradients(self, grad: Tensor, block: Block) -> list[Tensor]:
        """Those of queries, keys and values, in the shape of `run`'s inputs, given that of `mixed`."""
        kv_heads, dim = len(self.key) // block.rows, self.key.shape[-1]
        grad = self.stacked(grad.view(block.rows, block.length, -1, dim), kv_heads)
        value = torch.bmm(self.weights.mT, grad)
        scores = torch.bmm(grad, self.value.mT)
        scores = torch.ops.aten._softmax_backward_data(scores, self.weights, -1, torch.float32)
        query = torch.bmm(scores, self.key).mul_(dim**-0.5)
        key = torch.bmm(scores.mT, self.query).mul_(dim**-0.5)
        others = (part.unflatten(0, (block.rows, kv_heads)).transpose(1, 2) for part in (key, value))
        return [self.unstacked(query, block.rows, block.length), *others]


@dataclass(frozen=True)
class _Torchs:
    """The same by torch's own attention, which needs no memory for the scores."""

    inputs: list[Tensor]
    mixed: Tensor
    graph: Tensor

    @classmethod
    def run(cls, inputs: _Parts, block: Block, grouped: bool, apart: bool) -> _Torchs:
        """See `_Written.run`."""
        leaves = [part.detach().requires_grad_() for part in inputs] if apart else list(inputs)
        causal = block.shared == 0
        with torch.set_grad_enabled(apart or torch.is_grad_enabled()):
            query, key, value = leaves
            if grouped and not causal and query.is_cuda:
                # A GPU's fast attention takes a mask or heads that share keys, not both.
                grouped, group = False, query.shape[2] // key.shape[2]
                key, value = (part.repeat_interleave(group, 2) for part in (key, value))
            mixed = F.scaled_dot_product_attention(
                *(part.transpose(1, 2) for part in (query, key, value)),
                attn_mask=None if causal else block.unseen[:, None].to(inputs[0].dtype),
                is_causal=causal,
                enable_gqa=grouped,
            )
            mixed = mixed.transpose(1, 2).flatten(2).flatten(0, 1)
        return cls(leaves, mixed.detach() if apart else mixed, mixed)

    def gradients(self, grad: Tensor, block: Block) -> list[Tensor]:
        """See `_Written.gradients`."""
        return list(torch.autograd.grad(self.graph, self.inputs, grad))


class _BranchAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, joined: Tensor, turn: Tensor, shape: BranchShape, network: QwenNetwork
    ) -> Tensor:
        mixed, ctx.calls = _attend(network, _cut(network, joined, turn), shape, apart=True)
        ctx.shape, ctx.heads = shape, (network.heads, network.kv_heads)
        ctx.save_for_backward(turn)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        shape: BranchShape = ctx.shape
        heads, kv_heads = ctx.heads
        [turn] = ctx.saved_tensors
        if shape.tokens is not None:
            # What stands in the padding was seen by nobody.
            grad = grad.new_zeros(shape.places, grad.shape[1]).index_copy_(0, shape.tokens, grad)
        joined = grad.new_empty(shape.places, heads + 2 * kv_heads, 2 * turn.shape[-1])
        for block, call in zip(shape.blocks, ctx.calls, strict=True):
            here = slice(block.first, block.first + block.rows * block.length)
            query, *others = call.gradients(grad[here], block)
            own = joined[here].unflatten(0, (block.rows, block.length))
            own[:, :, :heads] = query
            for part, start in zip(others, (heads, heads + kv_heads), strict=True):
                own[:, :, start : start + kv_heads] = part[:, block.shared :]
                if block.owned is not None:
                    add_up(joined[:, start : start + kv_heads], part[:, : block.shared], block.owned)
        if shape.tokens is not None:
            joined = joined.index_select(0, shape.tokens)
        turned = joined[:, : heads + kv_heads]
        # The gradient turns back.
        turned.copy_(rotate(turned, turn.conj_physical()))
        return joined.flatten(1), None, None, None


def add_up(sums: Tensor, parts: Tensor, owned: Tensor) -> None:
    """Add to each beginning what its endings have.

    One product with zeros and ones: deterministic, and several times faster than `index_add_` is then.

    Args:
        sums: (places, kv_heads, dim), the beginnings first.
        parts: (rows, length of a beginning, kv_heads, dim).
        owned: float (beginnings, rows), see `Block`.
    """
    beginnings, length = len(owned), parts.shape[1]
    added = owned.to(parts.dtype) @ parts.flatten(1)
    sums[: beginnings * length] += added.view(beginnings * length, *parts.shape[2:])
