"""One token further for many rows: the fused network folded for decoding.

A decoding step is many small operations, so what can be done once is done to the weights: the scales of the norms and
of the queries go into the products that follow them, and the matrices lie the way the products read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .operations import attended
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


class DecodingNetwork:
    """A copy of a network's decoder as its weights are now; for inference only."""

    def __init__(self, network: QwenNetwork, weights: Weights) -> None:
        self.heads, self.kv_heads, self.head_dim = network.heads, network.kv_heads, network.head_dim
        self.size, self.eps = network.hidden_size, network.eps
        self.embedding = weights.embedding
        # The root of the size is what turns the norm of a vector into its root mean square.
        root = self.size**0.5
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

    def step(
        self,
        tokens: Tensor,
        turn: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
        window: slice,
        unseen: Tensor | None,
    ) -> Tensor:
        """Run one token of every row and write its keys and values to the last column of `window`.

        Args:
            tokens: int64 (rows,).
            turn: complex64 (rows, dim / 2), see `rotate`.
            keys: per layer (rows, kv_heads, dim, columns).
            values: per layer (rows, kv_heads, columns, dim).
            window: the columns that rows may look at.
            unseen: (rows * kv_heads, 1, columns in the window) to add to the scores, or None for nothing.

        Returns:
            float32 (rows, vocabulary) logits.
        """
        rows, column = len(tokens), window.stop - 1
        turn = turn[:, None]
        hidden = F.embedding(tokens, self.embedding)
        for layer, key_cache, value_cache in zip(self.layers, keys, values, strict=True):
            joined = attended(torch.addmm(layer.qkv_bias, self._normed(hidden), layer.qkv))
            turned, value = joined.view(rows, -1, self.head_dim).split([self.heads + self.kv_heads, self.kv_heads], 1)
            query, key = rotate(turned, turn).split([self.heads, self.kv_heads], 1)
            key_cache[..., column] = key
            value_cache[:, :, column] = value
            # Query heads that share a key head stand side by side, so each key head is one product.
            query = query.reshape(rows * self.kv_heads, -1, self.head_dim)
            seen_keys, seen_values = key_cache.flatten(0, 1)[..., window], value_cache.flatten(0, 1)[:, window]
            scores = torch.bmm(query, seen_keys) if unseen is None else torch.baddbmm(unseen, query, seen_keys)
            mixed = torch.bmm(scores.softmax(-1), seen_values).view(rows, -1)
            hidden = torch.addmm(hidden, mixed.to(hidden.dtype), layer.out)
            normed = self._normed(hidden)
            inner = F.silu(normed @ layer.gate, inplace=True).mul_(normed @ layer.up)
            hidden = torch.addmm(hidden, inner, layer.down)
        return self._normed(hidden).float() @ self.head

    def _normed(self, hidden: Tensor) -> Tensor:
        """`hidden` (rows, size) divided by its root mean square and by the root of the size."""
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
        return hidden * length.square_().add_(self.size * self.eps).rsqrt_().to(hidden.dtype)
