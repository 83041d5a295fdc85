"""The rows that the generic engine decodes side by side, and how prompts enter the cache of a `transformers` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache

from ..networks.base import Rows
from ..networks.generic import GenericNetwork
from .base import Request
from .prefix import KeptRows, Prefix


@dataclass
class GenericBatch:
    """Row i of everything belongs to one request.

    Attributes:
        cache: keys and values, (rows, kv_heads, columns, dim) in each layer.
        mask: int64 (rows, columns), 1 where a token stands; what lies between a row's tokens it never sees.
        positions: int64 (rows,), rotary position of the next token.
        tokens: int64 (rows,), last sampled token.
        members: which request each row continues.
        live: still decoding.
    """

    cache: DynamicCache
    mask: Tensor
    positions: Tensor
    tokens: Tensor
    members: list[int]
    live: list[bool]

    def step(self, network: GenericNetwork) -> Tensor:
        """Run the last sampled tokens; logits (rows, vocabulary)."""
        self.mask = F.pad(self.mask, (0, 1), value=1)
        positions = self.positions[:, None]
        output = network.model(
            input_ids=self.tokens[:, None],
            attention_mask=self.mask,
            position_ids=positions[None].expand(3, -1, -1) if network.has_vision else positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.positions = self.positions + 1
        return output.logits[:, -1]

    def chosen(self, rows: Tensor) -> GenericBatch:
        """The batch of some of the rows, or of some of them several times."""
        kept = rows.tolist()
        layers = [(keys[rows], values[rows]) for keys, values in layers_of(self.cache)]
        return GenericBatch(
            cache_of(layers),
            self.mask[rows],
            self.positions[rows],
            self.tokens[rows],
            [self.members[row] for row in kept],
            [self.live[row] for row in kept],
        )

    def trimmed(self) -> GenericBatch:
        """The same without the columns before the first that any row looks at."""
        first = int(self.mask.amax(0).argmax())
        if first:
            self.cache = cache_of([(k[:, :, first:], v[:, :, first:]) for k, v in layers_of(self.cache)])
            self.mask = self.mask[:, first:]
        return self

    def joined(self, entering: GenericBatch) -> GenericBatch:
        """Both batches side by side, ending at one column."""
        columns = max(self.mask.shape[1], entering.mask.shape[1])

        def aligned(cached: Tensor) -> Tensor:
            return F.pad(cached, (0, 0, columns - cached.shape[2], 0))

        pairs = zip(layers_of(self.cache), layers_of(entering.cache), strict=True)
        layers = [
            (torch.cat([aligned(k), aligned(new_k)]), torch.cat([aligned(v), aligned(new_v)]))
            for (k, v), (new_k, new_v) in pairs
        ]
        masks = [F.pad(part.mask, (columns - part.mask.shape[1], 0)) for part in (self, entering)]
        return GenericBatch(
            cache_of(layers),
            torch.cat(masks),
            torch.cat([self.positions, entering.positions]),
            torch.cat([self.tokens, entering.tokens]),
            self.members + entering.members,
            self.live + entering.live,
        )

    def cut(self, row: int, count: int) -> KeptRows:
        """A copy of what a row has cached of its first `count` tokens."""
        columns = self.mask[row].nonzero()[:count, 0]
        layers = [(keys[row, None][:, :, columns], values[row, None][:, :, columns]) for keys, values in self.layers]
        return KeptRows([keys for keys, _ in layers], [values for _, values in layers])

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each layer."""
        return layers_of(self.cache)


def layers_of(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, (rows, kv_heads, columns, dim)."""
    layers: Any = cache.layers  # of attention, and written to
    return [(layer.keys, layer.values) for layer in layers]


def cache_of(layers: Sequence[tuple[Tensor, Tensor]]) -> DynamicCache:
    """A cache that holds all columns in every layer; where a layer slides, its mask hides what it must not see."""
    cache = DynamicCache()
    for index, (keys, values) in enumerate(layers):
        cache.update(keys, values, index)
    return cache


def run_whole(
    network: GenericNetwork, requests: Sequence[Request], pad_id: int, cache: DynamicCache
) -> tuple[GenericBatch, Tensor]:
    """Run whole prompts into `cache`; a batch of them and the logits (rows, vocabulary) of the token after each."""
    model = network.model
    rows = Rows.pack([request.prompt_ids for request in requests], [request.images for request in requests], pad_id)
    inputs = network.inputs(rows, left=True)
    output = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    mask = inputs["attention_mask"]
    positions = mask.sum(1)
    if "pixel_values" in inputs:
        # The module keeps how far image tokens moved the rotary positions; text continues from there.
        positions = positions + model.model.rope_deltas[:, 0]
    return _batch(cache, mask, positions), output.logits[:, -1]


def run_following(
    network: GenericNetwork, prompts: Sequence[tuple[Request, Prefix]], pad_id: int
) -> tuple[GenericBatch, Tensor]:
    """The same for prompts that continue a prefix: only what follows it is run."""
    model = network.model
    prefixes = [prefix for _, prefix in prompts]
    known = [len(prefix.ids) for prefix in prefixes]
    news = [request.prompt_ids[count:] for (request, _), count in zip(prompts, known, strict=True)]
    shown = [request.images[len(p.digests) :] for (request, _), p in zip(prompts, prefixes, strict=True)]
    inputs = network.inputs(Rows.pack(news, shown, pad_id), left=True)
    mask = inputs["attention_mask"]
    if "pixel_values" in inputs:
        positions, _ = model.model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            attention_mask=mask,
        )
    else:
        positions = inputs["position_ids"]
    before = torch.tensor([prefix.position for prefix in prefixes], device=mask.device)
    positions = positions + before[:, None]
    columns = max(known)
    # All were made by one model, so the first tells the shapes.
    shapes = prefixes[0].rows
    assert shapes is not None, "a prefix serves one call"
    keys, values = (
        [part.new_zeros(len(prompts), part.shape[1], columns, part.shape[3]) for part in parts]
        for parts in (shapes.keys, shapes.values)
    )
    for row, (prefix, count) in enumerate(zip(prefixes, known, strict=True)):
        prefix.copy_into(keys, values, row, columns - count)
    cache = cache_of(list(zip(keys, values, strict=True)))
    counts = torch.tensor(known, device=mask.device)[:, None]
    old = (torch.arange(columns, device=mask.device) >= columns - counts).long()
    inputs |= {"attention_mask": torch.cat([old, mask], 1), "position_ids": positions}
    output = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    real = torch.where(mask.bool(), positions, 0)
    following = (real.amax(0) if real.dim() == 3 else real).amax(1) + 1
    return _batch(cache, inputs["attention_mask"], following), output.logits[:, -1]


def _batch(cache: DynamicCache, mask: Tensor, positions: Tensor) -> GenericBatch:
    rows = len(positions)
    return GenericBatch(cache, mask, positions, torch.zeros_like(positions), list(range(rows)), [True] * rows)
