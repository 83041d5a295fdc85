"""What is known of widely used worlds of others that do not say themselves what their actions are called.

The actions are those of Gymnasium's and Minigrid's documentation; the sentences are ours.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import gymnasium as gym
from gymnasium.spaces import Discrete


@dataclass(frozen=True)
class KnownWorld:
    """A world that an agent can be told more of than its spaces say.

    Attributes:
        goal: what it is about, in a sentence or two.
        actions: the name of each action, from 0 up.
    """

    goal: str
    actions: tuple[str, ...]


_LAKE = KnownWorld(
    "Cross the frozen lake from the top left to the goal at the bottom right without falling into a hole. "
    "Without a picture an observation is the number of your tile, counted row by row from 0.",
    ("Left", "Down", "Right", "Up"),
)
# By name, without namespace and version.
KNOWN_WORLDS = {
    "FrozenLake": _LAKE,
    "FrozenLake8x8": _LAKE,
    "CliffWalking": KnownWorld(
        "Walk from the bottom left to the bottom right without stepping off the cliff between them. "
        "Without a picture an observation is the number of your tile, counted row by row from 0 in 12 columns.",
        ("Up", "Right", "Down", "Left"),
    ),
    "Taxi": KnownWorld(
        "Pick the passenger up and set them down at their destination. Without a picture an observation is one number: "
        "((row * 5 + column) * 5 + the passenger's place) * 4 + the destination; the places are red, green, yellow, "
        "blue, and in the taxi.",
        ("Down", "Up", "Right", "Left", "Pick up", "Set down"),
    ),
    "Blackjack": KnownWorld(
        "Come closer to 21 than the dealer, not beyond it. An observation is your sum, the dealer's card, and whether "
        "you hold an ace that counts 11.",
        ("Stick", "Hit"),
    ),
    "CartPole": KnownWorld(
        "Keep the pole on the cart upright. An observation is the cart's position and speed, the pole's angle and its "
        "speed.",
        ("Left", "Right"),
    ),
    "MountainCar": KnownWorld(
        "Swing the car up the hill on the right. An observation is its position and its speed.",
        ("Left", "Coast", "Right"),
    ),
    "Acrobot": KnownWorld(
        "Swing the lower of two links above the line. An observation is the cosine and sine of both angles, and their "
        "speeds.",
        ("Push negative", "Rest", "Push positive"),
    ),
    "LunarLander": KnownWorld(
        "Land between the flags. An observation is position, speed, angle, its speed, and whether each leg touches.",
        ("Nothing", "Left engine", "Main engine", "Right engine"),
    ),
}


@runtime_checkable
class NamesActions(Protocol):
    """A world that has an enumeration of its actions, as Minigrid's have."""

    actions: Any


def known_world(env: gym.Env[Any, Any]) -> KnownWorld | None:
    """What is known of a world with ``Discrete`` actions; None where that is nothing."""
    space = env.action_space
    if not isinstance(space, Discrete) or space.start != 0:
        return None
    name = env.spec.id if env.spec is not None else ""
    known = KNOWN_WORLDS.get(re.sub(r"-v\d+$", "", name).split("/")[-1])
    if known is not None and len(known.actions) == space.n:
        return known
    world = env.unwrapped
    if isinstance(world, NamesActions) and isinstance(world.actions, enum.EnumMeta):
        choices = cast("Mapping[str, Any]", world.actions.__members__)
        members = {int(member.value): choice for choice, member in choices.items()}
        if sorted(members) == list(range(int(space.n))):
            return KnownWorld("", tuple(members[index].capitalize() for index in range(int(space.n))))
    return None
