"""`lmmr1 train RECIPE --env ID`: any recipe plays another environment."""

from __future__ import annotations

from typing import Any

import pytest

from lmmr1.agents.policy import PolicyAgent
from lmmr1.envs.errors import UserError
from lmmr1.training.demonstrations import Demonstrations
from lmmr1.training.recipe import dump_recipe, load_recipe, read_recipe

CHAT = {"instructions": "brief", "needs_thought": False, "format_weight": 0.0, "invalid_reward": -0.5}


def test_the_recipe_any_plays_what_is_named() -> None:
    recipe = load_recipe("any", [("env", "LMMR1/Sokoban-v0")])
    speak, play = recipe.stages.values()
    [task] = recipe.evaluation.tasks.values()
    for environment in (speak.demonstrations[0].environment, play.environments[0], task.environment):
        assert (environment.id, environment.kwargs, environment.chat) == ("LMMR1/Sokoban-v0", {}, CHAT)
    assert read_recipe(dump_recipe(recipe)) == recipe  # what the folder of the run holds


def test_its_arguments_may_come_along_and_other_values_stand_over_it() -> None:
    given = [
        ("stages.play.environments.0.kwargs.map_name", "8x8"),
        ("env", "{id: FrozenLake-v1, kwargs: {is_slippery: false}, chat: {instructions: full}}"),
    ]
    recipe = load_recipe("any", given)
    [environment] = recipe.stages["play"].environments
    assert environment.kwargs == {"is_slippery": False, "map_name": "8x8"} and environment.chat == {
        "instructions": "full"
    }
    assert recipe.evaluation.tasks["play"].environment.kwargs == {"is_slippery": False}


def test_every_stage_plays_it_and_one_task_judges() -> None:
    recipe = load_recipe("tiny", [("env", "CartPole-v1")])
    played = [environment.id for stage in recipe.stages.values() for environment in stage.environments]
    assert played == ["CartPole-v1"] * len(recipe.stages)
    assert [task.environment.id for task in recipe.evaluation.tasks.values()] == ["CartPole-v1"]


def test_demonstrations_are_of_it_too() -> None:
    recipe = load_recipe("tiny_sft", [("env", "LMMR1/Sokoban-v0")])
    shown: list[Any] = [row.environment for stage in recipe.stages.values() for row in stage.demonstrations]
    assert shown and {environment.id for environment in shown} == {"LMMR1/Sokoban-v0"}
    with pytest.raises(UserError, match="CartPole-v1 cannot be demonstrated"):
        load_recipe("tiny_sft", [("env", "CartPole-v1")])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[a, b]", "--env is an id, or a mapping with one"),
        ("{kwargs: {}}", "--env is an id, or a mapping with one"),
        ("5", "--env is an id, or a mapping with one"),
        ("FrozenLake-v7", "stages.*: unknown environment 'FrozenLake-v7'"),
        ("{id: CartPole-v1, colour: red}", "stages.*colour is not a key"),
        ("{id: FrozenLake-v1, kwargs: {colour: red}}", "unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_no_environment_is_told_in_a_line(value: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_recipe("any", [("env", value)])
    assert "\n" not in str(caught.value)


def test_whoever_answers_at_random_teaches_which_replies_name_an_action() -> None:
    recipe = load_recipe("any", [("stages.speak.sft.batch_size", "16")])
    policy = PolicyAgent.from_pretrained("tiny", max_new_tokens=40)
    demonstrations = Demonstrations(policy, recipe.stages["speak"], seed=0, stage=0)
    episodes = demonstrations.episodes(0, 16)
    demonstrations.close()
    turns = [turn for episode in episodes for turn in episode.turns]
    assert len(turns) >= 16 and {turn.answer for turn in turns} == {"Left", "Down", "Right", "Up"}
    for turn in turns:
        assert turn.actions == [turn.answer] and turn.text == f"<think></think><answer>{turn.answer}</answer>"
        assert policy.loaded.tokenizer.decode(turn.reply_ids[:-1]) == turn.text
    with pytest.raises(UserError, match="skill has no meaning with source random"):
        load_recipe("any", [("stages.speak.demonstrations.0.skill", "0.5")])
