"""A discrete-event simulator of training: engines that roll out, environments that answer, ranks that learn.

Synchronous training is the asynchronous one with a staleness of 0: no episode may start before all those of the
iteration before have been learned from. With a staleness of s, episodes start as long as no more than s + 1 iterations'
worth of them have started beyond those learned from (as in AReaL, arXiv 2505.24298, section 5.1), the learner takes the
oldest first, and waits for those that would otherwise become older than that.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .engine import Decode, SimulatedEngine
from .lengths import Lengths, Trace, Turn


@dataclass(frozen=True)
class Pipeline:
    """The parts and what they cost, in seconds.

    Attributes:
        engines, slots: rollout engines, and sequences that each runs at once.
        decode: see `SimulatedEngine`.
        prefill: of a turn's new prompt; the first one of a group is run once for all of it.
        workers: environments that can answer at once.
        learn: an iteration's learning, for its episodes.
        sync: new weights to the engines, which stand still meanwhile.
        groups, group_size: of an iteration.
        staleness: 0: synchronous.
        shared: whether engines and learner share the GPUs, so that they never work at once.
    """

    engines: int
    slots: int
    decode: Decode
    prefill: Callable[[Turn], float]
    workers: int
    learn: Callable[[Sequence[Trace]], float]
    sync: float
    groups: int
    group_size: int
    staleness: int = 0
    shared: bool = False


@dataclass(frozen=True)
class Outcome:
    """Means over the iterations after the first, in which the pipeline fills.

    Attributes:
        iteration: seconds.
        rollout, learning, syncing, environments: the share of the time in which engines, learner, the update of the
            weights and the environments' workers are at work.
        occupancy: sequences that run in an engine at work, of the most that ran at once.
        staleness: the most updates that an episode was behind when it was learned from.
        episodes, tokens: a second; tokens are those of replies.
        bottleneck: what to make faster first.
    """

    iteration: float
    rollout: float
    learning: float
    syncing: float
    environments: float
    occupancy: float
    staleness: int
    episodes: float
    tokens: float
    bottleneck: str


@dataclass
class _Episode:
    trace: Trace
    group: int
    version: int
    engine: int
    turn: int = 0
    context: float = 0.0


class _Run:
    """The state of one simulation."""

    def __init__(self, pipeline: Pipeline, lengths: Lengths, rng: np.random.Generator) -> None:
        self.pipeline, self.lengths, self.rng = pipeline, lengths, rng
        self.engines = [SimulatedEngine(pipeline.decode, pipeline.slots) for _ in range(pipeline.engines)]
        self.events: list[tuple[float, int, str, int]] = []
        self.count = 0
        self.stamps = [0] * pipeline.engines  # an engine's event counts only if nothing happened to it since
        self.wanted: dict[int, int] = {}  # event number to the stamp that it must meet
        self.episodes: list[_Episode] = []
        self.idle, self.queue = pipeline.workers, deque[int]()
        self.unfinished: dict[int, int] = {}
        self.ready: list[int] = []  # groups all of whose episodes ended, the oldest first
        self.begun: list[int] = []  # by group, the version that it began with
        self.groups_begun = self.version = 0
        self.learning = False
        self.environment_seconds = self.learning_seconds = 0.0
        self.ends: list[float] = []  # of the iterations
        self.marks: list[tuple[float, float, float]] = []  # busy sums at these ends
        self.learned_tokens: list[int] = []
        self.stalest = 0

    def schedule(self, time: float, kind: str, number: int) -> int:
        self.count += 1
        heapq.heappush(self.events, (time, self.count, kind, number))
        return self.count

    def watch(self, number: int) -> None:
        """An engine has changed: its next end of a sequence is another one."""
        self.stamps[number] += 1
        time = self.engines[number].finish()
        if time is not None:
            self.wanted[self.schedule(time, "engine", number)] = self.stamps[number]

    def begin_groups(self, now: float) -> None:
        """Start whatever may start."""
        plan = self.pipeline
        loads = [(engine.load, number) for number, engine in enumerate(self.engines)]
        heapq.heapify(loads)
        # Where there are few, a group's episodes go to different engines, though each must then read the prompt.
        apart = plan.groups < 4 * plan.engines
        while self.groups_begun < (self.version + plan.staleness + 1) * plan.groups:
            group = self.groups_begun
            self.groups_begun += 1
            self.unfinished[group] = plan.group_size
            self.begun.append(self.version)
            number = 0
            for place, trace in enumerate(self.lengths.draw(self.rng, plan.group_size)):
                if apart or not place:
                    load, number = loads[0]
                    heapq.heapreplace(loads, (load + (1 if apart else plan.group_size), number))
                self.episodes.append(_Episode(trace, group, self.version, number))
                self.enter(len(self.episodes) - 1, now)

    def enter(self, index: int, now: float) -> None:
        """An episode's next turn goes to its engine, where what it has said so far is cached."""
        episode, plan = self.episodes[index], self.pipeline
        turn, engine = episode.trace[episode.turn], self.engines[episode.engine]
        self.leave(episode.engine, now)
        prefill = plan.prefill(turn) / (plan.group_size if episode.turn == 0 else 1)
        engine.add(index, turn.reply, episode.context + turn.prompt, prefill)
        episode.context += turn.prompt + turn.reply
        self.watch(episode.engine)

    def leave(self, number: int, now: float) -> None:
        """Bring an engine to `now`; replies that are complete go to the environments."""
        for key in self.engines[number].advance(now):
            assert isinstance(key, int)
            self.queue.append(key)
        self.answer(now)

    def answer(self, now: float) -> None:
        """Give waiting replies to idle workers."""
        while self.queue and self.idle:
            index = self.queue.popleft()
            episode = self.episodes[index]
            seconds = episode.trace[episode.turn].environment
            self.idle -= 1
            self.environment_seconds += seconds
            self.schedule(now + seconds, "environment", index)

    def answered(self, index: int, now: float) -> None:
        """An environment has answered: another turn, or the end."""
        self.idle += 1
        episode = self.episodes[index]
        episode.turn += 1
        if episode.turn < len(episode.trace):
            self.enter(index, now)
        else:
            self.unfinished[episode.group] -= 1
            if not self.unfinished[episode.group]:
                del self.unfinished[episode.group]
                heapq.heappush(self.ready, episode.group)
                self.learn(now)
        self.answer(now)

    def learn(self, now: float) -> None:
        """Begin an iteration's learning, if its groups are there and the learner is free; the oldest go first."""
        plan = self.pipeline
        if self.learning or len(self.ready) < plan.groups:
            return
        taken = heapq.nsmallest(plan.groups, self.ready)
        if self.would_age(set(taken)):
            return
        self.ready = sorted(set(self.ready) - set(taken))
        self.learning = True
        size = plan.group_size
        batch = [self.episodes[group * size + place] for group in taken for place in range(size)]
        self.stalest = max(self.stalest, *(self.version - episode.version for episode in batch))
        self.learned_tokens.append(sum(turn.reply for episode in batch for turn in episode.trace))
        seconds = plan.learn([episode.trace for episode in batch])
        self.learning_seconds += seconds
        self.schedule(now + seconds, "learned", 0)

    def would_age(self, taken: set[int]) -> bool:
        """Whether more old groups would be left than the next iterations can take before they are too old."""
        plan = self.pipeline
        ages = [self.version - self.begun[g] for g in (*self.ready, *self.unfinished) if g not in taken]
        # One that is `age` behind now may be learned from in `staleness - age` more iterations.
        return any(
            sum(age >= plan.staleness - more for age in ages) > more * plan.groups for more in range(plan.staleness + 1)
        )

    def learned(self, now: float) -> None:
        """New weights: the engines stand still while they take them, then more may start."""
        self.learning = False
        self.version += 1
        for number, engine in enumerate(self.engines):
            self.leave(number, now)
            engine.hold(self.pipeline.sync)
            self.watch(number)
        self.ends.append(now + self.pipeline.sync)
        busy = sum(engine.busy for engine in self.engines)
        self.marks.append((busy, self.environment_seconds, self.learning_seconds))
        self.begin_groups(now)
        self.learn(now)


