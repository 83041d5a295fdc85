"""The embedded engine: batched decoding over the fused network.

Distinct prompts are run once, whoever samples from them, and each different image is encoded once. Of a prompt that
continues a conversation only the new ids are run. Sequences that end leave the batch and waiting ones enter.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..networks.base import PixelInput
from ..networks.decoding import DecodingNetwork
from ..networks.qwen import QwenNetwork, Weights
from .base import Completion, Request, Sampling, uniforms
from .batch import COMPACT_AT, PREFIX_BYTES, Batch
from .device.decoder import DeviceDecoder
from .device.steps import DeviceSteps
from .prefill import Prompt, prefill
from .prefix import KeptRows, Prefix, weight_stamp
from .sampler import Drawing, Sampler
from .stopping import StopStrings, is_finished


@dataclass(frozen=True)
class _Results:
    """What is sampled: `budget` places a request, and a last one where rows that ended go on writing unread."""

    noise: Tensor  # float32 (requests * budget + 1,) uniform numbers
    ids: Tensor  # int64 likewise, -1 where nothing was sampled
    logprobs: Tensor  # float32 likewise


@dataclass
class _Call:
    """One call of `generate`: what it was given, and what it keeps beside the samples."""

    requests: Sequence[Request]
    sampling: Sampling
    weights: Weights
    stamp: bytes  # of the weights; empty where nothing is kept
    prefixes: list[Prefix | None]  # those of the requests' that fit
    features: dict[bytes, Tensor]
    results: _Results
    stops: Tensor | None  # transitions of the stop strings
    following: dict[int, int] = field(default_factory=dict)  # by request, the position after its prompt
    kept: dict[int, tuple[KeptRows, int, int]] = field(default_factory=dict)  # by request: where its cache went


class EmbeddedEngine:
    """See the module.

    Args:
        network: the fused network.
        banned_ids: never sampled.
        end_ids: any of them ends a reply.
        pad_id: fills rows.
        slots: how many sequences decode side by side.
        stop_strings: of the tokenizer; needed for a sampling with stop strings.
        prefix_bytes: the memory that prefixes may take between calls; those beyond are dropped.
    """

    def __init__(
        self,
        network: QwenNetwork,
        banned_ids: Sequence[int],
        end_ids: Sequence[int],
        pad_id: int,
        slots: int = 256,
        stop_strings: StopStrings | None = None,
        prefix_bytes: int = PREFIX_BYTES,
    ) -> None:
        self.network, self.pad_id, self.slots = network, pad_id, slots
        self.stop_strings, self.prefix_bytes = stop_strings, prefix_bytes
        self.device = network.model.device
        self.sampler = Sampler(network.vocabulary_size, banned_ids, self.device)
        self.ends = torch.zeros(network.vocabulary_size, dtype=torch.bool, device=self.device)
        self.ends[list(end_ids)] = True
        self.features: dict[bytes, Tensor] = {}
        self.keep_features = False
        self.version = 0
        # Whether a step writes in place only, as a GPU's must.
        self.steady = self.device.type == "cuda"
        self._rotary = network.text_rotary(1)
        # What conversations hold; an entry goes when the last prefix in it does.
        self._kept: weakref.WeakSet[KeptRows] = weakref.WeakSet()

    @torch.no_grad()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        if not requests:
            return []
        call = self._begin(requests, sampling)
        # No rotary position lies beyond the number of tokens.
        self._extend_rotary(max(len(request.prompt_ids) for request in requests) + sampling.max_new_tokens)
        # Long prompts first: the cache's width then shrinks as the batch goes on, and equal prompts stand side by side.
        order = sorted(
            range(len(requests)), key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids.tobytes(), i)
        )
        batch: Batch | None = None
        drawing = self._drawing(call)
        advance = self._stepper(call, drawing)
        while order or batch is not None:
            room = self.slots - (0 if batch is None else len(batch))
            if order and room > 0:
                entering, order = order[:room], order[room:]
                logits, new = self._prefill(call, entering)
                drawing.draw(logits, new)
                joined = new if batch is None else batch.joined(new, self._spare(call), self.multiple)
                batch = self._compact(joined, call)
                continue
            assert batch is not None
            advance(batch)
            batch = self._compact(batch, call)
        return self._completions(call)

    def _drawing(self, call: _Call) -> Drawing:
        sampling, results = call.sampling, call.results
        drawn = (results.noise, results.ids, results.logprobs)
        return Drawing(self.sampler, sampling.temperature, sampling.greedy, *drawn, self.ends, call.stops)

    def _stepper(self, call: _Call, drawing: Drawing) -> Callable[[Batch], None]:
        """What makes each live row of a batch a token longer, or several where that spares waiting."""
        if self.steady:
            decoder = DeviceDecoder(self.network, call.weights)
            return DeviceSteps(decoder, drawing, self._rotary, self.device.type == "cuda").advance
        folded = DecodingNetwork(self.network, call.weights)
        return lambda batch: drawing.draw(self._decode(folded, batch), batch)

    def update_weights(self, version: int) -> None:
        """The network reads the model's own weights: only their number changes."""
        self.version = version

    def sleep(self) -> None:
        """Its memory is the learner's already."""

    def close(self) -> None:
        """Nothing is held that does not go with the engine itself."""

    def _begin(self, requests: Sequence[Request], sampling: Sampling) -> _Call:
        kept = any(request.keep or request.prefix is not None for request in requests)
        stamp = weight_stamp(list(self.network.model.parameters())) if kept else b""
        prefixes = [request.fitting_prefix(stamp) for request in requests]
        shown = [
            image
            for request, prefix in zip(requests, prefixes, strict=True)
            for image in (request.images if prefix is None else request.images[len(prefix.digests) :])
        ]
        total, budget = len(requests), sampling.max_new_tokens
        noise = np.zeros(total * budget + 1, np.float32)
        if not sampling.greedy:
            noise[:-1] = np.concatenate([uniforms(request.key, budget) for request in requests])
        results = _Results(
            noise=torch.from_numpy(noise).to(self.device),
            ids=torch.full((len(noise),), -1, dtype=torch.long, device=self.device),
            logprobs=torch.zeros(len(noise), device=self.device),
        )
        stops = None
        if sampling.stop:
            assert self.stop_strings is not None, "stop strings need the tokenizer's table"
            stops = self.stop_strings.table(sampling.stop).to(self.device)
        features = self._features(shown)
        return _Call(requests, sampling, self.network.weights(), stamp, prefixes, features, results, stops)

    @property
    def multiple(self) -> int:
        """The cache has a multiple of so many columns: a GPU's products want rows that begin at one of 16 bytes."""
        return 8 if self.steady else 1

    def _spare(self, call: _Call) -> int:
        """The columns that a reply may need."""
        return call.sampling.max_new_tokens + -call.sampling.max_new_tokens % self.multiple

    def _extend_rotary(self, count: int) -> None:
        if len(self._rotary) < count:
            self._rotary = self.network.text_rotary(2 * count)

    def _features(self, images: Sequence[PixelInput]) -> dict[bytes, Tensor]:
        """Features by digest; kept between calls only while the vision tower is frozen."""
        known = self.features if self.keep_features else {}
        self.network.encode_missing(images, known)
        return known

    def _prefill(self, call: _Call, entering: list[int]) -> tuple[Tensor, Batch]:
        """Run the prompts of `entering`, equal ones once, and lay them out in a cache of their own."""
        distinct: dict[tuple[bytes, ...], int] = {}
        sources: list[Prompt] = []
        members = []
        for index in entering:
            request, prefix = call.requests[index], call.prefixes[index]
            identity = (request.prompt_ids.tobytes(), *(image.digest for image in request.images))
            if identity not in distinct:
                distinct[identity] = len(sources)
                sources.append(Prompt(request, prefix))
            members.append(distinct[identity])
        order = sorted(range(len(sources)), key=lambda source: sources[source].prefix is not None)
        place = {source: at for at, source in enumerate(order)}
        members = [place[source] for source in members]
        done = prefill(
            self.network,
            call.weights,
            [sources[source] for source in order],
            call.features,
            self.pad_id,
            self._spare(call),
            self.multiple,
        )
        keys, values, hidden, following = done.keys, done.values, done.hidden, done.following
        lengths = torch.tensor([len(sources[source].request.prompt_ids) for source in order], device=self.device)
        logits = self.network.logits(hidden)
        if members != list(range(len(order))):
            gather = torch.tensor(members, device=self.device)
            keys, values = ([part.index_select(0, gather) for part in parts] for parts in (keys, values))
            logits, following, lengths = logits[gather], following[gather], lengths[gather]
        places = torch.tensor(entering, device=self.device) * call.sampling.max_new_tokens
        batch = Batch(
            keys=keys,
            values=values,
            prompts=torch.tensor(members, device=self.device) + entering[0] * len(call.requests),
            starts=done.width - lengths,
            ends=torch.full_like(places, done.width),
            positions=following,
            tokens=torch.zeros_like(places),
            places=places,
            limits=places + call.sampling.max_new_tokens,
            stops=torch.zeros_like(places),
            live=torch.ones_like(places, dtype=torch.bool),
            column=done.width,
        )
        if call.stamp:
            call.following.update(zip(entering, following.tolist(), strict=True))
            for index in entering:
                prefix = call.prefixes[index]
                if prefix is not None:
                    prefix.release()
        return logits, batch

    def _decode(self, decoder: DecodingNetwork, batch: Batch) -> Tensor:
        """Run the last sampled tokens; logits (rows, vocabulary)."""
        turn = self._rotary.index_select(0, batch.positions)
        logits = decoder.step(batch.tokens, turn, batch)
        batch.column += 1
        batch.positions += 1
        return logits

    def _compact(self, batch: Batch, call: _Call) -> Batch | None:
        """Drop the rows that ended, once there are enough of them; None when nothing is left."""
        remaining = int(batch.live.sum())
        # Some that ended may stay to fill up the rows.
        staying = min(remaining + -remaining % max(self.network.row_multiple // 4, 1), len(batch))
        if staying == len(batch) and remaining or staying > (1 - COMPACT_AT) * len(batch):
            return batch
        if call.stamp:
            self._keep(batch, call)
        if not remaining:
            return None
        return batch.kept((~batch.live).sort(stable=True).indices[:staying].sort().values)

    def _keep(self, batch: Batch, call: _Call) -> None:
        """Put the caches of the rows that ended aside, where their requests ask for it and the memory suffices."""
        ended = (~batch.live).nonzero()[:, 0]
        indices = (batch.limits[ended] // call.sampling.max_new_tokens - 1).tolist()
        chosen = [at for at, index in enumerate(indices) if call.requests[index].keep]
        if not chosen:
            return
        rows = ended[chosen]
        free = max(self.prefix_bytes - sum(kept.num_bytes for kept in self._kept), 0)
        whole = KeptRows(batch.keys, batch.values)
        if 2 * len(chosen) >= len(batch) and whole.num_bytes <= free:
            # Nobody writes to these any more: holding them costs some memory and spares a copy.
            self._kept.add(whole)
            for at, row, start in zip(chosen, rows.tolist(), batch.starts[rows].tolist(), strict=True):
                call.kept[indices[at]] = (whole, row, start)
            return
        columns = batch.column - int(batch.starts[rows].min())
        each = sum(part[0].numel() // part.shape[-1] * part.element_size() for part in batch.keys) * columns * 2
        room = free // max(each, 1)
        if room == 0:
            return
        kept, starts = batch.taken(rows[:room])
        self._kept.add(kept)
        for row, (at, start) in enumerate(zip(chosen[:room], starts, strict=True)):
            call.kept[indices[at]] = (kept, row, start)

    def _completions(self, call: _Call) -> list[Completion]:
        total = len(call.requests)
        ids, logprobs = (part[:-1].view(total, -1).cpu().numpy() for part in (call.results.ids, call.results.logprobs))
        end_ids, limit = set(self.ends.nonzero()[:, 0].tolist()), call.sampling.max_new_tokens
        counts = (ids >= 0).sum(1).tolist()
        completions = []
        for index, (row, values, count) in enumerate(zip(ids, logprobs, counts, strict=True)):
            reply = row[:count].astype(np.int32)
            prefix = self._prefix(call, index, reply) if index in call.kept else None
            ended = is_finished(reply, limit, end_ids, call.stops)
            completions.append(Completion(reply, values[:count].copy(), ended, prefix, self.version))
        return completions

    def _prefix(self, call: _Call, index: int, reply: np.ndarray) -> Prefix:
        request = call.requests[index]
        digests = tuple(image.digest for image in request.images)
        covered = np.concatenate([request.prompt_ids, reply[:-1]])
        return Prefix(covered, digests, call.following[index] + len(reply) - 1, call.stamp, *call.kept[index])
