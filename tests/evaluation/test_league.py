"""The league: who plays whom, what a broken match costs, and the table; on a game without an engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.football import RULES, find_rule
from lmmr1.envs.errors import UserError
from lmmr1.envs.football.actions import DEFAULT
from lmmr1.envs.football.speech import make_chat_spec
from lmmr1.envs.football.state import State
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.messages import message_text
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.league.contestants import RuleContestant, Sight, SpeakingContestant
from lmmr1.evaluation.league.league import play_league
from lmmr1.evaluation.league.standings import Match, describe_league, make_standings, write_table

LENGTH = 3


class Pitch:
    """A game of three steps: each side's last action's number is its goals; it breaks where it is told to."""

    possible_agents = ["left_0", "left_1", "right_0"]

    def __init__(self, breaks_at: Callable[[int], bool] = lambda seed: False, max_actions: int = 1) -> None:
        self.breaks_at, self.closed, self.agents = breaks_at, 0, []
        self.seats = {name: SimpleNamespace(index=int(name[-1]), action_set="default") for name in self.possible_agents}
        self.chat_specs = {
            name: make_chat_spec("text", "default", self.match, max_actions=max_actions) for name in self.seats
        }
        self.score, self.steps, self.seed = (0, 0), 0, 0

    def match(self, agent: str | None = None) -> State:
        nobody = (np.zeros(10, np.uint8),) * 2
        team: Any = SimpleNamespace(positions=np.zeros((1, 2)))
        return State(
            np.zeros(3), np.zeros(3), np.zeros(3), -1, -1, team, team, (-1, -1), (-1,), nobody, nobody[:1], 0,
            self.score, 100 - self.steps,
        )  # fmt: skip

    def reset(self, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.score, self.steps, self.seed = list(self.possible_agents), (0, 0), 0, seed
        return self._seen()

    def step(self, actions: Mapping[str, int]) -> Any:
        if self.breaks_at(self.seed):
            raise RuntimeError("the engine died")
        assert set(actions) == set(self.agents)
        self.score, self.steps = (actions["left_0"], actions["right_0"]), self.steps + 1
        if self.steps == LENGTH:
            self.agents = []
        observations, infos = self._seen()
        return observations, {}, {}, {}, infos

    def _seen(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {name: self.seed for name in self.seats}, {name: {"seed": self.seed} for name in self.seats}

    def close(self) -> None:
        self.closed += 1


def constant(name: str, goals: int) -> RuleContestant:
    return RuleContestant(lambda state, seat, rng: DEFAULT[goals], name)


def league(contestants: Sequence[Any], pitch: Any = None, **options: Any) -> list[Match]:
    return play_league(contestants, lambda: pitch or Pitch(), **options)  # type: ignore[arg-type, return-value]


def test_everybody_meets_everybody_at_home_and_away_on_the_same_seed() -> None:
    matches = league([constant("a", 2), constant("b", 1), constant("c", 0)], matches=3)
    assert len(matches) == 3 * 3 * 2 and all(match.steps == LENGTH for match in matches)
    assert Counter((match.home, match.away) for match in matches) == dict.fromkeys(
        [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")], 3
    )
    for first, second in zip(matches[::2], matches[1::2], strict=True):
        assert (first.home, first.away, first.seed) == (second.away, second.home, second.seed)
        assert (first.home_goals, first.away_goals) == (second.away_goals, second.home_goals)
    assert len({match.seed for match in matches}) == 9


def test_the_seed_decides_everything() -> None:
    players = [RuleContestant("random"), RuleContestant("random", "other")]
    one, again, other = league(players, seed=1), league(players, seed=1), league(players, seed=2)
    assert one == again and one != other
    assert len({(match.home_goals, match.away_goals) for match in one}) > 1
    # A longer league begins with the matches of the shorter one.
    assert league(players, seed=1, matches=6)[:8] == one[:8]


def test_a_broken_match_counts_for_nobody_and_the_others_are_untouched() -> None:
    contestants = [constant("a", 2), constant("b", 1)]
    whole = league(contestants, matches=5)
    unlucky = whole[4].seed
    pitches: list[Pitch] = []

    def make() -> Any:
        pitches.append(Pitch(lambda seed: seed == unlucky))
        return pitches[-1]

    told: list[Match] = []
    matches = play_league(contestants, make, matches=5, on_match=told.append)
    assert (
        told == matches and [match.failure is not None for match in matches] == [False] * 4 + [True] * 2 + [False] * 4
    )
    assert [match for match in matches if match.failure is None] == whole[:4] + whole[6:]
    assert matches[4].failure == "RuntimeError: the engine died" and matches[4].steps == 0
    # A new environment for each that broke, and every one closed.
    assert [pitch.closed for pitch in pitches] == [1, 1, 1]
    first, second = make_standings(matches)
    assert (first.name, first.played, first.won, first.failed) == ("a", 8, 8, 2)
    assert (second.lost, second.failed) == (8, 2)
    assert write_table([first, second], matches).count("counts for nobody") == 2


def test_a_policy_that_raises_costs_its_own_matches() -> None:
    def fail(state: State, seat: int, rng: np.random.Generator) -> str:
        raise ZeroDivisionError("division by zero")

    matches = league([constant("a", 2), constant("b", 1), RuleContestant(fail, "bad")], matches=1)
    assert [match.failure for match in matches if "bad" in (match.home, match.away)] == [
        "ZeroDivisionError: division by zero"
    ] * 4
    table = {standing.name: standing for standing in make_standings(matches)}
    assert table["bad"].played == 0 and table["bad"].elo is None and table["a"].played == 2
    assert "| bad    |   - |" in write_table(list(table.values()))


def test_what_a_user_gets_wrong_is_told_at_once() -> None:
    a, b = constant("a", 0), constant("b", 0)
    for contestants in ([a], [a, constant("a", 1)], []):
        with pytest.raises(UserError, match="at least two contestants of different names"):
            league(contestants)
    with pytest.raises(UserError, match="matches must be"):
        league([a, b], matches=0)
    with pytest.raises(UserError, match="builtin_ai plays 'builtin_ai', which the action set 'default' lacks"):
        league([a, RuleContestant("builtin_ai")])
    alone = Pitch()
    alone.possible_agents = ["left_0"]
    with pytest.raises(UserError, match="both sides"):
        league([a, b], alone)
    assert alone.closed == 1


def test_the_table_by_hand() -> None:
    matches = [
        Match("a", "b", 0, 1, 2, 1, 10),
        Match("b", "a", 0, 1, 0, 0, 10),
        Match("a", "b", 1, 2, 3, 0, 10),
        Match("b", "a", 1, 2, failure="EngineFailure: gone"),
    ]
    first, second = make_standings(matches)
    assert (first.name, first.played, first.won, first.drawn, first.lost) == ("a", 3, 2, 1, 0)
    assert (first.goals_for, first.goals_against, second.goals_for) == (5, 1, 1)
    assert first.failed == second.failed == 1
    # 2.5 of 3 points, and a draw more: odds of 3 to 1.
    assert first.elo is not None and second.elo is not None
    assert first.elo - second.elo == pytest.approx(400 * np.log10(3))
    assert first.elo + second.elo == pytest.approx(3000)
    lines = write_table([first, second]).splitlines()
    assert lines[0].startswith("| policy |  Elo | ± 95 % | matches |") and lines[1].startswith("|--------|-----:|")
    assert lines[2].startswith("| a      | 1595 |") and lines[2].endswith("|   5:1 |      1 |")
    assert len({len(line) for line in lines}) == 1
    told = json.loads(json.dumps(describe_league(matches)))
    assert told["standings"][0]["name"] == "a" and told["matches"][3]["failure"] == "EngineFailure: gone"


class Talker:
    """Says one thing and notes what it was told."""

    name, context = "talker", "turn"

    def __init__(self, text: str) -> None:
        self.text, self.seen = text, []

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        self.seen += conversations
        return [AgentReply(self.text)] * len(conversations)


def test_an_agent_that_speaks_plays_too() -> None:
    talker = Talker("<think>Go.</think><answer>action_bottom_left</answer>")
    contestant = SpeakingContestant(talker)
    matches = league([contestant, constant("a", 2)], matches=1)
    assert [(match.home_goals, match.away_goals) for match in matches] == [(8, 2), (2, 8)]
    assert len(talker.seen) == LENGTH * 3 and contestant.replies == LENGTH * 3 and contestant.unread == 0
    rules, turn = talker.seen[0].new_messages
    assert rules["role"] == "system" and "football" in message_text(rules) and "<think>" in message_text(rules)
    assert turn["role"] == "user" and "100 steps" in message_text(turn)
    assert len({conversation.key for conversation in talker.seen}) == LENGTH * 3


def test_a_plan_is_played_before_the_agent_is_asked_again() -> None:
    talker = Talker("<think>Go.</think><answer>action_left, action_top_left, action_top</answer>")
    contestant = SpeakingContestant(talker)
    [home, _] = league([contestant, constant("a", 2)], Pitch(max_actions=3), matches=1)
    assert home.home_goals == 3 and len(talker.seen) == 3  # once for each of its players in both matches


@pytest.mark.parametrize("text", ["action_left", "<think></think><answer>action_fly</answer>", ""])
def test_a_reply_that_cannot_be_read_is_idleness(text: str) -> None:
    contestant = SpeakingContestant(Talker(text))
    matches = league([contestant, constant("a", 2)], matches=1)
    assert [(match.home_goals, match.away_goals) for match in matches] == [(0, 2), (2, 0)]
    assert contestant.unread == contestant.replies == LENGTH * 3


def test_the_rules_of_football() -> None:
    assert list(RULES) == ["idle", "random", "scripted", "builtin_ai"]
    with pytest.raises(UserError, match="choose from idle, random, scripted, builtin_ai"):
        find_rule("messi")
    rng = np.random.default_rng(0)
    chosen = {RULES["random"](Pitch().match(), 0, rng) for _ in range(500)}
    assert chosen == set(DEFAULT)
    assert RULES["scripted"](Pitch().match(), 0, rng) == "idle"


def test_a_fixed_player_says_one_thing() -> None:
    plain = EnvironmentConfig("LMMR1/Sokoban-v0", chat={"reply_format": "plain"})
    waiting = [
        Conversation(LocalEnv(config), [], [], (0,)) for config in (EnvironmentConfig("LMMR1/Sokoban-v0"), plain)
    ]
    player = FixedPlayer("Up")
    assert [reply.text for reply in player.act(waiting, greedy=True)] == ["<think></think><answer>Up</answer>", "Up"]
    assert player.name == "Up"
    replies = FixedPlayer("Up", "up", "think_answer").act(waiting, greedy=True)
    assert [reply.text for reply in replies] == ["<think></think><answer>Up</answer>"] * 2
    with pytest.raises(UserError, match="choose from think_answer"):
        FixedPlayer("Up", reply_format="xml")
    with pytest.raises(UserError, match="without an answer"):
        FixedPlayer(" ")


def test_a_sight_is_what_a_contestant_gets() -> None:
    seen: list[Sight] = []

    class Watcher:
        name = "watcher"

        def begin(self, entropy: tuple[int, ...]) -> None:
            seen.clear()

        def act(self, sights: Sequence[Sight]) -> list[int]:
            seen.extend(sights)
            return [0] * len(sights)

    league([Watcher(), constant("a", 2)], matches=1)
    assert [sight.agent for sight in seen] == ["right_0"] * LENGTH
    league([constant("a", 2), Watcher()], matches=1)
    assert [(sight.agent, sight.seat) for sight in seen[:2]] == [("left_0", 0), ("left_1", 1)]
