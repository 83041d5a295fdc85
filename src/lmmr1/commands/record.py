"""`lmmr1 record ENV_ID|RUN`: a film of an agent's episodes, with what it saw, thought, did and was paid."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import write_film
from lmmr1.envs.registry import EnvironmentConfig

from . import settings
from .evaluating.agents import HELP, load_agent

if TYPE_CHECKING:
    from lmmr1.agents.base import Agent

# A random stream of its own: a film never shows the problems of training or evaluation in their order.
FILM_STREAM = 7
_EPILOG = "Arguments of the environment: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE."


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `record`."""
    parser = commands.add_parser("record", help="film an agent in an environment", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("subject", metavar="ENV_ID|RUN", help="an environment's id, or the folder of a finished run")
    parser.add_argument(
        "--agent",
        metavar="WHO",
        help=f"{HELP} (default: expert, or the run's model)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILM", help=".mp4 or .gif (default: ENV_ID.mp4, or in the run's videos/)"
    )
    parser.add_argument("--task", metavar="NAME", help="which evaluation task of the run (default: the first)")
    parser.add_argument("--episodes", type=int, default=3, metavar="N", help="episodes in the film (default: 3)")
    parser.add_argument("--max-turns", type=int, metavar="N", help="turns after which an episode is stopped")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the problems (default: 0)")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play and film; the exit code."""
    from lmmr1.agents.rollout import rollout
    from lmmr1.evaluation.reporting.films import episode_scenes

    for option in ("episodes", "max_turns"):
        if vars(arguments)[option] is not None and vars(arguments)[option] < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {vars(arguments)[option]}")
    if arguments.seed < 0:
        raise UserError(f"--seed must be at least 0, not {arguments.seed}")
    environment, name, folder, max_turns = _find(arguments)
    path = arguments.out or folder / f"{name}.mp4"
    environment.make().close()  # a wrong id is told before a model is loaded
    agent = _choose_agent(arguments)
    episodes = rollout(
        agent,
        environment.make,
        arguments.episodes,
        seed=arguments.seed,
        stream=FILM_STREAM,
        greedy=True,
        max_turns=max_turns,
        label=name,
    )
    for episode in episodes:
        if episode.failure is not None:
            raise UserError(f"{environment.id} with the agent {agent.name}: {episode.failure}")
    title = f"{name if Path(arguments.subject).is_dir() else environment.id}, {agent.name}"
    write_film([scene for episode in episodes for scene in episode_scenes(episode, title)], path)
    solved = sum(episode.success is True for episode in episodes)
    print(f"{path}: {len(episodes)} episodes, {solved} solved")
    return 0


def _find(arguments: argparse.Namespace) -> tuple[EnvironmentConfig, str, Path, int | None]:
    """The environment, what the film is called after, the folder it goes to, and the limit of turns."""
    folder = Path(arguments.subject)
    if not folder.is_dir():
        if arguments.task is not None:
            raise UserError("--task goes with the folder of a run")
        environment = settings.environment_from(arguments.subject, arguments.override)
        name = arguments.subject.rpartition(":")[2].replace("/", "-")
        return environment, name, Path(), arguments.max_turns
    from lmmr1.training.recipe import load_recipe

    if not (folder / "recipe.yaml").is_file():
        raise UserError(f"{folder} is not the folder of a run (recipe.yaml is missing)")
    if arguments.override:
        raise UserError(f"--{arguments.override[0][0]} goes with an environment's id, not with a run")
    tasks = load_recipe(str(folder / "recipe.yaml")).evaluation.tasks
    name = arguments.task or next(iter(tasks), None)
    if name not in tasks:
        raise UserError(f"the run has no evaluation task {name!r}; it has {', '.join(tasks) or 'none'}")
    task = tasks[name]
    return task.environment, name, folder / "videos", arguments.max_turns or task.max_turns


def _choose_agent(arguments: argparse.Namespace) -> Agent:
    is_run = Path(arguments.subject).is_dir()
    who = arguments.agent or (arguments.subject if is_run else "expert")
    return load_agent(who)[0]
