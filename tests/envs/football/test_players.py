"""Scenarios, score, macro steps and players on the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lmmr1.agents.players.football import RULES
from lmmr1.envs.football.actions import V2
from lmmr1.envs.football.engine.match import Control, Engine, KickOff
from lmmr1.envs.football.engine.process import open_engine
from lmmr1.envs.football.expert import advise
from lmmr1.envs.football.magebench import Macro, MageBenchScore, Memory, mini_scenarios, scenarios
from lmmr1.envs.football.pitch import draw_pitch
from lmmr1.envs.football.scenarios.scenario import Scenario
from lmmr1.envs.football.scenarios.table import BUILT_IN
from lmmr1.envs.football.speech import write_state
from lmmr1.envs.football.state import State

pytestmark = pytest.mark.football_engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = open_engine(Control(action_set="v2"))
    yield engine
    engine.close()


def play(
    engine: Engine, scenario: Scenario, seed: int, choose: Callable[[State], str], adapting: bool
) -> tuple[MageBenchScore, int, tuple[int, int]]:
    """An episode as MageBench ends it: its score, the replies it took, and the goals."""
    engine.reset(KickOff(scenario, seed))
    score, memory, replies, is_over = MageBenchScore(), Memory(), 0, False
    score.reset(engine.state)
    while not is_over:
        action = choose(engine.state)
        replies += 1
        macro = Macro.begin(action, engine.state, memory if adapting else Memory())
        while not is_over and (step := macro.next(engine.state)) is not None:
            name, macro = step
            result = engine.step((V2.index(name),))
            score.update(engine.state, result.goals, name)
            is_over = result.done or score.ended
        memory = memory.after(action)
    return score, replies, engine.state.score


def rule(name: str) -> Callable[[State], str]:
    rng = np.random.default_rng(np.random.SeedSequence([11]))
    return lambda state: RULES[name](state, 0, rng)


def test_the_one_on_the_ball_is_controlled_and_has_it_at_the_first_touch(engine: Engine) -> None:
    for scenario in scenarios()[::3]:
        engine.reset(KickOff(scenario, 7))
        left = np.array([(player.x, player.y) for player in scenario.left_team])
        carrier = int(np.hypot(*(left - scenario.ball_position).T).argmin())
        for _ in range(6):
            engine.step((V2.index("right"),))
            if engine.state.ball_owned_team >= 0:
                break
        state = engine.state
        assert state.left_controlled == (carrier,), scenario.name
        assert (state.ball_owned_team, state.ball_owned_player) == (0, carrier), scenario.name


def test_the_same_seed_gives_the_same_score(engine: Engine) -> None:
    scenario = mini_scenarios()[11]
    first, second = (play(engine, scenario, 5, lambda state: advise(state).action, True) for _ in range(2))
    assert first[0].parts == second[0].parts and first[1:] == second[1:] and first[0].total > 0


def test_a_repeated_direction_takes_fewer_replies_and_goes_as_far(engine: Engine) -> None:
    scenario = BUILT_IN["academy_empty_goal"]
    runs = [play(engine, scenario, 3, lambda state: advise(state).action, adapting) for adapting in (False, True)]
    assert [goals for _, _, goals in runs] == [(1, 0), (1, 0)]
    assert runs[1][1] < 0.5 * runs[0][1]


@pytest.mark.parametrize("name", ["academy_empty_goal_close", "academy_empty_goal", "academy_run_to_score"])
def test_the_scripted_player_scores_where_nobody_keeps_the_goal(engine: Engine, name: str) -> None:
    for seed in range(4):
        score, replies, goals = play(engine, BUILT_IN[name], seed, rule("scripted"), False)
        assert goals == (1, 0) and replies < 150 and score.parts["goal"] == pytest.approx(40.0)


def test_the_scripted_player_beats_chance_on_magebenchs_kind_of_scenario(engine: Engine) -> None:
    means = {
        name: np.mean([play(engine, one, 1000, choose, False)[0].total for one in mini_scenarios()[::2]])
        for name, choose in ((name, rule(name)) for name in ("random", "scripted"))
    }
    assert means["scripted"] > means["random"] + 5


def test_a_whole_match_can_be_drawn_and_told(engine: Engine) -> None:
    engine.reset(KickOff(BUILT_IN["11_vs_11_easy_stochastic"], 1))
    pictures = set()
    for step in range(300):
        engine.step((V2.index("builtin_ai"),))
        if step % 20 == 0:
            pictures.add(draw_pitch(engine.state, 256).tobytes())
            text = write_state(engine.state)
            assert text.isascii() and text.count("\n- ") == 10
    assert len(pictures) == 15


def test_built_in_ai_takes_the_ball_where_idleness_leaves_it(engine: Engine) -> None:
    scenario = BUILT_IN["academy_empty_goal_close"]
    for name, has_moved in (("builtin_ai", True), ("idle", False)):
        engine.reset(KickOff(scenario, 0))
        before = engine.state.ball[0]
        for _ in range(10):
            if engine.step((V2.index(rule(name)(engine.state)),)).done:
                break
        assert (abs(engine.state.ball[0] - before) > 0.01) == has_moved
