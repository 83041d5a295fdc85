"""A tree of rows says what the rows say, and its gradient is theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.models import load_model
from lmmr1.agents.networks import branch_attention, branches
from lmmr1.agents.networks.base import PixelInput, Rows
from lmmr1.agents.networks.branch_attention import add_up
from lmmr1.agents.networks.branches import BranchedRows, Layout, blocks_of, run_branches
from lmmr1.agents.networks.qwen import QwenNetwork

from ..models import random_tiny, save_family

pytestmark = pytest.mark.usefixtures("both_kernels_and_none")


def rows_of(network: QwenNetwork, encoder: object, pictures: int) -> tuple[list, list, list[int]]:
    """Three prompts, several replies to each, some of them with pictures in prompt and reply; ragged."""
    rng = np.random.default_rng(3)
    sequences, images, splits = [], [], []
    for prompt in range(3):
        shown: list[PixelInput] = []
        head = rng.integers(30, 90, 5 + 3 * prompt)
        if pictures:
            shown.append(encoder(rng.integers(0, 256, (56, 84, 3), dtype=np.uint8)))  # type: ignore[operator]
            head = np.concatenate([head, [network.image_token] * shown[0].num_tokens, head[:2]])
        for reply in range(prompt + 1):
            tail, pixels = rng.integers(30, 90, 1 + 4 * reply), list(shown)
            if pictures > 1 and reply:
                pixels.append(encoder(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8)))  # type: ignore[operator]
                tail = np.concatenate([tail, [network.image_token] * pixels[-1].num_tokens, tail[:3]])
            sequences.append(np.concatenate([head, tail]).astype(np.int32))
            images.append(pixels)
            splits.append(len(head))
    return sequences, images, splits


def predictors_of(sequences: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of every token but the last of each row."""
    rows = torch.cat([torch.full((len(ids) - 1,), row) for row, ids in enumerate(sequences)])
    return rows, torch.cat([torch.arange(len(ids) - 1) for ids in sequences])


@pytest.mark.parametrize("way", ["padding left out", "padding kept", "checkpointing", "torch's attention", "rounded"])
@pytest.mark.parametrize("pictures", [0, 1, 2])
@pytest.mark.parametrize("family", ["tiny", "qwen2_5_vl"])
def test_branches_equal_rows_and_so_do_their_gradients(
    family: str, pictures: int, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "LEAST_PADDING", 1.0 if way == "padding kept" else 0.05)
    monkeypatch.setattr(branch_attention, "MOST_SCORES", 0 if way == "torch's attention" else 1 << 22)
    if family == "tiny":
        loaded = random_tiny(1)
    else:
        save_family(family, tmp_path)
        loaded = load_model(str(tmp_path))
    network = loaded.network
    assert isinstance(network, QwenNetwork)
    if way == "rounded":
        monkeypatch.setattr(QwenNetwork, "row_multiple", 7)
    network.checkpointing = way == "checkpointing"
    sequences, images, splits = rows_of(network, loaded.images, pictures)
    whole = Rows.pack(sequences, images, loaded.pad_id)
    branched = BranchedRows.pack(network, whole, splits)
    assert 0 < branched.saved < 1
    assert (branched.shape(whole.ids.device).tokens is None) == (way == "padding kept")
    assert len(branched.beginnings.ids) == 3
    assert branched.owners.tolist() == [0, 1, 1, 2, 2, 2]
    places = branched.positions(network).shape[1]
    for multiple in (3, 7, 50):
        tokens = branched.shape(whole.ids.device, multiple).tokens
        assert tokens is None or len(tokens) % multiple == 0 or len(tokens) == places
    rows, columns = predictors_of(sequences)
    weight = torch.randn(len(rows), network.hidden_size, generator=torch.Generator().manual_seed(0))
    results = []
    for tree in (True, False):
        network.model.zero_grad()
        if tree:
            hidden = run_branches(network, Layout.of(network, branched, branched.places(rows, columns)))
        else:
            hidden = network.hidden(whole)[rows, columns]
        (hidden * weight).sum().backward()
        gradients = [p.grad.clone() for p in network.model.parameters() if p.grad is not None]
        results.append((hidden.detach(), gradients))
    (one, gradients), (other, others) = results
    assert torch.allclose(one, other, atol=1e-5)
    assert len(gradients) == len(others)
    for a, b in zip(gradients, others, strict=True):
        assert torch.allclose(a, b, atol=2e-4, rtol=1e-3)


