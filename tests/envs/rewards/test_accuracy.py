"""The accuracy of answers: hand-labelled pairs, what is decided without sympy, and which right answers are refused."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.rewards import accuracy
from lmmr1.envs.rewards.accuracy import (
    CACHE_SIZE,
    MAX_LENGTH,
    Verdict,
    check_gold,
    clean_answer,
    close_grader,
    configure_grader,
    grade,
    judge,
    read_number,
)
from lmmr1.envs.rewards.answers.cleaning import unbox

PAIRS = [json.loads(line) for line in Path(__file__).with_name("pairs.jsonl").read_text(encoding="utf-8").splitlines()]
symbolic_only = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs lmmr1[math]")


@pytest.fixture
def no_symbols(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever comes to the symbolic half fails."""

    def refuse(gold: str, answer: str) -> str:
        raise AssertionError(f"{gold!r} and {answer!r} went to the symbolic grader")

    configure_grader()
    monkeypatch.setattr(accuracy, "compare_symbolically", refuse)
    yield
    configure_grader()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", Fraction(5)),
        ("-3", Fraction(-3)),
        ("- 3", Fraction(-3)),
        ("+.5", Fraction(1, 2)),
        ("007", Fraction(7)),
        ("1,234,567.5", Fraction(2469135, 2)),
        ("1.2e3", Fraction(1200)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\frac{1.5}{-2}", Fraction(3, 4)),
        ("1 3/4", Fraction(7, 4)),
        ("-1 3/4", Fraction(-7, 4)),
        ("9" * 300, Fraction(10**300 - 1)),
        ("1/0", None),
        ("1/2/3", None),
        ("1,23", None),
        ("", None),
        ("-", None),
        (".", None),
        ("e5", None),
        ("1e9999", None),
        ("9" * 500, None),
        ("\u0665", None),
        ("nan", None),
        ("1_000", None),
        ("0x10", None),
    ],
)
def test_numbers(text: str, number: Fraction | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"\boxed{5}", "5"),
        (r"so \boxed{3}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$\dfrac{1}{2}$.", r"\frac{1}{2}"),
        (r"\(\text{red}\)", "red"),
        (" a  b\n", "a b"),
        ("−3", "-3"),
        ("2π", r"2\pi"),
        ("2*pi", r"2*\pi"),
        ("spin", "spin"),
        ("3√2", r"3\sqrt{2}"),
        (r"90^\circ", "90°"),
        (r"\boxed{5", "5"),
    ],
)
def test_cleaning(text: str, clean: str) -> None:
    assert clean_answer(text).replace(r"\pi ", r"\pi") == clean


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("5", "5"),
        (r"\boxed{5}", "5"),
        (r"\boxed{3} and \boxed{5}", "5"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\fbox{7}", "7"),
        (r"\boxed 5", "5"),
        (r"\boxed{5", "5"),
        (r"\boxed{\frac{1}{2}} is it", r"\frac{1}{2}"),
        ("x" * 5000 + r"\boxed{5}", "5"),
    ],
)
def test_the_last_box_counts(text: str, inside: str) -> None:
    assert unbox(text) == inside


EXACT = [
    ("5", "5", True),
    ("5", "5.0", True),
    ("5", r"\boxed{5}", True),
    ("5", "$5$", True),
    ("5", "x = 5", True),
    ("5", "6", False),
    ("5", "", False),
    ("5", "five", False),
    ("1/2", "0.5", True),
    ("1/2", "2/4", True),
    ("1/2", r"\frac{1}{2}", True),
    ("1/3", "0.333", False),
    ("1/3", "0.333333", True),
    ("1/3", "0.333334", False),
    ("0.333333", "1/3", True),
    ("0.1", "0.1000001", False),
    ("1000", "1,000", True),
    ("90", "90°", True),
    ("90", r"90^{\circ}", True),
    ("90", "90 degrees", True),
    ("5 cm", "5", True),
    ("5 cm", "5 cm", True),
    ("5 cm", "5 m", False),
    ("B", "b", True),
    ("B", "(B)", True),
    ("B", "B.", True),
    ("B", "B. 45", True),
    ("B", "C", False),
    ("B", "A or B", False),
    ("B", "Bob", False),
    ("red", "Red.", True),
    ("red", "blue", False),
    ("cat", "act", False),
    ("no", "on", False),
    ("listen", "silent", False),
    ("not able", "notable", False),
    ("yes", "", False),
    ("Straße", "STRASSE", True),
    ("(1, 2)", "(1,2)", True),
    ("(1, 2)", "(2, 1)", False),
    ("(1, 2)", "[1, 2]", False),
    ("(1, 2)", "(0.5, 2)", False),
    ("1, 2", "2, 1", True),
    ("{1, 2}", "2, 1", True),
    ("1, 2", "1, 3", False),
    ("1, 2", "1, 2, 2", False),
    ("12:30", "12:30", True),
    ("x + 1", "x+1", True),
    ("5", "9" * 300, False),
    ("5", "5" * (MAX_LENGTH + 1), False),
    ("5", "5" * 1_000_000, False),
    ("x" * 5000, "x" * 5000, True),
]


