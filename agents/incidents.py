"""What a rollout says about its environments: every fault and where it happened, and how long their calls took."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_INCIDENTS = 1000


@dataclass(frozen=True)
class Incident:
    """A fault and where it happened.

    Attributes:
        environment: what the episode is filed under.
        env_seed: of the episode's reset.
        turn: 1 for the first reply; 0 for the reset.
        kind: "crash", "garbage", "hang", "death" or "unverifiable", see `lmmr1.envs.isolation.outcomes.Fault`.
        error: one line.
        attempt: 0 for the first one; more after retries.
        final: whether the episode failed for good; otherwise it began again.
        iteration: of the stage, from 1; 0 outside of one.
    """

    environment: str
    env_seed: int
    turn: int
    kind: str
    error: str
    attempt: int = 0
    final: bool = True
    iteration: int = 0


@dataclass
class CallTimes:
    """The calls (resets and steps) of one environment, and the slowest of them."""

    calls: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest_env_seed: int = 0
    slowest_turn: int = 0


@dataclass
class RolloutLog:
    """Collects over any number of rollouts; `state` and `restore` carry it through a checkpoint.

    Attributes:
        incidents: the first `MAX_INCIDENTS`.
        counts: how many faults of each kind there were, and how many episodes "failed" for good, all of them counted.
        times: by environment.
        iteration: is written into the incidents.
    """

    incidents: list[Incident] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    times: dict[str, CallTimes] = field(default_factory=dict)
    iteration: int = 0

    def note_fault(self, incident: Incident) -> None:
        """Something broke."""
        self.counts[incident.kind] += 1
        self.counts["failed"] += incident.final
        if len(self.incidents) < MAX_INCIDENTS:
            self.incidents.append(Incident(**{**asdict(incident), "iteration": self.iteration}))

    def note_call(self, environment: str, env_seed: int, turn: int, seconds: float) -> None:
        """A call came back."""
        times = self.times.setdefault(environment, CallTimes())
        times.calls += 1
        times.seconds += seconds
        if seconds > times.slowest_seconds:
            times.slowest_seconds, times.slowest_env_seed, times.slowest_turn = seconds, env_seed, turn

    @property
    def faults(self) -> int:
        """How many calls broke, retries included."""
        return sum(count for kind, count in self.counts.items() if kind != "failed")

    def failures(self) -> dict[str, Any]:
        """What broke: {"failed_episodes", "faults", "kinds": {kind: count}, "incidents": [...]}, as JSON."""
        kinds = {kind: count for kind, count in sorted(self.counts.items()) if kind != "failed"}
        rows = [asdict(incident) for incident in self.incidents]
        return {"failed_episodes": self.counts["failed"], "faults": self.faults, "kinds": kinds, "incidents": rows}

    def slowest(self) -> list[dict[str, Any]]:
        """The environments, the one with the slowest call first, as JSON."""
        order = sorted(self.times.items(), key=lambda item: -item[1].slowest_seconds)
        return [
            {"environment": name, **asdict(times), "mean_seconds": times.seconds / times.calls} for name, times in order
        ]

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        times = {name: asdict(entry) for name, entry in self.times.items()}
        return {"incidents": [asdict(i) for i in self.incidents], "counts": dict(self.counts), "times": times}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.incidents = [Incident(**row) for row in state["incidents"]]
        self.counts = Counter(state["counts"])
        self.times = {name: CallTimes(**row) for name, row in state["times"].items()}
