"""`lmmr1 size RECIPE`: the memory, time and GPU-hours that a stage of a recipe takes on some GPUs."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings

if TYPE_CHECKING:
    from lmmr1.training.sizing.estimate import Estimate

_EPILOG = """\
Computed from formulas and a simulation (docs/sizing.md). The peaks of the GPUs are published; the shares of
them that are reached are assumptions (--update-share, --decode-share ...), as are the replies' lengths unless
--lengths names a run. Values of the recipe can be changed as for lmmr1 train: --stages.fre_text.rollout.groups 128."""
GIB = 2**30
SHARES = ("update", "prefill", "decode", "link")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `size`."""
    parser = commands.add_parser(
        "size", help="the memory, time and GPU-hours that a recipe takes", epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's name (see lmmr1 recipes) or a YAML file")
    parser.add_argument("--stage", help="the stage, if the recipe has several")
    parser.add_argument("--model", help="3b or 7b (Qwen2.5-VL), or a folder with a config.json (default: the recipe's)")
    parser.add_argument(
        "--gpus", type=_count, nargs="+", default=[8], metavar="N", help="how many (8); several: a table"
    )
    parser.add_argument("--gpu", choices=("a100", "h100", "h200"), default="h100", help="which (h100)")
    parser.add_argument(
        "--async",
        dest="staleness",
        nargs="?",
        type=_count,
        const=2,
        default=0,
        metavar="STALENESS",
        help="roll out while learning, at most so many updates behind (2)",
    )
    parser.add_argument(
        "--learners", type=_count, help="GPUs that learn, apart from those that roll out (default: the best)"
    )
    parser.add_argument("--zero", type=int, choices=(0, 1, 2, 3), default=2, help="DeepSpeed's ZeRO stage (2)")
    parser.add_argument("--offload", action="store_true", help="keep the optimizer's states in the host's memory")
    parser.add_argument("--tensor-parallel", type=_count, default=1, help="GPUs of one engine (1)")
    parser.add_argument("--microbatch-tokens", type=_count, default=16_384, help="tokens of a micro-batch (16384)")
    parser.add_argument("--lengths", type=Path, metavar="RUN", help="take the episodes' lengths from this run's folder")
    parser.add_argument(
        "--mean-reply", type=_positive, help="mean tokens of a reply (800, or as measured with --lengths)"
    )
    parser.add_argument("--spread", type=_positive, default=0.8, help="of the logarithm of assumed lengths (0.8)")
    for name in SHARES:
        parser.add_argument(f"--{name}-share", type=_share, help=f"of the peak that {name} reaches, 0 to 1")
    parser.add_argument("--json", action="store_true", help="print it for programs")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Estimate and print; the exit code."""
    from lmmr1.training.recipe import load_recipe
    from lmmr1.training.sizing.compute import GPUS, Rates
    from lmmr1.training.sizing.estimate import Setting, estimate, find_stage
    from lmmr1.training.sizing.lengths import measured
    from lmmr1.training.sizing.shape import find_shape

    recipe = load_recipe(arguments.recipe, arguments.override)
    stage = find_stage(recipe, arguments.stage)
    # A shipped recipe may start from a run of another one, which need not be here yet: all of them are of one size.
    path = arguments.model or recipe.model.path
    shape = find_shape("3b" if path.startswith("runs/") and not Path(path).exists() else path)
    shares = {name: vars(arguments)[f"{name}_share"] for name in SHARES}
    rates = dataclasses.replace(Rates(), **{name: share for name, share in shares.items() if share is not None})
    setting = Setting(
        gpu=GPUS[arguments.gpu],
        rates=rates,
        staleness=arguments.staleness,
        stage=arguments.zero,
        offload=arguments.offload,
        learners=arguments.learners,
        tensor_parallel=arguments.tensor_parallel,
        microbatch=arguments.microbatch_tokens,
        mean_reply=arguments.mean_reply or Setting.mean_reply,
        spread=arguments.spread,
    )
    lengths = None
    if arguments.lengths is not None:
        lengths = measured(arguments.lengths)
        if arguments.mean_reply is not None:
            lengths = lengths.scaled(arguments.mean_reply, stage.rollout.max_new_tokens)
    estimates = [
        estimate(recipe, stage, shape, dataclasses.replace(setting, gpus=gpus), lengths) for gpus in arguments.gpus
    ]
    if arguments.json:
        print(json.dumps([_as_json(one) for one in estimates], indent=2))
    else:
        print(f"{recipe.name}, {shape.name} ({shape.total / 1e9:.2f} billion parameters), {setting.gpu.name}, bfloat16")
        print(
            f"{stage.rollout.groups} x {stage.rollout.group_size} episodes an iteration, {stage.iterations} iterations;"
        )
        print(f"lengths {estimates[0].lengths.source}\n")
        print(describe(estimates))
    return 0 if all(one.fits for one in estimates) else 1


def describe(estimates: list[Estimate]) -> str:
    """A table with a column for each estimate."""
    rows: list[tuple[str, list[str]]] = [("GPUs", [str(one.setting.gpus) for one in estimates])]

    def add(title: str, cells: list[str]) -> None:
        rows.append((title, cells))

    add("  that learn / roll out", [f"{one.learners} / {_rolling(one)}" for one in estimates])
    rows.append(("", []))
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "reference", "critic", "host")
    titles = {"logits": "head and logits", "optimizer": "optimizer states", "host": "(in the host's memory)"}
    add("A learner's GPU, GiB", [f"{one.rank.total / GIB:.1f}" for one in estimates])
    for part in parts:
        sizes = [vars(one.rank)[part] / GIB for one in estimates]
        if any(sizes):
            add(f"  {titles.get(part, part)}", [f"{size:.1f}" for size in sizes])
    add("An engine's GPU, GiB", [f"{one.engine.total / GIB:.1f}" for one in estimates])
    add("  weights / cache", [f"{one.engine.weights / GIB:.1f} / {one.engine.cache / GIB:.1f}" for one in estimates])
    add("  sequences at once", [str(one.slots) for one in estimates])
    add("It fits", ["yes" if one.fits else "NO" for one in estimates])
    rows.append(("", []))
    add("An iteration, s", [f"{one.outcome.iteration:.0f}" for one in estimates])
    add("  learning alone", [f"{one.seconds:.0f}" for one in estimates])
    add("Tokens of replies / s", [f"{one.outcome.tokens:,.0f}" for one in estimates])
    for name in ("rollout", "learning", "syncing", "environments", "occupancy"):
        title = {"rollout": "Busy: engines", "occupancy": "Their batch, of its most"}.get(name, f"      {name}")
        add(title, [f"{100 * vars(one.outcome)[name]:.0f} %" for one in estimates])
    add("Waits for", [one.outcome.bottleneck for one in estimates])
    add("Updates behind, at most", [str(one.outcome.staleness) for one in estimates])
    rows.append(("", []))
    add("The stage, hours", [f"{one.hours:.1f}" for one in estimates])
    add("GPU-hours", [f"{one.gpu_hours:,.0f}" for one in estimates])
    left = max(len(title) for title, _ in rows)
    width = max(len(cell) for _, cells in rows for cell in cells)
    return "\n".join(f"{title:{left}s}  {'  '.join(f'{c:>{width}s}' for c in cells)}".rstrip() for title, cells in rows)


def _rolling(one: Estimate) -> int:
    return one.setting.gpus - (one.learners if one.setting.apart else 0)


def _as_json(one: Estimate) -> dict[str, Any]:
    return {
        "gpus": one.setting.gpus,
        "gpu": one.setting.gpu.name,
        "learners": one.learners,
        "rolling_out": _rolling(one),
        "rank_bytes": {**dataclasses.asdict(one.rank), "total": one.rank.total},
        "engine_bytes": {**dataclasses.asdict(one.engine), "total": one.engine.total},
        "fits": one.fits,
        "outcome": dataclasses.asdict(one.outcome),
        "learning_seconds": one.seconds,
        "hours": one.hours,
        "gpu_hours": one.gpu_hours,
        "lengths": one.lengths.source,
        "assumptions": dataclasses.asdict(one.setting.rates),
    }


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _share(text: str) -> float:
    value = _positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share: between 0 and 1")
    return value
