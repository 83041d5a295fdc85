"""`lmmr1 evaluate RUN_OR_MODEL`: play a suite's held-out tasks and print the scores with their intervals."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.agents.policy import PolicyAgent
    from lmmr1.envs.isolation.places import Place
    from lmmr1.training.config import EvaluationConfig


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    parser = commands.add_parser("evaluate", help="score a run or a model on held-out tasks", allow_abbrev=False)
    parser.add_argument("subject", metavar="RUN_OR_MODEL", help="a run folder, a model folder, a hub name, or 'tiny'")
    parser.add_argument("--suite", metavar="RECIPE", help="whose tasks to play (default: the run's own; else tiny)")
    parser.add_argument("--episodes", type=int, metavar="N", help="episodes of each task (default: the suite's number)")
    parser.add_argument("--seed", type=int, metavar="S", help="of the problems (default: the run's own; else 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; the exit code."""
    from lmmr1.training.recipe import load_recipe

    subject = Path(arguments.subject)
    own_recipe = subject / "recipe.yaml"
    recipe = load_recipe(arguments.suite or (str(own_recipe) if own_recipe.is_file() else "tiny"))
    config = recipe.evaluation
    if not config.tasks:
        raise UserError(f"{recipe.name} has no evaluation tasks: name another recipe with --suite")
    if arguments.episodes is not None:
        tasks = {name: dataclasses.replace(task, episodes=arguments.episodes) for name, task in config.tasks.items()}
        config = dataclasses.replace(config, tasks=tasks)
    seed = recipe.seed if arguments.seed is None else arguments.seed
    if seed < 0:
        raise UserError(f"--seed must be at least 0, not {seed}")
    agent = load_policy(arguments.subject)
    results = evaluate_policy(agent, config, seed)
    if arguments.json:
        print(json.dumps({"subject": arguments.subject, "suite": recipe.name, "seed": seed, "tasks": results}))
    else:
        print(table(results))
    return 0


def load_policy(subject: str) -> PolicyAgent:
    """The policy of a run folder (after its last stage so far), or of anything that names a model.

    Raises:
        UserError: the run has not come to the end of a stage, or there is no such model.
    """
    from lmmr1.agents.policy import PolicyAgent, use_threads
    from lmmr1.training.recipe import load_recipe

    folder = Path(subject)
    if (folder / "recipe.yaml").is_file():
        recipe = load_recipe(str(folder / "recipe.yaml"))
        trained = [folder / "models" / stage for stage in recipe.stages if (folder / "models" / stage).is_dir()]
        if not trained:
            raise UserError(f"the run in {folder} has no trained model yet: go on with lmmr1 train ... --resume")
        subject = str(trained[-1])
        use_threads(recipe.threads)  # so that it scores what it scored in the run
    elif subject == "tiny":
        use_threads(1)  # what is done for so small a model is not worth sharing
    return PolicyAgent.from_pretrained(subject)


def evaluate_policy(
    agent: PolicyAgent,
    config: EvaluationConfig,
    seed: int,
    samples: Path | None = None,
    environments: dict[str, list[Place]] | None = None,
) -> dict[str, Any]:
    """Play the tasks of a recipe; `training` is handed this, so that it need not know `evaluation`.

    Args:
        agent: who plays.
        config: what.
        seed: of the problems and of the sampling.
        samples: a folder for some of the episodes.
        environments: keeps each task's environments from one evaluation to the next, except with workers:
            those are processes, which end with each evaluation.

    Returns:
        {task: {"greedy": figures, "sampled": figures}}.
    """
    from lmmr1.agents.episode import Episode, save_episodes
    from lmmr1.envs.isolation.pool import open_pool
    from lmmr1.evaluation.runner import EvaluationTask, evaluate

    tasks = [EvaluationTask(name=name, **vars(task)) for name, task in config.tasks.items()]
    taken: dict[str, list[Episode]] = {}
    sampling, max_context_tokens = agent.sampling, agent.max_context_tokens
    agent.sampling = dataclasses.replace(sampling, max_new_tokens=config.max_new_tokens, stop=config.stop)
    agent.max_context_tokens = config.max_context_tokens
    try:
        with contextlib.ExitStack() as stack:
            worlds = [task.environment for task in tasks]
            pool = open_pool(config.workers, worlds, config.step_seconds, config.reset_seconds)
            if pool is not None:
                environments = None
                stack.callback(pool.close)
            keep = {"environments": environments, "pool": pool, "retries": config.retries}
            figures = evaluate(agent, tasks, seed, samples=taken, **keep)
    finally:
        agent.sampling, agent.max_context_tokens = sampling, max_context_tokens
    if samples is not None:
        save_episodes(samples, [episode for episodes in taken.values() for episode in episodes])
    return figures


def table(results: dict[str, Any]) -> str:
    """The results in columns, one line for each task and mode."""
    rows = [("task", "mode", "success", "95 % interval", "format", "tokens", "return", "episodes")]
    for task, modes in results.items():
        for mode, figures in modes.items():
            low, high = figures["interval"] or (None, None)
            interval = "-" if low is None else f"{_percent(low)} to {_percent(high)}"
            scores = (_percent(figures["success"]), interval, _percent(figures["format_rate"]))
            means = (_decimal(figures["reply_tokens"], 1), _decimal(figures["return"], 2))
            rows.append((task, mode, *scores, *means, str(figures["episodes"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = zip(row, widths, strict=True)
        lines.append("  ".join(f"{cell:{'<' if at < 2 else '>'}{width}}" for at, (cell, width) in enumerate(padded)))
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _decimal(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
