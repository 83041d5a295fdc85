"""What learns from episodes, and which trainer a stage has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import SHUFFLING_STREAM

from .backends.base import Backend
from .config import RunConfig
from .ppo import PPOTrainer
from .sft import SFTTrainer

Tensors = dict[str, dict[str, Tensor]]


class Trainer(Protocol):
    """What learns from episodes: here, or in other processes, which then bring the policy's weights back."""

    def learn(self, episodes: Sequence[Episode], iteration: int) -> dict[str, float]:
        """Improve the policy; returns metrics."""
        ...

    def credits(self, count: int) -> list[dict[int, TokenCredit]]:
        """What the last `learn` made of the tokens of its first `count` episodes: by turn, those with tokens."""
        ...

    def tensors(self) -> Tensors:
        """What a checkpoint must keep beside the policy's weights, whole."""
        ...

    def state(self) -> dict[str, Any]:
        """What else, as JSON."""
        ...

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave."""
        ...

    def close(self) -> None:
        """End the processes that it has, if any."""
        ...


def make_trainer(
    policy: PolicyAgent, recipe: RunConfig, name: str, backend: Backend | None = None
) -> PPOTrainer | SFTTrainer:
    """The trainer of the stage `name`, in this process; the policy's `requires_grad` say what learns."""
    stage = recipe.stages[name]
    if stage.kind == "sft":
        assert stage.sft is not None
        return SFTTrainer(policy, stage.sft, backend)
    return PPOTrainer(policy, stage, (recipe.seed, SHUFFLING_STREAM, list(recipe.stages).index(name)), backend)
