"""The simulator: cases that can be worked out by hand, and laws that hold whatever the numbers are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.training.recipe import load_recipe
from lmmr1.training.sizing.engine import SimulatedEngine
from lmmr1.training.sizing.estimate import Setting, estimate, find_stage, heaviest
from lmmr1.training.sizing.lengths import Lengths, Trace, Turn, assumed, measured
from lmmr1.training.sizing.pipeline import Outcome, Pipeline, simulate
from lmmr1.training.sizing.shape import QWEN2_5_VL_3B

# A step takes a second, whatever runs.
STEADY = (1.0, 0.0, 0.0)
PLAIN = Pipeline(
    engines=1,
    slots=64,
    decode=STEADY,
    prefill=lambda turn: 0.0,
    workers=64,
    learn=lambda rows: 10.0,
    sync=0.0,
    groups=4,
    group_size=2,
)


def run(pipeline: Pipeline, *replies: int, environment: float = 0.0, turns: int = 1, iterations: int = 6) -> Outcome:
    traces = tuple(tuple(Turn(10, reply, 0, environment) for _ in range(turns)) for reply in replies)
    return simulate(pipeline, Lengths(traces, "made up"), np.random.default_rng(0), iterations)


def drain(engine: SimulatedEngine) -> list[tuple[float, int]]:
    ended = []
    while (time := engine.finish()) is not None:
        ended += [(round(time, 6), key) for key in engine.advance(time)]
    return ended


def test_sequences_share_the_steps():
    engine = SimulatedEngine((1.0, 0.5, 0.0), slots=8)
    engine.add(1, 4, 0, 0.0)
    engine.add(2, 10, 0, 0.0)
    # 4 steps of two sequences (2 s each), then 6 of one (1.5 s).
    assert drain(engine) == [(8.0, 1), (17.0, 2)]
    assert engine.busy == pytest.approx(17.0) and engine.occupied == pytest.approx(2 * 8 + 9)


def test_those_that_wait_enter_when_there_is_room():
    engine = SimulatedEngine(STEADY, slots=1)
    for key in (1, 2):
        engine.add(key, 5, 0, 0.0)
    assert drain(engine) == [(5.0, 1), (10.0, 2)]


def test_a_prefill_and_a_hold_stop_everybody():
    engine = SimulatedEngine(STEADY, slots=4)
    engine.add(1, 5, 0, 2.0)
    engine.advance(4.0)  # 2 s of prefill, 2 steps
    engine.hold(3.0)
    assert engine.finish() == pytest.approx(10.0)


@pytest.mark.parametrize("pieces", [1, 7])
def test_steps_grow_with_the_cache(pieces: int):
    """A second for each token in the caches: 100 steps over a context that grows from 50, in any pieces."""
    engine = SimulatedEngine((0.0, 0.0, 1.0), slots=4)
    engine.add(1, 100, 50, 0.0)
    end = engine.finish()
    assert end is not None and end == pytest.approx(100 * 50 + 100**2 / 2)
    for piece in range(1, pieces):
        assert engine.advance(end * piece / pieces) == []
    assert engine.finish() == pytest.approx(end) and engine.advance(end) == [1]
    assert engine.cached == 0


def test_synchronous_training_is_a_sum():
    outcome = run(PLAIN, 20)
    assert outcome.iteration == pytest.approx(20 + 10)
    assert (outcome.rollout, outcome.learning) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert outcome.tokens == pytest.approx(8 * 20 / 30) and outcome.episodes == pytest.approx(8 / 30)
    assert outcome.staleness == 0 and outcome.bottleneck == "decoding"


def test_asynchronous_training_takes_the_longer_of_the_two():
    one = run(replace(PLAIN, staleness=1), 20, iterations=7)
    assert one.iteration == pytest.approx(15), (
        "two iterations' episodes at once: 20 s, and 10 s to learn from the first"
    )
    assert run(replace(PLAIN, staleness=2), 20).iteration == pytest.approx(10)
    slow = run(replace(PLAIN, staleness=1, learn=lambda rows: 100.0), 20)
    assert slow.iteration == pytest.approx(100) and slow.bottleneck == "learning"


def test_weight_updates_hold_the_engines_up():
    outcome = run(replace(PLAIN, sync=5.0), 20)
    assert outcome.iteration == pytest.approx(35) and outcome.syncing == pytest.approx(5 / 35)


def test_engines_without_work_are_idle():
    outcome = run(replace(PLAIN, engines=16, sync=5.0, group_size=1), 20)
    assert outcome.rollout == pytest.approx(20 / 35 * 4 / 16), "4 of 16 engines have something to do"
    assert outcome.occupancy == pytest.approx(1.0)


def test_environments_can_be_the_bottleneck():
    # 8 episodes of 3 turns, 10 s each, two at a time: 120 s; decoding needs 6.
    outcome = run(replace(PLAIN, workers=2, learn=lambda rows: 1.0), 2, environment=10.0, turns=3)
    assert outcome.bottleneck == "environments" and outcome.environments > 0.9
    assert 120 <= outcome.iteration <= 130


def test_long_tails_are_what_asynchronous_rollouts_are_for():
    replies = [10] * 15 + [400]
    plan = replace(PLAIN, engines=2, groups=16, learn=lambda rows: 50.0)
    waiting, free = run(plan, *replies, iterations=12), run(replace(plan, staleness=2), *replies, iterations=12)
    assert waiting.bottleneck == "long replies"
    assert free.episodes > 1.5 * waiting.episodes


@pytest.mark.parametrize("staleness", [0, 1, 2, 4])
def test_nothing_is_learned_from_that_is_too_old(staleness: int):
    rng = np.random.default_rng(3)
    replies = np.clip(rng.lognormal(3, 1.2, 64), 1, 2000).astype(int)
    seen: list[int] = []

    def learn(rows: Sequence[Trace]) -> float:
        seen.append(len(rows))
        return 30.0

    plan = replace(PLAIN, engines=3, slots=4, groups=8, staleness=staleness, learn=learn)
    outcome = run(plan, *replies, iterations=15)
    assert outcome.staleness <= staleness
    assert set(seen) == {16} and len(seen) >= 15


def test_the_same_seed_gives_the_same_figures():
    lengths = assumed([Turn(30, 0)], 100, 0.8, 400, 1, np.random.default_rng(1))
    once, again = (simulate(PLAIN, lengths, np.random.default_rng(2)) for _ in range(2))
    assert once == again


def test_assumed_lengths_have_the_mean_that_was_asked_for():
    lengths = assumed([Turn(30, 0, 5, 0.1)], 100, 0.5, 10_000, 2, np.random.default_rng(1))
    assert lengths.mean_reply == pytest.approx(100, rel=0.05)
    assert all(len(trace) == 2 and trace[0].image == 5 for trace in lengths.traces)
    cut = lengths.scaled(1000, 500)
    assert max(turn.reply for trace in cut.traces for turn in trace) == 500 and "stretched" in cut.source


def test_lengths_come_from_a_run(tmp_path):
    from lmmr1.agents.episode import Episode, save_episodes
    from lmmr1.agents.episode import Turn as Said

    def episode(tokens: int, failure: str | None = None) -> Episode:
        ids = np.arange(tokens, dtype=np.int32)
        turn = Said([], "x", prompt_ids=ids[:3], reply_ids=ids, logprobs=np.zeros(tokens, np.float32))
        return Episode("World-v0", (0,), 0, turns=[turn], failure=failure)

    save_episodes(tmp_path / "episodes/fre", [episode(5)])
    assert [trace[0].reply for trace in measured(tmp_path).traces] == [5]
    save_episodes(tmp_path / "episodes/fre-training/000003", [episode(7), episode(9), episode(11, "it broke")])
    found = measured(tmp_path)
    assert sorted(trace[0].reply for trace in found.traces) == [7, 9], (
        "what was learned from, before what was evaluated"
    )
    assert found.traces[0][0].prompt == 3 and found.source.startswith("measured: 2 episodes")
    with pytest.raises(UserError, match="holds no episodes with sampled tokens"):
        measured(tmp_path / "nowhere")


def test_rows_are_dealt_out_but_never_cut():
    assert heaviest([3.0, 3.0, 2.0, 2.0, 2.0], 2) == 7.0
    assert heaviest([5.0, 1.0], 8) == 5.0


@pytest.mark.parametrize("name", ["fre_text", "mgt_geo", "mgt_percereason", "mgt_sokoban"])
def test_the_recipes_of_the_paper_fit_eight_gpus(name: str):
    recipe = load_recipe(name, [])
    stage = find_stage(recipe, None)
    lengths = assumed([Turn(200, 0, 100, 0.01)], 300, 0.5, 1000, 1, np.random.default_rng(0))
    one = estimate(recipe, stage, QWEN2_5_VL_3B, Setting(), lengths)
    assert one.fits and one.gpu_hours == pytest.approx(8 * one.outcome.iteration * stage.iterations / 3600)
    more = estimate(recipe, stage, QWEN2_5_VL_3B, Setting(gpus=64), lengths)
    assert more.outcome.iteration < one.outcome.iteration and more.gpu_hours > one.gpu_hours
    apart = estimate(recipe, stage, QWEN2_5_VL_3B, Setting(staleness=2), lengths)
    assert 0 < apart.learners < 8 and apart.engines == 8 - apart.learners


def test_what_cannot_be_sized_is_told():
    recipe = load_recipe("tiny", [])
    with pytest.raises(UserError, match="tiny has 3 PPO stages: choose one with --stage"):
        find_stage(recipe, None)
    with pytest.raises(UserError, match="no such PPO stage; it has fre, mgt_geometry, mgt_sokoban"):
        find_stage(recipe, "mgt")
    stage = find_stage(recipe, "fre")
    with pytest.raises(UserError, match="1 GPUs cannot be split"):
        estimate(recipe, stage, QWEN2_5_VL_3B, Setting(gpus=1, staleness=1), None)
    with pytest.raises(UserError, match="not cut evenly"):
        estimate(recipe, stage, QWEN2_5_VL_3B, Setting(gpus=3, tensor_parallel=2), None)
