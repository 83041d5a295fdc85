"""What a player is told, by the name of the prompt: the plain rules, or the task as other projects set it, in our words."""

from __future__ import annotations

PLAN = (
    "You see the start only, so plan the whole game: answer with all moves from this position to the end, a sequence of "
    "Left, Right, Up and Down, separated by commas, such as Left, Left, Up."
)
# By prompt: what the goal is and how the game goes, and what to answer. "plain" is put together in `chat.py`.
TASKS: dict[str, tuple[str, str]] = {
    "lmm-r1": (
        "You are going to play a game of Sokoban. Move the blue figure so that it pushes every yellow box onto a target, "
        "the cells with a red dot.",
        PLAN,
    ),
    "magebench-global": (
        "You are going to play a game of Sokoban. Move the blue figure so that it pushes every yellow box onto a target, "
        "the cells with a red dot. Moving into a box pushes it, if the cell behind it is free. Two boxes in a row cannot be "
        "pushed, brick cells are walls, and a box in a corner without a target is lost.",
        PLAN,
    ),
    "magebench-online": (
        "You are going to play a game of Sokoban. Move the blue figure so that it pushes every yellow box onto a target, "
        "the cells with a red dot. Moving into a box pushes it, if the cell behind it is free. Two boxes in a row cannot be "
        "pushed, brick cells are walls, and a box in a corner without a target is lost.",
        "You play move by move and see the board after each: answer with the next move alone, Left, Right, Up or Down.",
    ),
}
PROMPTS = ("plain", *TASKS)
