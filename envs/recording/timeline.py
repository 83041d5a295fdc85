"""From scenes to pictures that follow each other: thoughts that are said word by word, many episodes side by side."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from lmmr1.envs.errors import UserError

from .canvas import LINE, PAGE
from .page import Page
from .scene import WHOLE, Moment, Scene

TICKS_PER_SECOND = 10
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Pace:
    """How fast a film goes, in ticks of a tenth of a second.

    Attributes:
        scene: a scene without a thought.
        words_per_tick: how fast a thought is said.
        steps: in how many steps at most; None: one a tick.
    """

    scene: int = 12
    words_per_tick: float = 2.0
    steps: int | None = None

    @classmethod
    def of(cls, seconds_per_scene: float, steps: int | None = None) -> Pace:
        """The pace of so many seconds a scene.

        Raises:
            UserError: that is out of range.
        """
        if not 0.05 <= seconds_per_scene <= 60:
            raise UserError(f"seconds_per_scene must be from 0.05 to 60, not {seconds_per_scene}")
        scene = max(1, round(seconds_per_scene * TICKS_PER_SECOND))
        return cls(scene, words_per_tick=24 / scene, steps=steps)


@dataclass(frozen=True)
class Step:
    """A moment of a scene, and how many ticks it stays."""

    scene: Scene
    moment: Moment
    ticks: int


@dataclass(frozen=True)
class Frame:
    """A picture of a film.

    Attributes:
        picture: what is seen; drawn on again for the next frame, so whoever keeps it makes a copy.
        boxes: what differs from the frame before, in pixels: left, top, right, bottom.
        ticks: how long it stays.
    """

    picture: Image.Image
    boxes: Sequence[Box]
    ticks: int


def scene_steps(scene: Scene, pace: Pace) -> list[Step]:
    """The moments of a scene: seen, thought, answered, paid. A last page stays twice as long, all at once."""
    if scene.outcome is not None or pace.scene < 3:
        return [Step(scene, WHOLE, pace.scene * (2 if scene.outcome is not None else 1))]
    words = len(scene.thought.split())
    thinking = min(math.ceil(words / pace.words_per_tick), 3 * pace.scene)
    seen, acted = max(1, pace.scene // 6), max(1, pace.scene // 3)
    steps = [Step(scene, Moment(0.0, False, False), seen)]
    count = thinking if pace.steps is None else min(thinking, pace.steps)
    for number in range(count):
        ticks = thinking * (number + 1) // count - thinking * number // count
        steps.append(Step(scene, Moment((number + 1) / count, False, False), ticks))
    steps.append(Step(scene, Moment(1.0, True, False), acted))
    steps.append(Step(scene, WHOLE, max(1, pace.scene - seen - acted)))
    return steps


def play_scenes(scenes: Iterable[Scene], size: tuple[int, int], pace: Pace) -> Iterator[Frame]:
    """The frames of scenes that follow each other on one page."""
    page = Page(size)
    for scene in scenes:
        for step in scene_steps(scene, pace):
            boxes = page.show(step.scene, step.moment)  # which may begin a new picture
            yield Frame(page.picture, boxes, step.ticks)


def play_beside(
    strips: Sequence[Sequence[Scene]], size: tuple[int, int], pace: Pace, columns: int, rows: int
) -> Iterator[Frame]:
    """The frames of episodes side by side, each at its own pace; one that ended shows its last page.

    Args:
        strips: the scenes of each episode, row by row from the top left; at most ``columns`` x ``rows``.
        size: of the whole picture.
        pace: how fast.
        columns, rows: the grid.
    """
    picture = Image.new("RGB", size, PAGE)
    boxes = cell_boxes(size, columns, rows)
    few = columns * rows <= 2
    pages = [Page((box[2] - box[0], box[3] - box[1]), cell=not few) for box, _ in zip(boxes, strips, strict=False)]
    clocks: list[tuple[int, int]] = []
    steps = [iter([step for scene in strip for step in scene_steps(scene, pace)]) for strip in strips]
    clocks = [(0, index) for index in range(len(strips))]
    heapq.heapify(clocks)
    now, drawn = 0, list[Box]([(0, 0, *size)])
    if columns > 1 or rows > 1:
        _rule_off(picture, boxes)
    while clocks:
        due, index = heapq.heappop(clocks)
        if due > now:
            yield Frame(picture, drawn, due - now)
            now, drawn = due, []
        step = next(steps[index], None)
        if step is None:
            continue
        left, top = boxes[index][:2]
        for box in pages[index].show(step.scene, step.moment):
            picture.paste(pages[index].picture.crop(box), (left + box[0], top + box[1]))
            drawn.append((left + box[0], top + box[1], left + box[2], top + box[3]))
        heapq.heappush(clocks, (now + step.ticks, index))
    if drawn:
        yield Frame(picture, drawn, pace.scene)


def cell_boxes(size: tuple[int, int], columns: int, rows: int) -> list[Box]:
    """The cells of a grid, row by row, in pixels: of even sizes, with a line of two pixels between them."""
    width = (size[0] - 2 * (columns - 1)) // columns // 2 * 2
    height = (size[1] - 2 * (rows - 1)) // rows // 2 * 2
    return [
        (x * (width + 2), y * (height + 2), x * (width + 2) + width, y * (height + 2) + height)
        for y in range(rows)
        for x in range(columns)
    ]


def _rule_off(picture: Image.Image, boxes: Sequence[Box]) -> None:
    for left, top, right, bottom in boxes:
        if right + 2 <= picture.width:
            picture.paste(LINE, (right, top, right + 2, bottom))
        if bottom + 2 <= picture.height:
            picture.paste(LINE, (left, bottom, min(right + 2, picture.width), bottom + 2))
