"""How long `import lmmr1` and `lmmr1 --help` take, beside `import gymnasium`: CPU-seconds of fresh processes, in turn.

Every start is a new process of the same Python, with warm caches: one start of each is thrown away, then they take
turns. What an empty Python takes is part of each figure and shown beside them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

from contest import finish, parse_arguments

ROUNDS = 10
STARTS = {
    "python": ["-c", "pass"],
    "import gymnasium": ["-c", "import gymnasium"],
    "import lmmr1": ["-c", "import lmmr1"],
    "lmmr1 --help": ["-m", "lmmr1", "--help"],
    "lmmr1 envs": ["-m", "lmmr1", "envs"],
}
# What no start may load.
HEAVY = {"torch", "transformers", "numba", "pygame", "matplotlib", "av", "pettingzoo", "sympy"}


def cpu_seconds(words: list[str]) -> float:
    """User and system time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def loaded_heavy() -> set[str]:
    """Which heavy packages are loaded once the package and its command line are."""
    program = "import sys, lmmr1.cli; lmmr1.cli.build_parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in done.stdout.split()} & HEAVY


def main() -> None:
    """Measure, print, and say it in JSON where asked to."""
    options = parse_arguments(__doc__ or "")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for words in STARTS.values():
        cpu_seconds(words)
    rounds = 5 if options.quick else ROUNDS
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds):
        for name, words in STARTS.items():
            seconds[name].append(cpu_seconds(words))
    print(f"CPU-seconds of a fresh process, median of {rounds}, in turn")
    for name, values in seconds.items():
        print(f"  {name:20s} {statistics.median(values):.3f}  ({min(values):.3f} to {max(values):.3f})")
    heavy = loaded_heavy()
    print(f"heavy packages loaded: {', '.join(sorted(heavy)) or 'none'}")
    figures: dict[str, float | None] = {
        f"{name.replace('--', '').replace(' ', '_')}_cpu_seconds": statistics.median(seconds[name]) for name in STARTS
    }
    pairs = zip(seconds["import lmmr1"], seconds["import gymnasium"], strict=True)
    figures["import_lmmr1_over_gymnasium"] = statistics.median(ours / theirs for ours, theirs in pairs)
    figures["heavy_packages_loaded"] = float(len(heavy))
    finish(figures, options.json)


if __name__ == "__main__":
    main()
