"""The embedded engine: batched decoding over the fused network.

Distinct prompts are run once, whoever samples from them, and each different image is encoded once. Sequences that end
leave the batch and waiting ones enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.base import PixelInput, Rows
from ..networks.decoding import DecodingNetwork
from ..networks.qwen import QwenNetwork, Weights
from .base import Completion, Request, Sampling, uniforms
from .batch import Batch
from .sampler import Sampler

# Leaving the batch costs a copy of the cache; it pays once this share of the rows has ended.
COMPACT_AT = 0.25
PREFILL_ROWS = 64


@dataclass(frozen=True)
class _Results:
    """What is sampled: `budget` places a request, and a last one where rows that ended go on writing unread."""

    noise: Tensor  # float32 (requests * budget + 1,) uniform numbers
    ids: Tensor  # int64 likewise, -1 where nothing was sampled
    logprobs: Tensor  # float32 likewise


class EmbeddedEngine:
    """See the module; `slots` is how many sequences decode side by side."""

    def __init__(
        self, network: QwenNetwork, banned_ids: Sequence[int], end_ids: Sequence[int], pad_id: int, slots: int = 256
    ) -> None:
        self.network, self.pad_id, self.slots = network, pad_id, slots
        self.device = network.model.device
        self.sampler = Sampler(network.vocabulary_size, banned_ids, self.device)
        self.ends = torch.zeros(network.vocabulary_size, dtype=torch.bool, device=self.device)
        self.ends[list(end_ids)] = True
        self.features: dict[bytes, Tensor] = {}
        self.keep_features = False
        self._rotary = network.text_rotary(1)

    @torch.no_grad()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        if not requests:
            return []
        weights = self.network.weights()
        decoder = DecodingNetwork(self.network, weights)
        features = self._features([image for request in requests for image in request.images])
        total, budget = len(requests), sampling.max_new_tokens
        noise = np.zeros(total * budget + 1, np.float32)
        if not sampling.greedy:
            noise[:-1] = np.concatenate([uniforms(request.key, budget) for request in requests])
        results = _Results(
            noise=torch.from_numpy(noise).to(self.device),
            ids=torch.full((len(noise),), -1, dtype=torch.long, device=self.device),
            logprobs=torch.zeros(len(noise), device=self.device),
        )
        # No rotary position lies beyond the number of tokens.
        self._extend_rotary(max(len(request.prompt_ids) for request in requests) + budget)
        # Long prompts first: the cache's width then shrinks as the batch goes on, and equal prompts stand side by side.
        order = sorted(range(total), key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids.tobytes(), i))
        batch: Batch | None = None
        while order or batch is not None:
            room = self.slots - (0 if batch is None else len(batch))
            if order and room > 0:
                entering, order = order[:room], order[room:]
                logits, new = self._prefill(weights, requests, entering, features, budget)
                self._sample(logits, new, results, sampling)
                batch = self._compact(new if batch is None else batch.joined(new, budget))
                continue
            assert batch is not None
            self._sample(self._decode(decoder, batch), batch, results, sampling)
            batch = self._compact(batch)
        return self._completions(results, total)

    def _extend_rotary(self, count: int) -> None:
        if len(self._rotary[0]) < count:
            self._rotary = self.network.text_rotary(2 * count)

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
    ) -> tuple[Tensor, Batch]:
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
        dtype, kv_heads, dim = weights.embedding.dtype, network.kv_heads, network.head_dim
        keys = [
            torch.zeros(len(sources), kv_heads, dim, width, dtype=dtype, device=self.device) for _ in weights.layers
        ]
        values = [
            torch.zeros(len(sources), kv_heads, width, dim, dtype=dtype, device=self.device) for _ in weights.layers
        ]
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
                    keys[layer][first + offset, :, :, width - length :] = key[offset, :, :length].mT
                    values[layer][first + offset, :, width - length :] = value[offset, :, :length]
        gather = torch.tensor(members, device=self.device)
        lengths = torch.tensor([len(request.prompt_ids) for request in sources], device=self.device)
        starts = (width - lengths)[gather]
        places = torch.tensor(entering, device=self.device) * budget
        batch = Batch(
            keys=[F.pad(key[gather], (0, budget)) for key in keys],
            values=[F.pad(value[gather], (0, 0, 0, budget)) for value in values],
            starts=starts,
            positions=following[gather],
            tokens=torch.zeros_like(places),
            places=places,
            limits=places + budget,
            live=torch.ones_like(places, dtype=torch.bool),
            column=width,
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

    def _decode(self, decoder: DecodingNetwork, batch: Batch) -> Tensor:
        """Run the last sampled tokens; logits (rows, vocabulary)."""
        cosine, sine = (table.index_select(0, batch.positions) for table in self._rotary)
        logits = decoder.step(batch.tokens, (cosine, sine), batch.keys, batch.values, *batch.window())
        batch.column += 1
        batch.positions += 1
        return logits

    def _sample(self, logits: Tensor, batch: Batch, results: _Results, sampling: Sampling) -> None:
        """Draw the next token of every live row and note which rows end."""
        noise = results.noise.index_select(0, batch.places)
        batch.tokens, chosen = self.sampler(logits, noise, sampling.temperature, sampling.greedy)
        results.ids.index_copy_(0, batch.places, batch.tokens)
        results.logprobs.index_copy_(0, batch.places, chosen)
        batch.places = batch.places + 1
        batch.live &= ~self.ends.index_select(0, batch.tokens) & (batch.places < batch.limits)
        batch.places.masked_fill_(~batch.live, len(results.ids) - 1)

    def _compact(self, batch: Batch) -> Batch | None:
        """Drop the rows that ended, once there are enough of them; None when nothing is left."""
        remaining = int(batch.live.sum())
        if remaining == 0:
            return None
        if remaining == len(batch) or remaining > (1 - COMPACT_AT) * len(batch):
            return batch
        return batch.kept(batch.live.nonzero()[:, 0])

    def _completions(self, results: _Results, total: int) -> list[Completion]:
        ids, logprobs = (part[:-1].view(total, -1).cpu().numpy() for part in (results.ids, results.logprobs))
        ends = self.ends.cpu().numpy()
        counts = (ids >= 0).sum(1).tolist()
        return [
            Completion(row[:count].astype(np.int32), values[:count].copy(), bool(ends[row[count - 1]]))
            for row, values, count in zip(ids, logprobs, counts, strict=True)
        ]
