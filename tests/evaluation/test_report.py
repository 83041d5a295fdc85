"""The report is one page that stands alone, for people; nothing that a model wrote can act on it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lmmr1.agents.episode import Episode, TokenCredit, Turn, load_episodes, save_episodes
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import StopReason, user
from lmmr1.evaluation.reporting import films as films_module
from lmmr1.evaluation.reporting.curves import draw_curves
from lmmr1.evaluation.reporting.films import (
    choose_pairs,
    episode_scenes,
    outcome,
    pair_problems,
    read_films,
    record_films,
)
from lmmr1.evaluation.reporting.report import write_report
from lmmr1.evaluation.reporting.tables import describe_change, percent, print_table

VOID = {"meta", "img", "br", "link", "input", "hr"}
STAGES = ["start", "fre", "mgt"]


class Reader(HTMLParser):
    """Checks that every element is closed, and gathers what the page points at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, make_run_folder: Callable[[Path], Path]) -> Path:
    """A whole run, small films included."""
    folder = make_run_folder(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(films_module, "FILM_SIZE", (320, 180))
        patch.setattr(films_module, "GIF_SIZE", (320, 180))
        record_films(folder, STAGES, count=1, name="tiny")
    return folder


def test_page_of_a_whole_run(run_folder: Path) -> None:
    path = write_report(run_folder)
    assert path == run_folder / "report.html"
    page = Reader(path.read_text(encoding="utf-8"))
    videos = [source for source in page.sources if not source.startswith("data:image/")]
    assert videos and all((run_folder / video).is_file() for video in videos)
    assert sum(source.startswith("data:image/gif") for source in page.sources) == 2
    for expected in (
        "tiny: a training run",
        "Reinforcement learning on problems in words.",
        "before after fre after mgt",
        "24 problems",
        "clear gain",
        "Before training",
        "Perimeter?",
        "Not solved, 16 turns",
        "How to read this page",
        "versions.torch 2.13.0",
        "id: LMMR1/Reasoning-v0",
    ):
        assert expected in page.text, expected
    assert "http" not in page.text.replace("https://", "")  # nothing is loaded, nothing has to be
    assert not [file for file in run_folder.iterdir() if file.name.startswith(".")]


def test_text_of_models_and_recipes_is_only_text(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;\x1b[0m"
    recipe = {"name": attack[:40], "help": attack[:40], "stages": {"a<u>": {"kind": "ppo", "help": attack[:40]}}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    figures = {"success": 0.5, "interval": [0.2, 0.8], "episodes": 4}
    rows = [{"stage": stage, "tasks": {"<u>task": {"greedy": figures}}} for stage in ("start", "a<u>")]
    (tmp_path / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "summary.json").write_text(json.dumps({"<u>": "<script>1</script>"}))
    turns = [
        Turn([user(attack)], attack, thought=attack, answer=attack, well_formed=True),
        Turn([user(attack)], attack, well_formed=False),
    ]
    for stage in ("start", "a<u>"):
        episodes = [Episode("<u>task", (0, 1, i), i, turns=turns[i:], success=bool(i)) for i in range(2)]
        save_episodes(tmp_path / "episodes" / stage, episodes)
    page = Reader(write_report(tmp_path).read_text(encoding="utf-8"))
    assert not {"script", "u"} & set(page.tags)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;" in page.text
    assert "\x1b" not in page.text


def test_page_of_a_run_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{name: x, stages: {a: {kind: sft, help: h, environments: []}}}")
    assert "supervised" in Reader(write_report(tmp_path).read_text()).text
    (tmp_path / "metrics.jsonl").write_text(
        '{"stage": "a", "loss": 2.5}\n{"stage": "a", "loss": null}\n{"stage": "a", "lo'
    )
    assert "How it learned" in Reader(write_report(tmp_path).read_text()).text


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a run"):
        write_report(tmp_path)
    (tmp_path / "recipe.yaml").write_text("[1")
    with pytest.raises(UserError, match="not readable as YAML"):
        write_report(tmp_path)
    (tmp_path / "recipe.yaml").write_text("name: x")
    with pytest.raises(UserError, match="has no stages"):
        write_report(tmp_path)
    (tmp_path / "recipe.yaml").write_text("{name: x, stages: {a: {kind: ppo}}}")
    (tmp_path / "metrics.jsonl").write_text('{"stage": "a"}\nnonsense\n')
    with pytest.raises(UserError, match="metrics.jsonl, line 2"):
        write_report(tmp_path)


# ----------------------------------------------------------------------------------------------------------- tables


def test_table_for_the_terminal(run_folder: Path) -> None:
    rows = [json.loads(line) for line in (run_folder / "evaluations.jsonl").read_text().splitlines()]
    lines = print_table(rows).splitlines()
    assert lines[0].split("  ")[0] == "held-out task"
    assert [line.split()[:2] for line in lines[2:7:2]] == [
        ["text", "greedy"],
        ["diagrams", "greedy"],
        ["sokoban", "greedy"],
    ]
    assert all(line.split()[0] == "sampled" for line in lines[3:8:2])
    assert print_table([]) == "nothing was evaluated"


def test_table_of_unjudged_missing_and_failed() -> None:
    unjudged = {"success": None, "interval": None, "return": 1.25, "episodes": 4, "failed": 2}
    judged = {"success": 0.004, "interval": [0.001, 0.9964], "return": 1.0, "episodes": 4, "failed": 0}
    rows = [
        {"stage": "start", "tasks": {"one": {"greedy": unjudged}}},
        {"stage": "a", "iteration": 5, "tasks": {"one": {"greedy": judged}}},
        {"stage": "a", "tasks": {"two": {"greedy": judged}}},
    ]
    table = print_table(rows)
    assert "return 1.25" in table and "0.4 [0.1, 99.6]" in table and "2 episodes failed" in table
    assert percent(0) == "0" and percent(1) == "100" and percent(0.996) == "99.6" and percent(0.5) == "50"


def test_changes() -> None:
    def figures(rate: float | None, low: float = 0, high: float = 0) -> dict[str, Any]:
        return {"success": rate, "interval": [low, high]}

    assert describe_change(figures(0.2, 0.1, 0.3), figures(0.5, 0.4, 0.6))[0] == "up"
    assert describe_change(figures(0.5, 0.4, 0.6), figures(0.2, 0.1, 0.3))[0] == "down"
    assert describe_change(figures(0.2, 0.1, 0.4), figures(0.5, 0.4, 0.6))[1] == "no clear change"
    assert describe_change(figures(None), figures(0.5, 0.4, 0.6))[0] == "flat"
    assert describe_change(None, None)[0] == "flat"


# ----------------------------------------------------------------------------------------------------------- curves


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"stage": "a", "reward": 1.0}],
        [{"stage": "a", "loss": 1.0}] * 3 + [{"stage": "b", "reward": None, "kl": 0.1, "accuracy/x": 0.5}] * 2,
    ],
)
def test_curves_of_little(rows: list[dict[str, Any]]) -> None:
    evaluations = [
        {"stage": "start", "tasks": {"t": {"greedy": {"success": 0.1, "interval": [0, 0.2]}, "sampled": None}}},
        {"stage": "a", "iteration": 1, "tasks": {"t": {"greedy": {"success": 0.4, "interval": None}}}},
        {"stage": "unknown", "tasks": {"t": {"greedy": {"success": None}}}},
    ]
    for shown in ([], evaluations):
        with Image.open(io.BytesIO(draw_curves(rows, shown, ["a", "never begun"]))) as image:
            assert image.format == "PNG" and image.width > 1000


