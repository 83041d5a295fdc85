"""The environment that asks one question in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.datasets.asking import open_for
from lmmr1.envs.datasets.rows import Row
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.options import only_option
from lmmr1.envs.rewards.accuracy import Verdict, grade
from lmmr1.envs.spaces import Utterance

from .mixture import Families, Level
from .problems import GROUPS, Problem, ProblemSource
from .reasoning_gym import MAX_QUESTION_LENGTH as MAX_FOREIGN_LENGTH
from .reasoning_gym import PREFIX, grade_foreign

MAX_QUESTION_LENGTH = 256
MAX_TEXT_LENGTH = 768  # of the families in words
MAX_ANSWER_LENGTH = 1024
CARD_SIZE = (480, 160)
INSTRUCTIONS = (
    "You are given a problem about numbers. Work it out step by step, then answer with the result alone: "
    "an integer, or a fraction such as 3/4, without a unit."
)
# For whatever is not in the group "primer".
GENERAL_INSTRUCTIONS = (
    "You are given a problem. Work it out step by step, then answer with the result alone, in the form that the "
    "problem asks for: an integer, a fraction such as 3/4 or an exact decimal, without a unit, a pair such as (2, 5), "
    "a letter, or a word."
)


class ReasoningEnv(gym.Env[str, str]):
    """A problem in words with one exact answer.

    ## Description
    Each episode is one question, drawn from families without end: arithmetic, algebra, number theory, combinatorics,
    probability, sequences, units, logic and word problems. The answer is exact (an integer, a fraction, a decimal, a
    root, a tuple, a word, the letter of an option) and is checked by value, so ``1/2``, ``0.5`` and ``2/4`` are the
    same. Every family has a worked solution and levels from 1 to 10.

    ## Action Space
    `Utterance(1024)`: the answer as text.

    ## Observation Space
    `Utterance(768)`: the question. It stays the same after the step. With families of reasoning-gym
    `Utterance(65536)`; with a data set `Utterance(8192)`, or what its ``max_question_length`` says.

    ## Starting State
    A problem drawn at random: a family, then a level, then the numbers, then names and phrasing.
    ``reset(options={"problem": problem})`` asks the given `Problem` instead.

    ## Rewards
    1.0 for a right answer, else 0.0; also 0.0 for an answer that could not be verified, which ``info["verdict"]`` tells
    apart from a wrong one.

    ## Episode End
    Terminates after one step. It is never truncated.

    ## Information
    After ``reset``: ``family`` (str); with a data set also ``row`` (int) and ``source`` (str), and ``category`` (str)
    where its rows have one. After ``step`` also ``success`` (bool), ``verdict`` ("equal", "different" or
    "unverifiable") and ``gold`` (str), the right answer; of a row with options also ``options`` (tuple of str), whose
    letters the right answer is among.

    ## Arguments
    - ``families``: names from `FAMILIES`, each equally likely; or a mapping of names to weights; or None for all but
      the group "primer" (short questions for tiny models). A name may be that of a group, "primer" or an area such as
      "algebra", which stands for its families. ``reasoning-gym/NAME`` is a data set of reasoning-gym (the extra
      ``lmmr1[reasoning-gym]``).
    - ``level``: 1 (small numbers, the default) to 10; a pair such as ``(1, 10)`` draws from that range, a mapping such
      as ``{1: 2, 5: 1}`` by weight.
    - ``split``: "all" (default), "train", "validation" or "test", which share no problem. One problem in ten is test
      and one validation, by a hash of its numbers. The group "primer" has no validation problems.
    - ``dataset``: ask the rows of a data set instead of families: a .jsonl or .parquet file, a folder, a Hugging Face
      id, a preset's name, or a mapping with the fields of `DatasetConfig`. The seed of ``reset`` chooses the row
      (consecutive seeds ask every row once before any comes again), or ``reset(options={"row": number})``.
    - ``dataset_split``: one of the data's own splits, by its name.
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
        families: Families | None = None,
        level: Level = 1,
        split: str = "all",
        dataset: str | Mapping[str, Any] | None = None,
        dataset_split: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments.

        Raises:
            UserError: One of them is not one there is.
        """
        self.source = ProblemSource.of(families, level, split if dataset is None else "all")
        given = {"families": families is not None, "level": level != 1}
        self._asking = open_for(dataset, dataset_split, split, pictures=False, unused=given)
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        names = self.source.families.things
        foreign = any(name.startswith(PREFIX) for name in names)
        self.observation_space = Utterance(MAX_FOREIGN_LENGTH if foreign else MAX_TEXT_LENGTH)
        self.action_space = Utterance(MAX_ANSWER_LENGTH)
        self.chat_spec = ChatSpec(INSTRUCTIONS if set(names) <= set(GROUPS["primer"]) else GENERAL_INSTRUCTIONS)
        if self._asking is not None:
            self.observation_space = Utterance(self._asking.dataset.config.max_question_length)
            self.chat_spec = self._asking.spec
        self._problem: Problem | Row | None = None
        self._answered = False
        self._outcome = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Asks the next question.

        Raises:
            UserError: An option is not "problem", or its value is not a `Problem`.
        """
        super().reset(seed=seed)
        if self._asking is None:
            problem = given_problem(options) or self.source.draw(self.np_random)
        else:
            problem = self._asking.draw(seed, self.np_random, options)
        self._problem, self._answered, self._outcome = problem, False, ""
        return problem.question, {"family": problem.family} | (self._asking.info() if self._asking is not None else {})

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Grades the answer.

        Raises:
            gymnasium.error.ResetNeeded: The question has been answered already, or none was asked.
        """
        if self._problem is None or self._answered:
            raise gym.error.ResetNeeded("no question is open: call reset() before step()")
        self._answered = True
        problem = self._problem
        options = problem.choices if isinstance(problem, Row) else ()
        if isinstance(problem, Problem) and problem.family.startswith(PREFIX):
            verdict = grade_foreign(problem, action)
        else:
            verdict = grade(problem.answer, action, choices=options or None)
        success = verdict is Verdict.EQUAL
        self._outcome = f"Answer: {action} ({verdict.value}; it is {problem.answer})"
        info = {"family": problem.family, "success": success, "verdict": verdict.value, "gold": problem.answer}
        info |= {"options": tuple(options)} if options else {}
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


def given_problem(options: dict[str, Any] | None) -> Problem | None:
    """Returns the problem among the options of ``reset``, None where there are none.

    Raises:
        UserError: There is another option, or the value is not a `Problem`.
    """
    if not options:
        return None
    problem = only_option(options, "problem")
    if not isinstance(problem, Problem):
        raise UserError(f'reset(options=...): "problem" is a {type(problem).__name__}; give a Problem')
    return problem


def _draw_card(lines: Sequence[str]) -> np.ndarray:
    image = Image.new("RGB", CARD_SIZE, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    # The largest type in which all of it fits; what is too long for the smallest one is cut off.
    for size in (18, 14, 11, 9):
        font = ImageFont.load_default(size=size)
        leading = size + 8 if size == 18 else size + 3
        rows = [row for line in lines for row in _wrap(line, draw, font)]
        if 32 + leading * len(rows) <= CARD_SIZE[1]:
            break
    for place, row in enumerate(rows):
        draw.text((16, 16.0 + leading * place), row, font=font, fill=(20, 20, 30))
    return np.array(image)


def _wrap(line: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    rows, row = [], ""
    for word in line.split():
        longer = f"{row} {word}".strip()
        if row and draw.textlength(longer, font=font) > CARD_SIZE[0] - 32:
            rows.append(row)
            row = word
        else:
            row = longer
    return [*rows, row]