def test_replies_of_one_token_are_all_beginning() -> None:
    network = random_tiny(1).network
    assert isinstance(network, QwenNetwork)
    ids = np.arange(30, 40, dtype=np.int32)
    rows = Rows.pack([ids, ids], [(), ()], 0)
    tree = BranchedRows.pack(network, rows, [9, 9])
    places = tree.places(torch.tensor([0, 1]), torch.tensor([8, 8]))
    hidden = run_branches(network, Layout.of(network, tree, places))
    assert torch.allclose(hidden, network.hidden(rows)[:, 8], atol=1e-6)


@pytest.mark.parametrize("owners", [[0, 0, 1, 1, 2, 2], [2, 0, 0, 1, 2, 2]])
def test_gradients_of_endings_are_added_to_their_beginnings(owners: list[int]) -> None:
    parts = torch.randn(6, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    sums = torch.ones(3 * 4 + 5, 2, 3)
    add_up(sums, parts, (torch.tensor(owners) == torch.arange(3)[:, None]).float())
    expected = torch.ones(3, 4, 2, 3)
    for row, owner in enumerate(owners):
        expected[owner] += parts[row]
    torch.testing.assert_close(sums[:12], expected.flatten(0, 1))
    assert torch.equal(sums[12:], torch.ones(5, 2, 3))


@pytest.mark.parametrize("lengths", [[3, 0, 9, 4, 30, 8, 31, 1], [5] * 9, [0, 0], [7]])
def test_every_ending_stands_in_one_block_of_like_length(lengths: list[int]) -> None:
    blocks = blocks_of(np.array(lengths))
    assert sorted(row for block in blocks for row in block.tolist()) == [i for i, n in enumerate(lengths) if n]
    assert len(blocks) <= branches.MOST_BLOCKS
    longest = [max(lengths[row] for row in block) for block in blocks]
    assert longest == sorted(set(longest))
    padded = sum(len(block) * most for block, most in zip(blocks, longest, strict=True))
    assert padded <= len(lengths) * max(lengths)
    assert len(set(lengths)) == 1 or not sum(lengths) or padded < sum(n > 0 for n in lengths) * max(lengths)


@pytest.mark.parametrize("padded", [True, False])
def test_a_tree_in_bfloat16_is_that_in_float32_rounded(
    padded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "LEAST_PADDING", 1.0 if padded else 0.05)
    random_tiny(1).save(tmp_path)
    results = []
    for dtype in ("float32", "bfloat16"):
        loaded = load_model(str(tmp_path), dtype)
        network = loaded.network
        assert isinstance(network, QwenNetwork)
        with torch.no_grad():  # what rounding the weights does is not looked at
            for parameter in network.model.parameters():
                parameter.copy_(parameter.bfloat16())
        sequences, images, splits = rows_of(network, loaded.images, 2)
        branched = BranchedRows.pack(network, Rows.pack(sequences, images, loaded.pad_id), splits)
        rows, columns = predictors_of(sequences)
        hidden = run_branches(network, Layout.of(network, branched, branched.places(rows, columns)))
        weight = torch.randn(len(rows), network.hidden_size, generator=torch.Generator().manual_seed(0))
        (hidden.float() * weight).sum().backward()
        gradients = [p.grad for p in network.model.parameters() if p.grad is not None]
        assert {part.dtype for part in (hidden, *gradients)} == {network.model.dtype}
        results.append([part.detach().float() for part in (hidden, *gradients)])
    for exact, rounded in zip(*results, strict=True):
        assert float((exact - rounded).norm() / exact.norm()) < 0.03
