"""`lmmr1 play`: typed and pressed, in every kind of world; watched; recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from PIL import Image

import lmmr1
from lmmr1 import ChatSpec, cli
from lmmr1.commands.playing.board import Board, draw_board
from lmmr1.commands.playing.game import Game, action_keys, arrow_actions, arrow_of
from lmmr1.envs.terminal import HALF, draw_blocks

SOKOBAN, WORDS = "LMMR1/Sokoban-v0", "LMMR1/Reasoning-v0"


def test_at_the_terminal(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("?\nUp\nJump\nq\n", "play", SOKOBAN, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "the expert:" in printed
    assert "#####" in printed
    assert "Jump" in printed.partition("is not an action")[0]


def test_to_the_end_of_an_episode_and_of_the_input(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("no number\n", "play", WORDS, "--seed", "1") == 0
    assert "not solved after 1 turns" in capsys.readouterr().out
    assert typed("", "play", "FrozenLake-v1", "--kwargs.is_slippery", "false") == 0
    assert "answer> " in capsys.readouterr().out


def test_numbers_and_arrows_stand_for_actions(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("1\n\x1b[C\n1\n", "play", SOKOBAN, "--seed", "1") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("answer> ")] == [
        "answer> Down",
        "answer> Right",
        "answer> Down",
    ]
    assert "solved after 3 turns" in said


def test_numbers_are_typed_where_actions_are_numbers(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("0.5\n9\nq\n", "play", "Pendulum-v1", "--seed", "1") == 0
    said = capsys.readouterr().out
    assert '"9" is outside of the allowed range' in said and said.count("reward ") == 2


def test_an_agent_is_watched(capsys: pytest.CaptureFixture[str], fails: Callable[..., str]) -> None:
    assert cli.main(["play", SOKOBAN, "--seed", "1", "--agent", "expert"]) == 0
    said = capsys.readouterr().out
    assert "expert> <think>" in said and "solved after 3 turns" in said
    assert "is not an option" not in said
    assert "--delay must be from 0 to 60" in fails("play", SOKOBAN, "--agent", "expert", "--delay", "-1")


def test_the_episode_is_filmed(here: Path, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("Down\nq\n", "play", SOKOBAN, "--seed", "1", "--record", "mine/film.gif") == 0
    assert "the film is mine/film.gif" in capsys.readouterr().out
    with Image.open("mine/film.gif") as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]  # seen, answered, paid, and that it was cut short
    assert typed("q\n", "play", SOKOBAN, "--record", "none.gif") == 0
    assert not Path("none.gif").exists(), "nothing was played"
    assert typed("", "play", SOKOBAN, "--record", "film.avi") == 2


class Breaks(gym.Env[Any, Any]):
    """Breaks in its second step."""

    def __init__(self, **options: Any) -> None:
        self.observation_space, self.action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 2:
            raise RuntimeError("out of order")
        return 0, 1.0, False, False, {}


def test_a_world_that_breaks_ends_the_episode_in_a_line_and_is_filmed_so_far(
    here: Path, typed: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gym.registry, "Breaks-v0", EnvSpec("Breaks-v0", entry_point=Breaks))
    assert typed("0\n1\n", "play", "Breaks-v0", "--record", "film.gif") == 0
    assert "failed (RuntimeError: out of order) after 1 turns, 1 in all" in capsys.readouterr().out
    assert Path("film.gif").is_file()


# ------------------------------------------------------------------------------------------------------------- window


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[np.ndarray]]:
    """Play in a window that nobody sees: press these keys, then Escape; what it showed."""
    pygame = pytest.importorskip("pygame")
    from lmmr1.commands.playing import window

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown: list[np.ndarray] = []
    show = window._Window.show

    def keep(self: Any, picture: np.ndarray) -> None:
        show(self, picture)
        surface = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        shown.append(surface.copy())

    monkeypatch.setattr(window._Window, "show", keep)

    def play(keys: Sequence[Any], *words: str) -> list[np.ndarray]:
        pygame.display.init()
        pygame.event.clear()
        for key in (*keys, pygame.K_ESCAPE):
            character = key if isinstance(key, str) else ""
            code = ord(key) if isinstance(key, str) else key
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=code, unicode=character))
        # A new window empties no queue of events: they are read as if typed.
        assert cli.main(["play", words[0], "--window", *words[1:]]) == 0
        return shown

    return play


def test_a_window_with_keys(press: Callable[..., list[np.ndarray]], here: Path) -> None:
    pygame = pytest.importorskip("pygame")
    shown = press(["1", pygame.K_RIGHT, "x", "?", pygame.K_DOWN], SOKOBAN, "--seed", "1", "--record", "film.gif")
    assert shown and shown[0].shape == (640, 1100, 3)
    with Image.open("film.gif") as film:
        assert film.n_frames == 3 * 3 + 1  # type: ignore[attr-defined]  # three turns and the end: it was solved


def test_q_closes_a_window_with_keys(press: Callable[..., list[np.ndarray]]) -> None:
    assert press(["q", "1", "1"], SOKOBAN)


@pytest.mark.parametrize(
    ("id", "keys"),
    [
        (WORDS, "qa5"),
        ("LMMR1/Geometry-v0", "7"),
        ("Pendulum-v1", "0.5"),
        ("CartPole-v1", "\t1"),
    ],
)
def test_every_kind_of_world_is_played_in_a_window(
    id: str, keys: str, press: Callable[..., list[np.ndarray]], here: Path
) -> None:
    pygame = pytest.importorskip("pygame")
    codes = [pygame.K_TAB if key == "\t" else key for key in keys]
    press([*codes, "z", pygame.K_BACKSPACE, pygame.K_RETURN], id, "--seed", "1", "--record", "film.gif")
    with Image.open("film.gif") as film:
        assert film.n_frames == 4, "one turn was taken, and no letter closed the window"  # type: ignore[attr-defined]


def test_watching_in_a_window(press: Callable[..., list[np.ndarray]]) -> None:
    shown = press([], SOKOBAN, "--seed", "1", "--agent", "expert", "--delay", "0.1")
    assert len(shown) == 1, "Escape stops it at once"


def test_the_board_says_what_there_is() -> None:
    game = Game(lmmr1.make_chat(SOKOBAN), SOKOBAN, 1)
    game.begin()
    board = Board(["0: Up"], None, "", "help")
    first = draw_board(game, board, (1100, 640))
    game.answer("Down")
    second = draw_board(game, board, (1100, 640))
    assert (first[:, :600] != second[:, :600]).any() and (first[:, 640:] != second[:, 640:]).any()
    typing = draw_board(game, Board([], "Up, Le", "a hint " * 200, "help"), (1100, 640))
    assert typing.shape == second.shape and (typing[:, 640:] != second[:, 640:]).any()
    assert draw_board(game, board, (10, 10)).shape == (320, 480, 3)
    assert draw_board(game, board, (1920, 1080)).shape == (1080, 1920, 3)


# --------------------------------------------------------------------------------------------------- keys and colours


class Named(gym.Env[Any, Any]):
    def __init__(self, names: tuple[str, ...] | None, n: int = 3) -> None:
        self.observation_space, self.action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(n)
        self.chat_spec = ChatSpec("Go.", names)


def test_keys_of_actions() -> None:
    def keys(*names: str) -> dict[str, str]:
        return action_keys(lmmr1.ChatEnv(Named(names, len(names))))

    assert keys("Up", "Down", "Wait") == {"0": "Up", "1": "Down", "2": "Wait"}
    assert keys("b", "Down", "a") == {"b": "b", "0": "Down", "a": "a"}, "a key is what it says"
    many = keys(*(f"action {number}" for number in range(20)))
    assert len(many) == 20 and "q" not in many and many["a"] == "action 10"
    assert action_keys(lmmr1.ChatEnv(Named(None, 40))) == {}, "too many: typed"
    assert action_keys(lmmr1.ChatEnv(Named(None, 2))) == {"0": "0", "1": "1"}
    assert action_keys(lmmr1.make_chat(WORDS)) == {}


def test_arrows_of_actions() -> None:
    assert [
        arrow_of(name) for name in ("Up", "move_down", "action_top", "top_left", "east", "Wait", "go up there")
    ] == [*["up", "down", "up", None, "right", None, None]]
    assert arrow_actions({"0": "action_up", "1": "up", "2": "Left"}) == {"up": "up", "left": "Left"}
    assert arrow_actions({"0": "turn left", "1": "move left"}) == {}, "nobody knows which"


def test_pictures_in_half_blocks() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[0], image[1] = (255, 0, 0), (0, 0, 255)
    lines = draw_blocks(image, 6, 20, true_colour=True).split("\n")
    assert len(lines) == 2 and all(line.count(HALF) == 6 for line in lines)
    assert lines[0].startswith(f"\x1b[38;2;255;0;0;48;2;0;0;255m{HALF}") and lines[0].endswith("\x1b[0m")
    assert lines[0].count("\x1b[") == 2, "a colour that stays is said once"
    assert draw_blocks(image, 6, 20).startswith(f"\x1b[38;5;196;48;5;21m{HALF}")
    large = np.zeros((300, 600, 3), np.uint8)
    lines = draw_blocks(large, 80, 20).split("\n")
    assert len(lines) == 20 and lines[0].count(HALF) == 80
    lines = re.sub("\x1b[^m]*m", "", draw_blocks(np.zeros((1, 1, 3), np.uint8), 80, 20)).split("\n")
    assert lines == [HALF * 8] * 4, "small ones grow, not without end"
