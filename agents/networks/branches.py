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
from .branch_attention import Block, BranchShape, attend_branches
from .qwen import QwenNetwork

# Share of padding from which on it is left out, and written only where attention wants rows of one length.
LEAST_PADDING = 0.05
# Endings attend in so many blocks of like length at most; blocks whose lengths differ by less than this share are one.
MOST_BLOCKS = 4
LIKE_LENGTH = 0.1


@dataclass(frozen=True)
class BranchedRows:
    """Some rows, each cut in two.

    Attributes:
        whole: the rows as they were.
        beginnings: the different beginnings, each once.
        endings: what follows in each row, in blocks of like length; rows that end with their beginning are in none.
        members: for each block int64 (rows of the block,), which of the rows stand in it.
        owners: int64 (rows,), the beginning of each row.
        splits: int64 (rows,), how many tokens of each row are its beginning.
        starts: int64 (rows,), the place of the first token of each row's ending; of one without any it means nothing.
    """

    whole: Rows
    beginnings: Rows
    endings: tuple[Rows, ...]
    members: tuple[np.ndarray, ...]
    owners: Tensor
    splits: Tensor
    starts: Tensor

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
            _images_within(pixels, int((ids[:split] == network.image_token).sum())) if pixels else 0
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
        members = blocks_of(np.array([len(rest) for rest in rests]))
        endings: list[Rows] = []
        starts = torch.zeros(len(rests), dtype=torch.long)
        place = beginnings.ids.numel()
        for block in members:
            chosen = block.tolist()
            endings.append(Rows.pack([rests[i] for i in chosen], [rows.images[i][shown[i] :] for i in chosen], 0))
            length = endings[-1].ids.shape[1]
            starts[chosen] = place + torch.arange(len(chosen)) * length
            place += len(chosen) * length
        owned, lengths = torch.tensor(owners), torch.tensor(list(splits))
        return cls(rows, beginnings, tuple(endings), tuple(members), owned, lengths, starts)

    @property
    def parts(self) -> tuple[Rows, ...]:
        """Beginnings and blocks of endings, in the order of the places."""
        return self.beginnings, *self.endings

    @property
    def saved(self) -> float:
        """The share of the rows' tokens that need not be run."""
        shared = int(self.beginnings.lengths.sum())
        split = int(self.splits.sum())
        whole = split + sum(int(block.lengths.sum()) for block in self.endings)
        return (split - shared) / whole

    def positions(self, network: QwenNetwork) -> Tensor:
        """int64 (3, places), the rotary positions of all tokens; those in the padding mean nothing."""
        before = np.zeros((3, *self.beginnings.ids.shape), np.int64)
        follow = np.zeros(len(self.beginnings.ids), np.int64)
        lengths = self.beginnings.lengths.tolist()
        for row, (ids, length) in enumerate(zip(self.beginnings.ids.numpy(), lengths, strict=True)):
            before[:, row, :length], follow[row] = network.positions(ids[:length], self.beginnings.images[row])
        found = [before.reshape(3, -1)]
        ids, lengths, splits = self.whole.ids.numpy(), self.whole.lengths.tolist(), self.splits.tolist()
        for block, members in zip(self.endings, self.members, strict=True):
            # Text counts on from its beginning; an image does more than count, and is asked for.
            starts = follow[self.owners.numpy()[members]]
            after = np.repeat((starts[:, None] + np.arange(block.ids.shape[1]))[None], 3, 0)
            for at in [at for at, images in enumerate(block.images) if images]:
                row = int(members[at])
                positions, _ = network.positions(ids[row, : lengths[row] - 1], self.whole.images[row])
                after[:, at, : lengths[row] - 1 - splits[row]] = positions[:, splits[row] :]
            found.append(after.reshape(3, -1))
        return torch.from_numpy(np.concatenate(found, 1))

    def shape(self, device: torch.device, multiple: int = 1) -> BranchShape:
        """How the tokens stand; the padding is left out where there is enough of it to be worth the copies.

        So much of it stays that the tokens are a multiple of `multiple`.
        """
        real = torch.cat(
            [(torch.arange(part.ids.shape[1]) < part.lengths[:, None]).flatten() for part in self.parts]
        ).to(device)
        tokens = spread = None
        at = torch.arange(len(real), device=device)
        if int(real.sum()) < (1 - LEAST_PADDING) * len(real):
            real[(~real).nonzero()[: -int(real.sum()) % multiple, 0]] = True
            tokens = real.nonzero()[:, 0]
            spread = torch.zeros_like(at)
            spread[tokens] = torch.arange(len(tokens), device=device)
            at = spread
        count, width = self.beginnings.ids.shape
        begun = at[: count * width].view(count, width)
        causal = torch.full((width, width), -torch.inf, device=device).triu(1)[None]
        blocks = [Block(count, width, 0, begun.flatten(), begun, causal, None)]
        owners, splits = self.owners.to(device), self.splits.to(device)
        first = count * width
        for ending, members in zip(self.endings, self.members, strict=True):
            rows, length = ending.ids.shape
            chosen = torch.from_numpy(members).to(device)
            own, owner = at[first : first + rows * length].view(rows, length), owners[chosen]
            # An ending sees the real part of its beginning, and itself up to where it stands.
            unseen = torch.zeros(rows, length, width + length, device=device)
            beyond = torch.arange(width, device=device) >= splits[chosen][:, None, None]
            unseen[:, :, :width].masked_fill_(beyond, -torch.inf)
            unseen[:, :, width:] += torch.full((length, length), -torch.inf, device=device).triu(1)
            owned = (owner == torch.arange(count, device=device)[:, None]).float()
            keys = torch.cat([begun[owner], own], 1)
            blocks.append(Block(rows, length, first, own.flatten(), keys, unseen, owned))
            first += rows * length
        return BranchShape(tuple(blocks), len(real), tokens, spread)

    def places(self, rows: Tensor, columns: Tensor) -> Tensor:
        """int64, where the tokens at `columns` of `rows` stand in the order of `positions`."""
        split = self.splits[rows]
        within = self.owners[rows] * self.beginnings.ids.shape[1] + columns
        return torch.where(columns < split, within, self.starts[rows] + columns - split)


