"""PPO over multi-turn episodes: collect, advantages, batches, loss, step, log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.episode import Episode
from lmmr1.agents.networks.base import Network
from lmmr1.agents.policy import PolicyAgent

from .batching import PackedRows, TokenBatch, make_batch, microbatches, pack_rows
from .config import StageConfig
from .model import Critic, TokenOutputs, copy_network, run_tokens
from .objectives.advantages import explained_variance, whiten
from .objectives.credit import Targets, bootstrap_values, gae_credit, reinforce_credit
from .objectives.kl import estimate_kl
from .objectives.losses import clip_fraction, clipped_policy_loss, clipped_value_loss
from .objectives.schedule import learning_rate

Metrics = dict[str, float]


class PPOTrainer:
    """The state of one PPO stage: policy, reference, critic, optimizers and the count of steps.

    Args:
        policy: what learns; its parameters' `requires_grad` say which.
        config: the stage.
        entropy: of the minibatches' order.
    """

    def __init__(self, policy: PolicyAgent, config: StageConfig, entropy: tuple[int, ...]) -> None:
        self.policy, self.config, self.entropy = policy, config, entropy
        self.network = policy.loaded.network
        self.parameters = [p for p in policy.loaded.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.optimizer.learning_rate,
            betas=config.optimizer.betas,
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self.reference: Network | None = copy_network(self.network) if config.kl.coefficient > 0 else None
        self.critic: Critic | None = None
        self.critic_optimizer: torch.optim.Optimizer | None = None
        if config.ppo.estimator == "gae":
            self.critic = Critic(self.network, own=config.critic.trunk == "own")
            self.critic_optimizer = torch.optim.AdamW(
                self.critic.parameters(),
                lr=config.critic.learning_rate,
                betas=config.optimizer.betas,
                weight_decay=config.optimizer.weight_decay,
                fused=True,
            )
        self.steps = 0

    def learn(self, episodes: Sequence[Episode], iteration: int) -> Metrics:
        """Improve the policy on `episodes` (none failed); returns the iteration's metrics, averaged over tokens."""
        ppo = self.config.ppo
        batch = make_batch(episodes, self.policy)
        reference, reference_all = self._reference(batch)
        rewards, kl = self._penalised_rewards(batch, reference)
        values = self._values(batch)
        if self.critic is not None:
            bootstrap = bootstrap_values(episodes, self.policy, self.critic)
            advantages, returns = gae_credit(batch, rewards, values, bootstrap, ppo)
        else:
            advantages, returns = reinforce_credit(batch, rewards, ppo)
        learned = batch.answer if ppo.policy_tokens == "answer" else torch.ones_like(batch.answer)
        advantages = torch.where(learned, advantages, 0.0)
        advantages[learned] = whiten(advantages[learned])
        penalised = ~batch.answer if self.config.kl.tokens == "thought" else torch.ones_like(batch.answer)
        data = Targets(advantages, returns, values, reference, reference_all, learned, penalised)
        totals: dict[str, list[float]] = {}
        for epoch in range(ppo.epochs):
            for rows in self._minibatches(batch, iteration, epoch):
                for name, value in self._step(batch, rows, data).items():
                    totals.setdefault(name, []).append(value)
        metrics = {name: float(np.mean(values)) for name, values in totals.items()}
        if self.reference is not None and self.config.kl.placement == "reward":
            metrics["kl"] = float(kl.mean())
        if self.critic is not None:
            metrics["explained_variance"] = explained_variance(values, returns)
        return metrics

    def _features(self) -> dict[bytes, Tensor] | None:
        """Image features that the rollout's engine has kept because the vision tower is frozen."""
        engine = self.policy.engine
        return engine.features if isinstance(engine, EmbeddedEngine) and engine.keep_features else None

    def _packs(self, batch: TokenBatch, rows: Sequence[int]) -> Iterator[PackedRows]:
        for part in microbatches(batch, rows):
            yield pack_rows(batch, part, self.policy.loaded.pad_id)

    def _run(self, network: Network, packed: PackedRows) -> TokenOutputs:
        return run_tokens(network, self.policy.sampler, packed, self.config.rollout.temperature, self._features())

    @torch.no_grad()
    def _reference(self, batch: TokenBatch) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of the sampled tokens under the reference, and all of them for the exact divergence."""
        logprobs = torch.zeros(len(batch))
        everything = None
        if self.reference is None:
            return logprobs, None
        if self.config.kl.estimator == "full":
            everything = torch.zeros(int(batch.slots[-1]), self.network.vocabulary_size)
        for packed in self._packs(batch, range(len(batch.sequences))):
            outputs = self._run(self.reference, packed)
            logprobs[packed.places] = outputs.logprobs
            if everything is not None:
                everything[packed.slots] = outputs.distributions
        return logprobs, everything

    def _penalised_rewards(self, batch: TokenBatch, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards, less the divergence where the recipe puts it there; and that divergence."""
        kl = self.config.kl
        if self.reference is None or kl.placement != "reward":
            return batch.rewards, torch.zeros(len(batch))
        divergence = estimate_kl(batch.old_logprobs, reference, kl.estimator)
        if kl.tokens == "thought":
            divergence = torch.where(batch.answer, 0.0, divergence)
        return batch.rewards - kl.coefficient * divergence, divergence

    @torch.no_grad()
    def _values(self, batch: TokenBatch) -> Tensor:
        """The critic's values as the rollout left it; 0 without a critic."""
        values = torch.zeros(len(batch))
        if self.critic is None:
            return values
        for packed in self._packs(batch, range(len(batch.sequences))):
            hidden = self._run(self.network, packed).hidden if self.critic.network is None else None
            values[packed.places] = self.critic(packed, hidden)
        return values

    def _minibatches(self, batch: TokenBatch, iteration: int, epoch: int) -> list[list[int]]:
        """The rows in random order, cut so that each part has about as many copies as the others."""
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration, epoch)))
        order = rng.permutation(len(batch.sequences))
        counts = np.array([len(batch.copies[row]) for row in order])
        middles = np.cumsum(counts) - counts / 2
        parts = (middles * self.config.ppo.minibatches / counts.sum()).astype(int)
        return [order[parts == part].tolist() for part in np.unique(parts)]

    def _step(self, batch: TokenBatch, rows: list[int], data: Targets) -> Metrics:
        """One optimizer step; sums over micro-batches are divided by counts over the whole minibatch."""
        ppo, kl, critic = self.config.ppo, self.config.kl, self.critic
        packs = list(self._packs(batch, rows))
        places = torch.cat([packed.places for packed in packs])
        count = len(places)
        learned_count = max(int(data.learned[places].sum()), 1)
        penalised_count = max(int(data.penalised[places].sum()), 1)
        self._set_learning_rates()
        sums: dict[str, float] = dict.fromkeys(("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"), 0.0)
        for packed in packs:
            outputs = self._run(self.network, packed)
            at = packed.places
            learned, penalised = data.learned[at], data.penalised[at]
            old, logprobs = batch.old_logprobs[at], outputs.logprobs
            surrogate = clipped_policy_loss(logprobs, old, data.advantages[at], ppo.clip_low, ppo.clip_high)
            policy_loss = (surrogate * learned).sum() / learned_count
            entropy = (outputs.entropies() * learned).sum() / learned_count
            loss = policy_loss - ppo.entropy * entropy
            if self.reference is not None and kl.placement == "loss":
                if data.reference_all is not None:
                    divergence = outputs.full_kl(data.reference_all[packed.slots])
                else:
                    divergence = estimate_kl(logprobs, data.reference[at], kl.estimator)
                penalty = (divergence * penalised).sum() / penalised_count
                loss = loss + kl.coefficient * penalty
                sums["kl"] += float(penalty.detach())
            if critic is not None:
                values = critic(packed, outputs.hidden)
                clip = self.config.critic.value_clip
                error = clipped_value_loss(values, data.values[at], data.returns[at], clip).sum() / count
                loss = loss + self.config.critic.loss_weight * error
                sums["value_loss"] += float(error.detach())
            loss.backward()
            sums["policy_loss"] += float(policy_loss.detach())
            sums["entropy"] += float(entropy.detach())
            outside = clip_fraction(logprobs.detach(), old, ppo.clip_low, ppo.clip_high)
            sums["clip_fraction"] += float((outside * learned).sum()) / learned_count
        sums["grad_norm"] = self._apply_gradients()
        sums["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        return sums

    def _set_learning_rates(self) -> None:
        ppo, shape = self.config.ppo, self.config.optimizer
        total = self.config.iterations * ppo.epochs * ppo.minibatches
        peaks: list[tuple[torch.optim.Optimizer, float]] = [(self.optimizer, shape.learning_rate)]
        if self.critic_optimizer is not None:
            peaks.append((self.critic_optimizer, self.config.critic.learning_rate))
        for optimizer, peak in peaks:
            rate = learning_rate(peak, self.steps, total, shape.warmup, shape.schedule, shape.final_fraction)
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _apply_gradients(self) -> float:
        limit = self.config.optimizer.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.critic is not None and self.critic_optimizer is not None:
            torch.nn.utils.clip_grad_norm_(self.critic.parameters(), limit)
            self.critic_optimizer.step()
            self.critic_optimizer.zero_grad()
        self.steps += 1
        return float(norm)
