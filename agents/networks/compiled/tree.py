"""Attention over a tree of rows, with kernels around its products; see `branch_attention` for what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .branches import add_back, gather, lay_out, soften_rows, soften_rows_backward, spread
from .switch import array

if TYPE_CHECKING:
    from ..branch_attention import Block, BranchShape


def attended_tree(joined: Tensor, turn: Tensor, shape: BranchShape, heads: int, kv_heads: int) -> Tensor:
    """See `attend_branches`; the scores of every block exist whole.

    Args:
        joined: float32 (tokens, (heads + 2 * kv_heads) * dim), queries, keys and values side by side, not turned.
        turn: complex64 (tokens, 1, dim / 2), see `rotary.rotate`.
        shape: of the tree.
        heads, kv_heads: how many there are.

    Returns:
        float32 (tokens, heads * dim).
    """
    if torch.is_grad_enabled() and joined.requires_grad:
        return _AttendedTree.apply(joined, turn, shape, heads, kv_heads)  # pyright: ignore[reportReturnType]  # untyped
    return _attend(joined, turn, shape, heads, kv_heads)[0]


@dataclass(frozen=True)
class _Laid:
    """One block's attention.

    Attributes:
        query: (rows * kv_heads, group * length, dim), scaled.
        key, value: (rows * kv_heads, columns, dim).
        weights: (rows * kv_heads, group * length, columns), the softmax of the scores.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor


def _places(block: Block, shape: BranchShape) -> tuple[np.ndarray, np.ndarray, int]:
    """The token at each of a block's places, the place of each token, and the block's first place."""
    tokens = np.arange(shape.places) if shape.tokens is None else shape.tokens.numpy()
    return block.queries.view(block.rows, block.length).numpy(), tokens, block.first


def _angles(turn: Tensor) -> np.ndarray:
    return array(torch.view_as_real(turn[:, 0]))


def _paired(tensor: Tensor, *shape: int) -> np.ndarray:
    """What ends in heads of pairs, as an array (*shape, dim / 2, 2)."""
    return array(tensor).reshape(*shape, -1, 2)


def _attend(joined: Tensor, turn: Tensor, shape: BranchShape, heads: int, kv_heads: int) -> tuple[Tensor, list[_Laid]]:
    dim = joined.shape[1] // (heads + 2 * kv_heads)
    out, laid = joined.new_empty(len(joined), heads, dim), []
    inputs, angles = _paired(joined, len(joined), heads + 2 * kv_heads), _angles(turn)
    for block in shape.blocks:
        rows, length, columns = block.rows, block.length, block.columns
        query = torch.empty(rows * kv_heads, heads // kv_heads * length, dim)
        key, value = torch.empty(2, rows * kv_heads, columns, dim).unbind(0)
        queries, tokens, first = _places(block, shape)
        by_column = (_paired(part, rows, kv_heads, columns) for part in (key, value))
        by_place = _paired(query, rows, kv_heads, heads // kv_heads, length)
        lay_out(inputs, angles, queries, array(block.keys), np.float32(dim**-0.5), by_place, *by_column)
        weights = torch.bmm(query, key.mT)
        soften_rows(weights.view(rows, heads, length, columns).numpy(), array(block.unseen))
        mixed = torch.bmm(weights, value)
        gather(mixed.view(rows, heads, length, dim).numpy(), queries, tokens, first, out.numpy())
        laid.append(_Laid(query, key, value, weights))
    return out.flatten(1), laid


class _AttendedTree(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, joined: Tensor, turn: Tensor, shape: BranchShape, heads: int, kv_heads: int
    ) -> Tensor:
        mixed, ctx.laid = _attend(joined, turn, shape, heads, kv_heads)
        ctx.shape, ctx.heads, ctx.kv_heads = shape, heads, kv_heads
        ctx.save_for_backward(turn)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        shape: BranchShape = ctx.shape
        [turn] = ctx.saved_tensors
        heads, kv_heads, angles = ctx.heads, ctx.kv_heads, _angles(turn)
        grads = array(grad).reshape(len(grad), heads, -1)
        out = torch.zeros(len(grad), (heads + 2 * kv_heads) * grads.shape[-1])
        for block, laid in zip(shape.blocks, ctx.laid, strict=True):
            queries, tokens, first = _places(block, shape)
            rows, length, dim = block.rows, block.length, grads.shape[-1]
            stacked = torch.empty_like(laid.query)
            spread(grads, queries, tokens, first, stacked.view(rows, heads, length, dim).numpy())
            value = torch.bmm(laid.weights.mT, stacked)
            scores = torch.bmm(stacked, laid.value.mT)
            soften_rows_backward(scores.flatten(0, 1).numpy(), laid.weights.flatten(0, 1).numpy())
            query, key = torch.bmm(scores, laid.key), torch.bmm(scores.mT, laid.query)
            add_back(
                _paired(query, rows, heads, length),
                _paired(key, rows, kv_heads, block.columns),
                _paired(value, rows, kv_heads, block.columns),
                *(angles, queries, array(block.keys), tokens, first, np.float32(dim**-0.5)),
                _paired(out, len(out), heads + 2 * kv_heads),
            )
        return out, None, None, None, None
