"""Ways to compute the same: checkpointed layers, rows without padding, float32 beside bfloat16."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lmmr1.agents.models import LoadedModel, load_model
from lmmr1.agents.networks.base import Network
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.envs.errors import UserError
from lmmr1.training.backends.optimizer import MasterAdamW, make_optimizer
from lmmr1.training.model import run_tokens, with_settings
from lmmr1.training.recipe import read_recipe
from lmmr1.training.run import train

from ...agents.models import FAMILIES, random_tiny, save_family
from ..small_run import RECIPE, results
from ..test_resume import StoppedError, stopping_after
from .episodes import all_rows, picture_batch, policy_of


def gradients(loaded: LoadedModel, network: Network) -> dict[str, Tensor]:
    """Of a loss over ragged rows with pictures, and the loss."""
    policy = policy_of(loaded)
    batch = picture_batch(policy) if loaded.images else None
    assert batch is not None
    packed = all_rows(policy, batch)
    assert len(set(packed.rows.lengths.tolist())) > 1
    loaded.model.zero_grad()
    loss = run_tokens(network, policy.sampler, packed, 1.0).logprobs.mean()
    loss.backward()
    found = {name: p.grad.clone() for name, p in loaded.model.named_parameters() if p.grad is not None}
    return {**found, "loss": loss.detach()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-5, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("fused", [True, False])
def test_checkpointed_layers_give_the_same_gradients_from_fewer_states(fused: bool) -> None:
    loaded = random_tiny(fused=fused)
    sizes: list[int] = []

    def kept(network: Network) -> tuple[dict[str, Tensor], int]:
        sizes.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            found = gradients(loaded, network)
        return found, sum(sizes)

    expected, plain = kept(loaded.network)
    checkpointed = with_settings(loaded.network, loaded.model, checkpointing=True)
    found, fewer = kept(checkpointed)
    assert checkpointed.checkpointing and fewer < 0.9 * plain
    assert not any(module.training for module in loaded.model.modules() if isinstance(module, nn.Dropout))
    assert_close(found, expected, 0.0 if fused else 1e-6)


def test_rows_without_padding_give_the_same() -> None:
    loaded = random_tiny()
    packed = with_settings(loaded.network, loaded.model, packing=True)
    assert isinstance(packed, QwenNetwork) and packed.packing
    expected = gradients(loaded, loaded.network)
    assert_close(gradients(loaded, packed), expected, 1e-6)
    both = with_settings(loaded.network, loaded.model, packing=True, checkpointing=True)
    assert_close(gradients(loaded, both), expected, 1e-6)


def test_no_token_of_the_padding_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = random_tiny()
    policy = policy_of(loaded)
    rows = all_rows(policy, picture_batch(policy)).rows
    seen: list[int] = []
    after = QwenNetwork.after_attention

    def watched(self: QwenNetwork, layer: Any, hidden: Tensor, mixed: Tensor) -> Tensor:
        seen.append(hidden.shape[0] * hidden.shape[1])
        return after(self, layer, hidden, mixed)

    monkeypatch.setattr(QwenNetwork, "after_attention", watched)
    with torch.no_grad():
        with_settings(loaded.network, loaded.model, packing=True).hidden(rows)
    assert set(seen) == {int(rows.lengths.sum())} and int(rows.lengths.sum()) < rows.ids.numel()


def test_packing_needs_the_fused_network() -> None:
    loaded = random_tiny(fused=False)
    with pytest.raises(UserError, match="model.packing needs a fused network"):
        with_settings(loaded.network, loaded.model, packing=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_bfloat16_weights_are_float32_products(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path)
    loaded = load_model(str(tmp_path), "bfloat16")
    hidden = torch.randn(5, loaded.network.hidden_size).to(torch.bfloat16)
    logits = loaded.network.logits(hidden)
    assert logits.dtype == torch.float32
    expected = hidden.double() @ loaded.model.lm_head.weight.double().T
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- optimizer


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_optimizer_of_bfloat16_is_that_of_float32_rounded(weight_decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(6, 4, generator=generator).to(torch.bfloat16)
    weight, other = nn.Parameter(start.clone()), nn.Parameter(torch.ones(3))
    plain = [nn.Parameter(start.float().clone()), nn.Parameter(torch.ones(3))]
    ours = make_optimizer([weight, other], 1e-4, (0.9, 0.99), weight_decay)
    assert isinstance(ours, MasterAdamW)
    theirs = make_optimizer(plain, 1e-4, (0.9, 0.99), weight_decay)
    assert isinstance(theirs, torch.optim.AdamW)
    for _ in range(40):
        for one, two in zip((weight, other), plain, strict=True):
            gradient = torch.randn(one.shape, generator=generator) + 0.5
            one.grad, two.grad = gradient, gradient.clone()
        ours.step()
        theirs.step()
    state = ours.state[weight]
    torch.testing.assert_close(state["master"], plain[0].data, rtol=1e-6, atol=1e-6)
    assert torch.equal(weight.data, state["master"].to(torch.bfloat16))
    torch.testing.assert_close(other.data, plain[1].data, rtol=1e-6, atol=1e-6)
    # Each step is below half of a large weight's last place: bfloat16 alone would have stood still.
    assert not torch.equal(weight.data, start)
    assert {value.dtype for value in state.values()} == {torch.float32}


def test_gradients_of_bfloat16_weights_add_up_in_float32() -> None:
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    MasterAdamW([weight], 1e-3, (0.9, 0.99), 0.0)
    for value in [1.0, *[2.0**-9] * 8]:  # each of the small ones is lost beside 1 in bfloat16
        (weight * torch.tensor(value, dtype=torch.bfloat16)).sum().backward()
    assert weight.grad is not None
    assert float(weight.grad) == 1 + 8 * 2.0**-9


def test_a_run_in_bfloat16_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    settings = [("model.dtype", "bfloat16"), ("model.gradient_checkpointing", "true"), ("model.packing", "true")]
    recipe = read_recipe(RECIPE, [("evaluation.every", "0"), *settings])
    recipe = dataclasses.replace(recipe, stages={name: recipe.stages[name] for name in ("critic", "copy")})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, evaluate_policy)
    for stop in (2, 5):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(stop))
            train(recipe, stopped, evaluate_policy, resume=stop > 2)
    train(recipe, stopped, evaluate_policy, resume=True)
    expected, found = results(whole), results(stopped)
    for name in expected:
        assert found[name] == expected[name], name
    trained = load_model(str(whole / "models/copy"), "bfloat16").model.lm_head.weight
    assert not np.array_equal(
        trained.detach().float(), load_model("tiny", "bfloat16").model.lm_head.weight.detach().float()
    )
