"""What becomes of a run on a cluster when its parts are killed, and what is left of it: nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from lmmr1.envs.errors import UserError
from lmmr1.training.backends.base import LostError
from lmmr1.training.launchers.cluster.launcher import ClusterLauncher
from lmmr1.training.launchers.opening import open_launcher
from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train
from tests.agents.models import random_tiny

from ..backends.learning import STAGE

pytestmark = pytest.mark.stack("deepspeed", "ray")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    random_tiny().save(folder)
    return folder


def document_of(model: Path, **changes: Any) -> dict[str, Any]:
    stage = {**STAGE, "iterations": 3, "ppo": {}}
    return {
        "name": "cluster",
        "help": "a test",
        "films": 0,
        "checkpoint_every": 1,
        "model": {"path": str(model)},
        "stages": {"learn": stage},
        "launcher": {"kind": "ray", "environments": 2, "engines": 1},
        **changes,
    }


def processes_of(kind: str) -> list[psutil.Process]:
    """The processes of actors of a class."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith(f"ray::{kind}"):
            found.append(process)
    return found


@contextlib.contextmanager
def killing(kind: str, once: threading.Event) -> Iterator[None]:
    """Kill one actor of a class, with SIGKILL, as soon as the run has finished its first iteration."""
    stop = threading.Event()

    def watch() -> None:
        once.wait()
        while not stop.is_set():
            for process in processes_of(kind)[:1]:
                process.send_signal(signal.SIGKILL)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        once.set()
        thread.join()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path) -> list[dict[str, Any]]:
    """The metrics of the run that the others are compared with."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train(read_recipe(yaml.safe_dump(document_of(model, checkpoint_every=0))), folder, lambda *_: {})
    return read_metrics(folder)


@pytest.mark.parametrize("kind", ["EngineActor", "EnvironmentActor"])
def test_an_actor_that_is_killed_is_replaced_and_its_work_done_again(
    tmp_path: Path, model: Path, undisturbed: list[dict[str, Any]], kind: str
):
    recipe = read_recipe(yaml.safe_dump(document_of(model, checkpoint_every=0)))
    once = threading.Event()
    with killing(kind, once):
        thread = threading.Thread(target=_await_row, args=(tmp_path / "killed", once), daemon=True)
        thread.start()
        train(recipe, tmp_path / "killed", lambda *_: {})
    rows, other = undisturbed, read_metrics(tmp_path / "killed")
    assert [row["episodes"] for row in other] == [row["episodes"] for row in rows] == [12.0] * 3
    assert all(row["failed_episodes"] == 0 for row in other)
    # The same episodes, and so the same learning, to the bit.
    assert [row["policy_loss"] for row in other] == [row["policy_loss"] for row in rows]


def _await_row(folder: Path, once: threading.Event) -> None:
    path = folder / "metrics.jsonl"
    while not (path.exists() and path.read_text()):
        time.sleep(0.02)
    once.set()


def test_a_learner_that_is_killed_leaves_a_run_that_goes_on_to_the_bit(tmp_path: Path, model: Path):
    ranks = {"kind": "deepspeed", "processes": 2, "stage": 3, "start_seconds": 300.0}
    recipe = read_recipe(yaml.safe_dump(document_of(model, backend=ranks)))
    train(recipe, tmp_path / "undisturbed", lambda *_: {})
    once = threading.Event()
    with killing("RankActor", once), pytest.raises(LostError, match="learner rank [01] ended by itself"):
        thread = threading.Thread(target=_await_row, args=(tmp_path / "killed", once), daemon=True)
        thread.start()
        train(recipe, tmp_path / "killed", lambda *_: {})
    assert not processes_of("RankActor")
    train(recipe, tmp_path / "killed", lambda *_: {}, resume=True)
    summary = (tmp_path / "undisturbed" / "summary.json").read_bytes()
    assert (tmp_path / "killed" / "summary.json").read_bytes() == summary


@pytest.mark.parametrize("how", ["to its end", signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_run(tmp_path: Path, model: Path, how: Any):
    ranks = {"kind": "deepspeed", "processes": 2, "stage": 2, "start_seconds": 300.0}
    iterations = 1 if how == "to its end" else 500
    stage = {**STAGE, "iterations": iterations, "ppo": {}}
    launcher = {"kind": "ray", "environments": 1, "engines": 1}
    document = document_of(model, backend=ranks, stages={"learn": stage}, launcher=launcher)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
    mark = {"LMMR1_TEST_RUN": str(tmp_path)}  # handed down to whatever the run starts
    shared = set(os.listdir("/dev/shm"))
    command = [
        sys.executable,
        "-m",
        "lmmr1",
        "train",
        str(tmp_path / "recipe.yaml"),
        "--run-dir",
        str(tmp_path / "run"),
    ]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, start_new_session=True, env={**os.environ, **mark}, **pipes)
    if how == "to its end":
        _, told = run.communicate(timeout=400)
        assert run.returncode == 0, told
    else:
        _await_row(tmp_path / "run", threading.Event())
        assert processes_of("RankActor") and processes_of("EngineActor") and processes_of("EnvironmentActor")
        assert len(_marked(mark)) > 5
        run.send_signal(how)
        _, told = run.communicate(timeout=120)
        assert run.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL), told
    deadline = time.monotonic() + 60
    while (left := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    assert not [name for name in set(os.listdir("/dev/shm")) - shared if name.startswith("lmmr1-")]


def _marked(mark: dict[str, str]) -> list[str]:
    """The processes of a run that are left."""
    left = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if mark.items() <= process.environ().items() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(" ".join(process.info["cmdline"] or []))
    return left


def launcher_of(model: Path, **launcher: Any) -> ClusterLauncher:
    """Opens one; whatever is wrong is told before any work."""
    opened = open_launcher(read_recipe(yaml.safe_dump(document_of(model, launcher={"kind": "ray", **launcher}))))
    assert isinstance(opened, ClusterLauncher)
    return opened


def test_an_unreachable_cluster(model: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match="no Ray cluster answers at"):
        launcher_of(model, address=f"127.0.0.1:{port}")
    with pytest.raises(UserError, match="must be 'auto' or HOST:PORT"):
        launcher_of(model, address="somewhere")


def test_a_port_in_use(model: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ranks = {"kind": "deepspeed", "processes": 1, "start_seconds": 300.0}
        launcher = {"kind": "ray", "port": taken.getsockname()[1]}
        recipe = read_recipe(yaml.safe_dump(document_of(model, backend=ranks, launcher=launcher)))
        with contextlib.closing(open_launcher(recipe)) as opened, pytest.raises(UserError, match=r"launcher\.port"):
            opened.open_crew("learn", {})


def test_a_cluster_that_is_too_small(model: Path):
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with pytest.raises(UserError, match="reserve 6 CPUs and 0 GPUs, and the cluster has 1 CPUs"):
            launcher_of(model, address=nodes.address, engines=6)
    finally:
        nodes.shutdown()
