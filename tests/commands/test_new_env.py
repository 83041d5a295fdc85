"""`lmmr1 new-env`: what it writes works as it is, and names that are none are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmmr1 import cli
from lmmr1.agents.episode import load_episodes


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    done = run(["new-env", "night-flight", "--dir", str(folder)], folder)
    assert "lmmr1 train any --env night_flight:NightFlight-v0" in done
    return folder / "night_flight"


def run(words: list[str], folder: Path, module: str = "lmmr1", said: str = "") -> str:
    # As the installed command runs, without the working directory on the path of modules.
    program = "import runpy, sys; sys.path[:] = [path for path in sys.path if path]; "
    program += f"runpy.run_module({module!r}, run_name='__main__')"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=folder, input=said, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_what_a_package_needs(package: Path) -> None:
    files = sorted(str(path.relative_to(package)) for path in package.rglob("*") if path.is_file())
    assert files == [
        "README.md",
        "night_flight/__init__.py",
        "night_flight/env.py",
        "pyproject.toml",
        "tests/test_night_flight.py",
    ]
    project = (package / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert {'name = "night-flight"', 'packages = ["night_flight"]'} <= set(project)
    assert not [path for path in files if "$" in (package / path).read_text(encoding="utf-8")]


def test_it_is_neat(package: Path) -> None:
    for words in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "."]
        done = subprocess.run(command, cwd=package, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_it_passes_check_env(package: Path) -> None:
    words = ["check-env", "night_flight:NightFlight-v0", "--quick", "--strict"]
    told = run([*words, "--chat.format_weight", "0", "--chat.invalid_reward=-0.5"], package)
    assert "passed in" in told and "success in 8 of 8 episodes" in told


def test_its_own_tests_pass(package: Path) -> None:
    assert "3 passed" in run(["-q", "-p", "no:cacheprovider"], package, module="pytest")


def test_it_is_played(package: Path) -> None:
    told = run(["play", "night_flight:NightFlight-v0", "--seed", "1"], package, said="?\nUp\nq\n")
    assert "the expert: A shortest way to the flower is" in told and ("reward 0" in told or "reward -0" in told)


def test_it_is_trained_a_step(package: Path) -> None:
    words = ["train", "any", "--env", "night_flight:NightFlight-v0", "--films", "0", "--run-dir", "run"]
    values = {"iterations": 1, "rollout.groups": 2, "rollout.group_size": 2, "rollout.max_turns": 3}
    words += [f"--stages.play.{key}={value}" for key, value in values.items()]
    words += ["--stages.speak.sft.steps=2", "--stages.speak.sft.batch_size=4"]
    told = run([*words, "--evaluation.tasks.play.episodes", "2"], package)
    assert "after play" in told and (package / "run" / "report.html").is_file()
    assert "id: night_flight:NightFlight-v0" in (package / "run" / "recipe.yaml").read_text(encoding="utf-8")
    [first, *_] = load_episodes(package / "run" / "episodes" / "play")
    assert first.turns[0].reward_parts["format"] == 0.0 and not first.failure


def test_it_is_found_from_anywhere_where_it_is_installed(package: Path, tmp_path: Path) -> None:
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", str(tmp_path / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, str(package)], check=True, capture_output=True)
    code = "import gymnasium; print(gymnasium.make('night_flight:NightFlight-v0').reset(seed=0)[0].shape)"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "(84, 84, 3)", done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("My-Game", "NAME must be lower-case letters"),
        ("2048", "NAME must be lower-case letters"),
        ("a/b", "NAME must be lower-case letters"),
        ("../up", "NAME must be lower-case letters"),
        ("spiel\u00e9", "NAME must be lower-case letters"),
        ("", "NAME must be lower-case letters"),
        ("x" * 80, "50 at most"),
        ("json", "a module named json is installed here"),
        ("gymnasium", "a module named gymnasium is installed here"),
        ("taken", "is there already"),
    ],
)
def test_names_that_will_not_do(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert cli.main(["new-env", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"] and not any((tmp_path / "taken").iterdir())


def test_a_folder_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new-env", "my_game", "--dir", "/no/such/folder"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
