"""The command: what it is given, what it says, and that it answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from lmmr1 import cli
from lmmr1.envs.errors import UserError
from lmmr1.evaluation.viewing.spelling import Speller, Spelling
from lmmr1.evaluation.viewing.subject import open_subjects

from .folders import TOKENIZER, make_evaluation, make_run


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


def view(*words: object) -> int:
    return cli.main(["view", *map(str, words), "--no-browser"])


def test_folders_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = make_run(tmp_path / "runs/one")
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "absent": "there is no folder",
        run / "recipe.yaml": "is a file: give the folder of the run",
        tmp_path / "empty": "is empty (recipe.yaml and settings.json are missing)",
        tmp_path / "runs": f"did you mean {run}?",
        run / "models": "holds neither a run nor an evaluation",
    }
    for folder, message in cases.items():
        assert view(folder) == 2
        assert message in error_of(capsys)


def test_words_that_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = make_run(tmp_path / "one")
    for words, message in (
        ([run, "--port", "70000"], "--port must be from 0 to 65535"),
        ([run, "--port", "x"], "invalid int value"),
        ([run, run], "the same folder is named twice"),
        ([run] * 9, "too many for one page"),
        ([run, "--device", "tpu"], "invalid choice"),
        ([run, "--host", "203.0.113.7"], "cannot listen at 203.0.113.7"),
        ([], "required: RUN"),
    ):
        assert view(*words) == 2
        captured = capsys.readouterr().err.splitlines()
        assert captured[-1].startswith("error: ") and message in captured[-1]


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = make_run(tmp_path / "one")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert view(run, "--port", taken.getsockname()[1]) == 2
    assert "Address already in use; another --port may be free (0 takes one that is)" in error_of(capsys)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_answers_and_ends(tmp_path: Path, host: str):
    folders = [make_run(tmp_path / "a/run"), make_evaluation(tmp_path / "b/run")]
    command = [sys.executable, "-m", "lmmr1", "view", *map(str, folders), "--port", "0", "--no-browser", "--host", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("a/run, b/run at http://") and line.endswith(" (stop with Ctrl-C)\n")
        url = line.split()[3].replace("0.0.0.0", "127.0.0.1")
        with urllib.request.urlopen(f"{url}/api/overview") as answer:
            assert [run["label"] for run in json.load(answer)["runs"]] == ["a/run", "b/run"]
        process.send_signal(2)
        assert process.wait(20) == 0
        warned = process.stderr.read()
    assert ("warning: --host 0.0.0.0 lets everybody" in warned) == (host != "127.0.0.1")
    assert "Traceback" not in warned


@pytest.mark.parametrize("extras", [True, False])
def test_viewing_needs_nothing_that_training_needs(tmp_path: Path, extras: bool):
    run = make_run(tmp_path / "run")
    missing = (
        ""
        if extras
        else "sys.modules |= dict.fromkeys(('torch', 'transformers', 'pydantic', 'yaml', 'huggingface_hub'))\n"
    )
    program = (
        f"import sys; from pathlib import Path\n{missing}"
        "import lmmr1.commands.viewing.theatre, lmmr1.evaluation.viewing.app as app\n"
        "from lmmr1.evaluation.viewing.subject import open_subjects\n"
        f"subjects = open_subjects([Path({str(run)!r})])\n"
        "theatre = lmmr1.commands.viewing.theatre.CheckpointTheatre(subjects, 'cpu')\n"
        "gallery = app.Gallery([app.Exhibit.open(subjects[0], theatre.base_folder(0))], theatre)\n"
        "app.make_app(gallery); choices = theatre.choices(); gallery.close()\n"
        "print(sys.modules.get('torch'), sys.modules.get('transformers'), *choices['problems'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    needs = "" if extras else " playing needs pydantic, which is not installed: run pip install 'lmmr1[train]'"
    assert done.stdout == f"None None{needs}\n", done.stderr


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_server_is_named(tmp_path: Path, package: str):
    run = make_run(tmp_path / "run")
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"from lmmr1 import cli; sys.exit(cli.main(['view', {str(run)!r}, '--no-browser']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "run pip install 'lmmr1[serve]'" in done.stderr


def test_an_evaluation_is_known_by_the_names_that_it_writes():
    from lmmr1.evaluation import session
    from lmmr1.evaluation.viewing import subject

    assert [vars(subject)[key] for key in ("SETTINGS", "RESULTS", "EPISODES")] == [
        vars(session)[key] for key in ("SETTINGS", "RESULTS", "EPISODES")
    ]


# ------------------------------------------------------------------------------------------------------------ spelling


@pytest.mark.parametrize(
    "text", ["<think>7 + 5 = 12</think><answer>12</answer>", "Grüße 🙂 \u4e2d\n\tx", "a\ufffdb", ""]
)
def test_tokens_spell_the_text(text: str):
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER.parent)
    ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    spelled = Spelling(TOKENIZER).spell(ids)
    assert len(spelled) == len(ids)
    assert "".join(spelled) == tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def test_half_characters_and_unknown_ids_are_shown():
    spelling = Spelling(TOKENIZER)
    first = next(index for index, piece in spelling._pieces.items() if piece == "é".encode()[:1])
    assert spelling.spell([first]) == ["\ufffd"]
    assert spelling.spell([999_999_999, -1]) == ["[999999999]", "[-1]"]


def test_other_kinds_of_tokenizers(tmp_path: Path):
    pieces = [["<unk>", 0.0], ["\u2581Hello", -1.0], ["<0xC3>", -2.0], ["<0xA9>", -2.0]]
    path = tmp_path / "tokenizer.json"
    path.write_text(
        json.dumps({"model": {"type": "Unigram", "vocab": pieces}, "added_tokens": [{"id": 9, "content": "</s>"}]})
    )
    assert Spelling(path).spell([1, 2, 3, 9]) == [" Hello", "", "é", "</s>"]


def test_a_run_without_a_tokenizer_has_no_spelling(tmp_path: Path):
    run = make_run(tmp_path / "run")
    speller = Speller(run)
    assert speller.spell([65]) is not None
    (run / "models/fre/tokenizer.json").write_text("{broken")
    with pytest.raises(UserError, match="not readable as a tokenizer"):
        Spelling(run / "models/fre/tokenizer.json")
    assert Speller(run).spell([65]) is None
    assert Speller(run, TOKENIZER.parent).spell([65]) is not None


def test_overviews_of_folders_with_damaged_files(tmp_path: Path):
    run = make_run(tmp_path / "run")
    (run / "summary.json").write_text('{"name": ')
    (run / "recipe.yaml").write_bytes(b"name: \xff\n")
    told = open_subjects([run])[0].overview()
    assert told["told"] == {} and told["recipe"] == "name: \ufffd\n" and told["age"] < 600
