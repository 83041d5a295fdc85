"""A whole run: stages in order, evaluations between them, everything that is needed to go on after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.models import load_model
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.errors import UserError

from .config import EvaluationConfig, RunConfig
from .recipe import dump_recipe
from .records.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from .records.metrics import MetricsWriter
from .records.progress import Progress
from .stages import StageRunner, check_fit, make_stage_runner

Evaluate = Callable[[PolicyAgent, EvaluationConfig, int, Path | None], dict[str, Any]]
START = "start"


@dataclass
class Position:
    """How far a run has come; all that a checkpoint must say beside the tensors."""

    stage: int = 0
    iteration: int = 0
    rows: int = 0
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)


def train(recipe: RunConfig, folder: Path, evaluate: Evaluate, resume: bool = False) -> dict[str, Any]:
    """Run a recipe.

    Args:
        recipe: what to do.
        folder: where everything goes.
        evaluate: (policy, what to evaluate, seed, folder for sample episodes) -> figures by task; called before the
            first stage and after each.
        resume: go on from the newest checkpoint in `folder`.

    Returns:
        What `summary.json` holds. The same seed gives the same summary, whether or not the run was interrupted.

    Raises:
        UserError: the recipe does not fit the folder, the model or the environments.
    """
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return _Run(recipe, folder, evaluate, resume).go()


class _Run:
    def __init__(self, recipe: RunConfig, folder: Path, evaluate: Evaluate, resume: bool) -> None:
        self.recipe, self.folder, self.evaluate = recipe, folder, evaluate
        self.position = Position()
        self.digest = hashlib.sha256(dump_recipe(recipe).encode()).hexdigest()
        checkpoint = self._checkpoint_to_resume() if resume else None
        if not resume:
            _write_atomically(folder / "recipe.yaml", dump_recipe(recipe))
        loaded = load_model(recipe.model.path, recipe.model.dtype, seed=recipe.seed)
        check_fit(loaded, recipe)
        self.policy = PolicyAgent(loaded, Sampling(recipe.evaluation.max_new_tokens))
        self.pending: Checkpoint | None = None
        if checkpoint is not None:
            state = checkpoint.state
            self.position = Position(**state["position"])
            _load_parameters(loaded.model, checkpoint.tensors["model"])
            self.pending = checkpoint

    def _checkpoint_to_resume(self) -> Checkpoint | None:
        path = latest_checkpoint(self.folder / "checkpoints")
        if path is None:
            return None
        checkpoint = load_checkpoint(path)
        if checkpoint.state["recipe"] != self.digest:
            raise UserError(
                f"{self.folder} was started with another recipe (see {self.folder / 'recipe.yaml'}); "
                "resume it with the same options, or choose another --run-dir"
            )
        return checkpoint

    def go(self) -> dict[str, Any]:
        names = list(self.recipe.stages)
        sizes = {name: stage.sft.steps if stage.sft else stage.iterations for name, stage in self.recipe.stages.items()}
        with MetricsWriter(self.folder, self.position.rows) as metrics, Progress(sizes) as progress:
            if not self.position.evaluations:
                self._evaluate(START, progress)
                self._save(None)
            while self.position.stage < len(names):
                name = names[self.position.stage]
                self._run_stage(name, metrics, progress)
                self._evaluate(name, progress)
                self.position.stage += 1
                self.position.iteration = 0
                self._export(name)
                self._save(None)
        return self._summarise()

    def _run_stage(self, name: str, metrics: MetricsWriter, progress: Progress) -> None:
        position, config = self.position, self.recipe.stages[name]
        progress.start_stage(name, config.help, position.iteration)
        if config.start is not None and position.iteration == 0:
            # A branch: what the stages in between learned stays in their own models.
            earlier = load_model(str(self.folder / "models" / config.start), self.recipe.model.dtype)
            _load_parameters(self.policy.loaded.model, dict(earlier.model.named_parameters()))
        runner = make_stage_runner(self.policy, self.recipe, name, position.stage)
        if self.pending is not None:
            if position.iteration:
                runner.restore(self.pending)
            self.pending = None
        while position.iteration < runner.iterations:
            began, wall = time.process_time(), time.perf_counter()
            row = runner.iterate(position.iteration)
            spent = time.process_time() - began
            position.timing[name] = position.timing.get(name, 0.0) + spent
            position.iteration += 1
            position.rows += 1
            times = {"cpu_seconds": spent, "wall_seconds": time.perf_counter() - wall}
            where = {"stage": name, "iteration": position.iteration, "step": position.rows}
            metrics.write({**where, **row, **times})
            progress.advance(row)
            if position.iteration == runner.iterations:
                break  # the evaluation and the checkpoint at the end of the stage follow
            if config.kind == "ppo" and _is_due(self.recipe.evaluation.every, position.iteration):
                self._evaluate(name, progress, position.iteration)
            if _is_due(self.recipe.checkpoint_every, position.iteration):
                self._save(runner)
        runner.close()

    def _evaluate(self, stage: str, progress: Progress, iteration: int | None = None) -> None:
        """Evaluate at the end of a stage, or after an iteration within it; only the former keeps sample episodes."""
        progress.evaluating(stage if iteration is None else f"{stage}, iteration {iteration}")
        began = time.process_time()
        samples = self.folder / "episodes" / stage if iteration is None else None
        if samples is not None:
            shutil.rmtree(samples, ignore_errors=True)
        figures = self.evaluate(self.policy, self.recipe.evaluation, self.recipe.seed, samples)
        within = {} if iteration is None else {"iteration": iteration}
        self.position.evaluations.append({"stage": stage, **within, "tasks": figures})
        name = "evaluation"
        self.position.timing[name] = self.position.timing.get(name, 0.0) + time.process_time() - began
        lines = "".join(json.dumps(row) + "\n" for row in self.position.evaluations)
        _write_atomically(self.folder / "evaluations.jsonl", lines)

    def _save(self, runner: StageRunner | None) -> None:
        model = {name: parameter.detach() for name, parameter in self.policy.loaded.model.named_parameters()}
        tensors = {"model": model, **(runner.tensors() if runner is not None else {})}
        state = {"recipe": self.digest, "position": vars(self.position), "runner": runner.state() if runner else {}}
        save_checkpoint(self.folder / "checkpoints", f"{self.position.rows:07d}", Checkpoint(tensors, state))
        if runner is not None:
            runner.forget()

    def _export(self, name: str) -> None:
        """Write the model as a folder that `transformers` loads; it appears under its name only when it is whole."""
        models = self.folder / "models"
        models.mkdir(exist_ok=True)
        partial, final = models / f".{name}.partial", models / name
        shutil.rmtree(partial, ignore_errors=True)
        self.policy.save_pretrained(partial)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(partial, final)

    def _summarise(self) -> dict[str, Any]:
        summary = {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "recipe_sha256": self.digest,
            "stages": {name: stage.help for name, stage in self.recipe.stages.items()},
            "evaluations": self.position.evaluations,
            "parameters": sum(parameter.numel() for parameter in self.policy.loaded.model.parameters()),
            "weights_sha256": _weights_digest(self.policy.loaded.model),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "numpy": np.__version__,
            },
        }
        _write_atomically(self.folder / "timing.json", json.dumps({"cpu_seconds": self.position.timing}, indent=1))
        _write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1))
        return summary


def _is_due(every: int, iteration: int) -> bool:
    """Whether what happens every so many iterations (0: never) happens after this one."""
    return every > 0 and iteration % every == 0


def _load_parameters(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    parameters = dict(model.named_parameters())
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
        raise UserError("the checkpoint holds another model than the recipe names: was its folder changed since?")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])


def _weights_digest(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode() + parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
