"""Letters: the built-in font, what stands for the signs that it lacks, and how text is broken into lines.

Only Pillow's own font is used, so that a page looks the same everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from lmmr1.envs.errors import UserError

Measure = Callable[[str], float]
# No page shows more of a text than this, so that the work is bounded whatever the text is.
LONGEST_TEXT = 8000
# The built-in font knows little beyond ASCII; what mathematics needs of the rest is spelt out.
SPELLINGS = {
    "π": "pi", "θ": "theta", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu",
    "φ": "phi", "√": "sqrt", "²": "^2", "³": "^3", "×": "x", "÷": "/", "−": "-", "–": "-", "—": "-", "→": "->",
    "←": "<-", "↑": "up", "↓": "down", "⇒": "=>", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "±": "+/-",
    "∠": "angle ", "△": "triangle ", "∞": "infinity", "•": "·", "✓": "ok", "∈": " in ", "\u00a0": " ", "\t": "    ",
}  # fmt: skip


@lru_cache(maxsize=64)
def load_font(pixels: int) -> ImageFont.FreeTypeFont:
    """The built-in font in a size in pixels.

    Raises:
        UserError: this Pillow cannot draw it.
    """
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
    ImageDraw.Draw(picture).text((4, 4), character, 255, load_font(16))
    return picture.tobytes()


def spell_out(text: str) -> str:
    """Replace what the built-in font cannot draw: mathematical signs by words, accents by plain letters."""
    return text if text.isascii() and text.isprintable() else "".join(map(_spell_character, text))


def fit(text: str, measure: Measure, width: float) -> str:
    """Cut a text to one line."""
    lines = wrap(text, measure, width, 1)
    return lines[0] if lines else ""


def wrap(text: str, measure: Measure, width: float, max_lines: int) -> list[str]:
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
        lines[-1] = last.rstrip(" ,;.") + "..."
    return lines


def wrap_whole(text: str, measure: Measure, width: float) -> list[str]:
    """Break a text into lines of at most ``width``, however many; beyond `LONGEST_TEXT` characters it is cut."""
    return wrap(text[:LONGEST_TEXT], measure, width, LONGEST_TEXT)


def _wrap_paragraph(text: str, measure: Measure, width: float, max_lines: int, lines: list[str]) -> None:
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


def _longest_prefix(word: str, measure: Measure, width: float) -> int:
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(word[:middle]) <= width else (low, middle - 1)
    return low