def blocks_of(lengths: np.ndarray) -> list[np.ndarray]:
    """Rows in at most `MOST_BLOCKS` blocks of like length: the numbers of the rows in each, ascending.

    Cuts lie where they leave the least padding, among cuts into as many equal parts. Rows of length 0 are in none.
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    blocks: list[np.ndarray] = []
    for part in np.array_split(order, min(MOST_BLOCKS, len(order))) if len(order) else []:
        # Nearly as long as the rows before: they stand together.
        if blocks and lengths[part[-1]] <= lengths[blocks[-1][-1]] * (1 + LIKE_LENGTH):
            blocks[-1] = np.concatenate([blocks[-1], part])
        else:
            blocks.append(part)
    return [np.sort(block) for block in blocks]


def _images_within(images: Sequence[PixelInput], tokens: int) -> int:
    """How many of `images` the first `tokens` image tokens are."""
    count = 0
    while tokens > 0:
        tokens -= images[count].num_tokens
        count += 1
    assert tokens == 0, "a row is cut inside an image"
    return count


@dataclass(frozen=True)
class Layout:
    """A tree of rows as a network takes it, which is the same for all networks of one kind.

    Attributes:
        shape: how the tokens stand.
        ids: int64 (tokens,).
        turn: complex64 (tokens, 1, dim / 2), see `rotary.rotate`.
        images: whose features the image tokens are, in order.
        read: int64 (m,), the different tokens whose states are wanted, some more where the network wants a multiple.
        copies: int64 (n,), which of those each wanted state is.
    """

    shape: BranchShape
    ids: Tensor
    turn: Tensor
    images: tuple[PixelInput, ...]
    read: Tensor
    copies: Tensor

    @classmethod
    def of(cls, network: QwenNetwork, rows: BranchedRows, places: Tensor) -> Layout:
        """For the states at `places` (n,), see `BranchedRows.places`."""
        device = network.model.device
        shape = rows.shape(device, network.row_multiple)
        ids = torch.cat([network.without_stray_images(part).flatten() for part in rows.parts]).to(device)
        positions, wanted = rows.positions(network).to(device), places.to(device)
        if shape.tokens is not None:
            assert shape.spread is not None
            ids, positions, wanted = ids[shape.tokens], positions[:, shape.tokens], shape.spread[wanted]
        images = tuple(image for part in rows.parts for row in part.images for image in row)
        # What the last layer makes of other tokens nobody reads; rows read the end of a shared beginning together.
        read, copies = wanted.unique(return_inverse=True)
        read = F.pad(read, (0, -len(read) % network.row_multiple))
        return cls(shape, ids, network.rotary(positions)[:, None], images, read, copies)


def run_branches(network: QwenNetwork, layout: Layout, features: dict[bytes, Tensor] | None = None) -> Tensor:
    """Last hidden states (n, hidden) of the tokens that the layout is for."""
    known = dict(features or {})
    # Together, so that the vision tower runs once.
    network.encode_missing(layout.images, known)
    hidden = network.embed(None, layout.ids, [known[image.digest] for image in layout.images])
    turn, shape, last = layout.turn, layout.shape, len(network.decoder.layers)
    for number, layer in enumerate(network.decoder.layers, 1):
        inputs = (network, layer, hidden, turn, shape, layout.read if number == last else None)
        if network.checkpointing and torch.is_grad_enabled():
            hidden = checkpoint(_run_layer, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            hidden = _run_layer(*inputs)
    return network.norm(hidden, network.decoder.norm.weight).index_select(0, layout.copies)


def _run_layer(
    network: QwenNetwork,
    layer: nn.Module,
    hidden: Tensor,
    turn: Tensor,
    shape: BranchShape,
    read: Tensor | None,
) -> Tensor:
    """One decoder layer; only attention knows of beginnings and endings.

    Returns:
        (tokens, hidden), or (n, hidden) of the tokens at `read` (n,) where that is given.
    """
    weights = network.layer_weights(layer)
    joined = network.project(weights, hidden)
    mixed = attend_branches(network, joined, turn, shape)
    if read is not None:
        hidden, mixed = hidden.index_select(0, read), mixed.index_select(0, read)
    return network.after_attention(weights, hidden, mixed)
