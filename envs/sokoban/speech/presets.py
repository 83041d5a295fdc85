"""Named configurations: the sizes that gym-sokoban registers, and the tasks of LMM-R1, MageBench, RAGEN and VAGEN.

    chat = preset("lmm-r1").make()                    # a ChatEnv
    env = gym.make(GAMES["small-v0"].id, **GAMES["small-v0"].kwargs)

Each is an `EnvironmentConfig`, what a recipe writes under ``environments``: the id of the world, its arguments and
those of `ChatEnv`.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

ID = "LMMR1/Sokoban-v0"


def _game(
    dim_room: tuple[int, int], num_boxes: int, max_steps: int, num_gen_steps: int | None = None
) -> EnvironmentConfig:
    kwargs: dict[str, Any] = {
        "dim_room": dim_room,
        "num_boxes": num_boxes,
        "max_steps": max_steps,
        "num_gen_steps": num_gen_steps,
        "generation": "compat",
        "action_set": "gym9",
    }
    return EnvironmentConfig(ID, kwargs)


# gym-sokoban 0.0.6 by the version of its ids: same levels for the same seed, actions, rewards and step limits.
GAMES: dict[str, EnvironmentConfig] = {
    "v0": _game((10, 10), 3, 200),
    "v1": _game((10, 10), 4, 120),
    "v2": _game((10, 10), 5, 200, 40),
    "small-v0": _game((7, 7), 2, 200),
    "small-v1": _game((7, 7), 3, 200),
    "large-v0": _game((13, 11), 3, 300, 43),
    "large-v1": _game((13, 11), 5, 300, 43),
    "huge-v0": _game((13, 13), 5, 300, 50),
}


def _task(kwargs: dict[str, Any], chat: dict[str, Any]) -> EnvironmentConfig:
    return EnvironmentConfig(ID, kwargs, chat)


_SMALL = {"dim_room": (7, 7), "num_boxes": 2, "max_steps": 120, "generation": "compat"}
_RAGEN = {"dim_room": (6, 6), "num_boxes": 1, "max_steps": 100}
TASKS: dict[str, EnvironmentConfig] = {
    # One reply with at most 50 moves; half a point for the form, and the game's reward only with it.
    "lmm-r1": _task(
        {**_SMALL, "tile_size": 56, "prompt": "lmm-r1"},
        {"max_actions": 50, "max_turns": 1, "format_weight": 0.5, "reward_mode": "gated"},
    ),
    # Pictures of 256 and 640 pixels and more, one reply or one move a reply, fifty of them; the score is in the info.
    "magebench-global": _task(
        {**_SMALL, "tile_size": 36, "prompt": "magebench-global", "show_score": True},
        {"max_actions": 120, "max_turns": 1, "format_weight": 0.0},
    ),
    "magebench-online": _task(
        {**_SMALL, "tile_size": 92, "prompt": "magebench-online", "show_score": True},
        {"max_actions": 1, "max_turns": 50, "format_weight": 0.0},
    ),
    # Text grids; moves are separated by commas, not by RAGEN's bars.
    "ragen": _task(
        {**_RAGEN, "generation": "ragen", "observation": "text", "text_format": "ragen"},
        {"max_actions": 5, "max_turns": 5, "format_weight": 0.0, "invalid_reward": -0.1},
    ),
    "vagen": _task(
        {**_RAGEN, "generation": "vagen", "max_moves": 5, "observation": "text", "text_format": "vagen"},
        {"max_actions": 3, "max_turns": 10, "format_weight": 0.5},
    ),
    "vagen-vision": _task(
        {**_RAGEN, "generation": "vagen", "max_moves": 5, "tile_size": 16},
        {"max_actions": 3, "max_turns": 10, "format_weight": 0.5},
    ),
}
PRESETS = {**GAMES, **TASKS}


def preset(name: str, **changes: Any) -> EnvironmentConfig:
    """Returns a named configuration.

    Args:
        name: A key of `PRESETS`.
        **changes: Arguments of the world that are to be others.

    Raises:
        UserError: There is no such name.
    """
    if name not in PRESETS:
        close = difflib.get_close_matches(str(name), PRESETS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(PRESETS)}"
        raise UserError(f"there is no preset {name!r} of Sokoban; {hint}")
    config = PRESETS[name]
    return replace(config, kwargs={**config.kwargs, **changes}, chat=dict(config.chat))
