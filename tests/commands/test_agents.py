"""One reader of agents for every command: who there is, and one line for who there is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmmr1 import UserError, cli
from lmmr1.commands.evaluating.agents import HELP, load_agent

SOKOBAN = "LMMR1/Sokoban-v0"
SCRIPT = """
def act(messages):
    return "I look down.", "Down"

def look(messages):
    assert messages[-1]["role"] == "user"
    return "Up" if len(messages) < 4 else "<think>t</think><answer>Down</answer>"

def broken(messages):
    return messages["none"]

number = 7
def wrong(messages):
    return 7
"""


@pytest.fixture
def script(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = here / "bots" / "mine.py"
    path.parent.mkdir()
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("word", "kind", "name"),
    [
        ("random", "random", "random"),
        ("expert", "expert", "expert"),
        ("solver", "expert", "expert"),
        ("oracle", "expert", "expert"),
        ("human", "human", "human"),
        ("answer:Up", "fixed", "answer:Up"),
        ("endpoint:http://127.0.0.1:9/v1#some-model", "endpoint", "some-model"),
        ("bots/mine.py:act", "scripted", "bots/mine.py:act"),
        ("bots.mine:act", "scripted", "bots.mine:act"),
    ],
)
def test_who_there_is(word: str, kind: str, name: str, script: Path) -> None:
    agent, identity = load_agent(word)
    assert (identity["kind"], identity["name"]) == (kind, name)
    assert agent.context in ("turn", "conversation")
    assert word.partition(":")[0] in HELP or kind in ("scripted", "expert")


def test_a_changed_script_is_another_agent(script: Path) -> None:
    before = load_agent("bots/mine.py:act")[1]
    assert before == load_agent("bots/mine.py:act")[1]
    script.write_text(SCRIPT + "# changed\n", encoding="utf-8")
    assert before != load_agent("bots/mine.py:act")[1]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("bots/none.py:act", "there is no file bots/none.py"),
        ("bots/mine.py:none", "bots/mine.py has no function none"),
        ("bots/mine.py:number", "bots/mine.py has no function number"),
        ("no_such_module:act", "cannot import no_such_module: ModuleNotFoundError"),
        ("endpoint:nowhere#model", "is no URL"),
        ("endpoint:http://127.0.0.1:9/v1", "needs the name of a model"),
        ("answer:", "without an answer"),
        ("./no/such/model", "no/such/model"),
    ],
)
def test_who_there_is_not(word: str, message: str, script: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_agent(word)


def test_a_script_that_cannot_be_read_is_told_in_one_line(script: Path, fails: Callable[..., str]) -> None:
    script.write_text("def act(:\n", encoding="utf-8")
    assert "cannot import bots/mine.py: SyntaxError" in fails("record", SOKOBAN, "--agent", "bots/mine.py:act")


def test_every_command_takes_a_script(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who = "bots/mine.py:act"
    assert cli.main(["record", SOKOBAN, "--agent", who, "--episodes", "1", "--max-turns", "2", "--out", "a.gif"]) == 0
    assert cli.main(["play", SOKOBAN, "--seed", "1", "--agent", who, "--chat.max_turns", "2"]) == 0
    assert "I look down." in capsys.readouterr().out
    words = ["evaluate", who, "--suite", "tiny", "--only", "sokoban", "--episodes", "2", "--out", "judged"]
    assert cli.main(words) == 0
    words = ["leaderboard", who, "--envs", SOKOBAN, "--episodes", "2", "--max-turns", "2", "--out", "board"]
    assert cli.main(words) == 0
    assert "bots/mine.py:act" in capsys.readouterr().out


def test_scripts_that_break_are_told_in_one_line(script: Path, fails: Callable[..., str]) -> None:
    words = ["record", SOKOBAN, "--episodes", "1", "--out", "a.gif", "--agent"]
    assert "bots/mine.py:broken broke in turn 1: TypeError" in fails(*words, "bots/mine.py:broken")
    assert "must return an answer, or a thought and an answer, not int" in fails(*words, "bots/mine.py:wrong")


def test_a_person_evaluates_one_problem_after_the_other(
    here: Path, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "human", "--suite", "tiny", "--only", "sokoban", "--out", "judged", "--episodes", "2"]
    assert typed("Up\n\n", *words, "--tasks.sokoban.max_turns", "1") == 130, "an empty line stops"
    assert len([*here.glob("judged/episodes/sokoban/*/0*")]) == 1, "what was played is kept"
    assert typed("Down\n", *words, "--tasks.sokoban.max_turns", "1") == 0, "and the same command goes on"
    assert "sokoban" in capsys.readouterr().out
    assert typed("Up\nDown\n", "record", SOKOBAN, "--agent", "human", "--episodes", "2", "--max-turns", "1",
                 "--out", "a.gif") == 0  # fmt: skip


def test_a_person_is_not_served(fails: Callable[..., str]) -> None:
    assert "a person cannot be served" in fails("serve", "human")
