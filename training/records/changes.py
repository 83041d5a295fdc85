"""What may change in a recipe between a run's start and its going on."""

from __future__ import annotations

from typing import Any

from lmmr1.envs.errors import UserError

from ..config import RunConfig
from ..recipe import differences

# Settings of the model that say how it is computed, not what it is.
COMPUTATION = ("model.gradient_checkpointing", "model.packing", "model.device")


def check_changes(
    before: RunConfig, now: RunConfig, stage: int, iteration: int, allowed: bool
) -> dict[str, tuple[Any, Any]]:
    """What `now` changes of the recipe `before` that a checkpoint was made with.

    Args:
        before: the recipe of the checkpoint.
        now: the recipe to go on with.
        stage: how many stages are done.
        iteration: how many iterations of the next one are done.
        allowed: whether anything may differ.

    Returns:
        Each key that differs, with both values.

    Raises:
        UserError: something differs and may not; names every such key with both values.
    """
    changed = differences(before, now)
    told = "; ".join(f"{key}: {old!r} and now {new!r}" for key, (old, new) in changed.items())
    if changed and not allowed:
        raise UserError(
            f"the run was started with another recipe ({told}): resume it with its own values, add --allow-changes to "
            "go on with these, or choose another --run-dir"
        )
    names, begun = list(before.stages), stage + (iteration > 0)
    if names[:begun] != list(now.stages)[:begun]:
        raise UserError(
            f"stages: the run has begun {', '.join(names[:begun])} in this order; stages can be added, removed and "
            "moved after these only"
        )
    for key in changed:
        part = key.split(".")
        if part[0] == "model" and not key.startswith(COMPUTATION):
            raise UserError(f"{key} cannot change on --resume, since the checkpoint holds that model: start a new run")
        if part[0] == "stages" and part[1] in names[:stage]:
            raise UserError(f"{key} cannot change on --resume, since that stage is done: start a new run")
    return changed
