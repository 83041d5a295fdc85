"""Recipes: what they may say, and that every mistake is told in one line that names the key."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import yaml

from lmmr1.envs.errors import UserError
from lmmr1.training import config
from lmmr1.training.config import KLConfig, PPOConfig, RolloutConfig, StageConfig
from lmmr1.training.config.ppo import GROUP_ESTIMATORS
from lmmr1.training.recipe import (
    describe_recipes,
    dump_recipe,
    find_recipe,
    first_difference,
    load_recipe,
    read_recipe,
    recipe_names,
)

RECIPE = """
name: sample
help: for the tests
model: {path: tiny, freeze: ["vision.*"]}
stages:
  learn:
    kind: sft
    help: read
    demonstrations:
      - environment: {id: LMMR1/Sokoban-v0, kwargs: {max_steps: 9}, chat: {max_turns: 3}}
        thought_rate: 0.5
    sft: {steps: 5, batch_size: 4, learning_rate: 1e-3}
  improve:
    kind: ppo
    help: try
    iterations: 2
    environments:
      - {id: FrozenLake-v1, weight: 2}
      - {id: CartPole-v1}
    rollout: {groups: 4, group_size: 2}
evaluation:
  tasks:
    lake: {modality: text, environment: {id: FrozenLake-v1}, episodes: 8, context: turn}
