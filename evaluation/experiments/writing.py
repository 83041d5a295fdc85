"""An experiment's result for people: a table, a sentence for each claim, a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..reporting.curves import COLOURS, GREY
from ..reporting.judged import markdown_table
from ..reporting.plots import as_png, head, new_figure
from .experiment import Experiment
from .judging import Verdict, middle

NAMES = {"success": "success in %", "format_rate": "well-formed replies in %", "reply_tokens": "tokens of a reply"}
CURVES = {
    "accuracy": "training success in %",
    "reply_tokens": "tokens of a reply, training",
    "format_rate": "well-formed replies in %, training",
    "kl": "KL divergence from the start",
    "entropy": "entropy",
    "loss": "loss of supervised training",
}
PERCENT = ("success", "format_rate", "accuracy")


def write_result(experiment: Experiment, document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str:
    """The result as Markdown: question, design, table, verdicts, what the paper reports."""
    seeds = ", ".join(map(str, document["seeds"]))
    cost = document["cpu_seconds"]
    lines = [f"## {experiment.question}", "", experiment.design, ""]
    for figure in experiment.figures:
        shown = [m for m in experiment.modes if figure != "reply_tokens" or m == experiment.modes[-1]]
        rows = [["", *(f"{task.name}, {mode}" for task in experiment.tasks for mode in shown)]]
        for arm in experiment.arms:
            cells = [
                _cell(figure, document["figures"][arm.name][task.name][mode][figure])
                for task in experiment.tasks
                for mode in shown
            ]
            rows.append([arm.label, *cells])
        lines += [f"{NAMES[figure].capitalize()}; the median of the seeds {seeds}, and each:", ""]
        lines += [*markdown_table(rows), ""]
    if "reply_tokens" in experiment.figures:
        lines += [*_lengths_table(experiment, document), ""]
    lines += [*(f"* {verdict.sentence}" for verdict in verdicts), ""]
    lines += [f"What the paper reports: {experiment.paper}", ""]
    lines += [experiment.remark, ""] if experiment.remark else []
    lines += [f"![{experiment.question}]({experiment.name}.png)", ""]
    total = sum(cost.values())
    lines += [
        f"`lmmr1 experiment {experiment.name}`: {total:.0f} CPU-seconds for all arms and seeds, {cost['training']:.0f}"
        " of them training (arms that other experiments share are counted in each).",
        "",
    ]
    return "\n".join(lines)


def _lengths_table(experiment: Experiment, document: Mapping[str, Any]) -> list[str]:
    mode = experiment.modes[-1]
    rows = [["", *(f"{task.name}, {word}" for task in experiment.tasks for word in ("solved", "not solved"))]]
    for arm in experiment.arms:
        cells = []
        for task in experiment.tasks:
            values = document["figures"][arm.name][task.name][mode]
            cells += [_cell("reply_tokens", values["right_tokens"]), _cell("reply_tokens", values["wrong_tokens"])]
        rows.append([arm.label, *cells])
    return [
        f"Tokens of the replies that solved a problem, and of those that did not ({mode}):",
        "",
        *markdown_table(rows),
    ]


def _cell(figure: str, values: Sequence[float | None]) -> str:
    scale, digits = (100, 0) if figure in PERCENT else (1, 1)
    if middle(values) is None:
        return "-"

    def show(value: float | None) -> str:
        return "-" if value is None else f"{scale * value:.{digits}f}"

    return f"**{show(middle(values))}** ({' '.join(map(show, values))})"


def draw_result(
    experiment: Experiment, document: Mapping[str, Any], metrics: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
) -> bytes:
    """The figure: a panel of points for each figure and task, and a panel of curves for each key.

    Args:
        experiment: what was asked.
        document: what came of it.
        metrics: the rows of metrics.jsonl of each arm that was trained, for each seed.

    Returns:
        A PNG file.
    """
    panels = [(figure, task.name) for figure in experiment.figures for task in experiment.tasks]
    keys = [
        key for key in experiment.curves if any(key in row for rows in metrics.values() for run in rows for row in run)
    ]
    count = len(panels) + len(keys)
    columns = 2 if count < 5 else 3
    figure, axes = new_figure(columns, -(-count // columns), width=4.6, height=3.1)
    for axis, (name, task) in zip(axes, panels, strict=False):
        _draw_arms(axis, experiment, document, name, task)
    for axis, key in zip(axes[len(panels) :], keys, strict=False):
        _draw_curves(axis, experiment, metrics, key)
    for axis in axes[count:]:
        axis.set_axis_off()
    return as_png(figure)


def _colour(experiment: Experiment, arm: str) -> str:
    return COLOURS[[one.name for one in experiment.arms].index(arm) % len(COLOURS)]


def _draw_arms(axis: Any, experiment: Experiment, document: Mapping[str, Any], figure: str, task: str) -> None:
    scale = 100 if figure in PERCENT else 1
    offsets = {mode: 0.17 * (2 * i - len(experiment.modes) + 1) for i, mode in enumerate(experiment.modes)}
    for place, arm in enumerate(experiment.arms):
        for mode, offset in offsets.items():
            values = document["figures"][arm.name][task][mode][figure]
            known = [scale * value for value in values if value is not None]
            colour = _colour(experiment, arm.name)
            filled = mode == "sampled"
            axis.plot(
                known,
                [place + offset] * len(known),
                "o",
                ms=5,
                color=colour,
                mfc=colour if filled else "white",
                mew=1.3,
            )
            if known:
                value = scale * (middle(values) or 0)
                axis.plot([value] * 2, [place + offset - 0.13, place + offset + 0.13], color=colour, lw=2.2)
    axis.set_yticks(range(len(experiment.arms)), [arm.label for arm in experiment.arms])
    axis.invert_yaxis()
    axis.grid(axis="x", color="#dfe3ea", lw=0.7)
    if figure in PERCENT:
        axis.set_xlim(-3, 103)
    axis.set_xlabel(f"{NAMES[figure]}; filled sampled, hollow likeliest", fontsize=8, color=GREY)
    head(axis, task)


def _draw_curves(
    axis: Any, experiment: Experiment, metrics: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], key: str
) -> None:
    scale = 100 if key in PERCENT else 1
    for name, runs in metrics.items():
        lines = [[scale * row[key] for row in rows if row.get(key) is not None] for rows in runs]
        # Where nothing was measured (no reference, no divergence) there is nothing to draw.
        lines = [line for line in lines if any(line)]
        if not lines:
            continue
        length = min(map(len, lines))
        steps = range(1, length + 1)
        columns = [[line[i] for line in lines] for i in range(length)]
        colour = _colour(experiment, name)
        axis.fill_between(steps, [min(c) for c in columns], [max(c) for c in columns], color=colour, alpha=0.14, lw=0)
        label = experiment.arm(name).label
        axis.plot(steps, [middle(c) for c in columns], color=colour, lw=1.7, label=label)
    axis.set_xlabel("iteration of the arm's own stage", fontsize=8, color=GREY)
    axis.legend(frameon=False, fontsize=7.5)
    head(axis, CURVES.get(key, key))
