"""Episodes as pictures: one page a scene, with what was seen, thought, answered, done and paid.

A page is drawn with Pillow and its built-in font alone, so that it looks the same everywhere. Films are
written as GIF with Pillow, or as MP4 with PyAV (the extra ``lmmr1[video]``), which only this file imports.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import is_image

PAGE, PANEL, LINE = (247, 247, 244), (255, 255, 255), (214, 216, 220)
INK, GRAY, BLUE, GREEN, RED = (26, 28, 33), (92, 97, 106), (24, 84, 160), (20, 112, 60), (170, 36, 36)
BASE_SIZE = (1280, 720)
FRAMES_PER_SECOND = 10
# The built-in font knows little beyond ASCII; what mathematics needs of the rest is spelt out.
SPELLINGS = {
    "π": "pi", "θ": "theta", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu",
    "φ": "phi", "√": "sqrt", "²": "^2", "³": "^3", "×": "x", "÷": "/", "−": "-", "–": "-", "—": "-", "→": "->",
    "←": "<-", "↑": "up", "↓": "down", "⇒": "=>", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "±": "+/-",
    "∠": "angle ", "△": "triangle ", "∞": "infinity", "•": "·", "✓": "ok", "∈": " in ", "\u00a0": " ", "\t": "    ",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One page of a film.

    Attributes:
        image: what was seen, shape (height, width, 3), dtype uint8, or None in a world of text.
        prompt: the text that came with it.
        thought: the thought of the reply.
        answer: the answer of the reply.
        actions: the names of the actions that it ran.
        reward: this turn's reward.
        reward_parts: the parts that sum to it.
        total_reward: the sum of the rewards of this episode so far.
        turn: the number of this turn, from 1.
        title: the head of the page, such as the name of the world and of the agent.
        outcome: how the episode ended, on its last page; else None.
    """

    image: np.ndarray | None
    prompt: str
    thought: str = ""
    answer: str = ""
    actions: tuple[str, ...] = ()
    reward: float = 0.0
    reward_parts: Mapping[str, float] = field(default_factory=dict)
    total_reward: float = 0.0
    turn: int = 1
    title: str = ""
    outcome: str | None = None


def draw_scene(scene: Scene, size: tuple[int, int] = BASE_SIZE) -> np.ndarray:
    """Draw one page.

    Args:
        scene: what to show. Text that is too long for its place is cut and ends in an ellipsis.
        size: width and height in pixels, even numbers, at least 320 x 180.

    Returns:
        The page, shape (height, width, 3), dtype uint8.

    Raises:
        UserError: the size is too small or odd, or the image is no picture.
    """
    return np.asarray(_Page(scene, size).draw())


def write_film(
    scenes: Iterable[Scene],
    path: str | Path,
    size: tuple[int, int] = BASE_SIZE,
    seconds_per_scene: float = 1.2,
) -> Path:
    """Write scenes as a film; the last one stays twice as long.

    Args:
        scenes: the pages, at least one.
        path: where to; ".mp4" (H.264 where the encoder is there, else MPEG-4) or ".gif". Folders are made.
        size: width and height in pixels, even numbers.
        seconds_per_scene: how long a page stays.

    Returns:
        The path.

    Raises:
        UserError: there is no scene, the ending is another one, a number is out of range, the file cannot be
            written, or an MP4 is asked for without PyAV.
    """
    path = Path(path)
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    if path.suffix.lower() not in writers:
        raise UserError(f"a film must be named .mp4 or .gif: {path}")
    if not 0.05 <= seconds_per_scene <= 60:
        raise UserError(f"seconds_per_scene must be from 0.05 to 60, not {seconds_per_scene}")
    iterator = iter(scenes)
    first = next(iterator, None)
    if first is None:
        raise UserError(f"a film needs at least one scene: {path}")
    if path.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise MissingExtraError("Writing an MP4", "PyAV (av)", "video")
    # Written beside its place and moved there when it is whole, so that nobody finds half a film.
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    pages = (draw_scene(scene, size) for scene in chain([first], iterator))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[path.suffix.lower()](pages, part, size, seconds_per_scene)
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write the film {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _write_gif(pages: Iterable[np.ndarray], path: Path, size: tuple[int, int], seconds: float) -> None:
    # One palette of 128 colours a page and no dithering: text stays crisp, and files small.
    frames = [Image.fromarray(page).quantize(128, dither=Image.Dither.NONE) for page in pages]
    durations = [round(seconds * 1000)] * (len(frames) - 1) + [round(seconds * 2000)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _write_mp4(pages: Iterable[np.ndarray], path: Path, size: tuple[int, int], seconds: float) -> None:
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "20", "preset": "veryfast", "tune": "stillimage"} if codec == "libx264" else {"qscale": "3"}
    repeats = max(1, round(seconds * FRAMES_PER_SECOND))
    with av.open(str(path), mode="w", options={"movflags": "+faststart"}) as container:
        # A constant ten frames a second: many players stumble over films of less than one.
        stream: Any = container.add_stream(codec, rate=FRAMES_PER_SECOND, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        page = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        for page in pages:
            for _ in range(repeats):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="rgb24")))
        for _ in range(repeats):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="rgb24")))
        container.mux(stream.encode())


