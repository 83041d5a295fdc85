"""From the episodes of an experiment to its figures, and to whether each claim was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from lmmr1.agents.episode import Episode

from ..scoring.figures import summarize
from ..scoring.pairing import pair_values, value_of
from .experiment import Claim, Experiment

# {seed: {arm: {(task, mode): episodes}}}
Played = Mapping[int, Mapping[str, Mapping[tuple[str, str], Sequence[Episode]]]]
KEPT = ("success", "return", "format_rate", "reply_tokens")


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Attributes:
        claim: which.
        difference: the mean of the better arm less that of the worse one, over the problems of all seeds.
        interval: its 95 % bootstrap interval over problems.
        by_seed: the same difference for each seed of training.
        problems: how many, all seeds together.
        seen: "yes", "in some seeds" (the interval lies above 0, but not every seed's difference), "no" (the interval
            holds 0) or "the opposite".
    """

    claim: Claim
    difference: float
    interval: tuple[float, float]
    by_seed: tuple[float, ...]
    problems: int
    seen: str

    @property
    def sentence(self) -> str:
        """The verdict in words, with its figures."""
        scale, unit = (100, " points") if self.claim.figure in ("success", "format_rate") else (1, "")
        unit = " tokens" if self.claim.figure == "reply_tokens" else unit
        low, high = (f"{scale * end:+.1f}" for end in self.interval)
        seeds = ", ".join(f"{scale * value:+.1f}" for value in self.by_seed)
        word = {"yes": "Seen", "in some seeds": "Seen, but not in every seed", "no": "Not seen"}.get(
            self.seen, "The opposite was seen"
        )
        return (
            f"{word}: {self.claim.says} ({scale * self.difference:+.1f}{unit}, 95 % {low} to {high}; by seed {seeds})."
        )


def judge(experiment: Experiment, played: Played) -> list[Verdict]:
    """What came of each claim."""
    return [_judge_claim(claim, played) for claim in experiment.claims]


def _judge_claim(claim: Claim, played: Played) -> Verdict:
    value = value_of(claim.figure)
    place = (claim.task, claim.mode)
    worse: list[float] = []
    better: list[float] = []
    by_seed = []
    for arms in played.values():
        ones, others = (
            {e.group: v for e in arms[name][place] if e.failure is None and (v := value(e)) is not None}
            for name in (claim.worse, claim.better)
        )
        shared = [number for number in ones if number in others]
        worse += [ones[number] for number in shared]
        better += [others[number] for number in shared]
        by_seed.append(fmean(others[number] - ones[number] for number in shared))
    paired = pair_values(worse, better)
    low, high = paired.interval
    if low > 0:
        seen = "yes" if all(difference > 0 for difference in by_seed) else "in some seeds"
    else:
        seen = "the opposite" if high < 0 else "no"
    return Verdict(claim, paired.difference, paired.interval, tuple(by_seed), paired.problems, seen)


def gather_figures(experiment: Experiment, played: Played) -> dict[str, Any]:
    """The figures of every arm: {arm: {task: {mode: {figure: [one value for each seed]}}}}.

    Under the figure "right_tokens" and "wrong_tokens" stands the mean length of the replies of solved and of other
    episodes, None where there are none.
    """
    found: dict[str, Any] = {}
    for arm in experiment.arms:
        found[arm.name] = {}
        for task in experiment.tasks:
            modes = {}
            for mode in experiment.modes:
                sets = [played[seed][arm.name][task.name, mode] for seed in played]
                figures = [summarize(episodes) for episodes in sets]
                values: dict[str, list[Any]] = {key: [entry[key] for entry in figures] for key in KEPT}
                values["right_tokens"] = [_length(episodes, True) for episodes in sets]
                values["wrong_tokens"] = [_length(episodes, False) for episodes in sets]
                modes[mode] = values
            found[arm.name][task.name] = modes
    return found


def _length(episodes: Sequence[Episode], solved: bool) -> float | None:
    lengths = [e.num_reply_tokens / len(e.turns) for e in episodes if e.turns and (e.success is True) == solved]
    return fmean(lengths) if lengths else None


def as_document(
    experiment: Experiment, played: Played, verdicts: Sequence[Verdict], costs: Mapping[str, float]
) -> dict[str, Any]:
    """All that came of an experiment, as plain values."""
    claims = [{**asdict(v), "claim": asdict(v.claim), "sentence": v.sentence} for v in verdicts]
    return {
        "name": experiment.name,
        "seeds": list(played),
        "figures": gather_figures(experiment, played),
        "claims": claims,
        "cpu_seconds": dict(costs),
    }


def middle(values: Sequence[float | None]) -> float | None:
    """The median of those that are known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
