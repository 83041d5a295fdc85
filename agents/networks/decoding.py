"""One token further for many rows: the fused network folded for decoding.

A decoding step is many small operations, so what can be done once is done to the weights: the scales of the norms and
of the queries go into the products that follow them, and the matrices lie the way the products read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .compiled.switch import kernels_fit
from .operations import attended, gated, rms_norm
from .qwen import QwenNetwork, Weights
from .rotary import rotate


@dataclass(frozen=True)
class DecodingLayer:
    """One decoder layer; every matrix is (inputs, outputs)."""

    qkv: Tensor  # with the attention norm's scale, queries also with 1 / sqrt(dim)
    qkv_bias: Tensor
    out: Tensor
    gate: Tensor  # with the MLP norm's scale, as `up`
    up: Tensor
    down: Tensor


class RowCache(Protocol):
    """The rows that are decoded side by side, and what they have cached.

    Attributes:
        keys, values: per layer (rows, kv_heads, columns, dim), written to.
        starts, ends: int64 (rows,), first column of a row's prompt, and the one after its last.
        leaders: int64 (rows,), a row that has the same prompt in the same columns; often the row itself.
        first: the first column that any row looks at.
        column: to write, and the last to look at.
        unseen: (rows * kv_heads, 1, columns) to add to the scores, or None for nothing.
    """

    keys: list[Tensor]
    values: list[Tensor]
    starts: Tensor
    ends: Tensor
    first: int
    column: int

    @property
    def leaders(self) -> Tensor: ...  # noqa: D102

    @property
    def unseen(self) -> Tensor | None: ...  # noqa: D102


class DecodingNetwork:
    """A copy of a network's decoder as its weights are now; for inference only."""

    def __init__(self, network: QwenNetwork, weights: Weights) -> None:
        self.heads, self.kv_heads, self.head_dim = network.heads, network.kv_heads, network.head_dim
        self.size, self.eps = network.hidden_size, network.eps
        self.embedding = weights.embedding
        # The root of the size is what turns the norm of a vector into its root mean square.
        root = self.size**0.5
        self.root = torch.full((self.size,), 1 / root, device=weights.embedding.device)
        scales = torch.ones_like(weights.layers[0].qkv_bias)
        scales[: self.heads * self.head_dim] = self.head_dim**-0.5
        self.layers = [
            DecodingLayer(
                (layer.qkv * layer.norm_attention * (scales[:, None] * root)).t().contiguous(),
                layer.qkv_bias * scales,
                layer.out.t().contiguous(),
                (layer.gate * layer.norm_mlp * root).t().contiguous(),
                (layer.up * layer.norm_mlp * root).t().contiguous(),
                layer.down.t().contiguous(),
            )
            for layer in weights.layers
        ]
        # In float32 whatever the weights are, as the logits that are learned from.
        self.head = (weights.head.float() * weights.norm.float() * root).t().contiguous()

    def step(self, tokens: Tensor, turn: Tensor, cache: RowCache) -> Tensor:
        """Run one token of every row and write its keys and values to the cache's column.

        Args:
            tokens: int64 (rows,).
            turn: complex64 (rows, dim / 2), see `rotate`.
            cache: of the rows, as far as they are.

        Returns:
            float32 (rows, vocabulary) logits.
        """
        hidden = F.embedding(tokens, self.embedding)
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            joined = attended(torch.addmm(layer.qkv_bias, self._normed(hidden), layer.qkv))
            if kernels_fit(joined):
                from .compiled.functions import attended_newest

                places = (cache.starts, cache.ends, cache.leaders)
                mixed = attended_newest(joined, turn, keys, values, places, cache.column)
            else:
                mixed = self._attend(joined, turn[:, None], keys, values, cache)
            hidden = torch.addmm(hidden, mixed.to(hidden.dtype), layer.out)
            normed = self._normed(hidden)
            hidden = torch.addmm(hidden, gated(normed @ layer.gate, normed @ layer.up), layer.down)
        return self._normed(hidden).float() @ self.head

    def _attend(self, joined: Tensor, turn: Tensor, keys: Tensor, values: Tensor, cache: RowCache) -> Tensor:
        """Turn, write and attend: (rows, heads * dim) of what is joined."""
        rows = len(joined)
        turned, value = joined.view(rows, -1, self.head_dim).split([self.heads + self.kv_heads, self.kv_heads], 1)
        query, key = rotate(turned, turn).split([self.heads, self.kv_heads], 1)
        keys[:, :, cache.column] = key
        values[:, :, cache.column] = value
        # Query heads that share a key head stand side by side, so each key head is one product.
        query = query.reshape(rows * self.kv_heads, -1, self.head_dim)
        window = slice(cache.first, cache.column + 1)
        seen_keys, seen_values = keys.flatten(0, 1)[:, window].mT, values.flatten(0, 1)[:, window]
        unseen = cache.unseen
        scores = torch.bmm(query, seen_keys) if unseen is None else torch.baddbmm(unseen[..., window], query, seen_keys)
        return torch.bmm(scores.softmax(-1), seen_values).view(rows, -1)

    def _normed(self, hidden: Tensor) -> Tensor:
        """`hidden` (rows, size) divided by its root mean square and by the root of the size."""
        if kernels_fit(hidden, halves=True):
            return rms_norm(hidden, self.root, self.eps)
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
        return hidden * length.square_().add_(self.size * self.eps).rsqrt_().to(hidden.dtype)
