"""The page of one turn: image, thought, action, rewards, curve, turn and total; only what changed is drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .canvas import BLUE, GRAY, GREEN, INK, LINE, PAGE, PANEL, RED, Canvas, Colour, Place, colour_of, signed
from .layout import Layout, arrange, check_size
from .lettering import wrap, wrap_whole
from .scene import WHOLE, Moment, Scene

BASE_SIZE = (1280, 720)
PALE_BLUE, PALE_RED = (226, 236, 248), (250, 230, 230)
MOST_PARTS = 5
LABEL = 0.8  # of the size of the words


@dataclass(frozen=True)
class _Part:
    """A part of a page: where it stands, what it depends on, and how it is drawn."""

    place: Place
    key: Hashable
    paint: Callable[[Place], None]


@dataclass(frozen=True)
class _Section:
    """A text that was fitted: its lines, the size of its letters, and the room of its heading."""

    lines: tuple[str, ...]
    size: float
    head: float

    @property
    def height(self) -> float:
        return self.head + max(1, len(self.lines)) * self.size * 1.3


class Page:
    """A page that is drawn again and again.

    Args:
        size: width and height in pixels, even numbers.
        cell: whether it is one of many on a picture.

    Raises:
        UserError: the size is too small or odd.
    """

    def __init__(self, size: tuple[int, int], cell: bool = False) -> None:
        check_size(size, (120, 100) if cell else (240, 180))
        self.size, self.cell = size, cell
        self._layouts: dict[bool, Layout] = {}
        self._drawn: dict[str, Hashable] = {}
        self._pictured: bool | None = None
        self._image: np.ndarray | None = None
        self._image_number = 0
        self._prompt: tuple[str, _Section] | None = None
        self._thought: tuple[tuple[str, Place] | None, list[str], float] = (None, [], 0.0)
        self.canvas = Canvas(size, 1.0)

    @property
    def picture(self) -> Image.Image:
        """What is on the page; it changes with the next `show`."""
        return self.canvas.picture

    def show(self, scene: Scene, moment: Moment = WHOLE) -> list[tuple[int, int, int, int]]:
        """Draw what differs from what is on the page.

        Returns:
            The boxes that were drawn anew, in pixels: left, top, right, bottom.
        """
        pictured = scene.image is not None
        boxes = []
        if pictured != self._pictured:
            layout = self._layouts.setdefault(pictured, arrange(self.size, pictured, self.cell))
            self.canvas = Canvas(self.size, layout.unit)
            self._drawn, self._pictured, self._prompt = {}, pictured, None
            boxes.append((0, 0, *self.size))
        for name, part in self._parts(scene, moment, self._layouts[pictured]).items():
            if self._drawn.get(name) == part.key:
                continue
            self._drawn[name] = part.key
            place = part.place
            # Some letters begin a hair before their place.
            whole = Place(place.left - 2, place.top, place.width + 4, place.height)
            self.canvas.fill(whole, PAGE)
            part.paint(place)
            left, top, right, bottom = self.canvas.pixels(whole)
            boxes.append((max(left, 0), max(top, 0), min(right, self.size[0]), min(bottom, self.size[1])))
        return boxes

    def _parts(self, scene: Scene, moment: Moment, layout: Layout) -> dict[str, _Part]:
        if scene.image is not None and (self._image is None or not np.array_equal(scene.image, self._image)):
            self._image, self._image_number = scene.image, self._image_number + 1
        total = scene.total_reward - (0.0 if moment.paid else scene.reward)
        curve = scene.curve if moment.paid else scene.curve[:-1]
        values = tuple(scene.reward_parts.items())
        font = layout.font
        of = "" if scene.turns is None else f"/{scene.turns}" if self.cell else f" of {scene.turns}"
        turn = f"turn {scene.turn}{of}"
        parts = {
            "title": _Part(layout.title, scene.title, lambda at: self._title(at, scene.title)),
            "turn": _Part(layout.turn, turn, lambda at: self._turn(at, turn)),
            "picture": _Part(
                layout.picture,
                scene.prompt if scene.image is None else self._image_number,
                lambda at: self._picture(at, scene, font),
            ),
            "action": _Part(
                layout.action,
                (scene.answer, scene.actions, moment.acted),
                lambda at: self._action(at, scene, moment.acted, font),
            ),
            "foot": _Part(
                layout.foot, (scene.outcome, scene.success, round(total, 4)), lambda at: self._foot(at, scene, total)
            ),
        }
        thinking = layout.thought
        if layout.prompt is not None and thinking is not None:
            # The thought gets what the prompt leaves, so a new prompt clears the room of both.
            both = Place(thinking.left, layout.prompt.top, thinking.width, thinking.bottom - layout.prompt.top)
            if self._prompt is None or self._prompt[0] != scene.prompt:
                self._prompt = scene.prompt, self._fit_section(layout.prompt, True, scene.prompt, font * 0.85, font)
            section = self._prompt[1]
            thinking = Place(both.left, both.top + section.height + 14, both.width, both.height - section.height - 14)
            parts["prompt"] = _Part(both, scene.prompt, lambda at: self._section(at, "Prompt", section, font))
        if thinking is not None:
            said = self._said(thinking, scene.thought, moment.thought, font)
            prompt = scene.prompt if layout.prompt is not None else ""
            parts["thought"] = _Part(thinking, (prompt, tuple(said)), lambda at: self._lines(at, "Thought", said, font))
        if layout.rewards is not None:
            parts["rewards"] = _Part(
                layout.rewards, (values, scene.reward, moment.paid), lambda at: self._rewards(at, scene, moment, font)
            )
        if layout.curve is not None:
            parts["curve"] = _Part(
                layout.curve,
                (curve, scene.turns, scene.curve_name),
                lambda at: self._curve(at, curve, scene.turns, scene.curve_name, font),
            )
        return parts

    def _title(self, place: Place, title: str) -> None:
        size = place.height * (0.8 if self.cell else 0.56)
        self.canvas.text(place.left, place.top + 2, self.canvas.fitted(title, size, place.width - size), size)
        if not self.cell:
            self.canvas.rule(place.left, place.bottom - 2, place.right + 2)

    def _turn(self, place: Place, turn: str) -> None:
        size = place.height * (0.72 if self.cell else 0.46)
        self.canvas.text(place.right, place.top + (3 if self.cell else 6), turn, size, GRAY, right=True)
        if not self.cell:
            self.canvas.rule(place.left - 2, place.bottom - 2, place.right)

    def _picture(self, place: Place, scene: Scene, font: float) -> None:
        self.canvas.fill(place, PANEL, LINE)
        inner = place.inner(4 if self.cell else 8)
        if scene.image is not None:
            self.canvas.image(inner, scene.image)
        else:
            label = "" if self.cell else "Prompt"
            room = inner.inner(2 if self.cell else 10)
            section = self._fit_section(room, not self.cell, scene.prompt, font * 1.1, font)
            self._section(room, label, section, font)

    def _fit_section(self, place: Place, headed: bool, text: str, size: float, font: float) -> _Section:
        """As much of a text as fits a place, in smaller letters where that helps."""
        head = font * 1.15 if headed else 0.0
        lines, shrunk = [], size
        for shrunk in self.canvas.sizes(size, 0.85, 0.7):
            count = max(1, int((place.height - head) / (shrunk * 1.3)))
            lines = wrap(text, lambda line, s=shrunk: self.canvas.measure(line, s), place.width, count)
            if not lines or not lines[-1].endswith("..."):
                break
        return _Section(tuple(lines), shrunk, head)

    def _section(self, place: Place, label: str, section: _Section, font: float) -> None:
        """A small heading and a text."""
        if label:
            self.canvas.text(place.left, place.top, label, font * LABEL, GRAY)
        for index, line in enumerate(section.lines or ("-",)):
            y = place.top + section.head + index * section.size * 1.3
            self.canvas.text(place.left, y, line, section.size, INK if section.lines else GRAY)

    def _said(self, place: Place, thought: str, share: float, font: float) -> list[str]:
        """The lines on the page when a share of the thought was said: the last ones, where there are more."""
        room = place.height - (0 if self.cell else font * 1.15)
        if self._thought[0] != (thought, place):
            for size in self.canvas.sizes(font, 0.85, 0.72):
                lines = wrap_whole(thought, lambda line, s=size: self.canvas.measure(line, s), place.width)
                self._thought = (thought, place), lines, size
                if len(lines) * size * 1.3 <= room:
                    break
        lines, size = self._thought[1], self._thought[2]
        words = round(share * sum(len(line.split()) for line in lines))
        said: list[str] = []
        for line in lines:
            if words <= 0:
                break
            pieces = line.split()
            said.append(" ".join(pieces[:words]) if words < len(pieces) else line)
            words -= len(pieces)
        count = max(1, int(room / (size * 1.3)))
        if len(said) > count:
            said = said[-count:]
            said[0] = self._cut_start(said[0], size, place.width)
        return said

    def _cut_start(self, line: str, size: float, width: float) -> str:
        while line and self.canvas.measure(f"...{line}", size) > width:
            line = line.partition(" ")[2]
        return f"...{line}"

    def _lines(self, place: Place, label: str, lines: list[str], font: float) -> None:
        head, size = 0.0, self._thought[2]
        if not self.cell:
            self.canvas.text(place.left, place.top, label, font * LABEL, GRAY)
            head = font * 1.15
        for index, line in enumerate(lines):
            self.canvas.text(place.left, place.top + head + index * size * 1.3, line, size, INK)

    def _action(self, place: Place, scene: Scene, acted: bool, font: float) -> None:
        """The actions that ran, each on a strip of its own; an answer that is no action in red."""
        top, height = place.top, place.height
        if not self.cell:
            self.canvas.text(place.left, top, "Action" if len(scene.actions) <= 1 else "Actions", font * LABEL, GRAY)
            top, height = top + font * 1.15, height - font * 1.15
        if not acted:
            return
        size = font * 1.15
        strip = min(height, size * 2)
        if not scene.actions:
            self._answer(Place(place.left, top, place.width, height), scene.answer or "-", font, RED, PALE_RED)
            return
        if scene.actions == (scene.answer,) and self.canvas.measure(scene.answer, size) > place.width - 24:
            self._answer(Place(place.left, top, place.width, height), scene.answer, font, BLUE, PALE_BLUE)
            return
        x = place.left
        for number, name in enumerate(scene.actions):
            more = f"+{len(scene.actions) - number}"
            room = place.right - x - (self.canvas.measure(more, size) + 10 if number + 1 < len(scene.actions) else 0)
            text = name if number else self.canvas.fitted(name, size, room - 20)
            width = self.canvas.measure(text, size) + 20
            if number and width > room:
                self.canvas.text(x, top + strip / 2 - size * 0.6, more, size, GRAY)
                break
            self.canvas.fill(Place(x, top, width, strip), BLUE, radius=min(8, strip / 4))
            self.canvas.text(x + 10, top + strip / 2 - size * 0.6, text, size, PANEL)
            x += width + 8

    def _answer(self, place: Place, answer: str, font: float, colour: Colour, pale: Colour) -> None:
        self.canvas.fill(place, pale, colour, radius=6)
        size = font if place.height >= font * 2.8 else font * 0.85
        count = max(1, int((place.height - 8) / (size * 1.25)))
        lines = wrap(answer, lambda line: self.canvas.measure(line, size), place.width - 20, count)
        for index, line in enumerate(lines):
            self.canvas.text(place.left + 10, place.top + 4 + index * size * 1.25, line, size, colour)

    def _rewards(self, place: Place, scene: Scene, moment: Moment, font: float) -> None:
        self.canvas.text(place.left, place.top, "Reward", font * LABEL, GRAY)
        rows = list(scene.reward_parts.items())
        most = min(MOST_PARTS, max(1, int((place.height - font * 2.8) / (font * 1.25))))
        if len(rows) > most:
            rest = rows[most - 1 :]
            rows = [*rows[: most - 1], (f"{len(rest)} more", sum(value for _, value in rest))]
        size, y = font * 0.95, place.top + font * 1.2
        for number, (name, value) in enumerate([*rows, ("this turn", scene.reward)]):
            if number == len(rows):
                self.canvas.rule(place.left, y + 1, place.right)
                y += 5
            label = self.canvas.fitted(name.replace("_", " "), size, place.width - size * 4)
            self.canvas.text(place.left, y, label, size)
            if moment.paid:
                self.canvas.text(place.right, y, signed(value), size, colour_of(value), right=True)
            y += font * 1.25

    def _curve(self, place: Place, values: tuple[float, ...], turns: int | None, name: str, font: float) -> None:
        """The values over the turns, with 0 as a line."""
        self.canvas.text(place.left, place.top, name[:1].upper() + name[1:], font * LABEL, GRAY)
        box = Place(place.left, place.top + font * 1.2, place.width, place.height - font * 1.2)
        self.canvas.fill(box, PANEL, LINE)
        inner = Place(box.left + 10, box.top + 10, box.width - 20 - font * 3, box.height - 20)
        low, high = min((0.0, *values)), max((0.0, *values))
        span = (high - low) or 1.0
        last = max((turns or 0), len(values), 2)

        def point(index: int, value: float) -> tuple[float, float]:
            x = inner.left + inner.width * index / (last - 1)
            return x * self.canvas.unit, (inner.bottom - inner.height * (value - low) / span) * self.canvas.unit

        zero = point(0, 0.0)[1]
        self.canvas.pen.line((inner.left * self.canvas.unit, zero, inner.right * self.canvas.unit, zero), fill=LINE)
        if not values:
            return
        points = [point(index, value) for index, value in enumerate(values)]
        thick = max(1, round(2.5 * self.canvas.unit))
        if len(points) > 1:
            self.canvas.pen.line(points, fill=BLUE, width=thick, joint="curve")
        x, y = points[-1]
        self.canvas.pen.ellipse((x - 2 * thick, y - 2 * thick, x + 2 * thick, y + 2 * thick), fill=BLUE)
        top = min(max(y / self.canvas.unit - font * 0.5, box.top + 2), box.bottom - font * 1.2)
        self.canvas.text(box.right - 8, top, f"{values[-1]:.2f}", font * 0.85, BLUE, right=True)

    def _foot(self, place: Place, scene: Scene, total: float) -> None:
        text = f"{total:.2f}" if self.cell else f"total {total:.2f}"
        size = place.height * (0.6 if self.cell else 0.42)
        margin = 8.0 if self.cell else place.height * 0.48
        colour, top = GRAY, place.top + (place.height - size * 1.2) / 2
        if scene.outcome is not None:
            colour = PANEL
            band = {True: GREEN, False: RED, None: INK}[scene.success]
            self.canvas.fill(place, band)
            room = place.width - 2 * margin - self.canvas.measure(text, size) - 16
            self.canvas.text(margin, top, self.canvas.fitted(scene.outcome, size, room), size, PANEL)
        self.canvas.text(place.right - margin, top, text, size, colour, right=True)


def draw_scene(
    scene: Scene, size: tuple[int, int] = BASE_SIZE, moment: Moment = WHOLE, *, cell: bool = False
) -> np.ndarray:
    """Draw one page.

    Args:
        scene: what to show. Text that is too long for its place is cut and ends in an ellipsis; of a thought the end
            is shown.
        size: width and height in pixels, even numbers, at least 320 x 180.
        moment: how far the scene has come.
        cell: draw it as one of many on a picture, from 120 x 100 pixels.

    Returns:
        The page, shape (height, width, 3), dtype uint8.

    Raises:
        UserError: the size is too small or odd.
    """
    page = Page(size, cell)
    page.show(scene, moment)
    return np.asarray(page.picture)
