"""Files, folders, tables: what is found where, what is refused, and how little is kept in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections import Counter

import pytest

from lmmr1.envs.datasets import Dataset, DatasetWarning, open_dataset
from lmmr1.envs.datasets.config import DatasetConfig, read_config
from lmmr1.envs.datasets.presets import PRESETS
from lmmr1.envs.datasets.sources import jsonl, tables
from lmmr1.envs.datasets.sources.jsonl import JsonLines
from lmmr1.envs.errors import MissingExtraError, UserError


def rows(count, first=0):
    return [{"question": f"What is {n} + {n}?", "answer": 2 * n} for n in range(first, first + count)]


def asked(dataset):
    return [dataset.row(place).question for place in range(len(dataset))]


def test_lines_are_found_again_where_they_begin(write_lines):
    lines = [b"\xef\xbb\xbf" + json.dumps(rows(1)[0]).encode(), b"", b"   ", *map(json.dumps, rows(3, 1)), b"\r"]
    path = write_lines(lines)
    source = JsonLines(path)
    found = list(source.rows())
    assert [number for number, _, _ in found] == [1, 4, 5, 6]
    assert [source.read(place) for _, place, _ in found] == [raw for _, _, raw in found] == rows(4)


def test_the_last_line_needs_no_end_and_windows_ends_are_ends(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\r\n".join(json.dumps(row).encode() for row in rows(3)))
    assert asked(open_dataset(str(path))) == [row["question"] for row in rows(3)]


GOOD = json.dumps(rows(1)[0]).encode()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "x", "answer"', "the line is no JSON"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"[1, 2]", "the line is a list"),
        (b'"text"', "the line is a str"),
        (b"null", "the line is a NoneType"),
        (b'{"question": "x", "answer": NaN}', "NaN is no JSON"),
        (b'{"question": "x", "answer": 1, "answer": 2}', "the key 'answer' is written twice"),
        (b'{"question": "x", "a": {"b": 1, "b": 2}, "answer": 1}', "the key 'b' is written twice"),
        (b"[" * 200_000, "the line is no JSON"),
        (b'{"question": "x", "answer": ' + b"9" * 5_000 + b"}", "the line is no JSON"),
        (b'{"question": "x\\u0000", "answer": 1}', "a NUL character"),
        (b'{"question": "\\ud800", "answer": 1}', "half of a surrogate pair"),
        (b'{"question": "x"}', "the column 'answer' is missing"),
        (b'{"question": ["x"], "answer": 1}', "a list, not a text"),
        (b'{"question": "x", "answer": "\\\\frac{1}{"}', "cannot be read"),
        (b'{"question": "' + b"x" * 9_000 + b'", "answer": 1}', "9000 characters; max_question_length is 8192"),
    ],
)
def test_a_bad_line_is_refused_by_file_row_and_reason(line, reason, write_lines):
    path = write_lines([GOOD, line, GOOD])
    with pytest.warns(DatasetWarning, match="1 of 3 rows were refused"):
        dataset = open_dataset(str(path))
    [refusal] = dataset.report.refusals
    assert (refusal.file, refusal.row) == ("data.jsonl", 2) and reason in refusal.reason
    assert len(dataset) == dataset.report.rows == 2 and dataset.report.refused.total() == 1
    assert [dataset.row(place).number for place in range(2)] == [1, 3]


def test_a_line_of_100_mb_is_refused_in_little_memory(write_lines, monkeypatch):
    monkeypatch.setattr(jsonl, "MOST_LINE_BYTES", 1 << 20)
    path = write_lines([GOOD, b'{"question": "' + b"x" * (100 << 20) + b'", "answer": 1}', GOOD])
    tracemalloc.start()
    with pytest.warns(DatasetWarning, match="longer than"):
        dataset = open_dataset(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(dataset) == 2 and peak < 20 << 20


def test_of_a_large_file_only_the_places_of_its_rows_are_kept(write_lines):
    padding = "x" * 10_000
    path = write_lines({**row, "notes": padding} for row in rows(1_000))
    tracemalloc.start()
    dataset = Dataset(DatasetConfig(str(path)), "all", False)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 10_000_000
    assert dataset.nbytes == 1_000 * (20 + 8)
    assert kept < 1 << 20 and peak < 4 << 20


def test_refusals_are_counted_by_kind_and_listed(write_lines):
    path = write_lines([GOOD, *[b"{"] * 1_200, b'{"question": "x"}'])
    with pytest.warns(DatasetWarning, match="1200 bad line, 1 missing column.*data.jsonl, row 2"):
        report = open_dataset(str(path)).report
    assert report.refused == Counter({"bad line": 1_200, "missing column": 1}) and len(report.refusals) == 1_000


def test_a_warning_comes_once(write_lines, recwarn):
    path = write_lines([GOOD, b"{"])
    with pytest.warns(DatasetWarning):
        open_dataset(str(path))
    open_dataset(str(path))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ([], "is empty"),
        ([b"", b"  "], "is empty"),
        ([b"{", b"["], "holds no rows"),
        ([{"question": "x", "gold_answer_text": "1"}], "no column holds the answer"),
        ([{"text": "x", "answer": "1"}], "no column holds the question"),
        ([{"question": "x", "answer": ""}], "no row of"),
    ],
)
def test_a_file_without_rows_is_an_error(lines, part, write_lines):
    path = write_lines(lines)
    with pytest.raises(UserError, match="data.jsonl") as caught:
        open_dataset(str(path))
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("none.jsonl", "there is no file"),
        ("none.parquet", "there is no file"),
        ("deepscalr", "did you mean deepscaler?"),
        ("nothing", "there is no file, folder or preset"),
        ("data.csv", "is no .jsonl or .parquet file"),
        ("empty", "holds no .jsonl or .parquet files"),
    ],
)
def test_what_is_not_there_is_told(path, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("question,answer\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        open_dataset(path)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (3, "a int; give a path"),
        ({}, "path is missing"),
        ({"path": "x", "pth": 1}, "'pth' is not a key; did you mean path?"),
        ({"path": ""}, "path is ''"),
        ({"path": "x\0"}, "path is"),
        ({"path": "x", "preset": "mathvist"}, "did you mean mathvista?"),
        ({"path": "x", "columns": {"quest": "q"}}, "columns.quest is unknown; did you mean question?"),
        ({"path": "x", "columns": {"question": 3}}, "columns.question is 3"),
        ({"path": "x", "columns": ["q"]}, "give a mapping"),
        ({"path": "x", "check": "some"}, "choose from all, fast"),
        ({"path": "x", "system": "ours"}, "choose from data, environment"),
        ({"path": "x", "max_pixels": 0}, "at least 1"),
        ({"path": "x", "max_question_length": True}, "whole number"),
    ],
)
def test_a_wrong_configuration_is_told_by_its_key(value, part):
    with pytest.raises(UserError) as caught:
        read_config(value)
    assert part in str(caught.value)


def test_two_names_for_the_split_contradict():
    with pytest.raises(UserError, match="leave one out"):
        read_config({"path": "x", "split": "dev"}, "test")
    assert read_config({"path": "x"}, "test").split == "test"


def test_a_folder_has_the_splits_that_its_files_are_called(write_lines, tmp_path):
    write_lines(rows(30), "train-00000-of-00002.jsonl")
    write_lines(rows(30, 30), "train-00001-of-00002.jsonl")
    write_lines(rows(10, 100), "test.jsonl")
    write_lines(rows(5, 200), "dev_small.jsonl")
    sizes = {split: len(open_dataset(str(tmp_path), split)) for split in ("all", "train", "validation", "test")}
    assert sizes == {"all": 75, "train": 60, "validation": 5, "test": 10}
    train = open_dataset(str(tmp_path), "train")
    assert sorted(asked(train)) == sorted(row["question"] for row in rows(60))
    assert train.source_name(30) == "train-00001-of-00002.jsonl"
    assert len(open_dataset({"path": str(tmp_path), "split": "test"})) == 10


def test_a_split_that_is_not_there_is_told(write_lines, tmp_path):
    write_lines(rows(30), "train.jsonl")
    write_lines(rows(10), "test.jsonl")
    with pytest.raises(UserError, match="has no split for validation: what is there .* is for test and train"):
        open_dataset(str(tmp_path), "validation")
    with pytest.raises(UserError, match="has no split 'dev'; there are test, train"):
        open_dataset({"path": str(tmp_path), "split": "dev"})
    with pytest.raises(UserError, match="split is 'holdout'"):
        open_dataset(str(tmp_path), "holdout")


def test_data_without_splits_is_divided_by_content(write_lines):
    path = write_lines(rows(2_000))
    parts = {split: set(asked(open_dataset(str(path), split))) for split in ("train", "validation", "test")}
    assert set.union(*parts.values()) == {row["question"] for row in rows(2_000)}
    assert sum(map(len, parts.values())) == 2_000
    assert 150 < len(parts["test"]) < 250 and 60 < len(parts["validation"]) < 140
    again = write_lines([{**row, "answer": "0"} for row in reversed(rows(2_000))], "other.jsonl")
    assert set(asked(open_dataset(str(again), "test"))) == parts["test"], "the split belongs to the question alone"


def test_held_out_data_is_for_testing_whatever_its_splits_are_called(write_lines, hub):
    raw = {"Question": "What?", "Correct Answer": "1"} | {f"Incorrect Answer {k}": str(-k) for k in (1, 2, 3)}
    path = write_lines([{**raw, "Question": f"What is {n}?"} for n in range(40)], "train.jsonl")
    config = {"path": str(path), "preset": "gpqa_diamond"}
    assert len(open_dataset(config, "test")) == len(open_dataset(config)) == 40
    with pytest.raises(UserError, match="has no split for train"):
        open_dataset(config, "train")


def test_a_file_that_changes_is_not_read_wrongly(write_lines):
    path = write_lines(rows(5))
    dataset = open_dataset(str(path))
    write_lines(rows(6, 50))
    with pytest.raises(UserError, match="was changed while it was in use"):
        dataset.row(0)
    assert asked(open_dataset(str(path))) == [row["question"] for row in rows(6, 50)]
    path.unlink()
    with pytest.raises(UserError, match="cannot be read any more"):
        open_dataset.__globals__["_opened"].popitem()[1].row(0)


def test_what_was_found_is_kept_and_taken_again(write_lines, own_cache, monkeypatch):
    path = write_lines([*rows(1_000), b"{"])
    with pytest.warns(DatasetWarning):
        first = open_dataset(str(path))
    [kept] = own_cache.iterdir()
    monkeypatch.setattr(JsonLines, "rows", None)  # reading the file again would fail
    monkeypatch.setattr(JsonLines, "columns", lambda self: ["question", "answer"])
    again = Dataset(DatasetConfig(str(path)), "all", None)
    assert asked(again) == asked(first) and again.report == first.report
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache.parent.parent))
    kept.write_bytes(b"damaged")
    assert Dataset(DatasetConfig(str(path)), "all", None).report == first.report


def test_pictures_that_were_missing_are_looked_for_again(write_lines, tmp_path, picture):
    lines = [{**row, "image": f"{n}.png"} for n, row in enumerate(rows(1_000))]
    path = write_lines(lines)
    with pytest.raises(UserError, match="1000 of 1000 rows were refused .1000 missing picture"):
        open_dataset(str(path))
    for n in range(1_000):
        (tmp_path / f"{n}.png").write_bytes(picture((8, 8)))
    assert len(open_dataset(str(path))) == 1_000


TRAINED_ON = ("deepscaler", "gpqa", "gpqa_diamond", "math500", "mathvista", "vermulti", "vermulti_geo")


@pytest.mark.parametrize("name", TRAINED_ON)
def test_presets_through_the_real_loader(name, hub, tmp_path, monkeypatch, picture):
    """Rows of the published columns, in a file that the test writes, read as the hub's would be."""
    message = [
        {"role": "system", "content": "Solve."},
        {"role": "user", "content": [{"type": "image", "image": "0.png"}]},
    ]
    message[1]["content"].append({"type": "text", "text": "How long is AB?"})
    published = {
        "deepscaler": {"problem": "What is 1+1?", "answer": "2", "solution": "1+1=2"},
        "vermulti": {"question": "x", "answer": "$\\boxed{60}$", "message": json.dumps(message)},
        "math500": {"problem": "What is $1+1$?", "solution": "It is $\\boxed{2}$.", "answer": "2", "subject": "Algebra",
                    "level": 1, "unique_id": "test/algebra/1.json"},
        "gpqa": {"Question": "What?", "Correct Answer": "a", "Incorrect Answer 1": "b", "Incorrect Answer 2": "c",
                 "Incorrect Answer 3": "d", "Explanation": "e", "Record ID": "rec1"},
        "mathvista": {"pid": "1", "question": "Which is larger?", "image": "images/1.jpg",
                      "decoded_image": {"bytes": picture(), "path": None}, "choices": ["AB", "CD"], "unit": None,
                      "precision": None, "answer": "CD", "question_type": "multi_choice", "answer_type": "text"},
    }  # fmt: skip
    published |= {"vermulti_geo": published["vermulti"], "gpqa_diamond": published["gpqa"]}
    if name.startswith("vermulti"):
        folder = PRESETS[name].image_folder
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.png").write_bytes(picture())
        published[name]["message"] = published[name]["message"].replace("0.png", f"/their/disk/data/{folder}/0.png")
    features = hub.Dataset.from_list([published[name]] * 3)
    if name == "mathvista":
        features = features.cast_column("decoded_image", hub.Image())
    split = PRESETS[name].split or "train"
    asked_for = []

    def load_dataset(*args, **kwargs):
        asked_for.append((args, kwargs))
        loaded = hub.DatasetDict({split: features})
        return loaded if kwargs["split"] is None else loaded[kwargs["split"]]

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    dataset = open_dataset({"path": name, "image_root": str(tmp_path)})
    preset = PRESETS[name]
    assert asked_for == [
        ((preset.hub, preset.subset), {"split": preset.split, "revision": None, "data_files": preset.files})
    ]
    assert len(dataset) == 3 and dataset.report.duplicates == 2 and dataset.family == name
    row = dataset.row(1)
    expected = {"deepscaler": "2", "math500": "2", "vermulti": "$\\boxed{60}$", "vermulti_geo": "$\\boxed{60}$"}
    assert row.answer == expected.get(name, row.answer) and row.number == 2
    pictures = dataset.load_pictures(1, row)
    assert [image.shape for image in pictures] == ([(30, 40, 3)] if "v" in name else [])
    if row.choices:
        assert row.choices["ABCD".index(row.answer)] == ("CD" if name == "mathvista" else "a")
    monkeypatch.undo()
    features.to_parquet(tmp_path / "rows.parquet")
    local = open_dataset({"path": str(tmp_path / "rows.parquet"), "preset": name})
    assert local.row(1).question == row.question and local.row(1).answer == row.answer


