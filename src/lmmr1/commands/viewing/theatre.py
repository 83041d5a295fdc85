"""Who plays for the page: checkpoints of the runs that it shows, in the environments of their recipes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmmr1.agents
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

if TYPE_CHECKING:
    from lmmr1.agents.episode import Episode
    from lmmr1.agents.models import LoadedModel
    from lmmr1.evaluation.viewing.plays import Order
    from lmmr1.evaluation.viewing.subject import Subject
    from lmmr1.training.config import RunConfig

RECIPE, START = "recipe.yaml", "start"
# Loaded checkpoints that stay in memory: those of the last comparison.
_KEPT = 2
# A world that hangs is ended after so long; a page has no patience for more.
_STEP_SECONDS, _RESET_SECONDS = 60.0, 120.0


@dataclass(frozen=True)
class Scene:
    """An environment, and how a policy is spoken to in it.

    Attributes:
        label: what the page calls it.
        environment: the environment.
        seed: that of the run, whose problems these are.
        context, max_turns, max_new_tokens, max_context_tokens, stop, temperature: as in the recipe.
    """

    label: str
    environment: EnvironmentConfig
    seed: int
    context: str
    max_turns: int | None
    max_new_tokens: int
    max_context_tokens: int
    stop: tuple[str, ...]
    temperature: float = 1.0


class CheckpointTheatre:
    """See `lmmr1.evaluation.viewing.plays.Theatre`. A word is the number of the run, a colon, and a name within it.

    Args:
        subjects: what the page shows; for the evaluation of a run that lies in its folder, the run plays.
        device: where.
    """

    def __init__(self, subjects: Sequence[Subject], device: str) -> None:
        self.folders = [_run_of(subject.folder) for subject in subjects]
        self.labels = [subject.label for subject in subjects]
        self.device = device
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()

    def base_folder(self, number: int) -> Path | None:
        """The folder of the model that a run began with, if it lies on this machine; for its tokenizer."""
        try:
            return _model_folder(self._recipe(number).model.path)
        except (UserError, ModuleNotFoundError):
            return None  # where it matters, when checkpoints are to play, the page says what is missing

    def choices(self) -> dict[str, Any]:
        """What there is now; a run that trains has more later."""
        checkpoints: list[dict[str, Any]] = []
        environments: list[dict[str, Any]] = []
        problems = []
        for number, folder in enumerate(self.folders):
            try:
                recipe = self._recipe(number)
            except ModuleNotFoundError as error:
                problems.append(f"playing needs {error.name}, which is not installed: run pip install 'lmmr1[train]'")
                continue
            except UserError as error:
                problems.append(f"{self.labels[number]}: {error}")
                continue
            assert folder is not None
            for name, label in _checkpoints(folder, recipe):
                checkpoints.append({"word": f"{number}:{name}", "label": label, "run": number})
            for name, scene in _scenes(recipe).items():
                entry = {"word": f"{number}:{name}", "label": scene.label, "run": number, "seed": scene.seed}
                environments.append({**entry, "task": name.removeprefix("task:") if name.startswith("task:") else ""})
        return {"checkpoints": checkpoints, "environments": environments, "problems": problems}

    def play(self, checkpoint: str, order: Order) -> Episode:
        """One episode; the environment is made for it and closed."""
        from lmmr1.agents.engines.base import Sampling
        from lmmr1.agents.playing import Seat
        from lmmr1.agents.policy import PolicyAgent
        from lmmr1.agents.rollout import EVALUATION_STREAM, derive_epoch_seed, derive_seed, play

        number, name = self._split(order.environment)
        scenes = _scenes(self._recipe(number))
        if name not in scenes:
            raise UserError(f"there is no environment {name!r} in {self.labels[number]}")
        scene, environment = scenes[name], scenes[name].environment
        loaded = self._load(checkpoint)
        sampling = Sampling(scene.max_new_tokens, scene.temperature, stop=scene.stop)
        agent = PolicyAgent(loaded, sampling, scene.context, scene.max_context_tokens, slots=1, name=checkpoint)
        entropy = (order.seed, EVALUATION_STREAM, order.problem)
        if environment.in_epochs:
            env_seed = derive_epoch_seed(order.problem, order.seed, EVALUATION_STREAM)
        else:
            env_seed = derive_seed(*entropy)
        # Without a seed of their own the tokens are drawn as the evaluation draws them.
        key = (*entropy, order.sampling) if order.sampling else entropy
        with _place(environment) as place:
            seat = Seat(place, scene.label, env_seed, key, order.problem)
            return play(agent, [seat], greedy=order.greedy, max_turns=scene.max_turns)[0]

    def _recipe(self, number: int) -> RunConfig:
        from lmmr1.training.recipe import load_recipe

        folder = self.folders[number]
        if folder is None:
            raise UserError("an evaluation does not say where its model lies: view the run that it is of")
        if not (folder / RECIPE).is_file():
            raise UserError(f"{RECIPE} is missing, which says what model and environments the run has")
        return load_recipe(str(folder / RECIPE))

    def _split(self, word: str) -> tuple[int, str]:
        number, _, name = word.partition(":")
        if not (number.isascii() and number.isdecimal() and len(number) < 4 and int(number) < len(self.folders)):
            raise UserError(f"{word!r:.60} names no run of this page")
        return int(number), name

    def _load(self, word: str) -> LoadedModel:
        from lmmr1.agents.models import load_model
        from lmmr1.agents.policy import use_threads
        from lmmr1.training.policies import load_parameters, load_policy
        from lmmr1.training.records.checkpoint import load_checkpoint

        number, name = self._split(word)
        recipe, folder = self._recipe(number), self.folders[number]
        assert folder is not None
        if name not in dict(_checkpoints(folder, recipe)):
            raise UserError(f"there is no checkpoint {name!r:.60} in {self.labels[number]} (any more)")
        use_threads(recipe.threads, recipe.model.kernels)  # so that it says what it said in the run
        place = folder / name
        known = f"{word} {place.stat().st_mtime_ns if name != START else 0}"
        if known not in self._loaded:
            model = dataclasses.replace(recipe.model, device="cpu")
            if name.startswith("models/"):
                loaded = load_model(str(place), model.dtype, self.device)
            else:
                loaded = load_policy(model, recipe.seed, self.device)
            if name.startswith("checkpoints/"):
                load_parameters(loaded.model, load_checkpoint(place).tensors["model"], str(place))
            self._loaded[known] = loaded
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(known)
        return self._loaded[known]


def _model_folder(path: str) -> Path | None:
    """Where a model lies on this machine: with the package, in a folder, or in the hub's cache."""
    if path in ("tiny", "tiny-random"):
        return Path(str(lmmr1.agents.__file__)).parent / "weights" / "tiny"
    if Path(path).is_dir():
        return Path(path)
    from lmmr1.agents.hub import cached_file

    cached = cached_file(path, "tokenizer.json")
    return None if cached is None else cached.parent


