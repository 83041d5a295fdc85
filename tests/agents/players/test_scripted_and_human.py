"""A function of one's own, and a person at the keyboard, as agents."""

from __future__ import annotations

import io
import sys

import pytest

from lmmr1.agents.players.human import HumanPlayer
from lmmr1.agents.players.scripted import Script, ScriptedPlayer
from lmmr1.agents.rollout import rollout
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_images
from lmmr1.envs.terminal import Terminal

from ..worlds import pictures


def play(script: Script, turns: int = 3, **chat) -> list:
    return rollout(ScriptedPlayer(script, "mine"), lambda: pictures(turns, **chat), 2, seed=0, stream=5)


def test_a_script_sees_the_whole_conversation() -> None:
    seen = []

    def act(messages):
        seen.append([message["role"] for message in messages])
        assert message_images(messages[-1])[0].shape[2] == 3
        return "because", "1"

    for episode in play(act):
        assert [turn.actions for turn in episode.turns] == [["1"]] * 3
        assert [turn.thought for turn in episode.turns] == ["because"] * 3 and episode.success is True
    assert seen[0] == ["user"] and seen[-1] == ["user", "assistant", "user", "assistant", "user"]


def test_a_script_may_write_its_own_tags() -> None:
    whole = "<think>mine</think><answer>0</answer>"
    [first, _] = play(lambda messages: whole)
    assert first.turns[0].text == whole and first.turns[0].thought == "mine"
    [first, _] = play(lambda messages: "1")
    assert first.turns[0].text == "<think></think><answer>1</answer>"


def test_a_script_speaks_in_the_format_of_the_environment() -> None:
    [first, _] = play(lambda messages: "1", reply_format="plain")
    assert first.turns[0].text == "1" and first.turns[0].well_formed


@pytest.mark.parametrize("wrong", [7, None, ("a",), ("a", 1), ["a", "b"]])
def test_what_a_script_may_not_return(wrong: object) -> None:
    with pytest.raises(UserError, match="mine must return an answer"):
        play(lambda messages: wrong)


def test_a_script_that_raises_says_where() -> None:
    with pytest.raises(UserError, match="mine broke in turn 2: ZeroDivisionError"):
        play(lambda messages: "1" if len(messages) == 1 else str(1 // 0))


def test_a_person_types(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n<think>hm</think><answer>0</answer>\n"))
    [episode] = rollout(HumanPlayer(Terminal(colours=False)), lambda: pictures(2), 1, seed=0, stream=5)
    assert [turn.answer for turn in episode.turns] == ["1", "0"] and episode.turns[1].thought == "hm"
    said = capsys.readouterr().out
    assert "[a picture of" in said and "reward 1.5" in said or "reward 1 " in said


def test_pictures_are_drawn_in_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n"))
    rollout(HumanPlayer(Terminal(colours=True)), lambda: pictures(1), 1, seed=0, stream=5)
    assert "\u2580" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["", "\n", "1\n\n"])
def test_an_empty_line_stops(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(KeyboardInterrupt):
        rollout(HumanPlayer(Terminal(colours=False)), lambda: pictures(3), 1, seed=0, stream=5)
