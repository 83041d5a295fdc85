"""Rows that begin alike run as one tree: the beginning once, the endings side by side after it.

The samples of one prompt share it, images and all, and only what comes after it differs. With long prompts this is most
of the work of an update: 16 replies of 300 tokens to a prompt of 1,000 are 5,800 tokens and not 20,800.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .base import PixelInput, Rows
from .branch_attention import BranchShape, attend_branches
from .qwen import QwenNetwork

# Share of padding from which on it is left out, and written only where attention wants rows of one length.
LEAST_PADDING = 0.05


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
        """int64 (3, tokens), the rotary positions of all tokens; those in the padding mean nothing.

        Those of the beginnings come first, row by row, then those of the endings.
        """
        before = np.zeros((3, *self.beginnings.ids.shape), np.int64)
        follow = np.zeros(len(self.beginnings.ids), np.int64)
        lengths = self.beginnings.lengths.tolist()
        for row, (ids, length) in enumerate(zip(self.beginnings.ids.numpy(), lengths, strict=True)):
            before[:, row, :length], follow[row] = network.positions(ids[:length], self.beginnings.images[row])
        # Text counts on from its beginning; an image does more than count, and is asked for.
        width = self.endings.ids.shape[1]
        after = np.repeat((follow[self.owners.numpy()][:, None] + np.arange(width))[None], 3, 0)
        ids, lengths, splits = self.whole.ids.numpy(), self.whole.lengths.tolist(), self.splits.tolist()
        for row in [row for row, images in enumerate(self.endings.images) if images]:
            positions, _ = network.positions(ids[row, : lengths[row] - 1], self.whole.images[row])
            after[:, row, : lengths[row] - 1 - splits[row]] = positions[:, splits[row] :]
        return torch.from_numpy(np.concatenate([before.reshape(3, -1), after.reshape(3, -1)], 1))

    def shape(self, device: torch.device) -> BranchShape:
        """How the tokens stand; the padding is left out where there is enough of it to be worth the copies."""
        parts = (self.beginnings, self.endings)
        real = torch.cat([(torch.arange(part.ids.shape[1]) < part.lengths[:, None]).flatten() for part in parts])
        tokens = spread = None
        if int(real.sum()) < (1 - LEAST_PADDING) * len(real):
            tokens = real.nonzero()[:, 0].to(device)
            spread = torch.zeros(len(real), dtype=torch.long, device=device)
            spread[tokens] = torch.arange(len(tokens), device=device)
        width, length = (part.ids.shape[1] for part in parts)
        columns = torch.arange(width + length, device=device)
        # An ending sees the real part of its beginning, and itself up to where it stands.
        seen = columns < self.splits.to(device)[:, None, None]
        own = columns - width
        visible = seen | ((own >= 0) & (own <= torch.arange(length, device=device)[:, None]))
        shapes = (len(self.beginnings.ids), width), (len(self.endings.ids), length)
        borders = [0, *((self.owners.diff() != 0).nonzero()[:, 0] + 1).tolist(), len(self.owners)]
        runs = tuple((int(self.owners[first]), first, stop) for first, stop in itertools.pairwise(borders))
        return BranchShape(*shapes, self.owners.to(device), runs, visible[:, None], tokens, spread)

    def places(self, rows: Tensor, columns: Tensor) -> Tensor:
        """int64, where the tokens at `columns` of `rows` stand in the order of `positions`."""
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


def run_branches(
    network: QwenNetwork, rows: BranchedRows, places: Tensor, features: dict[bytes, Tensor] | None = None
) -> Tensor:
    """Last hidden states (n, hidden) of the tokens at `places` (n,), see `BranchedRows.places`."""
    device = network.model.device
    known = dict(features or {})
    parts = (rows.beginnings, rows.endings)
    # Together, so that the vision tower runs once.
    network.encode_missing((image for part in parts for row in part.images for image in row), known)
    shape = rows.shape(device)
    ids = torch.cat([network.without_stray_images(part).flatten() for part in parts]).to(device)
    positions, wanted = rows.positions(network).to(device), places.to(device)
    if shape.tokens is not None:
        assert shape.spread is not None
        ids, positions, wanted = ids[shape.tokens], positions[:, shape.tokens], shape.spread[wanted]
    images = [image for part in parts for image in network.row_features(part, known)]
    hidden = network.embed(None, ids, images)
    cosine, sine = (part[:, None] for part in network.rotary(positions))
    # What the last layer makes of other tokens nobody reads. Rows read the end of a beginning that they share together.
    read, copies = wanted.unique(return_inverse=True)
    for number, layer in enumerate(network.decoder.layers, 1):
        inputs = (network, layer, hidden, cosine, sine, shape, read if number == len(network.decoder.layers) else None)
        if network.checkpointing and torch.is_grad_enabled():
            hidden = checkpoint(_run_layer, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            hidden = _run_layer(*inputs)
    return network.norm(hidden, network.decoder.norm.weight).index_select(0, copies)


def _run_layer(
    network: QwenNetwork,
    layer: nn.Module,
    hidden: Tensor,
    cosine: Tensor,
    sine: Tensor,
    shape: BranchShape,
    read: Tensor | None,
) -> Tensor:
    """One decoder layer; only attention knows of beginnings and endings.

    Returns:
        (tokens, hidden), or (n, hidden) of the tokens at `read` (n,) where that is given.
    """
    weights = network.layer_weights(layer)
    joined = network.project(weights, hidden)
    mixed = attend_branches(network, joined, cosine, sine, shape)
    if read is not None:
        hidden, mixed = hidden.index_select(0, read), mixed.index_select(0, read)
    return network.after_attention(weights, hidden, mixed)
