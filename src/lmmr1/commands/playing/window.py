"""Playing in a window, or watching; the one file of the command line that imports pygame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.recording import Page, Scene
from lmmr1.envs.recording.timeline import TICKS_PER_SECOND, Pace, scene_steps

from .board import BASE, SMALLEST, Board, draw_board
from .game import Game, action_keys, arrow_actions, describe_keys

FRAMES_PER_SECOND = 30
LONGEST_ANSWER = 2000


def play_in_window(game: Game, delay: float = 0.8) -> None:
    """Show the game and take keys until the window is closed; a new episode follows each one.

    Where there is a list of actions each has a key, and those that are called after a direction its arrow; all other
    answers are typed. The window can be resized.

    Raises:
        MissingExtraError: pygame is not installed.
    """
    try:
        import pygame
    except ImportError as error:
        raise MissingExtraError("Playing in a window", "pygame-ce", "games") from error
    pygame.display.init()
    try:
        view = _Window(pygame, game.title)
        game.begin()
        if game.agent is not None:
            _watch(view, game, delay)
        else:
            _Player(view, game).play()
    finally:
        pygame.display.quit()


class _Window:
    """A window that can be resized."""

    def __init__(self, pygame: Any, title: str) -> None:
        self.pygame = pygame
        self.screen = pygame.display.set_mode(BASE, pygame.RESIZABLE)
        pygame.display.set_caption(title)
        pygame.key.set_repeat(400, 60)
        self.clock = pygame.time.Clock()

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.pygame.display.get_surface().get_size()
        return max(width, SMALLEST[0]) // 2 * 2, max(height, SMALLEST[1]) // 2 * 2

    def show(self, picture: np.ndarray) -> None:
        surface = self.pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        self.pygame.display.get_surface().blit(surface, (0, 0))
        self.pygame.display.flip()

    def events(self) -> Sequence[Any]:
        self.clock.tick(FRAMES_PER_SECOND)
        return self.pygame.event.get()

    def is_end(self, event: Any, *, letters: bool = True) -> bool:
        """Whether the player stops: the window closed, Escape, or q where letters are keys."""
        pygame = self.pygame
        stops = (pygame.K_ESCAPE, pygame.K_q) if letters else (pygame.K_ESCAPE,)
        return event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key in stops)


class _Player:
    """What the keys do."""

    def __init__(self, view: _Window, game: Game) -> None:
        self.view, self.game = view, game
        self.keys = action_keys(game.env)
        self.arrows = arrow_actions(self.keys)
        self.typed: str | None = None if self.keys else ""
        self.note = ""

    def play(self) -> None:
        changed = True
        while True:
            if changed:
                self.view.show(draw_board(self.game, self._board(), self.view.size))
            changed = False
            for event in self.view.events():
                changed = True
                if self.view.is_end(event, letters=self.typed is None):
                    return
                if event.type == self.view.pygame.KEYDOWN:
                    self._press(event)

    def _board(self) -> Board:
        if self.typed is None:
            told = "Tab: type an answer · ?: ask the expert · q: quit"
        else:
            told = "Enter: answer · F1: ask the expert · " + ("Tab: keys again · " if self.keys else "") + "Esc: quit"
        return Board(describe_keys(self.keys, self.arrows) if self.typed is None else [], self.typed, self.note, told)

    def _press(self, event: Any) -> None:
        pygame = self.view.pygame
        if self.game.conversation is None:
            self.note = ""
            self.game.begin()
            return
        character = event.unicode if event.unicode.isprintable() else ""
        if event.key == pygame.K_F1 or (character == "?" and self.typed is None):
            self.note = self.game.hint()
        elif event.key == pygame.K_TAB and self.keys:
            self.typed = "" if self.typed is None else None
        elif self.typed is None:
            arrows = {"up": pygame.K_UP, "down": pygame.K_DOWN, "left": pygame.K_LEFT, "right": pygame.K_RIGHT}
            moves = {arrows[move]: name for move, name in self.arrows.items()}
            action = moves.get(event.key) or self.keys.get(character.casefold())
            if action is not None:
                self._answer(action)
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            if self.typed.strip() and self._answer(self.typed.strip()):
                self.typed = ""
        elif event.key == pygame.K_BACKSPACE:
            self.typed = self.typed[:-1]
        else:
            self.typed = (self.typed + character)[:LONGEST_ANSWER]

    def _answer(self, answer: str) -> bool:
        self.note = ""
        try:
            self.game.answer(answer)
        except UserError as error:
            self.note = str(error)
            return False
        return True


def _watch(view: _Window, game: Game, delay: float) -> None:
    """The agent plays, as in a film; one episode after the other."""
    while True:
        while game.conversation is not None:
            game.watch()
            scenes = game.scenes()
            # The scene of this turn; after the last one also the page that says how it ended.
            shown = scenes[len(game.episode.turns) - 1 :] if game.conversation is None else scenes[-2:-1]
            for scene in shown:
                # How many turns there will be, nobody knows yet.
                if not _show(view, replace(scene, turns=None), delay):
                    return
        game.begin()


def _show(view: _Window, scene: Scene, delay: float) -> bool:
    """Show the moments of a scene; whether the watcher goes on."""
    page, size = Page(view.size), view.size
    for step in scene_steps(scene, Pace.of(max(delay, 0.05))):
        until = time.monotonic() + (step.ticks / TICKS_PER_SECOND if delay else 0.0)
        page.show(step.scene, step.moment)
        view.show(np.asarray(page.picture))
        while True:
            if any(view.is_end(event) for event in view.events()):
                return False
            if view.size != size:
                page, size = Page(view.size), view.size
                page.show(step.scene, step.moment)
                view.show(np.asarray(page.picture))
            if time.monotonic() >= until:
                break
    return True
