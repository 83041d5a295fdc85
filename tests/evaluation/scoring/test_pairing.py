"""Two policies on the same problems, by hand; and a judge beside the rules."""

from __future__ import annotations

import pytest

from lmmr1.agents.episode import Episode, Turn
from lmmr1.envs.messages import message_text, user
from lmmr1.evaluation.scoring.figures import measure
from lmmr1.evaluation.scoring.judge import judge_episodes, read_verdict, summarize_judged
from lmmr1.evaluation.scoring.pairing import pair_episodes, pair_values, sign_test, value_of


def episode(group: int, success: bool | None, answer: str = "7", **facts) -> Episode:
    turn = Turn([user("How many?")], f"<answer>{answer}</answer>", answer=answer, well_formed=True)
    return Episode("x", (0, 1, group), group, turns=[turn], success=success, facts={"gold": "8", **facts})


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (8, 0, 2 / 256), (1, 9, 22 / 1024), (9, 1, 22 / 1024)],
)
def test_the_sign_test_by_hand(better: int, worse: int, p: float):
    assert sign_test(better, worse) == pytest.approx(p)


def test_only_problems_that_both_were_scored_on_are_compared():
    first = [episode(0, False), episode(1, True), episode(2, False), episode(3, True)]
    second = [episode(0, True), episode(1, True), episode(3, False), episode(4, True)]
    second.append(Episode("x", (0, 1, 2), 2, failure="it broke"))
    found = pair_episodes(first, second, value_of("success"))
    assert found is not None and (found.problems, found.better, found.worse) == (3, 1, 1)
    assert found.difference == 0.0 and not found.is_clear
    assert pair_episodes(first[:1], second[1:2], value_of("success")) is None


def test_several_attempts_count_as_one_problem():
    first = [episode(0, False), episode(0, False), episode(1, True), episode(1, False)]
    second = [episode(0, True), episode(0, False), episode(1, True), episode(1, True)]
    found = pair_episodes(first, second, value_of("success"))
    assert found is not None and found.problems == 2 and found.difference == 0.5


def test_pairs_are_surer_than_two_intervals():
    first = [0.0] * 80 + [1.0] * 20
    second = [0.0] * 70 + [1.0] * 30
    found = pair_values(first, second)
    assert found.difference == pytest.approx(0.1) and found.is_clear and found.p_value == pytest.approx(2 / 1024)
    with pytest.raises(ValueError):
        pair_values([1.0], [])


def test_measures_of_games_and_groups():
    episodes = [
        episode(0, True, score=100.0, optimal=5, regret=1.0, family="a"),
        episode(1, True, score=99.0, optimal=7, regret=9 / 7, family="a"),
        episode(2, False, score=46.0, optimal=9, regret=0, family="b"),
    ]
    figures = measure(episodes)
    assert figures["score"] == pytest.approx(245 / 3) and figures["score_problems"] == 3
    assert figures["optimum"] == 7 and figures["regret"] == pytest.approx(1), "regret is that of solved levels"
    assert figures["groups"]["family"] == {"a": [2, 2], "b": [0, 1]}
    assert "pass_at" not in figures and figures["reply_characters"] == len("<answer>7</answer>")


def test_pass_at_k_is_unbiased():
    tries = [[True, False, False, False], [True, True, True, True]]
    figures = measure([episode(group, right) for group, rights in enumerate(tries) for right in rights])
    assert figures["pass_at"] == pytest.approx({"1": 0.625, "2": 0.75, "4": 1.0})
    assert figures["success"] == 0.625 and figures["attempts"] == 4


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("SAME", True),
        ("Different.", False),
        ("They look the same, but: DIFFERENT", False),
        ("I cannot say", None),
        ("", None),
    ],
)
def test_a_judges_words(reply: str, verdict: bool | None):
    assert read_verdict(reply) is verdict


def test_the_judge_is_asked_about_wrong_answers_only_and_stands_beside_the_rules():
    asked: list[str] = []

    def ask(messages):
        asked.append(message_text(messages[-1]))
        return "SAME" if "eight" in asked[-1] else "DIFFERENT" if "nine" in asked[-1] else "?"

    episodes = [episode(0, True), episode(1, False, "eight"), episode(2, False, "nine"), episode(3, False, "")]
    episodes += [episode(4, False, "ten"), Episode("x", (0, 1, 5), 5, failure="it broke", facts={"gold": "8"})]
    verdicts = judge_episodes(episodes, ask, concurrency=1)
    assert verdicts == {1: True, 2: False, 4: None}
    assert asked[0] == "Question: How many?\n\nReference answer: 8\n\nStudent's answer: eight"
    judged = summarize_judged(episodes, verdicts)
    assert (judged["success"], judged["overruled"], judged["unread"], judged["asked"]) == (0.4, 1, 1, 3)
