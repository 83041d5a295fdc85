"""Rows: columns and messages in every shape that data comes in, and a reason for what cannot be asked."""

from __future__ import annotations

import json

import pytest

from lmmr1.envs.datasets.conversation import Draft, add_choices, question_text, read_messages, write_question
from lmmr1.envs.datasets.golds import check_gold, kind_of, read_gold, read_option
from lmmr1.envs.datasets.presets import PRESETS
from lmmr1.envs.datasets.refusals import RowError
from lmmr1.envs.datasets.rows import find_columns, read_row
from lmmr1.envs.errors import UserError

PLAIN = {"question": ("q",), "answer": ("a",)}


def read(raw, columns=None):
    return read_row(raw, columns or find_columns({}, raw, "data.jsonl"), "data", 1)


@pytest.mark.parametrize(
    ("names", "question", "answer", "solution"),
    [
        (["question", "answer"], "question", "answer", None),
        (["problem", "solution"], "problem", "solution", None),
        (["problem", "solution", "answer"], "problem", "answer", "solution"),
        (["prompt", "label", "images"], "prompt", "label", None),
        (["id", "query", "ground_truth", "rationale"], "query", "ground_truth", "rationale"),
    ],
)
def test_usual_columns_are_found(names, question, answer, solution):
    found = find_columns({}, names, "data.jsonl")
    assert found["question"] == (question,) and found["answer"] == (answer,)
    assert found.get("solution") == (None if solution is None else (solution,))


def test_given_columns_come_before_the_usual_ones():
    found = find_columns({"question": ("text",), "answer": ("gold",)}, ["text", "gold", "question", "answer"], "x")
    assert found["question"] == ("text",) and found["answer"] == ("gold",)


@pytest.mark.parametrize(
    ("given", "names", "part"),
    [
        ({}, ["foo", "answer"], "no column holds the question; the columns are 'foo', 'answer'"),
        ({}, ["question", "foo"], "no column holds the answer"),
        ({"question": ("text",)}, ["question", "answer"], "there is no column 'text' (question)"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_those_that_are(given, names, part):
    with pytest.raises(UserError) as caught:
        find_columns(given, names, "data.jsonl")
    assert "data.jsonl" in str(caught.value) and part in str(caught.value)


@pytest.mark.parametrize("stringified", [True, False])
def test_the_message_format_of_lmm_r1(stringified):
    messages = [
        {"role": "system", "content": "Solve the question."},
        {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "How long is AB?"}]},
    ]
    message = json.dumps(messages) if stringified else messages
    row = read({"question": "unused", "answer": "$\\boxed{60}$", "message": message})
    assert row.messages == (Draft("system", ("Solve the question.",)), Draft("user", (0, "How long is AB?")))
    assert row.pictures == ("a.png",) and row.question == "How long is AB?" and row.answer == "$\\boxed{60}$"


def test_image_urls_and_earlier_turns_are_read():
    drafts, pictures = read_messages(
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "?"}],
            },
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": [{"type": "image_url", "image_url": "y"}]},
        ]
    )
    assert [draft.role for draft in drafts] == ["user", "assistant", "user"]
    assert pictures == ("x", "y") and drafts[0].parts == (0, "?") and drafts[2].parts == (1,)


@pytest.mark.parametrize(
    ("text", "count", "parts"),
    [
        ("How many?", 1, (0, "How many?")),
        ("How many?", 2, (0, 1, "How many?")),
        ("<image>How many?", 1, (0, "How many?")),
        ("Is <image> left of <image>?", 2, ("Is ", 0, " left of ", 1, "?")),
        ("<image><image>", 2, (0, 1)),
    ],
)
def test_placeholders_say_where_pictures_stand(text, count, parts):
    assert write_question(text, count)[0].parts == parts


def test_placeholders_in_messages_take_the_pictures_of_a_column():
    messages = [{"role": "user", "content": "First <image>."}, {"role": "assistant", "content": "Yes."}]
    messages.append({"role": "user", "content": "Then <image>?"})
    drafts, pictures = read_messages(messages, ("x", "y"))
    assert drafts[0].parts == ("First ", 0, ".") and drafts[2].parts == ("Then ", 1, "?") and pictures == ("x", "y")
    drafts, _ = read_messages([messages[0] | {"content": "No mark."}], ("x",))
    assert drafts[0].parts == (0, "No mark.")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_placeholders_than_of_pictures_is_refused(count):
    with pytest.raises(RowError, match=f"says <image> 2 times, but the row has {count} pictures"):
        write_question("<image> and <image>", count)


