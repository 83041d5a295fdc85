"""`lmmr1 experiment NAME`: train its arms, judge them on the same problems, and write table, figure and verdicts."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

from .training_arms import TrainedArms

if TYPE_CHECKING:
    from lmmr1.agents.episode import Episode
    from lmmr1.evaluation.experiments.experiment import Arm, Experiment

RESULT = "result.json"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `experiment`."""
    parser = commands.add_parser(
        "experiment", help="ask one of the paper's questions, at tiny scale", allow_abbrev=False
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="an experiment's name or YAML file; none: list them")
    parser.add_argument("--out", type=Path, default=Path("experiments"), metavar="DIR", help="default: experiments/")
    parser.add_argument("--seeds", default="0,1,2", metavar="S,S", help="of training (default: 0,1,2)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run an experiment, or go on with it; the exit code."""
    from lmmr1.evaluation.experiments.experiment import experiment_names, load_experiment

    if arguments.name is None:
        for name in experiment_names():
            print(f"{name:14} {load_experiment(name).question}")
        return 0
    try:
        seeds = [int(word) for word in arguments.seeds.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds must be different whole numbers from 0 up, with commas, not {arguments.seeds!r}")
    experiment = load_experiment(arguments.name)
    text = run_experiment(experiment, arguments.out, seeds)
    print(text)
    return 0


def run_experiment(experiment: Experiment, root: Path, seeds: Sequence[int]) -> str:
    """Train, judge and write; what was done before is not done again.

    Args:
        experiment: what is asked.
        root: the folder of all experiments; the result goes to `root`/NAME.
        seeds: of training.

    Returns:
        The result as Markdown.

    Raises:
        UserError: a recipe of an arm is wrong, or a folder holds something else.
    """
    from lmmr1.evaluation.experiments.judging import as_document, judge
    from lmmr1.evaluation.experiments.writing import draw_result, write_result

    trained = {seed: TrainedArms(experiment, root, seed) for seed in seeds}
    for arms in trained.values():
        arms.prepare()
    played: dict[int, dict[str, dict[tuple[str, str], list[Episode]]]] = {}
    costs = {"training": 0.0, "evaluation": 0.0}
    for seed, arms in trained.items():
        played[seed] = {}
        for arm in experiment.arms:
            print(f"{experiment.name}, seed {seed}: {arm.label}", file=sys.stderr, flush=True)
            arms.train(arm)
            costs["training"] += arms.cpu_seconds(arm)
            played[seed][arm.name], spent = _judge_arm(experiment, arms, arm)
            costs["evaluation"] += spent
    verdicts = judge(experiment, played)
    document = as_document(experiment, played, verdicts, costs)
    folder = root / experiment.name
    text = write_result(experiment, document, verdicts)
    metrics = {
        arm.name: [_metrics(trained[seed].folders[arm.name]) for seed in seeds] for arm in experiment.arms if arm.recipe
    }
    (folder / RESULT).write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / f"{experiment.name}.md").write_text(text, encoding="utf-8")
    (folder / f"{experiment.name}.png").write_bytes(draw_result(experiment, document, metrics))
    return text


def _judge_arm(
    experiment: Experiment, arms: TrainedArms, arm: Arm
) -> tuple[dict[tuple[str, str], list[Episode]], float]:
    """The episodes of an arm on the experiment's tasks, and the CPU-seconds that they took when they were played."""
    from lmmr1.evaluation.session import RESULTS, Settings, read_episodes
    from lmmr1.evaluation.suites.suite import Suite

    from ..evaluate import play
    from .agents import load_agent

    folder = arms.root / experiment.name / f"seed{arms.seed}" / arm.name
    suite = Suite(
        experiment.name,
        experiment.question,
        experiment.tasks,
        experiment.modes,
        max_new_tokens=40,
        max_context_tokens=4096,
        block=max(task.episodes for task in experiment.tasks),
    )
    took = folder / "cpu_seconds.json"
    began = time.process_time()
    agent, identity = load_agent(arms.model(arm))
    # A model's place tells of the machine; what it was trained as is the arm's name.
    settings = Settings(suite, {**identity, "name": arm.name}, arms.seed)
    is_new = not (folder / RESULTS).is_file()
    play(folder, settings, agent)
    if is_new:
        took.write_text(json.dumps(time.process_time() - began), encoding="utf-8")
    found = {
        (task.name, mode): read_episodes(folder, suite, task.name, mode)
        for task in experiment.tasks
        for mode in experiment.modes
    }
    return found, json.loads(took.read_text(encoding="utf-8"))


def _metrics(folder: Path) -> list[Mapping[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
