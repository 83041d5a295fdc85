"""`--key value` for keys that no parser lists: a recipe's (`--stages.fre.iterations 5`) and an environment's."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

# What a gathered pair looks like to argparse, which reads options that start with anything but this as its own.
GATHERED = "--override"


# The commands that take overrides, and the options that they have besides.
OWN_OPTIONS = {
    "train": ("--help", "--run-dir", "--resume", "--allow-changes"),
    "check-env": ("--help", "--json", "--quick", "--strict"),
    "size": (
        "--help",
        "--stage",
        "--model",
        "--gpus",
        "--gpu",
        "--async",
        "--learners",
        "--zero",
        "--offload",
        "--tensor-parallel",
        "--microbatch-tokens",
        "--lengths",
        "--mean-reply",
        "--spread",
        "--update-share",
        "--prefill-share",
        "--decode-share",
        "--link-share",
        "--json",
    ),
    "evaluate": (
        *("--help", "--suite", "--only", "--episodes", "--attempts", "--seed", "--out", "--again", "--json"),
        *("--via", "--include", "--online", "--judge"),
    ),
    "rescore": ("--help", "--out"),
    "serve": (
        *("--help", "--host", "--port", "--name", "--api-key", "--max-new-tokens", "--max-context-tokens"),
        *("--temperature", "--batch", "--waiting", "--env"),
    ),
    "leaderboard": (
        *("--help", "--envs", "--suite", "--episodes", "--max-turns", "--mode", "--seed", "--out", "--again"),
        *("--json", "--html", "--max-new-tokens"),
    ),
    "record": (
        *("--help", "--agent", "--before", "--after", "--kept", "--pick", "--mode", "--sampled", "--out", "--layout"),
        *("--grid", "--size", "--pace", "--task", "--episodes", "--max-turns", "--seed"),
    ),
    "play": ("--help", "--window", "--agent", "--delay", "--record", "--seed"),
}


def gather(words: Sequence[str]) -> list[str]:
    """Turn each `--key value` and `--key=value` that is not an option of the command into one word for argparse.

    Raises:
        UserError: a key has no value.
    """
    if not words or words[0] not in OWN_OPTIONS:
        return list(words)
    own, words, result = OWN_OPTIONS[words[0]], list(words), []
    while words:
        word = words.pop(0)
        key, equals, value = word.partition("=")
        if not key.startswith("--") or key == "--" or key in own:
            result.append(word)
            continue
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"{key} needs a value: {key} VALUE")
            value = words.pop(0)
        result.append(f"{GATHERED}={key[2:]}={value}")
    return result


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Let a parser collect the words that `gather` made."""
    parser.add_argument(GATHERED, action="append", default=[], type=_pair, help=argparse.SUPPRESS)


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value


def environment_from(id: str, overrides: Sequence[tuple[str, str]], **kwargs: Any) -> EnvironmentConfig:
    """The environment `id` with arguments from `--kwargs.NAME VALUE` and `--chat.NAME VALUE`.

    Raises:
        UserError: a key is neither.
    """
    groups = grouped(overrides, "an environment", ("kwargs", "chat"))
    return EnvironmentConfig(id, kwargs={**kwargs, **groups["kwargs"]}, chat=groups["chat"])


def grouped(overrides: Sequence[tuple[str, str]], who: str, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The values of `--GROUP.NAME VALUE` by group and name.

    Raises:
        UserError: a key is of no such group; the message says that `who` takes those.
    """
    values: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for key, value in overrides:
        group, _, name = key.partition(".")
        if group not in values or not name:
            choices = [f"--{group}.NAME VALUE" for group in groups]
            raise UserError(f"--{key} is not an option; {who} takes {', '.join(choices[:-1])} and {choices[-1]}")
        values[group][name] = value_from(value)
    return values


def value_from(text: str) -> Any:
    """A number, true, false, null, list or mapping as in JSON; any other text is itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
