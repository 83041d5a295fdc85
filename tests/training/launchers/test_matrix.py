"""One recipe through every engine, backend and launcher: vLLM, DeepSpeed and Ray are the real ones."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lmmr1.training.recipe import read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train
from tests.agents.models import random_tiny

from ..backends.learning import STAGE

pytestmark = pytest.mark.stack("vllm", "deepspeed", "ray")

ENGINES = ("hf", "vllm")
BACKENDS: dict[str, dict[str, Any]] = {
    "single": {"kind": "single"},
    "zero2": {"kind": "deepspeed", "processes": 2, "stage": 2},
    "zero3": {"kind": "deepspeed", "processes": 2, "stage": 3},
}
LAUNCHERS = ("local", "ray")
# Of the first iteration, whose episodes every combination of an engine plays alike.
LEARNED = ("policy_loss", "kl", "entropy", "grad_norm", "reward", "reply_tokens")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of two nodes on this machine; its address."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    nodes.add_node(num_cpus=3)
    with contextlib.ExitStack() as stack:
        stack.callback(nodes.shutdown)
        yield str(nodes.address)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The metrics of each combination."""
    folder = tmp_path_factory.mktemp("matrix")
    random_tiny(heads=3).save(folder / "model")
    stage = {**STAGE, "iterations": 2, "ppo": {"minibatches": 1}}
    stage["environments"] = [{**one, "chat": {"instructions": "brief"}} for one in STAGE["environments"]]
    found = {}
    for engine, backend, launcher in itertools.product(ENGINES, BACKENDS, LAUNCHERS):
        document = {
            "name": "matrix",
            "help": "a test",
            "films": 0,
            "model": {"path": str(folder / "model")},
            "stages": {"learn": stage},
            "engine": {"kind": engine},
            "backend": {**BACKENDS[backend], "start_seconds": 300.0},
            "launcher": {"kind": launcher},
        }
        if launcher == "ray":
            document["launcher"] |= {"address": cluster, "environments": 1, "engines": 2 if engine == "hf" else 1}
        place = folder / f"{engine}-{backend}-{launcher}"
        train(read_recipe(yaml.safe_dump(document)), place, lambda *_: {})
        found[engine, backend, launcher] = read_metrics(place)
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_every_combination_learns_the_same_from_the_same(rows: dict[tuple[str, str, str], Any], engine: str):
    first = rows[engine, "single", "local"][0]
    assert first["grad_norm"] > 0
    for backend, launcher in itertools.product(BACKENDS, LAUNCHERS):
        other = rows[engine, backend, launcher][0]
        for name in LEARNED:
            assert other[name] == pytest.approx(first[name], rel=1e-4, abs=1e-4), (backend, launcher, name)


def test_engines_say_what_the_trainer_says_before_and_after_an_update(rows: dict[tuple[str, str, str], Any]):
    for combination, (before, after) in rows.items():
        assert before["mismatch_max"] < 1e-5, combination
        assert after["mismatch_max"] < 1e-5, combination
        assert before["learning_rate"] > 0
