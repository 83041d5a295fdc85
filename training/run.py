"""A whole run: stages in order, evaluations between them, everything that is needed to go on after a kill."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode, save_episodes
from lmmr1.agents.models import load_model
from lmmr1.agents.networks.lora import read_adapter
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.compiling.kernel import has_numba
from lmmr1.envs.errors import UserError

from .backends.process import keep_freed_memory, use_determinism
from .config import EvaluationConfig, RunConfig
from .config.checkpoints import EVALUATION
from .guards import Guards
from .launchers.base import Launcher
from .launchers.opening import open_launcher
from .policies import kept_parameters, load_parameters, load_policy
from .recipe import dump_recipe, parse_recipe
from .records.changes import check_changes
from .records.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from .records.metrics import MetricsWriter, read_metrics
from .records.progress import Progress
from .stages import StageRunner, check_fit, make_stage_runner

Evaluate = Callable[[PolicyAgent, EvaluationConfig, int, Path | None], dict[str, Any]]
START = "start"
BEST = "best"
# Of glibc's mallopt: memory beyond so much at the end of the heap goes back; what is larger gets a mapping of its own.


@dataclass
class Position:
    """How far a run has come; all that a checkpoint must say beside the tensors."""

    stage: int = 0
    iteration: int = 0
    rows: int = 0
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)
    failures: dict[str, Any] = field(default_factory=dict)
    slowest: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)


def train(
    recipe: RunConfig, folder: Path, evaluate: Evaluate, resume: bool = False, allow_changes: bool = False
) -> dict[str, Any]:
    """Run a recipe.

    Args:
        recipe: what to do.
        folder: where everything goes.
        evaluate: (policy, what to evaluate, seed, folder for sample episodes) -> figures by task; called before the
            first stage and after each.
        resume: go on from the newest checkpoint in `folder`.
        allow_changes: `recipe` may differ from the one that the checkpoint was made with; the changes hold from here
            on and stand in the summary.

    Returns:
        What `summary.json` holds. The same seed gives the same summary, whether or not the run was interrupted, except
        with `collection.asynchronous`, where the order in which episodes end has a say.

    Raises:
        UserError: the recipe does not fit the folder, the model or the environments.
    """
    keep_freed_memory()
    use_determinism(recipe.threads, recipe.model.kernels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {error.strerror}") from error
    with contextlib.closing(open_launcher(recipe)) as launcher:
        return _Run(recipe, folder, evaluate, launcher, resume, allow_changes).go()


@contextlib.contextmanager
def _settled_heap() -> Iterator[None]:
    """Leave what exists now out of garbage collections: a million objects of libraries, looked through in vain."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Run:
    def __init__(
        self,
        recipe: RunConfig,
        folder: Path,
        evaluate: Evaluate,
        launcher: Launcher,
        resume: bool,
        allow_changes: bool,
    ) -> None:
        self.recipe, self.folder, self.evaluate, self.launcher = recipe, folder, evaluate, launcher
        self.position = Position()
        self.text = dump_recipe(recipe)
        self.figures: dict[str, Any] = {}
        checkpoint = self._checkpoint_to_resume(allow_changes) if resume else None
        if not resume or self.position.changes:
            _write_atomically(folder / "recipe.yaml", self.text)
        loaded = load_policy(recipe.model, recipe.seed)
        check_fit(loaded, recipe)
        self.pending: Checkpoint | None = None
        if checkpoint is not None:
            load_parameters(loaded.model, checkpoint.tensors["model"], "the checkpoint")
            self.pending = checkpoint
        engine = self.launcher.open_engine(loaded)
        self.policy = PolicyAgent(loaded, Sampling(recipe.evaluation.max_new_tokens), engine=engine)

    def _checkpoint_to_resume(self, allow_changes: bool) -> Checkpoint | None:
        path = latest_checkpoint(self.folder / "checkpoints")
        if path is None:
            return None
        checkpoint = load_checkpoint(path)
        self.position = Position(**checkpoint.state["position"])
        before = parse_recipe(checkpoint.state["recipe"], str(path))
        changed = check_changes(before, self.recipe, self.position.stage, self.position.iteration, allow_changes)
        if changed:
            self.position.changes.append({"step": self.position.rows, "values": changed})
        return checkpoint

    def go(self) -> dict[str, Any]:
        names = list(self.recipe.stages)
        sizes = {name: stage.sft.steps if stage.sft else stage.iterations for name, stage in self.recipe.stages.items()}
        tracking = self.recipe.tracking
        with MetricsWriter(self.folder, self.position.rows, tracking) as metrics, Progress(sizes) as progress:
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
            place = self.folder / "models" / config.start
            if self.policy.loaded.adapter is not None:
                earlier = read_adapter(place / "adapter")
            else:
                earlier = dict(load_model(str(place), self.recipe.model.dtype).model.named_parameters())
            load_parameters(self.policy.loaded.model, earlier, str(place))
        runner = make_stage_runner(self.policy, self.recipe, name, self.launcher)
        with contextlib.closing(runner), _settled_heap():
            if self.pending is not None:
                if position.iteration:
                    self._restore(runner, self.pending, name)
                self.pending = None
            self._iterate(runner, name, metrics, progress)

    def _iterate(self, runner: StageRunner, name: str, metrics: MetricsWriter, progress: Progress) -> None:
        position, config = self.position, self.recipe.stages[name]
        earlier = read_metrics(metrics.path) if position.iteration else []
        guards = Guards(self.recipe.guards, [row for row in earlier if row["stage"] == name])
        while position.iteration < runner.iterations:
            began, wall = time.process_time(), time.perf_counter()
            row = runner.iterate(position.iteration)
            spent = time.process_time() - began
            position.timing[name] = position.timing.get(name, 0.0) + spent
            position.iteration += 1
            position.rows += 1
            self.figures = dict(row)
            self._check_best_by(name, row)
            times = {"cpu_seconds": spent, "wall_seconds": time.perf_counter() - wall}
            where = {"stage": name, "iteration": position.iteration, "step": position.rows}
            metrics.write({**where, **row, **times})
            if _is_due(self.recipe.tracking.episodes_every, position.iteration):
                self._keep_episodes(name, runner.sample(self.recipe.tracking.episodes))
            guards.check({**where, **row}, sorted((self.folder / "checkpoints").glob("[0-9]*")))
            progress.advance(row)
            if position.iteration == runner.iterations:
                break  # the evaluation and the checkpoint at the end of the stage follow
            if config.kind == "ppo" and _is_due(self.recipe.evaluation.every, position.iteration):
                self._evaluate(name, progress, position.iteration)
            if _is_due(self.recipe.checkpoint_every, position.iteration):
                self._save(runner)
        position.failures |= {name: failures} if (failures := runner.failures()) else {}
        position.slowest |= {name: slowest} if (slowest := runner.slowest()) else {}
        if failures:
            progress.note(
                f"{name}: {failures['failed_episodes']} episodes failed, {failures['faults']} calls of environments "
                f"broke ({', '.join(f'{n} {kind}' for kind, n in failures['kinds'].items())}); see summary.json"
            )

    def _keep_episodes(self, stage: str, episodes: list[Episode]) -> None:
        """Keep some of the episodes that an iteration learned from."""
        if episodes:
            place = self.folder / "episodes" / f"{stage}-training" / f"{self.position.iteration:05d}"
            shutil.rmtree(place, ignore_errors=True)
            save_episodes(place, episodes)

    def _evaluate(self, stage: str, progress: Progress, iteration: int | None = None) -> None:
        """Evaluate at the end of a stage, or after an iteration within it; only the former keeps sample episodes."""
        progress.evaluating(stage if iteration is None else f"{stage}, iteration {iteration}")
        began = time.process_time()
        self.policy.engine.update_weights(self.position.iteration)
        samples = self.folder / "episodes" / stage if iteration is None else None
        if samples is not None:
            shutil.rmtree(samples, ignore_errors=True)
        figures = self.evaluate(self.policy, self.recipe.evaluation, self.recipe.seed, samples)
        self.policy.engine.sleep()
        within = {} if iteration is None else {"iteration": iteration}
        self.position.evaluations.append({"stage": stage, **within, "tasks": figures})
        self.figures |= flatten_evaluation(figures)
        if iteration is None and stage == START:
            self._check_best_by(stage, self.figures, evaluated=True)
        name = "evaluation"
        self.position.timing[name] = self.position.timing.get(name, 0.0) + time.process_time() - began
        lines = "".join(json.dumps(row) + "\n" for row in self.position.evaluations)
        _write_atomically(self.folder / "evaluations.jsonl", lines)

    def _save(self, runner: StageRunner | None) -> None:
        model = kept_parameters(self.policy.loaded.model)
        tensors = {"model": model, **(runner.tensors() if runner is not None else {})}
        if self._is_best():
            self._export(BEST)
        state = {"recipe": self.text, "position": vars(self.position), "runner": runner.state() if runner else {}}
        save_checkpoint(
            self.folder / "checkpoints",
            f"{self.position.rows:07d}",
            Checkpoint(tensors, state),
            self.recipe.checkpoints.keep,
            None if self.position.best is None else f"{self.position.best['step']:07d}",
        )
        if runner is not None:
            runner.forget()

    def _restore(self, runner: StageRunner, checkpoint: Checkpoint, stage: str) -> None:
        try:
            runner.restore(checkpoint)
        except KeyError as error:
            raise UserError(
                f"stages.{stage}: the checkpoint holds nothing of {error}, which the changed recipe needs: a stage "
                "that is under way keeps its estimator, its critic and its reference; undo that change"
            ) from error

    def _check_best_by(self, stage: str, row: Mapping[str, Any], evaluated: bool = False) -> None:
        """Refuse a figure that does not exist as soon as that can be known."""
        key = self.recipe.checkpoints.best_by
        if key is None or key in row or key.startswith(EVALUATION) != evaluated:
            return
        if evaluated or self.recipe.stages[stage].kind == "ppo":
            raise UserError(f"checkpoints.best_by: {stage} has no figure {key!r}; it has {', '.join(row)}")

    def _is_best(self) -> bool:
        """Whether the weights as they are now are the best so far; then they are from here on."""
        config, best = self.recipe.checkpoints, self.position.best
        value = None if config.best_by is None else self.figures.get(config.best_by)
        if value is None or not math.isfinite(value):
            return False
        sign = 1 if config.largest else -1
        if best is not None and best["figure"] == config.best_by and sign * value <= sign * best["value"]:
            return False
        self.position.best = {"figure": config.best_by, "value": float(value), "step": self.position.rows}
        return True

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
            "recipe_sha256": hashlib.sha256(self.text.encode()).hexdigest(),
            "stages": {name: stage.help for name, stage in self.recipe.stages.items()},
            "evaluations": self.position.evaluations,
            "parameters": sum(parameter.numel() for parameter in self.policy.loaded.model.parameters()),
            "weights_sha256": _weights_digest(self.policy.loaded.model),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "numpy": np.__version__,
                "numba": version("numba") if has_numba() else None,
            },
        }
        summary |= {"best": self.position.best} if self.position.best else {}
        summary |= {"failures": self.position.failures} if self.position.failures else {}
        summary |= {"changes": self.position.changes} if self.position.changes else {}
        timing = {"cpu_seconds": self.position.timing, "environments": self.position.slowest}
        _write_atomically(self.folder / "timing.json", json.dumps(timing, indent=1))
        _write_atomically(self.folder / "summary.json", json.dumps(summary, indent=1))
        return summary


def flatten_evaluation(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an evaluation that are numbers, by evaluation/TASK/MODE/FIGURE."""
    return {
        f"{EVALUATION}{task}/{mode}/{figure}": value
        for task, modes in tasks.items()
        for mode, figures in modes.items()
        for figure, value in figures.items()
        if isinstance(value, (int, float))
    }


def _is_due(every: int, iteration: int) -> bool:
    """Whether what happens every so many iterations (0: never) happens after this one."""
    return every > 0 and iteration % every == 0


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
