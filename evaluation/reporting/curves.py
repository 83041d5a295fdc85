"""Learning curves: the rows of a run as one picture of small panels. The one file that imports matplotlib."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmmr1.envs.errors import MissingExtraError

# Told apart with every common colour blindness, and in grey.
COLOURS = ("#0b62a4", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#3aa0a8", "#8c564b", "#555555")
NEUTRAL = "#3d4a63"
INK, GREY, BANDS = "#1f2430", "#7a8190", ("#f4f6fa", "#e9edf4")
COLUMNS, PANEL_WIDTH, PANEL_HEIGHT, DOTS_PER_INCH = 2, 5.6, 2.9, 110

Row = Mapping[str, Any]
# The place of an evaluation, the success rate, and the lower and upper end of its interval.
Point = tuple[float, float, float, float]
# A title, what it says, the lines (label to key in a row), and whether the axis goes from 0 to 1.
Panel = tuple[str, str, dict[str, str], bool]


def draw_curves(rows: Sequence[Row], evaluations: Sequence[Row], stages: Sequence[str] = ()) -> bytes:
    """Draw the learning curves of a run.

    Every stage is drawn equally wide, whatever the number of its iterations, and labelled with that number.

    Args:
        rows: of metrics, one an iteration; see `read_metrics`.
        evaluations: {"stage": ..., "tasks": {task: {mode: figures}}}, each with an "iteration" where it was made within
            a stage and not at its end.
        stages: their order; by default the order in which the rows name them.

    Returns:
        A PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Drawing learning curves", "matplotlib", "report") from error

    seen = [*stages, *(str(row.get("stage")) for row in rows)]
    timeline = _Timeline([name for name in dict.fromkeys(seen) if any(row.get("stage") == name for row in rows)], rows)
    colours = _task_colours(rows, evaluations)
    drawings: list[Callable[[Any], None]] = [
        *_evaluation_panels(evaluations, timeline, colours),
        *(_row_panel(panel, rows, timeline, colours) for panel in _panels(rows)),
    ]
    lines = max(1, math.ceil(len(drawings) / COLUMNS))
    figure = Figure(figsize=(COLUMNS * PANEL_WIDTH, lines * PANEL_HEIGHT), dpi=DOTS_PER_INCH, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr]
    axes = list(figure.subplots(lines, COLUMNS, squeeze=False).flat)
    for axis, draw in itertools.zip_longest(axes, drawings):
        if draw is None:
            axis.set_axis_off()
            continue
        timeline.draw(axis)
        draw(axis)
        _finish(axis)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


class _Timeline:
    """Where a row stands on the horizontal axis: each stage takes one unit."""

    def __init__(self, stages: Sequence[str], rows: Sequence[Row]) -> None:
        self.stages = list(stages)
        self.counts = {name: sum(row.get("stage") == name for row in rows) for name in stages}
        done = dict.fromkeys(stages, 0)
        self.places: list[float] = []
        for row in rows:
            name = str(row.get("stage"))
            done[name] = done.get(name, 0) + 1
            self.places.append(self.at(name, done[name]))

    def at(self, stage: str, iteration: float) -> float:
        """The place of a stage's iteration, counted from 1."""
        if stage not in self.stages:
            return 0.0  # "start": before all stages
        return self.stages.index(stage) + min(1.0, iteration / max(1, self.counts[stage]))

    def draw(self, axis: Any) -> None:
        """Shade and label the stages."""
        for index, name in enumerate(self.stages):
            axis.axvspan(index, index + 1, color=BANDS[index % 2], lw=0, zorder=0)
            label = f"{name}\n{self.counts[name]} iteration{'' if self.counts[name] == 1 else 's'}"
            below = axis.get_xaxis_transform()
            axis.text(index + 0.5, -0.045, label, transform=below, fontsize=8.5, ha="center", va="top", color=GREY)
        axis.set_xlim(-0.03, max(1, len(self.stages)) + 0.03)
        axis.set_xticks([])


def _finish(axis: Any) -> None:
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.spines["left"].set_color("#c9ced8")
    axis.tick_params(axis="y", colors=GREY, length=0)
    axis.grid(axis="y", color="#dfe3ea", lw=0.7, zorder=0.5)
    axis.set_axisbelow(True)
    handles, labels = axis.get_legend_handles_labels()
    if len(labels) > 1:
        axis.legend(handles, labels, frameon=False, fontsize=8, loc="best", labelcolor=INK)


def _title(axis: Any, title: str, meaning: str) -> None:
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=20)
    axis.text(0, 1.03, meaning, transform=axis.transAxes, fontsize=8.5, color=GREY, va="bottom")


def _percent(axis: Any) -> None:
    axis.set_ylim(-0.02, 1.04)
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])


# -------------------------------------------------------------------------------------------------- held-out panels


def _task_colours(rows: Sequence[Row], evaluations: Sequence[Row]) -> dict[str, str]:
    """One colour for a task in every panel; tasks that are trained on and held out under one name share it."""
    held_out = [name for row in evaluations for name in row.get("tasks", {})]
    names = dict.fromkeys([*held_out, *_trained_tasks(rows)])
    return dict(zip(names, itertools.cycle(COLOURS), strict=False))


