"""The window that people watch, the one file here that imports pygame."""

from __future__ import annotations

import numpy as np

from lmmr1.envs.errors import MissingExtraError


class Window:
    """A window that shows pictures, opened with the first one.

    Args:
        title: Text of the title bar.
        frames_per_second: Pictures shown a second at most.
    """

    def __init__(self, title: str, frames_per_second: int) -> None:
        try:
            import pygame
        except ImportError as error:
            raise MissingExtraError('render_mode="human"', "pygame-ce", "games") from error
        self._pygame = pygame
        self._title = title
        self._rate = frames_per_second
        self._screen: pygame.Surface | None = None
        self._clock = pygame.time.Clock()

    def show(self, picture: np.ndarray) -> None:
        """Shows a picture of shape (height, width, 3), dtype uint8, and waits out the rate."""
        pygame = self._pygame
        screen = self._screen
        if screen is None:
            pygame.display.init()
            pygame.display.set_caption(self._title)
            screen = self._screen = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
        screen.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._rate)

    def close(self) -> None:
        """Closes the window."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
