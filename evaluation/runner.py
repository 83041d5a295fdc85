"""The runner: an agent plays held-out tasks, greedily and by sampling, and its episodes become figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from lmmr1.agents.base import Agent
from lmmr1.agents.context import Context
from lmmr1.agents.episode import Episode
from lmmr1.agents.rollout import EVALUATION_STREAM, rollout
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import IsolatedEnv, Place
from lmmr1.envs.isolation.pool import EnvironmentPool
from lmmr1.envs.registry import EnvironmentConfig

from .scores import bootstrap_interval, wilson_interval

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
            played = {mode: _play(agent, task, seed, mode, places, pool, retries) for mode in modes}
        finally:
            for place in places if environments is None else ():
                if not isinstance(place, IsolatedEnv):
                    place.close()
        results[task.name] = {mode: summarize(episodes, seed) for mode, episodes in played.items()}
        if samples is not None:
            samples[task.name] = next(iter(played.values()), [])[:num_samples]
    return results


def _play(
    agent: Agent,
    task: EvaluationTask,
    seed: int,
    mode: Mode,
    places: list[Place],
    pool: EnvironmentPool | None,
    retries: int,
) -> list[Episode]:
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
            task.episodes,
            seed=seed,
            stream=EVALUATION_STREAM,
            greedy=mode == "greedy",
            max_turns=task.max_turns,
            label=task.name,
            environments=places,
            retries=retries,
            in_epochs=task.environment.in_epochs,
        )
    finally:
        agent.context = own_context


def summarize(episodes: Sequence[Episode], seed: int = 0) -> dict[str, Any]:
    """The figures of a set of independent episodes.

    A failed episode (something broke) is counted in "failed" and nowhere else: neither right nor wrong.

    Args:
        episodes: at most one for each problem.
        seed: of the bootstrap.

    Returns:
        "success": the share of successful episodes, and "interval": its 95 % Wilson interval; None if the environment
        never says what success is. An episode that was stopped before its environment said anything is no success.
        "return": the mean sum of rewards, and "return_interval": its 95 % bootstrap interval.
        "format_rate": the share of replies that are well formed; "reply_tokens": the mean ids of one reply;
        "turns": the mean replies of one episode; "stop_reasons": how often each ended an episode;
        "episodes": how many were scored; "failed": how many were not; "failures", only if any failed: how often for
        which reason. What nothing is known about is None.
    """
    failures = [episode.failure for episode in episodes if episode.failure is not None]
    scored = [episode for episode in episodes if episode.failure is None]
    outcomes = [episode.success for episode in scored]
    replies = [turn for episode in scored for turn in episode.turns]
    returns = [episode.total_reward for episode in scored]
    judged = any(outcome is not None for outcome in outcomes)
    successes = sum(outcome is True for outcome in outcomes)
    return {
        "success": successes / len(scored) if judged else None,
        "interval": list(wilson_interval(successes, len(scored))) if judged else None,
        "episodes": len(scored),
        "failed": len(episodes) - len(scored),
        "return": fmean(returns) if returns else None,
        "return_interval": list(bootstrap_interval(returns, seed)) if returns else None,
        "format_rate": fmean(turn.well_formed for turn in replies) if replies else None,
        "reply_tokens": fmean(len(turn.reply_ids) for turn in replies) if replies else None,
        "turns": len(replies) / len(scored) if scored else None,
        "stop_reasons": _count(str(episode.stop_reason) for episode in scored),
        **({"failures": _count(failures)} if failures else {}),
    }


def _count(reasons: Any) -> Mapping[str, int]:
    return dict(sorted(Counter(reasons).items()))
