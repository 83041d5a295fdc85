"""Episodes with pictures, of ragged lengths, as a trainer meets them."""

from __future__ import annotations

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.playing import Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_seed, play
from lmmr1.training.batching import PackedRows, TokenBatch, make_batch, pack_rows

from ...agents.worlds import pictures


def policy_of(loaded: LoadedModel) -> PolicyAgent:
    return PolicyAgent(loaded, Sampling(12))


def picture_batch(policy: PolicyAgent, seats: int = 4) -> TokenBatch:
    """Reply tokens of `seats` episodes of several turns."""
    chosen = [Seat(pictures(), "pictures", derive_seed(1, i // 2), (1, i), i // 2) for i in range(seats)]
    return make_batch(play(policy, chosen, greedy=False, max_turns=3), policy)


def all_rows(policy: PolicyAgent, batch: TokenBatch) -> PackedRows:
    return pack_rows(batch, range(len(batch.sequences)), policy.loaded.pad_id)
