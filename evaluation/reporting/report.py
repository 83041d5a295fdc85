"""The report of a run: one page, for a reader who knows nothing of the project, made from the run's folder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lmmr1.agents.episode import load_episodes
from lmmr1.envs.errors import MissingExtraError, UserError

from .curves import draw_curves
from .films import FOLDER as VIDEOS
from .films import Film, pair_problems, read_films
from .page import EMBEDDED_NOTE, INTRO, KIND_NOTES, TERMS, fill_page
from .samples import data_uri, html_samples
from .tables import MODALITIES, START, describe_change, evaluations_by_stage, html_table, percent

FILE_NAME = "report.html"
KINDS = {"ppo": "reinforcement learning", "sft": "learning from examples (supervised)"}
Recipe = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder.

    The page holds its pictures; only the larger films are files beside it, in `videos`. What a run has not left (no
    episodes, no films) is left out.

    Args:
        folder: with recipe.yaml, and with metrics.jsonl, evaluations.jsonl, summary.json, episodes/ and videos/ as far
            as the run has got.

    Returns:
        The path of the page.

    Raises:
        UserError: this is no folder of a run, or a file in it cannot be read; says which.
        MissingExtraError: PyYAML is not installed. (Without matplotlib the page says why it has no curves.)
    """
    recipe = _read_recipe(folder)
    rows = _read_rows(folder / "metrics.jsonl")
    evaluations = _read_rows(folder / "evaluations.jsonl")
    summary = _read_json(folder / "summary.json")
    stages = [name for name in recipe["stages"] if any(row.get("stage") == name for row in rows)]
    after = [stage for stage in evaluations_by_stage(evaluations) if stage != START]
    films = read_films(folder)
    sections = {
        "result": ("What came of it", _html_result(recipe, evaluations, after)),
        "stages": ("What was trained, and how", _html_stages(recipe, rows)),
        "table": ("Before and after, in figures", _html_figures(recipe, evaluations)),
        "curves": ("How it learned", _html_curves(rows, evaluations, stages)),
        "samples": ("The same problems, before and after", _html_problems(folder, after)),
        "films": ("Films", _html_films(folder, films)),
        "reading": ("How to read this page", _html_terms()),
        "details": ("How to repeat it", _html_details(folder, recipe, summary, rows)),
    }
    page = fill_page(
        title=f"{escape(str(recipe.get('name', folder.name)))}: a training run",
        subtitle=escape(str(recipe.get("help", ""))),
        sections=sections,
        footer=f"Made by lmmr1 from the folder <code>{escape(folder.resolve().name)}</code>. All figures are in its"
        " <code>metrics.jsonl</code> and <code>evaluations.jsonl</code>, one JSON object a line.",
    )
    path = folder / FILE_NAME
    unfinished = folder / f".{FILE_NAME}"
    # Text of a model may hold lone surrogates, which no file can.
    unfinished.write_bytes(page.encode("utf-8", errors="replace"))
    unfinished.replace(path)
    return path


# ---------------------------------------------------------------------------------------------------------- reading


