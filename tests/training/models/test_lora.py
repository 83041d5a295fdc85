"""Adapters: the fused network sees what peft computes, sampling and learning agree, what is saved loads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmmr1.agents.models import LoadedModel, load_model, with_adapter
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.networks.generic import GenericNetwork
from lmmr1.agents.networks.lora import Adapter, adapter_tensors, is_adapter
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.envs.errors import UserError
from lmmr1.training.model import freeze, reference_network, run_tokens, vision_frozen
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from ...agents.models import random_tiny, save_family
from ..small_run import RECIPE, results
from ..test_resume import StoppedError, stopping_after
from .episodes import all_rows, picture_batch, policy_of

peft = pytest.importorskip("peft")

EVERYWHERE = Adapter(
    4, 8.0, ("q_proj", "v_proj", "o_proj", "down_proj", "model.visual.*.qkv", "model.visual.*.up_proj")
)


def adapted(loaded: LoadedModel, adapter: Adapter = EVERYWHERE) -> LoadedModel:
    """With an adapter that changes something."""
    loaded = with_adapter(loaded, adapter, 3)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in loaded.model.named_parameters():
        if ".lora_B." in name:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return loaded


def picture_rows(loaded: LoadedModel) -> Rows:
    assert loaded.images is not None
    picture = loaded.images(np.random.default_rng(0).integers(0, 256, (84, 56, 3), dtype=np.uint8))
    text = f"<|vision_start|>{'<|image_pad|>' * picture.num_tokens}<|vision_end|>Perimeter?"
    ids = [np.array(loaded.tokenizer.encode(words)) for words in (text, "Third and box")]
    return Rows.pack(ids, [[picture], []], loaded.pad_id)


@torch.no_grad()
def logits_of(loaded: LoadedModel, rows: Rows | None = None) -> Tensor:
    rows = picture_rows(loaded) if rows is None else rows
    return loaded.network.logits(loaded.network.hidden(rows))[0]


def test_a_new_adapter_changes_nothing_and_follows_the_seed() -> None:
    before = torch.random.get_rng_state()
    plain = logits_of(random_tiny())
    one, same, other = (with_adapter(random_tiny(), EVERYWHERE, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(logits_of(one), plain, rtol=0, atol=0)
    tensors = [adapter_tensors(loaded.model) for loaded in (one, same, other)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert not all(torch.equal(tensors[0][name], tensors[2][name]) for name in tensors[0])


def test_the_fused_network_computes_what_peft_computes() -> None:
    loaded = adapted(random_tiny())
    expected = logits_of(dataclasses.replace(loaded, network=GenericNetwork(loaded.model)))
    torch.testing.assert_close(logits_of(loaded), expected, rtol=1e-4, atol=1e-4)
    assert (logits_of(loaded) - logits_of(random_tiny())).abs().max() > 0.05


@pytest.mark.parametrize("fused", [True, False])
def test_what_learns_is_what_sampled_and_the_reference_is_the_base(fused: bool) -> None:
    base = random_tiny(fused=fused)
    loaded = adapted(random_tiny(fused=fused))
    policy = policy_of(loaded)
    batch = picture_batch(policy)
    packed = all_rows(policy, batch)
    outputs = run_tokens(loaded.network, policy.sampler, packed, 1.0)
    torch.testing.assert_close(outputs.logprobs.detach(), batch.old_logprobs[packed.places], rtol=0, atol=1e-5)
    reference = reference_network(loaded.network)
    assert reference.model is loaded.model
    with torch.no_grad():
        found = run_tokens(reference, policy.sampler, packed, 1.0).logprobs
        expected = run_tokens(base.network, policy.sampler, packed, 1.0).logprobs
        again = run_tokens(loaded.network, policy.sampler, packed, 1.0).logprobs
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    # What nothing learns from is computed another way, the same but for rounding.
    torch.testing.assert_close(again, outputs.logprobs.detach(), rtol=0, atol=1e-5)
    assert (again - expected).abs().max() > 0.01


def test_the_adapter_alone_learns() -> None:
    loaded = adapted(random_tiny())
    freeze(loaded.model, [])
    assert not vision_frozen(loaded.model)
    freeze(loaded.model, ["model.visual.*"])
    assert vision_frozen(loaded.model)
    learning = [name for name, parameter in loaded.model.named_parameters() if parameter.requires_grad]
    assert learning and all(is_adapter(name) and "visual" not in name for name in learning)
    policy = policy_of(loaded)
    run_tokens(loaded.network, policy.sampler, all_rows(policy, picture_batch(policy)), 1.0).logprobs.sum().backward()
    grown = {name for name, parameter in loaded.model.named_parameters() if parameter.grad is not None}
    assert grown == set(learning)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "qwen2"])
def test_both_forms_load(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path / "base")
    loaded = adapted(load_model(str(tmp_path / "base")), Adapter(2, 4.0, ("q_proj", "up_proj")))
    rows = picture_rows(loaded) if loaded.images else Rows.pack([np.arange(9)], [[]], loaded.pad_id)
    expected = logits_of(loaded, rows)
    loaded.save(tmp_path / "saved")
    merged = load_model(str(tmp_path / "saved"))
    assert not adapter_tensors(merged.model)
    torch.testing.assert_close(logits_of(merged, rows), expected, rtol=1e-4, atol=1e-4)
    base = load_model(str(tmp_path / "base"), fused=False)
    theirs = peft.PeftModel.from_pretrained(base.model, str(tmp_path / "saved" / "adapter")).eval()
    with torch.no_grad():
        inputs = GenericNetwork(base.model).inputs(rows)
        found = theirs(**inputs).logits[0]
    torch.testing.assert_close(found[: rows.lengths[0]], expected[: rows.lengths[0]], rtol=1e-4, atol=1e-4)


def test_a_target_that_does_not_exist() -> None:
    with pytest.raises(UserError, match=r"model.lora.targets: 'query' names no linear layer; there are .*q_proj"):
        with_adapter(random_tiny(), Adapter(2, 4.0, ("query",)), 0)


def test_a_run_with_an_adapter_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPE, [("evaluation.every", "0"), ("model.lora", "{rank: 4, alpha: 8}")])
    recipe = dataclasses.replace(recipe, stages={name: recipe.stages[name] for name in ("words", "critic", "game")})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, whole, evaluate_policy)
    for stop in (2, 5, 8):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr("lmmr1.training.run.save_checkpoint", stopping_after(stop))
            train(recipe, stopped, evaluate_policy, resume=stop > 2)
    names = {path.name for path in sorted((stopped / "checkpoints").iterdir())[-1].iterdir()}
    assert "reference.safetensors" not in names and "model.safetensors" in names
    train(recipe, stopped, evaluate_policy, resume=True)
    expected, found = results(whole), results(stopped)
    for name in expected:
        assert found[name] == expected[name], name
    assert read_metrics(whole)[1]["kl"] > 0
