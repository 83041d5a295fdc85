"""The environment that asks one question in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.rewards.accuracy import Verdict, grade
from lmmr1.envs.spaces import Utterance

from .problems import FAMILIES, Problem, check_families, check_level, check_split, sample_problem

MAX_QUESTION_LENGTH = 256
MAX_ANSWER_LENGTH = 1024
CARD_SIZE = (480, 160)
INSTRUCTIONS = (
    "You are given a problem about numbers. Work it out step by step, then answer with the result alone: "
    "an integer, or a fraction such as 3/4, without a unit."
)


class ReasoningEnv(gym.Env[str, str]):
    """A problem in words with one exact answer.

    ## Description
    Each episode is one question: the perimeter of a figure, an equation, the next number of a sequence. The answer is
    an integer or a fraction and is checked by value, so ``1/2``, ``0.5`` and ``2/4`` are the same.

    ## Action Space
    `Utterance(1024)`: the answer as text.

    ## Observation Space
    `Utterance(256)`: the question. It stays the same after the step.

    ## Starting State
    A problem drawn at random: a family, each equally likely, then its numbers. ``reset(options={"problem": problem})``
    asks the given `Problem` instead.

    ## Rewards
    1.0 for a right answer, else 0.0; also 0.0 for an answer that could not be verified, which ``info["verdict"]`` tells
    apart from a wrong one.

    ## Episode End
    Terminates after one step. It is never truncated.

    ## Information
    After ``reset``: ``family`` (str). After ``step`` also ``success`` (bool), ``verdict`` ("equal", "different" or
    "unverifiable") and ``gold`` (str), the right answer.

    ## Arguments
    - ``families``: names from `FAMILIES`, or None for all.
    - ``level``: 1 (small numbers, the default) to 10.
    - ``split``: "all" (default), "train" or "test". One problem in ten is test, by a hash of its content; "train"
      never yields it.
    - ``render_mode``: "ansi" returns the question and what became of it as text, "rgb_array" a card with that text,
      shape (160, 480, 3), dtype uint8.

    ## Registered Configurations
    - ``LMMR1/Reasoning-v0``: the defaults.

    ## Version History
    - v0: first version.

    ## References
    - LMM-R1: https://arxiv.org/abs/2503.07536, whose first stage trains on text alone.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}

    def __init__(
        self,
        families: Sequence[str] | None = None,
        level: int = 1,
        split: str = "all",
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments.

        Raises:
            UserError: One of them is not one there is.
        """
        self.families = check_families(families, tuple(FAMILIES))
        self.level = check_level(level)
        self.split = check_split(split)
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = Utterance(MAX_QUESTION_LENGTH)
        self.action_space = Utterance(MAX_ANSWER_LENGTH)
        self.chat_spec = ChatSpec(INSTRUCTIONS)
        self._problem: Problem | None = None
        self._answered = False
        self._outcome = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Asks the next question.

        Raises:
            UserError: An option is not "problem", or its value is not a `Problem`.
        """
        super().reset(seed=seed)
        problem = choose_problem(options, self.np_random, self.families, self.level, self.split)
        self._problem, self._answered, self._outcome = problem, False, ""
        return problem.question, {"family": problem.family}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Grades the answer.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        if self._problem is None or self._answered:
            raise gym.error.ResetNeeded("no question is open: call reset() before step()")
        self._answered = True
        problem = self._problem
        verdict = grade(problem.answer, action)
        success = verdict is Verdict.EQUAL
        self._outcome = f"Answer: {action} ({verdict.value}; it is {problem.answer})"
        info = {"family": problem.family, "success": success, "verdict": verdict.value, "gold": problem.answer}
        return problem.question, float(success), True, False, info

    def render(self) -> str | np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the question and, after the step, the answer; see the argument ``render_mode``."""
        if self.render_mode is None:
            return None
        question = self._problem.question if self._problem is not None else ""
        lines = [line for line in (question, self._outcome) if line]
        return "\n".join(lines) if self.render_mode == "ansi" else _draw_card(lines)

    def solution(self) -> Solution:
        """Returns the worked solution of the open question.

        Raises:
            UserError: No question was asked yet.
        """
        if self._problem is None:
            raise UserError("there is no question yet: call reset() before solution()")
        return Solution(self._problem.thought, self._problem.answer)


def check_render_mode(render_mode: str | None, known: Sequence[str]) -> str | None:
    """Returns the render mode.

    Raises:
        UserError: It is neither None nor one of ``known``.
    """
    if render_mode is not None and render_mode not in known:
        raise UserError(f"render_mode is {render_mode!r}; choose from {', '.join(known)} or leave it out")
    return render_mode


def choose_problem(
    options: dict[str, Any] | None, rng: np.random.Generator, families: Sequence[str], level: int, split: str
) -> Problem:
    """Returns the problem among the options of ``reset`` or, where there are none, draws one (see `sample_problem`).

    Raises:
        UserError: There is another option, or the value is not a `Problem`.
    """
    if not options:
        return sample_problem(rng, families, level, split)
    unknown = sorted(set(options) - {"problem"})
    if unknown:
        raise UserError(f'reset(options=...): unknown option {unknown[0]!r}; the only one is "problem"')
    problem = options["problem"]
    if not isinstance(problem, Problem):
        raise UserError(f'reset(options=...): "problem" is a {type(problem).__name__}; give a Problem')
    return problem


def _draw_card(lines: Sequence[str]) -> np.ndarray:
    image = Image.new("RGB", CARD_SIZE, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=18)
    y = 16.0
    for line in lines:
        row = ""
        for word in [*line.split(), ""]:
            longer = f"{row} {word}".strip()
            if word and draw.textlength(longer, font=font) <= CARD_SIZE[0] - 32:
                row = longer
                continue
            draw.text((16, y), row, font=font, fill=(20, 20, 30))
            y += 26
            row = word
    return np.array(image)
