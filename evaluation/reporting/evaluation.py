"""The report of an evaluation, or of several side by side: one page without a network, and the same in Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lmmr1.agents.episode import Episode
from lmmr1.envs.errors import MissingExtraError
from lmmr1.envs.messages import StopReason

from ..suites.suite import plain_name
from ..suites.tables import PUBLISHED
from .films import has_pictures
from .judged import (
    COLUMNS,
    Difference,
    Judged,
    colour_of,
    compare_runs,
    difference_text,
    figure_rows,
    main_figure,
    published_rows,
    read_evaluations,
    show_main,
    tasks_and_modes,
    verdict_on,
    write_markdown,
)
from .page import fill_page
from .plots import draw_lengths, draw_pass_at_k, draw_reward_parts, draw_success
from .samples import data_uri
from .tables import MODE_LABELS
from .transcripts import choose_episodes, html_film, html_transcript

PAGE, TEXT, FILMS = "report.html", "report.md", "films"
SAMPLES = 4
GREEN, RED = "29,122,70", "179,55,47"
MOST_GROUPS = 40


def write_evaluation_report(folders: Sequence[Path], out: Path) -> Path:
    """Write report.html and report.md.

    Args:
        folders: of complete evaluations; several are compared, each with the first.
        out: the folder of the report.

    Returns:
        The path of the page.

    Raises:
        UserError: a folder holds no complete evaluation.
    """
    runs = read_evaluations(folders)
    out.mkdir(parents=True, exist_ok=True)
    first = runs[0]
    names = " against ".join(run.label for run in runs)
    differences = compare_runs(runs)
    sections = {
        "result": ("Result", _html_result(runs)),
        "difference": ("The same problems, one against the other", _html_differences(differences)),
        "published": ("Beside the paper", _html_published(runs)),
        "plots": ("Plots", _html_plots(runs)),
        "groups": ("Where it succeeds and where it fails", "".join(_html_groups(run) for run in runs)),
        "samples": ("Episodes", "".join(_html_samples(run, len(runs) > 1) for run in runs)),
        "films": ("Films", "".join(_html_films(run, out / FILMS, len(runs) > 1) for run in runs)),
        "reading": ("How to read this page", _READING),
        "details": ("How to repeat it", "".join(_html_details(run) for run in runs)),
    }
    page = fill_page(
        title=f"{escape(names)} on {escape(first.settings.suite.name)}",
        subtitle=escape(first.settings.suite.help),
        sections=sections,
        footer="Made by lmmr1 from the kept episodes; <code>results.json</code> holds every figure.",
    )
    _write(out / TEXT, write_markdown(runs, differences))
    _write(out / PAGE, page)
    return out / PAGE


# ---------------------------------------------------------------------------------------------------------- sections


def _html_result(runs: Sequence[Judged]) -> str:
    head = "".join(f'<th scope="col">{escape(run.label)}</th>' for run in runs)
    rows = []
    for task, mode in tasks_and_modes(runs):
        cells = []
        for run in runs:
            value, interval = show_main(run, task, mode)
            bar = _bar(run, task, run.results["tasks"].get(task, {}).get(mode))
            cells.append(f'<td><span class="rate">{value}</span> <small>{interval}</small>{bar}</td>')
        label = MODE_LABELS.get(mode, mode)
        rows.append(f'<tr><th scope="row">{escape(task)}</th><td class="mode">{label}</td>{"".join(cells)}</tr>')
    more = "".join(_html_figures(run, len(runs) > 1) for run in runs)
    table = (
        '<div class="scroll"><table class="results"><thead><tr><th>Task</th><th>Reply</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    return f"<p>Success, or the score of the benchmark, with its 95 % interval.</p>{table}{more}"


def _bar(run: Judged, task: str, figures: Mapping[str, Any] | None) -> str:
    if not figures or main_figure(run, task, figures) != "success":
        return ""
    low, high = figures["interval"]
    return (
        f'<span class="bar"><i style="width:{100 * figures["success"]:.1f}%"></i>'
        f'<b style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></b></span>'
    )


def _html_figures(run: Judged, named: bool) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in figure_rows(run))
    title = f"<h3>{escape(run.label)}, all figures</h3>" if named else "<h3>All figures</h3>"
    table = f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'{title}<div class="scroll">{table}</div>'


def _html_differences(differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(task)}</th><td>{MODE_LABELS.get(mode, mode)}</td><td>{escape(label)}</td>'
        f"<td>{difference_text(figure, d)}</td><td>{d.better} better, {d.worse} worse</td><td>{d.p_value:.3g}</td>"
        f'<td><span class="tag {colour_of(d)}">{verdict_on(d)}</span></td></tr>'
        for task, mode, label, figure, d in differences
    )
    return (
        "<p>Both play the same problems, so each is compared with the other on each of them: the mean difference, "
        "its 95 % bootstrap interval over problems, and the exact sign test.</p>"
        '<div class="scroll"><table class="results"><thead><tr><th>Task</th><th>Reply</th><th>Run</th>'
        f"<th>Difference to the first</th><th>Problems</th><th>p</th><th></th></tr></thead><tbody>{rows}</tbody>"
        "</table></div>"
    )


def _html_published(runs: Sequence[Judged]) -> str:
    parts = []
    for title, (head, *rows) in published_rows(runs):
        cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>'
            for row in rows
        )
        note = next(escape(table.note) for table in PUBLISHED.values() if table.title == title)
        parts.append(
            f'<h3>{escape(title)}</h3><div class="scroll"><table class="figures"><thead><tr>{cells}</tr></thead>'
            f'<tbody>{body}</tbody></table></div><p class="note">{note}</p>'
        )
    return "".join(parts)


def _html_plots(runs: Sequence[Judged]) -> str:
    results = {run.label: run.results for run in runs}
    modes = list(dict.fromkeys(mode for run in runs for mode in run.settings.suite.modes))
    shown = modes[0]
    played = {run.label: {task: run.episodes(task, shown) for task in run.results["tasks"]} for run in runs}
    try:
        pictures = [
            *((f"Success, {MODE_LABELS[mode]}", draw_success(results, mode)) for mode in modes),
            ("pass@k", draw_pass_at_k(results)),
            ("Lengths of replies", draw_lengths(played)),
            ("Parts of the reward", draw_reward_parts(played)),
        ]
    except MissingExtraError as error:
        return f"<p>There are no plots on this page. {escape(str(error))}, then write the report again.</p>"
    return "".join(
        f'<div class="panel curves"><img alt="{escape(title)}" src="{data_uri(picture, "image/png")}"></div>'
        for title, picture in pictures
        if picture is not None
    )


def _ending(episode: Episode) -> str:
    if episode.failure is not None:
        return "failed"
    if episode.success:
        return "solved"
    if episode.turns and episode.turns[-1].cut_off:
        return "cut off"
    if episode.turns and not episode.turns[-1].well_formed and not episode.turns[-1].answer:
        return "malformed"
    if episode.facts.get("verdict") == "unverifiable":
        return "unverifiable"
    return "wrong" if episode.stop_reason is StopReason.TASK_ENDED else "stopped"


ENDINGS = ("solved", "wrong", "stopped", "malformed", "cut off", "unverifiable", "failed")


def _html_groups(run: Judged) -> str:
    rows = []
    mode = run.settings.suite.modes[0]
    for task, modes in run.results["tasks"].items():
        episodes = run.episodes(task, mode)
        groups = {what: names for what, names in modes.get(mode, {}).get("groups", {}).items() if len(names) > 1}
        rows.append((f"{task}, all", episodes))
        for what, names in groups.items():
            chosen = list(names)[:MOST_GROUPS]
            rows += [(f"{what} {name}", [e for e in episodes if str(e.facts.get(what)) == name]) for name in chosen]
    body = "".join(_html_ending_row(label, episodes) for label, episodes in rows if episodes)
    head = "".join(f'<th scope="col">{name}</th>' for name in ENDINGS)
    return (
        f"<h3>{escape(run.label)}, {MODE_LABELS.get(mode, mode)}</h3>"
        "<p>How the episodes of each kind ended, in percent.</p>"
        f'<div class="scroll"><table class="figures endings"><thead><tr><th></th><th>episodes</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_ending_row(label: str, episodes: Sequence[Episode]) -> str:
    counts = Counter(map(_ending, episodes))
    cells = "".join(
        f'<td style="background:rgba({GREEN if name == "solved" else RED},{0.55 * counts[name] / len(episodes):.2f})">'
        f"{100 * counts[name] / len(episodes):.0f}</td>"
        for name in ENDINGS
    )
    return f'<tr><th scope="row">{escape(label)}</th><td>{len(episodes)}</td>{cells}</tr>'


def _html_samples(run: Judged, named: bool) -> str:
    parts = []
    mode = run.settings.suite.modes[0]
    for task in run.results["tasks"]:
        cards = "".join(
            html_transcript(episode, f"problem {episode.group + 1}")
            for episode in choose_episodes(run.episodes(task, mode), SAMPLES)
        )
        parts.append(
            f"<details><summary>{escape(task)}{' by ' + escape(run.label) if named else ''}</summary>{cards}</details>"
        )
    return (
        "<p>Thoughts are in blue; what each turn was paid stands under it. Solved and unsolved in turn.</p>"
        if parts
        else ""
    ) + ("".join(parts).replace("<details>", "<details open>", 1))


def _html_films(run: Judged, folder: Path, named: bool) -> str:
    parts = []
    own = folder / plain_name(run.label) if named else folder
    for task in run.results["tasks"]:
        long = [e for e in run.episodes(task, run.settings.suite.modes[0]) if len(e.turns) > 1 and has_pictures(e)]
        for episode in choose_episodes(long, 2):
            title = f"{task}, problem {episode.group + 1}" + (f", {run.label}" if named else "")
            parts.append(html_film(episode, title, own))
    return f'<div class="films">{"".join(parts)}</div>' if parts else ""


_READING = """<dl class="terms">
<dt>Likeliest, sampled</dt><dd>the model takes the most probable next token, or draws from the probabilities.</dd>
<dt>95 % interval</dt><dd>Wilson's for a share of independent problems; bootstrapped over problems for everything else.
It says how far chance in the choice of problems might have moved a figure.</dd>
<dt>pass@k</dt><dd>the chance that one of k sampled replies at least is right; with k = 1 it is avg@k, the mean over all
attempts.</dd>
<dt>Score</dt><dd>MageBench's. In Sokoban 100 plus 5 times what the best return lacks to that of a shortest solution; so
somebody idle scores far above 0.</dd>
<dt>Regret</dt><dd>moves beyond a shortest solution, of the levels that were solved.</dd>
<dt>Failed</dt><dd>something broke; such an episode counts neither as right nor as wrong.</dd></dl>"""


def _html_details(run: Judged) -> str:
    facts = {
        "folder": run.folder,
        "seed": run.settings.seed,
        **{f"agent {k}": v for k, v in run.settings.agent.items()},
    }
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in facts.items())
    suite = escape(json.dumps(run.settings.suite.document(), indent=1, ensure_ascii=False))
    return (
        f'<h3>{escape(run.label)}</h3><div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
        f"<details><summary>The suite, with all its values</summary><pre>{suite}</pre></details>"
    )


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    # Text of a model may hold lone surrogates, which no file can.
    partial.write_bytes(text.encode("utf-8", errors="replace"))
    partial.replace(path)