def simulate(pipeline: Pipeline, lengths: Lengths, rng: np.random.Generator, iterations: int = 4) -> Outcome:
    """Run `iterations` (at least 2, the first of which is not counted) and say who was busy, and who was waited for."""
    run = _Run(pipeline, lengths, rng)
    run.begin_groups(0.0)
    while run.version < iterations:
        now, event, kind, number = heapq.heappop(run.events)
        if kind == "engine":
            if run.wanted.pop(event) == run.stamps[number]:
                run.leave(number, now)
                run.watch(number)
        elif kind == "environment":
            run.answered(number, now)
        else:
            run.learned(now)
    return _outcome(run, pipeline)


def _outcome(run: _Run, pipeline: Pipeline) -> Outcome:
    counted = len(run.ends) - 1
    seconds = run.ends[-1] - run.ends[0]
    busy, environment, learning = (last - first for first, last in zip(run.marks[0], run.marks[-1], strict=True))
    sync = pipeline.sync * counted / seconds
    shares = {
        # Engines stand still during an update of the weights; that is its own share.
        "rollout": max(0.0, busy / pipeline.engines / seconds - sync),
        "learning": learning / seconds,
        "syncing": sync,
        "environments": environment / pipeline.workers / seconds,
    }
    worked = [engine for engine in run.engines if engine.decoding]
    occupancy = sum(engine.occupied / engine.decoding / engine.most for engine in worked) / len(worked)
    episodes = counted * pipeline.groups * pipeline.group_size
    return Outcome(
        seconds / counted,
        **shares,
        occupancy=occupancy,
        staleness=run.stalest,
        episodes=episodes / seconds,
        tokens=sum(run.learned_tokens[1:]) / seconds,
        bottleneck=_bottleneck(shares, occupancy, pipeline.staleness == 0),
    )


def _bottleneck(shares: dict[str, float], occupancy: float, synchronous: bool) -> str:
    """What is waited for most. In turn, all that is neither learning nor an update waits for the last episode."""
    spans = dict(shares)
    if synchronous:
        waited = "rollout" if shares["rollout"] >= shares["environments"] else "environments"
        spans[waited] = 1 - shares["learning"] - shares["syncing"]
    worst = max(spans, key=lambda name: spans[name])
    # The engines' work, had their batches been full all the time, would fit into less than half of the wait.
    if worst == "rollout" and shares["rollout"] * occupancy < spans["rollout"] / 2:
        return "long replies"
    return {"rollout": "decoding", "syncing": "weight updates"}.get(worst, worst)
