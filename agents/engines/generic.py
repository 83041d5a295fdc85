"""Batched decoding through a model's own `transformers` forward: for every family that has no fused network.

As in the embedded engine equal prompts are run once, of a prompt that continues a conversation only the new ids are
run, and sequences that end leave the batch for waiting ones. It looks at a cache as `transformers` lays it out.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ..networks.generic import GenericNetwork
from .base import Completion, Request, Sampling, uniforms
from .batch import COMPACT_AT, PREFIX_BYTES
from .generic_batch import GenericBatch, run_following, run_whole
from .prefix import KeptRows, Prefix, weight_stamp
from .sampler import Sampler
from .stopping import StopStrings, is_finished


@dataclass
class _Call:
    """One call of `generate`: what it was given, and what it found so far of each request."""

    requests: Sequence[Request]
    sampling: Sampling
    stamp: bytes  # of the weights; empty where nothing is kept
    prefixes: list[Prefix | None]  # those of the requests' that fit
    noise: Tensor  # float32 (requests, budget) uniform numbers
    stops: Tensor | None  # transitions of the stop strings
    ids: list[list[int]]
    logprobs: list[list[float]]
    states: list[int]  # how far into a stop string the text is
    following: list[int]  # the position after the prompt
    kept: dict[int, KeptRows] = field(default_factory=dict)


class GenericEngine:
    """See the module and `Engine`.

    A model with layers that are no attention (state-space, linear) has no cache that could be cut by tokens: its
    requests run in batches of `slots`, each until its last sequence ends, and nothing is kept or shared.

    Args:
        network: over the model.
        banned_ids: never sampled.
        end_ids: any of them ends a reply.
        pad_id: fills rows.
        slots: how many sequences decode side by side.
        stop_strings: of the tokenizer; needed for a sampling with stop strings.
        prefix_bytes: the memory that prefixes may take between calls; those beyond are dropped.
    """

    def __init__(
        self,
        network: GenericNetwork,
        banned_ids: Sequence[int],
        end_ids: Sequence[int],
        pad_id: int,
        slots: int = 64,
        stop_strings: StopStrings | None = None,
        prefix_bytes: int = PREFIX_BYTES,
    ) -> None:
        self.network, self.pad_id, self.slots, self.stop_strings = network, pad_id, slots, stop_strings
        self.sampler = Sampler(network.vocabulary_size, banned_ids, network.model.device)
        self.end_ids, self.prefix_bytes = set(end_ids), prefix_bytes
        layers = DynamicCache(config=network.model.config).layers
        self.cuttable = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
        self.version = 0
        # What conversations hold; an entry goes when the prefix does.
        self._kept: weakref.WeakSet[KeptRows] = weakref.WeakSet()

    @torch.no_grad()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        if not requests:
            return []
        call = self._begin(requests, sampling)
        # Like lengths side by side, and equal prompts.
        order = sorted(
            range(len(requests)), key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids.tobytes(), i)
        )
        batch: GenericBatch | None = None
        while order or batch is not None:
            room = self.slots - (0 if batch is None else len(batch.members))
            if order and room > 0 and (self.cuttable or batch is None):
                entering, order = order[:room], order[room:]
                new, logits = self._enter(call, entering)
                self._sample(call, new, logits)
                batch = self._compact(call, new if batch is None else batch.joined(new))
                continue
            assert batch is not None
            logits = batch.step(self.network)
            self._sample(call, batch, logits)
            batch = self._compact(call, batch)
        return self._completions(call)

    def update_weights(self, version: int) -> None:
        """The network is the model itself: only the number of its weights changes."""
        self.version = version

    def sleep(self) -> None:
        """Its memory is the learner's already."""

    def close(self) -> None:
        """Nothing is held that does not go with the engine itself."""

    def _begin(self, requests: Sequence[Request], sampling: Sampling) -> _Call:
        kept = self.cuttable and any(request.keep or request.prefix is not None for request in requests)
        stamp = weight_stamp(list(self.network.model.parameters())) if kept else b""
        prefixes = [request.fitting_prefix(stamp) for request in requests]
        stops = None
        if sampling.stop:
            assert self.stop_strings is not None, "stop strings need the tokenizer's table"
            stops = self.stop_strings.table(sampling.stop)
        noise = np.stack([uniforms(request.key, sampling.max_new_tokens) for request in requests])
        total = len(requests)
        return _Call(
            requests,
            sampling,
            stamp,
            prefixes,
            torch.from_numpy(noise).to(self.network.model.device),
            stops,
            [[] for _ in requests],
            [[] for _ in requests],
            [0] * total,
            [0] * total,
        )

    def _enter(self, call: _Call, entering: list[int]) -> tuple[GenericBatch, Tensor]:
        """Run the prompts of `entering`, equal ones once; a batch of them and float (rows, vocabulary) logits."""
        distinct: dict[tuple[bytes | int, ...], int] = {}
        sources: list[int] = []
        members: list[int] = []
        for index in entering:
            request = call.requests[index]
            identity: tuple[bytes | int, ...] = (
                request.prompt_ids.tobytes(),
                *(image.digest for image in request.images),
            )
            if not self.cuttable:
                identity = (index,)
            if identity not in distinct:
                distinct[identity] = len(sources)
                sources.append(index)
            members.append(distinct[identity])
        fresh = [index for index in sources if call.prefixes[index] is None]
        continuing = [index for index in sources if call.prefixes[index] is not None]
        parts: list[tuple[GenericBatch, Tensor]] = []
        if fresh:
            cache = DynamicCache() if self.cuttable else DynamicCache(config=self.network.model.config)
            parts.append(run_whole(self.network, [call.requests[index] for index in fresh], self.pad_id, cache))
        if continuing:
            pairs = [(call.requests[index], prefix) for index in continuing if (prefix := call.prefixes[index])]
            parts.append(run_following(self.network, pairs, self.pad_id))
        batch = parts[0][0] if len(parts) == 1 else parts[0][0].joined(parts[1][0])
        order = [(fresh + continuing).index(sources[member]) for member in members]
        rows = torch.tensor(order, device=batch.tokens.device)
        logits = torch.cat([logits for _, logits in parts])
        if order != list(range(len(sources))):
            batch, logits = batch.chosen(rows), logits[rows]
        batch.members, batch.live = list(entering), [True] * len(entering)
        for index, position in zip(entering, batch.positions.tolist(), strict=True):
            call.following[index] = position
            if (prefix := call.prefixes[index]) is not None:
                prefix.release()
        return batch, logits

    def _sample(self, call: _Call, batch: GenericBatch, logits: Tensor) -> None:
        """Draw the next token of every row and note which rows end."""
        sampling, members = call.sampling, batch.members
        steps = [min(len(call.ids[index]), sampling.max_new_tokens - 1) for index in members]
        tokens, chosen = self.sampler(logits.float(), call.noise[members, steps], sampling.temperature, sampling.greedy)
        batch.tokens = tokens
        for row, (token, value) in enumerate(zip(tokens.tolist(), chosen.tolist(), strict=True)):
            if not batch.live[row]:
                continue
            index = members[row]
            call.ids[index].append(token)
            call.logprobs[index].append(value)
            live = token not in self.end_ids and len(call.ids[index]) < sampling.max_new_tokens
            if call.stops is not None:
                call.states[index] = int(call.stops[call.states[index], token])
                live &= call.states[index] != len(call.stops) - 1
            batch.live[row] = live

    def _compact(self, call: _Call, batch: GenericBatch) -> GenericBatch | None:
        """Drop the rows that ended, once there are enough of them; None when nothing is left."""
        remaining = [row for row, live in enumerate(batch.live) if live]
        if remaining and (not self.cuttable or len(remaining) > (1 - COMPACT_AT) * len(batch.live)):
            return batch
        if call.stamp:
            self._keep(call, batch)
        if not remaining:
            return None
        return batch.chosen(torch.tensor(remaining, device=batch.tokens.device)).trimmed()

    def _keep(self, call: _Call, batch: GenericBatch) -> None:
        """Put the caches of the rows that ended aside, where their requests ask for it and the memory suffices."""
        for row, index in enumerate(batch.members):
            if batch.live[row] or not call.requests[index].keep:
                continue
            # A row that ended went on, unread, with what stands behind these; the last sampled id never ran.
            count = len(call.requests[index].prompt_ids) + len(call.ids[index]) - 1
            kept = batch.cut(row, count)
            if kept.num_bytes + sum(other.num_bytes for other in self._kept) <= self.prefix_bytes:
                self._kept.add(kept)
                call.kept[index] = kept

    def _completions(self, call: _Call) -> list[Completion]:
        completions = []
        for index, (request, reply) in enumerate(zip(call.requests, call.ids, strict=True)):
            ids, logprobs = np.array(reply, np.int32), np.array(call.logprobs[index], np.float32)
            prefix = None
            if index in call.kept:
                digests = tuple(image.digest for image in request.images)
                covered = np.concatenate([request.prompt_ids, ids[:-1]])
                position = call.following[index] + len(ids) - 1
                prefix = Prefix(covered, digests, position, call.stamp, call.kept[index], 0, 0)
            ended = is_finished(ids, call.sampling.max_new_tokens, self.end_ids, call.stops)
            completions.append(Completion(ids, logprobs, ended, prefix, self.version))
        return completions
