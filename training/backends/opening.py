"""Who learns in a stage, by the recipe: this process, processes beside it, or actors of a cluster."""

from __future__ import annotations

from lmmr1.agents.policy import PolicyAgent

from ..config import RunConfig
from ..policies import kept_parameters
from ..recipe import dump_recipe
from ..trainers import Trainer, make_trainer
from .crew import CrewTrainer, ProcessCrew
from .host import Post
from .parcels import pack


def open_trainer(policy: PolicyAgent, recipe: RunConfig, name: str) -> Trainer:
    """The trainer of the stage `name`, which goes on from the policy's present weights; whoever asks closes it.

    Args:
        policy: whose weights are to learn; its `requires_grad` are set.
        recipe: of the run.
        name: of the stage.

    Raises:
        UserError: the backend is not installed.
        LostError: a rank ended before it began.
    """
    config = recipe.backend
    if config.kind == "single":
        return make_trainer(policy, recipe, name)
    crew = ProcessCrew(config.processes, config.start_seconds)
    try:
        weights = pack(kept_parameters(policy.loaded.model), crew.folder)
        address = f"file://{crew.folder}/meeting"
        text = dump_recipe(recipe)
        crew.begin(
            [
                Post(text, name, rank, config.processes, address, weights, crew.folder)
                for rank in range(config.processes)
            ]
        )
    except BaseException:
        crew.close()
        raise
    return CrewTrainer(crew, policy)
