"""What every benchmark here shares: interleaved rounds, CPU-seconds, medians, one JSON line."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable


def parse_arguments(description: str) -> argparse.Namespace:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; ends within 50 seconds")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON: names to numbers")
    return parser.parse_args()


def interleave(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run the contestants in turn, A B A B, after one warm-up each.

    Args:
        contestants: name to a function that does the work once and returns how much of it was useful (tokens, steps).
        rounds: how often each runs.

    Returns:
        Useful work per CPU-second of this process, for each contestant and round.
    """
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for work in contestants.values():
        work()
    for _ in range(rounds):
        for name, work in contestants.items():
            began = time.process_time()
            done = work()
            rates[name].append(done / (time.process_time() - began))
    return rates


def ratio(rates: dict[str, list[float]], ours: str, theirs: str) -> float:
    """The median over rounds of our rate over theirs in the same round."""
    return statistics.median(a / b for a, b in zip(rates[ours], rates[theirs], strict=True))


def print_rates(title: str, rates: dict[str, list[float]], unit: str) -> None:
    """A line for each contestant: median and range."""
    print(title)
    for name, values in rates.items():
        print(f"  {name:32s} {statistics.median(values):12,.0f} {unit}  ({min(values):,.0f} to {max(values):,.0f})")


def finish(figures: dict[str, float | None], as_json: bool, device: str | None = None) -> None:
    """Print the figures that the benchmark is for, and the GPU that they are of, if one is."""
    for name, value in figures.items():
        print(f"{name}: {'not measured' if value is None else f'{value:.2f}'}")
    if as_json:
        about = {} if device is None else {"device": device}
        print(json.dumps({**figures, **about, "machine": platform.processor() or platform.machine()}))
