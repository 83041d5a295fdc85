"""Cutting a batch into minibatches and micro-batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmmr1.training.batching import TokenBatch, TokenSequence, cut_minibatches, microbatches


def batch_of(groups: list[int], tokens: list[int]) -> TokenBatch:
    """Episodes of one turn with one row each: their groups, and how many reply tokens each has."""
    sequences = [
        TokenSequence(np.array([group, *range(10, 10 + count)], np.int32), (), np.arange(count))
        for group, count in zip(groups, tokens, strict=True)
    ]
    starts = np.cumsum([0, *tokens[:-1]])
    total = sum(tokens)
    episodes = torch.repeat_interleave(torch.arange(len(tokens)), torch.tensor(tokens))
    return TokenBatch(
        sequences=sequences,
        copies=[np.array([start]) for start in starts],
        slots=np.cumsum([0, *tokens]),
        tokens=torch.zeros(total, dtype=torch.long),
        old_logprobs=torch.zeros(total),
        episodes=episodes,
        turns=torch.zeros(total, dtype=torch.long),
        turn_ends=torch.zeros(total, dtype=torch.bool),
        answer=None,
        rewards=torch.zeros(total),
        groups=torch.tensor(groups),
    )


@pytest.mark.parametrize("whole_groups", [False, True])
def test_minibatches_hold_every_row_once_in_parts_of_one_size(whole_groups: bool) -> None:
    batch = batch_of([0, 0, 1, 1, 2, 2, 3, 3], [1, 2, 3, 4, 1, 2, 3, 4])
    parts = cut_minibatches(batch, 2, np.random.default_rng(0), whole_groups)
    assert sorted(row for part in parts for row in part) == list(range(8))
    assert [len(part) for part in parts] == [4, 4]


def test_minibatches_of_whole_groups_cut_no_group_in_two() -> None:
    groups = [group for group in range(6) for _ in range(3)]
    batch = batch_of(groups, [2] * len(groups))
    orders = set()
    for seed in range(8):
        parts = cut_minibatches(batch, 3, np.random.default_rng(seed), whole_groups=True)
        seen = [{groups[row] for row in part} for part in parts]
        assert [len(part) for part in seen] == [2, 2, 2] and len(set.union(*seen)) == 6
        orders.add(str(seen))
    assert len(orders) > 1, "which groups meet does not change with the seed"
    apart = cut_minibatches(batch, 3, np.random.default_rng(0), whole_groups=False)
    assert any(len({groups[row] for row in part}) > 2 for part in apart)


def test_a_row_of_several_groups_goes_with_the_first() -> None:
    batch = batch_of([0, 1, 2], [2, 2, 2])
    # The first row was said in group 2 as well.
    batch.sequences.pop()
    other = batch.copies.pop()
    batch.copies[0] = np.concatenate([batch.copies[0], other])
    parts = cut_minibatches(batch, 3, np.random.default_rng(0), whole_groups=True)
    assert sorted(row for part in parts for row in part) == [0, 1]


def test_microbatches_share_a_beginning_within_the_budget() -> None:
    # Rows of 1 + 4 tokens whose first id, the prompt, is their group's.
    batch = batch_of([5, 5, 5, 6], [4, 4, 4, 4])
    assert microbatches(batch, range(4), 100) == [[0, 1, 2, 3]]
    # The prompt counts once: 5 + 4 + 4 tokens.
    assert microbatches(batch, range(3), 13) == [[0, 1, 2]]
    assert microbatches(batch, range(3), 12) == [[0, 1], [2]]
    assert microbatches(batch, range(3), 1) == [[0], [1], [2]]


def test_microbatches_begin_anew_rather_than_cut_a_group() -> None:
    batch = batch_of([5, 5, 6, 6], [4, 4, 4, 4])
    # Two rows of a group are 9 tokens: of the second group one more row would fit beside the first.
    assert microbatches(batch, range(4), 14) == [[0, 1], [2, 3]]
    assert microbatches(batch, range(4), 8) == [[0], [1], [2], [3]]
