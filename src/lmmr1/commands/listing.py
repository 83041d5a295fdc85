"""`lmmr1 envs` and `lmmr1 recipes`: what there is, a line each."""

from __future__ import annotations

import argparse
import inspect
import textwrap

import gymnasium as gym

from lmmr1.envs.registry import REGISTRATIONS


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `envs` and `recipes`."""
    parser = commands.add_parser("envs", help="list the environments of this package", allow_abbrev=False)
    parser.set_defaults(run=list_environments)
    parser = commands.add_parser("recipes", help="list the recipes that ship with this package", allow_abbrev=False)
    parser.set_defaults(run=list_recipes)


def list_environments(_: argparse.Namespace) -> int:
    """Print each id with its spaces and the first line of its documentation."""
    for row in REGISTRATIONS:
        env = gym.make(row.id)
        print(row.id)
        print(textwrap.indent(f"{_first_line(env.unwrapped)}\n", "    "), end="")
        print(f"    observation {_short(env.observation_space)}")
        print(f"    action      {_short(env.action_space)}")
        env.close()
    print("Any other Gymnasium environment works too: lmmr1 play FrozenLake-v1")
    return 0


def list_recipes(_: argparse.Namespace) -> int:
    """Print each recipe with its stages and its line of help."""
    from lmmr1.training.recipe import describe_recipes

    summaries = describe_recipes()
    width = max((len(summary.name) for summary in summaries), default=0)
    for summary in summaries:
        print(f"{summary.name.ljust(width)}  {summary.help}")
        print(f"{' ' * width}  stages: {', '.join(summary.stages)}")
    return 0


def _first_line(env: gym.Env) -> str:
    return (inspect.getdoc(type(env)) or "").partition("\n")[0]


def _short(space: gym.Space) -> str:
    if isinstance(space, gym.spaces.Dict):
        return "{" + ", ".join(f"{key}: {_short(part)}" for key, part in space.spaces.items()) + "}"
    if isinstance(space, gym.spaces.Box):
        return f"{space.dtype} {'x'.join(map(str, space.shape))}"
    if isinstance(space, gym.spaces.Discrete):
        return f"one of {space.n} actions"
    return str(space)
