"""Levels: one environment of a recipe stands for several that differ in an argument; a curriculum chooses of them."""

from __future__ import annotations

from typing import Any

from lmmr1.envs.errors import UserError

KEY = "levels"


def expand_levels(document: Any) -> None:
    """Write every environment with `levels` out, in a recipe as it was parsed, in place.

    `{id: X, kwargs: {a: 1}, levels: {level: [1, 2]}}` becomes `{id: X, kwargs: {a: 1, level: 1}}` and the same with
    level 2, each with half the weight. Arguments with lists of the same length rise together.

    Raises:
        UserError: the levels are no mapping of arguments to lists, an argument stands in `kwargs` too, or the stage has
            no curriculum to choose between them. What else is wrong with a recipe is told by who reads it.
    """
    stages = document.get("stages")
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        environments = stage.get("environments") if isinstance(stage, dict) else None
        if not isinstance(environments, list):
            continue
        expanded: list[Any] = []
        for index, environment in enumerate(environments):
            if not isinstance(environment, dict) or KEY not in environment:
                expanded.append(environment)
                continue
            where = f"stages.{name}.environments.{index}.{KEY}"
            collection = stage.get("collection")
            if not isinstance(collection, dict) or collection.get("curriculum") is None:
                raise UserError(
                    f"{where} needs a curriculum to choose between them: set stages.{name}.collection.curriculum, if "
                    "only to {}, or write the environments out"
                )
            expanded += _write_out(environment, where)
        stage["environments"] = expanded


def _write_out(environment: dict[str, Any], where: str) -> list[dict[str, Any]]:
    levels, kwargs = environment[KEY], environment.get("kwargs") or {}
    if not isinstance(levels, dict) or not levels or not isinstance(kwargs, dict):
        raise UserError(f"{where} must be an argument of the environment and the list of its values, not {levels!r}")
    for argument, values in levels.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}.{argument} must be a list of values, not {values!r}")
        if argument in kwargs:
            raise UserError(f"{where}.{argument} stands in kwargs too: leave it out there")
    lengths = {argument: len(values) for argument, values in levels.items()}
    count = next(iter(lengths.values()))
    if set(lengths.values()) != {count}:
        told = ", ".join(f"{argument} {length}" for argument, length in lengths.items())
        raise UserError(f"{where}: arguments that rise together need as many values each ({told})")
    same = {key: value for key, value in environment.items() if key != KEY}
    weight = environment.get("weight", 1.0)
    if isinstance(weight, (int, float)) and not isinstance(weight, bool):
        same["weight"] = weight / count
    rows = [{argument: values[place] for argument, values in levels.items()} for place in range(count)]
    return [{**same, "kwargs": {**kwargs, **row}} for row in rows]
