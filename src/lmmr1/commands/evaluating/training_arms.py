"""The arms of an experiment, trained: each once for a seed, whichever experiments it is part of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

from ..train import state_of

if TYPE_CHECKING:
    from lmmr1.evaluation.experiments.experiment import Arm, Experiment
    from lmmr1.training.config import RunConfig

BASE_MODEL = "tiny"
FOLDER = "arms"


class TrainedArms:
    """The models of an experiment's arms under one seed.

    Arms of different experiments that come to the same recipe share a folder, which their settings name: what is
    trained already is not trained again.

    Args:
        experiment: whose arms.
        root: the folder of all experiments.
        seed: of the training.
    """

    def __init__(self, experiment: Experiment, root: Path, seed: int) -> None:
        self.experiment, self.root, self.seed = experiment, root, seed
        self.recipes: dict[str, RunConfig] = {}
        self.folders: dict[str, Path] = {}

    def prepare(self) -> None:
        """Read the recipes of all arms, so that a mistake is told before anything is trained.

        Raises:
            UserError: a recipe or an override is wrong.
        """
        for arm in self.experiment.arms:
            if arm.recipe is not None:
                self._prepare(arm)

    def _prepare(self, arm: Arm) -> None:
        from lmmr1.training.recipe import dump_recipe, load_recipe

        values = {"seed": self.seed, "evaluation.tasks": {}, "films": 0, **arm.overrides}
        recipe = load_recipe(str(arm.recipe), _as_overrides(values))
        origin = "" if arm.start is None else self.folders[arm.start].name
        digest = hashlib.sha256(f"{dump_recipe(recipe)}\n{origin}".encode()).hexdigest()
        self.folders[arm.name] = self.root / FOLDER / f"{recipe.name}-{digest[:10]}-seed{self.seed}"
        if arm.start is not None:
            recipe = load_recipe(
                str(arm.recipe), _as_overrides({**values, "model.path": str(self._last_model(arm.start))})
            )
        self.recipes[arm.name] = recipe

    def model(self, arm: Arm) -> str:
        """Where the model of an arm lies, or its name."""
        return BASE_MODEL if arm.recipe is None else str(self._last_model(arm.name))

    def _last_model(self, name: str) -> Path:
        return self.folders[name] / "models" / list(self.recipes[name].stages)[-1]

    def train(self, arm: Arm) -> None:
        """Train an arm, or go on where its training was stopped; nothing where it is done.

        Raises:
            UserError: its folder holds something else.
        """
        from lmmr1.training.run import train

        if arm.recipe is None:
            return
        folder = self.folders[arm.name]
        state = state_of(folder)
        if state == "foreign":
            raise UserError(f"{folder} holds something that is not a run: choose another folder with --out")
        if state != "complete":
            train(self.recipes[arm.name], folder, evaluate=_no_evaluation, resume=state == "unfinished")

    def cpu_seconds(self, arm: Arm) -> float:
        """What its training took, that of the arms before it not counted."""
        import json

        if arm.recipe is None:
            return 0.0
        timing = json.loads((self.folders[arm.name] / "timing.json").read_text(encoding="utf-8"))
        return float(sum(timing["cpu_seconds"].values()))


def _as_overrides(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Values as the command line would give them; JSON is YAML."""
    import json

    return [(key, json.dumps(value)) for key, value in values.items()]


def _no_evaluation(*_: Any) -> dict[str, Any]:
    """The arms are judged by the experiment, all on the same tasks."""
    return {}
