"""Ten thousand odd replies: none may make the environment raise, hang, or pay for an answer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.isolation.outcomes import describe_error
from lmmr1.envs.messages import StopReason

from ..case import Case
from ..report import Finding
from .replying import first_of, odd_reply

NAMES = ("odd-replies", "odd-replies-unpaid")
SEED = 29


def check_odd_replies(case: Case) -> Iterator[Finding]:
    """Give them, episode after episode."""
    limits = case.limits
    rng = np.random.default_rng(np.random.SeedSequence([SEED, 1]))
    given, raised, paid, longest, first_paid = 0, 0, 0, 0.0, ""
    first_error = ("", "")
    began = time.perf_counter()
    with case.spoken() as env:
        running = False
        while given < limits.odd_replies and time.perf_counter() - began < limits.odd_seconds:
            if not running:
                case.watch.touch()
                env.reset(seed=given)
                running = True
            reply = odd_reply(rng)
            start = time.perf_counter()
            case.watch.touch()
            problem, success, ended = _give(env, reply)
            longest = max(longest, time.perf_counter() - start)
            given, running = given + 1, not ended
            if problem:
                first_error = first_error if raised else (problem, first_of(reply))
                raised += 1
            elif success:
                first_paid = first_paid or first_of(reply)
                paid += 1
    told = f"{given} given, the slowest answered in {longest * 1e3:.0f} ms"
    if given < limits.odd_replies:
        told += f" (of {limits.odd_replies}; {limits.odd_seconds:g} s went by)"
    if raised:
        remedy = "take a reply apart without trusting it: what is no action is told in words, not raised"
        seen = f"{raised} of {given} raised, the first {first_error[0]}"
        yield Finding("odd-replies", "fail", seen, f"the reply {first_error[1]!r}", remedy)
    else:
        yield Finding("odd-replies", "pass", told)
    if paid:
        remedy = "compare answers exactly: what is in an answer by chance is no answer"
        seen = f"{paid} of {given} counted as a success"
        yield Finding("odd-replies-unpaid", "fail", seen, f"the reply {first_paid!r}", remedy)
    else:
        yield Finding("odd-replies-unpaid", "pass", f"none of {given} counted as a success")


def _give(env: ChatEnv, reply: str) -> tuple[str, bool, bool]:
    """What it raised, whether it succeeded, and whether the episode is over or broken."""
    try:
        _, reward, terminated, truncated, info = env.step(reply)
    except (Exception, SystemExit) as error:  # whatever the world raises
        return describe_error(error), False, True
    if not math.isfinite(reward):
        return f"the reward is {reward}", False, True
    # A game that ends well by itself while nobody acts is not paid for a reply.
    success = info["success"] is True and info["native_steps"] > 0 and info["stop_reason"] is StopReason.TASK_ENDED
    return "", success, bool(terminated or truncated)
