"""One token further for many rows on a GPU: every tensor keeps its place, so that a step can be recorded and replayed.

A decoding step of a GPU is hundreds of short kernels, and telling it of each takes longer than running them. Recorded
once as a graph they are started together; for that the column that is written is a number on the device, and the
columns that are looked at are the same in each step of a recording, with those that are not written yet hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...networks.operations import float_product
from ...networks.qwen import QwenNetwork, Weights
from ...networks.rotary import rotate


class DeviceDecoder:
    """The decoder of a fused network, on the weights themselves: nothing is copied or folded.

    Args:
        network: the network.
        weights: its weights as they are now.
    """

    def __init__(self, network: QwenNetwork, weights: Weights) -> None:
        self.network, self.weights = network, weights
        self.heads, self.kv_heads, self.head_dim = network.heads, network.kv_heads, network.head_dim

    def step(
        self,
        tokens: Tensor,
        turn: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        column: Tensor,
        window: slice,
        unseen: Tensor,
    ) -> Tensor:
        """Run one token of every row and write its keys and values to `column`.

        Args:
            tokens: int64 (rows,).
            turn: complex64 (rows, dim / 2), see `rotate`.
            keys, values: per layer (rows, kv_heads, columns, dim), written to.
            column: int64 (1,), inside `window`.
            window: the columns that are looked at.
            unseen: float32 (rows, 1, 1, window), added to the scores.

        Returns:
            float32 (rows, vocabulary) logits.
        """
        rows, turned_heads = len(tokens), self.heads + self.kv_heads
        turn, scale = turn[:, None], self.head_dim**-0.5
        hidden = F.embedding(tokens, self.weights.embedding)
        for layer, key_cache, value_cache in zip(self.weights.layers, keys, values, strict=True):
            joined = self.network.project(layer, hidden).view(rows, -1, self.head_dim)
            query, key = rotate(joined[:, :turned_heads], turn).split([self.heads, self.kv_heads], 1)
            key_cache.index_copy_(2, column, key[:, :, None])
            value_cache.index_copy_(2, column, joined[:, turned_heads:, None])
            # Query heads that share a key head stand side by side, so each key head is one product.
            query = query.reshape(rows * self.kv_heads, -1, self.head_dim)
            scores = float_product(query, key_cache.flatten(0, 1)[:, window])
            scores = torch.add(unseen, scores.unflatten(0, (rows, -1)), alpha=scale)
            mixture = scores.softmax(-1).to(query.dtype).flatten(0, 1)
            mixed = torch.bmm(mixture, value_cache.flatten(0, 1)[:, window]).view(rows, -1)
            hidden = self.network.after_attention(layer, hidden, mixed)
        return self.network.logits(self.network.norm(hidden, self.weights.norm))
