"""What can be checked and how it is told: ids, places, objects; the report; the command and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import lmmr1
from lmmr1 import cli
from lmmr1.envs.checking import Finding, Limits, Report, check_env
from lmmr1.envs.checking.checks.replying import odd_reply
from lmmr1.envs.checking.checks.seeding import digest
from lmmr1.envs.checking.checks.turns import image_tokens
from lmmr1.envs.checking.report import Earning
from lmmr1.envs.errors import UserError

FEW = Limits(episodes=2, most_steps=200, odd_replies=50, audit_seeds=4, audit_turns=4, deadline=20.0)
QUICKLY = [f"--limits.{name}={value}" for name, value in (("odd_replies", 50), ("audit_seeds", 4), ("episodes", 2))]


class Here(gym.Env):
    """Knows its episode's length from the seed; defined in no module that a process can import by its name."""

    metadata = {"render_modes": []}
    observation_space: Any = gym.spaces.Discrete(9)
    action_space: Any = gym.spaces.Discrete(2)
    render_mode = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(2, 9))
        return self.left, {}

    def step(self, action: int) -> Any:
        self.left = max(self.left - 1, 0)
        return self.left, float(action), self.left == 0, False, {}


def test_an_instance_is_checked_by_copies_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Here, "__module__", "__main__")  # as in a script or a notebook
    monkeypatch.setattr(sys.modules["__main__"], "Here", Here, raising=False)
    report = lmmr1.check_env(Here(), limits=FEW)
    assert report.id == "Here" and report.passed, report.table()
    assert {"hang", "hash-seed"} <= set(report.named("skip"))
    assert {"same-seed", "group-reset", "reward-audit"} <= set(report.named("pass"))


@pytest.mark.parametrize("what", ["class", "place", "chat"])
def test_other_ways_to_name_one(what: str) -> None:
    from broken_worlds import Sound  # pyright: ignore[reportMissingImports]

    given = {
        "class": Sound,
        "place": "broken_worlds:Sound",
        "chat": lmmr1.make_chat("broken_worlds:Sound-v0", chat={"format_weight": 0.0}),
    }[what]
    report = check_env(given, limits=FEW)
    assert not report.failures and "hang" in report.named("pass"), report.table()
    assert (what == "chat") == all(earning.format == 0 for earning in report.earnings)


