"""How Sokoban is spoken about: the names of the actions, the rules in words, a position as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.messages import Part, image_part, text_part

from .levels import SYMBOLS
from .rules import MOVES

# Names of the actions, and of each (direction or None to stand still, may it push).
ACTION_SETS: dict[str, dict[str, tuple[int | None, bool]]] = {
    "moves4": {name: (i, True) for i, name in enumerate(MOVES)},
    "gym9": {
        "Wait": (None, False),
        **{f"Push {name}": (i, True) for i, name in enumerate(MOVES)},
        **{f"Move {name}": (i, False) for i, name in enumerate(MOVES)},
    },
}
OBSERVATIONS = ("rgb", "grid")
QUESTION = "Your move?"
RULES = (
    "You play Sokoban. Push every box onto a target. You push a box by walking into it; you cannot pull, you cannot "
    "push two boxes at once, and walls do not move. Beware of corners: a box in a corner that is no target is lost."
)
SYMBOL_LEGEND = "# wall, space floor, . target, $ box, * box on a target, @ you, + you on a target."
LEGENDS = {
    "rgb": (
        "The picture is seen from above: dark brick cells are walls, light cells are floor, a red dot is a target, a "
        "yellow square is a box, a green square is a box on a target, and the blue figure is you; red behind the blue "
        "figure is a target that you stand on."
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


def make_chat_spec(observation: str, action_set: str, drawn_as_text: bool = False) -> ChatSpec:
    """Returns how a Sokoban with this kind of observation and this set of actions is spoken to.

    Args:
        observation: One of `OBSERVATIONS`.
        action_set: A key of `ACTION_SETS`.
        drawn_as_text: Whether a player may see the board as text beside, or instead of, the picture.
    """
    legend = LEGENDS[observation]
    if drawn_as_text and observation == "rgb":
        legend += f" As text: {SYMBOL_LEGEND}"
    return ChatSpec(
        instructions=" ".join((RULES, legend, ANSWERS[action_set])),
        action_names=tuple(ACTION_SETS[action_set]),
        describe=_describe_picture if observation == "rgb" else _describe_grid,
    )


def write_grid(grid: np.ndarray) -> str:
    """Writes codes 0 to 6, shape (rows, columns), as XSB text."""
    return "\n".join("".join(SYMBOLS[code] for code in row) for row in grid.tolist())


def _describe_picture(observation: np.ndarray, info: dict[str, Any]) -> list[Part]:
    return [image_part(observation), text_part(QUESTION)]


def _describe_grid(observation: np.ndarray, info: dict[str, Any]) -> list[Part]:
    return [text_part(f"{write_grid(observation)}\n{QUESTION}")]
