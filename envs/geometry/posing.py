"""Which question of geometry comes next, and how it is shown."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from lmmr1.envs.diagrams.asking import order_options
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.posing import (
    MIN_FIGURE_SIZE,
    Course,
    GeneratorState,
    Look,
    Posed,
    compose,
    draw_posed,
    draw_through,
    pose_again,
    replay,
    write_thought,
)
from lmmr1.envs.diagrams.question import wrong_answers
from lmmr1.envs.diagrams.styles import MIXED, choose_style
from lmmr1.envs.errors import UserError
from lmmr1.envs.reasoning.mixture import Families, Level
from lmmr1.envs.reasoning.problems import Problem, sample_problem

from .families import SHAPE_FAMILIES, draw_problem
from .figures import FIGURE_GROUPS, FIGURES

TASKS = ("solve", "read")
READ_QUESTION = "Read the numbers."
KNOWN = (*SHAPE_FAMILIES, *FIGURES)
GROUPS: dict[str, tuple[str, ...]] = {"schematic": tuple(SHAPE_FAMILIES), **FIGURE_GROUPS}
FORMS = (
    "an integer, a fraction such as 3/4, a root such as 3*sqrt(2), a multiple of pi such as 4*pi, "
    "or a point such as (2, -3)"
)
SHOWN = {
    "both": "You are shown a diagram and a question about it. What is given is written on the diagram.",
    "text_only": "You are given a question about a figure.",
    "image_only": "You are shown a diagram and, under it in the same picture, a question about it.",
}
SCHEMATIC_INSTRUCTIONS = {
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


@dataclass(frozen=True)
class GeometryCourse:
    """What is asked of geometry: the course, and whether a problem is to be solved or its numbers to be read."""

    course: Course
    ask: str

    @classmethod
    def of(cls, families: Families | None, level: Level, split: str, ask: str, look: Look) -> GeometryCourse:
        """Reads the arguments of the environment.

        Raises:
            UserError: One of them is not one there is, or a family cannot be drawn so small, or be read off.
        """
        small, read = look.size < MIN_FIGURE_SIZE, ask == "read"
        chosen = families
        if chosen is None:
            chosen = tuple(SHAPE_FAMILIES if small or read else FIGURES)
        course = Course.of(KNOWN, GROUPS, chosen, level, split, look)
        exact = [name for name in course.families.things if name in FIGURES]
        if exact and small:
            raise UserError(
                f"size is {look.size}: {exact[0]} needs at least {MIN_FIGURE_SIZE} pixels;"
                ' give a larger size, or families="schematic"'
            )
        if exact and read:
            raise UserError(f'ask is "read", but {exact[0]} has no fixed order of numbers; give families="schematic"')
        if read and (look.modality != "both" or look.answer_format != "open"):
            raise UserError('ask is "read", which needs modality="both" and answer_format="open"')
        return cls(course, ask)

    def instructions(self) -> str:
        """Returns what an agent is told first."""
        look = self.course.look
        schematic = [name in SHAPE_FAMILIES for name in self.course.families.things]
        if all(schematic) and (look.modality, look.answer_format) == ("both", "open"):
            return SCHEMATIC_INSTRUCTIONS[self.ask]
        told = [SHOWN[look.modality]]
        if look.modality != "text_only":
            scale = "not to scale" if all(schematic) else "to scale, but for a few" if any(schematic) else "to scale"
            told.append(f"The diagram is {scale}.")
            told.append("Sides with the same tick marks are equal, lines with arrow heads parallel.")
        choice = "the letter of the right option alone"
        answer = choice if look.answer_format == "choice" else f"the exact result alone, without a unit: {FORMS}"
        told.append(f"Work the problem out step by step, then answer with {answer}.")
        return " ".join(told)

    def draw(self, rng: np.random.Generator, problem: object | None = None) -> Posed:
        """Draws the next question, or the given problem.

        Raises:
            UserError: There is no such question, or the problem cannot be drawn.
        """
        if problem is None:
            return draw_through(rng, functools.partial(_draw, self))
        if isinstance(problem, Problem):
            return self._pose_schematic(rng, problem)
        return pose_again(rng, problem, self.course.look)

    def draw_next(self, rng: np.random.Generator) -> Posed:
        """Draws a family, a level, a problem and its picture."""
        name, level = self.course.choose(rng)
        if name in FIGURES:
            return draw_posed(rng, FIGURES[name], level, self.course.split, self.course.look)
        return self._pose_schematic(rng, sample_problem(rng, [name], level, self.course.split))

    def _pose_schematic(self, rng: np.random.Generator, problem: Problem) -> Posed:
        look = self.course.look
        style = look.style if look.style != MIXED else choose_style(MIXED, Lots(rng))
        image = draw_problem(problem, rng, look.size, style)
        if self.ask == "read":
            numbers = ",".join(map(str, problem.numbers))
            return Posed(problem.family, READ_QUESTION, image, "", numbers, problem)
        options, letter, thought = (), "", problem.thought
        if look.answer_format == "choice":
            wrong = wrong_answers(int(problem.answer), [sum(problem.numbers), 180 - int(problem.answer)])
            options, letter = order_options(Lots(rng), problem.answer, wrong)
            thought = write_thought((problem.thought,), problem.answer, options, letter)
        question = SHAPE_FAMILIES[problem.family].question
        text, image = compose(question, problem.question, image, style, look, options)
        return Posed(problem.family, text, image, thought, letter or problem.answer, problem, options)


@functools.lru_cache(maxsize=64)
def _draw(course: GeometryCourse, state: GeneratorState) -> tuple[Posed, GeneratorState]:
    return replay(state, course.draw_next)
