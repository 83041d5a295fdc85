"""One step of sampling, the same for every engine in this process and for the trainer's log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

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
        probabilities = torch.softmax(self._biased(logits, temperature), -1)
        cumulative = probabilities.cumsum(-1)
        # Scaling by the last value (1 but for rounding) keeps the draw inside the distribution.
        threshold = (noise * cumulative[:, -1])[:, None]
        tokens = torch.searchsorted(cumulative, threshold, right=True).clamp_(max=logits.shape[-1] - 1)
        return tokens[:, 0], probabilities.gather(-1, tokens)[:, 0].log()

    def _biased(self, logits: Tensor, temperature: float) -> Tensor:
        scaled = logits if temperature == 1.0 else logits / temperature
        return scaled + self.bias
