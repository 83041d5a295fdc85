"""All checks of one environment in their order; an environment that raises ends a group, not the report."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv, check_names
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import describe_error

from .case import Case
from .checks import audit, copying, native, odd, seeding, turns
from .report import Earning, Finding


@dataclass(frozen=True)
class Group:
    """Checks that share their episodes: the names of their findings, and the function that makes them."""

    names: tuple[str, ...]
    check: Callable[[Case], Iterator[Finding | Earning]]


GROUPS = (
    Group(native.NAMES, native.check_native),
    Group(seeding.NAMES, seeding.check_seeding),
    Group(copying.NAMES, copying.check_copying),
    Group(turns.NAMES, turns.check_turns),
    Group(odd.NAMES, odd.check_odd_replies),
    Group(audit.NAMES, audit.check_rewards),
)
SPOKEN = (turns.NAMES, odd.NAMES, audit.NAMES)
UNSPOKEN = "its actions cannot be spoken: see `spoken`"


class RefusedError(Exception):
    """The environment cannot be made from what the user gave; the message says why."""


def groups_for(case: Case) -> tuple[Group, ...]:
    """The checks for its kind: those of Gymnasium, or those of PettingZoo.

    Raises:
        RefusedError: it is neither, or it cannot be made from what was given.
    """
    try:
        with case.native() as env:
            if isinstance(env, gym.Env):
                check_names(case.chat)
                if case.chat:  # without arguments, what it raises is the environment's fault: a finding
                    ChatEnv(env, **case.chat)
                return GROUPS
            kinds = {cls.__module__.partition(".")[0] for cls in type(env).__mro__}
            if "pettingzoo" not in kinds:
                raise RefusedError(
                    f"{case.source.name} is a {type(env).__name__}, no Gymnasium or PettingZoo environment"
                )
    except UserError as error:
        raise RefusedError(str(error)) from error
    from .checks import agents

    return (Group(agents.NAMES, agents.check_agents),)


def examine(case: Case, groups: tuple[Group, ...]) -> Iterator[Finding | Earning]:
    """Run the groups one after the other; what a group leaves out is told as skipped."""
    crashed = False
    unspoken = False
    for group in groups:
        told: set[str] = set()
        reason = UNSPOKEN
        if not (unspoken and group.names in SPOKEN):
            try:
                for item in group.check(case):
                    yield item
                    told |= {item.name} if isinstance(item, Finding) else set()
                    unspoken |= isinstance(item, Finding) and item.name == "spoken" and item.verdict == "fail"
            except (Exception, SystemExit) as error:  # whatever the world raises
                reason = "the environment raised: see `crash`"
                if not crashed:
                    remedy = "no legal action may raise; what cannot be is told by a reward, an observation or a flag"
                    yield Finding("crash", "fail", describe_error(error), _place(error), remedy)
                crashed = True
        for name in group.names:
            if name not in told:
                yield Finding(name, "skip", reason)
    if not crashed:
        yield Finding("crash", "pass", "no legal action raised")


def _place(error: BaseException) -> str:
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{last.filename}:{last.lineno} in {last.name}"
