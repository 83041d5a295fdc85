"""The before/after table of a run: for a terminal, and for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..scoring.scores import intervals_differ

START = "start"
MODALITIES = {"text": "Problems in words", "image": "Problems with pictures", "game": "Games"}
MODE_LABELS = {"greedy": "likeliest", "sampled": "sampled"}

Figures = Mapping[str, Any]
Tasks = Mapping[str, Mapping[str, Figures]]


def evaluations_by_stage(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Tasks]:
    """The last evaluation of each stage, in the order of the stages."""
    return {str(row["stage"]): row["tasks"] for row in evaluations}


def print_table(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The table as plain text: success in percent with its 95 % interval, or the mean return where nobody judges.

    Args:
        evaluations: the rows of `evaluations.jsonl`.
    """
    stages = evaluations_by_stage(evaluations)
    if not stages:
        return "nothing was evaluated"
    head = ["held-out task", "reply", *(_stage_label(stage) for stage in stages)]
    rows = [
        [task if first else "", mode, *(_plain_cell(tasks.get(task, {}).get(mode)) for tasks in stages.values())]
        for task, modes in _tasks_and_modes(stages)
        for first, mode in zip((True, *[False] * len(modes)), modes, strict=False)
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rows = [head, ["-" * width for width in widths], *rows]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = ["success in %, with its 95 % interval; greedy takes the likeliest token, sampled draws at temperature 1"]
    played = [figures for tasks in stages.values() for modes in tasks.values() for figures in modes.values()]
    failed = sum(figures.get("failed", 0) for figures in played)
    if failed:
        notes.append(f"{failed} episodes failed (something broke) and are left out")
    return "\n".join([*lines, *notes])


def html_table(evaluations: Sequence[Mapping[str, Any]], modalities: Mapping[str, str]) -> str:
    """The table as HTML.

    Args:
        evaluations: the rows of `evaluations.jsonl`.
        modalities: of each task, a key of `MODALITIES`; tasks without one come last.
    """
    stages = evaluations_by_stage(evaluations)
    pairs = _tasks_and_modes(stages)
    groups = {name: [pair for pair in pairs if modalities.get(pair[0]) == name] for name in MODALITIES}
    groups[""] = [pair for pair in pairs if modalities.get(pair[0]) not in MODALITIES]
    head = "".join(f'<th scope="col">{escape(_stage_label(stage))}</th>' for stage in stages)
    body = []
    for modality, members in groups.items():
        if members:
            label = MODALITIES.get(modality, "Tasks")
            body.append(f'<tr class="group"><th colspan="{len(stages) + 2}" scope="rowgroup">{label}</th></tr>')
        for task, modes in members:
            for index, mode in enumerate(modes):
                label = f"{escape(task)}{_problem_count(stages, task)}"
                name = f'<th scope="row" rowspan="{len(modes)}">{label}</th>' if index == 0 else ""
                cells = _html_cells([tasks.get(task, {}).get(mode) for tasks in stages.values()])
                body.append(f'<tr>{name}<td class="mode">{escape(MODE_LABELS.get(mode, mode))}</td>{cells}</tr>')
    return (
        '<div class="scroll"><table class="results"><thead><tr><th scope="col">Task</th><th scope="col">Reply</th>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def describe_change(before: Figures | None, after: Figures | None) -> tuple[str, str]:
    """What a task's figures say about training: "up", "down" or "flat", and the same in words.

    A change is clear where the two 95 % intervals have no point in common.
    """
    if not before or not after or before.get("success") is None or after.get("success") is None:
        return "flat", "not judged before and after"
    if not intervals_differ(before["interval"], after["interval"]):
        return "flat", "no clear change"
    if after["success"] > before["success"]:
        return "up", "clear gain"
    return "down", "clear loss"


def percent(rate: float) -> str:
    """A rate as whole percent, but never 0 or 100 where it is not exactly that."""
    if 0 < rate < 0.005 or 0.995 <= rate < 1:
        return f"{100 * rate:.1f}"
    return f"{100 * rate:.0f}"


def _tasks_and_modes(stages: Mapping[str, Tasks]) -> list[tuple[str, list[str]]]:
    names = dict.fromkeys(task for tasks in stages.values() for task in tasks)
    return [(name, list(dict.fromkeys(mode for t in stages.values() for mode in t.get(name, {})))) for name in names]


def _problem_count(stages: Mapping[str, Tasks], task: str) -> str:
    counts = [f.get("episodes", 0) + f.get("failed", 0) for t in stages.values() for f in t.get(task, {}).values()]
    return f"<br><small>{max(counts)} problems</small>" if counts else ""


def _stage_label(stage: str) -> str:
    return "before" if stage == START else f"after {stage}"


def _plain_cell(figures: Figures | None) -> str:
    if not figures or not figures.get("episodes"):
        return "-"
    if figures.get("success") is None:
        return f"return {figures['return']:.2f}"
    low, high = figures["interval"]
    return f"{percent(figures['success'])} [{percent(low)}, {percent(high)}]"


def _html_cells(row: Sequence[Figures | None]) -> str:
    return "".join(_html_cell(figures) for figures in row)


def _html_cell(figures: Figures | None) -> str:
    if not figures or not figures.get("episodes"):
        return "<td>-</td>"
    details = [f"{figures['episodes']} episodes"]
    if figures.get("failed"):
        details.append(f"{figures['failed']} failed and are left out")
    if figures.get("format_rate") is not None:
        details.append(f"{percent(figures['format_rate'])} % of replies in the right form")
    if figures.get("reply_tokens"):
        details.append(f"{figures['reply_tokens']:.1f} tokens a reply")
    hint = escape("; ".join(details), quote=True)
    if figures.get("success") is None:
        return f'<td title="{hint}">return {figures["return"]:.2f}</td>'
    low, high = figures["interval"]
    bar = (
        f'<span class="bar"><i style="width:{100 * figures["success"]:.1f}%"></i>'
        f'<b style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></b></span>'
    )
    rate = f'<span class="rate">{percent(figures["success"])} %</span>'
    return f'<td title="{hint}">{rate} <small>{percent(low)} to {percent(high)}</small>{bar}</td>'
