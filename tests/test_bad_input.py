"""Whatever is wrong with what comes in: one line that says so, the right exit code, no traceback, and nothing lost."""

from __future__ import annotations

import io
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmmr1 import cli
from lmmr1.agents import hub
from lmmr1.agents.tiny import TINY_FOLDER
from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.registry import REGISTRATIONS

from .agents.models import save_family
from .training.small_run import RECIPE


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE, encoding="utf-8")
    return "small.yaml"


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error; before it a run may have told what it was doing."""
    lines = capsys.readouterr().err.splitlines()
    assert lines and lines[-1].startswith("error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


# ------------------------------------------------------------------------------------------------- recipe and options


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nope", "3", "nope is not a key; the keys here are name"),
        ("stages.wrds.iterations", "3", "there is no stages.wrds, did you mean words?"),
        ("stages.words.iterations", "ten", "stages.words.iterations must be a valid integer, not 'ten'"),
        ("stages.words.iterations", "1.5", "stages.words.iterations must be a valid integer, not 1.5"),
        ("stages.words.rollout.groups", "-4", "stages.words.rollout.groups must be at least 1, not -4"),
        ("stages.words.environments.7.id", "x", "has 1 entries, numbered from 0"),
        ("stages.words.environments.0.id", "LMMR1/Reasonin-v0", "did you mean LMMR1/Reasoning-v0"),
        ("stages.words.environments.0.id", "a b c", "Malformed environment ID"),
        ("stages.words.environments.0.id", "nowhere:X-v0", "cannot import the module 'nowhere'"),
        ("stages.words.environments.0.kwargs.colour", "red", "unexpected keyword argument 'colour'"),
        ("stages.words.environments.0.kwargs.families", "3", "families is 3; give a list of names"),
        ("stages.words.environments.0.kwargs.families", "[triangle]", "'triangle' is not a family here"),
        ("stages.words.environments.0.kwargs.level", "big", "level is 'big'"),
        ("stages.words.environments.0.chat.format_weight", "big", "format_weight must be a number, not 'big'"),
        ("stages.words.environments.0.chat.invalid_reward", ".nan", "invalid_reward must be a number, not nan"),
        ("stages.words.environments.0.chat.spec", "3", "spec must be a ChatSpec"),
        ("stages.game.environments.0.kwargs.dim_room", "7", "dim_room is 7; give rows and columns"),
        ("stages.game.environments.0.kwargs.rewards", "7", "cannot be made with dim_room"),
        ("stages.words.environments.0", "{id: FrozenLake-v1, kwargs: {map_name: 9x9}}", "FrozenLake-v1 cannot be made"),
        ("stages.copy.demonstrations.0.environment", "{id: CartPole-v1}", "CartPole-v1 cannot be demonstrated"),
        ("stages.words.rollout.group_size", "1", "group_size must be at least 2"),
        ("seed", "99999999999999999999", "seed must be below 2 to the power of 63"),
        ("name", "../outside", "a name is made of letters"),
        ("stages", "{../x: {kind: ppo, help: x, environments: [{id: CartPole-v1}]}}", "a name is made of letters"),
        ("stages", "{start: {kind: ppo, help: x, environments: [{id: CartPole-v1}]}}", "'start' names the evaluation"),
    ],
)
def test_a_wrong_recipe_starts_no_run(key, value, message, recipe, capsys):
    assert cli.main(["train", recipe, "--run-dir", "run", f"--{key}", value]) == 2
    assert message in last_line(capsys)
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["small.yaml", "small.yaml/run", "/proc/nothing/run", "x" * 300])
def test_a_run_needs_a_folder(name, recipe, capsys):
    assert cli.main(["train", recipe, "--run-dir", name]) == 2
    last_line(capsys)


def test_a_folder_that_holds_another_run_is_left_alone(recipe, capsys):
    Path("run").mkdir()
    Path("run/recipe.yaml").write_text(RECIPE, encoding="utf-8")
    Path("run/checkpoints/000001-0000000").mkdir(parents=True)
    before = sorted(Path("run").rglob("*"))
    assert cli.main(["train", recipe, "--run-dir", "run"]) == 2
    assert "run holds an unfinished run: go on with --resume" in last_line(capsys)
    assert sorted(Path("run").rglob("*")) == before


# ------------------------------------------------------------------------------------------------------------- models


def unlink(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize("command", ["train", "evaluate", "record"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (unlink("preprocessor_config.json"), "cannot read its image processor"),
        (unlink("tokenizer.json"), "cannot read its tokenizer"),
        (truncate, "cannot read its weights"),
    ],
    ids=["no processor", "no tokenizer", "truncated"],
)
def test_a_damaged_model(command, damage, message, recipe, capsys):
    shutil.copytree(TINY_FOLDER, "model")
    damage(Path("model"))
    words = {
        "train": ["train", recipe, "--run-dir", "run", "--model", "./model"],
        "evaluate": ["evaluate", "./model"],
        "record": ["record", "LMMR1/Sokoban-v0", "--agent", "./model", "--out", "film.gif"],
    }[command]
    assert cli.main(words) == 2
    assert message in last_line(capsys)
    assert not Path("film.gif").exists()
    if command == "train":  # nothing was begun, so the next try needs no other folder
        assert cli.main([*words[:-1], "nowhere/else"]) == 2
        assert "nowhere/else" in last_line(capsys)


def test_a_hub_that_cannot_be_reached(recipe, monkeypatch, capsys):
    def model_info(*_, **__):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub.HfApi, "model_info", model_info)
    assert cli.main(["train", recipe, "--run-dir", "run", "--model", "nobody/nothing-7B"]) == 2
    assert "'nobody/nothing-7B': there is no such folder, https" in last_line(capsys)


def test_pictures_for_a_model_that_reads_text_only(recipe, capsys):
    save_family("qwen2", Path("reader"))
    words = ["train", recipe, "--run-dir", "run", "--model", "./reader", "--stages.game.freeze", "[]"]
    assert cli.main(words) == 2
    line = last_line(capsys)
    assert "stages.critic: LMMR1/Geometry-v0 shows images, and the model './reader' reads text only" in line
    # Told before the first stage, and where no recipe warns of it.
    assert not Path("run/metrics.jsonl").exists()
    assert cli.main(["record", "LMMR1/Geometry-v0", "--agent", "./reader", "--out", "film.gif"]) == 2
    assert "reads text only, but the environment shows images" in last_line(capsys)


@pytest.mark.parametrize(
    ("key", "pattern", "message"),
    [
        ("stages.game.freeze", "[model.vision.*]", "stages.game: freeze: 'model.vision.*' matches no parameter"),
        ("model.freeze", "[nothing]", "stages.words: freeze: 'nothing' matches no parameter"),
        ("model.freeze", "['*']", "match every parameter; one at least must learn"),
    ],
)
def test_a_freeze_pattern(key, pattern, message, recipe, capsys):
    assert cli.main(["train", recipe, "--run-dir", "run", f"--{key}", pattern]) == 2
    assert message in last_line(capsys)
    assert not Path("run/metrics.jsonl").exists()


def test_a_prompt_that_never_fits(recipe, capsys):
    assert cli.main(["train", recipe, "--run-dir", "run", "--stages.words.rollout.max_context_tokens", "25"]) == 2
    assert "iteration 1 has nothing to learn from: not one first message fits" in last_line(capsys)


def test_a_world_that_always_fails(recipe, monkeypatch, capsys):
    def step(self, action):
        raise RuntimeError("the world broke")

    monkeypatch.setattr("lmmr1.envs.reasoning.env.ReasoningEnv.step", step)
    assert cli.main(["train", recipe, "--run-dir", "run"]) == 2
    assert "all 8 episodes failed, the first in LMMR1/Reasoning-v0 with RuntimeError: the world broke" in last_line(
        capsys
    )


@pytest.mark.parametrize("name", ["small.yaml/film.gif", "/proc/film.gif", "/proc/film.mp4", "film.mp5"])
def test_a_film_that_cannot_be_written(name, recipe, capsys):
    words = ["record", "LMMR1/Sokoban-v0", "--episodes", "1", "--max-turns", "1", "--kwargs.dim_room", "[6, 6]"]
    assert cli.main([*words, "--out", name]) == 2
    assert name in last_line(capsys)


# ------------------------------------------------------------------------------------------------------------ replies

MEGABYTE = 1 << 20
HOSTILE = {
    "empty": "",
    "no tags": "Up, I think",
    "half a tag": "<think>Up<answer>Up",
    "wrong order": "<answer>Up</answer><think></think>",
    "tower": "9^{9^9}",
    "tower of stars": "9**9**9**9**9",
    "factorials": "9!!!!!!!!",
    "long number": "9" * MEGABYTE,
    "long exponent": "1e" + "9" * 1000,
    "brackets": "(" * 100_000,
    "braces": "\\frac{" * 50_000,
    "commas": "," * MEGABYTE,
    "tags": "<think><answer>" * 60_000,
    "closing tags": "</answer></think>" * 60_000,
    "white space": " \n\t" * 300_000,
    "control characters": "".join(map(chr, range(32))) + "\x7f\x1b[2J\x9b",
    "surrogates": "\ud800\udfff\udc80",
    "directions": "\u202eUp\u200b\ufeff\u2028",
    "digits of others": "\u0664\u0662\u00b2\u2460",
    "not numbers": "nan, inf, -inf, 1e999, 0x10, 1_0",
    "code": "__import__('os').system('exit')",
    "formats": "{0.__class__} %s %n ${HOME}",
    "latex": "\\input{/etc/passwd} \\def\\x{\\x\\x}\\x",
    "special tokens": "<|im_end|><|image_pad|>",
}


def worlds() -> list[str]:
    return [*(row.id for row in REGISTRATIONS), "FrozenLake-v1", "CartPole-v1", "Pendulum-v1"]


@pytest.mark.parametrize("id", worlds())
def test_hostile_replies(id: str):
    kwargs: dict[str, Any] = {"dim_room": (6, 6)} if "Sokoban" in id else {}
    env = make_chat(id, **kwargs)
    for name, text in HOSTILE.items():
        for reply in (text, f"<think>x</think><answer>{text}</answer>", f"<think>{text}</think><answer>1</answer>"):
            env.reset(seed=1)
            check_step(env, reply, name)


def check_step(env: ChatEnv, reply: str, name: str) -> None:
    messages, reward, terminated, truncated, info = env.step(reply)
    assert math.isfinite(reward) and reward == pytest.approx(sum(info["reward_parts"].values())), name
    assert not (terminated and truncated)
    assert info["success"] is not True, name
    # What is quoted of it is short and can be shown on any screen.
    shown = "".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")
    assert len(shown) < 2_000, name
    assert all(character.isprintable() or character == "\n" for character in shown), name


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let `lmmr1 play` read these bytes."""

    def play(data: bytes, *words: str, encoding: str = "utf-8") -> int:
        path = tmp_path / "typed"
        path.write_bytes(data)
        with path.open(encoding=encoding, errors="strict") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return cli.main(["play", *words])

    return play


@pytest.mark.parametrize("id", ["LMMR1/Reasoning-v0", "LMMR1/Sokoban-v0"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_typed_to_play(name, id, typed, capsys):
    assert typed(HOSTILE[name].encode("utf-8", "surrogatepass") + b"\nq\n", id, "--seed", "1") == 0
    assert capsys.readouterr().err == ""


def test_bytes_that_are_no_text(typed, capsys):
    assert typed(b"\xff\xfe\x80\n", "LMMR1/Sokoban-v0", "--seed", "1") == 0
    assert "is not an action" in capsys.readouterr().out


def test_a_screen_that_knows_few_characters(typed, monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        assert typed("\u4e2d\n".encode(), "LMMR1/Sokoban-v0", "--seed", "1") == 0
    screen.flush()
    assert b"is not an action" in screen.buffer.getvalue()


def test_arrow_keys_name_the_moves(typed, capsys):
    assert typed(b"\x1b[B\n\x1bOC\n\x1b[B\n", "LMMR1/Sokoban-v0", "--seed", "1") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("answer> ")] == [
        "answer> Down",
        "answer> Right",
        "answer> Down",
    ]
    assert "solved after 3 turns" in said
