"""What the checks found: findings, what each kind of reply earned, and both as a table and as JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail", "skip"]
WIDTH = 100
_ORDER = {"fail": 0, "warn": 1, "pass": 2, "skip": 3}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        name: of the check, such as "stale-observation"; docs/check-env.md has a paragraph on each.
        verdict: "pass", "warn" (worth a look), "fail", or "skip" (not looked at, and `seen` says why).
        seen: what was seen, in figures where there are some.
        where: the call at which it showed ("step 4 from seed 0"); empty where there is no one place.
        remedy: what to do about it; empty for a pass.
    """

    name: str
    verdict: Verdict
    seen: str
    where: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Earning:
    """What one way of replying earned, over some seeds.

    Attributes:
        reply: what it is called, such as "random", "oracle" or "empty tags".
        kind: "baseline"; "workless" (it names no action, and should earn no more than silence does) or "guess" (it
            should earn no more than an honest random reply does).
        sample: how such a reply begins.
        reward: the mean reward of an episode.
        format: of that, what was paid for the form.
        success: the share of episodes with success; None where the world never says.
        turns: the mean number of turns.
        verdict: "pass", "warn" or "fail"; a baseline has "pass" here, and findings of its own.
    """

    reply: str
    kind: Literal["baseline", "workless", "guess"]
    sample: str
    reward: float
    format: float
    success: float | None
    turns: float
    verdict: Verdict = "pass"


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
        id: of the environment, or the name of its class.
        findings: in the order of the checks.
        earnings: the baselines and the replies of the reward audit; empty where that was not reached.
        seconds: how long the checks took, by the clock.
    """

    id: str
    findings: tuple[Finding, ...]
    earnings: tuple[Earning, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[str, ...]:
        """Names of the checks that failed, each once."""
        return self.named("fail")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names of the checks that warn, each once."""
        return self.named("warn")

    def named(self, verdict: Verdict) -> tuple[str, ...]:
        """Names of the checks with a verdict, each once, in order."""
        return tuple(dict.fromkeys(finding.name for finding in self.findings if finding.verdict == verdict))

    def to_json(self) -> str:
        """The report as JSON: id, passed, seconds, findings, earnings."""
        told: dict[str, Any] = {"id": self.id, "passed": self.passed, "seconds": round(self.seconds, 2)}
        told["findings"] = [asdict(finding) for finding in self.findings]
        # JSON knows no NaN, which is what a world with such rewards earns.
        told["earnings"] = [
            {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in row.items()
            }
            for row in map(asdict, self.earnings)
        ]
        return json.dumps(told, indent=2)

    def table(self) -> str:
        """The report as plain text, what failed first."""
        lines = [f"check-env {self.id}", ""]
        width = max((len(finding.name) for finding in self.findings), default=0)
        for finding in sorted(self.findings, key=lambda finding: _ORDER[finding.verdict]):
            if finding.verdict != "skip":
                lines += _tell(finding, width)
        lines += _tell_skipped([finding for finding in self.findings if finding.verdict == "skip"])
        if self.earnings:
            lines += ["", "What a reply earns", ""] + _tell_earnings(self.earnings)
        counts = Counter(finding.verdict for finding in self.findings)
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _ORDER if counts[verdict])
        lines += ["", f"{'passed' if self.passed else 'FAILED'} in {self.seconds:.1f} s: {summary}"]
        return "\n".join(lines)


def _tell(finding: Finding, width: int) -> list[str]:
    head = f"{finding.verdict:4s}  {finding.name.ljust(width)}  "
    texts = [f"{finding.where}: {finding.seen}" if finding.where else finding.seen]
    texts += [f"-> {finding.remedy}"] if finding.remedy else []
    wrapped = [line for text in texts for line in textwrap.wrap(text, WIDTH - len(head)) or [""]]
    return [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]


def _tell_skipped(findings: Sequence[Finding]) -> list[str]:
    """The checks that were not made by the reason for it: of an environment that hangs they are many."""
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        reasons.setdefault(finding.seen, []).append(finding.name)
    lines = []
    for reason, names in reasons.items():
        lines += textwrap.wrap(f"skip  {', '.join(names)}: {reason}", WIDTH, subsequent_indent=" " * 6)
    return lines


def _tell_earnings(earnings: Sequence[Earning]) -> list[str]:
    rows = [("reply", "kind", "reward", "format", "success", "turns", "verdict")]
    for one in earnings:
        success = "-" if one.success is None else f"{one.success:.0%}"
        rows.append(
            (one.reply, one.kind, f"{one.reward:.3f}", f"{one.format:.3f}", success, f"{one.turns:.1f}", one.verdict)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:6], widths[2:6], strict=True)]
        lines.append("  ".join([*left, *right, row[6]]).rstrip())
    return lines
