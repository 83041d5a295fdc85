"""Supervised fine-tuning on episodes: cross-entropy over reply tokens, whoever spoke them."""

from __future__ import annotations

import torch

from lmmr1.agents.policy import PolicyAgent

from .batching import make_batch, microbatches, pack_rows
from .config import SFTConfig
from .demonstrations import Demonstrations
from .model import run_tokens
from .objectives.schedule import learning_rate
from .optimizer import make_optimizer


class SFTTrainer:
    """Trains a policy on fresh demonstrations, one optimizer step at a time."""

    def __init__(self, policy: PolicyAgent, config: SFTConfig, demonstrations: Demonstrations) -> None:
        self.policy, self.config, self.demonstrations = policy, config, demonstrations
        self.parameters = [parameter for parameter in policy.loaded.model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, config.learning_rate, config.betas, config.weight_decay)

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step on `batch_size` demonstrated replies; returns metrics."""
        config, loaded = self.config, self.policy.loaded
        batch = make_batch(self.demonstrations.episodes(step, config.batch_size), self.policy)
        assert batch.answer is not None
        weights = torch.where(batch.answer, config.answer_weight, 1.0)
        total = float(weights.sum())
        rate = learning_rate(config.learning_rate, step, config.steps, config.warmup, "cosine", config.final_fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        summed = 0.0
        for rows in microbatches(batch, range(len(batch.sequences)), config.microbatch_tokens):
            packed = pack_rows(batch, rows, loaded.pad_id)
            outputs = run_tokens(loaded.network, self.policy.sampler, packed, 1.0)
            loss = -(outputs.logprobs * weights[packed.places]).sum() / total
            loss.backward()
            summed += float(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return {"loss": summed, "learning_rate": rate, "grad_norm": float(norm), "tokens": float(len(batch))}
