"""Films: the scenes of one episode after the other, many side by side, or two compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np

from lmmr1.envs.errors import UserError

from .gif import write_gif
from .layout import check_size
from .mp4 import require_av, write_mp4
from .page import BASE_SIZE
from .scene import Scene
from .timeline import Frame, Pace, play_beside, play_scenes

ENDINGS = (".mp4", ".gif")
# A GIF shows a thought in so few steps, which keeps it small.
GIF_STEPS = 4
MOST_CELLS = 16


def write_film(
    scenes: Iterable[Scene],
    path: str | Path,
    size: tuple[int, int] = BASE_SIZE,
    seconds_per_scene: float = 1.2,
) -> Path:
    """Write scenes as a film: each is seen, thought about word by word, answered and paid; a last one stays longer.

    Args:
        scenes: at least one; those of several episodes may follow each other.
        path: where to; ".mp4" (H.264 where the encoder is there, else MPEG-4) or ".gif". Folders are made.
        size: width and height in pixels, even numbers, at least 320 x 180.
        seconds_per_scene: how long a scene stays, beside the time that its thought is said in.

    Returns:
        The path.

    Raises:
        UserError: there is no scene, the ending is another one, a number is out of range, the file cannot be
            written, or an MP4 is asked for without PyAV.
    """
    path = Path(path)
    pace = check_film(path, size, seconds_per_scene)
    iterator = iter(scenes)
    first = next(iterator, None)
    if first is None:
        raise UserError(f"a film needs at least one scene: {path}")
    if path.suffix.lower() == ".gif":
        kept = [first, *iterator]
        return _write(path, play_scenes(kept, size, pace), size, _some_images(kept))
    return _write(path, play_scenes(chain([first], iterator), size, pace), size, [])


def write_grid(
    episodes: Sequence[Sequence[Scene]],
    path: str | Path,
    *,
    columns: int | None = None,
    rows: int | None = None,
    size: tuple[int, int] = BASE_SIZE,
    seconds_per_scene: float = 1.2,
) -> Path:
    """Write many episodes at once: a grid of them, and the next grid when all of it have ended.

    Args:
        episodes: the scenes of each.
        path, size, seconds_per_scene: see `write_film`.
        columns, rows: of the grid, 1 to 4 each; by default as few as hold all episodes, 4 x 4 at most. Two columns
            and one row show two pages in full, side by side.

    Returns:
        The path.

    Raises:
        UserError: as in `write_film`, or the grid is too large.
    """
    path = Path(path)
    pace = check_film(path, size, seconds_per_scene)
    strips = [list(strip) for strip in episodes if len(strip) > 0]
    if not strips:
        raise UserError(f"a film needs at least one scene: {path}")
    columns, rows = choose_grid(len(strips), columns, rows)

    def play() -> Iterator[Frame]:
        for start in range(0, len(strips), columns * rows):
            yield from play_beside(strips[start : start + columns * rows], size, pace, columns, rows)

    return _write(path, play(), size, _some_images([scene for strip in strips for scene in strip]))


def choose_grid(count: int, columns: int | None, rows: int | None) -> tuple[int, int]:
    """Columns and rows for so many episodes.

    Raises:
        UserError: one of them is not from 1 to 4.
    """
    for name, given in (("columns", columns), ("rows", rows)):
        if given is not None and not 1 <= given <= 4:
            raise UserError(f"a grid has 1 to 4 {name}, not {given}")
    if columns is None:
        side = next(side for side in range(1, 5) if side * (rows or side) >= min(count, MOST_CELLS) or side == 4)
        columns = side
    return columns, rows or min(4, max(1, -(-count // columns)))


def check_film(path: Path, size: tuple[int, int], seconds_per_scene: float) -> Pace:
    """Refuse what cannot become a film, before anything is played for it.

    Raises:
        UserError: see `write_film`.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"a film must be named .mp4 or .gif: {path}")
    check_size(size)
    pace = Pace.of(seconds_per_scene, GIF_STEPS if path.suffix.lower() == ".gif" else None)
    if path.suffix.lower() == ".mp4":
        require_av()
    return pace


def _some_images(scenes: Sequence[Scene], most: int = 24) -> list[np.ndarray]:
    images = [scene.image for scene in scenes if scene.image is not None]
    return images[:: max(1, len(images) // most)]


def _write(path: Path, frames: Iterable[Frame], size: tuple[int, int], images: Sequence[np.ndarray]) -> Path:
    # Written beside its place and moved there when it is whole, so that nobody finds half a film.
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".gif":
            write_gif(frames, part, images)
        else:
            write_mp4(frames, part, size)
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write the film {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path
