"""`lmmr1 grade`: one pair, many pairs, and input that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmmr1.cli import main

PAIRS = Path(__file__).parent / "envs/rewards/pairs.jsonl"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["1/2", "0.5"], "equal"),
        (["5 cm", "50 mm"], "equal"),
        (["5", "6"], "different"),
        (["--", "3", "-3"], "different"),
        (["5", "9^{9^{9^9}}"], "unverifiable"),
        (["A", "45", "--choices", "45", "--choices", "50"], "equal"),
        (["A", "A. 50", "--choices", "45", "--choices", "50"], "different"),
        (["100", "101", "--tolerance", "0.02"], "equal"),
    ],
)
def test_one_pair(words: list[str], verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grade", *words]) == 0
    said, path, time, unit = capsys.readouterr().out.split()
    assert (said, path, unit) == (verdict, "fast", "ms") and float(time) >= 0


def test_many_pairs_come_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("math_verify")
    assert main(["grade", "--pairs", str(PAIRS), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    pairs = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    keys = ("gold", "answer", "verdict")
    assert [[row[key] for key in keys] for row in rows] == [[pair[key] for key in keys] for pair in pairs]
    assert {row["path"] for row in rows} <= {"fast", "cache", "symbolic"}


def test_many_pairs_without_json_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"gold": "1/2", "answer": "0.5"}\n\n{"gold": "red", "answer": "blue\\u0000"}\n', encoding="utf-8")
    assert main(["grade", "--pairs", str(path)]) == 0
    one, two = capsys.readouterr().out.splitlines()
    assert one.startswith("equal") and one.endswith("1/2  |  0.5")
    assert two.startswith("different") and two.endswith("red  |  blue\ufffd")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"gold": "5", "answer": "5"}\n{"gold": "5"}', 'line 2: the key "answer" is missing'),
        ('{"gold": 5, "answer": "5"}', 'line 1: "gold" must be text, not 5'),
        ('{"gold": "5", "answer": null}', '"answer" must be text, not null'),
        ('\n["5", "5"]', "line 2: a row is an object"),
        ('{"gold": "5"', "line 1: not a line of JSON"),
        ('{"gold": "A", "answer": "A", "choices": ["x"]}', "choices must be two to ten texts"),
        ('{"gold": "A", "answer": "A", "tolerance": -1}', "tolerance must be a number"),
        ("\n", "no rows"),
        ("\udcff", "line 1: not a line of JSON"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, content: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert main(["grade", "--pairs", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(f"error: {path}") and named in captured.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "GOLD and ANSWER"),
        (["5"], "GOLD and ANSWER"),
        (["--pairs", "/nowhere/at/all.jsonl"], "no such file"),
        (["5", "5", "--pairs", "x.jsonl"], "leave them out"),
        (["5", "5", "--tolerance", "2"], "tolerance"),
        (["A", "A", "--choices", "only one"], "choices"),
        (["5", "5", "--workers", "-1"], "workers"),
    ],
)
def test_wrong_words_are_named(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grade", *words]) == 2
    assert named in capsys.readouterr().err
