"""How long the page of `lmmr1 view` lets one wait: an index of 10,000 episodes, and a page of its list.

The other way to show a page is to read the files again each time, which is what a viewer without an index does; both
answer the same queries in turn. What is written first are episodes of 1 to 6 turns of 20 to 300 tokens, with credit.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from contest import finish, interleave, parse_arguments, print_rates, ratio

from lmmr1.agents.episode import Episode, TokenCredit, Turn, save_episodes
from lmmr1.envs.messages import user
from lmmr1.evaluation.viewing.curves import Curves
from lmmr1.evaluation.viewing.index import EpisodeIndex
from lmmr1.evaluation.viewing.queries import Query, Searcher

EPISODES, A_FILE = 10_000, 50
WORDS = "the box is below me so I go left then push it up to the goal and answer because a plus b is c".split()
QUERIES: tuple[dict[str, str], ...] = (
    {"offset": "9000"},
    {"sort": "reward", "descending": "1"},
    {"min_reward": "0.5", "sort": "tokens"},
    {"text": "goal because"},
    {"outcome": "solved", "min_turns": "3", "offset": "300"},
)


def make_episode(number: int, rng: np.random.Generator) -> Episode:
    """An episode of made-up words, as large as real ones are."""
    turns = []
    for _ in range(int(rng.integers(1, 7))):
        count = int(rng.integers(20, 301))
        numbers = rng.normal(size=(3, count)).astype(np.float32)
        turns.append(
            Turn(
                messages=[user("Your move?")],
                text=" ".join(rng.choice(WORDS, count)),
                reward=float(rng.normal()),
                prompt_ids=np.arange(30, dtype=np.int32),
                reply_ids=rng.integers(0, 150_000, count).astype(np.int32),
                logprobs=-np.abs(numbers[0]),
                credit=TokenCredit(numbers[0], numbers[1], numbers[2], numbers[0] > -1),
            )
        )
    return Episode("LMMR1/Sokoban-v0", (0, 0, number), number, turns=turns, success=bool(rng.random() < 0.4))


def write_run(folder: Path, episodes: int) -> int:
    """A run's training episodes, `A_FILE` an iteration, and its metrics; their bytes."""
    rng = np.random.default_rng(0)
    for iteration in range(episodes // A_FILE):
        kept = [make_episode(number, rng) for number in range(A_FILE)]
        save_episodes(folder / f"episodes/mgt-training/{iteration + 1:05d}", kept)
    return sum(path.stat().st_size for path in folder.rglob("episodes.jsonl"))


def write_metrics(folder: Path, rows: int) -> Curves:
    """A long run's figures."""
    rng = np.random.default_rng(0)
    with open(folder / "metrics.jsonl", "w") as file:
        for step in range(1, rows + 1):
            figures = {f"figure_{n}": float(value) for n, value in enumerate(rng.normal(size=25))}
            file.write(json.dumps({"stage": "mgt", "iteration": step, "step": step, **figures}) + "\n")
    return Curves(folder / "metrics.jsonl", folder / "evaluations.jsonl")


def timed(work: Callable[[], object], rounds: int) -> float:
    """The median of the milliseconds that `work` takes, by the CPU's clock."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent)


def main() -> None:
    """Measure and print."""
    options = parse_arguments(__doc__ or "")
    episodes = 2_000 if options.quick else EPISODES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_run(folder, episodes)
        index = EpisodeIndex(folder)
        began = time.process_time()
        index.refresh()
        built = time.process_time() - began
        assert len(index.entries) == episodes and not index.damaged
        print(f"{episodes:,} episodes, {size / 1e6:,.0f} MB: indexed in {built:.2f} CPU-seconds")
        first, later = [], []
        for words in QUERIES:
            query = Query.read(words)
            first.append(timed(lambda query=query: Searcher(index).search(query), 5))
            searcher = Searcher(index)
            searcher.search(query)
            further = Query.read({**words, "offset": "500"})
            later.append(timed(lambda searcher=searcher, further=further: searcher.search(further), 20))
        looked = timed(index.refresh, 20)

        def with_index() -> float:
            searcher = Searcher(index)
            return float(sum(len(searcher.search(Query.read(words))["episodes"]) > 0 for words in QUERIES))

        def reading_again() -> float:
            anew = EpisodeIndex(folder)
            anew.refresh()
            return float(len(Searcher(anew).search(Query.read(QUERIES[1]))["episodes"]) > 0)

        rates = interleave({"index": with_index, "reading again": reading_again}, rounds=2 if options.quick else 3)
        print_rates("pages of the list", rates, "pages per CPU-second")
        rows = 20_000
        curves = write_metrics(folder, rows)
        began = time.process_time()
        curves.read(["figure_0"], rows, 0)
        read = time.process_time() - began
        with open(folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": rows + 1, "figure_0": 1.0}) + "\n")
        began = time.process_time()
        told = curves.read(["figure_0"], rows, 0)
        added = time.process_time() - began
        assert told["columns"]["figure_0"] == [1.0]
        print(f"{rows:,} rows of metrics: read in {read:.2f} CPU-seconds, one more in {1000 * added:.2f} ms")
    finish(
        {
            "view_index_seconds": built,
            "view_index_megabytes_per_second": size / 1e6 / built,
            "view_new_query_ms": max(first),
            "view_next_page_ms": max(later),
            "view_nothing_new_ms": looked,
            "view_one_more_row_ms": 1000 * added,
            "view_times_as_many_pages_as_reading_again": ratio(rates, "index", "reading again"),
        },
        options.json,
    )


if __name__ == "__main__":
    main()
