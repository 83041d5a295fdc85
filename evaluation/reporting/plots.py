"""Plots of evaluations: success with intervals, pass@k, lengths of replies, parts of the reward."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lmmr1.agents.episode import Episode
from lmmr1.envs.errors import MissingExtraError

from .curves import COLOURS, DOTS_PER_INCH, GREY, INK

RIGHT, WRONG = "#1d7a46", "#b3372f"
# {run: {task: episodes}}
Played = Mapping[str, Mapping[str, Sequence[Episode]]]


def new_figure(columns: int, rows: int, width: float = 5.6, height: float = 3.0) -> tuple[Any, list[Any]]:
    """A figure and its axes, row by row.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Drawing plots", "matplotlib", "report") from error
    figure = Figure(figsize=(columns * width, rows * height), dpi=DOTS_PER_INCH, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        axis.tick_params(colors=GREY, labelsize=8.5)
        axis.grid(axis="y", color="#dfe3ea", lw=0.7)
        axis.set_axisbelow(True)
    return figure, axes


def as_png(figure: Any) -> bytes:
    """A figure as the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def head(axis: Any, title: str) -> None:
    """A panel's title, at its left."""
    axis.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK)


def draw_success(results: Mapping[str, Mapping[str, Any]], mode: str) -> bytes:
    """Success of every task in one mode, a point with its 95 % interval for each run.

    Args:
        results: {run: results.json}.
        mode: "greedy" or "sampled".
    """
    tasks = list(dict.fromkeys(t for r in results.values() for t, m in r["tasks"].items() if _rate(m.get(mode))))
    figure, [axis] = new_figure(1, 1, 11.2, 0.9 + 0.45 * max(1, len(tasks)) * max(1, 0.6 * len(results)))
    for index, (run, result) in enumerate(results.items()):
        shift = 0.22 * (index - (len(results) - 1) / 2)
        points = [
            (i, result["tasks"][t][mode]) for i, t in enumerate(tasks) if _rate(result["tasks"].get(t, {}).get(mode))
        ]
        rates = [100 * figures["success"] for _, figures in points]
        ends = [[100 * figures["interval"][end] for _, figures in points] for end in (0, 1)]
        errors = [
            [max(0.0, r - low) for r, low in zip(rates, ends[0], strict=True)],
            [max(0.0, high - r) for r, high in zip(rates, ends[1], strict=True)],
        ]
        places = [i + shift for i, _ in points]
        colour = COLOURS[index % len(COLOURS)]
        axis.errorbar(rates, places, xerr=errors, fmt="os^Dv<>P"[index % 8], color=colour, capsize=3, label=run)
    axis.set_yticks(range(len(tasks)), tasks)
    axis.invert_yaxis()
    axis.set_xlim(-2, 102)
    axis.grid(axis="x", color="#dfe3ea", lw=0.7)
    head(axis, f"Success in %, with 95 % intervals ({'likeliest reply' if mode == 'greedy' else 'sampled replies'})")
    if len(results) > 1:
        axis.legend(frameon=False, fontsize=8.5)
    return as_png(figure)


