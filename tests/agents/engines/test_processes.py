"""vLLM in processes of its own: the same figures, and none that outlives the learner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ..models import save_family

pytestmark = pytest.mark.stack("vllm")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("devices", "close", "ended_by"), [(2, "leave", signal.SIGKILL), (1, "close", signal.SIGINT)], ids=["kill", "close"]
)
def test_vllm_in_processes_of_its_own(tmp_path: Path, devices: int, close: str, ended_by: signal.Signals) -> None:
    save_family("qwen2_5_vl", tmp_path / "model", heads=2)
    command = [sys.executable, "-m", "tests.agents.engines.driver", str(tmp_path / "model"), str(devices), close]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # As a launcher leaves it to its learners: vLLM's processes must not take it for theirs.
    variables = {**os.environ, "TMPDIR": str(temporary), "RANK": "3", "WORLD_SIZE": "7", "LOCAL_RANK": "3"}
    driver = subprocess.Popen(
        [*command, str(tmp_path / "told.json")], cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    try:
        lines = iter(driver.stdout.readline, "")
        assert any(line.startswith("told") for line in lines), "it ended before it told anything"
        told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
        if close == "leave":
            assert alive(told["processes"]), "they work for it"
        else:
            assert not await_end(told["processes"]), "closing ends them"
    finally:
        driver.send_signal(ended_by)
        driver.wait()
    assert not await_end(told["processes"]), "they outlive the process that they work for"
    assert max(told["gaps"]) < 1e-5
    assert told["versions"] == [3]
    assert told["lengths"][1] < told["lengths"][0]
    assert len(told["processes"]) == 1 + devices  # vLLM's scheduler has one of its own
    assert told["environment"] == [] and not told["distributed"]
    assert not list(temporary.glob("lmmr1-vllm-*")), "the folder of the weights is gone when they are loaded"


def alive(processes: list[int]) -> list[int]:
    """Those that still run; who has ended and was not yet fetched by its parent does not."""
    found = []
    for pid in processes:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            pass
    return found


def await_end(processes: list[int]) -> list[int]:
    """Those that still run in 20 seconds."""
    deadline = time.monotonic() + 20
    while alive(processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive(processes)
