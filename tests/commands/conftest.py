"""A run folder in miniature, and standard input that is typed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lmmr1 import cli
from lmmr1.agents.base import Agent
from lmmr1.agents.episode import save_episodes
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.agents.rollout import EVALUATION_STREAM, rollout
from lmmr1.envs.registry import EnvironmentConfig

RECIPE = """
name: sample
help: for the tests
stages:
  improve:
    kind: ppo
    help: try
    environments: [{id: LMMR1/Reasoning-v0}]
    rollout: {groups: 4, group_size: 2}
evaluation:
  tasks:
    words: {modality: text, environment: {id: LMMR1/Reasoning-v0, kwargs: {split: test}}, episodes: 4}
    sokoban: {modality: game, environment: {id: LMMR1/Sokoban-v0}, episodes: 4, max_turns: 6}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_folder(here: Path) -> Path:
    """What a run leaves that is played by chance first and by the expert afterwards; without a model."""
    folder = here / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    stages: dict[str, Agent] = {"start": RandomPlayer(), "improve": ExpertPlayer()}
    for at, (stage, agent) in enumerate(stages.items()):
        episodes = []
        for label, id in (("words", "LMMR1/Reasoning-v0"), ("sokoban", "LMMR1/Sokoban-v0")):
            make = EnvironmentConfig(id).make
            episodes += rollout(agent, make, 4, seed=0, stream=EVALUATION_STREAM, max_turns=6, label=label)
        save_episodes(folder / "episodes" / stage, episodes)
        os.utime(folder / "episodes" / stage / "episodes.jsonl", (at, at))
    return folder


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command whose standard input holds these lines."""

    def run(lines: str, *words: str) -> int:
        reader, writer = os.pipe()
        os.write(writer, lines.encode())
        os.close(writer)
        with os.fdopen(reader) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return cli.main(list(words))

    return run


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must refuse; its one line."""

    def run(*words: str) -> str:
        capsys.readouterr()
        assert cli.main(list(words)) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
        return captured.err

    return run
