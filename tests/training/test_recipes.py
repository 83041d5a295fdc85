"""The recipes of the paper: the published hyper-parameters, and a twin of each for the embedded model."""

from __future__ import annotations

import pytest

from lmmr1.training.recipe import describe_recipes, load_recipe

BASE, FRE = "Qwen/Qwen2.5-VL-3B-Instruct", "runs/fre_text/models/fre_text"
# LMM-R1's own scripts: start, estimator, learning rates of actor and critic, KL coefficient, prompts and optimizer
# steps of an iteration, longest reply, prompts of the data set and passes over them (where the size is known).
PUBLISHED = {
    "fre_text": (BASE, "reinforce_baseline", 4e-7, None, 1e-3, 256, 16, 4096, (40_300, 2)),
    "fre_multi": (BASE, "reinforce_baseline", 1e-6, None, 1e-3, 256, 16, 4096, (34_400, 2)),
    "mgt_geo": (FRE, "gae", 1e-6, 9e-6, 1e-3, 256, 16, 4096, (15_000, 2)),
    "mgt_percereason": (FRE, "reinforce_baseline", 4e-7, None, 1e-3, 256, 16, 8192, (34_400, 2)),
    "mgt_sokoban": (FRE, "gae", 1e-6, 5e-6, 0.0, 128, 16, 8196, (10_000, 4)),
    "direct_rl_geo": (BASE, "gae", 1e-6, 9e-6, 1e-3, 256, 16, 4096, None),
}
NAMES = [*PUBLISHED, "sft_text"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_of_the_paper_has_the_published_values(name: str) -> None:
    start, estimator, actor, critic, kl, groups, steps, longest, data = PUBLISHED[name]
    recipe = load_recipe(name)
    [stage] = recipe.stages.values()
    assert list(recipe.stages) == [name]
    assert recipe.seed == 42
    assert (recipe.model.path, recipe.model.dtype) == (start, "bfloat16")
    assert recipe.model.gradient_checkpointing and recipe.model.device == "cuda"
    ppo, rollout, optimizer = stage.ppo, stage.rollout, stage.optimizer
    assert (ppo.estimator, optimizer.learning_rate, stage.kl.coefficient) == (estimator, actor, kl)
    assert (rollout.groups, rollout.group_size, ppo.minibatches, ppo.epochs) == (groups, 16, steps, 1)
    assert (rollout.max_new_tokens, rollout.max_context_tokens, rollout.temperature) == (longest, 4096 + longest, 1.0)
    assert (ppo.clip_low, ppo.clip_high, ppo.gamma, ppo.lam, ppo.entropy) == (0.2, 0.2, 1.0, 1.0, 0.0)
    assert (optimizer.schedule, optimizer.final_fraction, optimizer.betas) == ("cosine", 0.1, (0.9, 0.95))
    assert (optimizer.weight_decay, optimizer.max_grad_norm) == (0.0, 1.0)
    # 3 % of all optimizer steps.
    assert optimizer.warmup == round(0.03 * stage.iterations * steps)
    assert stage.correction.reward_clip == (-10.0, 10.0)
    if kl:
        assert (stage.kl.placement, stage.kl.estimator) == ("reward", "k1")
    if critic is not None:
        assert (stage.critic.trunk, stage.critic.learning_rate, stage.critic.value_clip) == ("own", critic, 0.2)
        assert stage.critic.loss_weight == 0.5
    if data is not None:
        prompts, passes = data
        assert stage.iterations == round(prompts * passes / groups)
    assert stage.freeze == (("model.visual.*",) if name == "mgt_sokoban" else ())


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_of_the_paper_has_a_twin(name: str) -> None:
    whole, twin = load_recipe(name), load_recipe(f"{name}_tiny")
    assert twin.model.path == "tiny"
    assert list(twin.stages) == (["fre_text", name] if whole.model.path == FRE else [name])
    ours, theirs = twin.stages[name], whole.stages[name]
    assert (ours.kind, ours.freeze) == (theirs.kind, theirs.freeze)
    if ours.kind == "ppo":
        assert ours.ppo.estimator == theirs.ppo.estimator
        assert ours.kl == theirs.kl
        assert (ours.optimizer.schedule, ours.optimizer.final_fraction) == ("cosine", 0.1)
        assert {world.id for world in ours.environments} == {world.id for world in theirs.environments}
    assert set(whole.evaluation.tasks) <= set(twin.evaluation.tasks)


def test_the_help_of_a_recipe_of_the_paper_says_what_it_needs() -> None:
    helps = {summary.name: summary.help for summary in describe_recipes()}
    for name in NAMES:
        assert "80 GB" in helps[name]
        assert "procedural" in helps[name]
        assert ("fre_text" in helps[name]) == (load_recipe(name).model.path == FRE or name == "sft_text")


def test_no_recipe_of_the_paper_trains_on_held_out_problems() -> None:
    for name in [*NAMES, *(f"{name}_tiny" for name in NAMES)]:
        recipe = load_recipe(name)
        for stage in recipe.stages.values():
            played = [*stage.environments, *(demonstration.environment for demonstration in stage.demonstrations)]
            assert {world.kwargs["split"] for world in played} == {"train"}
        assert {task.environment.kwargs["split"] for task in recipe.evaluation.tasks.values()} == {"test"}
