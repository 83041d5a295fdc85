"""`lmmr1 leaderboard`: what it prints and keeps, and one line for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lmmr1 import cli

SOKOBAN, WORDS = "LMMR1/Sokoban-v0", "LMMR1/Reasoning-v0"


def test_agents_by_environments(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "random", "expert", "answer:Up", "no/such/model", "--envs", f"{SOKOBAN}, {WORDS}"]
    words += ["--episodes", "4", "--max-turns", "6", "--json", "out/board.json", "--html", "out/board.html"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines[0] == f"| agent | {SOKOBAN} | {WORDS} | mean success |"
    assert lines[2].startswith("| 1. expert | ")
    assert any(line.startswith("| 4. no/such/model | failed | failed | - |") for line in lines)
    assert any(line.startswith(f"- no/such/model, {SOKOBAN}: ") for line in lines)
    assert "Against expert, on the same problems:" in printed
    document = json.loads(Path("out/board.json").read_text())
    assert [row["agent"] for row in document["agents"]][0] == "expert" and document["seed"] == 0
    assert "<script" not in Path("out/board.html").read_text()
    [folder] = here.glob("leaderboards/envs-*")
    assert (folder / "leaderboard.md").read_text() in printed
    assert (folder / "leaderboard.json").read_text() == Path("out/board.json").read_text()
    # Again: nothing is played, everything is said; with --again everything is played.
    kept = sorted(folder.glob("*/*/episodes/*/*/*/episodes.jsonl"))
    assert len(kept) == 6
    before = [path.stat().st_mtime_ns for path in kept]
    assert cli.main(words) == 0
    assert capsys.readouterr().out == printed and [path.stat().st_mtime_ns for path in kept] == before
    assert cli.main([*words, "--again"]) == 0
    assert capsys.readouterr().out == printed, "the same seeds, the same figures"
    assert all(path.stat().st_mtime_ns > old for path, old in zip(kept, before, strict=True))


def test_nothing_but_failures_is_a_failure(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["leaderboard", "random", "--envs", "Nowhere-v0"]) == 1
    assert "unknown environment 'Nowhere-v0'" in capsys.readouterr().out


def test_a_suite(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["leaderboard", "expert", "--episodes", "1", "--suite", "tiny", "--mode", "sampled"]) == 0
    assert "1. expert" in capsys.readouterr().out
    assert len([*here.glob("leaderboards/tiny-*")]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--envs", SOKOBAN, "--suite", "tiny"], "not both"),
        (["--envs", " , "], "--envs names no environment"),
        (["--suite", "none"], "none"),
        (["--episodes", "0"], "--episodes must be at least 1"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--kwargs.size", "84"], "goes with --envs"),
        (["random"], "random is named twice"),
    ],
)
def test_mistakes(options: list[str], message: str, here: Path, fails: Callable[..., str]) -> None:
    assert message in fails("leaderboard", "random", *options)
    assert list(here.iterdir()) == []
