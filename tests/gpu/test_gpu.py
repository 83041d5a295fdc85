"""What only a GPU can show; run by hand where there is one: `pytest tests/gpu`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmmr1.agents.engines.base import Request, Sampling
from lmmr1.agents.engines.device import steps as device_steps
from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.models import LoadedModel, load_model
from lmmr1.agents.networks.base import Rows
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import rollout
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.training.batching import episode_sequences
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

from ..agents.models import FAMILIES, random_tiny, save_family
from ..agents.worlds import pictures
from ..training.small_run import RECIPE, STAGES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


def load(family: str, folder: Path, dtype: str = "float32") -> LoadedModel:
    if family == "tiny":
        random_tiny().save(folder)
    else:
        save_family(family, folder)
    return load_model(str(folder), dtype, "cuda")


@pytest.mark.parametrize("family", ["tiny", "qwen2_5_vl", "qwen2_vl", "qwen3_vl"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_rollout_is_what_the_learner_computes(family: str, dtype: str, tmp_path: Path) -> None:
    assert family == "tiny" or family in FAMILIES
    policy = PolicyAgent(load(family, tmp_path, dtype), Sampling(max_new_tokens=40))
    episodes = rollout(policy, lambda: pictures(3), 4, seed=3, stream=0, max_turns=3)
    network, differences = policy.loaded.network, []
    for episode in episodes:
        for sequence, turns in episode_sequences(episode, policy):
            rows = Rows.pack([sequence.ids], [sequence.images], 0)
            with torch.no_grad():
                logits = network.logits(network.hidden(rows)[0, torch.from_numpy(sequence.predictors)])
            logprobs = policy.sampler.log_probabilities(logits, 1.0).cpu()
            said = torch.from_numpy(sequence.ids[sequence.predictors + 1].astype(np.int64))
            kept = np.concatenate([turn.logprobs for _, turn in turns])
            differences.append(np.abs(logprobs.gather(-1, said[:, None])[:, 0].numpy() - kept))
    worst, mean = np.concatenate(differences).max(), np.concatenate(differences).mean()
    print(f"{family} {dtype}: differences of log-probabilities up to {worst:.2g}, mean {mean:.2g}")
    assert mean < (2e-5 if dtype == "float32" else 0.05)


def test_recorded_steps_are_those_that_are_run_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load("tiny", tmp_path)
    rng = np.random.default_rng(0)
    requests = [Request(rng.integers(20, 90, 10 + index).astype(np.int32), (), (1, index)) for index in range(60)]
    results = []
    for worth in (8, 10**9):  # of the second nothing is recorded
        monkeypatch.setattr(device_steps, "WORTH_RECORDING", worth)
        engine = EmbeddedEngine(loaded.network, loaded.banned_ids, loaded.end_ids, loaded.pad_id, 32)  # pyright: ignore[reportArgumentType]
        results.append(engine.generate(requests, Sampling(400)))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one.ids, other.ids)
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)
    on_cpu = PolicyAgent(random_tiny(), Sampling(400)).engine.generate(requests, Sampling(400))
    same = np.mean([np.array_equal(one.ids, other.ids) for one, other in zip(results[0], on_cpu, strict=True)])
    print(f"{same:.0%} of the samples are those of the CPU")
    assert same > 0.8


@pytest.mark.parametrize("model", ["{device: cuda}", "{device: cuda, dtype: bfloat16, gradient_checkpointing: true}"])
def test_every_kind_of_stage_runs(model: str, tmp_path: Path) -> None:
    summary = train(replace(read_recipe(RECIPE + f"\nmodel: {model}\n")), tmp_path / "run", evaluate_policy)
    assert set(summary["stages"]) >= set(STAGES)
    rows = read_metrics(tmp_path / "run")
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    assert numbers and all(math.isfinite(number) for number in numbers)
    mismatches = [row["mismatch_max"] for row in rows if "mismatch_max" in row]
    print("mismatch_max:", mismatches)
