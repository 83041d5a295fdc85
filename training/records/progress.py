"""What a person sees of a run while it works: one display with bars, the time left, and the few figures that matter."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

# Key in a row of metrics, what it is called here, how it is written.
FIGURES = (
    ("loss", "loss", "{:.3f}"),
    ("reward", "reward", "{:.2f}"),
    ("accuracy", "accuracy", "{:.0%}"),
    ("format_rate", "format", "{:.0%}"),
    ("reply_tokens", "reply tokens", "{:.1f}"),
    ("kl", "KL", "{:.4f}"),
)


class Progress:
    """The display of a run; a context manager.

    On a terminal it stays in one place. Elsewhere (a log file, a notebook's output, CI) it writes a plain line every
    `every` iterations, and at the first and the last of a stage.

    Args:
        stages: the iterations of each stage by its name, in order.
        every: iterations between two plain lines.
        console: where to; standard error by default, so that standard output holds results only.
        clock: seconds, rising.
    """

    def __init__(
        self,
        stages: Mapping[str, int],
        every: int = 10,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See the class."""
        self._stages = dict(stages)
        self._every = every
        self._console = Console(stderr=True) if console is None else console
        self._clock = clock
        self._stage = ""
        self._done = 0  # iterations of the present stage
        self._started = clock()
        self._last = self._started
        self._durations: deque[float] = deque(maxlen=20)
        self._live: Live | None = None
        self._bars = Bars(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            expand=True,
        )
        self._overall = self._bars.add_task("all stages", total=sum(self._stages.values()) or None, left="")
        self._current = self._bars.add_task("", total=None, visible=False, left="")
        self._figures = Text("")

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(Group(self._bars, self._figures), console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self.note(f"done after {_duration(self._clock() - self._started)}" if self._is_complete() else "stopped")

    def start_stage(self, name: str, help: str, done: int = 0) -> None:
        """Go to a stage.

        Args:
            name: a key of `stages`; whatever stands before it counts as done.
            help: one line that says what the stage is for.
            done: how many of its iterations are done already (a resumed run).

        Raises:
            KeyError: there is no such stage.
        """
        total = self._stages[name]
        self._stage, self._done, self._last = name, done, self._clock()
        self._durations.clear()  # another stage, another pace
        self._bars.update(self._current, description=name, total=total, completed=done, visible=True)
        self._bars.update(self._overall, completed=self._completed())
        self._show("")
        position = list(self._stages).index(name) + 1
        self.note(f"stage {position} of {len(self._stages)}, {name}: {help}" + (f" (from {done})" if done else ""))

    def advance(self, row: Mapping[str, Any]) -> None:
        """One iteration of the present stage is done; `row` is what was written into the metrics about it."""
        now = self._clock()
        self._durations.append(now - self._last)
        self._last = now
        self._done += 1
        left = self._time_left()
        self._bars.update(self._current, completed=self._done)
        self._bars.update(self._overall, completed=self._completed(), left=left)
        figures = describe_row(row)
        self._show(figures)
        total = self._stages[self._stage]
        if self._live is None and (self._done % self._every == 0 or self._done in (1, total)):
            self._print(f"{self._stage} {self._done}/{total}  {figures}  {left}")

    def evaluating(self, name: str) -> None:
        """Say that the evaluation `name` (a task, or a stage's end) is under way."""
        self._show(f"evaluating {name}")
        if self._live is None:
            self._print(f"evaluating {name}")

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def _show(self, text: str) -> None:
        self._figures.plain = text

    def _completed(self) -> int:
        names = list(self._stages)
        return sum(self._stages[name] for name in names[: names.index(self._stage)]) + self._done

    def _is_complete(self) -> bool:
        return bool(self._stage) and self._completed() >= sum(self._stages.values())

    def _time_left(self) -> str:
        # The median: an iteration with a checkpoint or an evaluation in it says nothing about the next.
        remaining = sum(self._stages.values()) - self._completed()
        return f"{_duration(remaining * statistics.median(self._durations))} left" if remaining else ""


def describe_row(row: Mapping[str, Any]) -> str:
    """The figures of a row of metrics that matter most, in one line; what is absent or null is left out."""
    shown = [(name, form, row.get(key)) for key, name, form in FIGURES]
    return "  ".join(f"{name} {form.format(value)}" for name, form, value in shown if value is not None)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
