"""The order in which groups are begun and learned from: never too old, none lost, none twice, whatever they take."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from lmmr1.training.collection.schedule import Schedule


def simulate(
    schedule: Schedule, iterations: int, seconds: dict[int, float], learning: float = 1.0
) -> tuple[list[list[int]], dict[int, int], int]:
    """Run a stage on a clock of its own; a group takes `seconds[number]`, an update `learning`.

    Returns:
        The groups of each iteration, the version that each began under, and the most that were begun and not taken.
    """
    clock, number, most = 0.0, 0, 0
    under_way: list[tuple[float, int]] = []
    versions: dict[int, int] = {}
    batches: list[list[int]] = []

    def begin() -> None:
        nonlocal number, most
        while schedule.room:
            schedule.begin(number)
            versions[number] = schedule.version
            heapq.heappush(under_way, (clock + seconds[number], number))
            number += 1
        most = max(most, len(schedule.begun))

    for iteration in range(iterations):
        schedule.left = (iterations - iteration) * schedule.groups
        schedule.open(iteration)
        begin()
        while (taken := schedule.take()) is None:
            assert under_way, "everything has ended and the learner still waits"
            clock, ended = heapq.heappop(under_way)
            schedule.end(ended)
            begin()
        batches.append(taken)
        begin()
        clock += learning
        while under_way and under_way[0][0] <= clock:
            schedule.end(heapq.heappop(under_way)[1])
    assert not under_way and not schedule.begun, "what was begun must be learned from"
    return batches, versions, most


@pytest.mark.parametrize("spread", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("groups", [1, 3, 8])
@pytest.mark.parametrize("bound", [0, 1, 2, 5])
def test_no_group_is_too_old_lost_or_taken_twice(bound: int, groups: int, spread: float) -> None:
    iterations = 30
    for seed in range(5):
        rng = np.random.default_rng([seed, bound, groups])
        seconds = dict(enumerate(rng.lognormal(0.0, spread, iterations * groups)))
        ahead = int(rng.integers(0, bound * groups + 1)) if seed else bound * groups
        schedule = Schedule(groups, bound, ahead, 0)
        batches, versions, most = simulate(schedule, iterations, seconds)
        assert [len(batch) for batch in batches] == [groups] * iterations
        assert sorted(number for batch in batches for number in batch) == list(range(iterations * groups))
        ages = [iteration - versions[number] for iteration, batch in enumerate(batches) for number in batch]
        assert 0 <= min(ages) and max(ages) <= bound
        assert most <= groups + ahead


def test_a_bound_of_nothing_is_the_synchronous_schedule() -> None:
    seconds = dict(enumerate(np.random.default_rng(0).lognormal(0.0, 2.0, 40)))
    batches, versions, most = simulate(Schedule(4, 0, 0, 0), 10, seconds)
    assert batches == [list(range(4 * i, 4 * i + 4)) for i in range(10)]
    assert versions == {number: number // 4 for number in range(40)} and most == 4


def test_the_learner_waits_before_it_is_too_late() -> None:
    """One group an iteration, bound 2: of two long ones of version 0 the first must be taken at iteration 1 already."""
    schedule = Schedule(1, 2, 2, 10)
    schedule.open(0)
    for number in range(3):
        assert schedule.room
        schedule.begin(number)
    assert not schedule.room
    schedule.end(2)
    assert schedule.take() == [2]  # 0 and 1 are long, and have until iteration 2
    schedule.open(1)
    schedule.begin(3)
    schedule.end(3)
    assert schedule.take() is None  # or both would be left for iteration 2, which takes one
    schedule.end(1)
    assert schedule.take() == [1]
    schedule.open(2)
    schedule.begin(4)
    schedule.end(4)
    assert schedule.take() is None
    schedule.end(0)
    assert schedule.take() == [0]


def test_what_is_ready_is_taken_while_the_long_ones_go_on() -> None:
    """With a bound of 3 the longest of the first groups is learned from last, and nobody waits for it before."""
    seconds = {number: 1.0 for number in range(20)} | {0: 3.9}
    batches, _, _ = simulate(Schedule(2, 3, 6, 0), 10, seconds, learning=1.0)
    assert [index for index, batch in enumerate(batches) if 0 in batch] == [3]
    assert batches[0] == [1, 2] and batches[1] == [3, 4]


def test_long_groups_are_learned_from_as_often_as_short_ones() -> None:
    """Whoever took the first that are done, and let go of what is left, would learn from shorter groups alone."""
    rng = np.random.default_rng(3)
    seconds = dict(enumerate(rng.lognormal(0.0, 1.5, 4000)))
    batches, _, _ = simulate(Schedule(8, 2, 16, 0), 500, seconds, learning=0.5)
    learned = sorted(seconds[number] for batch in batches for number in batch)
    assert learned == sorted(seconds.values())
    # In every stretch of the run too: what is delayed at its begin is made up for at its end.
    quarters = [np.mean([seconds[n] for batch in batches[q : q + 125] for n in batch]) for q in range(0, 500, 125)]
    assert max(quarters) < 1.35 * min(quarters)
    # Of each 24 that began, the first 8 to end.
    greedy = [sorted(seconds[number] for number in range(i, i + 24))[:8] for i in range(0, 3984, 24)]
    assert np.mean(greedy) < 0.2 * np.mean(learned)


def test_a_dropped_group_makes_room_for_another() -> None:
    schedule = Schedule(2, 1, 2, 4)
    schedule.open(0)
    for number in range(4):
        schedule.begin(number)
    assert schedule.room == 0
    schedule.drop(1)
    assert schedule.room == 1
    schedule.begin(4)
    schedule.end(4)
    schedule.end(0)
    assert schedule.take() == [0, 4] and schedule.left == 2
    assert schedule.room == 0 and sorted(schedule.begun) == [2, 3]  # the last that the stage learns from
