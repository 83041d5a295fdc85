"""The figures of a set of episodes: what a table of an evaluation holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lmmr1.agents.episode import Episode

from .scores import bootstrap_interval, mean_pass_at_k, wilson_interval

# The facts of an episode that are a score of a benchmark, by what wrote them: Sokoban's and football's of MageBench.
SCORES = ("score", "magebench_score")
# By what failures are told apart.
GROUPINGS = ("family", "level", "scenario", "category")


def measure(episodes: Sequence[Episode], seed: int = 0) -> dict[str, Any]:
    """All figures of a task of an evaluation, whose problems may have been tried several times.

    Args:
        episodes: those of one problem share their `group`.
        seed: of the bootstrap.

    Returns:
        What `summarize` returns, where with several attempts the intervals are bootstrapped over problems (attempts at
        one problem are not independent); and "problems", "attempts"; "pass_at": {k: the chance that one of k attempts
        is right}, for 1, 2, 4, ... and the number of attempts; "reply_characters": the mean of one reply;
        "score", "score_interval" and "score_problems": MageBench's, where the environment counts it, and for how many
        problems it is known; "optimum": the mean moves of a
        shortest solution, and "regret": the mean moves above it of the episodes that were solved, where the
        environment tells them; "groups": {what: {which: [successes, episodes]}} by family, level and the like.
    """
    figures = summarize(episodes, seed)
    scored = [episode for episode in episodes if episode.failure is None]
    problems = by_problem(scored)
    attempts = max((len(tries) for tries in problems.values()), default=0)
    figures |= {"problems": len(problems), "attempts": attempts}
    if attempts > 1:
        returns = [fmean(episode.total_reward for episode in tries) for tries in problems.values()]
        figures["return_interval"] = list(bootstrap_interval(returns, seed))
        if figures["success"] is not None:
            outcomes = [[episode.success is True for episode in tries] for tries in problems.values()]
            figures["success"] = fmean(fmean(tries) for tries in outcomes)
            figures["interval"] = list(bootstrap_interval([fmean(tries) for tries in outcomes], seed))
            fewest = min(len(tries) for tries in outcomes)
            figures["pass_at"] = {str(k): mean_pass_at_k(outcomes, k) for k in _powers_up_to(fewest)}
    replies = [turn.text for episode in scored for turn in episode.turns]
    figures["reply_characters"] = fmean(map(len, replies)) if replies else None
    figures |= _score_figures(list(problems.values()), seed)
    figures["groups"] = _groups(scored)
    return figures


def by_problem(episodes: Sequence[Episode]) -> dict[int, list[Episode]]:
    """The episodes of each problem, by its number."""
    problems: dict[int, list[Episode]] = {}
    for episode in episodes:
        problems.setdefault(episode.group, []).append(episode)
    return problems


def score_of(episode: Episode) -> float | None:
    """MageBench's score of an episode, where its environment counts it."""
    return next((float(episode.facts[name]) for name in SCORES if name in episode.facts), None)


def _powers_up_to(most: int) -> list[int]:
    powers = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return powers if powers[-1] == most else [*powers, most]


def _score_figures(problems: Sequence[Sequence[Episode]], seed: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    scores = [[score for episode in tries if (score := score_of(episode)) is not None] for tries in problems]
    means = [fmean(values) for values in scores if values]
    if means:
        figures |= {
            "score": fmean(means),
            "score_problems": len(means),
            "score_interval": list(bootstrap_interval(means, seed)),
        }
    optima = [e.facts["optimal"] for tries in problems for e in tries if e.facts.get("optimal", -1) >= 0]
    if optima:
        # The environment tells the moves that were made as a multiple of the fewest.
        solved = [e.facts for tries in problems for e in tries if e.success and "regret" in e.facts]
        regrets = [(facts["regret"] - 1) * facts["optimal"] for facts in solved]
        figures |= {"optimum": fmean(optima), "regret": fmean(regrets) if regrets else None}
    return figures


def _groups(episodes: Sequence[Episode]) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for what in GROUPINGS:
        for episode in episodes:
            if what in episode.facts and episode.success is not None:
                entry = found.setdefault(what, {}).setdefault(str(episode.facts[what]), [0, 0])
                entry[0] += episode.success is True
                entry[1] += 1
    return {what: dict(sorted(entries.items())) for what, entries in found.items()}


def summarize(episodes: Sequence[Episode], seed: int = 0) -> dict[str, Any]:
    """The figures of a set of independent episodes.

    A failed episode (something broke) is counted in "failed" and nowhere else: neither right nor wrong.

    Args:
        episodes: at most one for each problem.
        seed: of the bootstrap.

    Returns:
        "success": the share of successful episodes, and "interval": its 95 % Wilson interval; None if the environment
        never says what success is. An episode that was stopped before its environment said anything is no success.
        "return": the mean sum of rewards, and "return_interval": its 95 % bootstrap interval.
        "format_rate": the share of replies that are well formed; "reply_tokens": the mean ids of one reply;
        "turns": the mean replies of one episode; "stop_reasons": how often each ended an episode;
        "episodes": how many were scored; "failed": how many were not; "failures", only if any failed: how often for
        which reason. What nothing is known about is None.
    """
    failures = [episode.failure for episode in episodes if episode.failure is not None]
    scored = [episode for episode in episodes if episode.failure is None]
    outcomes = [episode.success for episode in scored]
    replies = [turn for episode in scored for turn in episode.turns]
    returns = [episode.total_reward for episode in scored]
    judged = any(outcome is not None for outcome in outcomes)
    successes = sum(outcome is True for outcome in outcomes)
    return {
        "success": successes / len(scored) if judged else None,
        "interval": list(wilson_interval(successes, len(scored))) if judged else None,
        "episodes": len(scored),
        "failed": len(episodes) - len(scored),
        "return": fmean(returns) if returns else None,
        "return_interval": list(bootstrap_interval(returns, seed)) if returns else None,
        "format_rate": fmean(turn.well_formed for turn in replies) if replies else None,
        "reply_tokens": fmean(len(turn.reply_ids) for turn in replies) if replies else None,
        "turns": len(replies) / len(scored) if scored else None,
        "stop_reasons": _count(str(episode.stop_reason) for episode in scored),
        **({"failures": _count(failures)} if failures else {}),
    }


def _count(reasons: Any) -> Mapping[str, int]:
    return dict(sorted(Counter(reasons).items()))
