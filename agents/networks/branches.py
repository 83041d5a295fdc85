"""Rows that begin alike run as one tree: the beginning once, the endings side by side after it.

The samples of one prompt share it, images and all, and only what comes after it differs. With long prompts this is most
of the work of an update: 16 replies of 300 tokens to a prompt of 1,000 are 5,800 tokens and not 20,800.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .base import PixelInput, Rows
from .qwen import QwenNetwork, Weights


@dataclass(frozen=True)
class BranchedRows:
    """Some rows, each cut in two.

    Attributes:
        beginnings: the different beginnings, each once.
        endings: what follows in each row, in the rows' order.
        owners: int64 (rows,), the beginning of each row.
        positions: int64 (3, tokens), the rotary positions of all tokens, padding included: those of the beginnings,
            row by row, then those of the endings.
        splits: int64 (rows,), how many tokens of each row are its beginning.
    """

    beginnings: Rows
    endings: Rows
    owners: Tensor
    positions: Tensor
    splits: Tensor

    @classmethod
    def pack(
        cls,
        network: QwenNetwork,
        sequences: Sequence[np.ndarray],
        images: Sequence[Sequence[PixelInput]],
        splits: Sequence[int],
        pad_id: int,
    ) -> BranchedRows:
        """Cut each sequence (int ids) after `splits` tokens; no image is cut in two."""
        known: dict[tuple[bytes, ...], int] = {}
        firsts: list[int] = []
        owners: list[int] = []
        shown: list[int] = []
        for row, (ids, pixels, split) in enumerate(zip(sequences, images, splits, strict=True)):
            shown.append(_images_within(pixels, int((ids[:split] == network.image_token).sum())))
            key = (ids[:split].tobytes(), *(image.digest for image in pixels[: shown[-1]]))
            owners.append(known.setdefault(key, len(firsts)))
            if owners[-1] == len(firsts):
                firsts.append(row)
        beginnings = Rows.pack(
            [sequences[row][: splits[row]] for row in firsts], [images[row][: shown[row]] for row in firsts], pad_id
        )
        rests = [ids[split:] for ids, split in zip(sequences, splits, strict=True)]
        endings = Rows.pack(rests, [pixels[count:] for pixels, count in zip(images, shown, strict=True)], pad_id)
        before = np.zeros((3, *beginnings.ids.shape), np.int64)
        after = np.zeros((3, *endings.ids.shape), np.int64)
        for row, (ids, pixels, split) in enumerate(zip(sequences, images, splits, strict=True)):
            positions, _ = network.positions(ids, pixels)
            before[:, owners[row], :split] = positions[:, :split]
            after[:, row, : len(ids) - split] = positions[:, split:]
        joined = np.concatenate([before.reshape(3, -1), after.reshape(3, -1)], 1)
        return cls(beginnings, endings, torch.tensor(owners), torch.from_numpy(joined), torch.tensor(list(splits)))

    def places(self, rows: Tensor, columns: Tensor) -> Tensor:
        """int64, where the tokens at `columns` of `rows` stand in what `run_branches` returns."""
        width, split = self.beginnings.ids.shape[1], self.splits[rows]
        offset = self.beginnings.ids.numel()
        within = self.owners[rows] * width + columns
        beyond = offset + rows * self.endings.ids.shape[1] + columns - split
        return torch.where(columns < split, within, beyond)


def _images_within(images: Sequence[PixelInput], tokens: int) -> int:
    """How many of `images` the first `tokens` image tokens are."""
    count = 0
    while tokens > 0:
        tokens -= images[count].num_tokens
        count += 1
    assert tokens == 0, "a row is cut inside an image"
    return count


def run_branches(network: QwenNetwork, rows: BranchedRows, features: dict[bytes, Tensor] | None = None) -> Tensor:
    """Last hidden states (tokens, hidden) of all tokens, in the order of `BranchedRows.positions`."""
    weights = network.weights()
    device = weights.embedding.device
    known = dict(features or {})
    missing = {
        image.digest: image
        for part in (rows.beginnings, rows.endings)
        for image in part.distinct_images()[0]
        if image.digest not in known
    }
    if missing:
        known.update(zip(missing, network.encode_images(list(missing.values())), strict=True))
    parts = [_embed(network, weights, part, known).flatten(0, 1) for part in (rows.beginnings, rows.endings)]
    hidden = torch.cat(parts)[None]
    cosine, sine = (part[None, None] for part in network.rotary(rows.positions.to(device)))
    (first, width), (count, length) = rows.beginnings.ids.shape, rows.endings.ids.shape
    owners = rows.owners.to(device)
    columns = torch.arange(width + length, device=device)
    # An ending sees the real part of its beginning, and itself up to where it stands.
    seen = columns < rows.splits.to(device)[:, None, None]
    own = columns - width
    visible = seen | ((own >= 0) & (own <= torch.arange(length, device=device)[:, None]))
    for layer in weights.layers:
        inputs = network.attention_inputs(layer, hidden, cosine, sine)
        query, key, value = (
            part[0, :, : first * width].unflatten(1, (first, width)).transpose(0, 1) for part in inputs
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=network.grouped)
        tails = (part[0, :, first * width :].unflatten(1, (count, length)).transpose(0, 1) for part in inputs)
        query, own_key, own_value = tails
        branched = F.scaled_dot_product_attention(
            query,
            torch.cat([key[owners], own_key], 2),
            torch.cat([value[owners], own_value], 2),
            attn_mask=visible[:, None],
            enable_gqa=network.grouped,
        )
        joined = torch.cat([part.transpose(0, 1).flatten(1, 2) for part in (mixed, branched)], 1)
        hidden = network.after_attention(layer, hidden, joined[None])
    return network.norm(hidden, weights.norm)[0]


def _embed(network: QwenNetwork, weights: Weights, rows: Rows, features: dict[bytes, Tensor]) -> Tensor:
    ids = network.without_stray_images(rows).to(weights.embedding.device)
    return network.embed(weights, ids, network.row_features(rows, features))
