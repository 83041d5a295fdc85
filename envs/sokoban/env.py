"""The environment: Sokoban with gym-sokoban's rules and rewards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.options import only_option
from lmmr1.envs.window import Window

from .foresight import Foresight, Shown
from .generation.source import LevelSource, Selection, check_playable
from .levels.level import Level
from .levels.text import parse_level
from .observing import OBSERVATIONS, Screen, make_observer, make_screen, observation_space
from .pictures.text import TEXT_FORMATS, write_grid
from .pictures.tiles import check_tile_size, render
from .play import check_size, infos_by_kind, plays_of
from .rules import BOX, BOX_ON_TARGET, COVERED, KEEP, SOLVED, STOOD, UNCOVERED, WALKED, RewardTerms
from .speech.chat import ACTION_SETS, make_chat_spec
from .speech.prompts import PROMPTS


class SokobanEnv(gym.Env[Any, np.int64]):
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
    ``observation="tiny_rgb"``: the same with a pixel a cell, in gym-sokoban's colours.
    ``observation="grid"``: `Box` of shape (rows, columns), dtype uint8, with 0 wall, 1 floor, 2 target, 3 box on a
    target, 4 box, 5 player, 6 player on a target.
    ``observation="text"``: `Utterance`, a line a row; ``text_format`` says in which characters.

    ## Starting State
    A level that has a solution, with no box on a target: newly generated, or drawn from ``levels`` or from the
    ``pool``. ``reset(options={"level": level})`` starts from a `Level` or its XSB text, which may be a position
    without solution; one that is smaller than the room is filled up with wall.

    ## Rewards
    The terms of `RewardTerms` that apply are added up. By default: -0.1 a step, +1 when the number of covered targets
    rises, -1 when it falls, +10 when the last one is covered. Zero by default: ``closer`` times the decrease of the
    moves to go, ``dead`` once on entering a position without a solution, ``blocked`` for trying to move in vain,
    ``potential`` for shaping that leaves every best policy best.

    ## Episode End
    Terminates when every target is covered, and with ``end_when_dead`` when a step ends in a position without a
    solution. Truncated after ``max_steps`` steps otherwise.

    ## Information
    After ``reset`` and ``step``: ``success`` (every target is covered), ``moved`` (the player moved), ``pushed`` (a box
    did), ``blocked`` (the player tried to move and nothing changed) and ``dead`` (there is provably no solution), all
    bool. ``dead`` is found out only where a reward term or ``end_when_dead`` or ``show_optimal_moves`` asks for it, and
    stays False otherwise. With ``show_optimal_moves`` also ``optimal_moves``: the names of all best actions, a tuple.
    With ``show_regret`` also ``optimal``, the moves of a shortest solution from the start (-1: unknown or none), and
    ``regret``, the moves made over those once the level is solved (0 before). With ``show_score`` also ``score``,
    MageBench's: 100 plus 5 times what the best return so far (of gym-sokoban's rewards, at least 0) lacks to that of a
    shortest solution; minus infinity where none is known.

    ## Arguments
    - ``dim_room``: rows and columns, walls included; (7, 7) by default, or the size of the largest of ``levels``.
    - ``num_boxes``: number of boxes and targets; 1 by default, or whatever ``levels`` have.
    - ``inner_walls``: walls inside the border, 2 by default; of ``generation="scatter"``.
    - ``max_steps``: 120 by default.
    - ``observation``: "rgb" (default), "tiny_rgb", "grid" or "text".
    - ``tile_size``: pixels of a cell, 16 by default, at least 8.
    - ``action_set``: "moves4" (default) or "gym9".
    - ``levels``: XSB, Boxoban or SOK text, the path of a file or a folder of it, or `Level` objects. Nothing is
      generated.
    - ``split``: "all" (default), "train" or "test". One level in five is test, by a hash of its content; "train" never
      yields it.
    - ``min_moves``, ``max_moves``: bounds on the length of the shortest solution; 1 and None (no bound) by default.
    - ``rewards``: a `RewardTerms`, or a mapping with the names of those terms that differ from the default.
    - ``end_when_dead``: False by default.
    - ``show_optimal_moves``: False by default.
    - ``show_regret``, ``show_score``: False by default.
    - ``generation``: "scatter" (default) puts walls into an open room. The others dig a room and play backwards in it:
      "compat" makes gym-sokoban's levels, "ragen" and "vagen" theirs, each the same for a seed from 0 to 2^32 - 1;
      "fast" searches less and has seeds of its own.
    - ``num_gen_steps``: steps of the walk that digs a room; by default gym-sokoban's 1.7 times rows plus columns.
    - ``search_depth``: longest line of play of the search; by default 300, for "vagen" 100.
    - ``pool``: number of levels that are made once and drawn from; by default (None) each reset makes a new one.
    - ``prompt``: "plain" (default), "lmm-r1", "magebench-global" or "magebench-online": what a player is told in a
      chat.
    - ``text_format``: "xsb" (default), "ragen" or "vagen": the characters of text.
    - ``render_mode``: "rgb_array" returns the picture, "ansi" the board as text, "human" opens a window.

    ## Registered Configurations
    - ``LMMR1/Sokoban-v0``: the defaults.

    ## Version History
    - v0: first version.

    ## References
    - gym-sokoban: https://github.com/mpSchrader/gym-sokoban, the rules, the codes and the rewards.
    - LMM-R1: https://arxiv.org/abs/2503.07536, where Sokoban is the world of the agents.
    - Potential-based shaping: Ng, Harada and Russell, 1999, "Policy invariance under reward transformations".
    - RAGEN: https://arxiv.org/abs/2504.20073, and VAGEN: https://arxiv.org/abs/2510.16907.
    - XSB level text: http://www.sokobano.de/wiki/index.php?title=Level_format
    """

    metadata = {"render_modes": ["rgb_array", "ansi", "human"], "render_fps": 4}

    def __init__(
        self,
        dim_room: Sequence[int] | None = None,
        num_boxes: int | None = None,
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
        show_regret: bool = False,
        show_score: bool = False,
        generation: str = "scatter",
        num_gen_steps: int | None = None,
        search_depth: int | None = None,
        pool: int | None = None,
        text_format: str = "xsb",
        prompt: str = "plain",
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments and reads the levels.

        Raises:
            UserError: An argument is not one there is, or a level cannot be played.
        """
        for name, value, known in (
            ("observation", observation, OBSERVATIONS),
            ("action_set", action_set, tuple(ACTION_SETS)),
            ("text_format", text_format, tuple(TEXT_FORMATS)),
            ("prompt", prompt, PROMPTS),
            ("render_mode", render_mode, (None, *self.metadata["render_modes"])),
        ):
            if value not in known:
                raise UserError(f"{name} is {value!r}; choose from {', '.join(str(choice) for choice in known)}")
        if prompt != "plain" and action_set != "moves4":
            raise UserError(f'prompt="{prompt}" speaks of four moves; use action_set="moves4"')
        if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
            raise UserError(f"max_steps is {max_steps!r}; give an integer of at least 1")
        self.source = LevelSource(
            levels,
            Selection(
                check_size(dim_room),
                num_boxes,
                inner_walls,
                generation,
                num_gen_steps,
                search_depth,
                min_moves,
                max_moves,
                split,
                pool,
            ),
        )
        self.rows, self.columns = self.source.rows, self.source.columns
        self.max_steps = max_steps
        self.observation = observation
        self.tile_size = check_tile_size(tile_size)
        self.action_set = action_set
        self.text_format = text_format
        self.rewards = rewards if isinstance(rewards, RewardTerms) else RewardTerms.from_mapping(rewards or {})
        self.end_when_dead = end_when_dead
        self.render_mode = render_mode
        self.action_space = Discrete(len(ACTION_SETS[action_set]))
        self.observation_space = observation_space(observation, self.rows, self.columns, tile_size, text_format)
        self.chat_spec = make_chat_spec(observation, action_set, render_mode == "ansi", text_format, prompt)
        prefix = "" if action_set == "moves4" else "Push "
        self.foresight = Foresight(
            self.rewards, end_when_dead, Shown(show_optimal_moves, show_regret, show_score), prefix
        )
        self._feed = self.source.feed()
        self._fed = False
        # One row more than the board, for what lies behind its last wall.
        self._cells = bytearray((self.rows + 1) * self.columns)
        self._level: Level | None = None
        self._window: Window | None = None
        self._running = False
        self._player = self._uncovered = self._steps_taken = 0
        self._boxes: tuple[int, ...] = ()
        self._prepare()

    def _prepare(self) -> None:
        """Makes what `step` looks things up in, and the views on the board's memory, which no copy may share."""
        self._plays = plays_of(self.action_set, self.columns)
        self._outcomes = tuple(zip(self.rewards.by_kind(), infos_by_kind(), strict=True))
        self._grid = np.frombuffer(self._cells, np.uint8, self.rows * self.columns).reshape(self.rows, self.columns)
        self._screen: Screen | None = make_screen(self.observation, self.rows, self.columns, self.tile_size)
        if self._screen is not None:
            self._screen.draw(self._cells)
        self._has_extras = self._screen is not None or self.foresight.asked or self.render_mode == "human"
        self._observe = make_observer(self.observation, self._grid, self._screen, self.text_format)

    def __getstate__(self) -> dict[str, Any]:
        made = ("_plays", "_outcomes", "_grid", "_screen", "_observe")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    @property
    def outcome_infos(self) -> tuple[dict[str, Any], ...]:
        """The info of each kind of step; not to be changed."""
        return tuple(info for _, info in self._outcomes)

    def write(self, grid: np.ndarray) -> str:
        """Writes codes, shape (rows, columns), in the environment's ``text_format``."""
        return write_grid(grid, self.text_format)

    @property
    def levels(self) -> list[Level] | None:
        """All levels there are; None when new ones are made."""
        return self.source.levels

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts a level.

        Args:
            seed: Seed of the levels from here on.
            options: ``{"level": Level or XSB text}`` starts that level.

        Raises:
            UserError: The option is unknown, its level cannot be played, is solved already or does not fit, or no level
                could be generated.
        """
        super().reset(seed=seed)
        if seed is not None or not self._fed:
            self._feed.start(self.np_random, seed)
            self._fed = True
        level = self._choose_level(options)
        self._level = level
        codes, self._uncovered = level.start
        self._cells[: len(codes)] = codes
        self._player, self._boxes = level.player, level.boxes
        self._steps_taken = 0
        self._running = True
        if self._screen is not None:
            self._screen.draw(self._cells)
        info = self._outcomes[STOOD][1].copy()
        self.foresight.start(level)
        if self.foresight.asked:
            self.foresight.tell(info, level.player, level.boxes, 0)
        if self.render_mode == "human":
            self.render()
        return self._observe(), info

    def step(self, action: int | np.integer) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            gymnasium.error.ResetNeeded: No level is being played.
            UserError: There is no such action.
        """
        if not self._running:
            raise gym.error.ResetNeeded("no level is being played: call reset() before step()")
        try:
            step, table, kind = self._plays[action]  # pyright: ignore[reportArgumentType]
        except (KeyError, TypeError):
            raise UserError(
                f"there is no action {action!r}: give an integer from 0 to {len(self._plays) - 1}"
            ) from None
        cells = self._cells
        start = self._player
        ahead = start + step
        change = table[8 * cells[ahead] + cells[ahead + step]]
        if change is not None:
            there, behind, kind = change
            cells[start] -= 4
            cells[ahead] = there
            self._player = ahead
            if behind != KEEP:
                cells[ahead + step] = behind
                if kind == COVERED:
                    self._uncovered -= 1
                    if not self._uncovered:
                        kind = SOLVED
                elif kind == UNCOVERED:
                    self._uncovered += 1
        self._steps_taken = taken = self._steps_taken + 1
        reward, info = self._outcomes[kind]
        info = info.copy()
        terminated = kind == SOLVED
        if self._has_extras:
            if self._screen is not None and change is not None:
                self._screen.draw_cells(cells, start, ahead, ahead + step)
            if self.foresight.asked:
                reward += self._look_ahead(kind, info)
                terminated = terminated or (self.end_when_dead and self.foresight.dead)
            if self.render_mode == "human":
                self.render()
        truncated = not terminated and taken >= self.max_steps
        if terminated or truncated:
            self._running = False
        return self._observe(), reward, terminated, truncated, info

    def _look_ahead(self, kind: int, info: dict[str, Any]) -> float:
        if kind > WALKED:
            self._boxes = self._find_boxes()
        paid = self.foresight.follow(kind, self._player, self._boxes)
        self.foresight.tell(info, self._player, self._boxes, self._steps_taken)
        return paid

    def render(self) -> np.ndarray | str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the picture or the text of the board, or shows it; see the argument ``render_mode``."""
        if self.render_mode is None or self._level is None:
            return None
        if self.render_mode == "ansi":
            return self.write(self._grid)
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
        return self._level.with_position(self._player, self._find_boxes())

    def solution(self) -> Solution:
        """Returns where everything is, and the actions of a shortest solution, separated by commas.

        The thought reads ``me23 box34 goal11``: row and then column, from 0, one digit each; several boxes are
        separated by commas, and beyond ten rows or columns row and column are separated by a dot.

        Raises:
            UserError: The position is solved, has no solution, or is too hard for the solver.
        """
        level = self.state()
        if level.is_solved:
            raise UserError("the level is solved: there is no move left; call reset() for the next one")
        plan = self.foresight.plan(level.player, level.boxes)
        if not plan:
            lost = self.foresight.solver.is_dead(level.player, level.boxes)
            reason = "has no solution" if lost else "is too hard for the solver"
            raise UserError(f"this position {reason}, so no move can be called right; call reset() for the next level")
        dot = "." if max(level.rows, level.columns) > 10 else ""

        def place(*cells: int) -> str:
            return ",".join("{}{}{}".format(*(row, dot, column)) for row, column in map(level.position, cells))

        thought = f"me{place(level.player)} box{place(*level.boxes)} goal{place(*level.targets)}"
        return Solution(thought, ", ".join(plan))

    def _choose_level(self, options: dict[str, Any] | None) -> Level:
        if not options:
            return self._feed.next()
        return self.read_level(only_option(options, "level"))

    def read_level(self, level: Level | str) -> Level:
        """Returns a level as this environment plays it, filled up with wall.

        Raises:
            UserError: It cannot be played, is solved already or does not fit.
        """
        if not isinstance(level, (Level, str)):
            raise UserError(f'reset(options=...): "level" is a {type(level).__name__}; give a Level or XSB text')
        level = check_playable(parse_level(level) if isinstance(level, str) else level)
        return level.padded(self.rows, self.columns)

    def _find_boxes(self) -> tuple[int, ...]:
        return tuple(cell for cell, code in enumerate(self._cells) if code == BOX or code == BOX_ON_TARGET)
