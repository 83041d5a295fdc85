"""What is told about a data set: the rows that are asked, and the rows that were refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_LISTED = 1_000


class RowError(Exception):
    """A row cannot be asked. ``kind`` groups such reasons, the message is the reason itself."""

    def __init__(self, kind: str, reason: str) -> None:
        """See the class."""
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Refusal:
    """One row that is not asked.

    Attributes:
        file: where it stands.
        row: its number there, from 1 up; of a .jsonl file its line.
        reason: why.
    """

    file: str
    row: int
    reason: str

    def __str__(self) -> str:
        """The line that is printed."""
        return f"{self.file}, row {self.row}: {self.reason}"


@dataclass
class Report:
    """What was found when a data set was read.

    Attributes:
        rows: how many rows are asked.
        refused: how many rows are not, by the kind of reason.
        refusals: the first 1,000 of them, each by name.
        golds: how many right answers there are of each kind.
        unchecked: how many right answers were not checked, because ``check`` is "fast".
        duplicates: how many rows ask what an earlier one asks.
        longest: the most characters of a question.
        sizes: the least and the most width and height of the pictures, in pixels; empty without pictures.
        pictures: how many pictures the rows hold.
    """

    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    golds: Counter[str] = field(default_factory=Counter)
    unchecked: int = 0
    duplicates: int = 0
    longest: int = 0
    sizes: list[int] = field(default_factory=list)
    pictures: int = 0

    def refuse(self, file: str, row: int, error: RowError) -> None:
        """Note a row that is not asked."""
        self.refused[error.kind] += 1
        if len(self.refusals) < MOST_LISTED:
            self.refusals.append(Refusal(file, row, str(error)))

    def note_picture(self, width: int, height: int) -> None:
        """Note the size of a picture."""
        self.pictures += 1
        low = self.sizes or [width, height, width, height]
        self.sizes = [min(low[0], width), min(low[1], height), max(low[2], width), max(low[3], height)]

    def add(self, other: Report) -> None:
        """Take in what was found in another file of the same data."""
        self.rows += other.rows
        self.refused += other.refused
        self.refusals = [*self.refusals, *other.refusals][:MOST_LISTED]
        self.golds += other.golds
        self.unchecked += other.unchecked
        self.longest = max(self.longest, other.longest)
        if other.sizes:
            pictures = self.pictures + other.pictures
            self.note_picture(other.sizes[0], other.sizes[1])
            self.note_picture(other.sizes[2], other.sizes[3])
            self.pictures = pictures

    def summary(self) -> str:
        """One line on the refusals: how many, of which kinds, and the first one by name; empty without any."""
        total = self.refused.total()
        if not total:
            return ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.refused.most_common())
        return f"{total} of {self.rows + total} rows were refused ({kinds}); the first: {self.refusals[0]}"
