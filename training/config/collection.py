"""Which episodes an iteration is made of, and what is done about environments that break."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import at_least, fraction, positive


@dataclass(frozen=True)
class CurriculumConfig:
    """Environments (levels) are drawn by how often they are solved: those in between the most."""

    floor: float = 0.1
    """Least factor on an environment's weight; the factor is 4 p (1 - p) for a success rate p, so at most 1."""
    rate: float = 0.3
    """How far an iteration moves the success rate of each environment that it played; the rate starts at 1/2."""

    def __post_init__(self) -> None:
        for key in ("floor", "rate"):
            positive(key, vars(self)[key])
            fraction(key, vars(self)[key])


@dataclass(frozen=True)
class ReplayConfig:
    """Some groups start where an earlier group of this stage started that was not solved."""

    share: float = 0.25
    """Share of an iteration's groups that start so, as far as there are such starts; rounded down."""
    solved: float = 0.5
    """A group counts as solved when at least this share of its episodes succeeded."""
    memory: int = 256
    """Starts that are remembered; the oldest are forgotten first."""
    tries: int = 4
    """A start is forgotten after so many replays, solved or not."""

    def __post_init__(self) -> None:
        for key in ("share", "solved"):
            positive(key, vars(self)[key])
            fraction(key, vars(self)[key])
        for key in ("memory", "tries"):
            at_least(key, vars(self)[key], 1)


@dataclass(frozen=True)
class AsynchronousConfig:
    """Episodes go on while the policy learns, under weights that are some updates old; a seed no longer fixes a run."""

    max_staleness: int = 1
    """Most iterations between the weights that sampled a token and those that learn from it; 0: nothing goes ahead."""
    ahead: int | None = None
    """Groups begun before the iteration that learns from them; none: max_staleness * rollout.groups, the most."""

    def __post_init__(self) -> None:
        at_least("max_staleness", self.max_staleness, 0)
        at_least("ahead", self.ahead or 0, 0)


@dataclass(frozen=True)
class CollectionConfig:
    """Faults of environments, and the choice of starting states."""

    workers: int | None = None
    """Processes that environments run in, killed when one hangs; 0: this one; None: some for those that need it."""
    step_seconds: float = 60.0
    """A step that takes longer fails its episode (with workers only)."""
    reset_seconds: float = 120.0
    """A reset that takes longer fails its episode (with workers only)."""
    retries: int = 0
    """How often an episode whose environment broke begins again, with the same seed, before it counts as failed."""
    dynamic_sampling: bool = False
    """Drop groups whose episodes all have the same reward, and play others in their place (DAPO)."""
    max_refills: int = 3
    """How often an iteration plays other groups in the place of dropped ones."""
    curriculum: CurriculumConfig | None = None
    """Draw environments by their success; none: by their weights alone."""
    replay: ReplayConfig | None = None
    """Play starts again that were not solved; none: every start is new."""
    asynchronous: AsynchronousConfig | None = None
    """Play the next episodes while the policy learns from the last; none: first the one, then the other."""

    def __post_init__(self) -> None:
        for key in ("workers", "retries"):
            at_least(key, vars(self)[key] or 0, 0)
        for key in ("step_seconds", "reset_seconds"):
            positive(key, vars(self)[key])
        at_least("max_refills", self.max_refills, 1)
