"""What is said between whoever plays and an engine's own process: a line of JSON, and bytes.

No pickle, so that the two may run different versions of Python.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from ..scenarios.scenario import PlayerStart, Scenario
from ..state import State, TeamState
from .match import Control, KickOff

_LENGTH = struct.Struct("<I")


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    """One message."""
    line = json.dumps(head).encode()
    return _LENGTH.pack(len(line)) + line + data


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Its two parts."""
    (length,) = _LENGTH.unpack_from(message)
    end = _LENGTH.size + length
    return json.loads(message[_LENGTH.size : end]), message[end:]


def write_control(control: Control) -> dict[str, Any]:
    """A `Control` as JSON."""
    return asdict(control)


def read_control(values: dict[str, Any]) -> Control:
    """The other way."""
    size = values["frame_size"]
    return Control(**{**values, "frame_size": None if size is None else (size[0], size[1])})


def write_kick_off(kick_off: KickOff) -> dict[str, Any]:
    """A `KickOff` as JSON."""
    return asdict(kick_off)


def read_kick_off(values: dict[str, Any]) -> KickOff:
    """The other way."""
    scenario = dict(values["scenario"])
    for team in ("left_team", "right_team"):
        scenario[team] = tuple(PlayerStart(**player) for player in scenario[team])
    scenario["ball_position"] = tuple(scenario["ball_position"])
    return KickOff(Scenario(**scenario), values["seed"], values["swapped"])


def write_state(state: State) -> bytes:
    """A `State` as float64 numbers, which hold all of its integers exactly."""
    flags = (*state.left_sticky, *state.right_sticky)
    sizes = (len(state.left.roles), len(state.right.roles), len(state.left_sticky), len(state.right_sticky))
    parts: list[Any] = [
        (*sizes, len(flags[0]) if flags else 0),
        (state.ball_owned_team, state.ball_owned_player, state.game_mode, *state.score, state.steps_left),
        state.left_controlled,
        state.right_controlled,
        *flags,
        state.ball,
        state.ball_direction,
        state.ball_rotation,
    ]
    for team in (state.left, state.right):
        parts += [team.positions, team.directions, team.tired_factors, team.active, team.yellow_cards, team.roles]
        parts.append((team.designated,))
    return np.concatenate([np.ravel(part).astype(np.float64) for part in parts]).tobytes()


def read_state(data: bytes) -> State:
    """The other way."""
    numbers, place = np.frombuffer(data, np.float64), 0

    def take(count: int) -> np.ndarray:
        nonlocal place
        place += count
        return numbers[place - count : place].copy()

    def take_ints(count: int) -> tuple[int, ...]:
        return tuple(int(number) for number in take(count))

    def take_team(size: int) -> TeamState:
        return TeamState(
            take(2 * size).reshape(size, 2),
            take(2 * size).reshape(size, 2),
            take(size),
            take(size).astype(bool),
            take(size).astype(bool),
            take(size).astype(np.int64),
            take_ints(1)[0],
        )

    left, right, left_agents, right_agents, flags = take_ints(5)
    owned_team, owned_player, mode, left_goals, right_goals, steps_left = take_ints(6)
    left_controlled, right_controlled = take_ints(left_agents), take_ints(right_agents)
    left_sticky = tuple(take(flags).astype(np.uint8) for _ in range(left_agents))
    right_sticky = tuple(take(flags).astype(np.uint8) for _ in range(right_agents))
    ball, direction, rotation = take(3), take(3), take(3)
    return State(
        ball,
        direction,
        rotation,
        owned_team,
        owned_player,
        take_team(left),
        take_team(right),
        left_controlled,
        right_controlled,
        left_sticky,
        right_sticky,
        mode,
        (left_goals, right_goals),
        steps_left,
    )
