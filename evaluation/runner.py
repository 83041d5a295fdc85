"""The runner: an agent plays held-out tasks, greedily and by sampling, and its episodes become figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lmmr1.agents.base import Agent
from lmmr1.agents.context import Context
from lmmr1.agents.episode import Episode
from lmmr1.agents.rollout import EVALUATION_STREAM, rollout
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import IsolatedEnv, Place
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.registry import EnvironmentConfig

from .scoring.figures import summarize

Mode = Literal["greedy", "sampled"]
MODES: tuple[Mode, ...] = ("greedy", "sampled")


@dataclass(frozen=True)
class EvaluationTask:
    """One row of the evaluation table.

    Attributes:
        name: what reports call it.
        modality: "text", "image" or "game".
        environment: the environment, its held-out split included.
        episodes: how many episodes are played in each mode.
        max_turns: turns after which an episode is stopped; None for as many as the environment allows.
        context: "conversation", "turn" or "window"; None leaves the agent's own.
        window_turns, window_images: the limits of a window, see `Context`.
    """

    name: str
    modality: Literal["text", "image", "game"]
    environment: EnvironmentConfig
    episodes: int = 192
    max_turns: int | None = None
    context: str | None = None
    window_turns: int | None = None
    window_images: int | None = None


def evaluate(
    agent: Agent,
    tasks: Sequence[EvaluationTask],
    seed: int,
    *,
    modes: Sequence[Mode] = MODES,
    samples: dict[str, list[Episode]] | None = None,
    num_samples: int = 16,
    on_task: Callable[[str], None] | None = None,
    environments: dict[str, list[Place]] | None = None,
    pool: EnvironmentPool | None = None,
    retries: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Play every task in every mode.

    Both modes play the same problems, and so does every evaluation with the same seed. The random streams are those of
    `EVALUATION_STREAM`, which training never uses.

    Args:
        agent: who plays.
        tasks: what; names must differ.
        seed: of the problems and of the sampling.
        modes: "greedy" (the most likely token), "sampled", or both.
        samples: takes `num_samples` episodes of each task, by its name: the first ones of the first mode.
        num_samples: how many.
        on_task: called with the name of each task when it begins.
        environments: keeps each task's environments for the next evaluation; without it they are made and closed.
        pool: worker processes that the environments live in, so that one that hangs costs its own episode alone; is
            closed by whoever made it.
        retries: how often an episode whose environment broke begins again, with the same seed.

    Returns:
        {task: {mode: figures}}, see `summarize`; JSON-able.

    Raises:
        ValueError: two tasks have the same name.
        UserError: an environment cannot be made.
    """
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(f"the tasks of an evaluation need different names, not {names}")
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for task in tasks:
        if on_task is not None:
            on_task(task.name)
        places = [] if environments is None else environments.setdefault(task.name, [])
        try:
            played = {mode: play_problems(agent, task, seed, mode, places, pool, retries) for mode in modes}
        finally:
            for place in places if environments is None else ():
                if not isinstance(place, IsolatedEnv):
                    place.close()
        results[task.name] = {mode: summarize(episodes, seed) for mode, episodes in played.items()}
        if samples is not None:
            none: list[Episode] = []
            samples[task.name] = next(iter(played.values()), none)[:num_samples]
    return results


def play_problems(
    agent: Agent,
    task: EvaluationTask,
    seed: int,
    mode: Mode,
    places: list[Place],
    pool: EnvironmentPool | None,
    retries: int,
    problems: range | None = None,
    attempts: int = 1,
) -> list[Episode]:
    """Play some of a task's problems, in one batch.

    Args:
        agent, task, seed, mode, pool, retries: see `evaluate`.
        places: environments to use, grown as needed.
        problems: their numbers; by default all of the task.
        attempts: how often each is played, every time with another stream of sampling.

    Returns:
        The episodes, those of one problem behind each other and of the same `group`.
    """
    problems = range(task.episodes) if problems is None else problems

    def make() -> Place:
        # One that breaks here is made anew too; that it cannot be made at all is told at once.
        if pool is not None:
            return pool.add(task.environment)
        return LocalEnv(task.environment, task.environment.make())

    own_context = agent.context
    if task.context is not None:
        agent.context = str(Context(task.context, task.window_turns, task.window_images))
    try:
        return rollout(
            agent,
            make,
            len(problems) * attempts,
            seed=seed,
            stream=EVALUATION_STREAM,
            greedy=mode == "greedy",
            max_turns=task.max_turns,
            label=task.name,
            environments=places,
            retries=retries,
            in_epochs=task.environment.in_epochs,
            group_size=attempts,
            first=problems.start * attempts,
        )
    finally:
        agent.context = own_context
