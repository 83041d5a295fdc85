"""Which groups may be begun and which are learned from, so that no token is too old when it is learned from.

An iteration learns from so many groups, and moves the weights from one version to the next. A group that was begun
under version v must be learned from by iteration v + S at the latest, S being the bound; so whoever takes groups must
see to it that those that are left can all still be in time: of those due within the next k iterations there must be
no more left than k iterations take. Where they are not done, the learner waits. No group is ever let go for being
long, and the number that is begun is the number that the stage learns from, so that how long an episode takes decides
when it is learned from and never whether.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Schedule:
    """The groups of a stage by their numbers, which rise in the order in which they are begun.

    Attributes:
        groups: what an iteration learns from.
        max_staleness: the bound S, in versions.
        ahead: how many may be begun before the iteration that learns from them; at most `max_staleness * groups`.
        left: how many the stage has still to learn from.
        version: of the weights that sample.
        begun: the version that each group in flight, or done and not taken, began under.
        done: those of them that have ended.
        is_taking: whether the iteration `version` has not got its groups yet.
    """

    groups: int
    max_staleness: int
    ahead: int
    left: int
    version: int = 0
    begun: dict[int, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    is_taking: bool = False

    def open(self, version: int) -> None:
        """The weights are of this version now, and the iteration of the same number wants its groups."""
        self.version, self.is_taking = version, True

    @property
    def room(self) -> int:
        """How many groups may be begun now."""
        allowed = self.ahead + (self.groups if self.is_taking else 0)
        return max(0, min(allowed, self.left) - len(self.begun))

    def begin(self, number: int) -> None:
        """A group is begun."""
        self.begun[number] = self.version

    def end(self, number: int) -> None:
        """A group has ended."""
        self.done.add(number)

    def drop(self, number: int) -> None:
        """A group is not learned from, and another takes its place."""
        del self.begun[number]
        self.done.discard(number)

    def take(self) -> list[int] | None:
        """The groups that this iteration learns from, the oldest that have ended; None where it must wait."""
        chosen = sorted(self.done)[: self.groups]
        if not self.is_taking or len(chosen) < self.groups:
            return None
        rest = [version for number, version in self.begun.items() if number not in chosen]
        for k in range(self.max_staleness):
            due = sum(version + self.max_staleness <= self.version + k for version in rest)
            if due > k * self.groups:
                return None
        for number in chosen:
            self.drop(number)
        self.is_taking = False
        self.left -= self.groups
        return chosen
