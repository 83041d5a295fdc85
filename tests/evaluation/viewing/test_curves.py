"""Figures are read as they are written: only what is new, whole lines only, and anew where a run went back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lmmr1.evaluation.viewing.curves import Curves, Tail
from lmmr1.evaluation.viewing.lines import GrowingFile

from .folders import make_row, make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def test_only_what_is_new_is_read(folder: Path):
    path, starts = folder / "metrics.jsonl", []
    growing = GrowingFile(path)
    first = list(growing.look(lambda: starts.append(1)))
    assert len(first) == 4 and [place for place, _ in first][:2] == [0, len(first[0][1])]
    assert list(growing.look(lambda: starts.append(1))) == []
    append(path, '{"step": 5}\n')
    [(place, line)] = growing.look(lambda: starts.append(1))
    assert (place, line) == (sum(len(line) for _, line in first), b'{"step": 5}\n')
    assert starts == []


def test_half_a_line_is_waited_for(folder: Path):
    tail = Tail(folder / "metrics.jsonl")
    assert len(tail.look()) == 4
    append(folder / "metrics.jsonl", '{"step": 5, "reward"')
    assert tail.look() == []
    append(folder / "metrics.jsonl", ": 1}\n")
    assert tail.look() == [{"step": 5, "reward": 1}]
    assert (tail.generation, tail.damaged) == (0, 0)


def test_damaged_lines_are_counted(folder: Path):
    tail = Tail(folder / "metrics.jsonl")
    append(folder / "metrics.jsonl", 'nonsense\n[1]\n{"step": 5}\n' + "[" * 100_000 + "\n")
    assert len(tail.look()) == 5
    assert tail.damaged == 3


def test_a_run_that_went_back_is_read_anew(folder: Path):
    path = folder / "metrics.jsonl"
    curves = Curves(path, folder / "evaluations.jsonl")
    first = curves.read(["reward"], 0, 0)
    assert (first["rows"], first["generation"], first["columns"]["reward"]) == (4, 0, [0.1, 0.2, 0.1 * 3, 0.4])
    # As a resumed run does: cut after two rows, and then longer than before until the next look.
    lines = path.read_text().splitlines(keepends=True)
    os.truncate(path, len(lines[0]) + len(lines[1]))
    append(path, "".join(json.dumps({**make_row("fre", step, step), "reward": 9.0}) + "\n" for step in range(3, 9)))
    again = curves.read(["reward"], 4, 0)
    assert (again["generation"], again["start"], again["rows"]) == (1, 0, 8)
    assert again["columns"]["reward"] == [0.1, 0.2, *[9.0] * 6]
    later = curves.read(["reward"], 8, 1)
    assert (later["start"], later["steps"], later["columns"]["reward"]) == (8, [], [])


def test_a_file_that_is_replaced_or_goes_is_noticed(folder: Path):
    path = folder / "metrics.jsonl"
    tail = Tail(path)
    tail.look()
    path.unlink()
    assert tail.look() == [] and tail.generation == 1
    append(path, '{"step": 1}\n')
    assert len(tail.look()) == 1


def test_columns_have_a_place_for_every_row(tmp_path: Path):
    rows = [{"stage": "a", "loss": 1.0}, {"stage": "b", "kl": float("nan"), "note": "x"}, {"step": 7, "kl": 10**400}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = Curves(path, tmp_path / "none").read(["loss", "kl", "no such"], 0, 0)
    assert told["columns"] == {"loss": [1.0, None, None]}
    assert (told["steps"], told["stages"], told["keys"]) == ([1, 2, 7], ["a", "b", ""], ["loss"])


def test_a_question_may_be_about_any_rows(folder: Path):
    curves = Curves(folder / "metrics.jsonl", folder / "evaluations.jsonl")
    assert curves.read(["reward"], 3, 0)["columns"]["reward"] == [0.4]
    for after, generation in ((99, 0), (2, 5)):  # what the page has is of another file: all of it is sent
        assert curves.read([], after, generation)["start"] == 0


def test_evaluations_stand_where_they_were_made(folder: Path):
    row = {"stage": "fre", "iteration": 2, "tasks": {"text": {"greedy": {"success": 0.5}}, "odd": 3}}
    append(folder / "evaluations.jsonl", json.dumps(row) + "\n")
    told = Curves(folder / "metrics.jsonl", folder / "evaluations.jsonl").read([], 0, 0)
    assert [(point["stage"], point["step"]) for point in told["evaluations"]] == [("start", 0), ("fre", 4), ("fre", 2)]
    figures = told["evaluations"][1]["figures"]
    assert figures["text/greedy/success"] == 0.25
    assert (figures["text/greedy/interval/0"], figures["text/greedy/interval/1"]) == (0.1, 0.5)
