"""What replies earn: at random, by saying nothing, by the expert, and by tricks that imitate work."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solvable

from ..case import Case
from ..report import Earning, Finding, Verdict
from .replying import HACKS, NULL, ORACLE, RANDOM, Moment, Way, first_of, stream

NAMES = ("oracle", "null-baseline", "dawdling", "reward-audit")
FEWEST = 4  # seeds
ORACLE_SEEDS, ORACLE_TURNS = 8, 200
SHARE = 0.05  # of what there is to be earned; less is no trick worth learning
ERRORS = 2.0  # standard errors


@dataclass(frozen=True)
class Episode:
    """What one episode earned."""

    reward: float
    format: float
    success: bool | None
    turns: int
    first: str


def check_rewards(case: Case) -> Iterator[Finding | Earning]:
    """Play every way of replying from the same seeds, and compare."""
    limits = case.limits
    with case.spoken() as env:
        start = time.perf_counter()
        _play(case, env, RANDOM, 0, limits.audit_turns)
        for_one = max(time.perf_counter() - start, 1e-4) * (len(HACKS) + 3)
        seeds = range(min(limits.audit_seeds, max(FEWEST, int(limits.audit_seconds / for_one))))
        honest, silent = (_play_all(case, env, way, seeds, limits.audit_turns) for way in (RANDOM, NULL))
        solvable = isinstance(env.unwrapped, Solvable)
        expert, wandering, problem = [], [], ""
        if solvable:
            try:
                turns = env.max_turns or ORACLE_TURNS
                expert = _play_all(case, env, ORACLE, seeds[:ORACLE_SEEDS], turns)
                wandering = _play_all(case, env, RANDOM, seeds[:FEWEST], turns)
            except UserError as error:
                problem = str(error)
        tricks = {way: _play_all(case, env, way, seeds, limits.audit_turns) for way in HACKS}
    rows = [_sum_up(RANDOM, honest), _sum_up(NULL, silent), *([_sum_up(ORACLE, expert)] if expert else [])]
    yield _judge_oracle(expert, honest, solvable, problem)
    yield _judge_silence(silent, honest, expert)
    yield _judge_dawdling(wandering, expert)
    worth = max([_mean(honest), _mean(expert) if expert else -math.inf]) - _mean(silent)
    scale = max(abs(worth), 1e-6)
    for way, episodes in tricks.items():
        # Where acting at random costs something, a reply that does nothing is no better than silence, which is judged
        # by itself.
        base = max(silent, honest, key=_mean) if way.kind == "guess" else silent
        rows.append(replace(_sum_up(way, episodes), verdict=_judge(episodes, base, scale)))
    yield from rows
    yield _judge_audit(rows, len(seeds))


def _play_all(case: Case, env: ChatEnv, way: Way, seeds: Sequence[int], turns: int) -> list[Episode]:
    return [_play(case, env, way, seed, turns) for seed in seeds]


def _play(case: Case, env: ChatEnv, way: Way, seed: int, turns: int) -> Episode:
    case.watch.touch()
    messages, _ = env.reset(seed=seed)
    total, form, first = 0.0, 0.0, ""
    success, turn, ended = None, 0, False
    while not ended and turn < turns:
        case.watch.touch()
        reply = way.reply(Moment(env, messages, stream(seed, turn)))
        first = first or first_of(reply)
        messages, reward, terminated, truncated, info = env.step(reply)
        turn, ended = turn + 1, terminated or truncated
        total, form = total + reward, form + info["reward_parts"]["format"]
        success = info["success"]
    return Episode(total, form, success, turn, first)


def _mean(episodes: Sequence[Episode]) -> float:
    return sum(episode.reward for episode in episodes) / len(episodes)


def _sum_up(way: Way, episodes: Sequence[Episode]) -> Earning:
    told = [episode.success for episode in episodes if episode.success is not None]
    return Earning(
        way.name,
        way.kind,
        episodes[0].first,
        _mean(episodes),
        sum(episode.format for episode in episodes) / len(episodes),
        sum(told) / len(told) if told else None,
        sum(episode.turns for episode in episodes) / len(episodes),
    )


def _margin(episodes: Sequence[Episode], base: Sequence[Episode], scale: float) -> float:
    """How much more than `base`, from the same seeds, is no chance and no trifle."""
    gaps = np.array([one.reward - other.reward for one, other in zip(episodes, base, strict=False)])
    error = float(gaps.std(ddof=1) / math.sqrt(len(gaps))) if len(gaps) > 1 else 0.0
    return SHARE * scale + ERRORS * error


def _judge(episodes: Sequence[Episode], base: Sequence[Episode], scale: float) -> Verdict:
    return "fail" if _mean(episodes) - _mean(base) > _margin(episodes, base, scale) else "pass"


def _judge_oracle(expert: list[Episode], honest: list[Episode], solvable: bool, problem: str) -> Finding:
    if not solvable:
        return Finding(
            "oracle", "skip", "the world has no method solution(); with one, its rewards can be judged better"
        )
    remedy = "solution() must lead to success from every state that reset() gives, in the words that the world accepts"
    if problem:
        return Finding("oracle", "fail", problem, "solution()", remedy)
    paid, by_chance = _mean(expert), _mean(honest[: len(expert)])
    told = [episode.success for episode in expert if episode.success is not None]
    seen = f"mean reward {paid:.3f}, that of random replies {by_chance:.3f}"
    if told:
        seen = f"success in {sum(told)} of {len(expert)} episodes; {seen}"
    if not told and paid <= by_chance:
        return Finding("oracle", "fail", seen, "solution()", remedy)
    if told and not any(told):
        return Finding("oracle", "fail", seen, "solution()", remedy)
    if told and sum(told) < len(expert):
        return Finding("oracle", "warn", seen, "solution()", remedy)
    return Finding("oracle", "pass", seen)


def _judge_silence(silent: list[Episode], honest: list[Episode], expert: list[Episode]) -> Finding:
    nothing, by_chance = _mean(silent), _mean(honest)
    seen = f"saying nothing earns {nothing:.3f}, random replies {by_chance:.3f}"
    wins, luck = (sum(episode.success is True for episode in episodes) for episodes in (silent, honest))
    if wins > luck and wins > ERRORS * math.sqrt(len(silent)):
        remedy = "success must need an action; look at what an empty reply does"
        return Finding("null-baseline", "fail", f"{wins} of {len(silent)} silent episodes succeed", remedy=remedy)
    if expert and nothing >= _mean(expert):
        remedy = "whoever learns from this reward learns silence: pay the task more, or charge for an invalid reply"
        return Finding("null-baseline", "fail", f"{seen}, the expert {_mean(expert):.3f}", remedy=remedy)
    if nothing > by_chance + _margin(silent, honest, abs(by_chance - nothing)):
        remedy = "steps cost and silence is free: set invalid_reward, or make sure that success pays far more"
        return Finding("null-baseline", "warn", seen, remedy=remedy)
    return Finding("null-baseline", "pass", seen)


def _judge_dawdling(wandering: list[Episode], expert: list[Episode]) -> Finding:
    if not wandering:
        return Finding("dawdling", "skip", "there is no expert to compare with")
    paid, solved = _mean(wandering), _mean(expert[: len(wandering)])
    turns = max(episode.turns for episode in wandering)
    seen = f"acting at random for up to {turns} turns earns {paid:.3f}, what the expert does {solved:.3f}"
    if paid < solved:
        return Finding("dawdling", "pass", seen)
    form = sum(episode.format for episode in wandering) / len(wandering)
    remedy = f"the form of its turns earns {form:.3f} of that: set chat format_weight near 0, or pay more for success"
    return Finding("dawdling", "warn", seen, remedy=remedy)


def _judge_audit(rows: Sequence[Earning], seeds: int) -> Finding:
    bad = [row for row in rows if row.verdict == "fail"]
    tricks = [row for row in rows if row.kind != "baseline"]
    if not bad:
        seen = f"none of {len(tricks)} tricks earns more than it should, over {seeds} seeds"
        return Finding("reward-audit", "pass", seen)
    worst = max(bad, key=lambda row: row.reward)
    names = ", ".join(f"{row.reply} ({row.reward:.3f})" for row in bad)
    return Finding(
        "reward-audit",
        "fail",
        f"paid without work: {names}",
        f"the reply {worst.sample!r}",
        "pay the form of honest tries only, and compare answers exactly; a policy finds whatever is paid",
    )
