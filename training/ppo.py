"""PPO over multi-turn episodes: collect, advantages, batches, loss, step, log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.networks.base import Network
from lmmr1.agents.policy import PolicyAgent

from .backends.base import Backend, Holder, Learner, OptimizerShape
from .backends.shares import share_rows
from .backends.single import SingleBackend
from .batching import PackedRows, TokenBatch, cut_minibatches, make_batch, pack_rows
from .config import StageConfig
from .config.ppo import CRITIC_ESTIMATORS
from .model import Critic, TokenOutputs, reference_network, run_tokens
from .objectives.advantages import explained_variance, whiten
from .objectives.credit import Noted, Targets, assign_credit, bootstrap_values, state_groups
from .objectives.kl import adapted_coefficient, estimate_kl
from .objectives.losses import importance_weights
from .objectives.minibatch import MinibatchLoss, sequence_numbers
from .objectives.overlong import is_cut_off, length_penalty
from .objectives.schedule import learning_rate
from .objectives.turns import Turns

Metrics = dict[str, float]
Tensors = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Reference:
    """The policy that divergence is measured from; `own` tells whether it has weights of its own."""

    network: Network
    holder: Holder
    own: bool


class PPOTrainer:
    """The state of one PPO stage: policy, reference, critic, optimizers and the count of steps.

    Args:
        policy: what learns; its parameters' `requires_grad` say which.
        config: the stage.
        entropy: of the minibatches' order.
        backend: where the weights are and who else learns; this process alone by default.
    """

    def __init__(
        self, policy: PolicyAgent, config: StageConfig, entropy: tuple[int, ...], backend: Backend | None = None
    ) -> None:
        self.policy, self.config, self.entropy = policy, config, entropy
        self.network = policy.loaded.network
        backend = SingleBackend() if backend is None else backend
        self.ranks = backend.ranks
        shape, critic = config.optimizer, config.critic
        settings = (shape.betas, shape.weight_decay, shape.max_grad_norm)
        # Copies of the policy are made before a backend takes it apart.
        reference = reference_network(self.network) if config.kl.coefficient > 0 else None
        self.critic: Critic | None = None
        self.critic_learner: Learner | None = None
        if config.ppo.estimator in CRITIC_ESTIMATORS:
            self.critic = Critic(self.network, own=critic.trunk == "own")
            # A head alone is too small to be split.
            holding = backend if self.critic.network is not None else SingleBackend(self.ranks)
            self.critic_learner = holding.learner(self.critic, OptimizerShape(critic.learning_rate, *settings))
        own = reference is not None and reference.model is not self.network.model
        separate = backend.holder(reference) if reference is not None and own else None
        self.learner = backend.learner(self.network.model, OptimizerShape(shape.learning_rate, *settings))
        self.reference = None if reference is None else Reference(reference, separate or self.learner, own)
        self.steps = 0
        self.kl_coefficient = config.kl.coefficient
        self._noted: Noted | None = None

    def learn(self, episodes: Sequence[Episode], iteration: int) -> Metrics:
        """Improve the policy on `episodes` (none failed); returns the iteration's metrics, averaged over tokens."""
        ppo = self.config.ppo
        self._agree(episodes, iteration)
        asked = ppo.policy_tokens == "answer" or self.config.kl.tokens == "thought"
        batch = self.corrected(make_batch(episodes, self.policy, answers=asked))
        # In the parts of the first epoch: what a network works out about them serves all passes.
        first = [(rows, list(self._packs(batch, rows))) for rows in self._minibatches(batch, iteration, 0)]
        whole = [packed for _, packs in first for packed in packs]
        old, weights = self._old_logprobs(batch, whole)
        reference, reference_all = self._reference(batch, whole)
        rewards, kl = self._penalised_rewards(batch, old, reference)
        values = self._values(batch, whole)
        bootstrap = torch.zeros(len(episodes))
        if self.critic is not None:
            bootstrap = self._trunk().call(bootstrap_values, episodes, self.policy, self.critic)
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
        self._noted = Noted.take(batch, data, self.critic is not None)
        totals: dict[str, list[float]] = {}
        begun = self.steps
        for epoch in range(ppo.epochs):
            later = ((rows, list(self._packs(batch, rows))) for rows in self._minibatches(batch, iteration, epoch))
            for rows, packs in later if epoch else first:
                sampled_from = self.steps == begun and weights is None  # no step was taken since
                places = torch.from_numpy(batch.places(rows))
                for name, value in self._step(batch, packs, places, data, sampled_from).items():
                    totals.setdefault(name, []).append(value)
        metrics = {name: float(np.mean(values)) for name, values in totals.items()}
        if self.reference is not None and self.config.kl.placement == "reward":
            metrics["kl"] = float(kl.mean())
        if self.critic is not None:
            metrics["explained_variance"] = explained_variance(values[credit.valued], credit.returns[credit.valued])
        if weights is not None:
            metrics |= mismatch(old - batch.old_logprobs)
        self._steer_penalty(metrics, len(episodes))
        return metrics

    def credits(self, count: int) -> list[dict[int, TokenCredit]]:
        """What the last `learn` made of the tokens of its first `count` episodes: by turn, those with tokens."""
        return [] if self._noted is None else self._noted.credits(count)

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
    def _old_logprobs(self, batch: TokenBatch, packs: Sequence[PackedRows]) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities before learning: as the rollout kept them, or as the trainer finds them, and weights.

        Where engine and trainer differ (`correction.kind`) the ratio of the loss starts from the trainer's own
        log-probabilities, and the difference to the engine's becomes each token's weight.
        """
        correction = self.config.correction
        if correction.kind == "none":
            return batch.old_logprobs, None
        logprobs = torch.zeros(len(batch))
        for packed in packs:
            logprobs[packed.places] = self._run(packed).logprobs
        logprobs = self.ranks.add_up(logprobs)
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
        for share in share_rows(batch, rows, self.config.optimizer.microbatch_tokens, self.ranks):
            yield pack_rows(batch, share.rows, self.policy.loaded.pad_id, share.fillers)

    def _run(self, packed: PackedRows, reference: Reference | None = None) -> TokenOutputs:
        holder = self.learner if reference is None else reference.holder
        network = self.network if reference is None else reference.network
        temperature, everything = self.config.rollout.temperature, self.config.kl.estimator == "full"
        return holder.call(run_tokens, network, self.policy.sampler, packed, temperature, self._features(), everything)

    def _trunk(self) -> Holder:
        """What the critic reads its states from."""
        assert self.critic is not None and self.critic_learner is not None
        return self.learner if self.critic.network is None else self.critic_learner

    def _agree(self, episodes: Sequence[Episode], iteration: int) -> None:
        """Ranks that learn from different episodes would wait for each other for ever, or learn nonsense."""
        if self.ranks.size > 1:
            digest = hashlib.sha256(str(iteration).encode())
            for episode in episodes:
                for turn in episode.turns:
                    digest.update(turn.prompt_ids.tobytes() + turn.reply_ids.tobytes() + turn.logprobs.tobytes())
                digest.update(str(episode.total_reward).encode())
            self.ranks.agree(f"episodes of iteration {iteration + 1}", digest.digest())

    @torch.no_grad()
    def _reference(self, batch: TokenBatch, packs: Sequence[PackedRows]) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of the sampled tokens under the reference, and all of them for the exact divergence."""
        logprobs = torch.zeros(len(batch))
        everything = None
        if self.reference is None:
            return logprobs, None
        if self.config.kl.estimator == "full":
            everything = torch.zeros(int(batch.slots[-1]), self.network.vocabulary_size)
        for packed in packs:
            outputs = self._run(packed, self.reference)
            logprobs[packed.places] = outputs.logprobs
            if everything is not None:
                everything[packed.slots[: packed.own]] = outputs.distributions[: packed.own].cpu()
        return self.ranks.add_up(logprobs), None if everything is None else self.ranks.add_up(everything)

    def _penalised_rewards(self, batch: TokenBatch, old: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards, less the divergence where the recipe puts it there; and that divergence."""
        kl = self.config.kl
        if self.reference is None or kl.placement != "reward":
            return batch.rewards, torch.zeros(len(batch))
        divergence = estimate_kl(old, reference, kl.estimator)
        divergence = torch.where(self._penalised(batch), divergence, 0.0)
        return batch.rewards - self.kl_coefficient * divergence, divergence

    @torch.no_grad()
    def _values(self, batch: TokenBatch, packs: Sequence[PackedRows]) -> Tensor:
        """The critic's values as the rollout left it; 0 without a critic."""
        values = torch.zeros(len(batch))
        if self.critic is None:
            return values
        for packed in packs:
            hidden = self._run(packed).hidden if self.critic.network is None else None
            values[packed.places] = self._value(packed, hidden)
        return self.ranks.add_up(values)

    def _value(self, packed: PackedRows, hidden: Tensor | None) -> Tensor:
        assert self.critic is not None and self.critic_learner is not None
        return self.critic_learner.call(self.critic, packed, hidden)

    def _minibatches(self, batch: TokenBatch, iteration: int, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, iteration, epoch)))
        whole_groups = self.config.optimizer.minibatch_unit == "group"
        return cut_minibatches(batch, self.config.ppo.minibatches, rng, whole_groups)

    def _step(
        self, batch: TokenBatch, packs: list[PackedRows], places: Tensor, data: Targets, sampled_from: bool
    ) -> Metrics:
        """One optimizer step; sums over micro-batches are divided by counts over the whole minibatch.

        The minibatch's tokens are those at `places` (n,) of the batch, and `packs` are this process's share of them.
        With `sampled_from`, the weights are still those that sampled, and the step also says how far its
        log-probabilities are from the engine's.
        """
        minibatch = MinibatchLoss(self.config, data, places, self.kl_coefficient)
        penalise = self.reference is not None and self.config.kl.placement == "loss"
        sums: dict[str, float] = {}
        said = torch.zeros(len(batch))
        for index, packed in enumerate(packs, 1):
            outputs = self._run(packed)
            values = None if self.critic is None else self._value(packed, outputs.hidden)
            loss, error, figures = minibatch.part(packed, outputs, values, penalise)
            if packed.own < len(packed.tokens):
                # What is run for the others' sake moves nothing, but the others wait for its gradients.
                loss = loss + 0 * outputs.hidden.sum()
            self._backward(loss, error, last=index == len(packs))
            said[packed.places] = outputs.logprobs.detach()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
        sums = self._added_up(sums)
        if sampled_from:
            sums |= mismatch((self.ranks.add_up(said) - batch.old_logprobs)[places])
        rate = self._rate(self.config.optimizer.learning_rate)
        sums["grad_norm"] = self.learner.step(rate)
        sums["learning_rate"] = rate
        if self.critic_learner is not None:
            self.critic_learner.step(self._rate(self.config.critic.learning_rate))
        self.steps += 1
        return sums

    def _backward(self, loss: Tensor, error: Tensor | None, last: bool) -> None:
        if error is None:
            self.learner.backward(loss, last)
        elif self.critic is not None and self.critic_learner is not None and self.critic.network is not None:
            self.learner.backward(loss, last)
            self.critic_learner.backward(error, last)
        else:
            self.learner.backward(loss + error, last)

    def _added_up(self, sums: Metrics) -> Metrics:
        """The figures of all ranks together."""
        if self.ranks.size == 1:
            return sums
        totals = self.ranks.add_up(torch.tensor(list(sums.values()), dtype=torch.float64)).tolist()
        return dict(zip(sums, totals, strict=True))

    def _rate(self, peak: float) -> float:
        shape = self.config.optimizer
        total = self.config.iterations * self.config.ppo.epochs * self.config.ppo.minibatches
        return learning_rate(peak, self.steps, total, shape.warmup, shape.schedule, shape.final_fraction)

    # ---------------------------------------------------------------------------------------------------- checkpoints

    def tensors(self) -> Tensors:
        """The optimizer's moments, the reference and the critic, whole."""
        kept: Tensors = {"optimizer": self.learner.moments()}
        if self.reference is not None and self.reference.own:
            kept["reference"] = self.reference.holder.weights()
        if self.critic_learner is not None:
            kept["critic"] = self.critic_learner.weights()
            kept["critic_optimizer"] = self.critic_learner.moments()
        return kept

    def state(self) -> dict[str, Any]:
        """The count of optimizer steps and the weight of the penalty for divergence."""
        return {"steps": self.steps, "kl_coefficient": self.kl_coefficient}

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave."""
        self.steps, self.kl_coefficient = int(state["steps"]), float(state["kl_coefficient"])
        if self.reference is not None and self.reference.own:
            self.reference.holder.load_weights(tensors["reference"])
        if self.critic_learner is not None:
            self.critic_learner.load_weights(tensors["critic"])
            self.critic_learner.load_moments(tensors["critic_optimizer"])
        self.learner.load_moments(tensors["optimizer"])

    def close(self) -> None:
        """Nothing is held that does not go with the trainer itself."""


def mismatch(gaps: Tensor) -> Metrics:
    """Mean and largest distance of the trainer's log-probabilities from the engine's, of gaps float32 (n,) in nats."""
    return {"mismatch": float(gaps.abs().mean()), "mismatch_max": float(gaps.abs().max())}
