"""`lmmr1 record ENV_ID|RUN|EVALUATION`: a film of episodes that are played now or were kept."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gymnasium.spaces import Text

from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import write_film, write_grid
from lmmr1.envs.recording.film import check_film, choose_grid
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.envs.spaces import Utterance

from .. import settings
from ..evaluating.agents import HELP, HUMAN, load_agent
from .kept import Kept, holds_episodes, pick, read_kept

if TYPE_CHECKING:
    from lmmr1.agents.episode import Episode

# A random stream of its own: a film never shows the problems of training or evaluation in their order.
FILM_STREAM = 7
SIZES = {".mp4": (1280, 720), ".gif": (800, 450)}
LAST = "last"
_EPILOG = """\
Arguments of the environment: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE. With --kept nothing is
played: the episodes are those that the run kept, and --before and --after name its stages."""

_NO_PICTURES = "The agent sees no pictures, so the film has none: --kwargs.render_mode rgb_array shows them to both"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `record`."""
    parser = commands.add_parser("record", help="film an agent in an environment", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument(
        "subject",
        metavar="ENV_ID|FOLDER",
        help="an environment's id, the folder of a run, or that of an evaluation (its kept episodes)",
    )
    parser.add_argument("--agent", metavar="WHO", help=f"{HELP} (default: expert, or the run's model)")
    parser.add_argument("--before", metavar="WHO", help="an agent to show at the left of the one of --after")
    parser.add_argument("--after", metavar="WHO", help="plays the same problems at the right")
    parser.add_argument(
        "--kept",
        nargs="?",
        const=LAST,
        metavar="STAGE",
        help="those that a run kept (default: after its last stage)",
    )
    parser.add_argument("--pick", metavar="WHICH", help="of kept ones: solved, unsolved, or numbers such as 3,17")
    parser.add_argument("--mode", metavar="MODE", help="of an evaluation's episodes: greedy or sampled")
    parser.add_argument("--sampled", action="store_true", help="let the model sample, rather than say the likeliest")
    parser.add_argument(
        "--out", type=Path, metavar="FILM", help=".mp4 or .gif (default: ENV_ID.mp4, or in the folder's videos/)"
    )
    parser.add_argument("--layout", choices=("page", "grid"), default="page", help="one by one, or many at once")
    parser.add_argument("--grid", metavar="CxR", help="columns and rows of a grid, up to 4x4 (default: what holds all)")
    parser.add_argument("--size", metavar="WxH", help="in pixels (default: 1280x720; GIF 800x450)")
    parser.add_argument("--pace", type=float, default=1.2, metavar="SECONDS", help="of a turn (default: 1.2)")
    parser.add_argument("--task", metavar="NAME", help="which evaluation task of the folder (default: the first)")
    parser.add_argument("--episodes", type=int, metavar="N", help="how many (default: 3; a grid is filled)")
    parser.add_argument("--max-turns", type=int, metavar="N", help="turns after which an episode is stopped")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the problems (default: 0)")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Look:
    """How the film looks: `grid` is columns and rows, None for one page."""

    path: Path
    size: tuple[int, int]
    pace: float
    grid: tuple[int, int] | None
    count: int


@dataclass(frozen=True)
class _Stage:
    """Where something can be played: the environment, what the film is called after, its folder, the limit of turns."""

    environment: EnvironmentConfig
    name: str
    folder: Path
    max_turns: int | None


def run(arguments: argparse.Namespace) -> int:
    """Film; the exit code."""
    for option in ("episodes", "max_turns"):
        if vars(arguments)[option] is not None and vars(arguments)[option] < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {vars(arguments)[option]}")
    if arguments.seed < 0:
        raise UserError(f"--seed must be at least 0, not {arguments.seed}")
    if (arguments.before is None) != (arguments.after is None):
        raise UserError("--before and --after go together: two agents on the same problems")
    if arguments.before is not None and (arguments.agent is not None or arguments.layout == "grid"):
        raise UserError("--before and --after are a film of their own: leave out --agent and --layout")
    subject = Path(arguments.subject)
    if holds_episodes(subject) or (arguments.kept is not None and subject.is_dir()):
        return _film_kept(arguments, subject)
    for option in ("kept", "pick", "mode"):
        if vars(arguments)[option] is not None:
            raise UserError(f"--{option} goes with the folder of a run or of an evaluation, which keeps episodes")
    return _film_live(arguments)


def _film_kept(arguments: argparse.Namespace, folder: Path) -> int:
    for option in ("agent", "max_turns"):
        if vars(arguments)[option] is not None:
            raise UserError(f"--{option.replace('_', '-')} plays, and kept episodes were played already")
    if arguments.override:
        raise UserError(f"--{arguments.override[0][0]} goes with an environment's id, not with kept episodes")
    look = _look(arguments, folder / "videos" if not (folder / "episodes.jsonl").is_file() else Path(), folder.name)

    def read(stage: str | None) -> Kept:
        return read_kept(folder, None if stage == LAST else stage, arguments.task, arguments.mode)

    if arguments.before is None:
        kept = read(arguments.kept)
        return _write(look, {kept.name: pick(kept.episodes, arguments.pick, look.count)})
    from lmmr1.evaluation.reporting.films import pair_problems

    before, after = read(arguments.before), read(arguments.after)
    pairs = pair_problems(before.episodes, after.episodes)
    chosen = pick([second for _, second in pairs], arguments.pick, look.count)
    pairs = [pair for pair in pairs if any(pair[1] is episode for episode in chosen)]
    if not pairs:
        raise UserError(f"{arguments.before} and {arguments.after} share no problem in {folder}")
    sides = {before.name: [pair[0] for pair in pairs], after.name: [pair[1] for pair in pairs]}
    return _write(look, sides)


def _film_live(arguments: argparse.Namespace) -> int:
    from lmmr1.evaluation.reporting.films import has_pictures

    stage = _find(arguments)
    look = _look(arguments, stage.folder, stage.name)
    with contextlib.closing(stage.environment.make()) as env:  # a wrong id is told before a model is loaded
        draws = "rgb_array" in env.unwrapped.metadata.get("render_modes", ()) and env.render_mode is None
        in_words = isinstance(env.env.action_space, Utterance | Text)
    is_run = Path(arguments.subject).is_dir()
    words = [arguments.before, arguments.after]
    if arguments.before is None:
        words = [arguments.agent or (arguments.subject if is_run else "expert")]
    played: dict[str, list[Episode]] = {}
    for word, when in zip(words, ("before", "after") if len(words) > 1 else ("",), strict=True):
        name, episodes = _play(word, stage, look.count, arguments.seed, not arguments.sampled)
        played[f"{when}: {name}" if when else f"{stage.name if is_run else stage.environment.id}, {name}"] = episodes
    if draws and not in_words and not any(map(has_pictures, next(iter(played.values())))):
        print(_NO_PICTURES, file=sys.stderr)
    return _write(look, played)


def _play(word: str, stage: _Stage, count: int, seed: int, greedy: bool) -> tuple[str, list[Episode]]:
    """An agent's name and its episodes."""
    from lmmr1.agents.rollout import rollout

    agent, identity = load_agent(word)
    # A person plays one after the other, everybody else all at once.
    batches = [(number, 1) for number in range(count)] if identity["kind"] == HUMAN else [(0, count)]
    episodes: list[Episode] = []
    for first, many in batches:
        episodes += rollout(
            agent,
            stage.environment.make,
            many,
            seed=seed,
            stream=FILM_STREAM,
            greedy=greedy,
            max_turns=stage.max_turns,
            label=stage.name,
            in_epochs=stage.environment.in_epochs,
            first=first,
        )
    for episode in episodes:
        if episode.failure is not None:
            raise UserError(f"{stage.environment.id} with the agent {agent.name}: {episode.failure}")
    return str(identity["name"]), episodes


def _write(look: _Look, sides: dict[str, list[Episode]]) -> int:
    """Write the film of one side's episodes, or of two beside each other, and tell of it."""
    from lmmr1.evaluation.reporting.films import episode_scenes

    def title(name: str, episode: Episode) -> str:
        problem = f"problem {episode.key[-1]}" if episode.key else name
        return problem if look.grid is not None else f"{name}, {problem}"

    strips = [[episode_scenes(episode, title(name, episode)) for episode in side] for name, side in sides.items()]
    if len(strips) > 1:
        pairs = [strip for pair in zip(*strips, strict=True) for strip in pair]
        write_grid(pairs, look.path, columns=2, rows=1, size=look.size, seconds_per_scene=look.pace)
    elif look.grid is not None:
        columns, rows = look.grid
        write_grid(strips[0], look.path, columns=columns, rows=rows, size=look.size, seconds_per_scene=look.pace)
    else:
        write_film([scene for strip in strips[0] for scene in strip], look.path, look.size, look.pace)
    told = [
        f"{len(side)} episodes, {sum(episode.success is True for episode in side)} solved"
        + (f" ({name})" if len(sides) > 1 else "")
        for name, side in sides.items()
    ]
    print(f"{look.path}: {'; '.join(told)}; {look.path.stat().st_size / 1000:.0f} kB")
    return 0


def _look(arguments: argparse.Namespace, folder: Path, name: str) -> _Look:
    path = arguments.out or folder / f"{name}.mp4"
    size = SIZES.get(path.suffix.lower(), SIZES[".mp4"]) if arguments.size is None else _pair(arguments.size, "--size")
    check_film(path, size, arguments.pace)
    given = None if arguments.grid is None else _pair(arguments.grid, "--grid")
    if given is not None and arguments.layout != "grid":
        raise UserError("--grid goes with --layout grid")
    if arguments.layout == "page":
        return _Look(path, size, arguments.pace, None, arguments.episodes or 3)
    count = arguments.episodes or (given[0] * given[1] if given is not None else 4)
    return _Look(path, size, arguments.pace, choose_grid(count, *(given or (None, None))), count)


def _pair(text: str, option: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if found is None:
        raise UserError(f"{option} {text}: write two numbers such as {'1280x720' if option == '--size' else '3x2'}")
    return int(found[1]), int(found[2])


def _find(arguments: argparse.Namespace) -> _Stage:
    folder = Path(arguments.subject)
    if not folder.is_dir():
        if arguments.task is not None:
            raise UserError("--task goes with the folder of a run")
        environment = settings.environment_from(arguments.subject, arguments.override)
        name = arguments.subject.rpartition(":")[2].replace("/", "-")
        return _Stage(environment, name, Path(), arguments.max_turns)
    from lmmr1.training.recipe import load_recipe

    if not (folder / "recipe.yaml").is_file():
        raise UserError(f"{folder} is not the folder of a run (recipe.yaml is missing), nor does it keep episodes")
    if arguments.override:
        raise UserError(f"--{arguments.override[0][0]} goes with an environment's id, not with a run")
    tasks = load_recipe(str(folder / "recipe.yaml")).evaluation.tasks
    name = arguments.task or next(iter(tasks), None)
    if name not in tasks:
        raise UserError(f"the run has no evaluation task {name!r}; it has {', '.join(tasks) or 'none'}")
    task = tasks[name]
    return _Stage(task.environment, name, folder / "videos", arguments.max_turns or task.max_turns)
