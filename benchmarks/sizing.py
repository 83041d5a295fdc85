"""The simulator of the pipeline beside real iterations on this CPU: rates measured at some sizes predict another size.

One thread, CPU-seconds. Decoding (seconds of a step by its sequences) is fitted to calls of the embedded engine at four
sizes; learning, and what an episode costs besides (its prompt, its environment, on the same thread), to iterations of
two sizes with replies of one length. What is predicted are whole iterations of other sizes, with replies as long as
that run itself had them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from contest import finish, parse_arguments
from harness import Case, OurSide, ending_ids

from lmmr1.agents.engines.base import Engine, Request, Sampling
from lmmr1.agents.models import load_model
from lmmr1.agents.policy import PolicyAgent
from lmmr1.training.sizing.lengths import Lengths, Trace, Turn
from lmmr1.training.sizing.pipeline import Pipeline, simulate

PROMPT = 16


def decode_rates(engine: Engine, rounds: int) -> tuple[float, float, float]:
    """(a, b, p): a step takes a + b x sequences seconds, and a sequence p besides; least squares over four sizes."""
    rng = np.random.default_rng(0)
    rows, seconds = [], []
    for _ in range(rounds):
        for count in (32, 192):
            for tokens in (8, 40):
                prompts = rng.integers(5, 200, (count // 8, PROMPT)).astype(np.int32).repeat(8, 0)
                requests = [Request(prompt, (), (index,)) for index, prompt in enumerate(prompts)]
                began = time.process_time()
                engine.generate(requests, Sampling(tokens))
                seconds.append(time.process_time() - began)
                rows.append((tokens, tokens * count, count))
    # Relative errors count alike.
    weights = 1 / np.array(seconds)
    a, b, p = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(rows)), rcond=None)[0]
    return float(a), float(b), float(p)


def play(folder: Path, lengths: str, groups: int, rounds: int) -> tuple[float, float, float, list[Trace]]:
    """Medians over iterations: CPU-seconds of all, of the rollout, tokens in rows; and the episodes of the last one."""
    case = Case("text", lengths, folder, ending_ids(folder, "text", lengths), groups=groups)
    side = OurSide(case, rounds + 1)
    tokens = []
    traces: list[Trace] = []
    for iteration in range(rounds + 1):
        side.iterate(iteration)
        traces = [tuple(Turn(len(t.prompt_ids), len(t.reply_ids)) for t in e.turns) for e in side.episodes]
        tokens.append(sum(turn.prompt + turn.reply for trace in traces for turn in trace))
    rows = side.rows[1:]  # the first one warms up
    return median(r["all"] for r in rows), median(r["rollout"] for r in rows), median(tokens[1:]), traces


def main() -> None:
    """Measure, predict and print."""
    options = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    rounds = 2 if options.quick else 8
    figures: dict[str, float | None] = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        load_model("tiny-random").save(folder)
        loaded = replace(load_model(str(folder)), end_ids=ending_ids(folder, "text", "fixed"))
        engine = PolicyAgent(loaded, Sampling(1)).engine
        decode_rates(engine, 1)
        a, b, p = decode_rates(engine, rounds)
        print(f"decoding: a step takes {1e3 * a:.2f} ms + {1e6 * b:.1f} us a sequence; {1e6 * p:.0f} us besides")
        known = []
        for groups in (4, 16):
            whole, rollout, tokens, traces = play(folder, "fixed", groups, rounds)
            known.append((len(traces), tokens, whole - rollout))
            steps = traces[0][0].reply
            speaking = (rollout - steps * (a + b * len(traces))) / len(traces)

        (_, few, short), (_, many, long) = known
        print(f"an episode besides, with its prompt and its environment: {1e6 * speaking:.0f} us")
        each = (long - short) / (many - few)
        rest = short - each * few
        print(f"learning: {1e3 * rest:.0f} ms + {1e6 * each:.1f} us a token, of an iteration")
        for lengths, groups in (("fixed", 8), ("ragged", 12), ("ragged", 32)):
            whole, rollout, _, traces = play(folder, lengths, groups, rounds)

            def learn(rows: Sequence[Trace]) -> float:
                return rest + each * sum(turn.prompt + turn.reply for row in rows for turn in row)

            pipeline = Pipeline(
                engines=1,
                slots=256,
                decode=(a, b, 0.0),
                prefill=lambda turn: 8 * speaking,  # which the simulator pays once for a group of eight
                workers=1,
                learn=learn,
                sync=0.0,
                groups=groups,
                group_size=8,
            )
            outcome = simulate(pipeline, Lengths(tuple(traces), "measured"), np.random.default_rng(0), iterations=6)
            ratio = outcome.iteration / whole
            print(
                f"{lengths}, {8 * groups} episodes: measured {whole:.3f} s (rollout {rollout:.3f}), "
                f"predicted {outcome.iteration:.3f} s (rollout {outcome.rollout * outcome.iteration:.3f}): {ratio:.2f}"
            )
            figures[f"predicted_over_measured_{lengths}_{8 * groups}"] = ratio
    finish(figures, options.json)


if __name__ == "__main__":
    main()
