"""Who learns in a stage, by the recipe: this process, or ranks of their own."""

from __future__ import annotations

from lmmr1.agents.policy import PolicyAgent

from ..config import RunConfig
from ..launchers.base import Launcher
from ..policies import kept_parameters
from ..trainers import Trainer, make_trainer
from .crew import CrewTrainer


def open_trainer(policy: PolicyAgent, recipe: RunConfig, name: str, launcher: Launcher) -> Trainer:
    """The trainer of the stage `name`, which goes on from the policy's present weights; whoever asks closes it.

    Args:
        policy: whose weights are to learn; its `requires_grad` are set.
        recipe: of the run.
        name: of the stage.
        launcher: starts the ranks.

    Raises:
        UserError: the backend is not installed.
        LostError: a rank ended before it began.
    """
    if recipe.backend.kind == "single":
        return make_trainer(policy, recipe, name)
    return CrewTrainer(launcher.open_crew(name, kept_parameters(policy.loaded.model)), policy)
