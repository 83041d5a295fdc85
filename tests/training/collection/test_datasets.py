"""Data sets in training and evaluation: every row once in each pass, and a resumed run goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.episode import Episode
from lmmr1.commands.evaluate import evaluate_policy
from lmmr1.envs.messages import message_text
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.runner import EvaluationTask, evaluate
from lmmr1.training.collection.collect import Collector
from lmmr1.training.config import CollectionConfig, PPOConfig, ReplayConfig, RolloutConfig, StageConfig
from lmmr1.training.recipe import load_recipe, read_recipe
from lmmr1.training.records.metrics import read_metrics
from lmmr1.training.run import train

ROWS, GROUPS, SIZE = 10, 4, 2
BRIEF = {"instructions": "brief"}


class Doubler:
    """Answers questions about numbers of at least `least` rightly, and says which questions it was asked."""

    name, context = "doubler", "conversation"

    def __init__(self, least: int = 0) -> None:
        self.least = least
        self.asked: list[int] = []

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        numbers = [int(message_text(c.new_messages[-1]).split()[2]) for c in conversations]
        self.asked += numbers
        return [AgentReply(f"<answer>{2 * n if n >= self.least else -1}</answer>") for n in numbers]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    rows = [{"question": f"What is {n} + {n}?", "answer": 2 * n} for n in range(ROWS)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path / "sums.jsonl")


def collector(path: str, policy: Any, seed: int = 5, stage: int = 0, **collection: Any) -> Collector:
    config = StageConfig(
        kind="ppo",
        help="test",
        environments=[EnvironmentConfig("LMMR1/Reasoning-v0", kwargs={"dataset": path}, chat=BRIEF)],
        rollout=RolloutConfig(groups=GROUPS, group_size=SIZE),
        ppo=PPOConfig(minibatches=1, estimator="reinforce_baseline"),
        collection=CollectionConfig(**collection),
    )
    return Collector(policy, config, seed, stage)


def questions(episodes: Sequence[Episode]) -> list[int]:
    return [int(message_text(episode.turns[0].messages[-1]).split()[2]) for episode in episodes]


def test_every_row_is_asked_once_before_any_comes_again(path: str) -> None:
    collecting = collector(path, Doubler())
    asked = [number for i in range(5) for number in questions(collecting.collect(i).episodes)]
    groups = [asked[start : start + SIZE] for start in range(0, len(asked), SIZE)]
    assert all(len(set(group)) == 1 for group in groups), "a group has one question"
    order = [group[0] for group in groups]
    assert len(order) == 2 * ROWS
    assert sorted(order[:ROWS]) == sorted(order[ROWS:]) == list(range(ROWS)) and order[:ROWS] != order[ROWS:]


def test_another_run_and_another_stage_have_another_order(path: str) -> None:
    def order(**which: int) -> list[int]:
        collecting = collector(path, Doubler(), **which)
        return [number for i in range(3) for number in questions(collecting.collect(i).episodes)]

    assert order() == order()
    assert order() != order(seed=6) and order() != order(stage=1)


def test_a_resumed_stage_goes_on_in_its_pass(path: str) -> None:
    whole = collector(path, Doubler())
    expected = [questions(whole.collect(i).episodes) for i in range(5)]
    first = collector(path, Doubler())
    assert [questions(first.collect(i).episodes) for i in range(2)] == expected[:2]
    second = collector(path, Doubler())
    second.restore(json.loads(json.dumps(first.state())))
    assert [questions(second.collect(i).episodes) for i in range(2, 5)] == expected[2:]


def test_rows_that_are_played_again_use_up_no_others(path: str) -> None:
    collecting = collector(path, Doubler(least=5), replay=ReplayConfig(share=0.5, tries=1, memory=100))
    asked = [question for i in range(4) for question in questions(collecting.collect(i).episodes)[::SIZE]]
    counts = Counter(asked)
    assert len(asked) == 16 and collecting.starts.positions[0] < 16
    assert set(counts) == set(range(ROWS)), "all rows came in the pass although some were played again"


def test_an_evaluation_of_as_many_episodes_as_rows_asks_each_once(path: str) -> None:
    agent: Any = Doubler(least=3)
    environment = EnvironmentConfig("LMMR1/Reasoning-v0", kwargs={"dataset": path}, chat=BRIEF)
    task = EvaluationTask("sums", "text", environment, episodes=ROWS)
    figures = evaluate(agent, [task], seed=0, modes=("greedy",))
    assert sorted(agent.asked) == list(range(ROWS))
    assert figures["sums"]["greedy"]["success"] == 0.7


RECIPE = """
name: data
help: rows of a file
checkpoint_every: 1
films: 0
stages:
  rows:
    kind: ppo
    help: text
    iterations: 3
    environments: [{{id: LMMR1/Reasoning-v0, kwargs: {{dataset: {path}, split: all}}, chat: {{instructions: brief}}}}]
    rollout: {{groups: 4, group_size: 2, max_new_tokens: 16}}
evaluation:
  max_new_tokens: 16
  tasks:
    text: {{modality: text, environment: {{id: LMMR1/Reasoning-v0, kwargs: {{dataset: {path}}}}}, episodes: 4}}
"""


def test_a_recipe_trains_on_a_file_and_resumes_bit_for_bit(path: str, tmp_path: Path, monkeypatch: Any) -> None:
    recipe = read_recipe(RECIPE.format(path=path))
    train(recipe, tmp_path / "whole", evaluate_policy)
    collect = Collector.collect

    def stop(self: Collector, iteration: int) -> Any:
        if iteration == 2:
            raise KeyboardInterrupt
        return collect(self, iteration)

    monkeypatch.setattr(Collector, "collect", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "resumed", evaluate_policy)
    monkeypatch.setattr(Collector, "collect", collect)
    train(recipe, tmp_path / "resumed", evaluate_policy, resume=True)
    times = ("cpu_seconds", "wall_seconds")
    one, other = (
        [{key: value for key, value in row.items() if key not in times} for row in read_metrics(tmp_path / name)]
        for name in ("whole", "resumed")
    )
    assert one == other and len(one) >= 3


@pytest.mark.parametrize("name", ["fre_text", "mgt_geo", "direct_rl_geo"])
def test_the_papers_recipes_take_a_data_set_in_place_of_families(name: str, path: str, tmp_path: Path) -> None:
    if name != "fre_text":
        Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
        rows = [{**json.loads(line), "image": "a.png"} for line in Path(path).read_text().splitlines()]
        Path(path).write_text("\n".join(map(json.dumps, rows)))
    recipe = load_recipe(name, [(f"stages.{name}.environments.0.kwargs", f"{{dataset: {path}}}")])
    [environment] = recipe.stages[name].environments
    assert environment.in_epochs and environment.make().reset(seed=0)[1]["family"] == "sums"