def _trained_tasks(rows: Sequence[Row]) -> dict[str, str]:
    return {key.partition("/")[2]: key for row in rows for key in row if key.startswith("accuracy/")}


def _evaluation_panels(
    evaluations: Sequence[Row], timeline: _Timeline, colours: Mapping[str, str]
) -> list[Callable[[Any], None]]:
    names = list(dict.fromkeys(name for row in evaluations for name in row.get("tasks", {})))
    titles = {"greedy": "Held-out success, likeliest reply", "sampled": "Held-out success, sampled reply"}
    panels = []
    for mode, title in titles.items():
        lines = {name: _evaluation_line(evaluations, name, mode, timeline) for name in names}
        lines = {name: line for name, line in lines.items() if line}
        if lines:
            panels.append(_evaluation_panel(title, lines, colours))
    return panels


def _evaluation_line(evaluations: Sequence[Row], task: str, mode: str, timeline: _Timeline) -> list[Point]:
    points = []
    for row in evaluations:
        figures = row.get("tasks", {}).get(task, {}).get(mode) or {}
        if figures.get("success") is None:
            continue
        rate = figures["success"]
        low, high = figures.get("interval") or (rate, rate)
        place = timeline.at(str(row.get("stage")), row.get("iteration", math.inf))
        points.append((place, rate, low, high))
    return sorted(points)


def _evaluation_panel(
    title: str, lines: Mapping[str, list[Point]], colours: Mapping[str, str]
) -> Callable[[Any], None]:
    def draw(axis: Any) -> None:
        for index, (name, line) in enumerate(lines.items()):
            places, rates, lows, highs = zip(*line, strict=True)
            below = [max(0.0, rate - low) for rate, low in zip(rates, lows, strict=True)]
            above = [max(0.0, high - rate) for rate, high in zip(rates, highs, strict=True)]
            # A little apart, so that intervals of different tasks do not hide each other.
            shifted = [place + 0.012 * (index - (len(lines) - 1) / 2) for place in places]
            axis.errorbar(
                shifted,
                rates,
                yerr=[below, above],
                color=colours[name],
                marker="os^Dv<>P"[index % 8],
                ms=4.5,
                lw=1.8,
                elinewidth=1,
                capsize=2.5,
                label=name,
                zorder=3,
            )
        _percent(axis)
        _title(axis, title, "problems kept out of training; bars are 95 % intervals")

    return draw


# -------------------------------------------------------------------------------------------------- training panels


def _panels(rows: Sequence[Row]) -> list[Panel]:
    tasks = _trained_tasks(rows)
    accuracy = tasks if len(tasks) > 1 else {"accuracy": "accuracy"}
    panels: list[Panel] = [
        ("Training success", "share of training episodes solved, sampled", accuracy, True),
        ("Reward", "mean sum of rewards of one training episode", {"reward": "reward"}, False),
        ("Format", "share of replies in the form that was asked for", {"format": "format_rate"}, True),
        ("Length of a reply", "mean tokens of one reply", {"tokens": "reply_tokens"}, False),
        ("KL divergence", "how far the policy moved from the start of the stage", {"KL": "kl"}, False),
        ("Entropy", "how undecided the policy is over the next token", {"entropy": "entropy"}, False),
        ("Loss of supervised stages", "mean loss of one reply token", {"loss": "loss"}, False),
    ]
    return [panel for panel in panels if any(_values(rows, key) for key in panel[2].values())]


def _values(rows: Sequence[Row], key: str) -> list[tuple[int, float]]:
    """(index of the row, value) where there is a finite one."""
    found = [(index, row.get(key)) for index, row in enumerate(rows)]
    return [(i, float(v)) for i, v in found if isinstance(v, (int, float)) and math.isfinite(v)]


def _row_panel(
    panel: Panel, rows: Sequence[Row], timeline: _Timeline, colours: Mapping[str, str]
) -> Callable[[Any], None]:
    title, meaning, lines, is_share = panel

    def draw(axis: Any) -> None:
        for label, key in lines.items():
            colour = colours.get(label, NEUTRAL)
            # A line for each stage: the pace and the tasks change between them.
            pieces = _split_by_stage(_values(rows, key), rows)
            for number, piece in enumerate(pieces):
                places = [timeline.places[i] for i, _ in piece]
                values = [value for _, value in piece]
                axis.plot(places, values, color=colour, lw=0.8, alpha=0.3, zorder=2)
                smooth = _smooth(values)
                marker = "o" if len(piece) == 1 else None
                name = label if number == 0 else "_nolegend_"
                axis.plot(places, smooth, color=colour, lw=1.8, marker=marker, ms=4, label=name, zorder=3)
        if is_share:
            _percent(axis)
        _title(axis, title, meaning)

    return draw


def _split_by_stage(values: Sequence[tuple[int, float]], rows: Sequence[Row]) -> list[list[tuple[int, float]]]:
    groups = itertools.groupby(values, key=lambda point: rows[point[0]].get("stage"))
    return [list(group) for _, group in groups]


def _smooth(values: Sequence[float]) -> list[float]:
    """A centred moving average over about a tenth of the values."""
    reach = len(values) // 20
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]
