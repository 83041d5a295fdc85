"""Collecting while the policy learns: groups are begun ahead of need, under weights whose age is bounded.

A thread plays; the learner comes by for the groups of its next iteration and gives it new weights. Everything but the
weights belongs to that thread: the learner asks it, and waits for what it says.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

from lmmr1.agents.engines.embedded import EmbeddedEngine
from lmmr1.agents.episode import Episode
from lmmr1.agents.incidents import RolloutLog
from lmmr1.agents.playing import Playing, Rules, Seat
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import TRAINING_STREAM
from lmmr1.agents.streaming.calls import EngineCalls
from lmmr1.agents.streaming.mirror import MirrorEngine, with_own_voice
from lmmr1.agents.streaming.stream import EpisodeStream
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.isolation.places import IsolatedEnv, Pool
from lmmr1.envs.recording import RecordChat

from ..config import StageConfig
from ..model import vision_frozen
from .collect import Collected, choose
from .curriculum import Start, has_variance
from .playing import make_pool
from .schedule import Schedule
from .starts import StageStarts

Value = TypeVar("Value")


@dataclass
class _Planned:
    """A start, and the entropy that its group samples with: a round of as many as an iteration learns from, a place."""

    start: Start
    round: int
    place: int


@dataclass
class _Group:
    """A group in flight, or done and not learned from."""

    planned: _Planned
    playing: list[Playing] = field(default_factory=list)
    ended: int = 0

    @property
    def episodes(self) -> list[Episode]:
        """Its episodes, as far as they have come."""
        return [one.episode for one in self.playing]


class AsynchronousCollector:
    """Plays a stage's training episodes while the policy learns; see `Schedule` for which are learned from when.

    The starts of a stage and the entropy of each episode are those of the synchronous collector, as far as they do not
    depend on what came of earlier ones. Which weights speak depends on the clock, so that a seed does not fix a run. A
    resumed run plays what was in flight again, from its starts.

    Args:
        policy: the learner's.
        config: the stage.
        seed, stage: of the entropy.
        pool: where the environments live, closed with the collector; None: where `config.collection.workers` says.
        engines: who samples, holding weights of their own, each for one call at a time; whoever made them closes them.
            None: the embedded engine over a copy of the policy, in a thread.

    Raises:
        UserError: the policy's engine is one that cannot sample while it learns, and there are no others.
    """

    def __init__(
        self,
        policy: PolicyAgent,
        config: StageConfig,
        seed: int,
        stage: int,
        pool: Pool | None = None,
        engines: Sequence[EngineCalls] | None = None,
    ) -> None:
        options, rollout = config.collection, config.rollout
        assert options.asynchronous is not None
        self.config, self.entropy = config, (seed, TRAINING_STREAM, stage)
        self.log = RolloutLog()
        self.pool = make_pool(options, config.environments) if pool is None else pool
        self.starts = StageStarts(config, self.entropy)
        self._mirror: MirrorEngine | None = None
        if engines is None:
            engines = [self._make_mirror(policy)]
        self.engines = engines
        policy = policy.over(with_own_voice(policy.loaded), policy.engine)
        rules = Rules(policy.context, rollout.max_turns, options.retries, self.log)
        self.flow = EpisodeStream(policy, self.engines, rules)
        bound, ahead = options.asynchronous.max_staleness, options.asynchronous.ahead
        most = bound * rollout.groups
        self.schedule = Schedule(rollout.groups, bound, most if ahead is None else ahead, 0)
        self._free: list[list[LocalEnv | IsolatedEnv]] = [[] for _ in config.environments]
        self._local: list[LocalEnv] = []
        self._planned: deque[_Planned] = deque()
        self._rounds = self._begun = self._faults = 0
        self._groups: dict[int, _Group] = {}
        self._dropped: list[_Group] = []
        self._taking: Future[tuple[Collected, float]] | None = None
        self._since = (time.monotonic(), 0.0)  # when the last iteration got its groups, and how long engines had spoken
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = False

    def _make_mirror(self, policy: PolicyAgent) -> MirrorEngine:
        if policy.shared_engine is not None:
            raise UserError(
                "collection.asynchronous needs engines that sample while the policy learns; this run's answers only "
                "while the learner waits: leave collection.asynchronous out, or use the embedded engine"
            )
        self._mirror = mirror = MirrorEngine(policy.loaded, policy.slots, policy.prefix_bytes)
        if isinstance(mirror.engine, EmbeddedEngine):
            mirror.engine.keep_features = vision_frozen(mirror.loaded.model)
        return mirror

    # ------------------------------------------------------------------------------------------ the learner's thread

    def collect(self, iteration: int) -> Collected:
        """Give the engines the weights that the policy has now, and wait for the groups that it learns from next."""
        began = time.monotonic()
        for engine in self.engines:
            engine.update_weights(iteration)
        taking: Future[tuple[Collected, float]] = Future()
        self._request(lambda: self._open(iteration, taking))
        collected, utilisation = taking.result()
        ages = iteration - _versions(collected.episodes)
        bound = self.schedule.max_staleness
        assert not len(ages) or 0 <= ages.min() <= ages.max() <= bound, f"an engine mislabels its weights: {set(ages)}"
        figures = {
            "staleness": float(ages.mean()) if len(ages) else 0.0,
            "staleness_max": float(ages.max(initial=0)),
            "waiting_seconds": time.monotonic() - began,
            "engine_utilisation": utilisation,
        }
        return Collected(collected.episodes, {**collected.figures, **figures})

    def state(self) -> dict[str, Any]:
        """What later iterations need of the earlier ones, as JSON; what is in flight by its starts."""
        return self._ask(self._state) if self._thread is not None else self._state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, before the first collection."""
        self.starts.restore(state)
        self.log.restore(state["log"])
        self._faults, self._rounds = self.log.faults, int(state["rounds"])
        self._planned = deque(_Planned(Start(**row["start"]), row["round"], row["place"]) for row in state["planned"])

    def close(self) -> None:
        """Stop playing and close every environment; what is in flight is let go."""
        self._closing = True
        self.flow.wake()
        self._requests.put(lambda: None)
        if self._thread is not None:
            self._thread.join()
        self.flow.close()
        if self._mirror is not None:
            self._mirror.close()
        if self.pool is not None:
            self.pool.close()
        for place in self._local:
            place.close()

    def _request(self, request: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._play, name="rollouts", daemon=True)
            self._thread.start()
        self._requests.put(request)
        self.flow.wake()

    def _ask(self, question: Callable[[], Value]) -> Value:
        answer: Future[Value] = Future()

        def reply() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:  # belongs to whoever asked
                answer.set_exception(error)

        self._request(reply)
        return answer.result()

    # ----------------------------------------------------------------------------------------- the thread that plays

    def _play(self) -> None:
        problem: BaseException | None = None
        try:
            while not self._closing:
                self._begin_groups()
                self._hand_over()
                if not self._requests.empty() or not self.flow.in_flight:
                    self._requests.get()()
                    continue
                for one in self.flow.wait():
                    self._note(one)
        except BaseException as error:  # the learner learns of it when it next comes by
            problem = error
        while problem is not None and not self._closing:
            if self._taking is not None:
                self._taking.set_exception(problem)
                self._taking = None
            self._requests.get()()

    def _open(self, iteration: int, taking: Future[tuple[Collected, float]]) -> None:
        self.schedule.left = (self.config.iterations - iteration) * self.config.rollout.groups
        self.schedule.open(iteration)
        self.log.iteration = iteration + 1
        self._taking = taking

    def _begin_groups(self) -> None:
        size = self.config.rollout.group_size
        while self.schedule.room:
            planned, number = self._next(), self._begun
            self._begun += 1
            self.schedule.begin(number)
            group = self._groups[number] = _Group(planned)
            kind, seed = planned.start.kind, planned.start.env_seed
            for member in range(size):
                key = (*self.entropy, planned.round, planned.place * size + member)
                place = self._free[kind].pop() if self._free[kind] else self._make(kind)
                one = self.flow.begin(Seat(place, self.config.environments[kind].id, seed, key, number))
                group.playing.append(one)

    def _next(self) -> _Planned:
        if not self._planned:
            count = self.config.rollout.groups
            rng, again = self.starts.random(self._rounds), self.starts.memory.take(count)
            new = self.starts.draw(rng, self._rounds, 0, count, again)
            self._planned.extend(_Planned(start, self._rounds, place) for place, start in enumerate(new))
            self._rounds += 1
        return self._planned.popleft()

    def _make(self, kind: int) -> LocalEnv | IsolatedEnv:
        environment = self.config.environments[kind]
        if self.pool is not None:
            return self.pool.add(environment)
        self._local.append(LocalEnv(environment))
        return self._local[-1]

    def _note(self, one: Playing) -> None:
        """An episode has ended: its environment is free for the next, and its group may be whole."""
        options, number = self.config.collection, one.seat.group
        group = self._groups[number]
        assert not isinstance(one.seat.env, ChatEnv | RecordChat)
        self._free[group.planned.start.kind].append(one.seat.env)
        group.ended += 1
        if group.ended < self.config.rollout.group_size:
            return
        can_drop = options.dynamic_sampling and len(self._dropped) < options.max_refills * self.schedule.groups
        if can_drop and not has_variance(group.episodes):
            self.schedule.drop(number)
            self._dropped.append(self._groups.pop(number))
        else:
            self.schedule.end(number)

    def _hand_over(self) -> None:
        """Give the learner its groups, if it waits for them and they have ended."""
        taken = self.schedule.take()
        if taken is None or self._taking is None:
            return
        groups = [*self._dropped, *(self._groups.pop(number) for number in taken)]
        self._dropped = []
        played = [group.episodes for group in groups]
        self.starts.learn_from([group.planned.start for group in groups], played)
        collected = choose(played, self.log.faults - self._faults, self.starts)
        self._faults = self.log.faults
        (before, spoken), now = self._since, (time.monotonic(), self.flow.spoken_seconds)
        self._since = now
        self._taking.set_result((collected, (now[1] - spoken) / ((now[0] - before) * max(self.flow.engines, 1))))
        self._taking = None

    def _state(self) -> dict[str, Any]:
        planned = [*(self._groups[number].planned for number in sorted(self._groups)), *self._planned]
        rows = [asdict(one) for one in planned]
        return {**self.starts.state(), "log": self.log.state(), "rounds": self._rounds, "planned": rows}


def _versions(episodes: Sequence[Episode]) -> np.ndarray:
    """The version of the weights that sampled each token, int64 (tokens,)."""
    turns = [turn for episode in episodes if episode.failure is None for turn in episode.turns]
    return np.repeat([turn.version for turn in turns], [len(turn.reply_ids) for turn in turns]).astype(np.int64)
