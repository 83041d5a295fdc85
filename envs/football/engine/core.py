"""The engine in this process: the one file that imports gfootball_engine.

It does what Google Research Football's own core does around that engine (who may do what in a dead ball, when an
episode ends, what can be seen), without its dependencies, and makes pictures only when they are asked for.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError

from ..actions import action_names, sticky_names
from ..scenarios.scenario import PlayerStart, Scenario
from ..state import GameMode, State, TeamState
from .match import Control, KickOff, StepResult

# A dead ball that nobody plays is played for them: after so many steps with a pass, later by walking.
PASS_AFTER, WALK_AFTER = 20, 30
# What the engine writes for linear light is shown as if it were sRGB, which is far too dark.
_LINEAR = np.arange(256) / 255
_TO_SRGB = np.where(_LINEAR <= 0.0031308, 12.92 * _LINEAR, 1.055 * np.maximum(_LINEAR, 1e-9) ** (1 / 2.4) - 0.055)
SRGB = np.rint(255 * _TO_SRGB).astype(np.uint8)

_LENGTH = struct.Struct("<I")
_numbers = itertools.count()
# Engines without pictures that were given back: making one takes 0.3 s and 50 MB that the C++ code never frees.
_idle: list[Any] = []


class EngineMissing(UserError):  # noqa: N818 - says what is the case
    """The engine is not installed for this Python."""

    def __init__(self, reason: str) -> None:
        """Build the message."""
        super().__init__(
            f"the football engine is not there ({reason}): run `make football` (docs/football.md), which builds it for "
            "Python 3.11; with another Python, name one that has it in LMMR1_FOOTBALL_PYTHON"
        )


def import_engine() -> Any:
    """The module gfootball_engine.

    Raises:
        EngineMissing: it cannot be imported.
    """
    try:
        import gfootball_engine  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        raise EngineMissing(f"{version}: {error}") from error
    return gfootball_engine


class CoreEngine:
    """A match in this process.

    Args:
        control: whom the agents play. With a `frame_size` there can be one engine in a process only, which is never
            given back: `process.py` sees to that.

    Raises:
        EngineMissing: gfootball_engine cannot be imported.
    """

    def __init__(self, control: Control) -> None:
        """See the class."""
        self._library = library = import_engine()
        self.name = f"{os.getpid()}:{next(_numbers)}"
        self.control = control
        backend = library.e_BackendAction
        names = action_names(control.action_set)
        self._actions = [getattr(backend, name) for name in names]
        self._sticky = [getattr(backend, name) for name in sticky_names(control.action_set)]
        self._players = [(True, index) for index in range(control.left)]
        self._players += [(False, index) for index in range(control.right)]
        self._draws = control.frame_size is not None
        self._engine = _idle.pop() if _idle and not self._draws else library.GameEnv()
        if control.frame_size is not None:
            config = self._engine.game_config
            config.render_resolution_x, config.render_resolution_y = control.frame_size
        else:
            self._give_back = weakref.finalize(self, _idle.append, self._engine)
        self._drawn_before = False
        self._state: State | None = None
        self._picture: np.ndarray | None = None

    @property
    def state(self) -> State:
        """What can be seen now; made when it is first asked for."""
        if self._state is None:
            self._state = self._read()
        return self._state

    def reset(self, kick_off: KickOff) -> None:
        """Begin a match."""
        engine, states = self._engine, self._library.GameState
        self._scenario = scenario = kick_off.scenario
        # The flag makes the graphics when the engine starts, and has to be up whenever a match begins.
        engine.game_config.render = self._draws
        if engine.state == states.game_created:
            engine.start_game()
        engine.state = states.game_running
        engine.reset(self._configure(kick_off), self._draws)
        engine.game_config.render = False
        self._duration = scenario.game_duration
        self._score, self._owner, self._mode, self._waiting = 0, -1, -1, 0
        self._before: bytes | None = None
        self._look()
        # Nobody changes its role in a match.
        self._roles = _read_roles(self._info.left_team), _read_roles(self._info.right_team)
        while not self._info.is_in_play:
            self._advance()

    def step(self, actions: Sequence[int]) -> StepResult:
        """Go on by one step."""
        perform = self._engine.perform_action
        if self._waiting < PASS_AFTER:
            for (left, index), action in zip(self._players, actions, strict=True):
                perform(self._actions[action], left, index)
        else:
            self._play_dead_ball(actions)
        self._advance()
        info = self._info
        while not info.is_in_play:
            self._advance()
            info = self._info
        scenario = self._scenario
        goals = (info.left_goals, info.right_goals)
        mode, owner = int(info.game_mode), info.ball_owned_team
        done = info.step >= self._duration
        done |= scenario.end_episode_on_score and goals != (0, 0)
        dead = mode != GameMode.NORMAL
        done |= scenario.end_episode_on_out_of_play and dead and self._mode == GameMode.NORMAL
        if owner != -1:
            done |= scenario.end_episode_on_possession_change and self._owner not in (-1, owner)
            self._owner = owner
        self._mode = mode
        self._waiting = self._waiting + 1 if dead else 0
        scored, self._score = goals[0] - goals[1] - self._score, goals[0] - goals[1]
        return StepResult(scored, done)

    def frame(self) -> np.ndarray:
        """The 3D picture of now; shape (height, width, 3), dtype uint8, red-green-blue.

        Bodies move in a step that draws only, so the last step is made again, drawing, and then undone. That is done
        twice: the camera swings from where it was before, and at the second time it was here, so that the picture
        depends on nothing but the state of the match.

        Raises:
            RuntimeError: the engine was made without a frame_size.
        """
        if self.control.frame_size is None:
            raise RuntimeError("this engine was made without a frame_size")
        if self._picture is not None:
            return self._picture.copy()
        engine = self._engine
        now = engine.get_state(b"")
        engine.game_config.render = True
        # The camera of a process's first picture is somewhere else altogether.
        for _ in range(2 if self._drawn_before else 3):
            if self._before is None:
                engine.render(True)
            else:
                engine.set_state(self._before)
                engine.step()
        self._drawn_before = True
        data = engine.get_frame()
        engine.game_config.render = False
        engine.set_state(now)
        width, height = self.control.frame_size
        picture = np.frombuffer(data, np.uint8)
        # The engine gives rows from the bottom up.
        self._picture = SRGB[picture.reshape(height, width, 3)[::-1]]
        return self._picture.copy()

    def save(self) -> bytes:
        """The engine's memory and the little that is kept here."""
        kept = {"score": self._score, "owner": self._owner, "mode": self._mode, "waiting": self._waiting}
        head = json.dumps(kept).encode()
        before = self._before or b""
        return b"".join((_LENGTH.pack(len(head)), head, _LENGTH.pack(len(before)), before, self._engine.get_state(b"")))

    def load(self, data: bytes) -> None:
        """Back to where `save` was called, in a match with the same kick-off."""
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size
        kept = json.loads(data[start : start + length])
        start += length
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        self._before = data[start : start + length] or None
        self._engine.set_state(data[start + length :])
        self._score, self._owner, self._mode, self._waiting = (
            kept[name] for name in ("score", "owner", "mode", "waiting")
        )
        self._look()

    def close(self) -> None:
        """Give the engine back to the next match of this process."""
        if not self._draws:
            self._give_back()

    # ------------------------------------------------------------------------------------------------------ inside

    def _advance(self) -> None:
        if self._draws:
            self._before = self._engine.get_state(b"")
        self._engine.step()
        self._look()

    def _look(self) -> None:
        self._info = self._engine.get_info()
        self._state = self._picture = None

    def _play_dead_ball(self, actions: Sequence[int]) -> None:
        """Nobody may hold up the game by waiting: the same rule as Google Research Football's core."""
        backend, state = self._library.e_BackendAction, self.state
        for left, index in self._players:
            if self._waiting == PASS_AFTER:
                action = backend.short_pass
            else:
                action = backend.idle
                mine = state.left_controlled if left else state.right_controlled
                # "^ left" of that core is true where the owner's number (0 left, 1 right) is not the same as the flag,
                # which is so for the owner itself.
                owns = state.ball_owned_team != -1 and bool(state.ball_owned_team) != left
                if owns and mine[index] == state.ball_owned_player:
                    action = backend.left if (self._waiting < WALK_AFTER) != left else backend.right
            self._engine.perform_action(action, left, index)

    def _configure(self, kick_off: KickOff) -> Any:
        scenario, config = kick_off.scenario, self._library.ScenarioConfig.make()
        config.ball_position[0], config.ball_position[1] = scenario.ball_position
        config.left_agents, config.right_agents = self.control.left, self.control.right
        for name in SCENARIO_FIELDS:
            setattr(config, name, vars(scenario)[name])
        if not scenario.deterministic:
            config.game_engine_random_seed = kick_off.seed
            config.reverse_team_processing = bool(kick_off.seed % 2)
        lineups = (scenario.left_team, scenario.right_team)
        left, right = reversed(lineups) if kick_off.swapped else lineups
        for players, entries in ((left, config.left_team), (right, config.right_team)):
            for player in players:
                entries.append(self._entry(player))
        return config

    def _entry(self, player: PlayerStart) -> Any:
        role = getattr(self._library.e_PlayerRole, f"e_PlayerRole_{player.role}")
        return self._library.FormationEntry(player.x, player.y, role, player.lazy, player.controllable)

    def _read(self) -> State:
        info, sticky = self._info, self._engine.sticky_action_state
        left, right = self.control.left, self.control.right
        ball, way, spin = info.ball_position, info.ball_direction, info.ball_rotation
        # This is most of what an environment adds to the engine's own time: few calls, and one array for all numbers.
        numbers = [ball[0], ball[1], ball[2], way[0], way[1], way[2], spin[0], spin[1], spin[2]]
        designated = (_read_team(info.left_team, numbers), _read_team(info.right_team, numbers))
        all_numbers = np.array(numbers)
        table = all_numbers[9:].reshape(-1, COLUMNS)
        flags = table[:, 5:] != 0
        teams, start = [], 0
        for roles, first in zip(self._roles, designated, strict=True):
            end = start + len(roles)
            rows, marks = table[start:end], flags[start:end]
            teams.append(TeamState(rows[:, :2], rows[:, 2:4], rows[:, 4], marks[:, 0], marks[:, 1], roles, first))
            start = end
        return State(
            all_numbers[:3],
            all_numbers[3:6],
            all_numbers[6:9],
            info.ball_owned_team,
            info.ball_owned_player,
            teams[0],
            teams[1],
            tuple(info.left_controllers[index].controlled_player for index in range(left)),
            tuple(info.right_controllers[index].controlled_player for index in range(right)),
            tuple(np.array([sticky(a, True, index) for a in self._sticky], np.uint8) for index in range(left)),
            tuple(np.array([sticky(a, False, index) for a in self._sticky], np.uint8) for index in range(right)),
            int(info.game_mode),
            (info.left_goals, info.right_goals),
            self._duration - info.step,
        )


# The fields of a scenario that the engine has under the same name.
SCENARIO_FIELDS = tuple(
    name
    for name in Scenario.__dataclass_fields__
    if name not in {"name", "left_team", "right_team", "ball_position", "swap_lineups"}
)


# Numbers of a player in the table of `_read`: place, way, tiredness, whether it plays, whether it was cautioned.
COLUMNS = 7


def _read_team(players: Any, numbers: list[float]) -> int:
    """Appends the numbers of each player; returns who is designated."""
    designated = -1
    for place, player in enumerate(players):
        position, direction = player.position, player.direction
        numbers += (
            position[0],
            position[1],
            direction[0],
            direction[1],
            player.tired_factor,
            player.is_active,
            player.has_card,
        )
        if player.designated_player:
            designated = place
    return designated


def _read_roles(players: Any) -> np.ndarray:
    return np.array([int(player.role) for player in players])
