"""How Sokoban is spoken about: the names of the actions, the rules in words, a position as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.messages import Part, image_part, text_part

from ..pictures.text import TEXT_LEGENDS, write_grid
from ..rules import MOVES
from .prompts import TASKS

# Names of the actions, and of each (direction or None to stand still, may it push).
ACTION_SETS: dict[str, dict[str, tuple[int | None, bool]]] = {
    "moves4": {name: (i, True) for i, name in enumerate(MOVES)},
    "gym9": {
        "Wait": (None, False),
        **{f"Push {name}": (i, True) for i, name in enumerate(MOVES)},
        **{f"Move {name}": (i, False) for i, name in enumerate(MOVES)},
    },
}
QUESTION = "Your move?"
RULES = (
    "You play Sokoban. Push every box onto a target. You push a box by walking into it; you cannot pull, you cannot "
    "push two boxes at once, and walls do not move. Beware of corners: a box in a corner that is no target is lost."
)
SYMBOL_LEGEND = TEXT_LEGENDS["xsb"]
LEGENDS = {
    "rgb": (
        "The picture is seen from above: dark brick cells are walls, light cells are floor, a red dot is a target, a "
        "yellow square is a box, a green square is a box on a target, and the blue figure is you; red behind the blue "
        "figure is a target that you stand on."
    ),
    "tiny_rgb": (
        "The picture is seen from above, a pixel a cell: black is wall, white floor, pink a target, brown a box, red a "
        "box on a target, green you, and yellow you on a target."
    ),
    "grid": f"The board is text: {SYMBOL_LEGEND} The first line is the top row.",
}
ANSWERS = {
    "moves4": "Answer with your next move: Up, Down, Left or Right. A move pushes the box in its way if it can.",
    "gym9": (
        "Answer with your next action: Wait, or Push or Move with a direction, such as Push Up or Move Left. Push "
        "walks where there is no box; Move never pushes."
    ),
}


def make_chat_spec(
    observation: str, action_set: str, drawn_as_text: bool = False, text_format: str = "xsb", prompt: str = "plain"
) -> ChatSpec:
    """Returns how a Sokoban with this kind of observation and this set of actions is spoken to.

    Args:
        observation: "rgb", "tiny_rgb", "grid" or "text".
        action_set: A key of `ACTION_SETS`.
        drawn_as_text: Whether a player may see the board as text beside, or instead of, the picture.
        text_format: A key of `TEXT_LEGENDS`.
        prompt: One of `PROMPTS`.
    """
    if observation == "text":
        legend = f"The board is text: {TEXT_LEGENDS[text_format]} The first line is the top row."
    else:
        legend = LEGENDS[observation]
    if drawn_as_text and observation in ("rgb", "tiny_rgb"):
        legend += f" As text: {TEXT_LEGENDS[text_format]}"
    rules, answer = (RULES, ANSWERS[action_set]) if prompt == "plain" else TASKS[prompt]
    return ChatSpec(
        instructions=" ".join((rules, legend, answer)),
        action_names=tuple(ACTION_SETS[action_set]),
        describe=_DESCRIPTIONS[observation],
    )


def _describe_picture(observation: np.ndarray, info: dict[str, Any]) -> list[Part]:
    return [image_part(observation), text_part(QUESTION)]


def _describe_grid(observation: np.ndarray, info: dict[str, Any]) -> list[Part]:
    return [text_part(f"{write_grid(observation)}\n{QUESTION}")]


def _describe_text(observation: str, info: dict[str, Any]) -> list[Part]:
    return [text_part(f"{observation}\n{QUESTION}")]


_DESCRIPTIONS = {
    "rgb": _describe_picture,
    "tiny_rgb": _describe_picture,
    "grid": _describe_grid,
    "text": _describe_text,
}
