"""The one question that is open: posed, answered once, graded."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.rewards.accuracy import Verdict, grade
from lmmr1.envs.spaces import Utterance

from .asking import picture_height
from .posing import Posed

Observation = dict[str, Any]


def observation_space(size: int, modality: str, longest: int) -> Dict:
    """Returns the space of what a modality shows: ``question`` and, unless all is in words, ``image``."""
    parts: dict[str, gym.Space[Any]] = {"question": Utterance(longest)}
    if modality != "text_only":
        parts["image"] = Box(0, 255, (picture_height(size, modality), size, 3), np.uint8)
    return Dict(parts)


class Sitting:
    """Keeps the open question of an environment.

    Args:
        size: Width of the picture in pixels.
        modality: One of `MODALITIES`.
        literal: Whether an answer has to be the right text itself, spaces aside, and is not graded by its value.
    """

    def __init__(self, size: int, modality: str, literal: bool = False) -> None:
        self.size, self.modality, self.literal = size, modality, literal
        self.posed: Posed | None = None
        self._answered = False

    def open(self, posed: Posed) -> tuple[Observation, dict[str, Any]]:
        """Opens a question; returns what ``reset`` returns."""
        self.posed, self._answered = posed, False
        return posed.observe(self.modality), {"family": posed.family}

    def answer(self, action: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Grades the answer; returns what ``step`` returns.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        posed = self.posed
        if posed is None or self._answered:
            raise gym.error.ResetNeeded("no question is open: call reset() before step()")
        self._answered = True
        if self.literal:
            verdict = Verdict.EQUAL if "".join(action.split()) == posed.answer else Verdict.DIFFERENT
        else:
            verdict = grade(posed.answer, action, choices=posed.options or None)
        success = verdict is Verdict.EQUAL
        info = {"family": posed.family, "success": success, "verdict": verdict.value, "gold": posed.answer}
        info |= {"options": tuple(posed.options)} if posed.options else {}
        return posed.observe(self.modality), float(success), True, False, info

    def picture(self) -> np.ndarray:
        """Returns the picture, black before the first question; shape (height, size, 3), dtype uint8."""
        if self.posed is None:
            return np.zeros((picture_height(self.size, self.modality), self.size, 3), np.uint8)
        return self.posed.image.copy()

    def solution(self) -> Solution:
        """Returns the worked solution of the open question.

        Raises:
            UserError: No question was asked yet.
        """
        if self.posed is None:
            raise UserError("there is no question yet: call reset() before solution()")
        return Solution(self.posed.thought, self.posed.answer)