@pytest.mark.parametrize(("gold", "answer", "equal"), EXACT, ids=range(len(EXACT)))
def test_exact_grades_start_no_worker(no_symbols: None, gold: str, answer: str, equal: bool) -> None:
    judgement = judge(gold, answer)
    assert judgement.verdict is (Verdict.EQUAL if equal else Verdict.DIFFERENT) and judgement.path == "fast"


def test_exact_grades_import_neither_sympy_nor_torch() -> None:
    code = (
        "import sys; from lmmr1.envs.rewards.accuracy import grade; "
        "assert [grade('1/2', a).value for a in ('0.5', '0.6')] == ['equal', 'different']; "
        "bad = {'sympy', 'math_verify', 'torch', 'av', 'pygame'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@symbolic_only
@pytest.mark.parametrize("pair", PAIRS, ids=[f"{pair['kind']} {at}" for at, pair in enumerate(PAIRS)])
def test_labelled_pairs(pair: dict[str, Any]) -> None:
    assert grade(pair["gold"], pair["answer"], choices=pair.get("choices")).value == pair["verdict"]


@pytest.mark.parametrize("wrap", [r"\boxed{%s}", "$%s$", r"The answer is $\boxed{%s}$.", r"\(%s\)", "  %s .", "$$%s$$"])
def test_how_an_answer_is_wrapped_changes_nothing(no_symbols: None, wrap: str) -> None:
    plain = ["number", "fraction", "pi", "interval", "tuple", "choice", "matrix or vector", "set or list"]
    for pair in PAIRS:
        gold, answer, choices = pair["gold"], pair["answer"], pair.get("choices")
        wrapped = set("$&") & set(answer) or "boxed" in answer or "answer" in answer.casefold() or "**" in answer
        if pair["kind"] in plain and answer and not wrapped and answer.count("{") == answer.count("}"):
            verdict = grade(gold, wrap.replace("%s", answer), choices=choices)
            assert verdict.value == pair["verdict"], (gold, wrap, answer)


@symbolic_only
def test_no_verdict_is_worse_than_that_of_plain_math_verify() -> None:
    from math_verify import parse, verify

    worse = []
    for pair in PAIRS:
        gold, answer, choices = pair["gold"], pair["answer"], pair.get("choices")
        theirs = verify(parse(f"${gold}$"), parse(f"\\boxed{{{answer}}}"))
        ours = grade(gold, answer, choices=choices).value
        if (theirs == (pair["verdict"] == "equal")) and ours != pair["verdict"]:
            worse.append(pair)
    assert worse == []


def test_most_pairs_are_decided_without_sympy(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_grader(cache_size=0)
    monkeypatch.setattr(accuracy, "compare_symbolically", lambda gold, answer: "unverifiable")
    paths = [judge(pair["gold"], pair["answer"], choices=pair.get("choices")).path for pair in PAIRS]
    configure_grader()
    assert paths.count("fast") >= 0.95 * len(PAIRS)


def test_fast_verdicts_of_polynomials_agree_with_their_values(no_symbols: None) -> None:
    # Against plain loops: products of linear factors, and what they are with one coefficient off.
    rng = random.Random(0)
    for _ in range(200):
        roots = [rng.randint(-5, 5) for _ in range(rng.randint(1, 4))]
        coefficients = [1]
        for root in roots:
            raised = [0, *coefficients]
            for at, coefficient in enumerate(coefficients):
                raised[at] -= root * coefficient
            coefficients = raised
        factored = "".join(f"(x-{root})" if root >= 0 else f"(x+{-root})" for root in roots)
        expanded = " + ".join(f"({coefficient})x^{power}" for power, coefficient in enumerate(coefficients))
        expanded = expanded.replace("x^0", "")
        assert grade(factored, expanded) is Verdict.EQUAL, (factored, expanded)
        assert grade(factored, f"{expanded} + {rng.choice([1, -2])}x") is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("gold", "answer", "tolerance", "equal"),
    [
        ("100", "101", 0.02, True),
        ("100", "103", 0.02, False),
        ("1.5 m", "151 cm", 0.01, True),
        (r"\sqrt{2}", "1.41", 0.01, True),
        (r"\sqrt{2}", "1.41", 0.0, False),
        ("red", "red", 0.5, True),
    ],
)
def test_tolerance(no_symbols: None, gold: str, answer: str, tolerance: float, equal: bool) -> None:
    assert (grade(gold, answer, tolerance=tolerance) is Verdict.EQUAL) == equal


def test_a_gold_answer_that_is_nothing_is_unverifiable() -> None:
    assert grade("", "5") is Verdict.UNVERIFIABLE
    assert grade("  ", "") is Verdict.UNVERIFIABLE
    assert grade("1" * 5000, "5") is Verdict.UNVERIFIABLE


@symbolic_only
def test_the_paths() -> None:
    configure_grader()
    assert judge("1/2", "0.5").path == judge("1/2", "0.5").path == "fast"
    first, second = judge(r"\ln 8", r"3\ln 2"), judge(r"\ln 8", r"3\ln 2")
    assert (first.path, second.path) == ("symbolic", "cache") and first.verdict is second.verdict is Verdict.EQUAL
    configure_grader(cache_size=0)
    assert [judge(r"\ln 8", r"3\ln 2").path for _ in range(2)] == ["symbolic", "symbolic"]
    configure_grader(cache_size=1)
    pairs = [(r"\ln 8", r"3\ln 2"), (r"\ln 9", r"2\ln 3"), (r"\ln 8", r"3\ln 2")]
    assert [judge(*pair).path for pair in pairs] == ["symbolic"] * 3, "the cache is bounded"
    configure_grader(cache_size=CACHE_SIZE)


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"workers": 1.5}, {"cache_size": -1}, {"cache_size": True}])
def test_the_settings_are_checked(wrong: Any) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        configure_grader(**wrong)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_grader()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lmmr1\[math\]'"):
        grade("\\ln 8", "3\\ln 2")


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{pair['kind']} {at}" for at, pair in enumerate(PAIRS)])
def test_every_labelled_gold_can_be_graded(pair: dict[str, Any]) -> None:
    check_gold(pair["gold"], choices=pair.get("choices"))


