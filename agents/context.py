"""What an agent sees of an episode at each turn, as a word that recipes, agents and episode files share."""

from __future__ import annotations

from dataclasses import dataclass

from lmmr1.envs.errors import UserError

CONVERSATION, TURN, WINDOW = "conversation", "turn", "window"
_ALL = "all"


@dataclass(frozen=True)
class Context:
    """A context policy.

    Attributes:
        kind: "conversation" (everything so far), "turn" (the present turn alone) or "window" (the last turns). System
            messages are always shown.
        turns: of a window, how many turns it shows, the present one among them; None for all.
        images: of a window, how many of those turns (the last ones) show their images; None for all. An image that is
            no longer shown leaves a word in its place.

    Raises:
        UserError: an unknown kind, a limit below 1, limits without a window, or a window without limits.
    """

    kind: str = CONVERSATION
    turns: int | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in (CONVERSATION, TURN, WINDOW):
            raise UserError(f"context must be one of {CONVERSATION}, {TURN}, {WINDOW}; not {self.kind!r}")
        for key, limit in (("window_turns", self.turns), ("window_images", self.images)):
            if limit is not None and limit < 1:
                raise UserError(f"{key} must be at least 1, not {limit}")
        limited = self.turns is not None or self.images is not None
        if limited and self.kind != WINDOW:
            key = "window_turns" if self.turns is not None else "window_images"
            raise UserError(f"{key} needs context: {WINDOW}; the context is {self.kind!r}")
        if not limited and self.kind == WINDOW:
            raise UserError("context window needs window_turns or window_images; to show all of both use conversation")

    def __str__(self) -> str:
        """The word for it, such as "turn" or "window:3:1" (three turns, images in one; "all" for no limit)."""
        if self.kind != WINDOW:
            return self.kind
        return ":".join([WINDOW, *(_ALL if limit is None else str(limit) for limit in (self.turns, self.images))])

    @classmethod
    def parse(cls, word: str) -> Context:
        """Read what `str` wrote.

        Raises:
            UserError: it is no such word.
        """
        kind, *limits = word.split(":")
        if not limits:
            return cls(kind)
        if kind != WINDOW or len(limits) != 2 or not all(limit == _ALL or limit.isdecimal() for limit in limits):
            raise UserError(f"context: {word!r} is not understood; write conversation, turn or window:TURNS:IMAGES")
        return cls(kind, *(None if limit == _ALL else int(limit) for limit in limits))

    @property
    def keeps_history(self) -> bool:
        """Whether every prompt starts with all the ids before it, so that an episode is one sequence."""
        return self.kind == CONVERSATION

    def shown(self, turn: int) -> range:
        """The turns that the prompt of `turn` (counted from 0) shows, itself last."""
        return _last(turn, 1 if self.kind == TURN else self.turns)

    def pictured(self, turn: int) -> range:
        """Those of them that show their images."""
        shown = self.shown(turn)
        return range(max(shown.start, _last(turn, self.images).start), shown.stop)

    def grows(self, turn: int) -> bool:
        """Whether the prompt of the turn after `turn` starts with all ids of this one."""
        return self.shown(turn + 1).start == 0 and self.pictured(turn + 1).start == 0


def _last(turn: int, count: int | None) -> range:
    return range(0 if count is None else max(turn + 1 - count, 0), turn + 1)