class _Page:
    """The drawing of one page, on a grid of 1280 x 720 units that is scaled to its size."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        width, height = size
        if width < 320 or height < 180 or width % 2 or height % 2:
            raise UserError(f"the size of a page must be even numbers of at least 320 x 180, not {width} x {height}")
        if scene.image is not None and not is_image(scene.image):
            raise UserError("the image of a scene must be an array of shape (height, width, 3) and dtype uint8")
        self.scene = scene
        self.unit = min(width / BASE_SIZE[0], height / BASE_SIZE[1])
        # Units that the page has: more than the base in one direction where the proportions differ.
        self.width, self.height = width / self.unit, height / self.unit
        self.picture = Image.new("RGB", size, PAGE)
        self.pen = ImageDraw.Draw(self.picture)

    def draw(self) -> Image.Image:
        """Draw everything from top to bottom."""
        margin, top, bottom = 32.0, 92.0, self.height - 84
        self._draw_head(margin)
        left_width = min(bottom - top, self.width * 0.48)
        self._box(margin, top, left_width, bottom - top)
        if self.scene.image is None:
            self._section("Prompt", self.scene.prompt, margin + 20, top + 18, left_width - 40, bottom - top - 36, 22)
        else:
            self._draw_image(self.scene.image, margin + 8, top + 8, left_width - 16, bottom - top - 16)
        self._draw_words(margin + left_width + 32, top, self.width - margin, bottom)
        self._draw_foot(margin)
        return self.picture

    def _draw_head(self, margin: float) -> None:
        turn = f"turn {self.scene.turn}"
        room = self.width - 2 * margin - self._measure(turn, 24) - 32
        self._text(margin, 26, _fit(self.scene.title, lambda text: self._measure(text, 30), room), 30, INK)
        self._text(self.width - margin, 31, turn, 24, GRAY, align_right=True)
        self._rule(margin, 74, self.width - margin)

    def _draw_words(self, left: float, top: float, right: float, bottom: float) -> None:
        width = right - left
        table_top = bottom - 34 - 26 * (min(len(self.scene.reward_parts), 5) + 1)
        y = top
        if self.scene.image is not None:
            y = self._section("Prompt", self.scene.prompt, left, y, width, 92, 18) + 14
        # From the table upwards: actions, answer; the thought gets the room between. In a world of text the
        # answer is the action, and need not be told twice.
        answer_is_action = self.scene.actions == (self.scene.answer,)
        actions_top = table_top - (0 if answer_is_action else 66)
        answer_top = actions_top - 98
        self._section("Thought", self.scene.thought, left, y, width, answer_top - y - 12, 20)
        self._section("Answer", self.scene.answer, left, answer_top, width, 86, 24, BLUE)
        if not answer_is_action:
            self._section("Actions", ", ".join(self.scene.actions), left, actions_top, width, 54, 22)
        self._draw_table(left, table_top, width)

    def _draw_table(self, left: float, top: float, width: float) -> None:
        self._text(left, top, "Reward", 15, GRAY)
        rows = list(self.scene.reward_parts.items())
        if len(rows) > 5:
            rest = rows[4:]
            rows = [*rows[:4], (f"{len(rest)} more", sum(value for _, value in rest))]
        right, y = left + min(width, 320), top + 24
        for name, value in rows:
            label = _fit(name.replace("_", " "), lambda text: self._measure(text, 20), right - left - 110)
            self._text(left, y, label, 20, INK)
            self._text(right, y, _signed(value), 20, _colour(value), align_right=True)
            y += 26
        self._rule(left, y, right)
        self._text(left, y + 3, "this turn", 20, INK)
        self._text(right, y + 3, _signed(self.scene.reward), 20, _colour(self.scene.reward), align_right=True)

    def _draw_foot(self, margin: float) -> None:
        top = self.height - 66
        total = f"total {self.scene.total_reward:.2f}"
        colour = GRAY
        if self.scene.outcome is not None:
            colour = PANEL
            self.pen.rectangle(self._pixels(0, top, self.width, self.height), fill=INK)
            room = self.width - 2 * margin - self._measure(total, 28) - 40
            outcome = _fit(self.scene.outcome, lambda text: self._measure(text, 28), room)
            self._text(margin, top + 16, outcome, 28, PANEL)
        self._text(self.width - margin, top + 16, total, 28, colour, align_right=True)

    def _draw_image(self, image: np.ndarray, left: float, top: float, width: float, height: float) -> None:
        x0, y0, x1, y1 = self._pixels(left, top, left + width, top + height)
        room_x, room_y = x1 - x0, y1 - y0
        rows, columns = image.shape[:2]
        times = min(room_x // columns, room_y // rows)
        picture = Image.fromarray(image)
        if times >= 1:
            # Whole multiples of every pixel keep small pictures sharp and even.
            picture = picture.resize((columns * times, rows * times), Image.Resampling.NEAREST)
        else:
            shrink = min(room_x / columns, room_y / rows)
            shape = (max(1, int(columns * shrink)), max(1, int(rows * shrink)))
            picture = picture.resize(shape, Image.Resampling.LANCZOS)
        self.picture.paste(picture, (x0 + (room_x - picture.width) // 2, y0 + (room_y - picture.height) // 2))

    def _section(
        self,
        label: str,
        text: str,
        left: float,
        top: float,
        width: float,
        height: float,
        font_size: int,
        colour: tuple[int, int, int] = INK,
    ) -> float:
        """Draw a small heading and, below, as much of the text as fits; return where the next thing may start."""
        self._text(left, top, label, 15, GRAY)
        step = font_size * 1.3
        count = max(1, int((height - 22) / step))
        lines = _wrap(text, lambda line: self._measure(line, font_size), width, count)
        if not lines:
            lines, colour = ["-"], GRAY
        for index, line in enumerate(lines):
            self._text(left, top + 22 + index * step, line, font_size, colour)
        return top + 22 + len(lines) * step

    def _font(self, font_size: float) -> ImageFont.FreeTypeFont:
        return _load_font(max(6, round(font_size * self.unit)))

    def _measure(self, text: str, font_size: float) -> float:
        return self._font(font_size).getlength(text) / self.unit

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        font_size: float,
        colour: tuple[int, int, int],
        align_right: bool = False,
    ) -> None:
        position = round(x * self.unit), round(y * self.unit)
        self.pen.text(position, spell_out(text), colour, self._font(font_size), anchor="ra" if align_right else "la")

    def _rule(self, left: float, y: float, right: float) -> None:
        self.pen.line(self._pixels(left, y, right, y), fill=LINE, width=max(1, round(2 * self.unit)))

    def _box(self, left: float, top: float, width: float, height: float) -> None:
        self.pen.rectangle(self._pixels(left, top, left + width, top + height), fill=PANEL, outline=LINE)

    def _pixels(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int]:
        return round(x0 * self.unit), round(y0 * self.unit), round(x1 * self.unit), round(y1 * self.unit)


def _signed(value: float) -> str:
    return f"{value:+.2f}" if round(value, 2) else "0.00"


def _colour(value: float) -> tuple[int, int, int]:
    if not round(value, 2):
        return GRAY
    return GREEN if value > 0 else RED


@lru_cache(maxsize=64)
def _load_font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(pixels)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise UserError("this Pillow was built without FreeType, so it cannot draw text: install the wheel from PyPI")
    return font


@lru_cache(maxsize=4096)
def _spell_character(character: str) -> str:
    if character in SPELLINGS:
        return SPELLINGS[character]
    if _has_glyph(character):
        return character
    plain = "".join(part for part in unicodedata.normalize("NFKD", character) if _has_glyph(part))
    return plain or "?"


def _has_glyph(character: str) -> bool:
    return character.isprintable() and (character == " " or _draw_glyph(character) != _draw_glyph("\uffff"))


def _draw_glyph(character: str) -> bytes:
    picture = Image.new("L", (32, 32))
    ImageDraw.Draw(picture).text((4, 4), character, 255, _load_font(16))
    return picture.tobytes()


def spell_out(text: str) -> str:
    """Replace what the built-in font cannot draw: mathematical signs by words, accents by plain letters."""
    return text if text.isascii() and text.isprintable() else "".join(map(_spell_character, text))


def _fit(text: str, measure: Any, width: float) -> str:
    """Cut a text to one line."""
    lines = _wrap(text, measure, width, 1)
    return lines[0] if lines else ""


def _wrap(text: str, measure: Any, width: float, max_lines: int) -> list[str]:
    """Break a text into lines of at most ``width``; what does not fit is cut, and the last line says so."""
    # No line holds more than a few hundred characters, so the work is bounded whatever the text is.
    limit = 400 * max_lines
    lines: list[str] = []
    for paragraph in text[:limit].strip().splitlines():
        _wrap_paragraph(paragraph, measure, width, max_lines, lines)
    if lines and (len(lines) > max_lines or len(text) > limit):
        lines = lines[:max_lines]
        last = lines[-1]
        while last and measure(last + "...") > width:
            last = last[:-1]
        lines[-1] = last.rstrip(" ,;") + "..."
    return lines


def _wrap_paragraph(text: str, measure: Any, width: float, max_lines: int, lines: list[str]) -> None:
    line = ""
    # From the end, so that the rest of a word that is broken can be put back.
    waiting = spell_out(" ".join(text.split())).split(" ")[::-1]
    while waiting and len(lines) <= max_lines:
        word = waiting.pop()
        longer = f"{line} {word}" if line else word
        if measure(longer) <= width:
            line = longer
        elif line:
            lines.append(line)
            line = ""
            waiting.append(word)
        else:
            count = _longest_prefix(word, measure, width)
            lines.append(word[:count])
            waiting.append(word[count:])
    lines.append(line)


def _longest_prefix(word: str, measure: Any, width: float) -> int:
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(word[:middle]) <= width else (low, middle - 1)
    return low
