"""The results of a league: its matches, the table that follows from them, and both in writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .elo import rate


@dataclass(frozen=True)
class Match:
    """A match that was played, or that broke.

    Attributes:
        home, away: names; the team at home is the left one.
        number: counts the seeds of a pair; each is played twice, with the sides swapped.
        seed: of the environment.
        home_goals, away_goals: the score at the end.
        steps: so many were played.
        failure: what broke, None if nothing did.
    """

    home: str
    away: str
    number: int
    seed: int
    home_goals: int = 0
    away_goals: int = 0
    steps: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Standing:
    """A contestant's line of the table.

    Attributes:
        name: whose.
        elo, margin: its `Rating`; None where it finished no match, or nothing compares the contestants.
        played, won, drawn, lost: matches.
        goals_for, goals_against: in those.
        failed: matches that broke and count for nobody.
    """

    name: str
    elo: float | None
    margin: float | None
    played: int
    won: int
    drawn: int
    lost: int
    goals_for: int
    goals_against: int
    failed: int


def make_standings(matches: Sequence[Match]) -> list[Standing]:
    """The table, the best first.

    Args:
        matches: of a league; those that broke are counted and nothing else.
    """
    names = sorted({name for match in matches for name in (match.home, match.away)})
    place = {name: index for index, name in enumerate(names)}
    scores = np.zeros((len(names), len(names)))
    counts = {
        name: dict.fromkeys(("won", "drawn", "lost", "goals_for", "goals_against", "failed"), 0) for name in names
    }
    for match in matches:
        if match.failure is not None:
            for name in (match.home, match.away):
                counts[name]["failed"] += 1
            continue
        for name, other, own, theirs in (
            (match.home, match.away, match.home_goals, match.away_goals),
            (match.away, match.home, match.away_goals, match.home_goals),
        ):
            outcome = "won" if own > theirs else "drawn" if own == theirs else "lost"
            counts[name][outcome] += 1
            counts[name]["goals_for"] += own
            counts[name]["goals_against"] += theirs
            scores[place[name], place[other]] += {"won": 1.0, "drawn": 0.5, "lost": 0.0}[outcome]
    try:
        ratings = {name: (rating.elo, rating.margin) for name, rating in zip(names, rate(scores), strict=True)}
    except ValueError:  # too many matches broke to compare everybody
        ratings = dict.fromkeys(names, (None, None))
    standings = []
    for name, count in counts.items():
        finished = count["won"] + count["drawn"] + count["lost"]
        standings.append(Standing(name, *ratings[name], finished, **count))
    return sorted(standings, key=lambda one: (-(one.elo or 0.0), one.name))


def write_table(standings: Sequence[Standing], matches: Sequence[Match] = ()) -> str:
    """The table as Markdown, with what broke below it."""
    head = ("policy", "Elo", "± 95 %", "matches", "won", "drawn", "lost", "goals", "failed")
    rows = [
        (
            one.name,
            "-" if one.elo is None else f"{one.elo:.0f}",
            "-" if one.margin is None else f"{one.margin:.0f}",
            *(str(count) for count in (one.played, one.won, one.drawn, one.lost)),
            f"{one.goals_for}:{one.goals_against}",
            str(one.failed),
        )
        for one in standings
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "| " + " | ".join(f"{cell:{'<' if at == 0 else '>'}{width}}" for at, (cell, width) in enumerate(cells)) + " |"
        for cells in (list(zip(row, widths, strict=True)) for row in (head, *rows))
    ]
    rule = "|" + "|".join("-" * (width + 2) if at == 0 else "-" * (width + 1) + ":" for at, width in enumerate(widths))
    broken = [
        f"{match.home} against {match.away}, seed {match.seed}: {match.failure} (step {match.steps}; counts for nobody)"
        for match in matches
        if match.failure is not None
    ]
    return "\n".join((lines[0], rule + "|", *lines[1:], *(["", *broken] if broken else [])))


def describe_league(matches: Sequence[Match]) -> dict[str, Any]:
    """Table and matches as one JSON-able object: {"standings": [...], "matches": [...]}."""
    standings = [asdict(standing) for standing in make_standings(matches)]
    return {"standings": standings, "matches": [asdict(match) for match in matches]}
