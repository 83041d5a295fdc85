"""A terminal to play in: pictures in half blocks, messages, and lines that are typed."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from lmmr1.envs.messages import Message

# What a terminal sends for the arrow keys, in either of its modes.
ARROWS = {
    f"\x1b{mode}{letter}": name
    for mode in "[O"
    for letter, name in zip("ABCD", ("Up", "Down", "Right", "Left"), strict=True)
}
_LEVELS = np.array([0, 95, 135, 175, 215, 255])  # of red, green and blue in the cube of 256 colours
HALF = "\u2580"  # the upper half of a character: two pixels a character, one above the other


def has_colours() -> bool:
    """Whether standard output is a terminal that shows colours (and nobody set NO_COLOR)."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def draw_blocks(image: np.ndarray, columns: int, rows: int, *, true_colour: bool = False) -> str:
    """A picture as lines of half blocks with ANSI colours.

    Args:
        image: shape (height, width, 3), dtype uint8.
        columns, rows: characters that it may take; it keeps its proportions.
        true_colour: 24 bits a colour; else the 256 colours that every terminal has.

    Returns:
        Lines, each ending in the code that sets the colours back.
    """
    height, width = image.shape[:2]
    scale = min(columns / width, 2 * rows / height, 8.0)
    if scale >= 1:
        scale = int(scale)
    shape = max(1, int(width * scale)), max(2, int(height * scale) // 2 * 2)
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    pixels = np.asarray(Image.fromarray(image).resize(shape, how))
    lines = []
    for y in range(0, shape[1], 2):
        line, last = [], ""
        for upper, lower in zip(pixels[y], pixels[y + 1], strict=True):
            code = f"\x1b[{_code(38, upper, true_colour)};{_code(48, lower, true_colour)}m"
            line.append((code if code != last else "") + HALF)
            last = code
        lines.append("".join(line) + "\x1b[0m")
    return "\n".join(lines)


def _code(layer: int, colour: np.ndarray, true_colour: bool) -> str:
    if true_colour:
        return f"{layer};2;{colour[0]};{colour[1]};{colour[2]}"
    steps = [int(np.abs(_LEVELS - int(channel)).argmin()) for channel in colour]
    return f"{layer};5;{16 + 36 * steps[0] + 6 * steps[1] + steps[2]}"


class Terminal:
    """What a person sees and types, on standard output and input.

    Args:
        colours: whether pictures are drawn; by default where the terminal can.
    """

    def __init__(self, colours: bool | None = None) -> None:
        self.colours = has_colours() if colours is None else colours

    @property
    def is_typed_at(self) -> bool:
        """Whether somebody types, rather than a file being read."""
        return sys.stdin.isatty()

    def show(self, messages: Sequence[Message], rendered: str | None = None) -> None:
        """Show messages.

        Args:
            messages: in order; pictures are drawn, or named where there are no colours.
            rendered: a picture in characters, shown instead of pictures without colours.
        """
        drawn = False
        for message in messages:
            for part in message["content"]:
                if part["type"] == "text":
                    print(self.wrap(part["text"]))
                elif self.colours:
                    drawn = True
                    print(self._draw(part["image"]))
                elif rendered is None:
                    height, width = part["image"].shape[:2]
                    print(f"[a picture of {width} x {height} pixels; --window shows it]")
        said = "\n".join(part["text"] for m in messages for part in m["content"] if part["type"] == "text")
        if rendered is not None and not drawn and rendered.strip() not in said:
            print(rendered)

    def _draw(self, image: np.ndarray) -> str:
        size = shutil.get_terminal_size()
        true_colour = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
        return draw_blocks(image, size.columns, max(4, size.lines - 8), true_colour=true_colour)

    def wrap(self, text: str) -> str:
        """The text with its long lines broken between words, where a person reads it on a screen."""
        if not sys.stdout.isatty():
            return text
        width = shutil.get_terminal_size().columns
        return "\n".join(textwrap.fill(line, width) if len(line) > width else line for line in text.split("\n"))

    def read(self, prompt: str = "answer> ", keys: Mapping[str, str] | None = None) -> str:
        """The next line, without spaces around it; arrow keys and what `keys` names stand for actions.

        Args:
            prompt: shown before it.
            keys: what a line of one key stands for.
        """
        print(prompt, end="", flush=True)
        line = sys.stdin.readline().strip()
        for sent, name in ARROWS.items():
            line = line.replace(sent, f"{name},")
        line = line.removesuffix(",")
        if keys is not None:
            line = keys.get(line.casefold(), line)
        if not sys.stdin.isatty():
            print(line)
        return line
