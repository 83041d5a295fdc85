"""Playing in a window; the one file of the command line that imports pygame."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import Message, message_images

from .play import action_names, outcome

SHORTEST_SIDE = 480
FRAMES_PER_SECOND = 30


def play_in_window(env: ChatEnv, title: str, seed: int | None) -> None:
    """Show pictures and read keys until the window is closed; a new episode follows each one.

    Arrow keys run the actions called Up, Down, Left and Right; the digits run the actions by their number from 0.

    Raises:
        UserError: the world has no pictures, or no list of actions.
        MissingExtraError: pygame is not installed.
    """
    try:
        import pygame
    except ImportError as error:
        raise MissingExtraError("Playing in a window", "pygame-ce", "games") from error
    keys = _keys(pygame, action_names(env))
    messages, _ = env.reset(seed=seed)
    pygame.display.init()
    try:
        clock, total, caption = pygame.time.Clock(), 0.0, title
        screen: pygame.Surface | None = None
        while True:
            picture = _picture(env, messages)
            factor = max(1, -(-SHORTEST_SIDE // min(picture.shape[:2])))
            size = (picture.shape[1] * factor, picture.shape[0] * factor)
            if screen is None or screen.get_size() != size:
                screen = pygame.display.set_mode(size)
            pygame.display.set_caption(caption)
            surface = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
            screen.blit(pygame.transform.scale(surface, size), (0, 0))
            pygame.display.flip()
            clock.tick(FRAMES_PER_SECOND)
            for event in pygame.event.get():
                if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                    return
                if event.type != pygame.KEYDOWN or event.key not in keys:
                    continue
                messages, reward, terminated, truncated, info = env.step(env.write_reply("", keys[event.key]))
                total += reward
                caption = f"{title}: {keys[event.key]}, {total:g} in all"
                if terminated or truncated:
                    caption = f"{title}: {outcome(info)}, {total:g} in all; a new one begins"
                    messages, _ = env.reset()
                    total = 0.0
    finally:
        pygame.display.quit()
        env.close()


def _keys(pygame: Any, names: tuple[str, ...]) -> dict[int, str]:
    keys = {pygame.K_0 + number: name for number, name in enumerate(names[:10])}
    arrows = {"up": pygame.K_UP, "down": pygame.K_DOWN, "left": pygame.K_LEFT, "right": pygame.K_RIGHT}
    return keys | {arrows[name.casefold()]: name for name in names if name.casefold() in arrows}


def _picture(env: ChatEnv, messages: list[Message]) -> np.ndarray:
    shown = env.render() if env.render_mode == "rgb_array" else None
    if isinstance(shown, np.ndarray):
        return shown
    images = [image for message in messages for image in message_images(message)]
    if not images:
        raise UserError("this world has no pictures; play it at the terminal, without --window")
    return images[-1]
