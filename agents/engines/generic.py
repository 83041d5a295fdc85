"""Batched decoding through a model's own `transformers` forward: for every family that has no fused network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import DynamicCache

from ..networks.base import Rows
from ..networks.generic import GenericNetwork
from .base import Completion, Request, Sampling, uniforms
from .sampler import Sampler
from .stopping import StopStrings, is_finished


class GenericEngine:
    """See `Engine`; requests run in batches of `slots`, each until its last sequence ends. It keeps no prefixes."""

    def __init__(
        self,
        network: GenericNetwork,
        banned_ids: Sequence[int],
        end_ids: Sequence[int],
        pad_id: int,
        slots: int = 64,
        stop_strings: StopStrings | None = None,
    ) -> None:
        self.network, self.pad_id, self.slots, self.stop_strings = network, pad_id, slots, stop_strings
        self.sampler = Sampler(network.vocabulary_size, banned_ids, network.model.device)
        self.end_ids = set(end_ids)
        self.version = 0

    @torch.no_grad()
    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        completions: list[Completion] = []
        for first in range(0, len(requests), self.slots):
            completions += self._generate_batch(requests[first : first + self.slots], sampling)
        return completions

    def update_weights(self, version: int) -> None:
        """The network is the model itself: only the number of its weights changes."""
        self.version = version

    def sleep(self) -> None:
        """Its memory is the learner's already."""

    def close(self) -> None:
        """Nothing is held that does not go with the engine itself."""

    def _generate_batch(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        model = self.network.model
        budget = sampling.max_new_tokens
        noise = torch.from_numpy(np.stack([uniforms(request.key, budget) for request in requests])).to(model.device)
        rows = Rows.pack([r.prompt_ids for r in requests], [r.images for r in requests], self.pad_id)
        inputs = self.network.inputs(rows, left=True)
        cache = DynamicCache(config=model.config)
        output = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        mask = inputs["attention_mask"]
        # The module keeps how far image tokens moved the rotary positions; text continues from there.
        deltas = model.model.rope_deltas if "pixel_values" in inputs else 0
        ids: list[list[int]] = [[] for _ in requests]
        logprobs: list[list[float]] = [[] for _ in requests]
        live = [True] * len(requests)
        stops = None
        if sampling.stop:
            assert self.stop_strings is not None, "stop strings need the tokenizer's table"
            stops = self.stop_strings.table(sampling.stop)
        states = [0] * len(requests)
        for step in range(budget):
            tokens, chosen = self.sampler(
                output.logits[:, -1].float(), noise[:, step], sampling.temperature, sampling.greedy
            )
            for row, (token, value) in enumerate(zip(tokens.tolist(), chosen.tolist(), strict=True)):
                if live[row]:
                    ids[row].append(token)
                    logprobs[row].append(value)
                    live[row] = token not in self.end_ids
                    if stops is not None:
                        states[row] = int(stops[states[row], token])
                        live[row] &= states[row] != len(stops) - 1
            if not any(live) or step == budget - 1:
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            positions = mask.sum(1, keepdim=True) - 1 + deltas
            if self.network.has_vision:
                positions = positions[None].expand(3, -1, -1)
            output = model(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        return [
            Completion(i, np.array(p, np.float32), is_finished(i, budget, self.end_ids, stops), None, self.version)
            for i, p in zip([np.array(row, np.int32) for row in ids], logprobs, strict=True)
        ]