# ------------------------------------------------------------------------------------------------------------ films


def test_films_of_the_same_problem_before_and_after(run_folder: Path) -> None:
    films = read_films(run_folder)
    assert {(film.task, film.stage) for film in films} == {
        (task, stage) for task in ("diagrams", "sokoban") for stage in ("start", "mgt")
    }
    assert len({film.problem for film in films if film.task == "sokoban"}) == 1
    for film in films:
        assert film.mp4 is not None and (run_folder / "videos" / film.mp4).stat().st_size > 0
        with Image.open(run_folder / "videos" / film.gif) as gif:
            # Each turn is seen, answered and paid at least; equal pages that follow each other may become one.
            assert film.turns + 1 <= gif.n_frames <= 8 * film.turns + 1  # type: ignore[attr-defined]
    assert read_films(run_folder / "nowhere") == []


def test_scenes(run_folder: Path) -> None:
    episode = next(e for e in load_episodes(run_folder / "episodes" / "mgt") if e.env_id == "sokoban" and e.success)
    scenes = episode_scenes(episode, "a title")
    assert len(scenes) == len(episode.turns) + 1
    assert [scene.turn for scene in scenes[:-1]] == list(range(1, len(episode.turns) + 1))
    assert scenes[-1].total_reward == pytest.approx(episode.total_reward)
    assert [scene.outcome for scene in scenes[:-1]] == [None] * len(episode.turns) and scenes[-1].outcome == "Solved"
    assert scenes[-1].image is not None and scenes[-2].image is not None
    assert not np.array_equal(scenes[-1].image, scenes[-2].image)  # the last page shows what came of it


def test_the_curve_is_what_the_critic_expected_where_every_turn_kept_it(run_folder: Path) -> None:
    episode = next(e for e in load_episodes(run_folder / "episodes" / "mgt") if e.env_id == "sokoban" and e.success)
    for number, turn in enumerate(episode.turns):
        zeros = np.zeros(2, np.float32)
        turn.credit = TokenCredit(zeros, zeros, np.array([number / 4, 9.0], np.float32), zeros.astype(bool))
    scenes = episode_scenes(episode, "t")[:-1]
    expected = tuple(number / 4 for number in range(len(episode.turns)))
    assert scenes[-1].curve == expected and {scene.curve_name for scene in scenes} == {"value (critic)"}
    episode.turns[0].credit = None
    assert {scene.curve_name for scene in episode_scenes(episode, "t")[:-1]} == {"return so far"}


def test_scenes_of_an_episode_without_turns() -> None:
    episode = Episode("x", (0, 1, 0), 0, final_messages=[user("hello")], stop_reason=StopReason.CONTEXT_LIMIT)
    [scene] = episode_scenes(episode, "t")
    assert scene.prompt == "hello" and scene.outcome == "Stopped: the conversation became too long"
    assert outcome(Episode("x", (), 0, stop_reason=StopReason.FAILED, failure="E: x")) == "The environment failed: E: x"


def test_pairs() -> None:
    def episode(problem: int, success: bool, **options: Any) -> Episode:
        return Episode("t", (0, 1, problem), problem, success=success, **options)

    before = [episode(i, i == 3) for i in range(6)]
    after = [episode(5, True), episode(1, False), episode(2, True), episode(3, True), episode(4, True, failure="x")]
    pairs = pair_problems(before, after)
    assert [one.key[-1] for one, _ in pairs] == [1, 2, 3, 5]
    assert [[one.key[-1] for one, _ in choose_pairs(pairs, n)] for n in range(1, 6)] == [
        [2],
        [2, 1],
        [2, 5, 1],
        [2, 5, 3, 1],
        [2, 5, 3, 1],
    ]
    assert choose_pairs([], 3) == []
