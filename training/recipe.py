"""Reading recipes: a YAML file, then what the command line overrides, then types and checks, to one `RunConfig`.

Every mistake is a `UserError` of one line that names the whole key (`stages.fre.rollout.groups`) and what to do.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import importlib.resources
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pydantic
import yaml

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solvable

from .collection.levels import expand_levels
from .config import RunConfig

# In a list, because an adapter's settings reach a dataclass only from around it. Strict: "3" and true are no integers.
_ADAPTER = pydantic.TypeAdapter(list[RunConfig], config=pydantic.ConfigDict(extra="forbid", strict=True))
# Mappings whose keys are names that the recipe chose: an override changes what is named there, it never invents a name.
_NAMED = (("stages",), ("evaluation", "tasks"))

# The short forms that everybody types: --model M for --model.path M.
_SHORT = {
    "model": "model.path",
    "engine": "engine.kind",
    "backend": "backend.kind",
    "launcher": "launcher.kind",
    "address": "launcher.address",
}


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number (as in YAML 1.2) and a key that is written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is written twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        problem, place = " ".join(str(error).split()), where
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            mark = error.problem_mark
            problem, place = str(error.problem), f"{where}, line {mark.line + 1}, column {mark.column + 1}"
        raise UserError(f"{place}: not readable as YAML: {problem}") from error


# ---------------------------------------------------------------------------------------------------------- finding


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    folder = importlib.resources.files("lmmr1.training") / "recipes"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def find_recipe(name_or_path: str) -> str:
    """The text of a recipe.

    Args:
        name_or_path: the name of a recipe that ships with the package, or the path of a YAML file.

    Raises:
        UserError: there is no such recipe; the message lists those that exist.
    """
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path or "\\" in name_or_path:
        try:
            return Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"cannot read the recipe {name_or_path}: {reason}") from error
    names = recipe_names()
    if name_or_path not in names:
        raise UserError(
            f"there is no recipe {name_or_path!r}{_meant(name_or_path, names)}; the recipes are {', '.join(names)}"
            " (or give the path of a YAML file)"
        )
    shipped = importlib.resources.files("lmmr1.training") / "recipes" / f"{name_or_path}.yaml"
    return shipped.read_text(encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class RecipeSummary:
    """One line of `lmmr1 recipes`."""

    name: str
    help: str
    stages: tuple[str, ...]


def describe_recipes() -> list[RecipeSummary]:
    """The recipes that ship with the package, in the order of their names."""
    recipes = [(name, _read(find_recipe(name), (), name)) for name in recipe_names()]
    return [RecipeSummary(name, recipe.help, tuple(recipe.stages)) for name, recipe in recipes]


# ---------------------------------------------------------------------------------------------------------- reading


def load_recipe(name_or_path: str, overrides: Sequence[tuple[str, str]] = ()) -> RunConfig:
    """Find a recipe, apply `overrides` (pairs of a dotted key and a value written as YAML) and check it.

    Raises:
        UserError: no such recipe, or something in it is wrong.
    """
    return read_recipe(find_recipe(name_or_path), overrides, where=name_or_path)


def read_recipe(text: str, overrides: Sequence[tuple[str, str]] = (), *, where: str = "recipe") -> RunConfig:
    """Read a recipe from YAML text; `where` names the text in messages.

    Raises:
        UserError: not YAML, an unknown or missing key, a wrong type, a contradiction, an environment that
            cannot be made.
    """
    recipe = _read(text, overrides, where)
    _check_environments(recipe, where)
    return recipe


def _read(text: str, overrides: Sequence[tuple[str, str]], where: str) -> RunConfig:
    document = _parse_yaml(text, where)
    if not isinstance(document, dict):
        raise UserError(f"{where}: a recipe is a mapping of keys to values, not {_shown(document)}")
    # What an anchor stands for at several places is one object until here, and an override would change all of them.
    document = json.loads(json.dumps(document, default=str))
    for key, value in sorted(overrides, key=lambda pair: pair[0] != "env"):  # --env first: others may add to it
        parsed = _parse_yaml(value, f"--{key}")
        _play_instead(document, parsed) if key == "env" else _override(document, key, parsed)
    try:
        expand_levels(document)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    try:
        [recipe] = _ADAPTER.validate_json(json.dumps([document], default=str))
    except pydantic.ValidationError as error:
        problems = error.errors()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{where}: {_explain(problems[0])}{more}") from error
    return recipe


def dump_recipe(recipe: RunConfig) -> str:
    """The recipe as YAML with every value written out; `read_recipe` makes an equal one from it."""
    return yaml.safe_dump(_as_document(recipe), sort_keys=False, allow_unicode=True, width=120)


def first_difference(one: RunConfig, other: RunConfig) -> str | None:
    """The first key whose values differ, with both values ("seed: 1 and 2"); None when the recipes are equal."""
    changed = differences(one, other)
    return next((f"{key}: {_shown(before)} and {_shown(after)}" for key, (before, after) in changed.items()), None)


def differences(one: RunConfig, other: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Every key whose values differ, with both values (None where a recipe has no such key)."""
    flat_one, flat_other = (dict(_leaves(_as_document(recipe))) for recipe in (one, other))
    keys = dict.fromkeys([*flat_one, *flat_other])
    return {key: (flat_one.get(key), flat_other.get(key)) for key in keys if flat_one.get(key) != flat_other.get(key)}


def parse_recipe(text: str, where: str) -> RunConfig:
    """The recipe that `dump_recipe` wrote; no environment is made to check it.

    Raises:
        UserError: it is not a recipe of this version.
    """
    return _read(text, (), where)


