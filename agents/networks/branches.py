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
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .base import PixelInput, Rows
from .qwen import QwenNetwork


@dataclass(frozen=True)
class BranchedRows:
    """Some rows, each cut in two.

    Attributes:
        whole: the rows as they were.
        beginnings: the different beginnings, each once.
        endings: what follows in each row, in the rows' order.
        owners: int64 (rows,), the beginning of each row.
        splits: int64 (rows,), how many tokens of each row are its beginning.
    """

    whole: Rows
    beginnings: Rows
    endings: Rows
    owners: Tensor
    splits: Tensor

    @classmethod
    def pack(cls, network: QwenNetwork, rows: Rows, splits: Sequence[int]) -> BranchedRows:
        """Cut each row after so many tokens, inside which no image may be cut in two.

        The last token of a row is left out: it predicts nothing that is learned from.
        """
        known: dict[tuple[bytes, ...], int] = {}
        firsts: list[int] = []
        owners: list[int] = []
        sequences = [ids[: length - 1] for ids, length in zip(rows.ids.numpy(), rows.lengths.tolist(), strict=True)]
        shown = [
            _images_within(pixels, int((ids[:split] == network.image_token).sum()))
            for ids, pixels, split in zip(sequences, rows.images, splits, strict=True)
        ]
        for row, (ids, pixels, split) in enumerate(zip(sequences, rows.images, splits, strict=True)):
            key = (ids[:split].tobytes(), *(image.digest for image in pixels[: shown[row]]))
            owners.append(known.setdefault(key, len(firsts)))
            if owners[-1] == len(firsts):
                firsts.append(row)
        beginnings = Rows.pack(
            [sequences[row][: splits[row]] for row in firsts], [rows.images[row][: shown[row]] for row in firsts], 0
        )
        rests = [ids[split:] for ids, split in zip(sequences, splits, strict=True)]
        endings = Rows.pack(rests, [pixels[count:] for pixels, count in zip(rows.images, shown, strict=True)], 0)
        return cls(rows, beginnings, endings, torch.tensor(owners), torch.tensor(list(splits)))

    @property
    def saved(self) -> float:
        """The share of the rows' tokens that need not be run."""
        shared = int(self.beginnings.lengths.sum())
        whole = int((self.splits + self.endings.lengths).sum())
        return (int(self.splits.sum()) - shared) / whole

    def positions(self, network: QwenNetwork) -> Tensor:
        """int64 (3, tokens), the rotary positions of all tokens, padding included.

        Those of the beginnings come first, row by row, then those of the endings.
        """
        before = np.zeros((3, *self.beginnings.ids.shape), np.int64)
        after = np.zeros((3, *self.endings.ids.shape), np.int64)
        ids, lengths, splits = self.whole.ids.numpy(), self.whole.lengths.tolist(), self.splits.tolist()
        for row, (owner, split, length) in enumerate(zip(self.owners.tolist(), splits, lengths, strict=True)):
            positions, _ = network.positions(ids[row, : length - 1], self.whole.images[row])
            before[:, owner, :split] = positions[:, :split]
            after[:, row, : length - 1 - split] = positions[:, split:]
        return torch.from_numpy(np.concatenate([before.reshape(3, -1), after.reshape(3, -1)], 1))

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


@dataclass(frozen=True)
class _Shape:
    """How the tokens of a tree stand: beginnings (count, length), endings (count, length), and who sees whom."""

    beginnings: tuple[int, int]
    endings: tuple[int, int]
    owners: Tensor  # int64 (endings,)
    visible: Tensor  # bool (endings, 1, ending length, beginning length + ending length)


def run_branches(network: QwenNetwork, rows: BranchedRows, features: dict[bytes, Tensor] | None = None) -> Tensor:
    """Last hidden states (tokens, hidden) of all tokens, in the order of `BranchedRows.positions`."""
    device = network.model.device
    known = dict(features or {})
    # Together, so that the vision tower runs once.
    shown = (image for part in (rows.beginnings, rows.endings) for row in part.images for image in row)
    network.encode_missing(shown, known)
    parts = [
        network.embed(None, network.without_stray_images(part).to(device), network.row_features(part, known))
        for part in (rows.beginnings, rows.endings)
    ]
    hidden = torch.cat([part.flatten(0, 1) for part in parts])[None]
    cosine, sine = (part[None, None] for part in network.rotary(rows.positions(network).to(device)))
    width, length = rows.beginnings.ids.shape[1], rows.endings.ids.shape[1]
    columns = torch.arange(width + length, device=device)
    # An ending sees the real part of its beginning, and itself up to where it stands.
    seen = columns < rows.splits.to(device)[:, None, None]
    own = columns - width
    visible = seen | ((own >= 0) & (own <= torch.arange(length, device=device)[:, None]))
    shape = _Shape(
        (len(rows.beginnings.ids), width), (len(rows.endings.ids), length), rows.owners.to(device), visible[:, None]
    )
    for layer in network.decoder.layers:
        if network.checkpointing and torch.is_grad_enabled():
            inputs = (network, layer, hidden, cosine, sine, shape)
            hidden = checkpoint(_run_layer, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            hidden = _run_layer(network, layer, hidden, cosine, sine, shape)
    return network.norm(hidden, network.decoder.norm.weight)[0]


def _run_layer(
    network: QwenNetwork, layer: nn.Module, hidden: Tensor, cosine: Tensor, sine: Tensor, shape: _Shape
) -> Tensor:
    """One decoder layer; only attention knows of beginnings and endings."""
    weights = network.layer_weights(layer)
    inputs = network.attention_inputs(weights, hidden, cosine, sine)
    middle = shape.beginnings[0] * shape.beginnings[1]
    query, key, value = (part[0, :, :middle].unflatten(1, shape.beginnings).transpose(0, 1) for part in inputs)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=network.grouped)
    if shape.endings[1] == 0:
        joined = mixed.transpose(0, 1).flatten(1, 2)
    else:
        rest = (part[0, :, middle:].unflatten(1, shape.endings).transpose(0, 1) for part in inputs)
        query, own_key, own_value = rest
        branched = F.scaled_dot_product_attention(
            query,
            torch.cat([key[shape.owners], own_key], 2),
            torch.cat([value[shape.owners], own_value], 2),
            attn_mask=shape.visible,
            enable_gqa=network.grouped,
        )
        joined = torch.cat([part.transpose(0, 1).flatten(1, 2) for part in (mixed, branched)], 1)
    return network.after_attention(weights, hidden, joined[None])
