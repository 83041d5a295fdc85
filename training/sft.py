"""Supervised fine-tuning on episodes: cross-entropy over reply tokens, whoever spoke them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.policy import PolicyAgent

from .backends.base import Backend, OptimizerShape
from .backends.shares import share_rows
from .backends.single import SingleBackend
from .batching import make_batch, pack_rows
from .config import SFTConfig
from .model import run_tokens
from .objectives.schedule import learning_rate

MAX_GRAD_NORM = 1.0


class SFTTrainer:
    """Trains a policy on demonstrations, one optimizer step at a time.

    Args:
        policy: what learns; its parameters' `requires_grad` say which.
        config: the stage's settings.
        backend: where the weights are and who else learns; this process alone by default.
    """

    def __init__(self, policy: PolicyAgent, config: SFTConfig, backend: Backend | None = None) -> None:
        self.policy, self.config = policy, config
        backend = SingleBackend() if backend is None else backend
        self.ranks = backend.ranks
        shape = OptimizerShape(config.learning_rate, config.betas, config.weight_decay, MAX_GRAD_NORM)
        self.learner = backend.learner(policy.loaded.model, shape)

    def learn(self, episodes: Sequence[Episode], iteration: int) -> dict[str, float]:
        """One optimizer step on demonstrations, the `iteration`-th; returns metrics."""
        config, loaded = self.config, self.policy.loaded
        batch = make_batch(episodes, self.policy)
        assert batch.answer is not None
        weights = torch.where(batch.answer, config.answer_weight, 1.0)
        total = float(weights.sum())
        shape = (config.steps, config.warmup, "cosine", config.final_fraction)
        rate = learning_rate(config.learning_rate, iteration, *shape)
        summed = torch.zeros((), dtype=torch.float64)
        shares = share_rows(batch, range(len(batch.sequences)), config.microbatch_tokens, self.ranks)
        for index, share in enumerate(shares, 1):
            packed = pack_rows(batch, share.rows, loaded.pad_id, share.fillers)
            outputs = self.learner.call(run_tokens, loaded.network, self.policy.sampler, packed, 1.0)
            loss = -(outputs.logprobs * weights[packed.places]).sum() / total
            if share.fillers:
                loss = loss + 0 * outputs.hidden.sum()
            self.learner.backward(loss, last=index == len(shares))
            summed += loss.detach()
        norm = self.learner.step(rate)
        loss = float(self.ranks.add_up(summed))
        return {"loss": loss, "learning_rate": rate, "grad_norm": norm, "tokens": float(len(batch))}

    def credits(self, count: int) -> list[dict[int, TokenCredit]]:
        """None: what is demonstrated is not judged."""
        return []

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The optimizer's moments, whole."""
        return {"optimizer": self.learner.moments()}

    def state(self) -> dict[str, Any]:
        """Nothing that the number of the step does not tell."""
        return {}

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` gave."""
        self.learner.load_moments(tensors["optimizer"])

    def close(self) -> None:
        """Nothing is held that does not go with the trainer itself."""
