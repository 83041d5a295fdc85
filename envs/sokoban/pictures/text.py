"""A board as text: XSB, and the grids that RAGEN and VAGEN show to language models."""

from __future__ import annotations

import numpy as np

from ..levels.level import SYMBOLS

# By name: the text of each code 0 to 6. Rows are joined by line breaks.
TEXT_FORMATS: dict[str, tuple[str, ...]] = {
    "xsb": tuple(SYMBOLS),
    "ragen": tuple("#_O\u221aXPS"),
    "vagen": tuple(f" {symbol} \t" for symbol in "#_O\u221aXPS"),
}
TEXT_LEGENDS = {
    "xsb": "# wall, space floor, . target, $ box, * box on a target, @ you, + you on a target.",
    "ragen": "# wall, _ floor, O target, X box, \u221a box on a target, P you, S you on a target.",
    "vagen": "# wall, _ floor, O target, X box, \u221a box on a target, P you, S you on a target.",
}


def write_grid(grid: np.ndarray, text_format: str = "xsb") -> str:
    """Writes codes 0 to 6, shape (rows, columns), as text, a line a row.

    Args:
        grid: The codes.
        text_format: A key of `TEXT_FORMATS`.
    """
    symbols = TEXT_FORMATS[text_format]
    return "\n".join("".join([symbols[code] for code in row]) for row in grid.tolist())
