"""Football without a model: rules from the state of a match to the name of an action, to be beaten and to beat with.

In conversations the scripted rule is what the environment's `solution` says (`ExpertPlayer`), and the constant ones are
`FixedPlayer("action_idle")` and `FixedPlayer("action_builtin_ai")`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.football.actions import action_names
from lmmr1.envs.football.expert import advise
from lmmr1.envs.football.state import State

# The match with the own team as the left one, the place among the controlled players, a generator -> an action's name.
Rule = Callable[[State, int, np.random.Generator], str]


def play_idle(state: State, seat: int, rng: np.random.Generator) -> str:
    """Do nothing."""
    return "idle"


def play_random(state: State, seat: int, rng: np.random.Generator) -> str:
    """Any action of the default set, evenly."""
    return str(rng.choice(action_names("default")))


def play_script(state: State, seat: int, rng: np.random.Generator) -> str:
    """Dribble and shoot, see ``envs/football/expert.py``."""
    return advise(state, seat).action


def play_builtin_ai(state: State, seat: int, rng: np.random.Generator) -> str:
    """Hand the player to the engine's own AI; needs the action set "v2" or "full"."""
    return "builtin_ai"


RULES: dict[str, Rule] = {
    "idle": play_idle,
    "random": play_random,
    "scripted": play_script,
    "builtin_ai": play_builtin_ai,
}


def find_rule(name: str) -> Rule:
    """A rule by its name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in RULES:
        raise UserError(f"there is no football player {name!r}; choose from {', '.join(RULES)}")
    return RULES[name]
