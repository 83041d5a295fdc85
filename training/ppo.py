"""PPO over multi-turn episodes: collect, advantages, batches, loss, step, log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.episode import Episode
from lmmr1.agents.networks.base import Network
from lmmr1.agents.policy import PolicyAgent

from .batching import PackedRows, TokenBatch, cut_minibatches, make_batch, microbatches, pack_rows
from .config import StageConfig
from .config.ppo import CRITIC_ESTIMATORS
from .model import Critic, TokenOutputs, reference_network, run_tokens
from .objectives.advantages import explained_variance, whiten
from .objectives.credit import Targets, assign_credit, bootstrap_values, state_groups
from .objectives.kl import adapted_coefficient, estimate_kl
from .objectives.losses import importance_weights
from .objectives.minibatch import MinibatchLoss, sequence_numbers
from .objectives.overlong import is_cut_off, length_penalty
from .objectives.schedule import learning_rate
from .objectives.turns import Turns
from .optimizer import make_optimizer

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
        shape = config.optimizer
        self.optimizer = make_optimizer(self.parameters, shape.learning_rate, shape.betas, shape.weight_decay)
        self.reference: Network | None = reference_network(self.network) if config.kl.coefficient > 0 else None
        self.critic: Critic | None = None
        self.critic_optimizer: torch.optim.Optimizer | None = None
        if config.ppo.estimator in CRITIC_ESTIMATORS:
            self.critic = Critic(self.network, own=config.critic.trunk == "own")
            self.critic_optimizer = make_optimizer(
                self.critic.parameters(), config.critic.learning_rate, shape.betas, shape.weight_decay
            )
        self.steps = 0
        self.kl_coefficient = config.kl.coefficient

    def learn(self, episodes: Sequence[Episode], iteration: int) -> Metrics:
        """Improve the policy on `episodes` (none failed); returns the iteration's metrics, averaged over tokens."""
        ppo = self.config.ppo
        asked = ppo.policy_tokens == "answer" or self.config.kl.tokens == "thought"
        batch = self.corrected(make_batch(episodes, self.policy, answers=asked))
        old, weights = self._old_logprobs(batch)
        reference, reference_all = self._reference(batch)
        rewards, kl = self._penalised_rewards(batch, old, reference)
        values = self._values(batch)
        bootstrap = torch.zeros(len(episodes))
        if self.critic is not None:
            bootstrap = bootstrap_values(episodes, self.policy, self.critic)
        states = state_groups(episodes, self.policy) if ppo.estimator == "gigpo" else None
        credit = assign_credit(batch, rewards, values, bootstrap, states, ppo)
        learned, penalised = self._learned(batch, episodes), self._penalised(batch)
        advantages = torch.where(learned, credit.advantages, 0.0)
        if ppo.whitened:
            advantages[learned] = whiten(advantages[learned])
        data = Targets(
            old,
            weights,
            advantages,
            credit.returns,
            values,
            credit.valued,
            reference,
            reference_all,
            learned,
            penalised,
            sequence_numbers(batch),
        )
        totals: dict[str, list[float]] = {}
        for epoch in range(ppo.epochs):
            for rows in self._minibatches(batch, iteration, epoch):
                for name, value in self._step(batch, rows, data).items():
                    totals.setdefault(name, []).append(value)
        metrics = {name: float(np.mean(values)) for name, values in totals.items()}
        if self.reference is not None and self.config.kl.placement == "reward":
            metrics["kl"] = float(kl.mean())
        if self.critic is not None:
            metrics["explained_variance"] = explained_variance(values[credit.valued], credit.returns[credit.valued])
        if weights is not None:
            metrics["mismatch"] = float((old - batch.old_logprobs).abs().mean())
        self._steer_penalty(metrics, len(episodes))
        return metrics

    def corrected(self, batch: TokenBatch) -> TokenBatch:
        """The batch with each turn's reward clipped and its length paid for, where the recipe says so."""
        correction, limit, ends = self.config.correction, self.config.rollout.max_new_tokens, batch.turn_ends
        rewards = batch.rewards
        if correction.reward_clip is not None:
            rewards = torch.where(ends, rewards.clamp(*correction.reward_clip), rewards)
        if correction.overlong == "penalise":
            lengths = Turns.find(ends, batch.episodes, len(batch.groups)).sums(torch.ones_like(rewards))
            penalty = length_penalty(lengths, limit, correction.overlong_buffer)
            rewards = rewards.clone()
            rewards[ends] += correction.overlong_penalty * penalty
        return replace(batch, rewards=rewards)

    @torch.no_grad()
    def _old_logprobs(self, batch: TokenBatch) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities before learning: as the rollout kept them, or as the trainer finds them, and weights.

        Where engine and trainer differ (`correction.kind`) the ratio of the loss starts from the trainer's own
        log-probabilities, and the difference to the engine's becomes each token's weight.
        """
        correction = self.config.correction
        if correction.kind == "none":
            return batch.old_logprobs, None
        logprobs = torch.zeros(len(batch))
        for packed in self._packs(batch, range(len(batch.sequences))):
            logprobs[packed.places] = self._run(self.network, packed).logprobs
        log_ratio = logprobs - batch.old_logprobs
        return logprobs, importance_weights(log_ratio, correction.kind, correction.cap, correction.floor)

    def _learned(self, batch: TokenBatch, episodes: Sequence[Episode]) -> Tensor:
        """Which tokens the policy loss is taken over, bool (N,)."""
        learned = torch.ones_like(batch.turn_ends)
        if self.config.ppo.policy_tokens == "answer":
            assert batch.answer is not None
            learned = batch.answer
        if self.config.correction.overlong != "mask":
            return learned
        whole = torch.tensor([not is_cut_off(episode) for episode in episodes])
        return learned & whole[batch.episodes]

    def _penalised(self, batch: TokenBatch) -> Tensor:
        """Which tokens pay for divergence, bool (N,)."""
        if self.config.kl.tokens != "thought":
            return torch.ones_like(batch.turn_ends)
        assert batch.answer is not None
        return ~batch.answer

    def _steer_penalty(self, metrics: Metrics, episodes: int) -> None:
        """Move the penalty's weight towards its target divergence, where there is one."""
        kl = self.config.kl
        if kl.target is None:
            return
        metrics["kl_coefficient"] = self.kl_coefficient
        self.kl_coefficient = adapted_coefficient(self.kl_coefficient, metrics["kl"], kl.target, episodes, kl.horizon)

    def _features(self) -> dict[bytes, Tensor] | None:
        """Image features that the rollout's engine has kept because the vision tower is frozen."""
        engine = self.policy.engine
        return engine.features if isinstance(engine, EmbeddedEngine) and engine.keep_features else None

    def _packs(self, batch: TokenBatch, rows: Sequence[int]) -> Iterator[PackedRows]:
        for part in microbatches(batch, rows, self.config.optimizer.microbatch_tokens):
            yield pack_rows(batch, part, self.policy.loaded.pad_id)

    def _run(self, network: Network, packed: PackedRows) -> TokenOutputs:
        temperature, everything = self.config.rollout.temperature, self.config.kl.estimator == "full"
        return run_tokens(network, self.policy.sampler, packed, temperature, self._features(), everything)

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

    def _penalised_rewards(self, batch: TokenBatch, old: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards, less the divergence where the recipe puts it there; and that divergence."""
        kl = self.config.kl
        if self.reference is None or kl.placement != "reward":
            return batch.rewards, torch.zeros(len(batch))
        divergence = estimate_kl(old, reference, kl.estimator)
        divergence = torch.where(self._penalised(batch), divergence, 0.0)
        return batch.rewards - self.kl_coefficient * divergence, divergence

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
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration, epoch)))
        whole_groups = self.config.optimizer.minibatch_unit == "group"
        return cut_minibatches(batch, self.config.ppo.minibatches, rng, whole_groups)

    def _step(self, batch: TokenBatch, rows: list[int], data: Targets) -> Metrics:
        """One optimizer step; sums over micro-batches are divided by counts over the whole minibatch."""
        packs = list(self._packs(batch, rows))
        places = torch.cat([packed.places for packed in packs])
        minibatch = MinibatchLoss(self.config, data, places, self.kl_coefficient)
        penalise = self.reference is not None and self.config.kl.placement == "loss"
        self._set_learning_rates()
        sums: dict[str, float] = {}
        for packed in packs:
            outputs = self._run(self.network, packed)
            values = self.critic(packed, outputs.hidden) if self.critic is not None else None
            loss, figures = minibatch.part(packed, outputs, values, penalise)
            loss.backward()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
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
