"""Levels in a recipe: environments that differ in an argument, for the curriculum to choose from."""

from __future__ import annotations

import pytest

from lmmr1.envs.errors import UserError
from lmmr1.training.recipe import dump_recipe, first_difference, read_recipe

RECIPE = """
name: rooms
help: small ones first
stages:
  play:
    kind: ppo
    help: easy rooms first
    environments:
      - {id: FrozenLake-v1}
      - {id: LMMR1/Sokoban-v0, weight: 3, kwargs: {inner_walls: 0}, chat: {instructions: brief}, levels: {max_moves: [3, 7, 11]}}
    rollout: {groups: 4, group_size: 2}
    collection: {curriculum: {rate: 0.5}}
"""  # noqa: E501
LEVELS = "stages.play.environments.1.levels"


def test_levels_are_written_out() -> None:
    stage = read_recipe(RECIPE).stages["play"]
    lake, *rooms = stage.environments
    assert (lake.id, lake.weight) == ("FrozenLake-v1", 1.0)
    assert [room.kwargs for room in rooms] == [{"inner_walls": 0, "max_moves": moves} for moves in (3, 7, 11)]
    assert {(room.id, room.weight, room.chat["instructions"]) for room in rooms} == {("LMMR1/Sokoban-v0", 1.0, "brief")}
    assert stage.collection.curriculum is not None


def test_what_a_run_writes_down_has_them_written_out() -> None:
    recipe = read_recipe(RECIPE)
    assert "levels" not in dump_recipe(recipe)
    again = read_recipe(dump_recipe(recipe))
    assert again == recipe and first_difference(again, recipe) is None


def test_arguments_rise_together() -> None:
    levels = "{num_boxes: [1, 2], dim_room: [[6, 6], [7, 7]]}"
    rooms = read_recipe(RECIPE, [(LEVELS, levels)]).stages["play"].environments[1:]
    found = [(room.kwargs["num_boxes"], room.kwargs["dim_room"], room.weight) for room in rooms]
    assert found == [(1, [6, 6], 1.5), (2, [7, 7], 1.5)]


def test_the_curriculum_of_the_command_line_counts() -> None:
    bare = RECIPE.replace("    collection: {curriculum: {rate: 0.5}}\n", "")
    recipe = read_recipe(bare, [("stages.play.collection.curriculum", "{}")])
    assert len(recipe.stages["play"].environments) == 4


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("stages.play.collection.curriculum", "null", r"levels: stages\.play\.environments\.1\.levels needs a curric"),
        ("stages.play.collection", "{}", r"set stages\.play\.collection\.curriculum, if only to \{\}"),
        (LEVELS, "{max_move: [3, 7]}", r"levels: stages\.play\.environments\.1: .*unexpected keyword.*max_move"),
        (LEVELS, "{max_moves: [3, -7]}", r"levels: stages\.play\.environments\.2: .*max_moves"),
        (LEVELS, "[1, 2]", r"environments\.1\.levels must be an argument of the environment and the list of its val"),
        (LEVELS, "{}", r"environments\.1\.levels must be an argument"),
        (LEVELS, "{max_moves: 3}", r"environments\.1\.levels\.max_moves must be a list of values, not 3"),
        (LEVELS, "{max_moves: []}", r"environments\.1\.levels\.max_moves must be a list of values, not \[\]"),
        (LEVELS, "{inner_walls: [0, 1]}", r"environments\.1\.levels\.inner_walls stands in kwargs too"),
        (LEVELS, "{max_moves: [3, 7], num_boxes: [1]}", r"need as many values each \(max_moves 2, num_boxes 1\)"),
        ("stages.play.environments.1.weight", "heavy", r"stages\.play\.environments\.1\.weight must be a valid number"),
    ],
)
def test_a_mistake_names_its_key(key: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_recipe(RECIPE, [(key, value)], where="levels")
    assert "\n" not in str(caught.value)
