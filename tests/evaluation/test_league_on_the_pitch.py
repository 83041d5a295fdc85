"""The league on the real engine: two teams, engines in processes of their own, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.football import RULES
from lmmr1.envs.football.engine.process import EngineProcess, is_installed
from lmmr1.envs.football.parallel import FootballParallelEnv
from lmmr1.envs.football.state import State
from lmmr1.evaluation.league.contestants import RuleContestant, SpeakingContestant
from lmmr1.evaluation.league.league import play_league
from lmmr1.evaluation.league.standings import make_standings

pytestmark = pytest.mark.skipif(
    not is_installed() and os.environ.get("LMMR1_REQUIRE_FOOTBALL") != "1",
    reason="the football engine is not installed: make football",
)
RUNNERS = ("scripted", "idle")


def make(max_steps: int = 60, worker: bool = False) -> FootballParallelEnv:
    return FootballParallelEnv(
        "1_vs_1_easy", 1, 1, observation="text", action_set="v2", max_steps=max_steps, worker=worker
    )


def test_the_same_league_twice_and_both_sides_alike() -> None:
    players = [RuleContestant(name) for name in ("scripted", "random")]
    first, second = (play_league(players, make, matches=2, seed=3) for _ in range(2))
    assert first == second and [match.steps for match in first] == [60] * 4


def test_the_scripted_player_wins_at_home_and_away() -> None:
    matches = play_league([RuleContestant(name) for name in RUNNERS], lambda: make(500), matches=1, seed=1)
    assert all((match.home_goals > match.away_goals) == (match.home == "scripted") for match in matches)
    assert make_standings(matches)[0].name == "scripted"


def test_a_killed_engine_costs_its_match_alone() -> None:
    envs: list[FootballParallelEnv] = []

    def make_and_note() -> FootballParallelEnv:
        envs.append(make(worker=True))
        return envs[-1]

    def processes() -> list[int]:
        engine = envs[-1]._session.engine
        assert isinstance(engine, EngineProcess) and engine.process_id is not None
        return [engine.process_id]

    killed: list[int] = []

    def kill_once(state: State, seat: int, rng: np.random.Generator) -> str:
        if not killed and state.steps_left < 470:
            killed.extend(processes())
            os.kill(killed[0], signal.SIGKILL)
        return "right"

    players = [RuleContestant("idle"), RuleContestant(kill_once, "killer")]
    matches = play_league(players, make_and_note, matches=2, seed=0)
    assert len(killed) == 1 and len(envs) == 2
    assert [match.failure is None for match in matches] == [False, True, True, True]
    assert matches[0].failure is not None and "EngineFailure" in matches[0].failure and 0 < matches[0].steps < 60
    whole = play_league(
        [RuleContestant("idle"), RuleContestant(lambda state, seat, rng: "right", "killer")], make, matches=2, seed=0
    )
    assert matches[1:] == whole[1:]
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0], 0)


def test_an_agent_that_speaks_meets_a_rule() -> None:
    talker = SpeakingContestant(FixedPlayer("action_builtin_ai", "talker"))
    matches = play_league([talker, RuleContestant(RULES["idle"], "idle")], make, matches=1)
    assert [match.failure for match in matches] == [None, None] and talker.unread == 0 and talker.replies == 120
    by_rule = play_league([RuleContestant("builtin_ai", "talker"), RuleContestant("idle")], make, matches=1)
    assert matches == by_rule


def test_the_example_of_a_league() -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        example = Path(__file__).resolve().parent.parent.parent / "examples" / "football_league.py"
        return subprocess.run([sys.executable, str(example), *options], capture_output=True, text=True)

    done = run("--players", "scripted", "idle", "--matches", "1", "--max-steps", "30")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 4 and "| scripted | 1500 |" in done.stdout
    assert "scripted - idle: 0 - 0" in done.stderr
    for options, told in (
        (("--players", "messi", "idle"), "there is no football player 'messi'; choose from idle"),
        (("--scenario", "2_vs_2"), "there is no scenario '2_vs_2'"),
        (("--team", "3"), "1_vs_1_easy has 1 left players to control"),
    ):
        wrong = run(*options)
        assert wrong.returncode == 2 and told in wrong.stderr and wrong.stderr.count("\n") == 1
