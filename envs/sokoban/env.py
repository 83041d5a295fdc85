"""The environment: Sokoban with gym-sokoban's rules and rewards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.options import only_option

from .generate import check_generation, generate
from .levels import Level, parse_level, parse_levels
from .render import check_tile_size, render
from .rules import PLAYER_ON_TARGET, RewardTerms
from .solver import DEAD, Solver, solver_for
from .speech import ACTION_SETS, OBSERVATIONS, make_chat_spec, write_grid
from .window import Window


class SokobanEnv(gym.Env[np.ndarray, np.int64]):
    """Push every box onto a target.

    ## Description
    A warehouse seen from above. The player walks up, down, left and right and pushes single boxes; a box that was
    pushed into a corner never comes out again. Rules and rewards are gym-sokoban's; levels and pictures are our own.

    ## Action Space
    ``action_set="moves4"``: `Discrete(4)`, 0 Up, 1 Down, 2 Left, 3 Right; a move pushes the box in its way if the cell
    behind it is free. ``action_set="gym9"``: `Discrete(9)`, 0 Wait, 1 to 4 Push Up, Down, Left, Right (a plain move
    where there is no box), 5 to 8 Move Up, Down, Left, Right (never pushes).

    ## Observation Space
    ``observation="rgb"``: `Box` of shape (rows * tile_size, columns * tile_size, 3), dtype uint8.
    ``observation="grid"``: `Box` of shape (rows, columns), dtype uint8, with 0 wall, 1 floor, 2 target, 3 box on a
    target, 4 box, 5 player, 6 player on a target.

    ## Starting State
    A level that has a solution, with no box on a target: newly generated, or drawn from ``levels``.
    ``reset(options={"level": level})`` starts from a `Level` or its XSB text, which may be a position without solution;
    one that is smaller than the room is filled up with wall.

    ## Rewards
    The terms of `RewardTerms` that apply are added up. By default: -0.1 a step, +1 when the number of covered targets
    rises, -1 when it falls, +10 when the last one is covered. Zero by default: ``closer`` times the decrease of the
    moves to go, ``dead`` once on entering a position without a solution, ``blocked`` for trying to move in vain.

    ## Episode End
    Terminates when every target is covered, and with ``end_when_dead`` when a step ends in a position without a
    solution. Truncated after ``max_steps`` steps otherwise.

    ## Information
    After ``reset`` and ``step``: ``success`` (every target is covered), ``moved`` (the player moved), ``pushed`` (a box
    did), ``blocked`` (the player tried to move and nothing changed) and ``dead`` (there is provably no solution), all
    bool. ``dead`` is found out only where a reward term or ``end_when_dead`` or ``show_optimal_moves`` asks for it, and
    stays False otherwise. With ``show_optimal_moves`` also ``optimal_moves``: the names of all best actions, a tuple.

    ## Arguments
    - ``dim_room``: rows and columns, walls included; (7, 7) by default.
    - ``num_boxes``: number of boxes and targets, 1 by default.
    - ``inner_walls``: walls inside the border, 2 by default.
    - ``max_steps``: 120 by default.
    - ``observation``: "rgb" (default) or "grid".
    - ``tile_size``: pixels of a cell, 16 by default, at least 8.
    - ``action_set``: "moves4" (default) or "gym9".
    - ``levels``: XSB text, the path of a file of it, or `Level` objects. Takes the place of ``dim_room``,
      ``num_boxes``, ``inner_walls``, ``min_moves`` and ``max_moves``.
    - ``split``: "all" (default), "train" or "test". One level in five is test, by a hash of its content; "train" never
      yields it.
    - ``min_moves``, ``max_moves``: bounds on the length of the shortest solution; 1 and None (no bound) by default.
    - ``rewards``: a `RewardTerms`, or a mapping with the names of those terms that differ from the default.
    - ``end_when_dead``: False by default.
    - ``show_optimal_moves``: False by default.
    - ``render_mode``: "rgb_array" returns the picture, "ansi" the board as text, "human" opens a window.

    ## Registered Configurations
    - ``LMMR1/Sokoban-v0``: the defaults.

    ## Version History
    - v0: first version.

    ## References
    - gym-sokoban: https://github.com/mpSchrader/gym-sokoban, the rules, the codes and the rewards.
    - LMM-R1: https://arxiv.org/abs/2503.07536, where Sokoban is the world of the agents.
    - XSB level text: http://www.sokobano.de/wiki/index.php?title=Level_format
    """

    metadata = {"render_modes": ["rgb_array", "ansi", "human"], "render_fps": 4}

    def __init__(
        self,
        dim_room: Sequence[int] = (7, 7),
        num_boxes: int = 1,
        inner_walls: int = 2,
        max_steps: int = 120,
        observation: str = "rgb",
        tile_size: int = 16,
        action_set: str = "moves4",
        levels: str | os.PathLike[str] | Sequence[Level] | None = None,
        split: str = "all",
        min_moves: int = 1,
        max_moves: int | None = None,
        rewards: Mapping[str, float] | RewardTerms | None = None,
        end_when_dead: bool = False,
        show_optimal_moves: bool = False,
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments and reads the levels.

        Raises:
            UserError: An argument is not one there is, or a level cannot be played.
        """
        for name, value, known in (
            ("observation", observation, OBSERVATIONS),
            ("action_set", action_set, tuple(ACTION_SETS)),
            ("render_mode", render_mode, (None, *self.metadata["render_modes"])),
        ):
            if value not in known:
                raise UserError(f"{name} is {value!r}; choose from {', '.join(str(choice) for choice in known)}")
        if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
            raise UserError(f"max_steps is {max_steps!r}; give an integer of at least 1")
        check_generation(dim_room, num_boxes, inner_walls, min_moves, max_moves, split)
        self.generation = {
            "dim_room": (int(dim_room[0]), int(dim_room[1])),
            "num_boxes": num_boxes,
            "inner_walls": inner_walls,
            "min_moves": min_moves,
            "max_moves": max_moves,
            "split": split,
        }
        self.levels = None if levels is None else _read_levels(levels, split)
        self.rows, self.columns = self.generation["dim_room"]
        if self.levels is not None:
            self.rows = max(level.rows for level in self.levels)
            self.columns = max(level.columns for level in self.levels)
        self.max_steps = max_steps
        self.observation = observation
        self.tile_size = check_tile_size(tile_size)
        self.action_set = action_set
        self.rewards = rewards if isinstance(rewards, RewardTerms) else RewardTerms.from_mapping(rewards or {})
        self.end_when_dead = end_when_dead
        self.show_optimal_moves = show_optimal_moves
        self.render_mode = render_mode
        names = tuple(ACTION_SETS[action_set])
        self.action_space = Discrete(len(names))
        shape = (self.rows, self.columns)
        self.observation_space = (
            Box(0, PLAYER_ON_TARGET, shape, np.uint8)
            if observation == "grid"
            else Box(0, 255, (self.rows * tile_size, self.columns * tile_size, 3), np.uint8)
        )
        self.chat_spec = make_chat_spec(observation, action_set, drawn_as_text=render_mode == "ansi")
        self._actions = tuple(ACTION_SETS[action_set].values())
        self._asks_solver = self.rewards.needs_solver or end_when_dead or show_optimal_moves
        self._solver: Solver | None = None
        self._level: Level | None = None
        self._window: Window | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a level.

        Args:
            seed: Seed of the levels from here on.
            options: ``{"level": Level or XSB text}`` starts that level.

        Raises:
            UserError: The option is unknown, its level cannot be played, is solved already or does not fit, or no level
                could be generated.
        """
        super().reset(seed=seed)
        level = self._choose_level(options)
        self._level = level
        self._board = level.board()
        self._boxes = level.boxes
        self._steps_taken = 0
        self._running = True
        self._dead = False
        self._to_go: int | None = None
        self._solver = None
        if self._asks_solver:
            self._to_go = self._room_solver(level).distance(level.player, level.boxes)
            self._dead = self._to_go == DEAD
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info(False, False, False)

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            gymnasium.error.ResetNeeded: No level is being played.
            UserError: There is no such action.
        """
        if not self._running:
            raise gym.error.ResetNeeded("no level is being played: call reset() before step()")
        if not 0 <= action < len(self._actions):
            raise UserError(f"there is no action {action!r}: give an integer from 0 to {len(self._actions) - 1}")
        direction, push = self._actions[action]
        terms, board = self.rewards, self._board
        moved = pushed = False
        covered = 0
        if direction is not None:
            moved, pushed, covered = board.move(direction, push)
        blocked = direction is not None and not moved
        self._steps_taken += 1
        solved = board.solved
        reward = terms.step
        if covered:
            reward += terms.box_on_target if covered > 0 else terms.box_off_target
        if solved:
            reward += terms.solved
        if blocked:
            reward += terms.blocked
        if moved and self._solver is not None and self._asks_solver:
            reward += self._look_ahead(self._solver, pushed)
        terminated = solved or (self.end_when_dead and self._dead)
        truncated = not terminated and self._steps_taken >= self.max_steps
        self._running = not (terminated or truncated)
        if self.render_mode == "human":
            self.render()
        return self._observe(), reward, terminated, truncated, self._info(moved, pushed, blocked)

    def _look_ahead(self, solver: Solver, pushed: bool) -> float:
        """Asks how far the end is now, and returns what that pays."""
        if pushed:
            self._boxes = self._board.boxes()
        before, after = self._to_go, solver.distance(self._board.player, self._boxes)
        self._to_go = after
        if after == DEAD:
            entered, self._dead = not self._dead, True
            return self.rewards.dead if entered else 0.0
        if before is None or after is None or before == DEAD:
            return 0.0
        return self.rewards.closer * (before - after)

    def render(self) -> np.ndarray | str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the picture or the text of the board, or shows it; see the argument ``render_mode``."""
        if self.render_mode is None or self._level is None:
            return None
        if self.render_mode == "ansi":
            return write_grid(self._grid)
        picture = render(self._grid, self.tile_size)
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window("Sokoban", self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def state(self) -> Level:
        """Returns the present position.

        Raises:
            UserError: No level was started yet.
        """
        if self._level is None:
            raise UserError("there is no level yet: call reset() first")
        return self._level.with_position(self._board.player, self._board.boxes())

    def solution(self) -> Solution:
        """Returns where everything is, and the first action of a shortest solution.

        The thought reads ``me23 box34 goal11``: row and then column, from 0, one digit each; several boxes are
        separated by commas, and beyond ten rows or columns row and column are separated by a dot.

        Raises:
            UserError: The position is solved, has no solution, or is too hard for the solver.
        """
        level = self.state()
        if level.is_solved:
            raise UserError("the level is solved: there is no move left; call reset() for the next one")
        best = self._best_actions(level)
        if not best:
            lost = self._room_solver(level).is_dead(level.player, level.boxes)
            reason = "has no solution" if lost else "is too hard for the solver"
            raise UserError(f"this position {reason}, so no move can be called right; call reset() for the next level")
        dot = "." if max(level.rows, level.columns) > 10 else ""

        def place(*cells: int) -> str:
            return ",".join("{}{}{}".format(*(row, dot, column)) for row, column in map(level.position, cells))

        thought = f"me{place(level.player)} box{place(*level.boxes)} goal{place(*level.targets)}"
        return Solution(thought, best[0])

    def _room_solver(self, level: Level) -> Solver:
        # Kept here for the episode: with many environments in one process the shared memory of solvers is too short.
        if self._solver is None:
            self._solver = solver_for(level)
        return self._solver

    def _best_actions(self, level: Level) -> tuple[str, ...]:
        moves = self._room_solver(level).optimal_moves(level.player, level.boxes)
        return tuple(moves) if self.action_set == "moves4" else tuple(f"Push {move}" for move in moves)

    def _choose_level(self, options: dict[str, Any] | None) -> Level:
        if options:
            level = only_option(options, "level")
            if not isinstance(level, (Level, str)):
                raise UserError(f'reset(options=...): "level" is a {type(level).__name__}; give a Level or XSB text')
            level = _playable(parse_level(level) if isinstance(level, str) else level)
        elif self.levels is not None:
            level = self.levels[int(self.np_random.integers(len(self.levels)))]
        else:
            return generate(self.np_random, **self.generation)
        return level.padded(self.rows, self.columns)

    @property
    def _grid(self) -> np.ndarray:
        # Made anew each time: a view kept beside the board would be cut off from it by pickling or copying.
        return np.frombuffer(self._board.cells, np.uint8).reshape(self.rows, self.columns)

    def _observe(self) -> np.ndarray:
        return self._grid.copy() if self.observation == "grid" else render(self._grid, self.tile_size)

    def _info(self, moved: bool, pushed: bool, blocked: bool) -> dict[str, Any]:
        info: dict[str, Any] = {
            "success": self._board.solved,
            "moved": moved,
            "pushed": pushed,
            "blocked": blocked,
            "dead": self._dead,
        }
        if self.show_optimal_moves:
            info["optimal_moves"] = self._best_actions(self.state())
        return info


def _playable(level: Level) -> Level:
    if level.is_solved:
        raise UserError("a level is solved from the start; move a box off its target")
    return level


def _read_levels(levels: str | os.PathLike[str] | Sequence[Level], split: str) -> list[Level]:
    if isinstance(levels, (str, os.PathLike)):
        text = os.fspath(levels)
        if "\n" not in text:
            path = Path(text)
            if not path.is_file():
                raise UserError(f"levels: there is no file {text!r}; give the path of a level file, or the text itself")
            text = path.read_text(encoding="utf-8")
        levels = parse_levels(text)
    chosen = [_playable(level) for level in levels if split == "all" or level.is_test == (split == "test")]
    if not chosen:
        raise UserError(f'levels: none of the {len(levels)} levels is in the split "{split}"; use split="all"')
    return chosen
