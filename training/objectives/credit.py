"""From a batch's rewards to each token's advantage and return, by the estimator that the recipe names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.context import Context
from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.networks.base import PixelInput, Rows
from lmmr1.agents.policy import PolicyAgent

from ..batching import TokenBatch, episode_sequences, turn_images
from ..config import PPOConfig
from ..model import Critic
from .advantages import discounted_returns, generalized_advantages, group_baseline, to_padded
from .groups import centred_advantages, leave_one_out_advantages, standardised_advantages
from .turns import Turns, bilevel_advantages, discounted_turn_returns, turn_level_advantages


@dataclass(frozen=True)
class Targets:
    """What the losses compare with; flat tensors over a batch's N reply tokens.

    Attributes:
        old: float32, log-probabilities of the sampled ids before learning.
        weights: float32, what the correction of the engine's probabilities makes of each token, or None.
        advantages: float32, 0 where a token is not learned.
        returns, values: float32, for the critic; values as they were before learning.
        valued: bool, tokens whose values the critic learns.
        reference: float32, log-probabilities of the sampled ids under the reference.
        reference_all: float32 (different tokens, vocabulary), all of them by slot, or None.
        learned: bool, tokens that the policy loss is taken over.
        penalised: bool, tokens that pay for divergence.
        sequences: int64, the token sequence that each token stands in.
    """

    old: Tensor
    weights: Tensor | None
    advantages: Tensor
    returns: Tensor
    values: Tensor
    valued: Tensor
    reference: Tensor
    reference_all: Tensor | None
    learned: Tensor
    penalised: Tensor
    sequences: Tensor


@dataclass(frozen=True)
class Noted:
    """What was made of a batch's N reply tokens, kept for whoever wants to see it; flat, on the CPU.

    Attributes:
        episodes, turns: int64, where each token stands.
        advantages, returns, values, learned: see `Targets`; no values without a critic.
    """

    episodes: np.ndarray
    turns: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray
    values: np.ndarray | None
    learned: np.ndarray

    @classmethod
    def take(cls, batch: TokenBatch, data: Targets, valued: bool) -> Noted:
        """Of a batch and its targets; `valued`: whether there is a critic. Nothing is copied."""
        kept = (data.advantages.numpy(), data.returns.numpy(), data.values.numpy() if valued else None)
        return cls(batch.episodes.numpy(), batch.turns.numpy(), *kept, data.learned.numpy())

    def credits(self, count: int) -> list[dict[int, TokenCredit]]:
        """Of the first `count` episodes: what was made of each turn's tokens, by the turn's index."""
        found: list[dict[int, TokenCredit]] = [{} for _ in range(count)]
        stop = int(np.searchsorted(self.episodes, count))
        places = np.stack([self.episodes[:stop], self.turns[:stop]])
        edges = [0, *(1 + np.flatnonzero((np.diff(places) != 0).any(0))).tolist(), stop] if stop else []
        for begin, end in itertools.pairwise(edges):
            part = slice(begin, end)
            values = None if self.values is None else self.values[part]
            credit = TokenCredit(self.advantages[part], self.returns[part], values, self.learned[part])
            found[int(self.episodes[begin])][int(self.turns[begin])] = credit
        return found


@dataclass(frozen=True)
class Credit:
    """What an estimator says of a batch; flat tensors over its N reply tokens.

    Attributes:
        advantages: float32, not whitened.
        returns: float32, for the critic.
        valued: bool, tokens whose values the critic learns.
    """

    advantages: Tensor
    returns: Tensor
    valued: Tensor


def assign_credit(
    batch: TokenBatch, rewards: Tensor, values: Tensor, bootstrap: Tensor, states: Tensor | None, ppo: PPOConfig
) -> Credit:
    """Advantages and returns by the estimator `ppo.estimator`.

    With a critic (`gae`, `gae_turn`, `gae_bilevel`) a truncated episode is worth, after its last token, what the
    critic says of the state it was stopped in. Without one nothing is known of what was to come: it counts as 0, as it
    does in the papers.

    `reinforce` is the discounted return of each token. `reinforce_baseline` takes the mean return of the group from the
    same turn on off it, `reinforce_baseline_pooled` that of all the group's turns.
    `rloo`, `grpo` and `dr_grpo` compare whole episodes: the score of one is the sum of its turns' rewards, discounted
    by `turn_gamma`, and all its tokens have the same advantage. `gigpo` (arXiv 2505.10978, eq. 3 to 8) adds two
    comparisons up: of episodes, by the undiscounted sum of rewards as in the paper, and, with the weight `step_weight`,
    of turns that began in the same state, by the return from there on, discounted by `turn_gamma`.

    Args:
        batch: the tokens.
        rewards: float32 (N,), `batch.rewards` less penalties.
        values: float32 (N,), of the critic.
        bootstrap: float32 (episodes,), the value after an episode's last token.
        states: int64 (turns,), see `state_groups`; for gigpo alone.
        ppo: the estimator and its settings.
    """
    everywhere = torch.ones(len(batch), dtype=torch.bool)
    turn_lam = ppo.lam if ppo.turn_lam is None else ppo.turn_lam
    if ppo.estimator == "gae":
        return Credit(*_token_credit(batch, rewards, values, bootstrap, ppo, turn_lam), everywhere)
    if ppo.estimator in ("reinforce", "reinforce_baseline", "reinforce_baseline_pooled"):
        return Credit(*reinforce_credit(batch, rewards, ppo), everywhere)
    turns = Turns.find(batch.turn_ends, batch.episodes, len(batch.groups))
    if ppo.estimator == "gae_turn":
        found = turn_level_advantages(rewards, values, turns, bootstrap, ppo.turn_gamma, turn_lam)
        begun = torch.zeros_like(everywhere)
        begun[turns.first] = True
        return Credit(*found, begun)
    if ppo.estimator == "gae_bilevel":
        found = bilevel_advantages(rewards, values, turns, bootstrap, ppo.gamma, ppo.lam, ppo.turn_gamma, turn_lam)
        return Credit(*found, everywhere)
    paid = turns.sums(rewards)
    _, groups = torch.unique(batch.groups, return_inverse=True)
    weights = torch.ones_like(paid) if ppo.estimator == "gigpo" else ppo.turn_gamma ** batch.turns[turns.last]
    scores = torch.zeros(turns.count, dtype=paid.dtype).index_add_(0, turns.episodes, paid * weights)
    compare = {"rloo": leave_one_out_advantages, "dr_grpo": centred_advantages}
    advantages = compare.get(ppo.estimator, standardised_advantages)(scores, groups)[batch.episodes]
    if ppo.estimator == "gigpo":
        assert states is not None
        steps = standardised_advantages(discounted_turn_returns(paid, turns, ppo.turn_gamma), states)
        advantages = advantages + ppo.step_weight * steps[turns.of_token]
    return Credit(advantages, scores[batch.episodes], everywhere)


def _token_credit(
    batch: TokenBatch, rewards: Tensor, values: Tensor, bootstrap: Tensor, ppo: PPOConfig, turn_lam: float
) -> tuple[Tensor, Tensor]:
    """Advantages and returns (N,) by GAE over tokens."""
    count = len(batch.groups)
    padded_rewards, mask = to_padded(rewards, batch.episodes, count)
    padded_values, _ = to_padded(values, batch.episodes, count)
    ends, _ = to_padded(batch.turn_ends, batch.episodes, count)
    advantages, returns = generalized_advantages(
        padded_rewards, padded_values, mask, ends, bootstrap, ppo.gamma, ppo.lam, ppo.turn_gamma, turn_lam
    )
    return advantages[mask], returns[mask]


def reinforce_credit(batch: TokenBatch, rewards: Tensor, ppo: PPOConfig) -> tuple[Tensor, Tensor]:
    """Advantages and returns (N,) without a critic (REINFORCE++, arXiv 2501.03262).

    `reinforce`: the return itself. `reinforce_baseline`: less the mean of the group's returns, which are those of what
    the environments paid; a penalty inside `rewards` (divergence) counts in full. The paper has one reward for a whole
    reply and takes the group's mean reward off it. Here there is a return for each turn, and it is compared with those
    of the group's episodes from the same turn on: a later turn has less ahead of it, which is no fault of its tokens.
    With one turn an episode it is the paper's. A turn that no other episode of the group came to has nothing to be
    compared with.

    `reinforce_baseline_pooled` compares all turns of a group with each other, whenever they were taken. That is more
    turns for one mean, and right where each turn is judged by itself (`turn_gamma` 0).
    """
    count = len(batch.groups)
    padded, mask = to_padded(rewards, batch.episodes, count)
    ends, _ = to_padded(batch.turn_ends, batch.episodes, count)
    returns = discounted_returns(padded, mask, ends, ppo.gamma, ppo.turn_gamma)[mask]
    if ppo.estimator == "reinforce":
        return returns, returns
    paid, _ = to_padded(batch.rewards, batch.episodes, count)
    paid_returns = discounted_returns(paid, mask, ends, ppo.gamma, ppo.turn_gamma)[mask]
    compared = batch.groups[batch.episodes]
    if ppo.estimator == "reinforce_baseline":
        compared = compared * (int(batch.turns.max()) + 1) + batch.turns
    _, compared = torch.unique(compared, return_inverse=True)
    # A turn's own discounting starts at its last token: what stands before it in the turn only waits.
    baseline = group_baseline(paid_returns[batch.turn_ends], compared[batch.turn_ends])
    return returns - baseline[compared], returns


def state_groups(episodes: Sequence[Episode], policy: PolicyAgent) -> Tensor:
    """Which turns began in the same state, int64 (turns,), in the order of a batch's turns.

    Two turns of one group of episodes did if the same ids and the same pictures stood before the reply: the whole
    prompt where each turn is a sequence of its own, else what the environment added.
    """
    known: dict[tuple[int | bytes, ...], int] = {}
    numbers = []
    for episode in episodes:
        for sequence, turns in episode_sequences(episode, policy):
            for _, turn in turns:
                if not len(turn.reply_ids):
                    continue  # no turn of a batch
                shown = sequence.images if len(turns) == 1 else turn_images(turn, policy)
                digests = (image.digest for image in shown)
                state = (episode.group, turn.prompt_ids.astype(np.int64).tobytes(), *digests)
                numbers.append(known.setdefault(state, len(known)))
    return torch.tensor(numbers)


@torch.no_grad()
def bootstrap_values(episodes: Sequence[Episode], policy: PolicyAgent, critic: Critic) -> Tensor:
    """The critic's value of the state that a truncated episode was stopped in, 0 where the task ended: (episodes,)."""
    values = torch.zeros(len(episodes))
    cut = [index for index, episode in enumerate(episodes) if episode.truncated and episode.final_messages]
    if not cut:
        return values
    sequences: list[np.ndarray] = []
    images: list[list[PixelInput]] = []
    for index in cut:
        ids, pixels = state_after(episodes[index], policy)
        sequences.append(ids)
        images.append(pixels)
    network = critic.network or policy.loaded.network
    rows = Rows.pack(sequences, images, policy.loaded.pad_id)
    hidden = network.hidden(rows)[torch.arange(len(cut)), rows.lengths - 1]
    values[cut] = critic.head(hidden)[:, 0].cpu()
    return values


def state_after(episode: Episode, policy: PolicyAgent) -> tuple[np.ndarray, list[PixelInput]]:
    """The prompt that the policy would have answered next: int32 (length,) ids, and the images in order."""
    template = policy.template
    context = Context.parse(episode.context)
    if not context.keeps_history:
        return template.window(context, episode.turns, episode.final_messages)
    sequence, _ = episode_sequences(episode, policy)[0]
    ended = episode.turns[-1].ends_with(policy.loaded.end_ids)
    added, pixels = template.following(episode.final_messages, ended)
    return np.concatenate([sequence.ids, added]), [*sequence.images, *pixels]