"""


def read(*overrides: tuple[str, str]):
    return read_recipe(RECIPE, overrides, where="sample")


def test_values_reach_their_types():
    recipe = read()
    learn, improve = recipe.stages["learn"], recipe.stages["improve"]
    assert list(recipe.stages) == ["learn", "improve"]
    assert learn.sft is not None
    assert learn.sft.learning_rate == 1e-3
    assert learn.sft.betas == (0.9, 0.98)
    assert recipe.model.freeze == ("vision.*",)
    assert improve.environments[0].weight == 2.0
    assert learn.demonstrations[0].environment.kwargs == {"max_steps": 9}
    assert improve.rollout == RolloutConfig(groups=4, group_size=2)
    assert improve.ppo == PPOConfig()
    assert recipe.evaluation.tasks["lake"].context == "turn"


def test_a_dumped_recipe_reads_back_equal():
    recipe = read(("stages.improve.kl.coefficient", "3e-7"), ("stages.learn.sft.betas", "[0.5, 0.75]"))
    again = read_recipe(dump_recipe(recipe))
    assert again == recipe
    assert first_difference(recipe, again) is None


def test_the_first_difference_is_named_with_both_values():
    assert first_difference(read(), read(("stages.improve.iterations", "9"))) == "stages.improve.iterations: 2 and 9"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", "7", lambda recipe: recipe.seed == 7),
        (
            "stages.improve.optimizer.learning_rate",
            "5e-4",
            lambda recipe: recipe.stages["improve"].optimizer.learning_rate == 5e-4,
        ),
        (
            "stages.improve.environments.1.id",
            "Acrobot-v1",
            lambda r: r.stages["improve"].environments[1].id == "Acrobot-v1",
        ),
        (
            "stages.improve.environments.1.kwargs.sutton_barto_reward",
            "true",
            lambda r: len(r.stages["improve"].environments[1].kwargs),
        ),
        ("stages.improve.freeze", "[a.*, b.*]", lambda recipe: recipe.stages["improve"].freeze == ("a.*", "b.*")),
        ("stages.improve.critic.value_clip", "null", lambda recipe: recipe.stages["improve"].critic.value_clip is None),
        ("evaluation.tasks.lake.episodes", "3", lambda recipe: recipe.evaluation.tasks["lake"].episodes == 3),
        ("model", "some/folder", lambda recipe: recipe.model.path == "some/folder"),
        ("model", "{path: other}", lambda recipe: recipe.model == config.ModelConfig("other")),
    ],
)
def test_overrides(key, value, expected):
    assert expected(read((key, value)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # types and keys
        ("seed", "three", r"sample: seed must be a valid integer, not 'three'"),
        ("seed", "true", r"seed must be a valid integer, not True"),
        ("seed", "1.5", r"seed must be a valid integer"),
        ("stages.improve.iterations", "[1]", r"stages\.improve\.iterations must be a valid integer, not \[1\]"),
        ("stages.improve.iteration", "3", r"stages\.improve\.iteration is not a key, did you mean iterations\?"),
        ("stages.improve.rollout.group", "3", r"stages\.improve\.rollout\.group is not a key, did you mean groups"),
        ("stages.learn.sft.zzz", "3", r"stages\.learn\.sft\.zzz is not a key; the keys here are steps, batch_size"),
        ("evaluation.tasks.lake.environment.name", "x", r"evaluation\.tasks\.lake\.environment\.name is not a key"),
        ("colour", "red", r"sample: colour is not a key"),
        ("stages.improve.kind", "null", r"stages\.improve\.kind must be 'ppo' or 'sft', not None"),
        ("stages.learn.sft", "{steps: 1, batch_size: 1}", r"stages\.learn\.sft\.learning_rate is missing"),
        ("stages", "[]", r"stages must be a mapping of keys to values, not \[\]"),
        # overrides themselves
        (
            "stages.imprve.iterations",
            "3",
            r"--stages\.imprve\.iterations: there is no stages\.imprve, did you mean improve\?",
        ),
        ("evaluation.tasks.pond.episodes", "3", r"there is no evaluation\.tasks\.pond; there are lake"),
        (
            "stages.improve.environments.7.weight",
            "3",
            r"stages\.improve\.environments has 2 entries, numbered from 0; not '7'",
        ),
        ("seed.x", "3", r"seed must be a valid integer, not \{'x': 3\}"),
        ("name.x", "3", r"--name\.x: name is 'sample', which has no keys"),
        ("seed", "[1", r"--seed, line 1, column \d+: not readable as YAML"),
        # contradictions
        ("stages.improve.iterations", "0", r"stages\.improve\.iterations must be at least 1, not 0"),
        (
            "stages.improve.rollout.group_size",
            "1",
            r"stages\.improve\.rollout\.group_size must be at least 2 for ppo\.estimator",
        ),
        (
            "stages.improve.rollout",
            "{groups: 4, group_size: 1}",
            r"stages\.improve\.rollout\.group_size must be at least 2 for ppo\.estimator reinforce_baseline",
        ),
        (
            "stages.improve.ppo.estimator",
            "ppo",
            r"stages\.improve\.ppo\.estimator must be 'gae', 'gae_turn'.*'dr_grpo' or 'gigpo', not 'ppo'",
        ),
        ("stages.improve.ppo.dual_clip", "1", r"stages\.improve\.ppo\.dual_clip must be above 1, not 1"),
        ("stages.improve.ppo.dual_clip", ".inf", r"stages\.improve\.ppo\.dual_clip must be above 1, not inf"),
        ("stages.improve.ppo.turn_lam", "1.5", r"stages\.improve\.ppo\.turn_lam must be between 0 and 1"),
        (
            "stages.improve.ppo",
            "{estimator: grpo, turn_gamma: 0}",
            r"ppo\.turn_gamma 0 leaves estimator grpo the first",
        ),
        ("stages.improve.kl.reference", "none", r"stages\.improve\.kl\.coefficient 0\.001 needs a reference"),
        ("stages.improve.kl", "{coefficient: 0, target: 0.1}", r"kl\.target 0\.1 needs a coefficient above 0"),
        ("stages.improve.kl.target", "0", r"stages\.improve\.kl\.target must be above 0, not 0"),
        ("stages.improve.correction.cap", "0.5", r"stages\.improve\.correction\.cap must be at least 1, not 0\.5"),
        ("stages.improve.correction.floor", "2", r"stages\.improve\.correction\.floor must be between 0 and 1"),
        ("stages.improve.correction.reward_clip", "[1, 1]", r"correction\.reward_clip must be a lower and a higher"),
        ("stages.improve.correction.overlong", "penalise", r"correction\.overlong_buffer is 0 with overlong penalise"),
        ("stages.improve.correction.overlong_buffer", "5", r"correction\.overlong_buffer is 5 with overlong keep"),
        (
            "stages.improve.correction",
            "{overlong: penalise, overlong_buffer: 999}",
            r"stages\.improve\.correction\.overlong_buffer \(999\) must not exceed rollout\.max_new_tokens \(40\)",
        ),
        (
            "stages.improve.kl",
            "{estimator: full, placement: reward}",
            r"stages\.improve\.kl\.estimator full needs placement loss",
        ),
        ("stages.improve.environments", "[]", r"stages\.improve\.environments is empty"),
        ("stages.learn.sft", "null", r"stages\.learn\.sft is missing"),
        ("stages.learn.iterations", "3", r"stages\.learn\.iterations has no meaning"),
        (
            "stages.improve.sft",
            "{steps: 1, batch_size: 1, learning_rate: 1}",
            r"stages\.improve\.sft is set in a stage of kind ppo",
        ),
        (
            "stages.improve.ppo.minibatches",
            "5",
            r"stages\.improve\.ppo\.minibatches \(5\) must not exceed rollout\.groups \(4\)",
        ),
        (
            "stages.improve.optimizer.learning_rate",
            ".nan",
            r"stages\.improve\.optimizer\.learning_rate must be above 0, not nan",
        ),
        ("stages.improve.optimizer.final_fraction", "0.1", r"final_fraction 0\.1 has no effect on a constant schedule"),
        ("stages.improve.rollout.max_new_tokens", "5000", r"max_new_tokens \(5000\) must be below max_context_tokens"),
        ("stages.improve.environments.0.weight", "0", r"stages\.improve\.environments\.0: .*weight must be"),
        ("stages.learn.sft.betas", "[0.9, 1.0]", r"stages\.learn\.sft\.betas must be two numbers"),
        ("stages", "{}", r"sample: stages is empty"),
        # environments
        (
            "stages.improve.environments.0.id",
            "FrozenLak-v1",
            r"stages\.improve\.environments\.0: .*FrozenLak-v1.*FrozenLake-v1",
        ),
        ("evaluation.tasks.lake.environment.id", "Nowhere-v0", r"evaluation\.tasks\.lake\.environment: .*Nowhere-v0"),
        (
            "stages.learn.demonstrations.0.environment.chat",
            "{colour: red}",
            r"stages\.learn\.demonstrations\.0\.environment: .*colour",
        ),
        (
            "stages.learn.demonstrations.0.skill",
            "2",
            r"stages\.learn\.demonstrations\.0\.skill must be between 0 and 1",
        ),
        ("stages.learn.demonstrations", "[]", r"stages\.learn\.demonstrations is empty"),
        ("stages.learn.environments", "[{id: CartPole-v1}]", r"stages\.learn\.environments has no meaning"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(key, value, message):
    with pytest.raises(UserError) as caught:
        read((key, value))
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


def test_several_mistakes_are_counted():
    with pytest.raises(
        UserError, match=r"threads must be a valid integer, not 'x' \(and 1 more\)|seed .*\(and 1 more\)"
    ):
        read(("seed", "x"), ("threads", "x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", r"line \d+, column \d+: not readable as YAML"),
        ("name: a\nname: b", r"line 2, column 1: .*'name' is written twice"),
        ("- a list", "a recipe is a mapping"),
        ("", "a recipe is a mapping"),
        ("help: x", "name is missing"),
    ],
)
def test_a_file_that_is_no_recipe(text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_recipe(text)
    assert "\n" not in str(caught.value)


def test_finding(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    assert load_recipe(str(path)) == read()
    with pytest.raises(UserError, match="cannot read the recipe .*absent.yaml: No such file"):
        find_recipe(str(tmp_path / "absent.yaml"))
    with pytest.raises(UserError, match="there is no recipe 'tinyy', did you mean tiny"):
        find_recipe("tinyy")


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_read_back_equal(name: str):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert read_recipe(dump_recipe(recipe)) == recipe


def test_shipped_recipes_are_described_in_a_line():
    summaries = describe_recipes()
    assert [summary.name for summary in summaries] == recipe_names()
    assert all(summary.help and "\n" not in summary.help for summary in summaries)


def config_classes() -> list[type]:
    return [getattr(config, name) for name in config.__all__]


@pytest.mark.parametrize("kind", config_classes())
def test_every_setting_is_frozen_explained_and_few(kind: type):
    source = Path(inspect.getfile(kind)).read_text(encoding="utf-8")
    body = source[source.index(f"class {kind.__name__}:") :]
    assert dataclasses.is_dataclass(kind)
    fields = dataclasses.fields(kind)
    assert len(fields) <= 15
    for field in fields:
        assert re.search(rf'\n    {field.name}: [^\n]+\n    """[^\n]+\."""\n', body), (
            f"{field.name} has no line of help"
        )
    # A required field keeps the class from being built with nothing; frozen is read off the class itself.
    assert vars(kind)["__dataclass_params__"].frozen


@pytest.mark.parametrize("estimator", GROUP_ESTIMATORS)
def test_what_compares_the_episodes_of_a_group_needs_two(estimator):
    rollout, environments = RolloutConfig(groups=4, group_size=1), read().stages["improve"].environments
    with pytest.raises(UserError, match=f"^rollout.group_size must be at least 2 for ppo.estimator {estimator}:"):
        StageConfig("ppo", "x", environments=environments, rollout=rollout, ppo=PPOConfig(estimator))
    StageConfig("ppo", "x", environments=environments, rollout=rollout, ppo=PPOConfig("reinforce"))


def test_a_stage_can_be_built_without_a_recipe():
    with pytest.raises(UserError, match="^environments is empty"):
        StageConfig(kind="ppo", help="x")
    with pytest.raises(UserError, match="^placement must be one of reward, loss; not 'los'"):
        KLConfig(placement="los")  # pyright: ignore[reportArgumentType]


def test_a_recipe_is_yaml_that_any_reader_reads():
    assert yaml.safe_load(dump_recipe(read()))["stages"]["learn"]["sft"]["learning_rate"] == 1e-3


def test_an_override_does_not_reach_through_an_anchor():
    recipe = load_recipe("tiny", [("stages.fre.ppo.minibatches", "4")])
    assert recipe.stages["fre"].ppo.minibatches == 4
    assert recipe.stages["mgt_geometry"].ppo.minibatches == 2
