"""The report of an evaluation, or of several side by side: one page without a network, and the same in Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from lmmr1.agents.episode import Episode
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import StopReason

from ..scoring.pairing import PairedDifference, pair_episodes, value_of
from ..session import RESULTS, Settings, read_episodes, read_settings
from ..suites.tables import PUBLISHED
from .films import has_pictures
from .page import fill_page
from .plots import draw_lengths, draw_pass_at_k, draw_reward_parts, draw_success
from .samples import data_uri
from .tables import MODE_LABELS, percent
from .transcripts import choose_episodes, html_film, html_transcript

PAGE, TEXT, FILMS = "report.html", "report.md", "films"
SAMPLES = 4
MOST_GROUPS = 40


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
        label = name if name not in taken else next(f"{name} ({n})" for n in range(2, 99) if f"{name} ({n})" not in taken)
        found.append(Judged(label, folder, settings, results))
    return found


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


# --------------------------------------------------------------------------------------------------------- comparing


def compare_runs(runs: Sequence[Judged]) -> list[tuple[str, str, str, str, PairedDifference]]:
    """Each run against the first, by task and mode: task, mode, the run's label, the figure, the difference."""
    found = []
    for run in runs[1:]:
        for task, modes in runs[0].results["tasks"].items():
            for mode, figures in modes.items():
                if mode not in run.results["tasks"].get(task, {}):
                    continue
                figure = _main_figure(figures)
                difference = pair_episodes(runs[0].episodes(task, mode), run.episodes(task, mode), value_of(figure))
                if difference is not None:
                    found.append((task, mode, run.label, figure, difference))
    return found


def _main_figure(figures: Mapping[str, Any]) -> str:
    if figures.get("score") is not None:
        return "score"
    return "success" if figures.get("success") is not None else "return"


def _shown(figures: Mapping[str, Any] | None, figure: str | None = None) -> tuple[str, str]:
    """A figure and its interval as text."""
    if not figures or not figures.get("episodes"):
        return "-", ""
    figure = figure or _main_figure(figures)
    if figure == "success":
        low, high = figures["interval"]
        return f"{percent(figures['success'])} %", f"{percent(low)} to {percent(high)}"
    low, high = figures[f"{figure}_interval"]
    return f"{figures[figure]:.2f}", f"{low:.2f} to {high:.2f}"


def _difference_text(figure: str, difference: PairedDifference) -> str:
    scale, unit = (100, " points") if figure == "success" else (1, "")
    low, high = (scale * end for end in difference.interval)
    return f"{scale * difference.difference:+.1f}{unit} ({low:+.1f} to {high:+.1f})"


# ---------------------------------------------------------------------------------------------------------- sections


