"""What the README and the examples show is run: every block of Python, every example, every command's options."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", README, re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
COMMANDS = [line.split("#")[0].split() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]


@pytest.mark.parametrize("block", PYTHON, ids=[block.strip().splitlines()[0] for block in PYTHON])
def test_python_blocks_run(block: str) -> None:
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_exist() -> None:
    commands = {words[1] for words in COMMANDS if words[:1] == ["lmmr1"]}
    assert {"train", "evaluate", "record", "play", "envs", "recipes"} <= commands
    for command in sorted(commands):
        done = subprocess.run([sys.executable, "-m", "lmmr1", command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {words[1] for words in COMMANDS if words[:1] == ["make"]}
    assert targets >= {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in link:
            assert (ROOT / link).exists(), link


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
