"""Evaluations as figures for people: one or several side by side, as text and as rows of tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmr1.agents.episode import Episode
from lmmr1.envs.errors import UserError

from ..scoring.pairing import PairedDifference, pair_episodes, value_of
from ..session import RESULTS, Settings, read_episodes, read_settings
from ..suites.tables import PUBLISHED
from .tables import MODE_LABELS, percent

# Task, mode, the run's label, the figure that is compared, the difference to the first run.
Difference = tuple[str, str, str, str, PairedDifference]


@dataclass(frozen=True)
class Judged:
    """An evaluation as a report shows it.

    Attributes:
        label: what tables call it.
        folder: where it lies.
        settings: what was played by whom.
        results: results.json.
    """

    label: str
    folder: Path
    settings: Settings
    results: Mapping[str, Any]

    def episodes(self, task: str, mode: str) -> list[Episode]:
        """The episodes of a task in a mode."""
        return read_episodes(self.folder, self.settings.suite, task, mode)


def read_evaluations(folders: Sequence[Path]) -> list[Judged]:
    """Complete evaluations; their labels differ.

    Raises:
        UserError: a folder holds none, or one that is not complete.
    """
    found: list[Judged] = []
    for folder in folders:
        settings = read_settings(folder)
        try:
            results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"the evaluation in {folder} is not complete: run its command again") from error
        name = str(settings.agent["name"])
        taken = {judged.label for judged in found}
        label = (
            name if name not in taken else next(f"{name} ({n})" for n in range(2, 99) if f"{name} ({n})" not in taken)
        )
        found.append(Judged(label, folder, settings, results))
    return found


def compare_runs(runs: Sequence[Judged]) -> list[Difference]:
    """Each run against the first, by task and mode: task, mode, the run's label, the figure, the difference."""
    found = []
    for run in runs[1:]:
        for task, modes in runs[0].results["tasks"].items():
            for mode, figures in modes.items():
                if mode not in run.results["tasks"].get(task, {}):
                    continue
                figure = main_figure(runs[0], task, figures)
                difference = pair_episodes(runs[0].episodes(task, mode), run.episodes(task, mode), value_of(figure))
                if difference is not None:
                    found.append((task, mode, run.label, figure, difference))
    return found


def main_figure(run: Judged, task: str, figures: Mapping[str, Any] | None) -> str:
    """The figure that says how well a task went: what the suite's column takes, else success, else the return."""
    for column in run.settings.suite.columns.values():
        if task in column.tasks and figures and figures.get(column.figure) is not None:
            return column.figure
    return "success" if figures and figures.get("success") is not None else "return"


def show_figure(figures: Mapping[str, Any] | None, figure: str) -> tuple[str, str]:
    """A figure and its interval as text."""
    if not figures or not figures.get("episodes"):
        return "-", ""
    if figure == "success":
        low, high = figures["interval"]
        return f"{percent(figures['success'])} %", f"{percent(low)} to {percent(high)}"
    low, high = figures[f"{figure}_interval"]
    return f"{figures[figure]:.2f}", f"{low:.2f} to {high:.2f}"


def show_main(run: Judged, task: str, mode: str) -> tuple[str, str]:
    """The main figure of a task in a mode, and its interval, as text."""
    figures = run.results["tasks"].get(task, {}).get(mode)
    return show_figure(figures, main_figure(run, task, figures))


def difference_text(figure: str, difference: PairedDifference) -> str:
    """A difference and its interval as text; of shares in points."""
    scale, unit = (100, " points") if figure == "success" else (1, "")
    low, high = (scale * end for end in difference.interval)
    return f"{scale * difference.difference:+.1f}{unit} ({low:+.1f} to {high:+.1f})"


def tasks_and_modes(runs: Sequence[Judged]) -> list[tuple[str, str]]:
    """What the runs were judged on, in their order."""
    return list(dict.fromkeys((t, m) for run in runs for t, modes in run.results["tasks"].items() for m in modes))


COLUMNS = (
    "task",
    "reply",
    "problems",
    "attempts",
    "success",
    "pass@k",
    "return",
    "format",
    "length",
    "turns",
    "score",
    "regret",
    "failed",
)


