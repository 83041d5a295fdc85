"""Run recipes over several seeds and print the README's table: medians over the seeds, before and after every stage.

    python examples/three_seeds.py                          # every tiny recipe, seeds 0 1 2; about an hour on two cores
    python examples/three_seeds.py --recipes tiny --seeds 0 1
    python examples/three_seeds.py --collect                # only read the runs that are there

A run that is complete is not run again; one that was stopped goes on. What follows `--` is handed to `lmmr1 train`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

RECIPES = ("tiny", "tiny_gae", "tiny_direct", "tiny_sft", "tiny_sokoban", "tiny_sokoban_sparse")


def run(recipe: str, seed: int, folder: Path, options: list[str]) -> None:
    """Train one recipe with one seed in a process of its own, as a user would."""
    command = [sys.executable, "-m", "lmmr1", "train", recipe, "--seed", str(seed), "--run-dir", str(folder)]
    subprocess.run([*command, "--resume", "auto", *options], check=True)


def read(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """{stage: {task: {"greedy", "sampled", "tokens"}}} of a complete run."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {
        row["stage"]: {
            task: {
                "greedy": figures["greedy"]["success"],
                "sampled": figures["sampled"]["success"],
                "tokens": figures["sampled"]["reply_tokens"],
            }
            for task, figures in row["tasks"].items()
        }
        for row in summary["evaluations"]
    }


def print_table(recipe: str, runs: list[dict[str, dict[str, dict[str, float]]]]) -> None:
    """A Markdown table: a row for each stage, the median and in brackets each seed."""
    tasks = list(next(iter(runs[0].values())))
    print(f"\n**{recipe}**\n")
    print("| after | " + " | ".join(f"{task} greedy | {task} sampled | {task} tokens" for task in tasks) + " |")
    print("|---|" + "---|" * (3 * len(tasks)))
    for stage in runs[0]:
        cells = []
        for task in tasks:
            for mode in ("greedy", "sampled", "tokens"):
                values = [one[stage][task][mode] for one in runs]
                scale, unit, digits = (1, "", 1) if mode == "tokens" else (100, " %", 0)
                median = f"{scale * statistics.median(values):.{digits}f}{unit}"
                each = " ".join(f"{scale * value:.{digits}f}" for value in values)
                cells.append(f"**{median}** ({each})" if len(values) > 1 else f"**{median}**")
        print(f"| {stage} | " + " | ".join(cells) + " |")


def main() -> None:
    """See the module."""
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--collect", action="store_true", help="read the runs that are there, run nothing")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    chosen = parser.parse_args(arguments)
    figures = {}
    for recipe in chosen.recipes:
        runs = []
        for seed in chosen.seeds:
            folder = chosen.runs / f"{recipe}_{seed}"
            if not chosen.collect:
                run(recipe, seed, folder, options)
            if (folder / "summary.json").is_file():
                runs.append(read(folder))
        if runs:
            print_table(recipe, runs)
            figures[recipe] = runs
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
