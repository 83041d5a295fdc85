"""One stage of a run as a loop body: iterate, and what a checkpoint must keep of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.engines.stopping import token_bytes
from lmmr1.agents.episode import Episode
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_images

from .backends.opening import open_trainer
from .collection.collect import Collector
from .collection.stream import AsynchronousCollector
from .config import RunConfig
from .demonstrations import Demonstrations, speaker
from .launchers.base import Launcher
from .launchers.local import LocalLauncher
from .model import freeze, vision_frozen
from .records.checkpoint import Checkpoint
from .trainers import Tensors


class StageRunner(Protocol):
    """What a run needs of a stage."""

    iterations: int

    def sample(self, count: int) -> list[Episode]:
        """The first episodes of the last iteration, with what was made of their tokens; none before it or without."""
        ...

    def iterate(self, iteration: int) -> dict[str, float]:
        """Do one iteration; returns its metrics."""
        ...

    def tensors(self) -> Tensors:
        """The tensors to keep besides the policy's."""
        ...

    def state(self) -> dict[str, Any]:
        """What else to keep, as JSON."""
        ...

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from what `tensors` and `state` gave."""
        ...

    def failures(self) -> dict[str, Any] | None:
        """What broke in the stage's environments, see `RolloutLog.failures`; None if nothing did."""
        ...

    def slowest(self) -> list[dict[str, Any]] | None:
        """How long their calls took, see `RolloutLog.slowest`; None where nothing is collected."""
        ...

    def forget(self) -> None:
        """Let go of whatever a run that is resumed from here would have to make again."""
        ...

    def close(self) -> None:
        """Let go of environments and features."""
        ...


def check_fit(loaded: LoadedModel, recipe: RunConfig) -> None:
    """See to it that a later stage does not fail for what can be known before the first.

    Raises:
        UserError: a stage freezes what the model has not, shows pictures to a model that reads text only, or has stop
            strings that its tokenizer cannot tell.
    """
    worlds = {}
    for name, stage in recipe.stages.items():
        try:
            freeze(loaded.model, (*recipe.model.freeze, *stage.freeze))
        except UserError as error:
            raise UserError(f"stages.{name}: {error}") from error
        if stage.rollout.stop:
            _check_stop(loaded, f"stages.{name}.rollout.stop")
        demonstrated = [demonstration.environment for demonstration in stage.demonstrations]
        worlds[f"stages.{name}"] = [*stage.environments, *demonstrated]
    if recipe.evaluation.stop:
        _check_stop(loaded, "evaluation.stop")
    worlds |= {f"evaluation.tasks.{name}": [task.environment] for name, task in recipe.evaluation.tasks.items()}
    for place, environments in worlds.items() if loaded.images is None else ():
        for environment in environments:
            env = environment.make()
            messages, _ = env.reset(seed=0)
            env.close()
            if any(message_images(message) for message in messages):
                raise UserError(
                    f"{place}: {environment.id} shows images, and the model '{loaded.source}' reads text only; use a "
                    "vision-language model or a text environment"
                )


def _check_stop(loaded: LoadedModel, key: str) -> None:
    try:
        token_bytes(loaded.tokenizer, loaded.network.vocabulary_size)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error


def make_stage_runner(policy: PolicyAgent, recipe: RunConfig, name: str, launcher: Launcher) -> StageRunner:
    """The runner of the stage `name`; sets which parameters learn."""
    stage = recipe.stages[name]
    freeze(policy.loaded.model, (*recipe.model.freeze, *stage.freeze))
    return (SFTStage if stage.kind == "sft" else PPOStage)(policy, recipe, name, launcher)