def _as_document(recipe: RunConfig) -> dict[str, Any]:
    return _ADAPTER.dump_python([recipe], mode="json")[0]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if not items:  # a number, a text, or an empty mapping or list
        yield ".".join(path), value
        return
    for key, item in items:
        yield from _leaves(item, (*path, str(key)))


# ------------------------------------------------------------------------------------------------------- overriding


def _override(document: dict[str, Any], key: str, value: Any) -> None:
    """Set `document[a][b][c]` for the key "a.b.c"; numbers index lists."""
    path = key.split(".")
    if key in _SHORT and isinstance(value, str):
        path = _SHORT[key].split(".")
    node: Any = document
    for depth, part in enumerate(path):
        last, so_far = depth == len(path) - 1, ".".join(path[: depth + 1])
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                parent = ".".join(path[:depth])
                raise UserError(f"--{key}: {parent} has {len(node)} entries, numbered from 0; not {part!r}")
            index: Any = int(part)
        elif isinstance(node, dict):
            if tuple(path[:depth]) in _NAMED and part not in node:
                raise UserError(f"--{key}: there is no {so_far}{_meant(part, node)}; there are {', '.join(node)}")
            index = part
        else:
            raise UserError(f"--{key}: {'.'.join(path[:depth])} is {_shown(node)}, which has no keys")
        if last:
            node[index] = value
        else:
            if isinstance(node, dict) and node.get(index) is None:
                node[index] = {}
            node = node[index]


def _play_instead(document: dict[str, Any], value: Any) -> None:
    """Let every stage play one other environment, and the last evaluation task judge on it alone.

    Args:
        document: the recipe.
        value: its id, or a mapping of an environment's keys; where that has no `chat`, it is spoken to as before.
    """
    new = {"id": value} if isinstance(value, str) else value
    if not isinstance(new, dict) or not isinstance(new.get("id"), str):
        raise UserError(
            f"--env is an id, or a mapping with one such as '{{id: X, kwargs: {{...}}}}'; not {_shown(value)}"
        )

    def instead_of(old: Any) -> dict[str, Any]:
        chat = old.get("chat") if isinstance(old, dict) else None
        return copy.deepcopy({**({} if chat is None else {"chat": chat}), **new})  # an override changes one of them

    stages, evaluation = document.get("stages"), document.get("evaluation") or {}
    for stage in stages.values() if isinstance(stages, dict) else ():
        for key in ("environments", "demonstrations"):
            entries = stage.get(key) if isinstance(stage, dict) else None
            if isinstance(entries, list) and entries:
                first, whose = entries[0], key == "demonstrations"
                stage[key] = [
                    {**first, "environment": instead_of(first.get("environment"))} if whose else instead_of(first)
                ]
    tasks = evaluation.get("tasks") if isinstance(evaluation, dict) else None
    if isinstance(tasks, dict) and tasks:
        name, task = list(tasks.items())[-1]
        evaluation["tasks"] = {name: {**task, "environment": instead_of(task.get("environment"))}}


# ------------------------------------------------------------------------------------------------------- explaining


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=2, cutoff=0.7)
    return f", did you mean {' or '.join(close)}?" if close else ""


def _keys_at(location: Sequence[int | str]) -> list[str]:
    """Names of the keys that the recipe may have at a place; empty where any name will do."""
    kind: Any = RunConfig
    for part in location:
        if get_origin(kind) in (dict, list):
            kind = get_args(kind)[-1]
        else:
            kind = get_type_hints(kind).get(str(part)) if dataclasses.is_dataclass(kind) else None
        if type(None) in get_args(kind):
            kind = get_args(kind)[0]
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def _explain(problem: Any) -> str:
    location = problem["loc"][1:]
    key = ".".join(map(str, location))
    if problem["type"] == "value_error":
        # The classes of a recipe start their messages with the key that is wrong, seen from themselves.
        message = str(problem["ctx"]["error"])
        starts_with_key = re.split(r"[^\w]", message, maxsplit=1)[0] in _keys_at(location)
        return f"{key}{'.' if starts_with_key else ': '}{message}" if key else message
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_at(location[:-1])
        return f"{key} is not a key{_meant(str(location[-1]), known) or '; the keys here are ' + ', '.join(known)}"
    if problem["type"] in ("missing", "missing_argument"):
        return f"{key} is missing"
    message = problem["msg"].replace("Input should be", "must be").replace("an object", "a mapping of keys to values")
    return f"{key} {message}, not {_shown(problem['input'])}"


def _check_environments(recipe: RunConfig, where: str) -> None:
    # Each is made and closed, so that a wrong argument of the last stage's environment is told before the first stage.
    places, solved = {}, set()
    for name, stage in recipe.stages.items():
        for index, environment in enumerate(stage.environments):
            places[f"stages.{name}.environments.{index}"] = environment
        for index, demonstration in enumerate(stage.demonstrations):
            key = f"stages.{name}.demonstrations.{index}.environment"
            places[key] = demonstration.environment
            solved |= {key} if demonstration.source == "expert" else set()
    for name, task in recipe.evaluation.tasks.items():
        places[f"evaluation.tasks.{name}.environment"] = task.environment
    for key, environment in places.items():
        try:
            env = environment.make()
        except UserError as error:
            raise UserError(f"{where}: {key}: {error}") from error
        if key in solved and not isinstance(env.unwrapped, Solvable):
            raise UserError(f"{where}: {key}: {environment.id} cannot be demonstrated: it does not know its solution")
        env.close()
