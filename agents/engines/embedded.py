"""The embedded engine: batched decoding over the fused network.

Distinct prompts are run once, whoever samples from them, and each different image is encoded once. Sequences that end leave the batch and
waiting ones enter. All rows write the same column of the cache: a row's prompt is laid so that it ends where the batch stands, which keeps
every step a plain slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.base import PixelInput, Rows
from ..networks.qwen import QwenNetwork, Weights
from .base import Completion, Request, Sampling, uniforms
from .sampler import Sampler

# Leaving the batch costs a copy of the cache; it pays once this share of the rows has ended.
COMPACT_AT = 0.25
PREFILL_ROWS = 64


@dataclass
class _Batch:
    """The rows being decoded; row i of every tensor belongs to `owners[i]`."""

    keys: list[Tensor]  # per layer (rows, kv_heads, columns, dim)
    values: list[Tensor]
    starts: Tensor  # (rows,) first column of the row's prompt
    positions: Tensor  # (rows,) rotary position of the next token
    tokens: Tensor  # (rows,) last sampled token
    owners: Tensor  # (rows,) index of the request
    column: int  # next column to write
    live: Tensor  # (rows,) bool, still decoding


class EmbeddedEngine:
    """See the module; `slots` is how many sequences decode side by side."""

    def __init__(
        self, network: QwenNetwork, banned_ids: Sequence[int], end_ids: Sequence[int], pad_id: int, slots: int = 256
    ) -> None:
        self.network, self.pad_id, self.slots = network, pad_id, slots
        self.device = network.model.device
        self.sampler = Sampler(network.vocabulary_size, banned_ids, self.device)
        self.end_ids = torch.tensor(list(end_ids), device=self.device)
        self.features: dict[bytes, Tensor] = {}
        self.keep_features = False

    @torch.no_grad()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        if not requests:
            return []
        weights = self.network.weights()
        features = self._features([image for request in requests for image in request.images])
        total, budget = len(requests), sampling.max_new_tokens
        noise = torch.zeros(total, budget)
        if not sampling.greedy:
            noise = torch.from_numpy(np.stack([uniforms(request.key, budget) for request in requests]))
        ids = torch.zeros(total, budget, dtype=torch.long, device=self.device)
        logprobs = torch.zeros(total, budget, device=self.device)
        counts = torch.zeros(total, dtype=torch.long, device=self.device)
        noise = noise.to(self.device)
        # Long prompts first: the cache's width then shrinks as the batch goes on, and equal prompts stand side by side.
        order = sorted(range(total), key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids.tobytes(), i))
        batch: _Batch | None = None
        while order or batch is not None:
            room = self.slots - (0 if batch is None else len(batch.owners))
            if order and room > 0:
                entering, order = order[:room], order[room:]
                logits, new = self._prefill(weights, requests, entering, features, budget)
                self._sample(logits, new, noise, ids, logprobs, counts, sampling)
                batch = new if batch is None else self._join(batch, new, budget)
                batch = self._compact(batch)
                continue
            assert batch is not None
            logits = self._decode(weights, batch)
            self._sample(logits, batch, noise, ids, logprobs, counts, sampling)
            batch = self._compact(batch)
        return self._completions(ids, logprobs, counts)

    def _features(self, images: Sequence[PixelInput]) -> dict[bytes, Tensor]:
        """Features by digest; kept between calls only while the vision tower is frozen."""
        known = self.features if self.keep_features else {}
        missing = {image.digest: image for image in images if image.digest not in known}
        if missing:
            known.update(zip(missing, self.network.encode_images(list(missing.values())), strict=True))
        return known

    def _prefill(
        self,
        weights: Weights,
        requests: Sequence[Request],
        entering: list[int],
        features: dict[bytes, Tensor],
        budget: int,
    ) -> tuple[Tensor, _Batch]:
        """Run the prompts of `entering`, equal ones once, and lay them out in a cache of their own."""
        network = self.network
        distinct: dict[tuple[bytes, ...], int] = {}
        sources, members = [], []
        for index in entering:
            request = requests[index]
            identity = (request.prompt_ids.tobytes(), *(image.digest for image in request.images))
            if identity not in distinct:
                distinct[identity] = len(sources)
                sources.append(request)
            members.append(distinct[identity])
        width = max(len(request.prompt_ids) for request in sources)
        shape = (len(sources), network.kv_heads, width, network.head_dim)
        dtype = weights.embedding.dtype
        keys = [torch.zeros(shape, dtype=dtype, device=self.device) for _ in weights.layers]
        values = [torch.zeros(shape, dtype=dtype, device=self.device) for _ in weights.layers]
        last = torch.empty(len(sources), network.hidden_size, dtype=dtype, device=self.device)
        following = torch.empty(len(sources), dtype=torch.long, device=self.device)
        for first in range(0, len(sources), PREFILL_ROWS):
            chunk = sources[first : first + PREFILL_ROWS]
            rows = Rows.pack([r.prompt_ids for r in chunk], [r.images for r in chunk], self.pad_id)
            where = slice(first, first + len(chunk))
            hidden, after, cached = self._run_prompts(weights, rows, features)
            last[where], following[where] = hidden, after
            for layer, (key, value) in enumerate(cached):
                for offset, length in enumerate(rows.lengths.tolist()):
                    keys[layer][first + offset, :, width - length :] = key[offset, :, :length]
                    values[layer][first + offset, :, width - length :] = value[offset, :, :length]
        gather = torch.tensor(members, device=self.device)
        lengths = torch.tensor([len(request.prompt_ids) for request in sources], device=self.device)
        pad = (0, 0, 0, budget)
        batch = _Batch(
            keys=[F.pad(key[gather], pad) for key in keys],
            values=[F.pad(value[gather], pad) for value in values],
            starts=(width - lengths)[gather],
            positions=following[gather],
            tokens=torch.zeros(len(entering), dtype=torch.long, device=self.device),
            owners=torch.tensor(entering, device=self.device),
            column=width,
            live=torch.ones(len(entering), dtype=torch.bool, device=self.device),
        )
        return network.logits(last)[gather], batch

    def _run_prompts(
        self, weights: Weights, rows: Rows, features: dict[bytes, Tensor]
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Last hidden state and next position of each prompt, and every layer's keys and values."""
        network = self.network
        positions, following = network.row_positions(rows)
        cosine, sine = (part[:, None] for part in network.rotary(positions))
        ids = network.without_stray_images(rows).to(self.device)
        hidden = network.embed(weights, ids, network.row_features(rows, features))
        cached = []
        for layer in weights.layers:
            query, key, value = network.attention_inputs(layer, hidden, cosine, sine)
            cached.append((key, value))
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=network.grouped)
            hidden = network.after_attention(layer, hidden, mixed)
        ends = (rows.lengths - 1).to(self.device)
        hidden = hidden[torch.arange(len(hidden), device=self.device), ends]
        return network.norm(hidden, weights.norm), following, cached

    def _decode(self, weights: Weights, batch: _Batch) -> Tensor:
        """Run the last sampled tokens; logits (rows, vocabulary)."""
        network, column = self.network, batch.column
        cosine, sine = network.rotary(batch.positions.expand(3, -1))
        cosine, sine = cosine[:, None, None], sine[:, None, None]
        hidden = F.embedding(batch.tokens, weights.embedding)[:, None]
        first = int(batch.starts.min())
        columns = torch.arange(first, column + 1, device=self.device)
        seen = (columns[None] >= batch.starts[:, None])[:, None, None]
        mask = None if bool(seen.all()) else seen
        for index, layer in enumerate(weights.layers):
            query, key, value = network.attention_inputs(layer, hidden, cosine, sine)
            batch.keys[index][:, :, column] = key[:, :, 0]
            batch.values[index][:, :, column] = value[:, :, 0]
            mixed = F.scaled_dot_product_attention(
                query,
                batch.keys[index][:, :, first : column + 1],
                batch.values[index][:, :, first : column + 1],
                attn_mask=mask,
                enable_gqa=network.grouped,
            )
            hidden = network.after_attention(layer, hidden, mixed)
        batch.column += 1
        batch.positions += 1
        return network.logits(network.norm(hidden[:, 0], weights.norm))

    def _sample(
        self,
        logits: Tensor,
        batch: _Batch,
        noise: Tensor,
        ids: Tensor,
        logprobs: Tensor,
        counts: Tensor,
        sampling: Sampling,
    ) -> None:
        """Draw the next token of every live row and note which rows end."""
        owners = batch.owners
        step = counts[owners].clamp(max=sampling.max_new_tokens - 1)
        tokens, chosen = self.sampler(logits, noise[owners, step], sampling.temperature, sampling.greedy)
        live = batch.live
        ids[owners[live], step[live]] = tokens[live]
        logprobs[owners[live], step[live]] = chosen[live]
        counts[owners[live]] += 1
        ended = torch.isin(tokens, self.end_ids) | (counts[owners] >= sampling.max_new_tokens)
        batch.tokens = tokens
        batch.live = live & ~ended

    def _compact(self, batch: _Batch) -> _Batch | None:
        """Drop the rows that ended, once there are enough of them; None when nothing is left."""
        remaining = int(batch.live.sum())
        if remaining == 0:
            return None
        if remaining == len(batch.live) or remaining > (1 - COMPACT_AT) * len(batch.live):
            return batch
        keep = batch.live.nonzero()[:, 0]
        batch.keys = [key[keep] for key in batch.keys]
        batch.values = [value[keep] for value in batch.values]
        batch.starts, batch.positions = batch.starts[keep], batch.positions[keep]
        batch.tokens, batch.owners, batch.live = batch.tokens[keep], batch.owners[keep], batch.live[keep]
        return batch

    def _join(self, batch: _Batch, new: _Batch, budget: int) -> _Batch:
        """Put the entering rows beside the running ones, all prompts and replies ending at the same column."""
        # Columns before the first that any row still reads are dropped, or the cache would grow for ever.
        spare = int(batch.starts.min())
        left = max(new.column - (batch.column - spare), 0)
        shift = left - spare

        def aligned(running: Tensor, entering: Tensor) -> Tensor:
            running = F.pad(running[:, :, spare : batch.column], (0, 0, left, budget))
            entering = F.pad(entering, (0, 0, running.shape[2] - entering.shape[2], 0))
            return torch.cat([running, entering])

        keys = [aligned(a, b) for a, b in zip(batch.keys, new.keys, strict=True)]
        values = [aligned(a, b) for a, b in zip(batch.values, new.values, strict=True)]
        column = batch.column + shift
        return _Batch(
            keys,
            values,
            torch.cat([batch.starts + shift, new.starts + column - new.column]),
            torch.cat([batch.positions, new.positions]),
            torch.cat([batch.tokens, new.tokens]),
            torch.cat([batch.owners, new.owners]),
            column,
            torch.cat([batch.live, new.live]),
        )

    def _completions(self, ids: Tensor, logprobs: Tensor, counts: Tensor) -> list[Completion]:
        ended = torch.isin(ids.gather(1, (counts - 1)[:, None])[:, 0], self.end_ids).tolist()
        rows = zip(ids.cpu().numpy().astype(np.int32), logprobs.cpu().numpy(), counts.tolist(), ended, strict=True)
        return [Completion(row[:count], values[:count].copy(), end) for row, values, count, end in rows]
