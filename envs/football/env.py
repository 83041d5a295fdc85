"""The environment: one player of Google Research Football's engine, with the engine's AI for all others."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Solution
from lmmr1.envs.options import only_option
from lmmr1.envs.window import Window

from .actions import action_names
from .engine.match import Control, Snapshot
from .expert import advise
from .magebench import Macro, Memory
from .scenarios.scenario import Scenario
from .scenarios.table import choose_scenario, find_scenarios, is_magebench, only_scenario
from .seat import Seat, check_max_steps, frame_size, tell
from .session import Session
from .speech import MACROS, PREFIX, make_chat_spec, write_state
from .state import State

PICTURES = ("view", "frame")
PLAN = 4  # actions that one reply may hold


@dataclass(frozen=True, eq=False)
class SavedMatch:
    """A match and what its environment has counted in it; see `FootballEnv.save`."""

    snapshot: Snapshot
    seat: Seat
    steps: int
    is_running: bool
    memory: Memory


class FootballEnv(gym.Env[Any, np.int64]):
    """Score goals: one player of a football match, on the real engine.

    ## Description
    The physics, the players and the built-in AI are those of Google Research Football's engine. The agent controls one
    player of the left team, which attacks to the right, and always the one who matters: the engine hands it on to
    whoever has the ball or is to get it. The engine's AI plays for everybody else. One step is 0.1 s of the game.

    ## Action Space
    ``action_set="default"``: `Discrete(19)`, 0 idle, 1 left, 2 top_left, 3 top, 4 top_right, 5 right, 6 bottom_right,
    7 bottom, 8 bottom_left, 9 long_pass, 10 high_pass, 11 short_pass, 12 shot, 13 sprint, 14 release_direction,
    15 release_sprint, 16 sliding, 17 dribble, 18 release_dribble. ``"v2"``: `Discrete(20)`, 19 builtin_ai lets the
    engine's AI play. ``"full"``: `Discrete(33)`, all that the engine knows, see ``actions.py``. Directions, sprint and
    dribble are sticky: they go on until they are released or, for a direction, until another one is chosen; idle keeps
    them as they are.

    ``macro="adapting"``: one action may take several steps of the engine, as MageBench does it: a direction that is
    given again runs on for up to 10 steps, until an opponent comes near or the pitch ends; a pass or a shot by the
    owner of the ball is seen through until somebody owns the ball again.

    ## Observation Space
    ``observation="view"``: the pitch from above, `Box` of shape (height, width, 3), dtype uint8, with the height seven
    tenths of the width. ``"frame"``: the engine's 3D picture, 16 to 9. ``"simple115"``: `Box` of shape (115,), float32.
    ``"smm"``: four planes, `Box` of shape (72, 96, 4), uint8. ``"raw"``: a `Dict` of everything, by Google Research
    Football's names. ``"text"``: words. The numbers are those of that project; see ``observations.py``.

    ## Starting State
    The scenario's lineup. Of several scenarios the seed of `reset` chooses (the seed modulo their number), without one
    chance does. ``reset(options={"scenario": scenario})`` starts that one; it must suit the observation space. In
    matches the seed also says which team kicks off.

    ## Rewards
    The terms named by ``rewards``, by weight, added up over the steps of the engine. ``scoring``: +1 for a goal, -1 for
    one of the opponent. ``checkpoints``: 0.1 for each of ten distances to the opponent's goal at which the agent's
    player owned the ball, once; what is left over comes with a goal. ``magebench``: the gain in MageBench's score.

    ## Episode End
    Terminates when the scenario says so (a goal, the ball out of play, the ball lost; the end of the match in any
    case; in MageBench's scenarios also when the opponent has the ball first). Truncated after ``max_steps`` actions
    otherwise.

    ## Information
    After ``reset`` and ``step``: ``success`` (the left team leads), ``score`` (goals of both teams),
    ``ball_owned_team`` (0 left, 1 right, -1 nobody), ``game_mode``, ``steps_left``, ``engine_steps`` (of this action),
    ``rewards`` (the terms, weighted), ``scenario`` (its name), and ``magebench_score`` where it is counted: with that
    reward, and with MageBench's scenarios. `state` gives the whole `State`.

    ## Arguments
    - ``scenario``: a name ("academy_empty_goal_close" by default; see docs/football.md), "academy" or "magebench" for
      all of a kind, a `Scenario` or "package.module:NAME" of one's own, or a list of these.
    - ``observation``: "view" (default), "frame", "simple115", "smm", "raw" or "text".
    - ``action_set``: "default", "v2" or "full".
    - ``rewards``: "scoring" (default), several names in a list or with commas, or weights by name.
    - ``macro``: "none" (default) or "adapting".
    - ``width``: of pictures in pixels, 320 by default, even.
    - ``words``: whether conversations tell the match in words beside the picture of "view" or "frame"; True by default.
    - ``max_steps``: None (default) for as long as the scenario lasts.
    - ``picture``: what `render` draws, "view" (default) or "frame".
    - ``worker``: True runs the engine in a process of its own: if it dies or hangs, `step` raises `EngineFailure`, the
      episode is lost, and `reset` starts another one. False by default; 3D pictures are always made in such a process.
    - ``deadline``: seconds that such a process may take for a step, 60 by default; four times as many for a reset or a
      3D picture.
    - ``render_mode``: "rgb_array" returns the picture, "ansi" the match in words, "human" opens a window.

    ## Registered Configurations
    - ``LMMR1/Football-v0``: the defaults.

    ## Version History
    - v0: first version, on the engine of gfootball 2.10.2.

    ## References
    - Google Research Football: https://github.com/google-research/football and https://arxiv.org/abs/1907.11180
    - MageBench: https://arxiv.org/abs/2412.04531, whose score and macro steps these are.
    - LMM-R1: https://arxiv.org/abs/2503.07536, where football is the hardest task.
    """

    metadata = {"render_modes": ["rgb_array", "ansi", "human"], "render_fps": 10}

    def __init__(
        self,
        scenario: str | Scenario | Sequence[str | Scenario] = "academy_empty_goal_close",
        observation: str = "view",
        action_set: str = "default",
        rewards: str | Sequence[str] | Mapping[str, float] = "scoring",
        macro: str = "none",
        width: int = 320,
        words: bool = True,
        max_steps: int | None = None,
        picture: str = "view",
        worker: bool = False,
        deadline: float = 60.0,
        render_mode: str | None = None,
    ) -> None:
        """Checks the arguments.

        Raises:
            UserError: An argument is not one there is.
        """
        for name, value, known in (
            ("macro", macro, tuple(MACROS)),
            ("picture", picture, PICTURES),
            ("render_mode", render_mode, (None, *self.metadata["render_modes"])),
        ):
            if value not in known:
                raise UserError(f"{name} is {value!r}; choose from {', '.join(str(choice) for choice in known)}")
        check_max_steps(max_steps)
        if isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not deadline > 0:
            raise UserError(f"deadline is {deadline!r}; give a number of seconds above 0")
        self.scenarios = find_scenarios(scenario)
        self.observation, self.action_set, self.macro = observation, action_set, macro
        self.max_steps, self.picture, self.render_mode = max_steps, picture, render_mode
        self.seat = Seat(
            "left",
            0,
            observation=observation,
            action_set=action_set,
            rewards=rewards,
            width=width,
            keeps_score=any(is_magebench(one) for one in self.scenarios),
        )
        self.action_space = Discrete(len(action_names(action_set)))
        self.observation_space = self.seat.space(self.scenarios[0])
        draws = observation == "frame" or (picture == "frame" and render_mode in ("rgb_array", "human"))
        # Macro steps call the built-in AI; the numbers of the default set are the same in "v2".
        engine_set = "v2" if macro == "adapting" and action_set == "default" else action_set
        self._numbers = {name: number for number, name in enumerate(action_names(engine_set))}
        control = Control(1, 0, engine_set, frame_size(width) if draws else None)
        for one in self.scenarios:
            self._check(one, control)
        self._session = Session(control, worker, float(deadline))
        self.chat_spec = make_chat_spec(observation, action_set, self.state, macro=macro, max_actions=PLAN, words=words)
        self._window: Window | None = None
        self._running = False
        self._steps = 0
        self._memory = Memory()
        self._scenario = self.scenarios[0]

    def _check(self, scenario: Scenario, control: Control) -> None:
        control.check(scenario)
        if self.seat.space(scenario) != self.observation_space:
            raise UserError(
                f"scenario {scenario.name} has teams of another size than {self.scenarios[0].name}: with "
                "observation='raw' an environment's scenarios need teams of the same size"
            )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts a match.

        Args:
            seed: Seed of the matches from here on, and which of several scenarios is played.
            options: ``{"scenario": name or Scenario}`` starts that one.

        Raises:
            UserError: The option is unknown, or its scenario does not suit.
            EngineFailure: The engine's own process did not start.
        """
        super().reset(seed=seed)
        if options:
            self._scenario = only_scenario(only_option(options, "scenario"))
            self._check(self._scenario, self._session.control)
        else:
            self._scenario = choose_scenario(self.scenarios, self.np_random, seed)
        self._running = False
        self._session.begin(self._scenario, self.np_random)
        self._running, self._steps, self._memory = True, 0, Memory()
        state = self._session.state
        self.seat.reset(state)
        if self.render_mode == "human":
            self.render()
        return self.seat.observe(state, self._session), self._info(state, 0, dict.fromkeys(self.seat.weights, 0.0))

    def step(self, action: int | np.integer) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            gymnasium.error.ResetNeeded: No match is being played.
            UserError: There is no such action.
            EngineFailure: The engine's own process died or hung; the episode is lost.
        """
        if not self._running:
            raise gym.error.ResetNeeded("no match is being played: call reset() before step()")
        names = self.seat.names
        if not 0 <= action < len(names):
            raise UserError(f"there is no action {action!r}: give an integer from 0 to {len(names) - 1}")
        self._running = False  # an engine that fails in the middle of a step leaves no match to go on with
        name = names[action]
        if self.macro == "none":
            parts, done, engine_steps = *self._advance(name), 1
        else:
            parts, done, engine_steps = self._run_macro(name)
        self._steps += 1
        truncated = not done and self._steps == self.max_steps
        self._running = not (done or truncated)
        state = self._session.state
        if self.render_mode == "human":
            self.render()
        observation = self.seat.observe(state, self._session)
        return observation, sum(parts.values()), done, truncated, self._info(state, engine_steps, parts)

    def _advance(self, name: str) -> tuple[dict[str, float], bool]:
        """Goes on by one step of the engine: the parts of the reward, and whether the match is over."""
        result = self._session.step((self._numbers[name],))
        parts = self.seat.pay(self._session.state, result.goals, name)
        # MageBench ends its episodes with the ball lost, also where nobody of the own team ever had it.
        scorer = self.seat.scorer
        lost = scorer is not None and scorer.ended and is_magebench(self._scenario)
        return parts, result.done or lost

    def _run_macro(self, name: str) -> tuple[dict[str, float], bool, int]:
        """Plays an action as a macro step: the sum of the parts, whether the match is over, how many steps it took."""
        macro, total = Macro.begin(name, self._session.state, self._memory), dict.fromkeys(self.seat.weights, 0.0)
        self._memory = self._memory.after(name)
        while (then := macro.next(self._session.state)) is not None:
            wanted, macro = then
            parts, done = self._advance(wanted)
            total = {term: value + parts[term] for term, value in total.items()}
            if done:
                return total, True, macro.steps
        return total, False, macro.steps

    def _info(self, state: State, engine_steps: int, parts: dict[str, float]) -> dict[str, Any]:
        info: dict[str, Any] = {
            **tell(state),
            "engine_steps": engine_steps,
            "rewards": parts,
            "scenario": self._scenario.name,
        }
        if self.seat.scorer is not None:
            info["magebench_score"] = self.seat.scorer.total
        return info

    def render(self) -> np.ndarray | str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the picture or the text of the match, or shows it; see ``render_mode`` and ``picture``."""
        if self.render_mode is None or self._session.kick_off is None:
            return None
        if self.render_mode == "ansi":
            return write_state(self.state(), self.seat.index)
        picture = self._session.frame() if self.picture == "frame" else self.seat.paint(self.state())
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window("Football", self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Closes the window, if there is one, and gives the engine back."""
        self._session.close()
        if self._window is not None:
            self._window.close()
            self._window = None

    def state(self) -> State:
        """Returns all that can be seen of the match now.

        Raises:
            UserError: No match was begun yet.
        """
        return self._session.state

    def save(self) -> SavedMatch:
        """Returns the match as it is now, for `restore`."""
        return SavedMatch(self._session.save(), copy.deepcopy(self.seat), self._steps, self._running, self._memory)

    def restore(self, saved: SavedMatch) -> tuple[Any, dict[str, Any]]:
        """Goes back to a saved match, of this environment or of one that was made with the same arguments.

        Within the same match that takes a moment, and what follows is the same to the last bit. Elsewhere the actions
        since the kick-off are played again, as the engine's memory is not exact there.

        Returns:
            The observation and the information, as after `reset`.
        """
        self._session.restore(saved.snapshot)
        self._scenario = saved.snapshot.kick_off.scenario
        self.seat = copy.deepcopy(saved.seat)
        self._steps, self._running, self._memory = saved.steps, saved.is_running, saved.memory
        state = self._session.state
        return self.seat.observe(state, self._session), self._info(state, 0, dict.fromkeys(self.seat.weights, 0.0))

    def solution(self) -> Solution:
        """Returns what the scripted player would do: dribble to the goal and shoot. Advice, and no proof of a goal.

        Raises:
            UserError: No match was begun yet.
        """
        advice = advise(self.state(), self.seat.index)
        return Solution(advice.reason, PREFIX + advice.action)