def figure_rows(run: Judged) -> list[list[str]]:
    """A row for each task and mode of a run, under `COLUMNS`."""
    rows = []
    for task, modes in run.results["tasks"].items():
        for mode, figures in modes.items():
            tokens = figures.get("reply_tokens")
            length = f"{tokens:.1f} tokens" if tokens else f"{figures.get('reply_characters') or 0:.0f} characters"
            rates = figures.get("pass_at", {})
            rows.append(
                [
                    task,
                    MODE_LABELS.get(mode, mode),
                    str(figures["problems"]),
                    str(figures["attempts"]),
                    "-" if figures["success"] is None else " ".join(show_figure(figures, "success")),
                    ", ".join(f"{k}: {percent(v)}" for k, v in rates.items()) or "-",
                    show_number(figures["return"]),
                    "-" if figures["format_rate"] is None else f"{percent(figures['format_rate'])} %",
                    length,
                    show_number(figures["turns"], 1),
                    show_number(figures.get("score")),
                    show_number(figures.get("regret")),
                    str(figures["failed"]),
                ]
            )
    return rows


def show_number(value: float | None, digits: int = 2) -> str:
    """A number as text, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def colour_of(difference: PairedDifference) -> str:
    """The class of a difference on the page."""
    return "flat" if not difference.is_clear else "up" if difference.difference > 0 else "down"


def verdict_on(difference: PairedDifference) -> str:
    """A difference in words."""
    if not difference.is_clear:
        return "no clear difference"
    return "clearly better" if difference.difference > 0 else "clearly worse"


def published_rows(runs: Sequence[Judged]) -> list[tuple[str, list[list[str]]]]:
    """Tables: title, and rows with the head first. Ours before the paper's."""
    tables = []
    for name in dict.fromkeys(name for run in runs for name in run.settings.suite.published):
        table = PUBLISHED[name]
        rows = [["", *table.columns]]
        for run in runs:
            columns = run.results.get("columns", {})
            rows.append([f"{run.label} (measured here)", *(_cell(run, columns, name) for name in table.columns)])
        if any(cell != "-" for row in rows[1:] for cell in row[1:]):
            rows += [[label, *(show_number(value) for value in values)] for label, values in table.rows.items()]
            tables.append((table.title, rows))
    return tables


def _cell(run: Judged, columns: Mapping[str, Any], name: str) -> str:
    value = columns.get(name)
    if value is None:
        return "-"
    return f"{100 * value if run.settings.suite.columns[name].figure == 'success' else value:.2f}"


def write_markdown(runs: Sequence[Judged], differences: Sequence[Difference]) -> str:
    """The tables of the report."""
    lines = [f"# {' against '.join(run.label for run in runs)} on {runs[0].settings.suite.name}", ""]
    lines += [runs[0].settings.suite.help, ""]
    rows = [["task", "reply", *(run.label for run in runs)]]
    for task, mode in tasks_and_modes(runs):
        cells = [show_main(run, task, mode) for run in runs]
        rows.append([task, MODE_LABELS.get(mode, mode), *(f"{v} ({i})" if i else v for v, i in cells)])
    lines += [*markdown_table(rows), ""]
    for run in runs:
        lines += [f"## {run.label}, all figures", "", *markdown_table([list(COLUMNS), *figure_rows(run)]), ""]
    if differences:
        found = [["task", "reply", "run", "difference to the first", "problems", "p", ""]]
        for task, mode, label, figure, d in differences:
            row = [task, MODE_LABELS.get(mode, mode), label, difference_text(figure, d)]
            found.append([*row, f"{d.better} better, {d.worse} worse", f"{d.p_value:.3g}", verdict_on(d)])
        lines += ["## The same problems, one against the other", "", *markdown_table(found), ""]
    for title, table in published_rows(runs):
        lines += [f"## {title}", "", *markdown_table(table), ""]
    return "\n".join(lines)


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the head first, as the lines of a Markdown table."""
    plain = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    rule = "| " + " | ".join("---" for _ in plain[0]) + " |"
    lines = ["| " + " | ".join(row) + " |" for row in plain]
    return [lines[0], rule, *lines[1:]]
