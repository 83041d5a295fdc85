"""The embedded engine: batched decoding over the fused network.

Distinct prompts are run once, whoever samples from them, and each different image is encoded once. Sequences that end
leave the batch and waiting ones enter. All rows write the same column of the cache: a row's prompt is laid so that it
ends where the batch stands, which keeps every step a plain slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
# Added to the scores of columns that a row must not look at.
UNSEEN = -1e9


@dataclass
class _Batch:
    """The rows being decoded; row i of every tensor belongs to request `owners[i]`."""

    keys: list[Tensor]  # per layer (rows, kv_heads, dim, columns): the order in which scores are a plain product
    values: list[Tensor]  # per layer (rows, kv_heads, columns, dim)
    unseen: Tensor  # (rows, 1, 1, columns), 0 where a row may look, UNSEEN before its prompt begins
    starts: Tensor  # (rows,) first column of the row's prompt
    positions: Tensor  # (rows,) rotary position of the next token
    tokens: Tensor  # (rows,) last sampled token
    owners: Tensor  # (rows,) index of the request
    counts: Tensor  # (rows,) how many tokens were sampled
    live: Tensor  # (rows,) bool, still decoding
    column: int  # next column to write
    first: int  # the first column that any row looks at


@dataclass(frozen=True)
class _Results:
    """What is sampled, by request; one column more than the budget, where rows that ended go on writing unread."""

    noise: Tensor  # (requests, budget + 1) uniform numbers
    ids: Tensor  # (requests, budget + 1), -1 where nothing was sampled
    logprobs: Tensor  # (requests, budget + 1)


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
        features = self._features([image for request in requests for image in request.images])
        total, budget = len(requests), sampling.max_new_tokens
        results = _Results(
            noise=torch.zeros(total, budget + 1),
            ids=torch.full((total, budget + 1), -1, dtype=torch.long, device=self.device),
            logprobs=torch.zeros(total, budget + 1, device=self.device),
        )
        if not sampling.greedy:
            results.noise[:, :budget] = torch.from_numpy(np.stack([uniforms(r.key, budget) for r in requests]))
        results = replace(results, noise=results.noise.to(self.device))
        # No rotary position lies beyond the number of tokens.
        self._extend_rotary(max(len(request.prompt_ids) for request in requests) + budget)
        # Long prompts first: the cache's width then shrinks as the batch goes on, and equal prompts stand side by side.
        order = sorted(range(total), key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids.tobytes(), i))
        batch: _Batch | None = None
        while order or batch is not None:
            room = self.slots - (0 if batch is None else len(batch.owners))
            if order and room > 0:
                entering, order = order[:room], order[room:]
                logits, new = self._prefill(weights, requests, entering, features, budget)
                self._sample(logits, new, results, sampling)
                batch = self._compact(new if batch is None else self._join(batch, new, budget))
                continue
            assert batch is not None
            self._sample(self._decode(weights, batch), batch, results, sampling)
            batch = self._compact(batch)
        return self._completions(results)

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
        columns = torch.arange(width + budget, device=self.device)
        unseen = torch.where(columns[None] < starts[:, None], UNSEEN, 0.0).to(dtype)
        batch = _Batch(
            keys=[F.pad(key[gather], (0, budget)) for key in keys],
            values=[F.pad(value[gather], (0, 0, 0, budget)) for value in values],
            unseen=unseen[:, None, None],
            starts=starts,
            positions=following[gather],
            tokens=torch.zeros(len(entering), dtype=torch.long, device=self.device),
            owners=torch.tensor(entering, device=self.device),
            counts=torch.zeros(len(entering), dtype=torch.long, device=self.device),
            live=torch.ones(len(entering), dtype=torch.bool, device=self.device),
            column=width,
            first=int(starts.min()),
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
        network, column, rows = self.network, batch.column, len(batch.owners)
        cosine, sine = (table[batch.positions][:, None, None] for table in self._rotary)
        hidden = F.embedding(batch.tokens, weights.embedding)[:, None]
        window = slice(batch.first, column + 1)
        unseen = batch.unseen[..., window]
        for index, layer in enumerate(weights.layers):
            query, key, value = network.attention_inputs(layer, hidden, cosine, sine)
            batch.keys[index][..., column] = key[:, :, 0]
            batch.values[index][:, :, column] = value[:, :, 0]
            # Query heads that share a key head stand side by side, so each key head is one product.
            grouped = query.reshape(rows, network.kv_heads, -1, network.head_dim) * network.head_dim**-0.5
            scores = grouped @ batch.keys[index][..., window] + unseen
            mixed = scores.softmax(-1) @ batch.values[index][:, :, window]
            hidden = network.after_attention(layer, hidden, mixed.reshape(rows, network.heads, 1, -1))
        batch.column += 1
        batch.positions += 1
        return network.logits(network.norm(hidden[:, 0], weights.norm))

    def _sample(self, logits: Tensor, batch: _Batch, results: _Results, sampling: Sampling) -> None:
        """Draw the next token of every live row and note which rows end."""
        budget = sampling.max_new_tokens
        places = batch.owners, torch.where(batch.live, batch.counts, budget)
        batch.tokens, chosen = self.sampler(logits, results.noise[places], sampling.temperature, sampling.greedy)
        results.ids[places] = batch.tokens
        results.logprobs[places] = chosen
        batch.counts += batch.live
        batch.live &= ~self.ends[batch.tokens] & (batch.counts < budget)

    def _compact(self, batch: _Batch) -> _Batch | None:
        """Drop the rows that ended, once there are enough of them; None when nothing is left."""
        remaining = int(batch.live.sum())
        if remaining == 0:
            return None
        if remaining == len(batch.live) or remaining > (1 - COMPACT_AT) * len(batch.live):
            return batch
        keep = batch.live.nonzero()[:, 0]
        starts = batch.starts[keep]
        return _Batch(
            keys=[key[keep] for key in batch.keys],
            values=[value[keep] for value in batch.values],
            unseen=batch.unseen[keep],
            starts=starts,
            positions=batch.positions[keep],
            tokens=batch.tokens[keep],
            owners=batch.owners[keep],
            counts=batch.counts[keep],
            live=batch.live[keep],
            column=batch.column,
            first=int(starts.min()),
        )

    def _join(self, batch: _Batch, new: _Batch, budget: int) -> _Batch:
        """Put the entering rows beside the running ones, all prompts and replies ending at the same column."""
        # Columns before the first that any row still reads are dropped, or the cache would grow for ever.
        used = batch.column - batch.first
        left = max(new.column - used, 0)
        column = left + used
        lead = column - new.column

        def aligned(running: Tensor, entering: Tensor, along: int) -> Tensor:
            """Both laid out to `column` + budget columns; `along` (-1 or -2) is the axis of the columns."""
            inner = (0, 0) * (-1 - along)
            running = running.narrow(along, batch.first, used)
            return torch.cat([F.pad(running, (*inner, left, budget)), F.pad(entering, (*inner, lead, 0))])

        starts = torch.cat([batch.starts + left - batch.first, new.starts + lead])
        columns = torch.arange(column + budget, device=self.device)
        unseen = torch.where(columns < starts[:, None, None, None], UNSEEN, 0.0).to(batch.unseen.dtype)
        return _Batch(
            keys=[aligned(a, b, -1) for a, b in zip(batch.keys, new.keys, strict=True)],
            values=[aligned(a, b, -2) for a, b in zip(batch.values, new.values, strict=True)],
            unseen=unseen,
            starts=starts,
            positions=torch.cat([batch.positions, new.positions]),
            tokens=torch.cat([batch.tokens, new.tokens]),
            owners=torch.cat([batch.owners, new.owners]),
            counts=torch.cat([batch.counts, new.counts]),
            live=torch.cat([batch.live, new.live]),
            column=column,
            first=int(starts.min()),
        )

    def _completions(self, results: _Results) -> list[Completion]:
        ids, logprobs = results.ids[:, :-1].cpu().numpy(), results.logprobs[:, :-1].cpu().numpy()
        ends = self.ends.cpu().numpy()
        counts = (ids >= 0).sum(1).tolist()
        return [
            Completion(row[:count].astype(np.int32), values[:count].copy(), bool(ends[row[count - 1]]))
            for row, values, count in zip(ids, logprobs, counts, strict=True)
        ]