@pytest.mark.parametrize(
    ("env", "arguments", "message"),
    [
        ("FrozenLake-v7", {}, "unknown environment 'FrozenLake-v7'"),
        ("no_such_module:X-v0", {}, "cannot import the module 'no_such_module'"),
        ("FrozenLake-v1", {"kwargs": {"size": 3}}, "unexpected keyword argument 'size'"),
        (7, {}, "check_env needs an id, an environment, or a function"),
        (Here(), {"kwargs": {"a": 1}}, "kwargs go with an id"),
        ("json:dumps", {}, "dumps"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_line(env: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((UserError, AssertionError), match=message) as caught:
        report = check_env(env, limits=FEW, **arguments)
        assert not report.failures, report.table()
    assert isinstance(caught.value, UserError) is (env != "json:dumps")


def test_actions_that_cannot_be_spoken_are_a_finding_and_the_rest_is_checked() -> None:
    report = check_env(lambda: gym.wrappers.TransformAction(Here(), _unpack, NESTED), limits=FEW)
    assert set(report.failures) == {"spoken"}, report.table()
    assert "same-seed" in report.named("pass") and "reward-audit" in report.named("skip")


NESTED: Any = gym.spaces.Dict({"a": gym.spaces.Discrete(2)})


def _unpack(action: Any) -> Any:
    return action["a"]


@pytest.mark.parametrize("values", [{"episodes": 0}, {"episodes": 1.5}, {"deadline": float("nan")}, {"step_warn": "x"}])
def test_limits_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        Limits(**values)


def test_the_report_as_a_table_and_as_json() -> None:
    findings = (
        Finding("calm", "pass", "nothing"),
        Finding("odd", "warn", "something " * 20, "step 3", "look at it"),
        Finding("one", "skip", "no reason"),
        Finding("two", "skip", "no reason"),
        Finding("bad", "fail", "everything", "", "mend it"),
    )
    report = Report("X-v0", findings, (Earning("null", "baseline", "", 0.0, 0.0, None, 3.0),), 1.5)
    assert report.failures == ("bad",) and report.warnings == ("odd",) and not report.passed
    lines = report.table().splitlines()
    assert lines[2].startswith("fail  bad") and "-> mend it" in lines[3] and "step 3: something" in report.table()
    assert "skip  one, two: no reason" in lines
    assert lines[-1] == "FAILED in 1.5 s: 1 fail, 1 warn, 1 pass, 2 skip" and max(map(len, lines)) <= 100
    told = json.loads(report.to_json())
    assert told["passed"] is False and [finding["name"] for finding in told["findings"]][-1] == "bad"
    assert told["earnings"][0]["reply"] == "null"


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((28, 28), 4), ((56, 56), 4), ((84, 84), 9), ((256, 256), 81), ((400, 600), 294), ((1000, 1000), 1225)],
)
def test_image_tokens_are_those_of_qwen(size: tuple[int, int], tokens: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    height, width = smart_resize(*size, factor=28, min_pixels=56 * 56, max_pixels=1280 * 28 * 28)
    assert image_tokens(*size) == height * width // 28**2 == tokens


def test_a_digest_tells_values_apart_and_knows_them_again() -> None:
    values = [
        1,
        1.0,
        "1",
        (1,),
        [1, 2],
        {"a": 1},
        {"b": 1},
        np.zeros(1, np.int8),
        np.zeros(1, np.int16),
        np.zeros(2),
        np.zeros((2, 1)),
        None,
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": np.arange(3)}) == digest({"a": np.arange(3)}) and digest("\ud800") == digest("\ud800")


def test_odd_replies_are_many_and_come_again() -> None:
    first, second = ([odd_reply(rng) for _ in range(2000)] for rng in map(np.random.default_rng, (5, 5)))
    assert first == second and len(set(first)) > 1500
    assert "" in first and max(map(len, first)) == 100_000 and any("\x00" in reply for reply in first)
    assert any("\ud800" in reply for reply in first) and any(reply.count("<think>") > 100 for reply in first)


# ---------------------------------------------------------------------------------------------------- the command


def test_the_command_passes_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    words = ["check-env", "FrozenLake-v1", "--quick", "--kwargs.is_slippery", "false", "--json", str(path), *QUICKLY]
    assert cli.main(words) == 0
    assert "passed in" in capsys.readouterr().out
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["id"] == "FrozenLake-v1" and told["passed"] and len(told["earnings"]) > 10
    assert cli.main(["check-env", "FrozenLake-v1", "--quick", "--json", "-", *QUICKLY]) == 0
    assert json.loads(capsys.readouterr().out)["passed"]


def test_the_command_fails_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-env", "broken_worlds:BothFlags-v0", "--quick", *QUICKLY]) == 1
    assert "fail  flags" in capsys.readouterr().out
    words = ["check-env", "broken_worlds:GoesOn-v0", "--quick", *QUICKLY]
    assert cli.main(words) == 0 and cli.main([*words, "--strict"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["FrozenLake-v9"], "unknown environment 'FrozenLake-v9'"),
        (["FrozenLake-v1", "--limits.odd_reply", "3"], "--limits.odd_reply is not a limit; did you mean odd_replies?"),
        (["FrozenLake-v1", "--limits.episodes", "0"], "episodes must be above 0"),
        (["FrozenLake-v1", "--colour", "red"], "--colour is not an option; check-env takes --kwargs.NAME VALUE"),
        (["FrozenLake-v1", "--json", "nowhere/x.json"], "there is no folder nowhere"),
        (["FrozenLake-v1", "--chat.colour", "red"], "colour"),
    ],
)
def test_wrong_input_is_told_in_a_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-env", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_it_never_loads_torch() -> None:
    code = "import sys, lmmr1; lmmr1.check_env; import lmmr1.envs.checking.inside; loaded = set(sys.modules)"
    code += "; assert not {'torch', 'pettingzoo'} & loaded"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_finding_and_every_limit_is_documented() -> None:
    from lmmr1.envs.checking.checks import agents
    from lmmr1.envs.checking.examining import GROUPS

    page = (Path(__file__).parents[3] / "docs" / "check-env.md").read_text(encoding="utf-8")
    names = [name for group in GROUPS for name in group.names] + [*agents.NAMES, "hang", "death", "crash", "hash-seed"]
    names += list(vars(Limits()))
    assert not [name for name in names if f"`{name}`" not in page]


def test_what_another_process_cannot_import_is_checked_in_this_one() -> None:
    spec = lmmr1.ChatSpec("Pass on or pay.", ("Pass", "Pay"), describe=lambda *_: [{"type": "text", "text": "Now?"}])
    for given in (Here, lmmr1.ChatEnv(gym.make("FrozenLake-v1"), instructions="brief"), _spoken_by(spec)):
        report = check_env(given, limits=FEW)
        assert not report.failures, report.table()
        assert ("hang" in report.named("pass")) == (report.id == "FrozenLake-v1")


def _spoken_by(spec: lmmr1.ChatSpec) -> lmmr1.ChatEnv:
    return lmmr1.ChatEnv(Here(), spec=spec)


def test_nothing_is_left_of_an_environment_that_starts_processes() -> None:
    report = check_env("broken_worlds:Forks-v0", limits=FEW)
    assert not report.failures, report.table()
    from broken_worlds import MARK  # pyright: ignore[reportMissingImports]

    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in running if MARK.encode() in command]