def _read_recipe(folder: Path) -> Recipe:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("Writing a report", "PyYAML", "train") from error
    path = folder / "recipe.yaml"
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{folder} is not the folder of a run: cannot read {path.name} ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict) or not isinstance(recipe.get("stages"), dict):
        raise UserError(f"{path} is not the recipe of a run: it has no stages")
    return recipe


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; a last line without an end was never finished and is left out."""
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not readable as JSON: {error}") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: not a JSON object")
        rows.append(row)
    return rows


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not readable as JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _tasks(recipe: Recipe) -> Mapping[str, Mapping[str, Any]]:
    return (recipe.get("evaluation") or {}).get("tasks") or {}


# --------------------------------------------------------------------------------------------------------- sections


def _html_result(recipe: Recipe, evaluations: Rows, after: Sequence[str]) -> str:
    stages = evaluations_by_stage(evaluations)
    if START not in stages or not after:
        return f'<p class="intro">{INTRO}</p><p>No test before and after training was kept in this folder.</p>'
    tasks = _tasks(recipe)
    cards = []
    for name, first in stages[START].items():
        last = stages[after[-1]].get(name, {})
        kind = MODALITIES.get(str(tasks.get(name, {}).get("modality")), "")
        lines = [_html_change(first.get(mode), last.get(mode), label) for mode, label in _MODE_LINES]
        mode = "greedy" if "greedy" in first else "sampled"
        colour, sentence = describe_change(first.get(mode), last.get(mode))
        cards.append(
            f'<div class="card"><h3>{escape(name)}</h3><p class="kind">{kind}</p>{"".join(filter(None, lines))}'
            f'<p><span class="tag {colour}">{sentence}</span></p></div>'
        )
    return (
        f'<p class="intro">{INTRO}</p><p>Share of test problems solved, before training and after '
        f'<em>{escape(after[-1])}</em>:</p><div class="cards">{"".join(cards)}</div>'
        '<p class="note">A gain or a loss is called clear where the 95 % intervals of the two do not overlap.</p>'
    )


_MODE_LINES = (("greedy", "likeliest reply"), ("sampled", "sampled reply"))


def _html_change(first: Any, last: Any, label: str) -> str:
    if not first or not last:
        return ""
    if first.get("success") is None or last.get("success") is None:
        values = [figures.get("return") for figures in (first, last)]
        text = ["-" if value is None else f"{value:.2f}" for value in values]
        label = f"mean return, {label}"
    else:
        text = [f"{percent(figures['success'])} %" for figures in (first, last)]
    return (
        f'<p class="change"><span class="from">{text[0]} &rarr;</span> {text[1]}</p>'
        f'<p class="second">{escape(label)}</p>'
    )


def _html_stages(recipe: Recipe, rows: Rows) -> str:
    items = []
    for name, stage in recipe["stages"].items():
        own = [row for row in rows if row.get("stage") == name]
        worlds = [_describe_environment(environment) for environment in _environments(stage)]
        facts = [KINDS.get(str(stage.get("kind")), str(stage.get("kind")))]
        if own:
            facts.append(f"{len(own)} iterations" if len(own) > 1 else "1 iteration")
        seconds = _total(own, "wall_seconds")
        if seconds:
            facts.append(_duration(seconds))
        episodes = _total(own, "episodes")
        if episodes:
            facts.append(f"{episodes:,.0f} attempts")
        items.append(
            f"<li><strong>{escape(str(name))}</strong><p>{escape(str(stage.get('help', '')))}</p>"
            f'<p class="note">{escape(", ".join(facts))}</p><p class="note">Tasks: {"; ".join(worlds)}</p></li>'
        )
    path = str((recipe.get("model") or {}).get("path", ""))
    model = f"<code>{escape(path)}</code>{EMBEDDED_NOTE if path == 'tiny' else '.'}"
    kinds = {str(stage.get("kind")) for stage in recipe["stages"].values()}
    notes = " ".join(note for kind, note in KIND_NOTES.items() if kind in kinds)
    return (
        f"<p>{notes}</p><p>The model is {model} It went through these stages, in order:</p>"
        f'<ol class="stages">{"".join(items)}</ol>'
    )


def _describe_environment(environment: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{key} {_plain(value)}" for key, value in (environment.get("kwargs") or {}).items())
    return f"<code>{escape(str(environment.get('id')))}</code>" + (f" ({escape(settings)})" if settings else "")


def _environments(stage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    examples = [demonstration["environment"] for demonstration in stage.get("demonstrations") or []]
    return [*(stage.get("environments") or []), *examples]


def _plain(value: Any) -> str:
    """A setting without the brackets and quotes of a program."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return " ".join(_plain(entry) for entry in value)
    return str(value)


def _html_figures(recipe: Recipe, evaluations: Rows) -> str:
    if not evaluations:
        return ""
    modalities = {name: str(task.get("modality")) for name, task in _tasks(recipe).items()}
    return (
        "<p>Success on problems kept out of training; beside it, and as the dark line on the bar, its 95 % interval."
        "</p>" + html_table(evaluations, modalities)
    )


