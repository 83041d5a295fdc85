"""What a player is told, by the name of the prompt: a task as other projects set it, in our words."""

from __future__ import annotations

_GOAL = (
    "You are going to play a game of Sokoban. Move the blue figure so that it pushes every yellow box onto a target, "
    "the cells with a red dot."
)
_RULES = (
    " Moving into a box pushes it, if the cell behind it is free. Two boxes in a row cannot be pushed, brick cells are "
    "walls, and a box in a corner without a target is lost."
)
_PLAN = (
    "You see the start only, so plan the whole game: answer with all moves from this position to the end, a sequence "
    "of Left, Right, Up and Down, separated by commas, such as Left, Left, Up."
)
_MOVE = "You play move by move and see the board after each: answer with the next move alone, Left, Right, Up or Down."
# By prompt: what the goal is and how the game goes, and what to answer. "plain" is put together in `chat.py`.
TASKS: dict[str, tuple[str, str]] = {
    "lmm-r1": (_GOAL, _PLAN),
    "magebench-global": (_GOAL + _RULES, _PLAN),
    "magebench-online": (_GOAL + _RULES, _MOVE),
}
PROMPTS = ("plain", *TASKS)
