"""Prompts into a cache: each is laid so that it ends at one column, and what is known of it is not run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.base import Rows
from ..networks.operations import attended
from ..networks.qwen import QwenNetwork, Weights
from .base import Request
from .prefix import Prefix

PREFILL_ROWS = 64
# Entries (rows, new ids, columns) of the mask of prompts that continue a prefix.
MASK_ENTRIES = 1 << 24


@dataclass(frozen=True)
class Prompt:
    """A prompt to run; of one with a prefix only the ids after it."""

    request: Request
    prefix: Prefix | None

    @property
    def known(self) -> int:
        """How many of its ids need not be run."""
        return 0 if self.prefix is None else len(self.prefix.ids)


@dataclass(frozen=True)
class Prefilled:
    """Prompts as they stand in a cache.

    Attributes:
        keys, values: per layer (rows, kv_heads, width + spare, dim).
        hidden: (rows, hidden), normed states that predict the next token.
        following: int64 (rows,), the position of the next token.
        width: the column where every prompt ends.
    """

    keys: list[Tensor]
    values: list[Tensor]
    hidden: Tensor
    following: Tensor
    width: int


def prefill(
    network: QwenNetwork,
    weights: Weights,
    prompts: Sequence[Prompt],
    features: Mapping[bytes, Tensor],
    pad_id: int,
    spare: int,
    multiple: int = 1,
) -> Prefilled:
    """Run `prompts`, those without a prefix first in the sequence, and leave `spare` columns after them.

    Args:
        network: whose prompts they are.
        weights: its weights as they are now.
        prompts: at least one.
        features: of their images, by digest; those inside a prefix are not needed.
        pad_id: the id that fills rows.
        spare: how many columns decoding will need.
        multiple: of how many columns the prompts' part of the cache shall be.
    """
    width = max(len(prompt.request.prompt_ids) for prompt in prompts)
    width += -width % multiple
    dtype, device = weights.embedding.dtype, weights.embedding.device
    cached = attended(weights.embedding[:0]).dtype
    shape = (len(prompts), network.kv_heads, width + spare, network.head_dim)
    done = Prefilled(
        [torch.zeros(shape, dtype=cached, device=device) for _ in weights.layers],
        [torch.zeros(shape, dtype=cached, device=device) for _ in weights.layers],
        torch.empty(len(prompts), network.hidden_size, dtype=dtype, device=device),
        torch.empty(len(prompts), dtype=torch.long, device=device),
        width,
    )
    fresh = sum(prompt.prefix is None for prompt in prompts)
    for first in range(0, fresh, PREFILL_ROWS):
        where = slice(first, min(first + PREFILL_ROWS, fresh))
        _run_whole(network, weights, prompts[where], features, pad_id, done, where)
    for where in _chunks(prompts, fresh, width):
        _run_following(network, weights, prompts[where], features, done, where)
    return done


def _chunks(prompts: Sequence[Prompt], first: int, width: int) -> Iterator[slice]:
    """Slices of the prompts from `first` on whose masks stay within bounds."""
    while first < len(prompts):
        stop, longest = first, 0
        while stop < len(prompts) and stop < first + PREFILL_ROWS:
            longest = max(longest, len(prompts[stop].request.prompt_ids) - prompts[stop].known)
            if stop > first and (stop + 1 - first) * longest * width > MASK_ENTRIES:
                break
            stop += 1
        yield slice(first, stop)
        first = stop


def _run_whole(
    network: QwenNetwork,
    weights: Weights,
    prompts: Sequence[Prompt],
    features: Mapping[bytes, Tensor],
    pad_id: int,
    done: Prefilled,
    where: slice,
) -> None:
    requests = [prompt.request for prompt in prompts]
    rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], pad_id)
    positions, done.following[where] = network.row_positions(rows)
    turn = network.rotary(positions)[:, None]
    ids = network.without_stray_images(rows).to(positions.device)
    hidden = network.embed(weights, ids, [features[image.digest] for row in rows.images for image in row])
    lengths = rows.lengths.tolist()
    for layer, keys, values in zip(weights.layers, done.keys, done.values, strict=True):
        query, key, value = network.attention_inputs(layer, hidden, turn)
        for offset, length in enumerate(lengths):
            here = slice(done.width - length, done.width)
            keys[where.start + offset, :, here] = key[offset, :, :length]
            values[where.start + offset, :, here] = value[offset, :, :length]
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=network.grouped)
        hidden = network.after_attention(layer, hidden, mixed.transpose(1, 2).flatten(2))
    ends = (rows.lengths - 1).to(positions.device)
    hidden = hidden[torch.arange(len(hidden), device=positions.device), ends]
    done.hidden[where] = network.norm(hidden, weights.norm)


def _run_following(
    network: QwenNetwork,
    weights: Weights,
    prompts: Sequence[Prompt],
    features: Mapping[bytes, Tensor],
    done: Prefilled,
    where: slice,
) -> None:
    """Prompts that continue a prefix: new ids padded on the left, so that all rows end at one column."""
    device = done.hidden.device
    news = [prompt.request.prompt_ids[prompt.known :] for prompt in prompts]
    longest = max(len(new) for new in news)
    ids = np.zeros((len(prompts), longest), np.int64)
    positions = np.zeros((3, len(prompts), longest), np.int64)
    starts = np.zeros(len(prompts), np.int64)
    images: list[Tensor] = []
    for row, (prompt, new) in enumerate(zip(prompts, news, strict=True)):
        prefix, request = prompt.prefix, prompt.request
        assert prefix is not None
        shown = request.images[len(prefix.digests) :]
        images += [features[image.digest] for image in shown]
        ids[row, :] = new[0]  # never an image's: a prefix ends inside a reply
        ids[row, longest - len(new) :] = new
        inside, following = network.positions(new, shown)
        positions[:, row, longest - len(new) :] = prefix.position + inside
        done.following[where.start + row] = prefix.position + following
        starts[row] = done.width - len(request.prompt_ids)
        prefix.copy_into(done.keys, done.values, where.start + row, int(starts[row]))
    column = torch.arange(done.width, device=device)
    at = column[done.width - longest :]
    # A row sees its own columns up to the one it stands at; that of a padding place sees itself at least.
    first = torch.from_numpy(starts).to(device)[:, None, None]
    seen = (column <= at[:, None]) & ((column >= first) | (column == at[:, None]))
    lengths = torch.tensor([len(new) for new in news], device=device)
    real = (torch.arange(longest, device=device) >= longest - lengths[:, None])[:, None, :, None]
    turn = network.rotary(torch.from_numpy(positions).to(device))[:, None]
    hidden = network.embed(weights, torch.from_numpy(ids).to(device), images)
    for layer, layer_keys, layer_values in zip(weights.layers, done.keys, done.values, strict=True):
        query, key, value = network.attention_inputs(layer, hidden, turn)
        keys, values = layer_keys[where, :, : done.width], layer_values[where, :, : done.width]
        for cached, new in ((keys, key), (values, value)):
            tail = cached[:, :, done.width - longest :]
            tail.copy_(torch.where(real, new, tail))
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=seen[:, None], enable_gqa=network.grouped)
        hidden = network.after_attention(layer, hidden, mixed.transpose(1, 2).flatten(2))
    done.hidden[where] = network.norm(hidden[:, -1], weights.norm)