class SFTStage:
    """Supervised fine-tuning; an iteration is one optimizer step."""

    def __init__(self, policy: PolicyAgent, recipe: RunConfig, name: str, launcher: Launcher | None = None) -> None:
        stage, index = recipe.stages[name], list(recipe.stages).index(name)
        assert stage.sft is not None
        self.iterations = stage.sft.steps
        launcher = LocalLauncher(recipe) if launcher is None else launcher
        pool = launcher.open_pool(stage.collection, [one.environment for one in stage.demonstrations])
        self.demonstrations = Demonstrations(policy, stage, recipe.seed, index, pool)
        self.size = stage.sft.batch_size
        self.trainer = open_trainer(policy, recipe, name, launcher)

    def sample(self, count: int) -> list[Episode]:
        """None: nothing is played to be learned from."""
        return []

    def iterate(self, iteration: int) -> dict[str, float]:
        """One optimizer step."""
        learned = self.trainer.learn(self.demonstrations.episodes(iteration, self.size), iteration)
        return {**self.demonstrations.figures, **learned}

    def tensors(self) -> Tensors:
        """The optimizer's moments, and the policy's own episodes that it learns from."""
        kept = self.trainer.tensors()
        own = self.demonstrations.tensors()
        return {**kept, "demonstrations": own} if own else kept

    def state(self) -> dict[str, Any]:
        """How far those are used up, and what broke."""
        return {"demonstrations": self.demonstrations.state()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Read all of it back."""
        self.trainer.restore(_trainers(checkpoint), {})
        own = checkpoint.tensors["demonstrations"] if self.demonstrations.own else {}
        self.demonstrations.restore(checkpoint.state["runner"]["demonstrations"], own)

    def failures(self) -> dict[str, Any] | None:
        """What broke in the environments."""
        return self.demonstrations.log.failures() if self.demonstrations.log.faults else None

    def slowest(self) -> list[dict[str, Any]]:
        """How long their calls took."""
        return self.demonstrations.log.slowest()

    def forget(self) -> None:
        """Nothing is kept from one step to the next."""

    def close(self) -> None:
        """Close the environments, end the trainer's processes."""
        self.demonstrations.close()
        self.trainer.close()


class PPOStage:
    """Reinforcement learning; an iteration collects episodes and learns from them."""

    def __init__(self, policy: PolicyAgent, recipe: RunConfig, name: str, launcher: Launcher | None = None) -> None:
        stage, index = recipe.stages[name], list(recipe.stages).index(name)
        rollout = stage.rollout
        self.iterations = stage.iterations
        self.played: list[Episode] = []
        self.policy = speaker(policy, rollout, rollout.context_word)
        if isinstance(self.policy.engine, EmbeddedEngine):
            self.policy.engine.keep_features = vision_frozen(policy.loaded.model)
        launcher = LocalLauncher(recipe) if launcher is None else launcher
        pool = launcher.open_pool(stage.collection, stage.environments)
        if stage.collection.asynchronous is None:
            self.collector = Collector(self.policy, stage, recipe.seed, index, pool)
        else:
            calls = launcher.engine_calls()
            self.collector = AsynchronousCollector(self.policy, stage, recipe.seed, index, pool, calls)
        self.trainer = open_trainer(self.policy, recipe, name, launcher)

    def iterate(self, iteration: int) -> dict[str, float]:
        """Collect, learn, log."""
        self.policy.engine.update_weights(iteration)
        collected = self.collector.collect(iteration)
        self.policy.engine.sleep()
        episodes = self.played = collected.episodes
        usable = _usable(episodes)
        if not usable:  # what goes wrong every time is a mistake, not an accident
            raise UserError(f"iteration {iteration + 1} has nothing to learn from: {_why_unusable(episodes)}")
        return {**collected.figures, **self.trainer.learn(usable, iteration)}

    def sample(self, count: int) -> list[Episode]:
        """The first episodes of the last iteration, with what the trainer made of their tokens."""
        chosen = self.played[:count]
        usable = _usable(chosen)  # the first of those that were learned from
        for episode, credits in zip(usable, self.trainer.credits(len(usable)), strict=True):
            for index, credit in credits.items():
                episode.turns[index].credit = credit
        return chosen

    def tensors(self) -> Tensors:
        """Optimizer moments, reference and critic."""
        return self.trainer.tensors()

    def state(self) -> dict[str, Any]:
        """Where the trainer is, and the choice of starting states."""
        return {**self.trainer.state(), "collector": self.collector.state()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Read all of it back."""
        state = checkpoint.state["runner"]
        self.collector.restore(state["collector"])
        self.trainer.restore(_trainers(checkpoint), state)

    def failures(self) -> dict[str, Any] | None:
        """What broke in the environments."""
        return self.collector.log.failures() if self.collector.log.faults else None

    def slowest(self) -> list[dict[str, Any]]:
        """How long their calls took."""
        return self.collector.log.slowest()

    def forget(self) -> None:
        """Drop the kept image features.

        A matrix product may round differently in a larger batch, so a feature is the same bits only among the same
        neighbours; those of a resumed run are the ones that are encoded from here on.
        """
        if isinstance(self.policy.engine, EmbeddedEngine):
            self.policy.engine.features.clear()

    def close(self) -> None:
        """Close the environments, end the trainer's processes."""
        self.collector.close()
        self.trainer.close()


def _trainers(checkpoint: Checkpoint) -> Tensors:
    """What of a checkpoint is the trainer's own."""
    return {name: group for name, group in checkpoint.tensors.items() if name not in ("model", "demonstrations")}


def _usable(episodes: Sequence[Episode]) -> list[Episode]:
    """Those that can be learned from."""
    return [episode for episode in episodes if episode.failure is None and episode.num_reply_tokens]


def _why_unusable(episodes: Sequence[Episode]) -> str:
    first = episodes[0]
    if first.failure is not None:
        return f"all {len(episodes)} episodes failed, the first in {first.env_id} with {first.failure}"
    return "not one first message fits into rollout.max_context_tokens with room for a reply of rollout.max_new_tokens"