def _run_of(folder: Path) -> Path | None:
    """The run that a folder is, or that it is an evaluation of; None for an evaluation of something else."""
    if not (folder / "settings.json").is_file():
        return folder
    run = folder.parent.parent
    return run if folder.parent.name == "evaluations" and (run / RECIPE).is_file() else None


def _checkpoints(folder: Path, recipe: RunConfig) -> list[tuple[str, str]]:
    """What of a run can play: (name, label), from its start on."""
    found = [(START, f"start ({recipe.model.path})")]
    models = {path.parent.name for path in (folder / "models").glob("[!.]*/config.json")}
    ordered = [name for name in recipe.stages if name in models]
    found += [(f"models/{name}", f"after {name}") for name in ordered]
    found += [(f"models/{name}", name) for name in sorted(models - set(ordered))]
    for path in sorted((folder / "checkpoints").glob("[0-9]*/manifest.json")):
        name = path.parent.name
        step = name.rpartition("-")[2]
        found.append((f"checkpoints/{name}", f"step {int(step)}" if step.isdecimal() else name))
    return found


def _scenes(recipe: RunConfig) -> dict[str, Scene]:
    """Where a run is evaluated and trained, by name."""
    judged = recipe.evaluation
    scenes: dict[str, Scene] = {}
    for name, task in judged.tasks.items():
        from lmmr1.training.config.rollout import context_word

        scenes[f"task:{name}"] = Scene(
            name,
            task.environment,
            recipe.seed,
            context_word(task.context, task.window_turns, task.window_images),
            task.max_turns,
            judged.max_new_tokens,
            judged.max_context_tokens,
            judged.stop,
        )
    for stage, config in recipe.stages.items():
        rollout = config.rollout
        for index, environment in enumerate(config.environments):
            scenes[f"stage:{stage}:{index}"] = Scene(
                f"{stage}, training: {environment.id}",
                environment,
                recipe.seed,
                rollout.context_word,
                rollout.max_turns,
                rollout.max_new_tokens,
                rollout.max_context_tokens,
                rollout.stop,
                rollout.temperature,
            )
    return scenes


@contextlib.contextmanager
def _place(environment: EnvironmentConfig) -> Iterator[Any]:
    """A place for one episode: in a process of its own where the world can take down this one."""
    from lmmr1.envs.isolation.local import LocalEnv
    from lmmr1.envs.isolation.pool import open_pool

    pool = open_pool(1 if environment.needs_worker else 0, [environment], _STEP_SECONDS, _RESET_SECONDS)
    if pool is not None:
        with contextlib.closing(pool):
            yield pool.add(environment)
        return
    with contextlib.closing(LocalEnv(environment, environment.make())) as place:
        yield place
