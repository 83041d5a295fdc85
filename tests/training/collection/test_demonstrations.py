"""Experts whose environments live in workers: what they say is the same, and what hangs costs an episode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmmr1.agents.engines.base import Sampling
from lmmr1.agents.episode import Episode
from lmmr1.agents.policy import PolicyAgent
from lmmr1.agents.rollout import derive_seed
from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.training.config import CollectionConfig, DemonstrationConfig, SFTConfig, StageConfig
from lmmr1.training.demonstrations import Demonstrations

from ...agents.models import random_tiny

ENVS = str(Path(__file__).parents[2] / "envs")
ROOM = {"dim_room": [6, 6], "num_boxes": 1, "inner_walls": 0, "max_steps": 6, "tile_size": 14}
GAME = DemonstrationConfig(
    EnvironmentConfig("LMMR1/Sokoban-v0", kwargs=ROOM, chat={"instructions": "brief"}),
    thought_rate=0.5,
    skill=0.5,
    context="turn",
    turns=2,
)
SHAPES = {"families": ["rectangle_perimeter"]}
WORDS = DemonstrationConfig(
    EnvironmentConfig("LMMR1/Reasoning-v0", kwargs=SHAPES, chat={"instructions": "brief"}), thought_rate=0.5
)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ENVS)


def knows(**kwargs: Any) -> DemonstrationConfig:
    """A world that breaks, and that knows its solution."""
    chat = {"instructions": "brief", "reply_format": "plain", "format_weight": 0.0}
    kwargs = {"turns": 2, **kwargs}
    return DemonstrationConfig(EnvironmentConfig("worlds_that_break:Knows-v0", kwargs=kwargs, chat=chat), turns=2)


def demonstrations(*configs: DemonstrationConfig, **collection: Any) -> Demonstrations:
    options = CollectionConfig(**collection)
    config = StageConfig("sft", "x", demonstrations=list(configs), sft=SFTConfig(2, 8, 1e-3), collection=options)
    return Demonstrations(PolicyAgent(random_tiny(), Sampling(24)), config, 5, 1)


def shown(episodes: list[Episode]) -> list[Any]:
    return [(e.key, e.success, [(t.text, t.reward, t.prompt_ids.tolist()) for t in e.turns]) for e in episodes]


def test_the_number_of_workers_changes_nothing() -> None:
    found = []
    for workers in (0, 2):
        source = demonstrations(GAME, WORDS, workers=workers)
        found.append([shown(source.episodes(step, 16)) for step in range(2)])
        assert source.figures == {} and source.log.faults == 0
        source.close()
    assert found[0] == found[1]
    assert {len(turns) > 1 for step in found[0] for _, _, turns in step} == {True, False}  # both worlds spoke


@pytest.mark.parametrize(("turn", "kind"), [(0, "hang"), (1, "hang"), (2, "die"), (1, "think")])
def test_what_breaks_is_masked_counted_and_replaced(turn: int, kind: str) -> None:
    """At the reset, at a step, and while the expert thinks ("think": its solution never comes)."""
    whole = demonstrations(knows())
    expected = shown(whole.episodes(0, 8))
    assert len(expected) == 4
    seeds = [derive_seed(5, 9, 1, 0, 0, index) for index in range(8)]
    source = demonstrations(knows(plan={str(seeds[1]): [turn, kind]}), workers=2, step_seconds=1.0, reset_seconds=1.0)
    found = shown(source.episodes(0, 8))
    later = shown(source.episodes(1, 8))
    source.close()
    assert found[:3] == [expected[0], *expected[2:]]
    assert found[3][0] == (5, 9, 1, 0, 0, 4)  # the next one takes its place
    assert len(later) == 4
    failures = source.log.failures()
    assert failures["failed_episodes"] == failures["faults"] == 1
    [incident] = failures["incidents"]
    assert (incident["env_seed"], incident["iteration"]) == (seeds[1], 1)
    assert incident["kind"] == ("death" if kind == "die" else "hang")
    whole.close()


def test_a_fault_that_passes_costs_a_retry_and_no_episode(tmp_path: Path) -> None:
    whole = shown(demonstrations(knows()).episodes(0, 8))
    seed = derive_seed(5, 9, 1, 0, 0, 2)
    source = demonstrations(knows(plan={str(seed): [1, "crash"]}, once=str(tmp_path)), retries=1)
    assert shown(source.episodes(0, 8)) == whole
    assert source.figures == {"faults": 1.0} and source.log.failures()["failed_episodes"] == 0


def test_where_all_breaks_the_mistake_is_told() -> None:
    plan = {str(derive_seed(5, 9, 1, 0, 0, index)): [1, "crash"] for index in range(40)}
    with pytest.raises(UserError, match="Knows-v0 cannot be demonstrated: RuntimeError: boom"):
        demonstrations(knows(plan=plan)).episodes(0, 2)


def test_a_world_without_a_solution_cannot_be_demonstrated_from_a_worker_either() -> None:
    chat = {"instructions": "brief", "reply_format": "plain"}
    config = DemonstrationConfig(EnvironmentConfig("worlds_that_break:Breaks-v0", chat=chat))
    source = demonstrations(config, workers=1)
    with pytest.raises(UserError, match="Breaks does not know its solution"):
        source.episodes(0, 2)
    source.close()
