"""`lmmr1 evaluate AGENT`: play a suite, keep its episodes, and print and report the figures."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

from . import settings
from .evaluating.agents import ENDPOINT, HELP, HUMAN, load_agent

if TYPE_CHECKING:
    from lmmr1.agents.base import Agent
    from lmmr1.agents.policy import PolicyAgent
    from lmmr1.envs.isolation.places import Place
    from lmmr1.evaluation.session import Settings
    from lmmr1.evaluation.suites.suite import Suite
    from lmmr1.training.config import EvaluationConfig

_EPILOG = """\
The same command again goes on with an evaluation that was stopped, and shows one that is complete. Values of the
suite can be
changed: --tasks.math500.episodes 100 --tasks.math500.environment.kwargs.dataset.path copy.parquet"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    parser = commands.add_parser("evaluate", help="score an agent on a suite", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("subject", metavar="AGENT", help=HELP)
    parser.add_argument(
        "--suite",
        metavar="NAME",
        help="tiny, agent, text, multimodal, paper, a YAML file, or a recipe (default: the run's own tasks; else tiny)",
    )
    parser.add_argument("--only", metavar="TASKS", help="some of the suite's tasks, separated by commas")
    parser.add_argument("--episodes", type=int, metavar="N", help="at most so many problems of each task")
    parser.add_argument("--attempts", type=int, metavar="K", help="sample each problem K times: pass@k and avg@k")
    parser.add_argument("--seed", type=int, metavar="S", help="of the problems (default: the run's own; else 0)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder of the evaluation (default: in evaluations/)"
    )
    parser.add_argument("--again", action="store_true", help="play everything again, although it was played before")
    parser.add_argument(
        "--via",
        metavar=("TOOL", "TASK"),
        nargs="+",
        help="let lmms-eval or lighteval ask, in an environment of its own: tasks of its own, or else the suite's",
    )
    parser.add_argument(
        "--judge", metavar="endpoint:URL#MODEL", help="ask a model about answers that the rules call wrong; beside them"
    )
    parser.add_argument("--include", type=Path, metavar="PATH", help="with --via: a folder (or file) of more tasks")
    parser.add_argument("--online", action="store_true", help="with --via: let the evaluator use the network")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; the exit code."""
    from lmmr1.evaluation.session import SETTINGS, Settings
    from lmmr1.evaluation.suites.suite import plain_name

    suite, seed = _choose_suite(arguments)
    if seed < 0:
        raise UserError(f"--seed must be at least 0, not {seed}")
    agent, identity = load_agent(arguments.subject, suite.max_new_tokens, suite.temperature)
    if identity["kind"] == HUMAN:
        # One problem after the other, each kept when it is done.
        suite = dataclasses.replace(suite, block=1, modes=suite.modes[:1])
    chosen = Settings(suite, identity, seed)
    folder = arguments.out or _default_folder(arguments.subject, chosen.document(), str(identity["name"]))
    if arguments.via is not None:
        folder = arguments.out or folder.with_name(f"{folder.name}-{plain_name(arguments.via[0])}")
        return _run_via(arguments, chosen, folder)
    if arguments.again and (folder / SETTINGS).is_file():
        shutil.rmtree(folder)
    results = play(folder, chosen, agent)
    report = _write_report(folder)
    judged = _ask_judge(folder, arguments.judge) if arguments.judge is not None else None
    if arguments.json:
        told = {"subject": arguments.subject, "suite": suite.name, "seed": seed, "folder": str(folder)}
        told |= {} if judged is None else {"judged": judged}
        print(json.dumps({**told, **{key: results[key] for key in ("tasks", "columns") if key in results}}))
    else:
        print(table(results["tasks"]))
        if "columns" in results:
            print(
                "\n" + "\n".join(f"{name}: {_column(suite, name, value)}" for name, value in results["columns"].items())
            )
        for task, modes in (judged or {}).get("tasks", {}).items():
            for mode, figures in modes.items():
                print(f"{task}, {mode}: {figures['success']:.1%} with the judge, who overruled {figures['overruled']}")
        print(f"\nThe report is {report}")
    return 0


def _ask_judge(folder: Path, word: str) -> dict[str, Any]:
    """The judge's figures, which are also written to judged.json."""
    from lmmr1.agents.players.endpoint import Endpoint
    from lmmr1.evaluation.scoring.judge import INSTRUCTIONS, judge_episodes, summarize_judged
    from lmmr1.evaluation.session import read_episodes, read_settings

    if not word.startswith(ENDPOINT):
        raise UserError(f"--judge {word}: write endpoint:URL#MODEL")
    endpoint = Endpoint.parse(word.removeprefix(ENDPOINT), max_new_tokens=64)
    suite = read_settings(folder).suite
    tasks: dict[str, Any] = {}
    for task in suite.tasks:
        for mode in suite.modes:
            episodes = read_episodes(folder, suite, task.name, mode)
            if any("gold" in episode.facts for episode in episodes):
                verdicts = judge_episodes(episodes, lambda messages: endpoint.ask(messages, greedy=True)[0])
                tasks.setdefault(task.name, {})[mode] = summarize_judged(episodes, verdicts)
    judged = {"judge": endpoint.model, "instructions": INSTRUCTIONS, "tasks": tasks}
    (folder / "judged.json").write_text(json.dumps(judged, indent=1), encoding="utf-8")
    return judged


