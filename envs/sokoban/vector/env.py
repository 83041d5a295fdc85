"""Many boards as one Gymnasium `VectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from lmmr1.envs.compiling.kernel import has_numba, require_numba
from lmmr1.envs.errors import UserError
from lmmr1.envs.options import only_option

from ..env import SokobanEnv
from ..generation.source import Feed, ListFeed
from ..levels.level import Level
from ..pictures.tiles import render
from ..play import INFO_KEYS
from .boards import DISABLED, MARKS, NEXT_STEP, SAME_STEP, Boards, Rules, pack_levels
from .engines import Engine, NumbaEngine, NumPyEngine

ENGINES = ("auto", "numba", "numpy", "single")
_MODES = {AutoresetMode.NEXT_STEP: NEXT_STEP, AutoresetMode.SAME_STEP: SAME_STEP, AutoresetMode.DISABLED: DISABLED}
_INT64 = np.dtype(np.int64)


class SokobanVectorEnv(VectorEnv[Any, np.ndarray, np.ndarray]):
    """``num_envs`` times `SokobanEnv`, stepped together: what they say is what single ones with the same seeds say.

    Observations, rewards (float64), ends and infos are those of Gymnasium's `SyncVectorEnv` of the same environments,
    ``final_obs`` and ``final_info`` included. Levels that are made anew at each reset cost as much as in a single
    environment; give ``levels`` or a ``pool`` where steps are to be fast.

    Args:
        num_envs: Number of boards.
        autoreset_mode: When a board whose episode ended gets its next level.
        copy: Whether what `step` and `reset` return is the caller's to keep. With False, observations, rewards, ends
            and infos are views of memory that the next step overwrites; nothing of the size of the observations is
            copied.
        engine: "numba" (the extra ``fast``), "numpy", or "single", which is a `SyncVectorEnv`. "auto" takes the first
            of them that is installed, but "single" where the solver is asked (``rewards`` that look ahead,
            ``end_when_dead``, ``show_optimal_moves``, ``show_regret``) and for observations as text.
        **arguments: Those of `SokobanEnv`.

    Raises:
        UserError: An argument is not one there is, or the engine cannot do what is asked.
    """

    metadata: dict[str, Any] = {**SokobanEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        engine: str = "auto",
        **arguments: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise UserError(f"num_envs is {num_envs!r}; give an integer of at least 1")
        try:
            mode = AutoresetMode(autoreset_mode)
        except ValueError:
            modes = ", ".join(mode.value for mode in AutoresetMode)
            raise UserError(f"autoreset_mode is {autoreset_mode!r}; choose from {modes}") from None
        if engine not in ENGINES:
            raise UserError(f"engine is {engine!r}; choose from {', '.join(ENGINES)}")
        if arguments.get("render_mode") == "human":
            raise UserError('render_mode="human" shows one board; use "rgb_array" or "ansi" here')
        single = SokobanEnv(**arguments)
        self.num_envs, self.copy = num_envs, copy
        self.render_mode = single.render_mode
        self.metadata = {**SokobanEnv.metadata, "autoreset_mode": mode}
        self.single_observation_space, self.single_action_space = single.observation_space, single.action_space
        self.observation_space = batch_space(single.observation_space, num_envs)
        self.action_space = batch_space(single.action_space, num_envs)
        self._single = single
        self.engine = _choose_engine(engine, single)
        if self.engine == "single":
            if single.levels is not None:
                arguments["levels"] = single.levels  # read once
                arguments.pop("pool", None)
            makers = [lambda: SokobanEnv(**arguments)] * num_envs
            self._singles = SyncVectorEnv(makers, copy=copy, autoreset_mode=mode)
            return
        rules = Rules(
            single.rows,
            single.columns,
            single.max_steps,
            single.action_set,
            single.rewards,
            single.observation,
            single.tile_size,
            _MODES[mode],
        )
        make = NumbaEngine if self.engine == "numba" else NumPyEngine
        self.boards: Engine = make(num_envs, rules, single.levels)
        self.memory: Boards = self.boards.memory
        self._mode = rules.mode
        # New levels come from a feed of each board; levels of a list are chosen by the engine itself.
        self._feeds: list[Feed] = [] if single.levels is not None else [single.source.feed() for _ in range(num_envs)]
        self._generators: list[np.random.Generator | None] = [None] * num_envs if self._feeds else []
        self._begun = np.zeros(num_envs, np.bool_)
        self._pending = np.empty(0, np.int64)  # boards that the next step begins anew, where it has to be given levels
        self._everyone = np.arange(num_envs)
        self._rewards, self._marks = np.zeros(num_envs), np.zeros((len(MARKS), num_envs), np.bool_)
        self._all = np.ones(num_envs, np.bool_)
        self._all.setflags(write=False)
        self._none = ~self._all
        self._none.setflags(write=False)
        self._shape, self._ready = (num_envs,), False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts a level on every board.

        Args:
            seed: Of the first board, the next one has one more, and so on; or one for each.
            options: ``{"level": ...}`` as for a single environment; ``{"reset_mask": array}`` resets those boards only.

        Raises:
            UserError: The seeds are not as many as the boards, or an option is unknown or wrong.
        """
        if self.engine == "single":
            return self._singles.reset(seed=seed, options=options)  # pyright: ignore[reportArgumentType]
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        if mask is not None and not (
            isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,) and mask.dtype == np.bool_ and mask.any()
        ):
            raise UserError(f"reset_mask must be a bool array of shape ({self.num_envs},) with at least one True")
        which = self._everyone if mask is None else np.flatnonzero(mask)
        self._seed(which, seed)
        if options:
            level = only_option(options, "level")
            starts = [self._single.read_level(level)] * len(which)
            self._load(which, starts)
        elif self._feeds:
            self._load(which, [self._feeds[i].next() for i in which])
        else:
            chosen = self.memory.choose(which)
            self.boards.load(which, self.memory.pool[chosen], self.memory.starts[chosen])
        self.boards.resume(which)
        self._pending = np.setdiff1d(self._pending, which)
        self._ready = bool(self._begun.all())
        nothing = np.zeros((4, self.num_envs), np.bool_)
        return self.memory.observe(self.copy), self._infos(*nothing, told=self._all if mask is None else mask.copy())

    def _seed(self, which: np.ndarray, seed: int | Sequence[int | None] | None) -> None:
        if seed is None:
            seeds: Sequence[int | None] = [None] * self.num_envs
        elif isinstance(seed, (int, np.integer)):
            seeds = [int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise UserError(
                f"there are {len(seeds)} seeds for {self.num_envs} boards; give one for each, or a single one"
            )
        feed = ListFeed(())
        for i in which.tolist():
            given = seeds[i]
            if given is None and self._begun[i]:
                continue
            generator, _ = seeding.np_random(given)
            if self._feeds:
                self._generators[i] = generator
                self._feeds[i].start(generator, given)
            else:
                feed.start(generator, given)
                self.memory.streams[i] = feed.state
        self._begun[which] = True

    def _load(self, which: np.ndarray, levels: Sequence[Level]) -> None:
        self.boards.load(which, *pack_levels(levels, self.memory.cells))

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Plays an action on every board.

        Args:
            actions: Integers, shape (num_envs,). The action of a board that gets its next level is not looked at, but
                must be one there is.

        Returns:
            Observations, rewards (float64), terminated and truncated (bool), infos.

        Raises:
            gymnasium.error.ResetNeeded: `reset` was not called, or (autoreset disabled) an episode is over.
            UserError: There are not as many actions as boards, or no such action.
        """
        if self.engine == "single":
            return self._singles.step(actions)
        if not self._ready:
            raise gym.error.ResetNeeded("no levels are being played: call reset() before step()")
        if type(actions) is not np.ndarray or actions.dtype is not _INT64 or actions.shape != self._shape:
            actions = self._read_actions(actions)
        if self.copy:
            rewards, marks = np.empty(self.num_envs), np.empty((len(MARKS), self.num_envs), np.bool_)
        else:
            rewards, marks = self._rewards, self._marks
        if len(self._pending):
            self._load(self._pending, [self._feeds[i].next() for i in self._pending])
        ended = self.boards.step(actions, rewards, marks)
        if ended < 0:
            self._refuse(actions, -1 - ended)
        terminated, truncated, success, moved, pushed, blocked = marks
        infos = self._infos(success, moved, pushed, blocked, self._all)
        if ended:
            self._add_finals(infos, ended)
        if self._feeds:
            self._feed(terminated | truncated, ended)
        return self.memory.observe(self.copy), rewards, terminated, truncated, infos

    def _read_actions(self, actions: Any) -> np.ndarray:
        actions = np.asarray(actions)
        if actions.shape != self._shape or actions.dtype.kind not in "iu":
            raise UserError(
                f"actions have shape {actions.shape} and dtype {actions.dtype}; "
                f"give {self.num_envs} integers, one a board"
            )
        return np.ascontiguousarray(actions, np.int64)

    def _refuse(self, actions: np.ndarray, board: int) -> None:
        if board >= self.num_envs:
            raise gym.error.ResetNeeded(f"the episode of board {board - self.num_envs} is over: reset it")
        raise UserError(
            f"there is no action {actions[board]} (board {board}): give integers from 0 to {len(self.memory.plays) - 1}"
        )

    def _feed(self, over: np.ndarray, ended: int) -> None:
        """Gives new levels to the boards that need them now, or notes those that will in the next step."""
        if self._mode == SAME_STEP and ended:
            which = self.memory.ended[0, :ended]
            self._load(which, [self._feeds[i].next() for i in which])
        elif self._mode == NEXT_STEP:
            self._pending = np.flatnonzero(over)

    def _infos(
        self, success: np.ndarray, moved: np.ndarray, pushed: np.ndarray, blocked: np.ndarray, told: np.ndarray
    ) -> dict[str, Any]:
        return {
            "success": success,
            "_success": told,
            "moved": moved,
            "_moved": told,
            "pushed": pushed,
            "_pushed": told,
            "blocked": blocked,
            "_blocked": told,
            "dead": self._none,
            "_dead": told,
        }

    def _add_finals(self, infos: dict[str, Any], ended: int) -> None:
        which, kinds = self.memory.ended[:, :ended]
        observations = np.full(self.num_envs, None, dtype=object)
        told = np.zeros(self.num_envs, np.bool_)
        told[which] = True
        final: dict[str, Any] = {}
        for name in INFO_KEYS:
            final[name] = np.zeros(self.num_envs, np.bool_)
            final[f"_{name}"] = told
        outcomes = self._single.outcome_infos
        for place, (i, kind) in enumerate(zip(which.tolist(), kinds.tolist(), strict=True)):
            observations[i] = self.memory.observation_of(self.memory.finals[place])
            for name, value in outcomes[kind].items():
                final[name][i] = value
        infos |= {"final_obs": observations, "_final_obs": told, "final_info": final, "_final_info": told}

    def render(self) -> Any:
        """Returns a picture, or with ``render_mode="ansi"`` a text, of each board; None without a render mode."""
        if self.render_mode is None:
            return None
        if self.engine == "single":
            return self._singles.render()
        if self.render_mode == "ansi":
            return tuple(self._single.write(board) for board in self.memory.boards)
        return tuple(render(board, self._single.tile_size) for board in self.memory.boards)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the single environments, if there are any."""
        if self.engine == "single":
            self._singles.close(**kwargs)


def _choose_engine(engine: str, single: SokobanEnv) -> str:
    alone = single.foresight.asked or single.observation == "text"
    if engine in ("numba", "numpy") and alone:
        raise UserError(
            f'engine="{engine}" neither asks the solver nor writes text; use engine="auto", which then plays the '
            "boards one by one"
        )
    if engine == "numba":
        require_numba('engine="numba"')
    if engine != "auto":
        return engine
    if alone:
        return "single"
    return "numba" if has_numba() else "numpy"
