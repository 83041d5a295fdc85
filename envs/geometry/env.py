"""The environment that asks one question about a diagram."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Part, Solution, image_part, text_part
from lmmr1.envs.reasoning.env import MAX_ANSWER_LENGTH, MAX_QUESTION_LENGTH, check_render_mode, choose_problem
from lmmr1.envs.reasoning.problems import Problem, check_families, check_level, check_split
from lmmr1.envs.rewards.accuracy import Verdict, grade
from lmmr1.envs.spaces import Utterance

from .families import SHAPE_FAMILIES, check_size, check_style, draw_problem

TASKS = ("solve", "read")
READ_QUESTION = "Read the numbers."
INSTRUCTIONS = {
    "solve": (
        "You are shown a diagram, which is not to scale, and a question about it. Sides with the same tick mark are "
        "equal. Read the numbers off the diagram and work the problem out step by step, then answer with the number "
        "alone, without a unit."
    ),
    "read": (
        "You are shown a diagram. Answer with the numbers in it, separated by commas: from top to bottom, and "
        "from left to right where they stand side by side."
    ),
}

Observation = dict[str, Any]


class GeometryEnv(gym.Env[Observation, str]):
    """A question about a diagram; the numbers are in the picture alone.

    ## Description
    Each episode is one diagram and one question: the perimeter of a triangle whose sides are written on it, the third
    angle, an area. The problems are those that `ReasoningEnv` puts in words, with the same split, so that a problem
    held out in words is held out in pictures. Diagrams are schematic and not to scale: every family has one figure,
    drawn with small variations, and the labels carry the numbers.

    ## Action Space
    `Utterance(1024)`: the answer as text.

    ## Observation Space
    `Dict`: ``image``, `Box` of shape (size, size, 3), dtype uint8, the diagram; ``question``, `Utterance(256)`. Both
    stay the same after the step.

    ## Starting State
    A problem drawn at random: a family, each equally likely, then its numbers, then the variations of the drawing.
    ``reset(options={"problem": problem})`` draws the given `Problem` instead.

    ## Rewards
    1.0 for a right answer, else 0.0; also 0.0 for an answer that could not be verified, which ``info["verdict"]`` tells
    apart from a wrong one.

    ## Episode End
    Terminates after one step. It is never truncated.

    ## Information
    After ``reset``: ``family`` (str). After ``step`` also ``success`` (bool), ``verdict`` ("equal", "different" or
    "unverifiable") and ``gold`` (str), the right answer.

    ## Arguments
    - ``families``: names from `SHAPE_FAMILIES`, or None for all.
    - ``level``: 1 (small numbers, the default) to 10.
    - ``split``: "all" (default), "train" or "test". One problem in ten is test, by a hash of its content; "train"
      never yields it.
    - ``size``: width and height of the diagram in pixels, 224 by default, at least 56.
    - ``style``: "paper" (default): dark ink on white, for people and large models. "slate": white digits and a dark
      figure on grey (127, 127, 127), which image processors map to zero, for small models.
    - ``ask``: "solve" (default), or "read": the answer is then all numbers, such as ``7,18,12``, and has to be exactly
      those, spaces aside.
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
        families: Sequence[str] | None = None,
        level: int = 1,
        split: str = "all",
        size: int = 224,
        style: str = "paper",
        ask: str = "solve",
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments.

        Raises:
            UserError: One of them is not one there is.
        """
        self.families = check_families(families, tuple(SHAPE_FAMILIES))
        self.level = check_level(level)
        self.split = check_split(split)
        self.size = check_size(size)
        self.style = check_style(style)
        if ask not in TASKS:
            raise UserError(f"ask is {ask!r}; choose from {', '.join(TASKS)}")
        self.ask = ask
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = Dict(
            {"image": Box(0, 255, (size, size, 3), np.uint8), "question": Utterance(MAX_QUESTION_LENGTH)}
        )
        self.action_space = Utterance(MAX_ANSWER_LENGTH)
        self.chat_spec = ChatSpec(INSTRUCTIONS[ask], describe=_describe)
        self._problem: Problem | None = None
        self._image = np.zeros((size, size, 3), np.uint8)
        self._answered = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draws the next diagram.

        Raises:
            UserError: An option is not "problem", or its value is not a `Problem` that can be drawn.
        """
        super().reset(seed=seed)
        problem = choose_problem(options, self.np_random, self.families, self.level, self.split)
        state = json.dumps(self.np_random.bit_generator.state)
        self._image, after = _draw(problem, state, self.size, self.style)
        self.np_random.bit_generator.state = json.loads(after)
        self._problem, self._answered = problem, False
        return self._observe(problem), {"family": problem.family}

    def step(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Grades the answer.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        if self._problem is None or self._answered:
            raise gym.error.ResetNeeded("no question is open: call reset() before step()")
        self._answered = True
        problem = self._problem
        gold = self.solution().answer
        if self.ask == "read":
            verdict = Verdict.EQUAL if "".join(action.split()) == gold else Verdict.DIFFERENT
        else:
            verdict = grade(gold, action)
        success = verdict is Verdict.EQUAL
        info = {"family": problem.family, "success": success, "verdict": verdict.value, "gold": gold}
        return self._observe(problem), float(success), True, False, info

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the diagram, shape (size, size, 3), dtype uint8, when ``render_mode`` is "rgb_array"."""
        return self._image.copy() if self.render_mode == "rgb_array" else None

    def solution(self) -> Solution:
        """Returns the worked solution of the open question; reading takes no thought.

        Raises:
            UserError: No question was asked yet.
        """
        if self._problem is None:
            raise UserError("there is no question yet: call reset() before solution()")
        if self.ask == "read":
            return Solution("", ",".join(map(str, self._problem.numbers)))
        return Solution(self._problem.thought, self._problem.answer)

    def _observe(self, problem: Problem) -> Observation:
        question = READ_QUESTION if self.ask == "read" else SHAPE_FAMILIES[problem.family].question
        return {"image": self._image.copy(), "question": question}


@functools.lru_cache(maxsize=64)
def _draw(problem: Problem, state: str, size: int, style: str) -> tuple[np.ndarray, str]:
    """The diagram, and the generator's state after it; the environments of a group start alike and draw it once."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = json.loads(state)
    return draw_problem(problem, generator, size, style), json.dumps(generator.bit_generator.state)


def _describe(observation: Observation, info: dict[str, Any]) -> list[Part]:
    return [image_part(observation["image"]), text_part(observation["question"])]
