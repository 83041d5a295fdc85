"""The display of a run: plain lines where there is no terminal, one place where there is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lmmr1.training.records.progress import Progress, describe_row


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _run(progress: Progress, clock: Clock) -> None:
    with progress:
        progress.start_stage("sft", "learn from examples")
        for step in range(4):
            clock.now += 2
            progress.advance({"loss": 1.0 / (step + 1)})
        progress.evaluating("text")
        clock.now += 1000  # an evaluation must not stretch what is left
        progress.start_stage("fre", "learn by trying", done=3)
        for _ in range(3):
            clock.now += 60
            progress.advance({"reward": 0.5, "accuracy": 0.25, "kl": None})
        progress.note("a [note] that stays")


def test_plain_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    _run(Progress({"sft": 4, "fre": 6}, every=2, console=Console(file=stream, width=100), clock=clock), clock)
    assert stream.getvalue().splitlines() == [
        "stage 1 of 2, sft: learn from examples",
        "sft 1/4  loss 1.000  18 s left",
        "sft 2/4  loss 0.500  16 s left",
        "sft 4/4  loss 0.250  12 s left",
        "evaluating text",
        "stage 2 of 2, fre: learn by trying (from 3)",
        "fre 4/6  reward 0.50  accuracy 25%  2 min left",
        "fre 6/6  reward 0.50  accuracy 25%  ",
        "a [note] that stays",
        "done after 20 min",
    ]


def test_terminal() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    _run(Progress({"sft": 4, "fre": 6}, console=console, clock=clock), clock)
    shown = stream.getvalue()
    for expected in ("all stages", "10/10", "6/6", "accuracy 25%", "a [note] that stays", "done after"):
        assert expected in shown, expected


def test_interrupted_and_unknown() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress({"a": 1}, console=Console(file=stream)) as progress:
        progress.start_stage("b", "")
    assert stream.getvalue() == "stopped\n"


def test_row_without_figures() -> None:
    assert describe_row({"stage": "x", "reward": None}) == ""