def _run_via(arguments: argparse.Namespace, chosen: Settings, folder: Path) -> int:
    from .evaluating.via import VIA, evaluate_via

    results = evaluate_via(
        arguments.via[0],
        arguments.via[1:],
        arguments.subject,
        chosen,
        folder,
        include=arguments.include,
        online=arguments.online,
    )
    if arguments.json:
        print(json.dumps({**results, "folder": str(folder)}))
        return 0
    for task, told in results["tasks"].items():
        figures = ", ".join(
            f"{metric} {value:.4g}" for metric, value in told["metrics"].items() if isinstance(value, float)
        )
        ours = f"; by our rule {told['ours']:.4g}" if "ours" in told else ""
        print(f"{task}: {figures}{ours} ({told['rows']} rows, {results['tool']} {results['version']})")
    print(f"\nIts results are in {folder / VIA}")
    return 0


def _column(suite: Suite, name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" if suite.columns[name].figure == "success" else f"{value:.2f}"


def _choose_suite(arguments: argparse.Namespace) -> tuple[Suite, int]:
    """The suite with what the command line changes of it, and the seed."""
    from lmmr1.evaluation.documents import is_path
    from lmmr1.evaluation.suites.suite import load_suite, suite_names

    own_recipe = Path(arguments.subject) / "recipe.yaml"
    name = arguments.suite or (str(own_recipe) if own_recipe.is_file() else "tiny")
    overrides = [(key, settings.value_from(text)) for key, text in arguments.override]
    for key, text in arguments.override:
        if not key.startswith("tasks."):
            raise UserError(f"unrecognized arguments: --{key} {text} (see lmmr1 evaluate --help)")
    seed = 0
    if name in suite_names() or (is_path(name) and not _is_recipe(Path(name))):
        suite = load_suite(name, overrides)
    else:
        if overrides:
            raise UserError(f"--{overrides[0][0]} goes with a suite; {name} is a recipe")
        suite, seed = _suite_of_recipe(name)
    if arguments.only is not None:
        suite = suite.only([task.strip() for task in arguments.only.split(",") if task.strip()])
    if arguments.episodes is not None:
        suite = suite.with_episodes(arguments.episodes)
    if arguments.attempts is not None:
        suite = dataclasses.replace(suite, attempts=arguments.attempts, modes=tuple({*suite.modes, "sampled"}))
        suite = dataclasses.replace(suite, modes=tuple(sorted(suite.modes)))
    return suite, seed if arguments.seed is None else arguments.seed


def _is_recipe(path: Path) -> bool:
    """Whether a YAML file is a recipe; those have stages."""
    try:
        return any(line.startswith("stages:") for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return True  # the recipe's reader tells what is wrong


def _suite_of_recipe(name: str) -> tuple[Suite, int]:
    from lmmr1.evaluation.runner import EvaluationTask
    from lmmr1.evaluation.suites.suite import Suite, suite_names
    from lmmr1.training.recipe import load_recipe, recipe_names

    if "/" not in name and not name.endswith((".yaml", ".yml")) and name not in recipe_names():
        raise UserError(f"there is no suite {name!r}; there are {', '.join(suite_names())}, and every recipe's tasks")
    recipe = load_recipe(name)
    config = recipe.evaluation
    if not config.tasks:
        raise UserError(f"{recipe.name} has no evaluation tasks: name a suite with --suite")
    tasks = tuple(EvaluationTask(name=task, **vars(values)) for task, values in config.tasks.items())
    suite = Suite(
        recipe.name,
        recipe.help,
        tasks,
        max_new_tokens=config.max_new_tokens,
        max_context_tokens=config.max_context_tokens,
        stop=config.stop,
        block=max(task.episodes for task in tasks),  # one batch, as in the run
        workers=config.workers,
    )
    return suite, recipe.seed


def _default_folder(subject: str, document: Mapping[str, Any], name: str) -> Path:
    """Its name holds a digest of all that decides the results, so that different evaluations never meet."""
    from lmmr1.evaluation.suites.suite import plain_name

    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:8]
    path = Path(subject)
    if (path / "recipe.yaml").is_file():
        return path / "evaluations" / f"{document['suite']['name']}-{digest}"
    return Path("evaluations") / f"{document['suite']['name']}-{plain_name(name)}-{digest}"


def play(folder: Path, chosen: Any, agent: Agent) -> dict[str, Any]:
    """Play an evaluation into its folder, with the suite's limits; its results."""
    from lmmr1.envs.isolation.pool import open_pool
    from lmmr1.evaluation.session import run_evaluation

    suite: Suite = chosen.suite
    if chosen.agent["kind"] == "policy":
        policy: Any = agent
        policy.sampling = dataclasses.replace(
            policy.sampling,
            max_new_tokens=suite.max_new_tokens,
            temperature=suite.temperature,
            stop=tuple(suite.stop),
        )
        policy.max_context_tokens = suite.max_context_tokens
    # The random player looks into its environments, so they live in this process.
    workers = 0 if chosen.agent["kind"] in ("random", HUMAN) else suite.workers
    with contextlib.ExitStack() as stack:
        pool = open_pool(workers, [task.environment for task in suite.tasks], 600.0, 600.0)
        if pool is not None:
            stack.callback(pool.close)
        return run_evaluation(folder, chosen, agent, pool=pool, retries=1 if pool is not None else 0, on_block=_tell)


def _tell(task: str, mode: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"{task}, {mode}: {done} of {total} problems", file=sys.stderr)


def _write_report(folder: Path) -> Path:
    from lmmr1.evaluation.reporting.evaluation import PAGE, write_evaluation_report
    from lmmr1.evaluation.session import RESULTS

    page = folder / PAGE
    if page.is_file() and page.stat().st_mtime_ns >= (folder / RESULTS).stat().st_mtime_ns:
        return page
    return write_evaluation_report([folder], folder)


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
    scored = any(figures.get("score") is not None for modes in results.values() for figures in modes.values())
    head = ("task", "mode", "success", "95 % interval", "format", "tokens", "return", "episodes")
    rows: list[tuple[str, ...]] = [(*head, "score") if scored else head]
    for task, modes in results.items():
        for mode, figures in modes.items():
            low, high = figures["interval"] or (None, None)
            interval = "-" if low is None else f"{_percent(low)} to {_percent(high)}"
            scores = (_percent(figures["success"]), interval, _percent(figures["format_rate"]))
            means = (_decimal(figures["reply_tokens"], 1), _decimal(figures["return"], 2))
            row = (task, mode, *scores, *means, str(figures["episodes"]))
            rows.append((*row, _decimal(figures.get("score"), 2)) if scored else row)
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
