"""What TRL publishes of the same functions gives the same numbers: its own methods, run on the same batches.

TRL's formulas stand inside methods of its trainers. They are called here on a stand-in for the trainer, which answers
with given replies, rewards and log-probabilities in the place of a model.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

pytest.importorskip("trl", reason="TRL is not installed: pip install 'lmmr1[dev]'")

from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: E402
from trl.trainer.rloo_trainer import RLOOTrainer  # noqa: E402

from lmmr1.training.batching import TokenBatch  # noqa: E402
from lmmr1.training.config import PPOConfig  # noqa: E402
from lmmr1.training.objectives.credit import assign_credit  # noqa: E402
from lmmr1.training.objectives.kl import estimate_kl  # noqa: E402
from lmmr1.training.objectives.losses import (  # noqa: E402
    clipped_policy_loss,
    importance_weights,
    sequence_log_ratio,
)
from lmmr1.training.objectives.minibatch import Average  # noqa: E402

LENGTHS = [3, 1, 5, 2, 4, 4, 1, 6]
GROUP, LONGEST = 4, 8
EPISODES = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
MASK = torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]


def padded(flat: Tensor) -> Tensor:
    result = torch.zeros(MASK.shape, dtype=flat.dtype)
    result[MASK] = flat
    return result


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Accelerator:
    """One process."""

    device, process_index, num_processes, sync_gradients = torch.device("cpu"), 0, 1, True

    def gather(self, tensor: Tensor) -> Tensor:
        return tensor

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        return tensor


def trainer(rewards: Tensor, logprobs: Tensor, reference: Tensor | None, **settings: Any) -> Any:
    """A stand-in for a TRL trainer in the middle of training; logs go nowhere."""
    stand_in = mock.MagicMock()
    model, ref_model = SimpleNamespace(training=True), SimpleNamespace(training=False)

    def get_logprobs(asked: Any, *_: Any, **__: Any) -> tuple[Tensor, Tensor, None]:
        found = logprobs if asked is model else reference
        assert found is not None
        return padded(found), torch.zeros(MASK.shape), None

    replies = [[1] * length for length in LENGTHS]
    prompts = [[2, 3]] * len(replies)
    values: dict[str, Any] = {
        "accelerator": Accelerator(),
        "model": model,
        "ref_model": ref_model,
        "_get_per_token_logps_and_entropies": get_logprobs,
        "_calculate_rewards": lambda *_: rewards[:, None],
        "_metrics": {"train": defaultdict(list)},
        "_tokenizer": SimpleNamespace(pad_token_id=0),
        "reward_weights": torch.ones(1),
        "reward_func_names": ["reward"],
        "num_generations": GROUP,
        "beta": 0.0 if reference is None else 0.1,
        "epsilon_low": 0.2,
        "epsilon_high": 0.3,
        "max_completion_length": LONGEST,
        "current_gradient_accumulation_steps": 1,
        "_pending_extra_logs": {},
        "_pending_metrics": {},
        "multi_objective_aggregation": "sum_then_normalize",
        "importance_sampling_level": "token",
        "top_entropy_quantile": 1.0,
    }
    nothing = ("environment_factories", "environments", "tools", "pad_to_multiple_of", "off_policy_mask_threshold")
    off = ("mask_truncated_completions", "use_vllm", "aux_loss_enabled", "_entropy_bonus_enabled")
    values |= dict.fromkeys(nothing) | dict.fromkeys((*off, "normalize_advantages", "reward_clip_range"), False)
    for name, value in (values | settings).items():
        setattr(stand_in, name, value)
    stand_in.args = SimpleNamespace(
        gradient_accumulation_steps=1,
        steps_per_generation=1,
        per_device_train_batch_size=len(replies),
        gradient_checkpointing_kwargs=None,
        delta=settings.get("delta"),
        use_bias_correction_kl=False,
    )
    stand_in.num_iterations = 1
    if "scale_rewards" in settings:  # GRPO's method of this name gives more than RLOO's
        stand_in._generate = lambda _: (prompts, replies, None, replies, None, {}, None, None)
    else:
        stand_in._generate = lambda _: (prompts, replies, replies)
    return stand_in


def advantages_of_trl(kind: Any, stand_in: Any) -> Tensor:
    inputs = [{"prompt": "say"} for _ in LENGTHS]
    module = kind.__module__
    with (
        mock.patch(f"{module}.gather", lambda tensor: tensor),
        mock.patch(f"{module}.gather_object", lambda listed: listed),
        mock.patch(f"{module}.disable_gradient_checkpointing", mock.MagicMock()),
    ):
        return kind._generate_and_score_completions(stand_in, inputs)["advantages"]


def own_advantages(estimator: Any, rewards: Tensor, penalties: Tensor) -> Tensor:
    ends = torch.cat([EPISODES[1:] != EPISODES[:-1], torch.tensor([True])])
    paid = torch.zeros(len(EPISODES))
    paid[ends] = rewards
    nothing, none = torch.zeros(len(EPISODES)), torch.zeros(len(LENGTHS))
    groups = torch.arange(len(LENGTHS)) // GROUP
    turns = torch.zeros(len(EPISODES), dtype=torch.long)
    batch = TokenBatch([], [], mock.ANY, turns, nothing, EPISODES, turns, ends, ends, paid, groups)
    credit = assign_credit(batch, paid - penalties, nothing, none, None, PPOConfig(estimator=estimator))
    return credit.advantages[ends]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo"])
def test_advantages(estimator: str, seed: int) -> None:
    rewards = normal(seed, len(LENGTHS))
    rewards[:GROUP] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    logprobs = normal(seed + 1, len(EPISODES))
    if estimator == "rloo":  # TRL's has the divergence in the reward, as the paper has
        reference = logprobs + 0.3 * normal(seed + 2, len(EPISODES))
        found = advantages_of_trl(RLOOTrainer, trainer(rewards, logprobs, reference))
        penalties = 0.1 * estimate_kl(logprobs, reference, "k1")
    else:
        scale = {"grpo": "group", "dr_grpo": "none"}[estimator]
        found = advantages_of_trl(GRPOTrainer, trainer(rewards, logprobs, None, scale_rewards=scale))
        penalties = torch.zeros(len(EPISODES))
    assert own_advantages(estimator, rewards, penalties).tolist() == pytest.approx(found.tolist(), abs=1e-6)


def test_groups_without_variance_have_no_advantage_in_either() -> None:
    rewards, nothing = torch.ones(len(LENGTHS)), torch.zeros(len(EPISODES))
    for estimator, scale in (("grpo", "group"), ("dr_grpo", "none")):
        found = advantages_of_trl(GRPOTrainer, trainer(rewards, nothing, None, scale_rewards=scale))
        assert found.tolist() == own_advantages(estimator, rewards, nothing).tolist() == [0.0] * len(LENGTHS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("dual_clip", [None, 1.4])
@pytest.mark.parametrize("correction", [None, "truncate", "mask"])
@pytest.mark.parametrize(
    ("loss_type", "normalisation"),
    [("grpo", "sequence"), ("dapo", "token"), ("bnpo", "token"), ("dr_grpo", "constant")],
)
def test_losses_and_their_gradients(
    loss_type: str, normalisation: str, correction: str | None, dual_clip: float | None, level: str, seed: int
) -> None:
    count = len(EPISODES)
    logprobs = normal(seed, count).requires_grad_()
    old, reference = logprobs.detach() + 0.4 * normal(seed + 1, count), logprobs.detach() + normal(seed + 2, count)
    advantages = normal(seed + 3, len(LENGTHS))
    engine = old + 0.5 * normal(seed + 4, count)
    weights = torch.ones(count) if correction is None else importance_weights(old - engine, correction, 1.5, 0.6)
    stand_in = trainer(
        torch.zeros(len(LENGTHS)),
        logprobs,
        reference,
        loss_type=loss_type,
        importance_sampling_level=level,
        delta=dual_clip,
        use_vllm=correction is not None,
    )
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(LENGTHS), 1, dtype=torch.long),
        "completion_ids": MASK.long(),
        "completion_mask": MASK.long(),
        "advantages": advantages,
        "old_per_token_logps": padded(old),
        "ref_per_token_logps": padded(reference),
        "importance_sampling_ratio": padded(weights),
        "num_items_in_batch": MASK.sum(),
    }
    expected = GRPOTrainer._compute_loss(stand_in, stand_in.model, inputs)
    [expected_gradient] = torch.autograd.grad(expected, logprobs)

    log_ratio = logprobs - old
    if level == "sequence":
        log_ratio = sequence_log_ratio(log_ratio, EPISODES, torch.ones(count, dtype=torch.bool))
    surrogate = clipped_policy_loss(log_ratio, advantages[EPISODES], 0.2, 0.3, dual_clip) * weights
    per_token = surrogate + 0.1 * estimate_kl(logprobs, reference, "k3")
    everywhere, places = torch.ones(count, dtype=torch.bool), torch.arange(count)
    average = Average.over(everywhere, places, normalisation, EPISODES, LONGEST)
    loss = average.part(per_token, places)
    [gradient] = torch.autograd.grad(loss, logprobs)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    # With one weight and one share for all tokens of a sequence, GSPO's two forms have the same gradient.
    if level == "token" or (correction is None and normalisation == "sequence"):
        assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_importance_weights_as_trl_has_them() -> None:
    """Truncation and masking of token ratios: TRL's bounds, on TRL's own path through its method."""
    engine, logprobs = normal(0, len(EPISODES)), normal(1, len(EPISODES))
    bounds: dict[str, Any] = {"vllm_importance_sampling_clip_max": 1.5, "vllm_importance_sampling_clip_min": None}
    for kind, low in (("truncate", None), ("mask", 0.6)):
        bounds["vllm_importance_sampling_clip_min"] = low
        stand_in = trainer(
            normal(2, len(LENGTHS)),
            logprobs,
            None,
            scale_rewards="group",
            use_vllm=True,
            vllm_importance_sampling_correction=True,
            vllm_importance_sampling_mode=f"token_{kind}",
            **bounds,
        )
        replies = [[1] * length for length in LENGTHS]
        kept = [row.tolist() for row in engine.split(LENGTHS)]
        stand_in._generate = lambda _, replies=replies, kept=kept: (
            [[2, 3]] * len(replies), replies, None, replies, kept, {}, None, None,
        )  # fmt: skip
        inputs = [{"prompt": "say"} for _ in LENGTHS]
        with (
            mock.patch("trl.trainer.grpo_trainer.gather_object", lambda listed: listed),
            mock.patch("trl.trainer.grpo_trainer.disable_gradient_checkpointing", mock.MagicMock()),
        ):
            found = GRPOTrainer._generate_and_score_completions(stand_in, inputs)["importance_sampling_ratio"]
        expected = importance_weights(logprobs - engine, kind, 1.5, 0.0 if low is None else low)
        assert found[MASK].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
