"""What a window shows to somebody who plays: the picture, what was said, the keys, the reward and what is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmr1.envs.recording import INK, PANEL, shown_in
from lmmr1.envs.recording.canvas import BLUE, GRAY, GREEN, LINE, RED, Canvas, Place
from lmmr1.envs.recording.lettering import wrap

from .game import Game, tell_end

BASE, SMALLEST = (1100, 640), (480, 320)


@dataclass(frozen=True)
class Board:
    """What is on the board besides the game.

    Attributes:
        keys: a line for each action.
        typed: the answer that is being typed; None where keys act at once.
        note: a hint of the expert, or what was wrong with the last answer.
        help: the line at the foot.
    """

    keys: Sequence[str]
    typed: str | None
    note: str
    help: str


def draw_board(game: Game, board: Board, size: tuple[int, int]) -> np.ndarray:
    """Draw it.

    Args:
        game: whose episode is shown.
        board: what else is.
        size: width and height in pixels; smaller ones than 480 x 320 are drawn as that.

    Returns:
        Shape (height, width, 3), dtype uint8.
    """
    size = max(size[0], SMALLEST[0]), max(size[1], SMALLEST[1])
    canvas = Canvas(size, max(0.6, min(size[0] / BASE[0], size[1] / BASE[1])))
    width, height, margin = canvas.width, canvas.height, 20.0
    foot = height - 38
    canvas.text(margin, foot + 9, canvas.fitted(board.help, 16, width - 2 * margin), 16, GRAY)
    canvas.rule(margin, foot, width - margin)
    side = min(foot - 2 * margin, width * 0.56)
    picture = Place(margin, margin, side, foot - 2 * margin)
    image, said = shown_in(game.messages)
    if image is None:
        said = game.rendered or said  # which also says what became of an answer
    right = Place(margin + side + 24, margin, width - side - 2 * margin - 24, foot - 2 * margin)
    canvas.fill(picture, PANEL, LINE)
    if image is not None:
        canvas.image(picture.inner(6), image)
    else:
        _write(canvas, picture.inner(14), said, 20, INK)
        said = ""
    y = right.top
    y = _status(canvas, game, right, y)
    if said:
        y = _write(canvas, Place(right.left, y, right.width, (right.bottom - y) * 0.4), said, 18, INK) + 10
    if board.note:
        y = _write(canvas, Place(right.left, y, right.width, (right.bottom - y) * 0.4), board.note, 17, BLUE) + 10
    if board.typed is not None:
        y = _field(canvas, Place(right.left, y, right.width, 64), board.typed) + 12
    _keys(canvas, Place(right.left, y, right.width, right.bottom - y), board.keys)
    return np.asarray(canvas.picture)


def _status(canvas: Canvas, game: Game, right: Place, y: float) -> float:
    episode = game.episode
    turns = len(episode.turns)
    canvas.text(right.left, y, canvas.fitted(f"turn {turns + (game.conversation is not None)}", 20, right.width), 20)
    total = episode.total_reward
    canvas.text(right.right, y, f"total {total:.2f}", 20, GRAY, right=True)
    y += 30
    if turns:
        last = episode.turns[-1]
        parts = ", ".join(f"{name} {value:g}" for name, value in last.reward_parts.items() if value)
        done = ", ".join(last.actions) or last.answer or "nothing"
        line = f"{done}: {last.reward:+.2f}" + (f" ({parts})" if parts else "")
        y = _write(canvas, Place(right.left, y, right.width, 46), line, 17, GREEN if last.reward > 0 else GRAY) + 4
    if game.conversation is None:
        colour = {True: GREEN, False: RED, None: INK}[episode.success]
        band = Place(right.left, y, right.width, 36)
        canvas.fill(band, colour, radius=6)
        line = f"{tell_end(episode)}: any key begins another one"
        canvas.text(band.left + 12, band.top + 8, canvas.fitted(line, 18, band.width - 24), 18, PANEL)
        y = band.bottom + 8
    return y + 6


def _field(canvas: Canvas, place: Place, typed: str) -> float:
    canvas.text(place.left, place.top, "Your answer, then Enter", 15, GRAY)
    box = Place(place.left, place.top + 22, place.width, 40)
    canvas.fill(box, PANEL, BLUE, radius=6)
    shown = f"{typed}|"
    while len(shown) > 1 and canvas.measure(shown, 20) > box.width - 20:
        shown = shown[1:]
    canvas.text(box.left + 10, box.top + 8, shown, 20)
    return box.bottom


def _keys(canvas: Canvas, place: Place, keys: Sequence[str]) -> None:
    if not keys or place.height < 40:
        return
    canvas.text(place.left, place.top, "Keys", 15, GRAY)
    rows, width, size = 1, place.width, 17.0
    for size in canvas.sizes(17, 0.85, 0.72, 0.62):
        rows = max(1, int((place.height - 24) / (size * 1.35)))
        width = place.width / -(-len(keys) // rows)
        if max(canvas.measure(line, size) for line in keys) <= width - 8:
            break
    for index, line in enumerate(keys):
        x, y = place.left + index // rows * width, place.top + 24 + index % rows * size * 1.35
        canvas.text(x, y, canvas.fitted(line, size, width - 8), size)


def _write(canvas: Canvas, place: Place, text: str, size: float, colour: tuple[int, int, int]) -> float:
    """Write as much of a text as fits, smaller where that helps; where the next thing may start."""
    lines, chosen = [], size
    for chosen in canvas.sizes(size, 0.85, 0.72):
        count = max(1, int(place.height / (chosen * 1.3)))
        lines = wrap(text, lambda line, s=chosen: canvas.measure(line, s), place.width, count)
        if not lines or not lines[-1].endswith("..."):
            break
    for index, line in enumerate(lines):
        canvas.text(place.left, place.top + index * chosen * 1.3, line, chosen, colour)
    return place.top + len(lines) * chosen * 1.3