def _html_result(runs: Sequence[Judged]) -> str:
    head = "".join(f'<th scope="col">{escape(run.label)}</th>' for run in runs)
    rows = []
    for task, mode in _tasks_and_modes(runs):
        cells = []
        for run in runs:
            figures = run.results["tasks"].get(task, {}).get(mode)
            value, interval = _shown(figures)
            cells.append(f'<td><span class="rate">{value}</span> <small>{interval}</small>{_bar(figures)}</td>')
        label = MODE_LABELS.get(mode, mode)
        rows.append(f'<tr><th scope="row">{escape(task)}</th><td class="mode">{label}</td>{"".join(cells)}</tr>')
    more = "".join(_html_figures(run, len(runs) > 1) for run in runs)
    table = (
        '<div class="scroll"><table class="results"><thead><tr><th>Task</th><th>Reply</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    return f"<p>Success, or the score of the benchmark, with its 95 % interval.</p>{table}{more}"


def _tasks_and_modes(runs: Sequence[Judged]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((t, m) for run in runs for t, modes in run.results["tasks"].items() for m in modes))


def _bar(figures: Mapping[str, Any] | None) -> str:
    if not figures or _main_figure(figures) != "success":
        return ""
    low, high = figures["interval"]
    return (
        f'<span class="bar"><i style="width:{100 * figures["success"]:.1f}%"></i>'
        f'<b style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></b></span>'
    )


_COLUMNS = ("task", "reply", "problems", "attempts", "success", "pass@k", "return", "format", "length", "turns", "score", "regret", "failed")


def _figure_rows(run: Judged) -> list[list[str]]:
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
                    "-" if figures["success"] is None else " ".join(_shown(figures, "success")),
                    ", ".join(f"{k}: {percent(v)}" for k, v in rates.items()) or "-",
                    _number(figures["return"]),
                    "-" if figures["format_rate"] is None else f"{percent(figures['format_rate'])} %",
                    length,
                    _number(figures["turns"], 1),
                    _number(figures.get("score")),
                    _number(figures.get("regret")),
                    str(figures["failed"]),
                ]
            )
    return rows


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _html_figures(run: Judged, named: bool) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in _figure_rows(run))
    title = f"<h3>{escape(run.label)}, all figures</h3>" if named else "<h3>All figures</h3>"
    return f'{title}<div class="scroll"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _html_differences(differences: Sequence[tuple[str, str, str, str, PairedDifference]]) -> str:
    if not differences:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(task)}</th><td>{MODE_LABELS.get(mode, mode)}</td><td>{escape(label)}</td>'
        f"<td>{_difference_text(figure, d)}</td><td>{d.better} better, {d.worse} worse</td><td>{d.p_value:.3g}</td>"
        f'<td><span class="tag {_colour(d)}">{_verdict(d)}</span></td></tr>'
        for task, mode, label, figure, d in differences
    )
    return (
        "<p>Both play the same problems, so each is compared with itself in the other's place: the mean difference, its "
        "95 % bootstrap interval over problems, and the exact sign test.</p>"
        '<div class="scroll"><table class="results"><thead><tr><th>Task</th><th>Reply</th><th>Run</th><th>Difference to the'
        f" first</th><th>Problems</th><th>p</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _colour(difference: PairedDifference) -> str:
    return "flat" if not difference.is_clear else "up" if difference.difference > 0 else "down"


def _verdict(difference: PairedDifference) -> str:
    if not difference.is_clear:
        return "no clear difference"
    return "clearly better" if difference.difference > 0 else "clearly worse"


def _published_rows(runs: Sequence[Judged]) -> list[tuple[str, list[list[str]]]]:
    """Tables: title, and rows with the head first. Ours before the paper's."""
    tables = []
    for name in dict.fromkeys(name for run in runs for name in run.settings.suite.published):
        table = PUBLISHED[name]
        rows = [["", *table.columns]]
        for run in runs:
            columns = run.results.get("columns", {})
            rows.append([f"{run.label} (measured here)", *(_cell(run, columns, name) for name in table.columns)])
        if any(cell != "-" for row in rows[1:] for cell in row[1:]):
            rows += [[label, *(_number(value) for value in values)] for label, values in table.rows.items()]
            tables.append((table.title, rows))
    return tables


def _cell(run: Judged, columns: Mapping[str, Any], name: str) -> str:
    value = columns.get(name)
    if value is None:
        return "-"
    return f"{100 * value if run.settings.suite.columns[name].figure == 'success' else value:.2f}"


def _html_published(runs: Sequence[Judged]) -> str:
    parts = []
    for title, (head, *rows) in _published_rows(runs):
        cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>' for row in rows
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
        f"<h3>{escape(run.label)}, {MODE_LABELS.get(mode, mode)}</h3><p>How the episodes of each kind ended, in percent.</p>"
        f'<div class="scroll"><table class="figures endings"><thead><tr><th></th><th>episodes</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_ending_row(label: str, episodes: Sequence[Episode]) -> str:
    counts = Counter(map(_ending, episodes))
    cells = "".join(
        f'<td style="background:rgba({"29,122,70" if name == "solved" else "179,55,47"},{0.55 * counts[name] / len(episodes):.2f})">'
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
        parts.append(f"<details><summary>{escape(task)}{' by ' + escape(run.label) if named else ''}</summary>{cards}</details>")
    return ("<p>Thoughts are in blue; what each turn was paid stands under it. Solved and unsolved in turn.</p>" if parts else "") + (
        "".join(parts).replace("<details>", "<details open>", 1)
    )


def _html_films(run: Judged, folder: Path, named: bool) -> str:
    parts = []
    for task in run.results["tasks"]:
        long = [e for e in run.episodes(task, run.settings.suite.modes[0]) if len(e.turns) > 1 and has_pictures(e)]
        for episode in choose_episodes(long, 2):
            title = f"{task}, problem {episode.group + 1}" + (f", {run.label}" if named else "")
            parts.append(html_film(episode, title, folder))
    return f'<div class="films">{"".join(parts)}</div>' if parts else ""


_READING = """<dl class="terms"><dt>Likeliest, sampled</dt><dd>the model takes the most probable next token, or draws from
the probabilities.</dd><dt>95 % interval</dt><dd>Wilson's for a share of independent problems; bootstrapped over problems for
everything else. It says how far chance in the choice of problems might have moved a figure.</dd><dt>pass@k</dt><dd>the
chance that one of k sampled replies at least is right; with k = 1 it is avg@k, the mean over all attempts.</dd>
<dt>Score</dt><dd>MageBench's. In Sokoban 100 plus 5 times what the best return lacks to that of a shortest solution; so
somebody idle scores far above 0.</dd><dt>Regret</dt><dd>moves beyond a shortest solution, of the levels that were
solved.</dd><dt>Failed</dt><dd>something broke; such an episode counts neither as right nor as wrong.</dd></dl>"""


def _html_details(run: Judged) -> str:
    facts = {"folder": run.folder, "seed": run.settings.seed, **{f"agent {k}": v for k, v in run.settings.agent.items()}}
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in facts.items())
    suite = escape(json.dumps(run.settings.suite.document(), indent=1, ensure_ascii=False))
    return (
        f'<h3>{escape(run.label)}</h3><div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
        f"<details><summary>The suite, with all its values</summary><pre>{suite}</pre></details>"
    )


# ---------------------------------------------------------------------------------------------------------- Markdown


def write_markdown(
    runs: Sequence[Judged], differences: Sequence[tuple[str, str, str, str, PairedDifference]]
) -> str:
    """The tables of the report."""
    lines = [f"# {' against '.join(run.label for run in runs)} on {runs[0].settings.suite.name}", ""]
    lines += [runs[0].settings.suite.help, ""]
    rows = [["task", "reply", *(run.label for run in runs)]]
    for task, mode in _tasks_and_modes(runs):
        cells = [_shown(run.results["tasks"].get(task, {}).get(mode)) for run in runs]
        rows.append([task, MODE_LABELS.get(mode, mode), *(f"{v} ({i})" if i else v for v, i in cells)])
    lines += [*markdown_table(rows), ""]
    for run in runs:
        lines += [f"## {run.label}, all figures", "", *markdown_table([list(_COLUMNS), *_figure_rows(run)]), ""]
    if differences:
        found = [["task", "reply", "run", "difference to the first", "problems", "p", ""]]
        for task, mode, label, figure, d in differences:
            row = [task, MODE_LABELS.get(mode, mode), label, _difference_text(figure, d)]
            found.append([*row, f"{d.better} better, {d.worse} worse", f"{d.p_value:.3g}", _verdict(d)])
        lines += ["## The same problems, one against the other", "", *markdown_table(found), ""]
    for title, table in _published_rows(runs):
        lines += [f"## {title}", "", *markdown_table(table), ""]
    return "\n".join(lines)


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the head first, as the lines of a Markdown table."""
    plain = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    rule = "| " + " | ".join("---" for _ in plain[0]) + " |"
    lines = ["| " + " | ".join(row) + " |" for row in plain]
    return [lines[0], rule, *lines[1:]]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    # Text of a model may hold lone surrogates, which no file can.
    partial.write_bytes(text.encode("utf-8", errors="replace"))
    partial.replace(path)
