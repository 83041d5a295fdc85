"""`lmmr1 dataset check`: what a data set holds, told in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmmr1 import cli


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [{"text": f"What is {n}?", "gold": n} for n in range(5)]
    rows += [{"text": "Which?", "gold": "isosceles"}, {"text": "Which?", "gold": "A"}]
    lines = [*map(json.dumps, rows), *["{"] * 30, json.dumps({"text": "Where?", "gold": None})]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "data.jsonl")


def check(*words: str) -> int:
    return cli.main(["dataset", "check", *words])


def test_everything_is_counted_and_refusals_are_listed(path, capsys):
    assert check(path, "--column", "question=text", "--column", "answer=gold") == 0
    said = capsys.readouterr().out
    assert f"{path}: 7 rows can be asked, 31 were refused" in said
    assert "right answers: 5 number, 1 words, 1 option" in said
    assert "1 ask what an earlier row asks" in said
    assert "refused, bad line: 30" in said and "refused, missing column: 1" in said
    assert "data.jsonl, row 8: the line is no JSON" in said
    assert "and 11 more; --all lists them" in said and "row 38" not in said


def test_all_refusals_can_be_listed(path, capsys):
    assert check(path, "--column", "question=text", "--column", "answer=gold", "--all") == 0
    said = capsys.readouterr().out
    assert "data.jsonl, row 38: the column 'gold' is missing or empty" in said and "more" not in said


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "no column holds the question; the columns are 'text', 'gold'"),
        (["--column", "question"], "write KIND=NAME"),
        (["--column", "quest=text"], "columns.quest is unknown"),
        (["--split", "holdout"], "split is 'holdout'"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(words, part, path, capsys):
    assert check(path, *words) == 2
    error = capsys.readouterr().err
    assert part in error and error.count("\n") == 1
