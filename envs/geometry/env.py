"""The environment that asks one question about a diagram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.datasets.asking import fit, open_for
from lmmr1.envs.diagrams.asking import ANSWER_FORMATS, MODALITIES, check_choice, check_size
from lmmr1.envs.diagrams.posing import MAX_QUESTION_LENGTH, Look, Posed, describe, read_problem
from lmmr1.envs.diagrams.sitting import Sitting, observation_space
from lmmr1.envs.diagrams.styles import check_style
from lmmr1.envs.messages import Solution
from lmmr1.envs.reasoning.env import MAX_ANSWER_LENGTH, check_render_mode
from lmmr1.envs.reasoning.mixture import Families, Level
from lmmr1.envs.spaces import Utterance

from .families import MIN_SIZE
from .posing import TASKS, GeometryCourse

Observation = dict[str, Any]


class GeometryEnv(gym.Env[Observation, str]):
    """A question about a diagram; what is given is in the picture.

    ## Description
    Each episode is one diagram and one question: the perimeter of a triangle whose sides are written on it, an angle in
    a circle, a shaded area. The scale-true families (`lmmr1.envs.geometry.figures.FIGURES`) are built from exact
    numbers and drawn to scale in a random pose, with random names and colours; labels stand on nothing else. Answers
    are exact: integers, fractions, roots, multiples of pi, points. The schematic families (`SHAPE_FAMILIES`) are those
    that `ReasoningEnv` puts in words in its group "primer": one figure each, not to scale, readable at 84 pixels.

    ## Action Space
    `Utterance(1024)`: the answer as text.

    ## Observation Space
    `Dict`: ``image``, `Box` of shape (size, size, 3), dtype uint8, the diagram; ``question``, `Utterance(2048)`, with
    a data set `Utterance(8192)`, or what its ``max_question_length`` says. Both stay the same after the step. With
    ``modality="text_only"`` there is no ``image``; with "image_only" it has the shape (size + size // 2, size, 3).

    ## Starting State
    A problem drawn at random: a family, each equally likely, then its level, its numbers, its names, then the pose and
    the colours. ``reset(options={"problem": problem})`` draws the given `Problem` or `Question` instead. One seed asks
    one question, in every modality and answer format.

    ## Rewards
    1.0 for a right answer, else 0.0; also 0.0 for an answer that could not be verified, which ``info["verdict"]`` tells
    apart from a wrong one.

    ## Episode End
    Terminates after one step. It is never truncated.

    ## Information
    After ``reset``: ``family`` (str); with a data set also ``row`` (int) and ``source`` (str), and ``category`` (str)
    where its rows have one. After ``step`` also ``success`` (bool), ``verdict`` ("equal", "different" or
    "unverifiable") and ``gold`` (str), the right answer; of a question with options also ``options`` (tuple of str),
    whose letters the right answer is among.

    ## Arguments
    - ``families``: names of families or of groups ("schematic", "right_triangles", "triangles", "angles",
      "quadrilaterals", "circles", "round_areas", "coordinates", "solids", "counting"), or a mapping of names to
      weights. None stands for all scale-true families; below 160 pixels, and to be read, for the schematic ones.
    - ``level``: 1 (small numbers, the default) to 10, a range such as (1, 5), or a mapping of levels to weights.
    - ``split``: "all" (default), "train", "validation" or "test", which share no problem, by a hash of its content.
      The schematic families have no "validation".
    - ``size``: width and height of the diagram in pixels, 224 by default, at least 56; at least 160 to scale.
    - ``style``: "paper" (default): dark ink on white. "grid": squared paper. "sketch": drawn by hand. "board": light on
      dark green. "mixed": one of these four at random. "slate": white digits and a dark figure on grey
      (127, 127, 127), which image processors map to zero, for small models.
    - ``ask``: "solve" (default), or "read": the answer is then all numbers, such as ``7,18,12``, and has to be exactly
      those, spaces aside; schematic families only.
    - ``modality``: "both" (default): the diagram shows what the text leaves out. "text_only": all in words, no picture.
      "image_only": the question is written under the diagram, and the text is the same in every episode.
    - ``answer_format``: "open" (default), or "choice": four options, three of them from typical errors; the answer is
      the letter, or the value.
    - ``dataset``: ask the rows of a data set with pictures instead of families: a .jsonl or .parquet file, a folder,
      a Hugging Face id, a preset's name, or a mapping with the fields of `DatasetConfig`. The seed of ``reset``
      chooses the row (consecutive seeds ask every row once before any comes again), or
      ``reset(options={"row": number})``. ``split`` then also knows "validation". The observation's image is fitted
      into the square, white around it; messages hold the pictures as they are.
    - ``dataset_split``: one of the data's own splits, by its name.
    - ``render_mode``: "rgb_array" returns the diagram.

    ## Registered Configurations
    - ``LMMR1/Geometry-v0``: the defaults.

    ## Version History
    - v0: first version.

    ## References
    - LMM-R1: https://arxiv.org/abs/2503.07536, whose second stage trains on geometry among others.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(
        self,
        families: Families | None = None,
        level: Level = 1,
        split: str = "all",
        size: int = 224,
        style: str = "paper",
        ask: str = "solve",
        modality: str = "both",
        answer_format: str = "open",
        dataset: str | Mapping[str, Any] | None = None,
        dataset_split: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments.

        Raises:
            UserError: One of them is not one there is.
        """
        look = Look(
            check_size(size, MIN_SIZE),
            check_style(style),
            check_choice("modality", modality, MODALITIES),
            check_choice("answer_format", answer_format, ANSWER_FORMATS),
        )
        self.ask = check_choice("ask", ask, TASKS)
        self.size, self.modality = size, modality
        given = {
            "families": families is not None,
            "level": level != 1,
            "ask": ask != "solve",
            "modality": modality != "both",
            "answer_format": answer_format != "open",
        }
        self._asking = open_for(dataset, dataset_split, split, pictures=True, unused=given)
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        longest = MAX_QUESTION_LENGTH
        if self._asking is None:
            self._course = GeometryCourse.of(families, level, split, ask, look)
            # Numbers that have only to be read off need no thought.
            self.chat_spec = ChatSpec(self._course.instructions(), describe=describe, needs_thought=ask != "read")
        else:
            self.chat_spec, longest = self._asking.spec, self._asking.dataset.config.max_question_length
        self.observation_space = observation_space(size, modality, longest)
        self.action_space = Utterance(MAX_ANSWER_LENGTH)
        self._sitting = Sitting(size, modality, literal=ask == "read")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draws the next diagram.

        Raises:
            UserError: An option is not "problem", or its value is not a `Problem` or `Question` that can be drawn.
        """
        super().reset(seed=seed)
        if self._asking is None:
            return self._sitting.open(self._course.draw(self.np_random, read_problem(options)))
        row = self._asking.draw(seed, self.np_random, options)
        image = fit(self._asking.pictures, self.size)
        posed = Posed(row.family, row.question, image, row.thought, row.answer, row, tuple(row.choices))
        observation, info = self._sitting.open(posed)
        return observation, info | self._asking.info()

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Grades the answer.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        return self._sitting.answer(action)

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the diagram, shape (size, size, 3), dtype uint8, when ``render_mode`` is "rgb_array"."""
        return self._sitting.picture() if self.render_mode == "rgb_array" else None

    def solution(self) -> Solution:
        """Returns the worked solution of the open question; reading takes no thought.

        Raises:
            UserError: No question was asked yet.
        """
        return self._sitting.solution()
