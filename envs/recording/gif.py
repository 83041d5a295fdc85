"""Films as GIF, with Pillow alone: one palette for all of a film, and only what changes is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .canvas import BLUE, GRAY, GREEN, INK, LINE, PAGE, PANEL, RED
from .page import PALE_BLUE, PALE_RED
from .timeline import TICKS_PER_SECOND, Frame

# One place of 256 stays free for what does not change.
COLOURS, OWN, NEAR = 254, 96, 8


def write_gif(frames: Iterable[Frame], path: Path, images: Sequence[np.ndarray]) -> None:
    """Write frames as an animated picture.

    Args:
        frames: in order.
        path: where to.
        images: some of the images that are shown, each of shape (height, width, 3), dtype uint8; the palette is made
            for them.
    """
    palette = make_palette(images)
    pictures: list[Image.Image] = []
    durations: list[int] = []
    for frame in frames:
        if not pictures:
            picture = frame.picture.quantize(palette=palette, dither=Image.Dither.NONE)
        else:
            picture = pictures[-1].copy()
            for box in frame.boxes:
                part = frame.picture.crop(box).quantize(palette=palette, dither=Image.Dither.NONE)
                picture.paste(part, box)
        pictures.append(picture)
        durations.append(round(frame.ticks * 1000 / TICKS_PER_SECOND))
    # `optimize` makes what stays the same transparent; with the palette given it is stored once, not in every frame.
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        optimize=True,
        palette=bytes(palette.getpalette() or []),
        transparency=255,
    )


def make_palette(images: Sequence[np.ndarray]) -> Image.Image:
    """A palette of 254 colours: the pages' own with their shades, and the commonest of some images."""
    # Letters are drawn with soft edges: every colour of a letter in a few shades towards what it stands on.
    pairs = [(ink, PAGE) for ink in (INK, GRAY, BLUE, GREEN, RED)]
    pairs += [(INK, PANEL), (GRAY, PANEL), (BLUE, PANEL), (PANEL, BLUE), (PANEL, GREEN), (PANEL, RED), (PANEL, INK)]
    pairs += [(BLUE, PALE_BLUE), (RED, PALE_RED)]
    shades = {
        tuple(round(a + (b - a) * step / 5) for a, b in zip(ink, ground, strict=True))
        for ink, ground in pairs
        for step in range(6)
    }
    own = [PAGE, PANEL, LINE, *sorted(shades - {PAGE, PANEL, LINE})][:OWN]
    found: list[tuple[int, ...]] = []
    if images:
        # A mosaic of pixels: as many of each image, spread over all of it.
        rng = np.random.default_rng(0)
        parts = [image.reshape(-1, 3) for image in images]
        pixels = np.concatenate([part[rng.integers(len(part), size=4096)] for part in parts])
        mosaic = Image.fromarray(pixels.reshape(-1, 64, 3)).quantize(COLOURS - len(own), dither=Image.Dither.NONE)
        table = mosaic.getpalette() or []
        near = np.array(own)
        # Pillow looks colours up in steps of four: what is that near to one of ours would be taken for it.
        found = [
            tuple(table[at : at + 3])
            for at in range(0, len(table), 3)
            if np.abs(near - np.array(table[at : at + 3])).max(axis=1).min() >= NEAR
        ]
    colours = list(dict.fromkeys([*own, *found]))[:COLOURS]
    palette = Image.new("P", (1, 1))
    flat = [channel for colour in colours for channel in colour]
    palette.putpalette(flat + list(own[0]) * (256 - len(colours)))
    return palette
