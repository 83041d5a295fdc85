"""How football is spoken about: names, instructions, and a match as text."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.football.actions import ACTION_SETS
from lmmr1.envs.football.pitch import draw_pitch
from lmmr1.envs.football.speech import MACROS, MAX_TEXT_LENGTH, QUESTION, make_chat_spec, spoken_names, write_state
from lmmr1.envs.football.state import GameMode, State

from ..states import make_state, make_team


def look() -> State:
    return make_state(ball=(0.0, 0.0), owner=(0, 1))


def test_the_names_are_those_of_magebench() -> None:
    names = spoken_names("default")
    assert names[:3] == ("action_idle", "action_left", "action_top_left") and names[-1] == "action_release_dribble"
    assert len(names) == 19 and len(spoken_names("v2")) == 20 and len(spoken_names("full")) == 33
    with pytest.raises(UserError, match="choose from default, v2, full"):
        spoken_names("v3")


@pytest.mark.parametrize("action_set", ACTION_SETS)
@pytest.mark.parametrize("macro", MACROS)
def test_every_action_is_explained_once(action_set: str, macro: str) -> None:
    text = make_chat_spec("view", action_set, look, macro=macro).instructions
    for name in spoken_names(action_set):
        lines = [line for line in text.splitlines() if line.startswith((f"{name}:", "Actions:")) and name in line]
        assert len(lines) == 1, name
    assert ("action_builtin_ai" in text) == (action_set != "default")
    assert MACROS[macro] in text


def test_a_picture_comes_with_words_or_without() -> None:
    picture = draw_pitch(look())
    for words in (True, False):
        spec = make_chat_spec("view", "default", look, words=words)
        assert spec.describe is not None
        image, text = spec.describe(picture, {})
        assert image["type"] == "image" and np.array_equal(image["image"], picture)
        assert text["type"] == "text" and text["text"].endswith(QUESTION)
        assert ("you have it" in text["text"]) == words == ("in metres" in spec.instructions)


@pytest.mark.parametrize("observation", ["text", "raw", "smm", "simple115"])
def test_numbers_are_told_in_words(observation: str) -> None:
    spec = make_chat_spec(observation, "default", look, words=False)
    assert spec.describe is not None
    [part] = spec.describe(np.zeros(115), {})
    assert part["type"] == "text" and part["text"] == f"{write_state(look())}\n{QUESTION}"
    assert "picture shows" not in spec.instructions


def test_a_plan_is_offered_where_one_is_allowed() -> None:
    one, many = (make_chat_spec("view", "default", look, max_actions=n) for n in (1, 4))
    assert "plan" not in one.instructions.splitlines()[-1] and "short plan" in many.instructions
    assert many.max_actions == 4


def test_a_spec_is_pickled() -> None:
    spec = pickle.loads(pickle.dumps(make_chat_spec("view", "default", look)))
    assert spec.describe is not None and spec.describe(draw_pitch(look()), {})[1]["text"].startswith("Score 0 - 0")


def test_a_match_in_words_by_hand() -> None:
    left = make_team(
        [(-1, 0), (0.5, 0.0), (0.5, 0.1), (0.75, -0.2)], [(0, 0), (0.01, 0), (0, 0), (0, -0.006)], [0, 9, 5, 6]
    )
    right = make_team([(1, 0), (0.6, 0.0), (0.5, 0.2)], roles=[0, 1, 2])
    flags = np.array([0, 0, 0, 0, 1, 0, 0, 0, 1, 0], np.uint8)
    state = make_state(left, right, (0.51, 0.0), (0, 1), left_sticky=(flags,), score=(1, 2), steps_left=55)
    assert write_state(state) == "\n".join(
        (
            "Score 1 - 2; in play; 55 steps (5.5 s) left.",
            "You: #2 CF at (27, 0), running right at 5 m/s; their goal is 27 m right.",
            "On: action_right, action_sprint.",
            "Ball at (28, 0): you have it.",
            "Team mates, the nearest first:",
            "- #3 CM: 8 m bottom, at (27, 8), standing, nearest opponent 8 m",
            "- #4 LM: 22 m top_right, at (41, -17), running top at 5 m/s, nearest opponent 19 m",
            "- #1 GK: 82 m left, at (-54, 0), standing, nearest opponent 83 m",
            "Opponents, the nearest first:",
            "- #2 CB: 5 m right, at (33, 0), standing",
            "- #3 LB: 17 m bottom, at (27, 17), standing",
            "- #1 GK: 27 m right, at (54, 0), standing",
        )
    )


@pytest.mark.parametrize(
    ("owner", "ball", "told"),
    [
        ((1, 1), (0.5, 0.0), "Ball at (27, 0): the opponents have it, #2 CM."),
        ((0, 0), (-1.0, 0.0), "Ball at (-54, 0): your team has it, #1 GK."),
        ((-1, -1), (0.1, 0.0, 3.2), "Ball at (5, 0), 3 m high: nobody has it, moving right at 11 m/s, 5 m from you."),
    ],
)
def test_who_has_the_ball(owner: tuple[int, int], ball: tuple[float, ...], told: str) -> None:
    state = make_state(ball=ball, owner=owner, ball_direction=np.array([0.02, 0.0, 0.0]))
    assert told in write_state(state)


@pytest.mark.parametrize("mode", [mode for mode in GameMode if mode])
def test_the_kind_of_play_is_told(mode: GameMode) -> None:
    assert f"; {mode.name.lower().replace('_', ' ')}; " in write_state(make_state(game_mode=int(mode)))


def test_who_was_sent_off_is_not_told_of_and_their_keeper_always_is() -> None:
    right = make_team([(1, 0), *((0.01 * n, 0.1) for n in range(1, 11))])
    state = make_state(right=dataclasses.replace(right, active=np.array([True, False, *[True] * 9])))
    text = write_state(state, neighbours=3).partition("Opponents")[2]
    assert "#2 CM" not in text and "#1 GK" in text and text.count("\n- ") == 3


def test_a_text_is_short_and_plain() -> None:
    rng = np.random.default_rng(np.random.SeedSequence([8]))
    for _ in range(50):
        left, right = (make_team(rng.uniform((-1, -0.42), (1, 0.42), (11, 2)).tolist()) for _ in range(2))
        text = write_state(make_state(left, right, (0.3, 0.1, 2.0), score=(11, 12), steps_left=2999), neighbours=11)
        assert text.isascii() and len(text) < MAX_TEXT_LENGTH and "-0," not in text


def test_who_controls_nobody_is_told_so() -> None:
    assert write_state(make_state(left_controlled=(-1,))).endswith("You control nobody now.")


def test_every_seat_tells_of_its_own_player() -> None:
    flags = np.zeros(10, np.uint8)
    state = make_state([(-1, 0), (0, 0), (0.5, 0)], left_controlled=(1, 2), left_sticky=(flags, flags))
    assert "You: #2 " in write_state(state, 0) and "You: #3 " in write_state(state, 1)
    other_set = make_state(left_sticky=(np.eye(13, dtype=np.uint8)[10],))
    assert "On: action_keeper_rush." in write_state(other_set)
