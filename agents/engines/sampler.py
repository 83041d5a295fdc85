"""One step of sampling, the same for every engine in this process and for the trainer's log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.compiled.switch import kernels_fit
from .batch import Batch

BANNED = -1e9


class Sampler:
    """Turns logits into tokens; never yields a banned id."""

    def __init__(self, vocabulary_size: int, banned_ids: Sequence[int], device: torch.device | str) -> None:
        self.bias = torch.zeros(vocabulary_size, device=device)
        self.bias[list(banned_ids)] = BANNED

    def log_probabilities(self, logits: Tensor, temperature: float) -> Tensor:
        """Log-probabilities float32 (..., vocabulary) of what may be sampled at `temperature`."""
        return torch.log_softmax(self._biased(logits, temperature), -1)

    def raise_bans(self, logits: Tensor, temperature: float) -> Tensor:
        """What `log_probabilities` takes the softmax of; written over `logits`, which nobody else may need."""
        return (logits if temperature == 1.0 else logits / temperature).add_(self.bias)

    def __call__(self, logits: Tensor, noise: Tensor, temperature: float, greedy: bool) -> tuple[Tensor, Tensor]:
        """Sample one token a row by inverting the distribution function at `noise` (rows,) in [0, 1).

        Returns:
            int64 (rows,) tokens and float32 (rows,) log-probabilities.
        """
        if greedy:
            logprobs = self.log_probabilities(logits, temperature)
            tokens = logprobs.argmax(-1)
            return tokens, logprobs.gather(-1, tokens[:, None])[:, 0]
        if kernels_fit(logits):
            from ..networks.compiled.functions import drawn

            return drawn(logits, self.bias, temperature, noise)
        probabilities = torch.softmax(self._biased(logits, temperature), -1)
        cumulative = probabilities.cumsum(-1)
        # Scaling by the last value (1 but for rounding) keeps the draw inside the distribution.
        threshold = (noise * cumulative[:, -1])[:, None]
        tokens = torch.searchsorted(cumulative, threshold, right=True).clamp_(max=logits.shape[-1] - 1)
        return tokens[:, 0], probabilities.gather(-1, tokens)[:, 0].log()

    def _biased(self, logits: Tensor, temperature: float) -> Tensor:
        scaled = logits if temperature == 1.0 else logits / temperature
        return scaled + self.bias


@dataclass(frozen=True)
class Drawing:
    """What is drawn in a call, and how: tensors that all batches of the call write to.

    Attributes:
        sampler: of the engine.
        temperature, greedy: of the sampling.
        noise: float32 (results,) uniform numbers.
        ids: int64 (results,) sampled so far, -1 elsewhere; the last place is where rows that ended write.
        logprobs: float32 (results,).
        ends: bool (vocabulary,), the ids that end a reply.
        stops: int64 (states, vocabulary), transitions of the stop strings, or None.
    """

    sampler: Sampler
    temperature: float
    greedy: bool
    noise: Tensor
    ids: Tensor
    logprobs: Tensor
    ends: Tensor
    stops: Tensor | None

    def draw(self, logits: Tensor, batch: Batch) -> None:
        """Draw the next token of every live row and note which rows end; all of it in place."""
        noise = self.noise.index_select(0, batch.places)
        tokens, chosen = self.sampler(logits, noise, self.temperature, self.greedy)
        self.ids.index_copy_(0, batch.places, tokens)
        self.logprobs.index_copy_(0, batch.places, chosen)
        batch.tokens.copy_(tokens)
        batch.places.add_(1)
        batch.live.logical_and_(~self.ends.index_select(0, tokens) & (batch.places < batch.limits))
        if self.stops is not None:
            batch.stops.copy_(self.stops[batch.stops, tokens])
            batch.live.logical_and_(batch.stops != len(self.stops) - 1)
        batch.places.masked_fill_(~batch.live, len(self.ids) - 1)
