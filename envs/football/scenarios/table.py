"""Every scenario by its name, and sets of them that are drawn from."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from lmmr1.envs.errors import UserError

from .academy import ACADEMY
from .matches import MATCHES
from .scenario import Scenario

BUILT_IN: dict[str, Scenario] = {scenario.name: scenario for scenario in (*ACADEMY, *MATCHES)}
SETS = ("academy", "magebench", "magebench_mini")
_MAGEBENCH_NAME = re.compile("R[1-9]_[PRT]_[1-4]")
_EXAMPLE = "test_example_multiagent"


@cache
def magebench() -> dict[str, Scenario]:
    """The 108 scenarios of our own in the manner of MageBench, by name; made when they are first asked for."""
    from ..magebench import scenarios

    return {scenario.name: scenario for scenario in scenarios()}


def is_magebench(scenario: Scenario) -> bool:
    """Whether it is one of those 108, whose score is counted."""
    return _MAGEBENCH_NAME.fullmatch(scenario.name) is not None and magebench()[scenario.name] is scenario


def scenario_names() -> tuple[str, ...]:
    """The names of all scenarios there are, those of MageBench's manner last."""
    return (*BUILT_IN, *magebench())


def find_scenarios(wanted: str | Scenario | Sequence[str | Scenario]) -> tuple[Scenario, ...]:
    """The scenarios that an environment draws from.

    Args:
        wanted: a name, a set of `SETS`, a scenario of one's own (the object, or "package.module:NAME"), or several.

    Raises:
        UserError: there is none of that name, or nothing is wanted.
    """
    if isinstance(wanted, Scenario):
        return (wanted,)
    if not isinstance(wanted, str):
        if not isinstance(wanted, Sequence) or not wanted:
            raise UserError(f"scenario is {wanted!r}; give a name, a Scenario, or a list of them")
        return tuple(scenario for one in wanted for scenario in find_scenarios(one))
    if wanted == "academy":
        return tuple(scenario for scenario in ACADEMY if scenario.name != _EXAMPLE)
    if wanted == "magebench":
        return tuple(magebench().values())
    if wanted == "magebench_mini":
        from ..magebench import mini_scenarios

        return mini_scenarios()
    if ":" in wanted:
        return (_import_scenario(wanted),)
    if wanted in BUILT_IN:
        return (BUILT_IN[wanted],)
    if wanted in magebench():
        return (magebench()[wanted],)
    close = difflib.get_close_matches(wanted, scenario_names(), n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise UserError(
        f"there is no scenario {wanted!r}{hint} Choose from {', '.join((*SETS, *BUILT_IN))}, one of MageBench's manner "
        "(R1_P_1 to R9_T_4), or your own as package.module:NAME"
    )


def only_scenario(wanted: str | Scenario) -> Scenario:
    """The one scenario that an option of `reset` names.

    Raises:
        UserError: there is none of that name, or they are several.
    """
    found = find_scenarios(wanted)
    if len(found) != 1:
        raise UserError(f'reset(options=...): "scenario" names {len(found)} scenarios; give one')
    return found[0]


def choose_scenario(scenarios: Sequence[Scenario], rng: np.random.Generator, seed: int | None) -> Scenario:
    """The scenario of the next match: by the seed of `reset`, or where there is none drawn from `rng`."""
    count = len(scenarios)
    return scenarios[int(rng.integers(count)) if seed is None else seed % count]


def _import_scenario(place: str) -> Scenario:
    module, _, name = place.partition(":")
    try:
        found = vars(importlib.import_module(module))[name]
    except ImportError as error:
        raise UserError(f"scenario {place!r}: cannot import {module}: {error}") from error
    except KeyError as error:
        raise UserError(f"scenario {place!r}: the module {module} has no {name}") from error
    if not isinstance(found, Scenario):
        raise UserError(f"scenario {place!r} is a {type(found).__name__}; it must be a Scenario")
    return found