def _html_curves(rows: Rows, evaluations: Rows, stages: Sequence[str]) -> str:
    if not rows:
        return ""
    try:
        picture = data_uri(draw_curves(rows, evaluations, stages), "image/png")
    except MissingExtraError as error:
        return f"<p>There are no curves on this page. {escape(str(error))}, then write the report again.</p>"
    return (
        "<p>Every stage is drawn equally wide. Pale lines are single iterations, strong lines their moving average."
        " Training figures jump where a new stage brings new tasks.</p>"
        f'<div class="panel curves"><img alt="Learning curves" src="{picture}"></div>'
    )


def _html_problems(folder: Path, after: Sequence[str]) -> str:
    if not after:
        return ""
    first, last = folder / "episodes" / START, folder / "episodes" / after[-1]
    if not (first.is_dir() and last.is_dir()):
        return ""
    samples = html_samples(pair_problems(load_episodes(first), load_episodes(last)), after[-1])
    return samples and (
        "<p>What the model wrote, word for word. Picked to show what changed: first problems that became solved, last"
        " one that is not solved after training, where there is one. The table above says how common each is.</p>"
        + samples
    )


def _html_films(folder: Path, films: Sequence[Film]) -> str:
    # A film of a single turn says no more than the sample problem does.
    long = [film for film in films if max(f.turns for f in films if f.task == film.task) > 1]
    parts = []
    for task in dict.fromkeys(film.task for film in long):
        members = "".join(_html_film(folder, film) for film in long if film.task == task)
        parts.append(f'<h3>{escape(task)}</h3><div class="films">{members}</div>')
    if not parts:
        return ""
    return (
        "<p>Whole games, one page a turn: what the model saw, thought and answered, and what it was paid. Side by side"
        " the same start, before training and after it.</p>" + "".join(parts)
    )


def _html_film(folder: Path, film: Film) -> str:
    try:
        gif = data_uri((folder / VIDEOS / film.gif).read_bytes(), "image/gif")
    except OSError:
        return ""
    when = "Before training" if film.stage == START else f"After {film.stage}"
    verdict = {True: ("right", "Solved"), False: ("wrong", "Not solved"), None: ("open", "Ended")}[film.success]
    title = f"{when}, problem {film.problem + 1}, {film.turns} turns"
    source = escape(f"{VIDEOS}/{film.mp4}", quote=True)
    video = (
        "<details><summary>With controls, and full screen</summary>"
        f'<video controls preload="none" src="{source}"></video><a href="{source}">{source}</a></details>'
        if film.mp4 is not None and (folder / VIDEOS / film.mp4).is_file()
        else ""
    )
    return (
        f'<div class="film {verdict[0]}"><h4>{escape(title)} <span class="verdict">{verdict[1]}</span></h4>'
        f'<img alt="{escape(title, quote=True)}" src="{gif}">{video}</div>'
    )


def _html_terms() -> str:
    return '<dl class="terms">' + "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in TERMS) + "</dl>"


def _html_details(folder: Path, recipe: Recipe, summary: Mapping[str, Any], rows: Rows) -> str:
    facts = {"seed": recipe.get("seed", 0), **_flatten(summary), **_flatten(_read_json(folder / "timing.json"))}
    for key, label in (("wall_seconds", "training time"), ("cpu_seconds", "processor time")):
        if _total(rows, key):
            facts[f"{label} (sum over iterations)"] = _duration(_total(rows, key))
    table = "".join(f"<tr><td>{escape(key)}</td><td>{escape(_shown(value))}</td></tr>" for key, value in facts.items())
    text = escape((folder / "recipe.yaml").read_text(encoding="utf-8"))
    return (
        "<p>The recipe below is the whole of the settings. With the same versions and the same number of threads the"
        " same seed gives the same run: <code>lmmr1 train recipe.yaml</code>.</p>"
        f'<div class="scroll"><table class="facts"><tbody>{table}</tbody></table></div>'
        f"<details><summary>recipe.yaml</summary><pre>{text}</pre></details>"
    )


# ---------------------------------------------------------------------------------------------------------- figures


def _total(rows: Rows, key: str) -> float:
    return float(sum(row[key] for row in rows if isinstance(row.get(key), (int, float))))


def _flatten(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots, without what other sections show."""
    flat: dict[str, Any] = {}
    for key, value in summary.items():
        if key in ("name", "stages", "evaluations"):
            continue
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:297] + "..."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
