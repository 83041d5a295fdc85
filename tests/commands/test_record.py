"""`lmmr1 record`: live and kept episodes, grids, before and after, and one line for each mistake."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lmmr1 import cli
from lmmr1.agents.episode import load_episodes
from lmmr1.envs.recording import draw_scene
from lmmr1.evaluation.reporting.films import episode_scenes

SOKOBAN = "LMMR1/Sokoban-v0"
needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs lmmr1[video]")


def last_frame(path: Path) -> np.ndarray:
    with Image.open(path) as film:
        *_, last = ImageSequence.Iterator(film)
        return np.asarray(last.convert("RGB")).astype(int)


@pytest.mark.parametrize("agent", ["random", "expert", "answer:Up"])
def test_an_environment(agent: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", SOKOBAN, "--agent", agent, "--out", "film.gif", "--episodes", "1", "--max-turns", "2"]
    assert cli.main([*words, "--kwargs.dim_room", "[6, 6]", "--size", "640x360"]) == 0
    assert "film.gif: 1 episodes, " in capsys.readouterr().out
    with Image.open("film.gif") as film:
        assert film.format == "GIF" and film.size == (640, 360)


@needs_av
def test_the_film_is_called_after_the_environment(here: Path) -> None:
    assert cli.main(["record", "LMMR1/Reasoning-v0", "--episodes", "1"]) == 0
    assert (here / "LMMR1-Reasoning-v0.mp4").stat().st_size > 1000


def test_a_task_of_a_run(run_folder: Path, capsys: pytest.CaptureFixture[str], fails: Callable[..., str]) -> None:
    words = ["record", "run", "--agent", "expert"]
    assert cli.main([*words, "--out", "film.gif"]) == 0
    assert "3 episodes, 3 solved" in capsys.readouterr().out
    assert "no evaluation task 'pictures'; it has words, sokoban" in fails(*words, "--task", "pictures")
    assert "goes with an environment's id" in fails(*words, "--kwargs.level", "2")


def test_kept_episodes_of_a_run(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", "run", "--kept", "--task", "sokoban", "--out", "film.gif", "--size", "640x360"]
    assert cli.main([*words, "--episodes", "1"]) == 0
    assert "1 episodes" in capsys.readouterr().out
    episode = next(e for e in load_episodes(run_folder / "episodes" / "improve") if e.env_id == "sokoban")
    [*_, page] = episode_scenes(episode, "after improve, problem 0")
    difference = np.abs(last_frame(Path("film.gif")) - draw_scene(page, (640, 360)))
    assert np.median(difference) == 0 and difference.mean() < 3, "the last frame is the end of that very episode"
    shutil.rmtree(run_folder / "episodes" / "start" / "images")  # what is not asked for is not read
    assert cli.main([*words, "--pick", "2,0"]) == 0
    assert "2 episodes" in capsys.readouterr().out
    shutil.copytree(run_folder / "episodes" / "improve", run_folder / "episodes" / "improve-training" / "000007")
    at = words.index("--kept") + 1
    assert cli.main([*words[:at], "improve-training/000007", *words[at:]]) == 0
    assert "3 episodes" in capsys.readouterr().out


def test_the_same_problems_before_and_after(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", "run", "--kept", "--before", "start", "--after", "improve", "--task", "words"]
    assert cli.main([*words, "--out", "kept.gif", "--episodes", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 episodes, 0 solved (before training); 2 episodes, 2 solved (after improve)" in told
    words = ["record", SOKOBAN, "--before", "answer:Up", "--after", "expert", "--episodes", "1", "--max-turns", "9"]
    assert cli.main([*words, "--out", "live.gif"]) == 0
    assert "0 solved (before: answer:Up); 1 episodes" in capsys.readouterr().out
    frame = last_frame(Path("live.gif"))
    assert frame.shape == (450, 800, 3) and not np.array_equal(frame[:, :398], frame[:, 402:])


@pytest.mark.parametrize(("options", "count"), [((), 4), (("--grid", "3x2"), 6), (("--episodes", "2"), 2)])
def test_a_grid(options: tuple[str, ...], count: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", SOKOBAN, "--agent", "random", "--max-turns", "1", "--layout", "grid", "--out", "grid.gif"]
    assert cli.main([*words, *options]) == 0
    assert f"{count} episodes" in capsys.readouterr().out


def test_an_evaluation(here: Path, capsys: pytest.CaptureFixture[str], fails: Callable[..., str]) -> None:
    words = ["evaluate", "expert", "--suite", "tiny", "--only", "sokoban", "--episodes", "2", "--out", "judged"]
    assert cli.main(words) == 0
    capsys.readouterr()
    assert cli.main(["record", "judged", "--mode", "sampled", "--pick", "solved", "--out", "film.gif"]) == 0
    assert "2 episodes, 2 solved" in capsys.readouterr().out
    block = next(here.glob("judged/episodes/*/greedy/0000"))
    assert cli.main(["record", str(block), "--episodes", "1", "--out", "block.gif"]) == 0
    assert "none of the 2 episodes is unsolved" in fails("record", "judged", "--pick", "unsolved")
    assert "has no task 'x'; it has sokoban" in fails("record", "judged", "--task", "x")
    assert "has no mode 'slow'; it has greedy, sampled" in fails("record", "judged", "--mode", "slow")
    assert "were played already" in fails("record", "judged", "--agent", "random")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--episodes", "0"], "--episodes must be at least 1"),
        (["--task", "x"], "--task goes with the folder of a run"),
        (["--out", "film.txt"], "must be named .mp4 or .gif"),
        (["--colour", "red"], "--colour is not an option"),
        (["--before", "random"], "--before and --after go together"),
        (["--before", "random", "--after", "expert", "--agent", "random"], "leave out --agent"),
        (["--kept"], "--kept goes with the folder of a run"),
        (["--pick", "solved"], "--pick goes with the folder"),
        (["--grid", "2x2"], "--grid goes with --layout grid"),
        (["--grid", "2", "--layout", "grid"], "write two numbers such as 3x2"),
        (["--grid", "5x1", "--layout", "grid"], "1 to 4 columns"),
        (["--size", "large"], "write two numbers such as 1280x720"),
        (["--size", "100x100"], "even numbers of at least 320 x 180"),
        (["--pace", "0"], "must be from 0.05"),
        (["--seed", "-1"], "--seed must be at least 0"),
    ],
)
def test_mistakes(options: list[str], message: str, here: Path, fails: Callable[..., str]) -> None:
    assert message in fails("record", SOKOBAN, *options)
    assert list(here.iterdir()) == []


def test_mistakes_with_folders(run_folder: Path, fails: Callable[..., str]) -> None:
    assert "keeps no episodes of 'fre'; it has improve, start" in fails("record", "run", "--kept", "fre")
    assert "has no episodes of 'x'; it has words, sokoban" in fails("record", "run", "--kept", "--task", "x")
    assert "write solved, unsolved, or numbers" in fails("record", "run", "--kept", "--pick", "best")
    assert "no episode of problem 77; there are 0, 1, 2, 3" in fails("record", "run", "--kept", "--pick", "77")
    assert "goes with an evaluation" in fails("record", "run", "--kept", "--mode", "greedy")
    Path("empty").mkdir()
    assert "nor does it keep episodes" in fails("record", "empty")
    assert "keeps no episodes" in fails("record", "empty", "--kept")
    kept = run_folder / "episodes" / "improve" / "episodes.jsonl"
    kept.write_text(kept.read_text()[:-200])
    assert "not readable as an episode" in fails("record", "run", "--kept")
