"""Every block of code of the docs: Python is run, commands are run or parsed, YAML is read; none is passed over."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from . import programs
from .blocks import COMMANDS, PAGES, Block, read_blocks, read_commands, write_files
from .messages import ROOT

# Kinds of blocks that hold nothing to run.
QUIET = {"text", "json", "bibtex"}
# Each block by itself would start Python anew; a page's share one namespace, as its reader has one session.
PROGRAM = """
import json, sys
namespace = {"__name__": "__main__"}
for page, line, text in json.load(open(sys.argv[1], encoding="utf-8")):
    exec(compile("\\n" * (line - 1) + text, page, "exec"), namespace)
"""
BLOCKS = {page: read_blocks(page) for page in PAGES}


def pages_with(*kinds: str) -> list[Path]:
    return [page for page, blocks in BLOCKS.items() if any(block.kind in kinds for block in blocks)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_missing(module: str) -> bool:
    """Whether a module that blocks need is not here; where CI asks for it, that is an error."""
    missing = importlib.util.find_spec(module) is None
    assert not (missing and os.environ.get("LMMR1_REQUIRE_FOOTBALL")), f"{module} is not installed"
    return missing


@pytest.mark.parametrize("page", pages_with("python"), ids=name)
def test_python_runs(page: Path, tmp_path: Path, fared: Counter[str]) -> None:
    write_files(page, tmp_path)
    run_python(BLOCKS[page], tmp_path, fared)


def test_python_of_the_generated_pages_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fared: Counter[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs/making")
    generated = importlib.import_module("environments").write_pages()
    assert len(generated) > 5
    for path, text in generated.items():
        page = tmp_path / path.replace("/", "-")
        page.write_text(text, encoding="utf-8")
        run_python(read_blocks(page), tmp_path, fared)


def run_python(blocks: list[Block], folder: Path, fared: Counter[str]) -> None:
    """Run the blocks of Python in one namespace, in a folder."""
    to_run: list[tuple[str, int, str]] = []
    for block in blocks:
        if block.kind != "python":
            continue
        if block.reason or (block.needs and is_missing(block.needs)):
            ast.parse(block.text)
            fared[f"Python, parsed: {block.reason or f'no {block.needs} here'}"] += 1
        else:
            to_run.append((block.where, block.line, block.text))
    if to_run:
        (folder / "blocks.json").write_text(json.dumps(to_run), encoding="utf-8")
        command = [sys.executable, "-c", PROGRAM, "blocks.json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        fared["Python, run"] += len(to_run)


@pytest.mark.parametrize("page", pages_with(*COMMANDS), ids=name)
def test_commands_work(page: Path, tmp_path: Path, fared: Counter[str]) -> None:
    write_files(page, tmp_path)
    wrong = []
    for block in BLOCKS[page]:
        if block.kind in COMMANDS:
            for words in read_commands(block):
                try:
                    fared[f"commands, {follow(words, block, tmp_path)}"] += 1
                except programs.WrongCommandError as error:
                    wrong.append(f"{block.where}: {error}")
    assert not wrong, "\n".join(wrong)


def follow(words: list[str], block: Block, folder: Path) -> str:
    """Check a command, and run it where it is cheap; how it fared."""
    fared = programs.check(words, folder, here=not block.reason)
    if block.reason:
        return f"parsed: {block.reason}"
    if fared != "run":
        return {"parsed": "parsed", "foreign": "of other programs"}[fared]
    own = words[words.index("lmmr1") + 1 :] if "lmmr1" in words else words[1:]
    command = [sys.executable, "-m", "lmmr1", *own]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    programs.need(done.returncode == 0, f"{' '.join(words)}: {done.stderr}")
    return "run"


@pytest.mark.parametrize("page", pages_with("yaml"), ids=name)
def test_yaml_can_be_read(page: Path, tmp_path: Path, fared: Counter[str]) -> None:
    from lmmr1.training.recipe import load_recipe

    write_files(page, tmp_path)
    for block in BLOCKS[page]:
        if block.kind == "yaml":
            assert yaml.safe_load(block.text), block.where
            fared["YAML, read"] += 1
    for recipe in tmp_path.glob("*.yaml"):
        load_recipe(str(recipe))
        fared["YAML, whole recipes"] += 1


def test_no_block_is_passed_over() -> None:
    known = {"python", "yaml", *COMMANDS, *QUIET}
    unknown = [block.where for blocks in BLOCKS.values() for block in blocks if block.kind not in known]
    assert not unknown, f"say what the block is (bash, python, yaml, text): {unknown}"
    hidden = [
        block.where
        for blocks in BLOCKS.values()
        for block in blocks
        if block.kind == "text" and block.text.lstrip().startswith(("lmmr1 ", "python ", "make ", "pip ", "$ "))
    ]
    assert not hidden, f"commands in a block of text, where nobody looks at them: {hidden}"


@pytest.mark.parametrize(
    "command",
    [
        "lmmr1 train tiny --stages.fre.iteration 3",
        "lmmr1 recird LMMR1/Sokoban-v0",
        "lmmr1 record LMMR1/Sokoban-v0 --episodes many",
        "python benchmarks/rollout.py --quik",
        "make demoo",
        "pip install 'lmmr1[trains]'",
        "frobnicate",
    ],
)
def test_a_wrong_command_is_found_out(command: str, tmp_path: Path) -> None:
    [words] = read_commands(Block(ROOT / "README.md", 1, "bash", command))
    with pytest.raises(programs.WrongCommandError):
        programs.check(words, tmp_path)