@symbolic_only
@pytest.mark.parametrize(
    ("gold", "choices", "why"),
    [
        ("", None, "empty"),
        ("  ", None, "empty"),
        (r"\text{ }", None, "empty"),
        (r"\boxed{}", None, "empty"),
        (None, None, "NoneType"),
        (5, None, "int"),
        (["5"], None, "list"),
        ("5" * 3000, None, "3000 characters"),
        ("9^{9^{9^9}}", None, "too large"),
        ("10^{7}!", None, "too large"),
        ("(" * 60 + "1" + ")" * 60, None, "too deeply"),
        ("E", ["1", "2", "3"], "none of the 3 choices"),
        ("45", ["1", "2", "3"], "none of the 3 choices"),
    ],
)
def test_a_gold_that_cannot_be_graded_is_refused(gold: Any, choices: list[str] | None, why: str) -> None:
    with pytest.raises(UserError, match=why):
        check_gold(gold, choices=choices)


@symbolic_only
def test_a_gold_that_only_sympy_reads_is_accepted() -> None:
    check_gold(r"\int_0^1 x dx")
    close_grader()


@pytest.mark.parametrize(
    ("reply", "equal"),
    [
        ("<think>3, no, 4</think><answer>4</answer>", True),
        ("<think>4</think><answer>3</answer>", False),
        ("<answer>3</answer><answer>\\boxed{4}</answer>", True),
        ("<think>it is 3</think> 4", True),
        ("<answer>4", True),
        ("<think>4</think>", False),
    ],
)
def test_of_a_whole_reply_the_last_answer_counts(no_symbols: None, reply: str, equal: bool) -> None:
    assert (grade("4", reply) is Verdict.EQUAL) is equal


@pytest.mark.parametrize(("gold", "answer"), [("0", "0 or not 0"), ("40", "not 40"), ("0", "00:36")])
def test_no_number_is_picked_out_of_words_that_deny_it(no_symbols: None, gold: str, answer: str) -> None:
    assert grade(gold, answer) is Verdict.DIFFERENT


@pytest.mark.parametrize(
    "answer",
    [
        "the perimeter is 36",
        "Perimeter: 36",
        "It equals 36.",
        "The perimeter of the field is 36 cm",
        "so the sum is $36$",
    ],
)
def test_a_sentence_that_ends_in_its_value_is_that_value(no_symbols: None, answer: str) -> None:
    assert grade("36", answer) is Verdict.EQUAL
    assert grade("35", answer) is Verdict.DIFFERENT


@pytest.mark.parametrize("answer", ["it is not 36", "if x is 36", "the sum is 36 or 35", "the sum is 36 or it is 35"])
def test_a_sentence_that_commits_to_nothing_is_not(answer: str) -> None:
    assert grade("36", answer) is not Verdict.EQUAL
