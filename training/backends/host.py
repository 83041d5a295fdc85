"""One rank of a stage, in a process or an actor of its own: a trainer that is told what to do from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode, TokenCredit
from lmmr1.agents.policy import PolicyAgent

from ..model import freeze
from ..policies import load_parameters, load_policy
from ..recipe import parse_recipe
from ..trainers import make_trainer
from .parcels import Parcel, pack, unpack
from .process import keep_freed_memory, use_determinism
from .zero import DeepSpeedBackend, join_ranks


@dataclass(frozen=True)
class Post:
    """What a rank must know to begin.

    Attributes:
        recipe: of the run, as YAML.
        stage: the name of the one that it learns in.
        rank, size: its number, and how many ranks there are.
        address: where the ranks meet, as torch has it.
        weights: the policy's, as the stage begins.
        folder: where it leaves tensors for the run's process; none: it gives bytes.
    """

    recipe: str
    stage: str
    rank: int
    size: int
    address: str
    weights: Parcel
    folder: Path | None


class LearnerHost:
    """See the module. All ranks are asked the same at the same time; rank 0 answers."""

    def __init__(self, post: Post) -> None:
        self.post = post
        recipe = parse_recipe(post.recipe, "the recipe")
        keep_freed_memory()
        use_determinism(recipe.threads, recipe.model.kernels)
        if recipe.model.device == "cuda":
            # Under a launcher that shows each process its own GPU alone, that is number 0.
            torch.cuda.set_device(post.rank % torch.cuda.device_count())
        ranks = join_ranks(post.rank, post.size, post.address, recipe.model.device)
        stage = recipe.backend.stage
        # A fused network reads weights past the modules that fetch them where they are split.
        loaded = load_policy(recipe.model, recipe.seed, fused=stage < 3)
        load_parameters(loaded.model, unpack(post.weights), "the run's process")
        freeze(loaded.model, (*recipe.model.freeze, *recipe.stages[post.stage].freeze))
        policy = PolicyAgent(loaded, Sampling(1))
        backend = DeepSpeedBackend(ranks, stage, recipe.backend.offload)
        self.trainer = make_trainer(policy, recipe, post.stage, backend)

    def asked(self, method: str, arguments: Sequence[Any]) -> Any:
        """Call one of the methods below by its name."""
        known = {"learn": self.learn, "credits": self.credits}
        known |= {"tensors": self.tensors, "state": self.state, "restore": self.restore}
        return known[method](*arguments)

    def learn(self, episodes: Sequence[Episode], iteration: int) -> tuple[dict[str, float], Parcel] | None:
        """Improve the policy; its metrics and its new weights."""
        metrics = self.trainer.learn(episodes, iteration)
        weights = self.trainer.learner.learned_weights()
        return (metrics, self._pack(weights)) if self.post.rank == 0 else None

    def credits(self, count: int) -> list[dict[int, TokenCredit]] | None:
        """What the trainer made of the first episodes' tokens; every rank knows the same."""
        return self.trainer.credits(count) if self.post.rank == 0 else None

    def tensors(self) -> dict[str, Parcel] | None:
        """What a checkpoint must keep beside the policy's weights."""
        groups = self.trainer.tensors()
        return {name: self._pack(group) for name, group in groups.items()} if self.post.rank == 0 else None

    def state(self) -> dict[str, Any]:
        """What else, as JSON."""
        return self.trainer.state()

    def restore(self, groups: Mapping[str, Parcel], state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` gave."""
        self.trainer.restore({name: unpack(parcel) for name, parcel in groups.items()}, state)

    def _pack(self, tensors: Mapping[str, torch.Tensor]) -> Parcel:
        return pack(tensors, self.post.folder)
