"""`lmmr1 size`: the table, the figures for programs, and what is told about wrong input."""

import argparse
import json

import pytest

from lmmr1 import cli
from lmmr1.commands import settings, size

FEW = ["--mean-reply", "200", "--spread", "0.5"]


def test_a_column_for_each_number_of_gpus(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["size", "mgt_sokoban", "--gpus", "8", "16", *FEW]) == 0
    out = capsys.readouterr().out
    assert "mgt_sokoban, Qwen2.5-VL-3B (3.75 billion parameters), NVIDIA H100 80 GB" in out
    assert "lengths assumed: log-normal replies, mean 200, spread 0.5" in out
    row = next(line for line in out.splitlines() if line.startswith("GPUs"))
    assert row.split() == ["GPUs", "8", "16"]
    assert max(map(len, out.splitlines())) <= 120


def test_figures_for_programs(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["size", "fre_text", "--gpus", "8", "--async", "3", "--learners", "4", "--json", *FEW]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["learners"], told["rolling_out"], told["fits"]) == (4, 4, True)
    assert told["outcome"]["staleness"] <= 3
    assert told["rank_bytes"]["total"] == pytest.approx(
        sum(size for part, size in told["rank_bytes"].items() if part not in ("total", "host"))
    )
    assert told["gpu_hours"] == pytest.approx(8 * told["hours"])


def test_what_does_not_fit_is_said_and_fails(capsys: pytest.CaptureFixture[str]):
    words = ["size", "fre_text", "--gpus", "1", "--zero", "0", "--microbatch-tokens", "262144", *FEW]
    assert cli.main([*words, "--gpu", "a100"]) == 1
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("It fits"))
    assert row.split()[-1] == "NO"


def test_values_of_the_recipe_can_be_changed(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["size", "fre_text", "--stages.fre_text.rollout.groups", "64", *FEW]) == 0
    assert "64 x 16 episodes an iteration" in capsys.readouterr().out


def test_the_options_are_the_commands_own():
    parser = argparse.ArgumentParser()
    size.add_parser(parser.add_subparsers())
    (actions,) = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    words = {word for action in actions["size"]._actions for word in action.option_strings if word.startswith("--")}
    assert words - {settings.GATHERED} == set(settings.OWN_OPTIONS["size"])


def test_faster_parts_make_it_faster(capsys: pytest.CaptureFixture[str]):
    def seconds(*words: str) -> float:
        assert cli.main(["size", "fre_text", "--json", *FEW, *words]) == 0
        return json.loads(capsys.readouterr().out)[0]["outcome"]["iteration"]

    usual = seconds()
    assert seconds("--update-share", "0.8", "--decode-share", "0.9") < usual < seconds("--gpu", "a100")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["size", "tiny"], "tiny has 3 PPO stages: choose one with --stage"),
        (["size", "fre_text", "--model", "nowhere"], "the shape of 'nowhere' is not known"),
        (["size", "fre_text", "--gpus", "0"], "'0' is not a number of at least 1"),
        (["size", "fre_text", "--update-share", "1.5"], "'1.5' is not a share"),
        (["size", "fre_text", "--mean-reply", "long"], "'long' is not a number above 0"),
        (["size", "fre_text", "--lengths", "nowhere"], "nowhere holds no episodes"),
        (["size", "fre_text", "--gpus", "1", "--async"], "1 GPUs cannot be split"),
        (["size", "fre_text", "--gpus", "8", "--learners", "8"], "cannot be split between learners (8)"),
        (["size", "fre_text", "--tensor-parallel", "3"], "not cut evenly into engines of 3"),
        (["size", "sft_text"], "has 0 PPO stages"),
    ],
)
def test_wrong_input(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
