"""The reward for the form of a reply, how it can not be farmed, what is subtracted, and how the parts add up."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lmmr1
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_text
from lmmr1.envs.reply import REPLY_FORMATS
from lmmr1.envs.rewards.composition import compose_reward, total_reward
from lmmr1.envs.rewards.format import find_trick, format_reward, lmmr1_format_reward
from lmmr1.envs.rewards.penalties import Penalties, length_share, repeated_share


@pytest.mark.parametrize(
    ("task", "well_formed", "invalid", "mode", "parts"),
    [
        (1, True, False, "additive", (1.0, 0.5, 0.0)),
        (1, False, False, "additive", (1.0, 0.0, 0.0)),
        (1, False, False, "gated", (0.0, 0.0, 0.0)),
        (-2, True, False, "gated", (-2.0, 0.5, 0.0)),
        (0, True, True, "additive", (0.0, 0.5, -0.1)),
        (0, False, True, "gated", (0.0, 0.0, -0.1)),
    ],
)
def test_composition(task: float, well_formed: bool, invalid: bool, mode: Any, parts: tuple[float, ...]) -> None:
    composed = compose_reward(task, well_formed, invalid, mode=mode, invalid_reward=-0.1)
    assert composed == dict(zip(("task", "format", "invalid"), parts, strict=True))
    assert all(type(value) is float for value in composed.values())
    assert total_reward(composed) == pytest.approx(sum(parts))


def test_composition_refuses_other_modes() -> None:
    mode: Any = "mixed"
    with pytest.raises(UserError, match="additive, gated"):
        compose_reward(1, True, False, mode=mode)


def test_format_is_all_or_nothing() -> None:
    parse = REPLY_FORMATS["think_answer"].parse
    assert format_reward(parse("<think>a</think><answer>b</answer>")) == 1.0
    assert format_reward(parse("<think>a</think><answer>b")) == 0.0


parse = REPLY_FORMATS["think_answer"].parse
QUESTION = "A triangle has sides of 3, 4 and 5 units. What is its perimeter? Answer with a whole number."
THOUGHT = "The perimeter is the sum of the sides: 3 + 4 + 5 = 12."


@pytest.mark.parametrize(
    ("text", "trick"),
    [
        (f"<think>{THOUGHT}</think><answer>12</answer>", None),
        (f"<think>{THOUGHT}</think><answer>13</answer>", None),
        ("<think></think><answer>12</answer>", "empty thought"),
        ("<think> \n </think><answer>12</answer>", "empty thought"),
        (f"<think>{THOUGHT}</think><answer>A or B or C</answer>", "several answers"),
        (f"<think>{THOUGHT}</think><answer>11 or 12</answer>", "several answers"),
        (rf"<think>{THOUGHT}</think><answer>$11 \lor 12$</answer>", "several answers"),
        (f"<think>{QUESTION}</think><answer>12</answer>", "echo"),
        (f"<think>{QUESTION.upper()}  {QUESTION}</think><answer>12</answer>", "echo"),
        (f"<think>{THOUGHT}</think><answer>{QUESTION}</answer>", "echo"),
        (f"<think>{THOUGHT}</think><answer>orange</answer>", None),
        ("<think>your reasoning</think><answer>12</answer>", "placeholder"),
        (f"<think>{THOUGHT}</think><answer>Your answer</answer>", "placeholder"),
    ],
)
def test_tricks_are_found(text: str, trick: str | None) -> None:
    reply = parse(text)
    assert reply.well_formed
    assert find_trick(reply, QUESTION, success=False) == trick
    assert format_reward(reply, shown=QUESTION, success=False) == (1.0 if trick is None else 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think><answer></answer>",
        "<think>a</think><answer> </answer>",
        "<think>a</think><think>a</think><answer>12</answer>",
        "<think>a</think><answer>11</answer><answer>12</answer>",
        "<think>a<answer>12</answer>",
        "<answer>12</answer><think>a</think>",
        "text <think>a</think><answer>12</answer>",
        "12",
        "",
    ],
)
def test_malformed_replies_earn_no_format(text: str) -> None:
    assert format_reward(parse(text)) == 0.0


def test_two_solutions_that_are_right_are_no_hedge() -> None:
    reply = parse("<think>Both roots of x^2 - 1.</think><answer>x = 1 or x = -1</answer>")
    assert format_reward(reply, success=True) == 1.0 and format_reward(reply, success=False) == 0.0


def test_a_copy_without_the_tags_that_stand_in_the_prompt_is_an_echo() -> None:
    shown = f"Reply in exactly this form: <think>your reasoning</think><answer>your answer</answer> {QUESTION}"
    copy = shown.replace("<think>", " ").replace("</think>", " ").replace("<answer>", " ").replace("</answer>", " ")
    assert find_trick(parse(f"<think>{copy}</think><answer>12</answer>"), shown) == "echo"


def test_where_nothing_is_to_be_thought_an_empty_thought_is_no_trick() -> None:
    reply = parse("<think></think><answer>3,4,5</answer>")
    assert format_reward(reply, thoughtless=True) == 1.0
    answer_only = REPLY_FORMATS["answer_only"].parse("<answer>12</answer>")
    assert format_reward(answer_only) == 1.0


PAPER = [
    ("<think>a</think><answer>b</answer>", 1.0),
    ("<think></think><answer></answer>", 1.0),
    ("<think>a\nb</think><answer>b\n</answer>", 1.0),
    ("<think>a</think> <answer>b</answer>", 0.0),
    ("<think>a</think>\n<answer>b</answer>", 0.0),
    (" <think>a</think><answer>b</answer>", 0.0),
    ("<think>a</think><answer>b</answer>\n", 0.0),
    ("<think>a</think><answer>b</answer>.", 0.0),
    ("<think><think>a</think><answer>b</answer>", 0.0),
    ("<think>a<answer></think><answer>b</answer>", 0.0),
    ("<think>a</think></think><answer>b</answer>", 0.0),
    ("<think>a</think><answer>b</answer></answer>", 0.0),
    ("<think>a</answer></think><answer></think></answer>", 1.0),
    ("<answer>b</answer>", 0.0),
    ("", 0.0),
]


@pytest.mark.parametrize(("text", "format_part"), PAPER, ids=range(len(PAPER)))
def test_the_format_rule_of_the_paper(text: str, format_part: float) -> None:
    assert lmmr1_format_reward(text) == format_part


def test_the_format_rule_of_the_paper_by_hand() -> None:
    # Every way to put four tags and two letters in a row, against a reading of the rule without its pattern.
    tags = ["<think>", "</think>", "<answer>", "</answer>", "a", " "]

    def by_hand(words: tuple[str, ...]) -> bool:
        text = "".join(words)
        if not text.startswith("<think>") or not text.endswith("</answer>"):
            return False
        thought, end, rest = text[len("<think>") :].partition("</think>")
        inside = rest[len("<answer>") : -len("</answer>")]
        whole = bool(end) and rest.startswith("<answer>") and len(rest) >= len("<answer></answer>")
        return whole and "</answer>" not in inside and text.count("<think>") == text.count("<answer>") == 1

    for number in range(6**5):
        words = tuple(tags[number // 6**place % 6] for place in range(5))
        assert (lmmr1_format_reward("".join(words)) == 1.0) == by_hand(words), words


def ask(**chat: Any) -> tuple[lmmr1.ChatEnv, str, str]:
    env = lmmr1.make_chat("LMMR1/Reasoning-v0", chat=chat)
    messages, _ = env.reset(seed=3)
    return env, message_text(messages[-1]), env.solution().answer


@pytest.mark.parametrize("trick", ["empty thought", "hedge", "echo", "echoed answer", "repeated tags", "empty answer"])
def test_no_trick_earns_anything_by_default(trick: str) -> None:
    env, question, gold = ask()
    reply = {
        "empty thought": "<think></think><answer>no idea</answer>",
        "hedge": f"<think>Let me see what it could be.</think><answer>{gold} or -77 or 0</answer>",
        "echo": f"<think>{question} {question}</think><answer>no idea</answer>",
        "echoed answer": f"<think>Let me see what it could be.</think><answer>{question}</answer>",
        "repeated tags": f"<think>a</think><answer>-77</answer><answer>{gold} or 1</answer>",
        "empty answer": "<think>Let me see what it could be.</think><answer></answer>",
    }[trick]
    _, reward, terminated, _, info = env.step(reply)
    assert terminated and reward == 0 and info["reward_parts"]["format"] == 0, info["reward_parts"]


def test_the_reward_of_the_paper_is_additive_and_ungated() -> None:
    rewards = {}
    for name, text in {
        "right": "<think>a</think><answer>%s</answer>",
        "wrong": "<think>a</think><answer>-77</answer>",
        "farmed": "<think></think><answer></answer>",
        "right, with a space": "<think>a</think> <answer>%s</answer>",
    }.items():
        env, _, gold = ask(reward="lmmr1-paper")
        _, rewards[name], _, _, info = env.step(text.replace("%s", gold))
        assert sum(info["reward_parts"].values()) == rewards[name]
    assert rewards == {"right": 1.5, "wrong": 0.5, "farmed": 0.5, "right, with a space": 1.0}


@pytest.mark.parametrize(
    ("chat", "named"),
    [
        ({"reward": "paper"}, "reward must be one of"),
        ({"reward": "lmmr1-paper", "reward_mode": "gated"}, "leave out reward_mode"),
        ({"reward": "lmmr1-paper", "format_weight": 0.1}, "format_weight"),
        ({"penalties": {"lenght": 1.0}}, "unknown key 'lenght'"),  # codespell:ignore lenght
        ({"penalties": {"length": -1.0}}, "penalties.length"),
        ({"penalties": {"length_free": 9, "length_limit": 9}}, "below penalties.length_limit"),
        ({"penalties": {"repetition_words": 0}}, "penalties.repetition_words"),
        ({"penalties": 0.5}, "must be a mapping"),
    ],
)
def test_wrong_settings_are_named(chat: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=re.escape(named)):
        lmmr1.make_chat("LMMR1/Reasoning-v0", chat=chat)


def test_penalties_are_parts_of_the_reward() -> None:
    penalties = {"length": 0.5, "length_free": 2, "length_limit": 12, "repetition": 0.25, "repetition_words": 2}
    env, _, gold = ask(penalties=penalties)
    _, reward, _, _, info = env.step(f"<think>so it is it is so</think><answer>{gold}</answer>")
    # Six words, of which two are free: four tenths of the way to the limit.
    words = f"<think>so it is it is so</think><answer>{gold}</answer>".split()
    runs = [tuple(words[at : at + 2]) for at in range(len(words) - 1)]
    assert len(words) == 6 and runs[1] == ("it", "is")
    repeated = 1 - len(set(runs)) / len(runs)
    assert info["reward_parts"] == {
        "task": 1.0,
        "format": 0.5,
        "invalid": 0.0,
        "length": -0.5 * 4 / 10,
        "repetition": -0.25 * repeated,
    }
    assert reward == pytest.approx(1.5 - 0.2 - 0.25 * repeated)
    assert Penalties().parts("a " * 5000) == {}


def test_the_shares_by_hand() -> None:
    assert [length_share(words, 10, 20) for words in (0, 10, 15, 20, 99)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert repeated_share("a b c d", 2) == 0.0
    assert repeated_share("a b A b a b", 2) == pytest.approx(1 - 2 / 5)
    assert repeated_share("a", 2) == repeated_share("", 1) == 0.0