def test_a_parquet_file_is_read_anew_when_it_changes(hub, tmp_path):
    for first in (0, 50):
        hub.Dataset.from_list(rows(7, first)).to_parquet(tmp_path / "rows.parquet")
        assert asked(open_dataset(str(tmp_path / "rows.parquet"))) == [row["question"] for row in rows(7, first)]


def test_the_real_loaders_json_and_parquet_are_the_same_rows(hub, tmp_path, write_lines):
    path = write_lines(rows(9))
    loaded = hub.load_dataset("json", data_files=str(path), split="train")
    loaded.to_parquet(tmp_path / "rows.parquet")
    assert asked(open_dataset(str(path))) == asked(open_dataset(str(tmp_path / "rows.parquet")))


def test_a_file_that_is_no_parquet_is_told(hub, tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="rows.parquet cannot be read as Parquet"):
        open_dataset(str(tmp_path / "rows.parquet"))


def test_without_the_hub_the_way_out_is_told(hub, monkeypatch):
    def load_dataset(*args, **kwargs):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    with pytest.raises(UserError, match="owner/name cannot be loaded .* Couldn't reach .* give the path"):
        open_dataset("owner/name")
    with pytest.raises(UserError, match="archive mathv60k_img.tar.gz of VLM-Reasoner/VerMulti: unpack it"):
        open_dataset("vermulti")


def test_without_the_library_the_extra_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "rows.parquet").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r"pip install 'lmmr1\[datasets\]'"):
        tables.open_parquet(tmp_path / "rows.parquet")


def test_reading_lines_loads_nothing_heavy(write_lines):
    path = write_lines(rows(3))
    program = (
        "import sys, lmmr1\n"
        f"env = lmmr1.make_chat('LMMR1/Reasoning-v0', dataset={str(path)!r})\n"
        "env.reset(seed=0)\n"
        "print(sorted({'torch', 'datasets', 'pyarrow', 'pandas', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
