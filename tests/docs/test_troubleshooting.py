"""The messages that the page explains are messages of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lmmr1 import cli

from .messages import ROOT, patterns

PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
OURS = PAGE[: PAGE.index("## Messages of other programs")]
QUOTED = re.findall(r"^\*\*`(.+)`\*\*$", OURS, re.MULTILINE)
# The rest of a message is what stands in its placeholders.
LEAST_SHARE = 0.18


def share(message: str, pattern: re.Pattern[str]) -> float:
    """How much of a message is a text of the code, word for word; 0 where it is not that text."""
    found = pattern.search(message)
    literal = sum(len(part) for part in re.split(r"\.\*\?", pattern.pattern))
    return 0.0 if found is None else min(literal, len(found[0])) / len(message)


def test_every_quoted_message_is_in_the_code():
    known = patterns()
    missing = [message for message in QUOTED if max(share(message, pattern) for pattern in known) < LEAST_SHARE]
    assert not missing, "no longer in the code: " + "; ".join(missing)


def test_there_are_many_and_each_has_its_remedy():
    assert len(QUOTED) >= 25 and len(set(QUOTED)) == len(QUOTED)
    for message in QUOTED:
        after = OURS.split(f"**`{message}`**", 1)[1].strip().split("\n\n", 1)[0]
        assert len(after) > 20 and not after.startswith(("**`", "##")), message


def test_a_message_of_nobody_is_found_out():
    known = patterns()
    assert max(share("the flux capacitor has run out of plutonium", pattern) for pattern in known) < LEAST_SHARE


# Command lines that are wrong, each told as the page quotes it.
PROVOKED = {
    "play LMMR1/Sokobann-v0": "unknown environment 'LMMR1/Sokobann-v0'",
    "play my_package:MyWorld-v0": "cannot import the module 'my_package'",
    "record LMMR1/Sokoban-v0 --kwargs.boxes 3": "unexpected keyword argument 'boxes'",
    "record LMMR1/Sokoban-v0 --episodes 1 --out film.avi": "a film must be named .mp4 or .gif",
    "train tiny --stages.fre.iteration 4": "stages.fre.iteration is not a key",
    "train tiny --stages.fre.ppo.minibatches 1000": "minibatches (1000) must not exceed",
    "train tiny --seed": "--seed needs a value",
    "train lake.yaml": "not readable as YAML",
    "train tiny --run-dir runs/notes": "holds something that is not a run",
    "train tiny --run-dir runs/tiny --resume": "there is no run to resume in runs/tiny",
    "dataset check sum.jsonl": "there is no file sum.jsonl",
    "evaluate random --suite papers": "there is no suite 'papers'",
    "serve tiny --host 0.0.0.0": "--host 0.0.0.0 can be reached",
}


@pytest.mark.parametrize("words", PROVOKED)
def test_a_wrong_command_line_is_told_as_quoted(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/notes").mkdir(parents=True)
    (tmp_path / "runs/notes/mine.txt").write_text("not a run", encoding="utf-8")
    (tmp_path / "lake.yaml").write_text("name: lake\nhelp: x\nstages: {a: b: c}\n", encoding="utf-8")
    assert cli.main(words.split()) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("error: ")
    [quoted] = [message for message in QUOTED if PROVOKED[words] in message]
    assert told == quoted