def draw_pass_at_k(results: Mapping[str, Mapping[str, Any]]) -> bytes | None:
    """pass@k over k of each task, a line for each run; None where nothing was tried several times."""
    tasks = [
        task
        for task in dict.fromkeys(t for r in results.values() for t in r["tasks"])
        if any("pass_at" in r["tasks"].get(task, {}).get("sampled", {}) for r in results.values())
    ]
    if not tasks:
        return None
    figure, axes = new_figure(2, -(-len(tasks) // 2))
    for axis, task in zip(axes, tasks, strict=False):
        for index, (run, result) in enumerate(results.items()):
            rates = result["tasks"].get(task, {}).get("sampled", {}).get("pass_at", {})
            axis.plot(
                [int(k) for k in rates],
                [100 * v for v in rates.values()],
                marker="o",
                color=COLOURS[index % 8],
                label=run,
            )
        axis.set_xscale("log", base=2)
        axis.set_ylim(-2, 102)
        axis.set_xlabel("attempts k", fontsize=8.5, color=GREY)
        head(axis, f"pass@k in %: {task}")
    axes[0].legend(frameon=False, fontsize=8)
    for axis in axes[len(tasks) :]:
        axis.set_axis_off()
    return as_png(figure)


def reply_lengths(episodes: Sequence[Episode]) -> tuple[list[float], list[float], str]:
    """Mean lengths of the replies of right and of other episodes, and the unit: tokens where there are any."""
    replies = [turn for episode in episodes for turn in episode.turns]
    unit = "tokens" if any(len(turn.reply_ids) for turn in replies) else "characters"

    def length(episode: Episode) -> float:
        return fmean(len(turn.reply_ids) if unit == "tokens" else len(turn.text) for turn in episode.turns)

    played = [episode for episode in episodes if episode.turns and episode.failure is None]
    return [length(e) for e in played if e.success], [length(e) for e in played if not e.success], unit


def draw_lengths(played: Played) -> bytes | None:
    """How long replies are, those of right and of other episodes apart; a panel for each run and task."""
    panels = [(run, task, episodes) for run, tasks in played.items() for task, episodes in tasks.items() if episodes]
    if not panels:
        return None
    figure, axes = new_figure(2, -(-len(panels) // 2), height=2.6)
    for axis, (run, task, episodes) in zip(axes, panels, strict=False):
        right, wrong, unit = reply_lengths(episodes)
        values = right + wrong
        if values:
            low, high = min(values), max(values)
            bins = [low + (high - low or 1) * i / 24 for i in range(25)]
            axis.hist([right, wrong], bins=bins, stacked=True, color=[RIGHT, WRONG], label=["solved", "not solved"])
        axis.set_xlabel(f"{unit} of a reply", fontsize=8.5, color=GREY)
        axis.set_ylabel("episodes", fontsize=8.5, color=GREY)
        head(axis, f"{task}: {run}" if len(played) > 1 else task)
    axes[0].legend(frameon=False, fontsize=8)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return as_png(figure)


def draw_reward_parts(played: Played) -> bytes | None:
    """The mean reward of an episode, taken apart: a bar for each run and task."""
    bars = [
        (f"{task}\n{run}" if len(played) > 1 else task, parts)
        for run, tasks in played.items()
        for task, episodes in tasks.items()
        if (parts := _mean_parts(episodes))
    ]
    if not bars:
        return None
    names = list(dict.fromkeys(name for _, parts in bars for name in parts))
    figure, [axis] = new_figure(1, 1, 11.2, 1.0 + 0.42 * len(bars))
    up, down = [0.0] * len(bars), [0.0] * len(bars)
    for index, name in enumerate(names):
        values = [parts.get(name, 0.0) for _, parts in bars]
        lefts = [up[i] if value >= 0 else down[i] for i, value in enumerate(values)]
        axis.barh(range(len(bars)), values, left=lefts, color=COLOURS[index % 8], label=name, height=0.6)
        for i, value in enumerate(values):
            if value >= 0:
                up[i] += value
            else:
                down[i] += value
    axis.set_yticks(range(len(bars)), [label for label, _ in bars])
    axis.invert_yaxis()
    axis.axvline(0, color=GREY, lw=0.8)
    axis.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=6)
    head(axis, "Mean reward of an episode, by its parts")
    return as_png(figure)


def _mean_parts(episodes: Sequence[Episode]) -> dict[str, float]:
    scored = [episode for episode in episodes if episode.failure is None]
    names = dict.fromkeys(name for e in scored for turn in e.turns for name in turn.reward_parts)
    return {
        name: sum(turn.reward_parts.get(name, 0.0) for e in scored for turn in e.turns) / len(scored) for name in names
    }


def _rate(figures: Mapping[str, Any] | None) -> bool:
    return bool(figures) and figures is not None and figures.get("success") is not None
