"""A question made ready to be asked: its text, its picture, its options, its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Part, image_part, text_part
from lmmr1.envs.options import only_option
from lmmr1.envs.reasoning.mixture import Families, Level, Mixture, check_split, mix_families, mix_levels

from .asking import IMAGE_PROMPT, order_options, write_options, write_under
from .lots import Lots
from .placement import NoRoomError
from .question import DiagramFamily, Question, sample_question
from .rendering import lay_out, paint
from .styles import choose_style

MIN_FIGURE_SIZE = 160
MAX_QUESTION_LENGTH = 2048
MAX_TRIES = 100


@dataclass(frozen=True)
class Look:
    """How questions are shown.

    Attributes:
        size: Width and height of the diagram in pixels.
        style: One of `STYLES`.
        modality: One of `MODALITIES`.
        answer_format: One of `ANSWER_FORMATS`.
    """

    size: int
    style: str
    modality: str
    answer_format: str


@dataclass(frozen=True)
class Posed:
    """A question as an environment shows it.

    Attributes:
        family: Name of the family.
        text: The text of the observation.
        image: Shape (height, width, 3), dtype uint8.
        thought: The worked solution.
        answer: The right answer: the value, or the letter of the option.
        problem: What ``reset(options={"problem": ...})`` takes to ask it again.
        options: The options of a choice, else empty.
    """

    family: str
    text: str
    image: np.ndarray
    thought: str
    answer: str
    problem: object
    options: tuple[str, ...] = ()

    def observe(self, modality: str) -> dict[str, Any]:
        """Returns the observation: ``question``, and ``image`` unless all is in words."""
        if modality == "text_only":
            return {"question": self.text}
        return {"image": self.image.copy(), "question": self.text}


def compose(
    text: str, words: str, image: np.ndarray, style: str, look: Look, options: tuple[str, ...]
) -> tuple[str, np.ndarray]:
    """Returns the text and the picture that the modality shows.

    Args:
        text: The question beside its diagram.
        words: The question complete in words.
        image: The diagram, shape (size, size, 3), dtype uint8.
        style: A name of `STYLE_TABLE`.
        look: How questions are shown.
        options: The options of a choice, else empty.
    """
    asked = words if look.modality == "text_only" else text
    if options:
        asked += "\n" + write_options(options)
    if look.modality == "image_only":
        return IMAGE_PROMPT, write_under(image, asked, style)
    return asked, image


def write_thought(steps: tuple[str, ...], value: str, options: tuple[str, ...], letter: str) -> str:
    """Returns the worked solution, the last line of which says the answer in a box."""
    lines = [*steps]
    if options:
        lines.append(f"{value} is option ({letter}).")
    return "\n".join([*lines, f"The answer is \\boxed{{{letter or value}}}."])


def pose_question(question: Question, seed: int, look: Look) -> Posed:
    """Draws the diagram of a question, and the order of its options where it is a choice.

    Args:
        question: What is asked.
        seed: Of the pose, the colours and the order of the options; the question is the same in every modality.
        look: How questions are shown.

    Raises:
        NoRoomError: In none of a dozen poses all labels have their place.
    """
    picture = _stream(seed, 0)
    layout = lay_out(question.scene, picture, look.size)
    style = choose_style(look.style, picture)
    options, letter = ((), "")
    if look.answer_format == "choice":
        options, letter = order_options(_stream(seed, 1), question.answer, question.wrong)
    image = paint(layout, picture, style)
    text, image = compose(question.text, question.words, image, style, look, options)
    thought = write_thought(question.steps, question.answer, options, letter)
    return Posed(question.family, text, image, thought, letter or question.answer, question, options)


def _stream(seed: int, number: int) -> Lots:
    return Lots(np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, number)))))


def draw_posed(rng: np.random.Generator, family: DiagramFamily, level: int, split: str, look: Look) -> Posed:
    """Draws a question of a family and its picture.

    Raises:
        UserError: The family has no question at this level in this split.
    """
    lots = Lots(rng)
    for _ in range(MAX_TRIES):
        question = sample_question(lots, family, level, split)
        seed = lots.integer(0, 2**32 - 1)
        try:
            return pose_question(question, seed, look)
        except NoRoomError:
            # Some figures leave no room for a label; another one is drawn.
            continue
    raise UserError(f"{family.name} at level {level} cannot be drawn in {look.size} pixels; give a larger size")


def pose_again(rng: np.random.Generator, problem: object, look: Look) -> Posed:
    """Draws a given question anew.

    Raises:
        UserError: It is no `Question`, or cannot be drawn at this size.
    """
    if not isinstance(problem, Question):
        raise UserError(f'reset(options=...): "problem" is a {type(problem).__name__}; give a Question')
    try:
        return pose_question(problem, int(rng.integers(2**32)), look)
    except NoRoomError as error:
        raise UserError(f"this problem cannot be drawn in {look.size} pixels ({error}); give a larger size") from error


@dataclass(frozen=True)
class Course:
    """What is asked: families, levels, split, and how it is shown."""

    families: Mixture
    levels: Mixture
    split: str
    look: Look

    @classmethod
    def of(
        cls,
        known: Sequence[str],
        groups: Mapping[str, Sequence[str]],
        families: Families | None,
        level: Level,
        split: str,
        look: Look,
    ) -> Course:
        """Reads the arguments of an environment.

        Raises:
            UserError: One of them is not one there is.
        """
        mixture = mix_families(families, known, groups)
        return cls(mixture, mix_levels(level), check_split(split, mixture.things), look)

    def choose(self, rng: np.random.Generator) -> tuple[str, int]:
        """Draws a family and a level; a single level takes nothing from the generator."""
        name = self.families.choose(rng)
        return name, self.levels.things[0] if len(self.levels.things) == 1 else self.levels.choose(rng)


# The state of a PCG64 generator: state, increment, whether half of a draw is left over, and which.
GeneratorState: TypeAlias = tuple[int, int, int, int]


def draw_through(rng: np.random.Generator, cached: Callable[[GeneratorState], tuple[Posed, GeneratorState]]) -> Posed:
    """Draws through a cache: the environments of a group start alike, and a question is drawn once for all of them.

    Args:
        rng: Source of randomness; it is left as if the question had been drawn with it.
        cached: ``state of the generator -> (question, state after it)``, such as a cached call of `replay`.
    """
    posed, after = cached(_read_state(rng))
    _write_state(rng, after)
    return posed


def replay(state: GeneratorState, draw: Callable[[np.random.Generator], Posed]) -> tuple[Posed, GeneratorState]:
    """Draws with a generator in a given state; returns the question and the state after it."""
    generator = np.random.Generator(np.random.PCG64(0))
    _write_state(generator, state)
    return draw(generator), _read_state(generator)


def _read_state(rng: np.random.Generator) -> GeneratorState:
    state = rng.bit_generator.state
    return (state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"])


def _write_state(rng: np.random.Generator, values: GeneratorState) -> None:
    state, increment, has_half, half = values
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state, "inc": increment},
        "has_uint32": has_half,
        "uinteger": half,
    }


def read_problem(options: Mapping[str, Any] | None) -> object | None:
    """Returns the problem among the options of ``reset``, or None.

    Raises:
        UserError: There is another option.
    """
    return only_option(options, "problem") if options else None


def describe(observation: Mapping[str, Any], info: Mapping[str, Any]) -> list[Part]:
    """Returns the parts of the message: the picture, where there is one, and the text."""
    text = text_part(observation["question"])
    return [image_part(observation["image"]), text] if "image" in observation else [text]