def test_several_pictures_are_marked_in_the_text():
    assert question_text(write_question("Is <image> left of <image>?", 2)) == "Is <image> left of <image>?"
    assert question_text(write_question("<image> How many?", 1)) == "How many?"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("not json", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ({}, "not a list of messages"),
        ([], "not a list of messages"),
        ([1], "not a role and a content"),
        ([{"role": "robot", "content": "x"}], "role is 'robot'"),
        ([{"role": "user", "content": 3}], "the content of a message is 3"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "not a text or an image"),
        ([{"role": "user", "content": [{"type": "text"}]}], "not a text or an image"),
        ([{"role": "assistant", "content": "x"}], "the user has to ask last"),
        (
            [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}, {"role": "user", "content": "z"}],
            "behind",
        ),
        (
            [{"role": "system", "content": [{"type": "image", "image": "x"}]}, {"role": "user", "content": "z"}],
            "picture",
        ),
    ],
)
def test_what_is_no_conversation_is_refused(value, part):
    with pytest.raises(RowError, match="messages|message|system") as caught:
        read_messages(value)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (60, "60"),
        (0.5, "0.5"),
        (3.0, "3"),
        ("  7 ", "7"),
        (["12"], "12"),
        ("<answer> 145\u00b0 </answer>", "145\u00b0"),
        ("She has 3 + 4 = 7 apples.\n#### 7", "7"),
        ("long " * 200 + "so it is $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("<answer>1</answer> no, <answer>2</answer>", "2"),
    ],
)
def test_right_answers_are_read(value, gold):
    assert read_gold(value) == gold


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (True, "the answer is True"),
        (None, "missing"),
        ({}, "a mapping"),
        ([1, 2], "a list"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("", "is empty"),
        ("<answer> </answer>", "is empty"),
        ("word " * 400, "1999 characters"),
        ("1\0", "NUL"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_is_no_answer_is_refused(value, part):
    with pytest.raises(RowError) as caught:
        read_gold(value)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("value", "choices", "letter"),
    [
        ("B", ["1", "2", "3"], "B"),
        ("(c)".upper(), ["1", "2", "3"], "C"),
        ("larger than", ["larger than", "equal to"], "A"),
        ("2", ["1", "2"], "B"),
        (2, ["1", "2", "5"], "B"),
        (0, ["cat", "dog"], "A"),
    ],
)
def test_the_right_option_is_found_by_text_letter_or_place(value, choices, letter):
    assert read_option(value, choices) == letter


@pytest.mark.parametrize(
    ("value", "choices"), [("E", ["1", "2"]), ("fish", ["cat", "dog"]), (2, ["cat", "dog"]), ("x", ["x", "x"])]
)
def test_an_answer_that_is_no_option_is_refused(value, choices):
    with pytest.raises(RowError):
        read_option(value, choices)


def test_options_are_written_under_the_question_and_the_gold_is_a_letter():
    row = read({"question": "Which is larger?", "answer": "9", "choices": ["8", "9"]})
    assert row.question == "Which is larger?\n(A) 8\n(B) 9" and row.answer == "B" and row.choices == ("8", "9")
    named = read({"question": "Which is larger?", "answer": "B", "options": {"A": "8", "B": "9"}})
    assert (named.question, named.answer) == (row.question, row.answer)
    assert add_choices(row.messages, ()) == row.messages


@pytest.mark.parametrize(
    "choices", ["ab", ["1"], [str(n) for n in range(11)], ["1", None], {"A": "1", "C": "2"}, [True, "x"]]
)
def test_what_are_no_options_is_refused(choices):
    with pytest.raises(RowError) as caught:
        read({"question": "?", "answer": "A", "choices": choices})
    assert caught.value.kind == "bad choices"


def test_distractors_are_shuffled_by_the_row_alone():
    columns = dict(PRESETS["gpqa"].columns)

    def gpqa(number, place):
        raw = {"Question": f"What is {number}?", "Correct Answer": "right", "Explanation": "because"}
        return read_row(raw | {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}, columns, "gpqa", place)

    rows = [gpqa(number, number) for number in range(60)]
    for row in rows:
        assert sorted(row.choices) == ["right", "wrong 1", "wrong 2", "wrong 3"]
        assert row.choices["ABCD".index(row.answer)] == "right" and row.thought == "because"
    assert {row.answer for row in rows} == set("ABCD")
    assert gpqa(5, place=99).choices == rows[5].choices


def test_the_key_is_that_of_the_question():
    one = read({"question": "What is 1 + 1?", "answer": "2"})
    assert one.key == read({"question": " What  is 1 + 1? ", "answer": "two"}).key
    assert one.key != read({"question": "What is 1 + 2?", "answer": "2"}).key
    pictured = read({"question": "What is 1 + 1?", "answer": "2", "image": "a.png"})
    assert pictured.key != one.key
    assert pictured.key != read({"question": "What is 1 + 1?", "answer": "2", "image": "b.png"}).key


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"q": "", "a": "1"}, "bad question"),
        ({"a": "1"}, "bad question"),
        ({"q": 3, "a": "1"}, "bad question"),
        ({"q": ["x"], "a": "1"}, "bad question"),
        ({"q": "x\0", "a": "1"}, "bad text"),
        ({"q": "x"}, "missing column"),
        ({"q": "x", "a": None}, "missing column"),
        ({"q": "x", "a": {}}, "bad answer"),
    ],
)
def test_rows_of_mixed_types_are_refused(raw, kind):
    with pytest.raises(RowError) as caught:
        read(raw, PLAIN)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ("60", "number"),
        ("$\\frac{1}{2}$", "number"),
        ("B", "option"),
        ("isosceles", "words"),
        ("\\sqrt{2}+x", "expression"),
    ],
)
def test_kinds_of_right_answers(gold, kind):
    assert kind_of(gold) == kind
    check_gold(gold, ())


@pytest.mark.parametrize("gold", ["9^{9^{9^9}}", "((((" * 20 + "1", "\\frac{1}{"])
def test_a_gold_that_cannot_be_graded_is_refused(gold):
    with pytest.raises(RowError) as caught:
        check_gold(gold, ())
    assert caught.value.kind == "ungradable answer"
