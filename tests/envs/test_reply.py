"""Reading replies: the formats, the actions, and what hostile text costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from lmmr1.envs.errors import UserError
from lmmr1.envs.reply import REPLY_FORMATS, quote, read_orders

THINK_ANSWER = REPLY_FORMATS["think_answer"]
MOVES = ("Up", "Down", "Left", "Right", "No operation")


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think><answer>b</answer>",
        " \n<think>a</think>\n\n<answer> b\n</answer>\n",
        "<think>a</think> <answer>b</answer>",
    ],
)
def test_well_formed(text: str) -> None:
    reply = THINK_ANSWER.parse(text)
    assert (reply.well_formed, reply.thought, reply.answer, reply.problem, reply.text) == (True, "a", "b", None, text)


def test_an_empty_thought_is_allowed_and_an_empty_answer_is_not() -> None:
    assert THINK_ANSWER.parse("<think></think><answer>b</answer>").well_formed
    reply = THINK_ANSWER.parse("<think>a</think><answer> </answer>")
    assert not reply.well_formed and reply.answer == "" and "empty" in str(reply.problem)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", ""),
        ("5", ""),
        ("<answer>5</answer>", "5"),
        ("so <think>a</think><answer>5</answer>", "5"),
        ("<think>a</think>so<answer>5</answer>", "5"),
        ("<think>a</think><answer>5</answer>.", "5"),
        ("<think>a</think><answer>5</answer><answer>6</answer>", "6"),
        ("<think>a</think><answer>5", "5"),
        ("<answer>5</answer><think>a</think>", ""),
        ("<think>a<answer>5</answer></think>", ""),
        ("<think>the answer is <answer>5</answer>", ""),
        ("<think>a</think><think><answer>5</answer></think>", ""),
        ("<think>a</think></think><answer>5</answer>", "5"),
        ("<THINK>a</THINK><ANSWER>5</ANSWER>", ""),
        ("</answer><answer></think><think>", ""),
        ("<think><answer>5</answer></think><answer>6</answer>", "6"),
        ("</think><answer>5</answer><think>", "5"),
    ],
)
def test_malformed_replies_and_the_answer_outside_of_their_thought(text: str, answer: str) -> None:
    reply = THINK_ANSWER.parse(text)
    assert not reply.well_formed
    assert reply.answer == answer
    assert reply.problem is not None and reply.problem.endswith(".") and "\n" not in reply.problem


@pytest.mark.parametrize(
    ("name", "text", "well_formed", "answer"),
    [
        ("answer_only", "<answer>5</answer>", True, "5"),
        ("answer_only", "\n <answer> 5 </answer> ", True, "5"),
        ("answer_only", "it is <answer>5</answer>", False, "5"),
        ("answer_only", "<answer>5</answer><answer>6</answer>", False, "6"),
        ("answer_only", "<answer></answer>", False, ""),
        ("answer_only", "5", False, ""),
        ("plain", " Up, Left\n", True, "Up, Left"),
        ("plain", "  ", False, ""),
    ],
)
def test_other_formats(name: str, text: str, well_formed: bool, answer: str) -> None:
    reply = REPLY_FORMATS[name].parse(text)
    assert (reply.well_formed, reply.answer, reply.thought) == (well_formed, answer, "")
    assert (reply.problem is None) == well_formed


@pytest.mark.parametrize("name", REPLY_FORMATS)
def test_what_is_written_is_read_back(name: str) -> None:
    reply_format = REPLY_FORMATS[name]
    assert reply_format.name == name and reply_format.instructions
    reply = reply_format.parse(reply_format.write("2 < 3 & 5 > 4 🙂", "x <= 5"))
    assert reply.well_formed and reply.answer == "x <= 5"
    assert reply.thought == ("2 < 3 & 5 > 4 🙂" if name == "think_answer" else "")
    with pytest.raises(UserError, match="without an answer"):
        reply_format.write("thought", " ")


def test_tags_cannot_be_written() -> None:
    with pytest.raises(UserError, match="</think>"):
        THINK_ANSWER.write("oh </think>", "5")
    with pytest.raises(UserError, match="<answer>"):
        THINK_ANSWER.write("", "<answer>")


MEGABYTE = 1 << 20
HOSTILE = [
    "a" * MEGABYTE,
    "<think>" * (MEGABYTE // 7),
    "</think>" * (MEGABYTE // 8),
    "<answer>" * (MEGABYTE // 8),
    "<think></think><answer>" + "</answe" * (MEGABYTE // 7),  # codespell:ignore answe
    "<" * MEGABYTE,
    " " * MEGABYTE,
    "<think>" + " " * MEGABYTE + "</think>" + "\n" * MEGABYTE + "<answer>" + "," * MEGABYTE + "</answer>",
    "<think></think><answer>" + "1" * MEGABYTE + "</answer>",
    "<think></think><answer>" + "Up," * (MEGABYTE // 3) + "</answer>",
    "\x00\x1b[31m\u202e\ud800\U0010ffff" * (MEGABYTE // 16),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_megabyte_of_anything_costs_little(text: str) -> None:
    # No clock here: anything quadratic would take hours.
    for reply_format in REPLY_FORMATS.values():
        reply = reply_format.parse(text)
        for space, names in ((Discrete(5), MOVES), (Discrete(5), None), (Box(-1, 1, (3,)), None)):
            for max_actions in (1, MEGABYTE):
                orders = read_orders(reply.answer, space, names, max_actions)
                assert len(orders.problem or "") < 300


@pytest.mark.parametrize(
    ("answer", "actions"),
    [("Up", (0,)), ("up", (0,)), ("UP , left,no OPERATION", (0, 2, 4)), ("\tRight\n,\nDown", (3, 1))],
)
def test_named_actions(answer: str, actions: tuple[int, ...]) -> None:
    orders = read_orders(answer, Discrete(5), MOVES, 3)
    assert orders.problem is None
    assert orders.actions == actions
    assert orders.names == tuple(MOVES[action] for action in actions)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", '"" is not an action'),
        ("Jump", "the actions are Up, Down, Left, Right, No operation"),
        ("Up Left", '"Up Left" is not an action'),
        ("Up,,Left", '"" is not an action'),
        ("Up, Left,", '"" is not an action'),
        ("0", '"0" is not an action'),
        ("Up, Up, Up, Up", "at most 3 actions, but it held 4"),
        ("U\u0440", "is not an action"),
        ("Up\x00", '"Up\ufffd" is not an action'),
    ],
)
def test_named_actions_that_are_none(answer: str, words: str) -> None:
    orders = read_orders(answer, Discrete(5), MOVES, 3)
    assert orders.actions == () and orders.names == ()
    assert orders.problem is not None and words in orders.problem


def test_discrete_actions_start_where_the_space_does() -> None:
    assert read_orders("b", Discrete(2, start=5), ("a", "b"), 1).actions == (6,)
    assert read_orders("6", Discrete(2, start=5), None, 1).actions == (6,)
    assert "from 5 to 6" in str(read_orders("7", Discrete(2, start=5), None, 1).problem)
    assert "one action, but it held 2" in str(read_orders("5, 6", Discrete(2, start=5), None, 1).problem)


@pytest.mark.parametrize("word", ["1.0", "one", "\u0661", "0x1", "1e0", "", "--1", "9" * 100])
def test_discrete_numbers_are_plain(word: str) -> None:
    assert read_orders(word, Discrete(2), None, 1).problem is not None


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("0.5, -1", [0.5, -1]),
        ("[0.5,-1.]", [0.5, -1]),
        ("(+.5, -1e0)", [0.5, -1]),
        (" 0 ,\n1 ", [0, 1]),
        ("1,1e-999", [1, 0]),
    ],
)
def test_box_actions(answer: str, numbers: list[float]) -> None:
    space = Box(-1, 1, (2,), np.float32)
    (action,) = read_orders(answer, space, None, 1).actions
    assert space.contains(action)
    np.testing.assert_allclose(action, numbers)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("nan, 0", '"nan" is not a number'),
        ("inf, 0", '"inf" is not a number'),
        ("1.5, 0", "outside of the allowed range"),
        ("1e999, 0", "outside of the allowed range"),
        ("0", "2 numbers separated by commas, but the answer held 1"),
        ("0, 0, 0", "but the answer held 3"),
        ("__import__('os'), 0", "is not a number"),
        ("1+1, 0", "is not a number"),
        ("0,0;0,0;0,0", "at most 2 actions"),
        ("\u0660, 0", "is not a number"),
        ("1_0, 0", "is not a number"),
    ],
)
def test_box_actions_that_are_none(answer: str, words: str) -> None:
    orders = read_orders(answer, Box(-1, 1, (2,), np.float32), None, 2)
    assert orders.actions == () and words in str(orders.problem)


def test_infinite_bounds_do_not_let_infinities_in() -> None:
    space = Box(-np.inf, np.inf, (1,), np.float32)
    assert read_orders("1e39", space, None, 1).problem is not None
    assert read_orders("1e38", space, None, 1).problem is None


def test_bounds_are_those_of_the_space_and_not_of_rounding() -> None:
    # float32(0.7) is less than 0.7; the number that an agent reads in the instructions must be accepted.
    assert read_orders("0.7", Box(-0.7, 0.7, (1,), np.float32), None, 1).problem is None


def test_several_box_actions_and_shapes() -> None:
    orders = read_orders("0.1, 0.2; 0.3, 0.4", Box(-1, 1, (2,), np.float32), None, 2)
    assert len(orders.actions) == 2 and orders.names == ("0.1, 0.2", "0.3, 0.4")
    assert read_orders("1,2,3,4", Box(0, 9, (2, 2), np.int64), None, 1).actions[0].tolist() == [[1, 2], [3, 4]]
    assert read_orders("0.5", Box(0, 1, (), np.float32), None, 1).actions[0].shape == ()


@pytest.mark.parametrize(
    ("space", "answer", "expected"),
    [
        (MultiDiscrete([3, 2]), "2, 1", [2, 1]),
        (MultiDiscrete([3, 2]), "2, 2", None),
        (MultiDiscrete([3, 2]), "1.0, 1", None),
        (MultiBinary(3), "0, 1, 1", [0, 1, 1]),
        (MultiBinary(3), "0, 1, 2", None),
        (MultiBinary(2), "0, 256", None),
        (Box(0, 200, (1,), np.uint8), "256", None),
        (Box(0, 200, (1,), np.uint8), "-1", None),
        (Box(0, 200, (1,), np.uint8), "200", [200]),
    ],
)
def test_whole_numbers_do_not_wrap_around(space: Any, answer: str, expected: list[int] | None) -> None:
    orders = read_orders(answer, space, None, 1)
    if expected is None:
        assert orders.problem is not None
    else:
        assert orders.actions[0].tolist() == expected and space.contains(orders.actions[0])


def test_spaces_that_cannot_be_written() -> None:
    with pytest.raises(UserError, match="cannot be read from text"):
        read_orders("0", Dict(a=Discrete(2)), None, 1)


def test_quotes_are_short_and_printable() -> None:
    assert quote("a" * 100) == "a" * 39 + "…"
    assert quote("a\nb\x1b\ud800") == "a\ufffdb\ufffd\ufffd"
