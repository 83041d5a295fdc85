"""The command line: exit codes, one line for each mistake, and what a run folder means to `train`."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from lmmr1 import cli
from lmmr1.agents.episode import load_episodes
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.commands import evaluate, settings
from lmmr1.envs.errors import UserError
from lmmr1.training.recipe import dump_recipe

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
"""


@dataclass(frozen=True)
class Sampling:
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 1.0


class Policy(ExpertPlayer):
    """Stands in for a model: always right."""

    sampling, max_context_tokens = Sampling(7), 4096


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sample.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


def trainer(
    monkeypatch: pytest.MonkeyPatch, ending: BaseException | None = None, checkpoints: bool = True
) -> list[bool]:
    """Put a trainer in the real one's place that only writes its files; returns what `resume` was at each call."""
    calls: list[bool] = []

    def train(recipe, folder, evaluate, resume, allow_changes=False):
        calls.append(resume)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
        if checkpoints:
            (folder / "checkpoints/000001-0000000").mkdir(parents=True, exist_ok=True)
        if ending is not None:
            raise ending
        policy, evaluation = Policy(), recipe.evaluation
        stages = ("start", *recipe.stages)
        rows = [
            {"stage": stage, "tasks": evaluate(policy, evaluation, 0, folder / "episodes" / stage)} for stage in stages
        ]
        (folder / "summary.json").write_text(json.dumps({"evaluations": rows}), encoding="utf-8")
        return {"evaluations": rows}

    def write_report(folder):
        (folder / "report.html").touch()

    for name, functions in {
        "training.run": {"train": train},
        "evaluation.reporting.report": {"write_report": write_report},
    }.items():
        module = ModuleType(f"lmmr1.{name}")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def subparsers() -> dict[str, argparse.ArgumentParser]:
    [action] = [a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return action.choices


# ----------------------------------------------------------------------------------------------------- every command


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([name, "--help"] for name in subparsers())])
def test_help_and_version(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    assert "lmmr1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train"], "required: RECIPE"),
        (["train", "no_such_recipe"], "there is no recipe 'no_such_recipe'"),
        (["train", "absent.yaml"], "cannot read the recipe absent.yaml"),
        (["train", "sample.yaml", "--stages.improve.rollout.groups"], "--stages.improve.rollout.groups needs a value"),
        (
            ["train", "sample.yaml", "--stages.improve.iterations=x"],
            "stages.improve.iterations must be a valid integer",
        ),
        (["train", "sample.yaml", "--resume", "never"], "invalid choice: 'never'"),
        (["train", "sample.yaml", "--resume"], "there is no run to resume in runs/sample"),
        (["evaluate", "tiny", "--suite", "sample.yaml", "--episodes", "0"], "episodes must be at least 1, not 0"),
        (["evaluate", "tiny", "--suite", "sample.yaml", "--episodes", "x"], "invalid int value: 'x'"),
        (["evaluate", "tiny", "--colour", "red"], "unrecognized arguments: --colour red"),
        (["record", "Nowhere-v0"], "unknown environment 'Nowhere-v0'"),
        (["record", "LMMR1/Sokoban-v0", "--colour", "red"], "--colour is not an option"),
        (["record", "LMMR1/Sokoban-v0", "--episodes", "0"], "--episodes must be at least 1"),
        (["record", "LMMR1/Sokoban-v0", "--task", "x"], "--task goes with the folder of a run"),
        (["record", "LMMR1/Reasoning-v0", "--out", "film.txt"], "must be named .mp4 or .gif"),
        (["record", "CartPole-v1", "--out", "film.gif"], "solution"),
        (["play", "Nowhere-v0"], "unknown environment 'Nowhere-v0'"),
        (["play", "LMMR1/Sokoban-v0", "--seed", "-1"], "--seed must be at least 0"),
        (["play", "LMMR1/Sokoban-v0", "--kwargs.colour", "red"], "colour"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(words, message, recipe, capsys):
    assert cli.main(words) == 2
    assert message in one_error(capsys)


@pytest.mark.parametrize("command", ["envs", "recipes"])
def test_lists(command: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main([command]) == 0
    if command == "envs":
        assert "LMMR1/Sokoban-v0" in capsys.readouterr().out


def test_the_module_runs_and_help_loads_no_torch():
    program = "import sys, lmmr1.cli\ntry: lmmr1.cli.main(['train', '--help'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("False\n")
    done = subprocess.run([sys.executable, "-m", "lmmr1", "fly"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_reader_that_leaves_is_no_failure():
    with subprocess.Popen(
        [sys.executable, "-m", "lmmr1", "envs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_options_that_are_no_overrides_are_those_of_the_parsers():
    for command, parser in subparsers().items():
        options = {word for word in parser._option_string_actions if word.startswith("--")} - {settings.GATHERED}
        assert (command in settings.OWN_OPTIONS) == (settings.GATHERED in parser._option_string_actions)
        assert options == set(settings.OWN_OPTIONS.get(command, options))


def test_gathering_overrides():
    words = ["train", "--a.b", "-1", "tiny", "--run-dir", "x", "--c=d=e", "--resume", "--seed", "3"]
    expected = [
        "train",
        "--override=a.b=-1",
        "tiny",
        "--run-dir",
        "x",
        "--override=c=d=e",
        "--resume",
        "--override=seed=3",
    ]
    assert settings.gather(words) == expected
    assert settings.gather(["grade", "--a", "b"]) == ["grade", "--a", "b"]


# ------------------------------------------------------------------------------------------------------------- train


def test_a_new_run(recipe, monkeypatch, capsys):
    calls = trainer(monkeypatch)
    assert cli.main(["train", recipe, "--seed", "5"]) == 0
    assert calls == [False]
    assert "seed: 5" in Path("runs/sample/recipe.yaml").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "after improve" in printed
    assert "The report is runs/sample/report.html" in printed
    assert len(load_episodes(Path("runs/sample/episodes/improve"))) == 4


def test_a_complete_run_is_left_alone(recipe, monkeypatch, capsys):
    calls = trainer(monkeypatch)
    assert cli.main(["train", recipe]) == 0
    assert cli.main(["train", recipe]) == 2
    assert "runs/sample holds a complete run: choose another --run-dir" in capsys.readouterr().err
    assert cli.main(["train", recipe, "--resume", "auto"]) == 0
    assert "runs/sample is complete" in capsys.readouterr().out
    # Stopped between the last stage and the report, only the report is missing.
    Path("runs/sample/report.html").unlink()
    assert cli.main(["train", recipe, "--resume"]) == 0
    assert Path("runs/sample/report.html").is_file()
    assert calls == [False]


def test_an_interrupted_run_says_how_to_go_on(recipe, monkeypatch, capsys):
    calls = trainer(monkeypatch, KeyboardInterrupt())
    assert cli.main(["train", recipe, "--run-dir", "a run", "--stages.improve.freeze", "[x]"]) == 130
    said = f"go on with: lmmr1 train {recipe} --run-dir 'a run' --resume --stages.improve.freeze '[x]'\n"
    assert said in capsys.readouterr().err
    assert cli.main(["train", recipe, "--run-dir", "a run"]) == 2
    assert "a run holds an unfinished run: go on with --resume" in one_error(capsys)
    # Another recipe is not silently the same run.
    assert cli.main(["train", recipe, "--run-dir", "a run", "--resume"]) == 2
    assert "started with another recipe (stages.improve.freeze" in one_error(capsys)
    assert calls == [False]

    calls = trainer(monkeypatch)
    for words in (["--resume"], ["--resume", "auto"]):
        Path("a run/summary.json").unlink(missing_ok=True)
        assert cli.main(["train", recipe, "--run-dir", "a run", *words, "--stages.improve.freeze", "[x]"]) == 0
    assert calls == [True, True]


def test_a_run_without_a_checkpoint_simply_begins_again(recipe, monkeypatch, capsys):
    # A model that cannot be loaded, say: the next try may name another one.
    calls = trainer(monkeypatch, UserError("no such model"), checkpoints=False)
    for words in ([], ["--model", "other"], ["--resume"], ["--resume", "auto"]):
        assert cli.main(["train", recipe, *words]) == 2
        assert one_error(capsys) == "error: no such model\n"
    assert calls == [False] * 4


def test_a_machine_that_is_taken_back_counts_as_an_interruption(recipe, monkeypatch, capsys):
    trainer(monkeypatch)

    def train(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came too late")

    monkeypatch.setattr(sys.modules["lmmr1.training.run"], "train", train)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["train", recipe]) == 130
    assert "--resume" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_folder_that_holds_something_else(recipe, monkeypatch, capsys):
    calls = trainer(monkeypatch)
    Path("runs/sample").mkdir(parents=True)
    Path("runs/sample/thesis.tex").touch()
    for words in ([], ["--resume"], ["--resume", "auto"]):
        assert cli.main(["train", recipe, *words]) == 2
        assert "runs/sample holds something that is not a run" in one_error(capsys)
    assert calls == []


def test_a_full_disk_is_one_line_and_code_1(recipe, monkeypatch, capsys):
    trainer(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "runs/sample/metrics.jsonl"))
    assert cli.main(["train", recipe]) == 1
    expected = (
        "cannot write runs/sample/metrics.jsonl: No space left on device; make room, then go on with: lmmr1 train"
    )
    assert expected in one_error(capsys)


def test_a_missing_extra_names_its_command(recipe, monkeypatch, capsys):
    trainer(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert cli.main(["train", recipe]) == 2
    assert "pip install 'lmmr1[train]'" in one_error(capsys)


def test_a_bug_keeps_its_traceback(recipe, monkeypatch):
    trainer(monkeypatch, RuntimeError("bug"))
    with pytest.raises(RuntimeError, match="bug"):
        cli.main(["train", recipe])


# ---------------------------------------------------------------------------------------------------------- evaluate


def test_evaluate(recipe, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "load_agent", lambda *_: (Policy(), {"name": "tiny", "kind": "policy"}))
    assert cli.main(["evaluate", "tiny", "--suite", recipe, "--json", "--episodes", "3"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["subject"], printed["suite"], printed["seed"]) == ("tiny", "sample", 0)
    for mode in ("greedy", "sampled"):
        assert printed["tasks"]["words"][mode]["success"] == 1.0
        assert printed["tasks"]["words"][mode]["episodes"] == 3
    assert cli.main(["evaluate", "tiny", "--suite", recipe]) == 0
    head, greedy, _, _, told = capsys.readouterr().out.splitlines()
    page = Path(told.removeprefix("The report is "))
    assert page.is_file() and page.parent.parent == Path("evaluations")
    assert head.split()[:3] == ["task", "mode", "success"]
    assert greedy.split()[:3] == ["words", "greedy", "100%"]


def test_evaluating_an_unfinished_run(recipe, monkeypatch, capsys):
    trainer(monkeypatch, KeyboardInterrupt())
    assert cli.main(["train", recipe]) == 130
    capsys.readouterr()
    assert cli.main(["evaluate", "runs/sample"]) == 2
    assert "has no trained model yet" in one_error(capsys)
