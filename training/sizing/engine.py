"""A simulated rollout engine: sequences that enter, advance together step by step, and leave one by one."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Hashable

# (a, b, c): a step takes a + b x sequences + c x tokens in their caches, in seconds.
Decode = tuple[float, float, float]


class SimulatedEngine:
    """Continuous batching. Its own clock never runs ahead of what `advance` was told.

    Args:
        decode: seconds of a step, see above.
        slots: sequences at once; more wait in line.
    """

    def __init__(self, decode: Decode, slots: int) -> None:
        self.decode, self.slots = decode, slots
        self.now = self.steps = self.cached = self.stall = 0.0
        self.busy = self.decoding = self.occupied = 0.0  # seconds with work, with sequences, and these x sequences
        self.running: list[tuple[float, int, float, Hashable]] = []  # by the step at which they end
        self.waiting: deque[tuple[int, float, float, Hashable]] = deque()
        self.entered = self.most = 0

    @property
    def load(self) -> int:
        """Sequences that run or wait."""
        return len(self.running) + len(self.waiting)

    def add(self, key: Hashable, reply: int, context: float, prefill: float) -> None:
        """Let a sequence of `reply` tokens after `context` enter; its prefill holds everybody up for some seconds."""
        self.waiting.append((reply, context, prefill, key))
        self._admit()

    def hold(self, seconds: float) -> None:
        """Stand still for some seconds, as while weights are updated."""
        self.stall += seconds

    def finish(self) -> float | None:
        """When the next sequence ends if nothing else happens; None if none runs."""
        if not self.running:
            return None
        return self.now + self.stall + self._seconds(max(0.0, self.running[0][0] - self.steps))

    def advance(self, now: float) -> list[Hashable]:
        """Run until `now`; the keys of the sequences that ended by then.

        To be called at `finish()` at the latest, so that what ends makes room in time.
        """
        passed = now - self.now
        self.now = now
        stalled = min(self.stall, passed)
        self.stall -= stalled
        self.busy += passed if self.running else stalled
        if self.running:
            self.decoding += passed
            self.occupied += passed * len(self.running)
        done = self._steps_in(passed - stalled)
        self.steps += done
        self.cached += done * len(self.running)
        ended = []
        while self.running and self.running[0][0] <= self.steps + 1e-6:
            _, _, length, key = heapq.heappop(self.running)
            self.cached -= length
            ended.append(key)
        self._admit()
        if not self.running:
            self.cached = 0.0
        return ended

    def _admit(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            reply, context, prefill, key = self.waiting.popleft()
            self.entered += 1
            heapq.heappush(self.running, (self.steps + reply, self.entered, context + reply, key))
            self.cached += context
            self.stall += prefill
        self.most = max(self.most, len(self.running))

    def _terms(self) -> tuple[float, float]:
        fixed, each, token = self.decode
        count = len(self.running)
        return fixed + each * count + token * self.cached, token * count / 2

    def _seconds(self, steps: float) -> float:
        """Each step adds a token to every cache, so that the steps grow longer: a sum, here an integral."""
        first, growth = self._terms()
        return steps * first + growth * steps**2

    def _steps_in(self, seconds: float) -> float:
        if not self.running or seconds <= 0:
            return 0.0
        first, growth = self._terms()
        if growth == 0:
            return seconds / first
        return (math.sqrt(first**2 + 4 * growth * seconds) - first) / (2 * growth)
