"""What an environment does with a row: chooses it by the reset's seed, and shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import Message, Part
from lmmr1.envs.options import only_option

from .config import read_config
from .dataset import POSITIONS, Dataset, open_dataset
from .rows import Row

INSTRUCTIONS = (
    "You are given a problem. Work it out step by step, then answer with the result alone: a number, an expression in "
    "LaTeX, a word, or, where there are options, the letter of the right one."
)


class Asking:
    """The row that an environment asks at present.

    Args:
        dataset: where it comes from.

    Attributes:
        spec: how the environment is spoken to.
    """

    def __init__(self, dataset: Dataset) -> None:
        """See the class."""
        self.dataset = dataset
        self.spec = ChatSpec(INSTRUCTIONS, describe=self._describe, opening=self._open)
        self.pictures: tuple[np.ndarray, ...] = ()
        self._row: Row | None = None
        self._position = 0

    def draw(self, seed: int | None, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Row:
        """Choose the next row: that of the options of ``reset``, else the seed's, else a random one.

        Raises:
            UserError: there is another option than "row", its value is no row, or a picture cannot be decoded.
        """
        self._position = self._choose(seed, rng, options)
        row = self.dataset.row(self._position)
        self.pictures = self.dataset.load_pictures(self._position, row)
        self._row = row
        return row

    def _choose(self, seed: int | None, rng: np.random.Generator, options: Mapping[str, Any] | None) -> int:
        if not options:
            return self.dataset.position(int(rng.integers(POSITIONS)) if seed is None else seed)
        row = only_option(options, "row", "with a dataset ")
        if isinstance(row, bool) or not isinstance(row, (int, np.integer)):
            most = len(self.dataset) - 1
            raise UserError(f'reset(options=...): "row" is {row!r}; give a whole number from 0 to {most}')
        return int(row)

    def info(self) -> dict[str, Any]:
        """What the environment tells of the row: its number in the split, where it stands, its category."""
        number, category = (self._row.number, self._row.category) if self._row is not None else (0, "")
        told = {"row": self._position, "source": f"{self.dataset.source_name(self._position)}, row {number}"}
        return {**told, "category": category} if category else told

    def _open(self, observation: Any, info: dict[str, Any]) -> list[Message]:
        return [] if self._row is None else self.dataset.opening(self._row, self.pictures)

    def _describe(self, observation: Any, info: dict[str, Any]) -> list[Part]:
        return [] if self._row is None else self.dataset.opening(self._row, self.pictures)[-1]["content"]


def open_for(
    dataset: str | Mapping[str, Any] | None,
    dataset_split: str | None,
    split: str,
    pictures: bool,
    unused: Mapping[str, bool],
) -> Asking | None:
    """Read the arguments of an environment that ask for a data set.

    Args:
        dataset: None, a path, or a mapping with the fields of `DatasetConfig`.
        dataset_split: one of the data's own splits, or None.
        split: "all", "train", "validation" or "test".
        pictures: whether the environment shows pictures.
        unused: the arguments that mean nothing beside a data set, and whether each was given.

    Raises:
        UserError: an argument is wrong, or the data cannot be read.
    """
    if dataset is None:
        if dataset_split is not None:
            raise UserError(f"dataset_split is {dataset_split!r}, but there is no dataset; set both or neither")
        return None
    for name, given in unused.items():
        if given:
            raise UserError(f"{name} has no meaning with a dataset; leave it out")
    try:
        return Asking(open_dataset(read_config(dataset, dataset_split), split, pictures))
    except MissingExtraError as error:
        # Gymnasium raises what a constructor raised anew, from its message alone.
        raise UserError(str(error)) from error


def fit(pictures: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Put pictures into a square: side by side where there are several, aspects kept, the rest white.

    Args:
        pictures: at least one, each of shape (height, width, 3), dtype uint8.
        size: the side of the square in pixels.

    Returns:
        Shape (size, size, 3), dtype uint8.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    cell = max(1, size // columns)
    square = Image.new("RGB", (size, size), "white")
    for place, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        scale = cell / max(height, width)
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        image = Image.fromarray(picture)
        if shape != image.size:
            image = image.resize(shape, Image.Resampling.LANCZOS)
        row, column = divmod(place, columns)
        square.paste(image, (column * cell + (cell - shape[0]) // 2, row * cell + (cell - shape[1]) // 2))
    return np.array(square)
