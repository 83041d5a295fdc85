"""The environment that asks one question about what can be seen."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.diagrams.asking import ANSWER_FORMATS, MODALITIES, check_choice, check_size
from lmmr1.envs.diagrams.posing import (
    MAX_QUESTION_LENGTH,
    MIN_FIGURE_SIZE,
    Course,
    GeneratorState,
    Look,
    Posed,
    describe,
    draw_posed,
    draw_through,
    pose_again,
    read_problem,
    replay,
)
from lmmr1.envs.diagrams.sitting import Sitting, observation_space
from lmmr1.envs.diagrams.styles import check_style
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.reasoning.env import MAX_ANSWER_LENGTH, check_render_mode
from lmmr1.envs.reasoning.mixture import Families, Level
from lmmr1.envs.spaces import Utterance

from .families import PERCEPTION, PERCEPTION_GROUPS

MIN_SIZE = 84
# Families whose pictures hold no text: these can be drawn small.
WORDLESS = ("count_shapes", "spatial_relation", "odd_one_out", "dice")
FORMS = "an integer, a fraction such as 3/4, a word, the colour and the shape of a thing, or a place such as (2, 3)"
SHOWN = {
    "both": "You are shown a picture and a question about it.",
    "text_only": "You are given the description of a picture and a question about it.",
    "image_only": "You are shown a picture with a question under it.",
}
Observation = dict[str, Any]


class PerceptionEnv(gym.Env[Observation, str]):
    """A question about a chart, a table, coloured shapes, an instrument or a way: to be seen, then reasoned about.

    ## Description
    Each episode is one picture and one question: the sum of the bars of a chart, how many red squares there are, what
    stands left of the blue star, the time in forty minutes, the shortest way through a maze. Families are drawn from
    exact numbers (`lmmr1.envs.perception.families.PERCEPTION`), with a worked solution and one exact answer each.

    ## Action Space
    `Utterance(1024)`: the answer as text.

    ## Observation Space
    `Dict`: ``image``, `Box` of shape (size, size, 3), dtype uint8, the picture; ``question``, `Utterance(2048)`. Both
    stay the same after the step. With ``modality="text_only"`` there is no ``image``; with "image_only" its shape is
    (size + size // 2, size, 3).

    ## Starting State
    A problem drawn at random: a family, each equally likely, then its level, its numbers, its colours.
    ``reset(options={"problem": question})`` draws the given `Question` instead. One seed asks one question, in every
    modality and answer format.

    ## Rewards
    1.0 for a right answer, else 0.0; also 0.0 for an answer that could not be verified, which ``info["verdict"]`` tells
    apart from a wrong one.

    ## Episode End
    Terminates after one step. It is never truncated.

    ## Information
    After ``reset``: ``family`` (str). After ``step`` also ``success`` (bool), ``verdict`` ("equal", "different" or
    "unverifiable") and ``gold`` (str), the right answer.

    ## Arguments
    - ``families``: names of families or of groups ("charts", "objects", "instruments", "paths"), or a mapping of names
      to weights. None, the default, stands for all; below 160 pixels for those without text in the picture:
      "count_shapes", "spatial_relation", "odd_one_out" and "dice".
    - ``level``: 1 (few things, the default) to 10, a range such as (1, 5), or a mapping of levels to weights.
    - ``split``: "all" (default), "train", "validation" or "test", which share no problem, by a hash of its content.
    - ``size``: width and height of the picture in pixels, 224 by default, at least 84.
    - ``style``: "paper" (default), "grid", "sketch", "board", "slate", or "mixed", as in `GeometryEnv`.
    - ``modality``: "both" (default): the picture holds what the text leaves out. "text_only": the picture is described
      in words. "image_only": the question is written under the picture, and the text is the same in every episode.
    - ``answer_format``: "open" (default), or "choice": four options; the answer is the letter, or the value.
    - ``render_mode``: "rgb_array" returns the picture.

    ## Registered Configurations
    - ``LMMR1/Perception-v0``: the defaults.

    ## Version History
    - v0: first version.

    ## References
    - LMM-R1: https://arxiv.org/abs/2503.07536, one of whose second stages trains on perception and reasoning.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(
        self,
        families: Families | None = None,
        level: Level = 1,
        split: str = "all",
        size: int = 224,
        style: str = "paper",
        modality: str = "both",
        answer_format: str = "open",
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
        small = size < MIN_FIGURE_SIZE
        chosen = (WORDLESS if small else tuple(PERCEPTION)) if families is None else families
        self._course = Course.of(tuple(PERCEPTION), PERCEPTION_GROUPS, chosen, level, split, look)
        lettered = [name for name in self._course.families.things if name not in WORDLESS]
        if small and lettered:
            raise UserError(
                f"size is {size}: {lettered[0]} needs at least {MIN_FIGURE_SIZE} pixels; give a larger size"
            )
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = observation_space(size, modality, MAX_QUESTION_LENGTH)
        self.action_space = Utterance(MAX_ANSWER_LENGTH)
        task = "the letter of the right option alone" if answer_format == "choice" else f"the result alone: {FORMS}"
        instructions = f"{SHOWN[modality]} Work it out step by step, then answer with {task}."
        self.chat_spec = ChatSpec(instructions, describe=describe)
        self._sitting = Sitting(size, modality)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draws the next picture.

        Raises:
            UserError: An option is not "problem", or its value is not a `Question` that can be drawn.
        """
        super().reset(seed=seed)
        problem = read_problem(options)
        if problem is not None:
            return self._sitting.open(pose_again(self.np_random, problem, self._course.look))
        return self._sitting.open(draw_through(self.np_random, functools.partial(_draw, self._course)))

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Grades the answer.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        return self._sitting.answer(action)

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the picture, shape (height, size, 3), dtype uint8, when ``render_mode`` is "rgb_array"."""
        return self._sitting.picture() if self.render_mode == "rgb_array" else None

    def solution(self) -> Solution:
        """Returns the worked solution of the open question.

        Raises:
            UserError: No question was asked yet.
        """
        return self._sitting.solution()


@functools.lru_cache(maxsize=64)
def _draw(course: Course, state: GeneratorState) -> tuple[Posed, GeneratorState]:
    def draw(rng: np.random.Generator) -> Posed:
        name, level = course.choose(rng)
        return draw_posed(rng, PERCEPTION[name], level, course.split, course.look)

    return replay(state, draw)
