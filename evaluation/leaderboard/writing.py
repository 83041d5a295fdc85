"""The standings in writing: Markdown, and one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from statistics import fmean
from typing import Any

from ..reporting.page import fill_page
from ..scoring.pairing import PairedDifference
from ..scoring.scores import bootstrap_interval
from .standings import Cell, Standing, main_figure, values_of

NOTE = (
    "Success in percent; reward as the mean sum of an episode's task rewards, without what the form of replies earns."
    " In brackets 95 % intervals: Wilson's for the success in one environment, bootstrapped over problems for all"
    " else. All play the same problems; the mean counts each environment the same."
)


def write_markdown(standings: Sequence[Standing]) -> str:
    """Tables in Markdown, aligned so that they can be read as they are."""
    parts = [_markdown(*_success_table(standings)), _markdown(*_reward_table(standings))]
    behind = _behind_table(standings)
    if behind[1]:
        parts.append(f"Against {standings[0].agent}, on the same problems:\n\n{_markdown(*behind)}")
    failures = [f"- {agent}, {task}: {reason}" for agent, task, reason in _failures(standings)]
    if failures:
        parts.append("Failed:\n\n" + "\n".join(failures))
    return "\n\n".join([*parts, NOTE])


def write_html(standings: Sequence[Standing], title: str, subtitle: str) -> str:
    """The same as a page of its own, without a script and nothing to load."""
    failures = "".join(
        f"<li>{escape(agent)}, {escape(task)}: {escape(reason)}</li>" for agent, task, reason in _failures(standings)
    )
    behind = _behind_table(standings)
    sections = {
        "success": ("Success", _html(*_success_table(standings))),
        "reward": ("Reward", _html(*_reward_table(standings))),
        "pairs": (
            f"Against {escape(standings[0].agent)}, on the same problems",
            _html(*behind) if behind[1] else "",
        ),
        "failed": ("Failed", f"<ul>{failures}</ul>" if failures else ""),
        "reading": ("How to read this page", f"<p>{escape(NOTE)}</p>"),
    }
    footer = "Made by <code>lmmr1 leaderboard</code>; every episode is kept beside this page."
    return fill_page(escape(title), escape(subtitle), sections, footer)


Table = tuple[list[str], list[list[str]]]


def _success_table(standings: Sequence[Standing]) -> Table:
    def cell(one: Cell) -> str:
        figures = one.figures or {}
        return _interval(figures.get("success"), figures.get("interval"), _percent)

    return _table(standings, cell, lambda one: _interval(one.success, one.interval, _percent), "mean success")


def _reward_table(standings: Sequence[Standing]) -> Table:
    def cell(one: Cell) -> str:
        values = values_of(one, "reward")
        return _interval(fmean(values), bootstrap_interval(values, 0), _decimal)

    return _table(standings, cell, lambda one: _interval(one.reward, one.reward_interval, _decimal), "mean reward")


def _table(
    standings: Sequence[Standing], cell: Callable[[Cell], str], mean: Callable[[Standing], str], name: str
) -> Table:
    tasks = list(standings[0].cells)
    rows = []
    for number, one in enumerate(standings, start=1):
        found = [_with_failures(one.cells[task], cell) for task in tasks]
        rows.append([f"{number}. {one.agent}", *found, *([mean(one)] if len(tasks) > 1 else [])])
    return ["agent", *tasks, *([name] if len(tasks) > 1 else [])], rows


def _with_failures(one: Cell, cell: Callable[[Cell], str]) -> str:
    if one.figures is None:
        return "failed"
    failed = one.figures["failed"]
    return cell(one) + (f", {failed} failed" if failed else "")


def _behind_table(standings: Sequence[Standing]) -> Table:
    rows = []
    for one in standings[1:]:
        for task, difference in one.behind.items():
            figure = main_figure([one.cells[task], standings[0].cells[task]])
            rows.append([one.agent, task, figure, *_difference(difference, figure)])
    return ["agent", "environment", "of", "difference", "better", "worse", "p"], rows


def _difference(one: PairedDifference, figure: str) -> list[str]:
    if not one.better and not one.worse:
        return ["none", "0", "0", "1"]
    show = _points if figure == "success" else _signed
    clear = "" if one.is_clear else " (may be chance)"
    told = f"{show(one.difference)} [{show(one.interval[0])}, {show(one.interval[1])}]{clear}"
    return [told, str(one.better), str(one.worse), f"{one.p_value:.2g}"]


def _failures(standings: Sequence[Standing]) -> list[tuple[str, str, str]]:
    return [(one.agent, task, cell.failure) for one in standings for task, cell in one.cells.items() if cell.failure]


def _interval(value: float | None, ends: Sequence[float] | None, show: Callable[[float], str]) -> str:
    if value is None:
        return "-"
    return show(value) + (f" [{show(ends[0])}, {show(ends[1])}]" if ends is not None else "")


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _points(value: float) -> str:
    return f"{100 * value:+.0f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _decimal(value: float) -> str:
    return f"{value:.2f}"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: list[str]) -> str:
        padded = zip(row, widths, strict=True)
        return (
            "| " + " | ".join(f"{cell:{'>' if at else '<'}{width}}" for at, (cell, width) in enumerate(padded)) + " |"
        )

    rule = "|" + "|".join("-" * (width + 1) + (":" if at else "-") for at, width in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])


def _html(head: list[str], rows: list[list[str]]) -> str:
    def line(row: list[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    table = f'<table class="figures"><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
