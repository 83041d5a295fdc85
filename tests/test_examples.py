"""The examples are run, as short as they can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_example_of_three_seeds(tmp_path: Path) -> None:
    options = ["--stages.sft_continued.sft.steps", "1", "--stages.sft_continued.sft.batch_size", "4"]
    options += ["--films", "0", "--evaluation.tasks.text.episodes", "4", "--evaluation.tasks.image.episodes", "4"]
    command = [sys.executable, str(ROOT / "examples" / "three_seeds.py"), "--recipes", "tiny_sft", "--seeds", "0", "1"]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path), "--json", str(tmp_path / "all.json"), "--", *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "| sft_continued |" in done.stdout and "text greedy" in done.stdout
    assert (tmp_path / "all.json").is_file()


def test_the_example_of_estimators() -> None:
    options = ["--estimators", "grpo", "gae", "--seeds", "0", "--iterations", "1"]
    command = [sys.executable, str(ROOT / "examples" / "estimators.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| grpo |" in done.stdout and "| gae |" in done.stdout
