"""Standings: order, intervals, pairs, failed cells, and that nothing is played twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmmr1.agents.base import Agent
from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.leaderboard.contest import Entry, hold_contest
from lmmr1.evaluation.leaderboard.standings import Cell, as_document, rank, stratified_interval
from lmmr1.evaluation.leaderboard.writing import write_html, write_markdown
from lmmr1.evaluation.runner import EvaluationTask
from lmmr1.evaluation.scoring.figures import measure
from lmmr1.evaluation.scoring.scores import bootstrap_interval
from lmmr1.evaluation.session import Settings, run_evaluation
from lmmr1.evaluation.suites.suite import Suite


def cell(agent: str, task: str, outcomes: list[bool | None], rewards: list[float] | None = None) -> Cell:
    rewards = [float(outcome or 0) for outcome in outcomes] if rewards is None else rewards
    episodes = [
        Episode(task, (0, 1, number), number, turns=[Turn([], "x", reward=reward)], success=outcome)
        for number, (outcome, reward) in enumerate(zip(outcomes, rewards, strict=True))
    ]
    return Cell(agent, task, measure(episodes), None, episodes)


def test_the_best_stands_first_and_who_failed_somewhere_last() -> None:
    cells = [
        cell("weak", "a", [True, False, False, False]),
        cell("weak", "b", [False] * 4),
        cell("strong", "a", [True] * 4),
        cell("strong", "b", [True, True, False, False]),
        cell("broken", "a", [True] * 4),
        Cell("broken", "b", failure="no such model"),
    ]
    strong, weak, broken = rank(cells)
    assert [one.agent for one in (strong, weak, broken)] == ["strong", "weak", "broken"]
    assert (strong.success, weak.success, broken.success) == (0.75, 0.125, 1.0)
    assert (strong.failures, broken.failures) == (0, 1)
    assert strong.behind == {} and set(broken.behind) == {"a"}, "a failed cell is compared with nothing"
    assert weak.behind["a"].difference == -0.75 and (weak.behind["a"].better, weak.behind["a"].worse) == (0, 3)


def test_where_nobody_says_what_success_is_the_reward_counts() -> None:
    one = cell("one", "a", [None] * 3, [1.0, 2.0, 3.0])
    two = cell("two", "a", [None] * 3, [2.0, 3.0, 3.5])
    first, second = rank([one, two])
    assert first.agent == "two" and first.success is None and first.interval is None
    assert first.reward == pytest.approx(17 / 6) and second.behind["a"].difference == pytest.approx(-5 / 6)
    text = write_markdown([first, second])
    assert "| 1. two | - |" in " ".join(text.split()) and "2.83 [2.00, 3.50]" in text and "-0.83" in text


def test_equals_differ_by_nothing() -> None:
    text = write_markdown(rank([cell("one", "a", [True, False]), cell("two", "a", [True, False])]))
    assert "| two | a | success | none | 0 | 0 | 1 |" in " ".join(text.split())


def test_what_is_paid_for_the_form_is_no_merit() -> None:
    def talk(agent: str, task: float, turns: int) -> Cell:
        parts = {"task": task, "format": 0.5}
        said = [Turn([], "x", reward=task + 0.5, reward_parts=parts) for _ in range(turns)]
        episodes = [Episode("a", (0, 1, number), number, turns=said) for number in range(3)]
        return Cell(agent, "a", measure(episodes), None, episodes)

    first, second = rank([talk("idle", -0.1, 100), talk("quick", 5.0, 1)])
    assert (first.agent, first.reward) == ("quick", 5.0) and second.reward == pytest.approx(-10.0)
    assert as_document([first, second], "s", 0, "greedy")["agents"][0]["tasks"]["a"]["task_reward"] == 5.0


def test_the_interval_of_a_mean_of_means() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200).tolist()
    # One group: the plain bootstrap's, but for chance.
    assert stratified_interval([values], 0) == pytest.approx(bootstrap_interval(values, 0), abs=0.03)
    # Two equal groups: the error of the mean falls by the root of two.
    other = rng.normal(size=200).tolist()
    low, high = stratified_interval([values, other], 0)
    alone = bootstrap_interval(values, 0)
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(1 / np.sqrt(2), rel=0.15)
    assert stratified_interval([[1.0], [0.0]], 0) == (0.5, 0.5), "no spread within the groups"
    assert stratified_interval([values], 3) == stratified_interval([values], 3)
    with pytest.raises(ValueError, match="at least one value"):
        stratified_interval([[1.0], []], 0)


def test_text_of_others_stays_text() -> None:
    cells = [cell("<script>alert(1)</script>|x", "a", [True]), Cell("b", "a", failure="<img src=x>")]
    standings = rank(cells)
    page = write_html(standings, "<b>", "<i>")
    assert "<script>" not in page and "<img src=x>" not in page and "&lt;script&gt;" in page
    assert "\\|x" in write_markdown(standings)


SUITE = Suite(
    "two",
    "for tests",
    (
        EvaluationTask("words", "text", EnvironmentConfig("LMMR1/Reasoning-v0", {"families": "primer"}), 5),
        EvaluationTask("sokoban", "game", EnvironmentConfig("LMMR1/Sokoban-v0"), 4, max_turns=30),
        EvaluationTask("nowhere", "game", EnvironmentConfig("LMMR1/Nowhere-v0"), 4),
    ),
    modes=("greedy",),
    block=2,
)


def refuse() -> tuple[Agent, Mapping[str, Any]]:
    raise UserError("there is no model 'none'")


def entry(agent: Agent) -> Entry:
    return Entry(agent.name, lambda: (agent, {"name": agent.name, "kind": "test"}))


def test_a_contest_goes_on_whatever_fails_and_plays_nothing_twice(tmp_path: Path) -> None:
    played: list[tuple[str, str]] = []
    broken = RuntimeError("the machine is on fire")

    def play(folder: Path, settings: Settings, agent: Agent) -> Mapping[str, Any]:
        if agent.name == "Left" and settings.suite.tasks[0].name == "words":
            raise broken
        return run_evaluation(folder, settings, agent, on_block=lambda task, *_: played.append((agent.name, task)))

    entries = [Entry("none", refuse), entry(RandomPlayer()), entry(ExpertPlayer()), entry(FixedPlayer("Left"))]
    cells = hold_contest(tmp_path, SUITE, entries, 0, play)
    failures = {(one.agent, one.task): one.failure for one in cells if one.failure}
    assert failures.pop(("Left", "words")) == "the machine is on fire"
    assert {failures.pop(("none", task.name)) for task in SUITE.tasks} == {"there is no model 'none'"}
    assert set(failures) == {(name, "nowhere") for name in ("random", "expert", "Left")}
    assert "unknown environment 'LMMR1/Nowhere-v0'" in failures["expert", "nowhere"]
    assert played.count(("expert", "words")) == 3 and played.count(("expert", "sokoban")) == 2, "in blocks"
    expert, *_ = rank(cells)
    assert expert.agent == "expert" and expert.success == 1.0
    document = as_document(rank(cells), "two", 0, "greedy")
    assert json.loads(json.dumps(document))["agents"][0]["tasks"]["words"]["success"] == 1.0
    assert document["agents"][-1]["tasks"]["words"] == {"failure": "there is no model 'none'"}
    # The same again: only what failed is tried anew.
    before = [pair for pair in played if pair[1] != "nowhere"]
    again = hold_contest(tmp_path, SUITE, entries, 0, play)
    assert [pair for pair in played if pair[1] != "nowhere"] == before
    assert [one.figures for one in again] == [one.figures for one in cells]


def test_agents_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first, second = FixedPlayer("Up"), FixedPlayer("Down", "Up")
    suite = SUITE.only(["sokoban"])
    entries = [
        Entry("one", lambda: (first, {"name": "Up", "answer": "Up"})),
        Entry("two", lambda: (second, {"name": "Up", "answer": "Down"})),
    ]
    cells = hold_contest(tmp_path, suite, entries, 0, run_evaluation)
    assert [one.agent for one in cells] == ["Up", "two"]
    assert cells[0].episodes[0].turns[0].answer == "Up" and cells[1].episodes[0].turns[0].answer == "Down"
