"""Two teams of agents in one match, as a PettingZoo parallel environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete, Space
from gymnasium.utils.seeding import np_random
from pettingzoo import ParallelEnv

from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError

from .engine.match import Control
from .pitch import painter_for
from .scenarios.scenario import Scenario
from .scenarios.table import choose_scenario, find_scenarios, only_scenario
from .seat import Seat, Side, check_max_steps, frame_size, tell
from .session import Session
from .speech import make_chat_spec, write_state
from .state import State

RENDER_MODES = ("rgb_array", "ansi")


class FootballParallelEnv(ParallelEnv[str, Any, Any]):
    """A match between agents: any number of controlled players on both sides, the engine's AI for the others.

    The agents are "left_0", "left_1", ..., "right_0", ...: each plays one player, whom the engine hands on within the
    team as the ball moves unless the whole team is controlled. Every agent sees its own team as the left one that
    attacks to the right, and its actions are meant that way, so that one policy can play on either side.

    Args:
        scenario: see `FootballEnv`; one scenario or several.
        left_players, right_players: how many players of each team are controlled.
        observation: see `FootballEnv`; "frame" for agents of the left team only.
        action_set: "default", "v2" or "full"; an action is a `Discrete` number of it.
        rewards: see `FootballEnv`; every agent is paid for itself, and a goal pays the whole team.
        width: of pictures in pixels.
        max_steps: the match is truncated after so many steps; None for as long as the scenario lasts.
        worker, deadline: see `FootballEnv`.
        render_mode: "rgb_array" for the picture from above, "ansi" for words.

    Raises:
        UserError: an argument is not one there is, or the scenario has not so many players.
    """

    metadata = {"name": "football_v0", "render_modes": list(RENDER_MODES), "render_fps": 10, "is_parallelizable": True}

    def __init__(
        self,
        scenario: str | Scenario | Sequence[str | Scenario] = "academy_3_vs_1_with_keeper",
        left_players: int = 3,
        right_players: int = 1,
        observation: str = "view",
        action_set: str = "default",
        rewards: str | Sequence[str] | Mapping[str, float] = "scoring",
        width: int = 320,
        max_steps: int | None = None,
        worker: bool = False,
        deadline: float = 60.0,
        render_mode: str | None = None,
    ) -> None:
        """See the class."""
        if render_mode not in (None, *RENDER_MODES):
            raise UserError(f"render_mode is {render_mode!r}; choose from None, {', '.join(RENDER_MODES)}")
        check_max_steps(max_steps)
        self.scenarios = find_scenarios(scenario)
        size = frame_size(width) if observation == "frame" else None
        control = Control(left_players, right_players, action_set, size)
        for one in self.scenarios:
            control.check(one)
        sides: tuple[tuple[Side, int], ...] = (("left", left_players), ("right", right_players))
        self.seats = {
            f"{side}_{index}": Seat(
                side,
                index,
                observation=observation,
                action_set=action_set,
                rewards=rewards,
                width=width,
                keeps_score=False,
            )
            for side, count in sides
            for index in range(count)
        }
        self.possible_agents = list(self.seats)
        self.agents: list[str] = []
        self.observation_spaces: dict[str, Space[Any]] = {
            agent: seat.space(self.scenarios[0]) for agent, seat in self.seats.items()
        }
        self.action_spaces: dict[str, Space[Any]] = {
            agent: Discrete(len(seat.names)) for agent, seat in self.seats.items()
        }
        self.chat_specs: dict[str, ChatSpec] = {
            agent: make_chat_spec(observation, action_set, partial(self.match, agent), seat=seat.index)
            for agent, seat in self.seats.items()
        }
        self.max_steps, self.render_mode, self.width = max_steps, render_mode, width
        self._session = Session(control, worker, float(deadline))
        self._rng: np.random.Generator | None = None
        self._steps = 0

    def observation_space(self, agent: str) -> Space[Any]:
        """What this agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """What this agent can do."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start a match.

        Args:
            seed: of the matches from here on, and which of several scenarios is played.
            options: ``{"scenario": name or Scenario}`` plays that one. Others are left alone, which PettingZoo's own
                tests ask for.

        Returns:
            The observations and the information, by agent.
        """
        if seed is not None or self._rng is None:
            self._rng, _ = np_random(seed)
        if options and "scenario" in options:
            scenario = only_scenario(options["scenario"])
            self._session.control.check(scenario)
        else:
            scenario = choose_scenario(self.scenarios, self._rng, seed)
        self.agents = []
        self._session.begin(scenario, self._rng)
        self.agents, self._steps = list(self.possible_agents), 0
        seen = self._look()
        for seat in self.seats.values():
            seat.reset(seen[seat.side])
        parts = {agent: dict.fromkeys(seat.weights, 0.0) for agent, seat in self.seats.items()}
        return self._observe(seen), self._infos(seen, parts)

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play one action of every agent.

        Raises:
            gymnasium.error.ResetNeeded: no match is being played.
            UserError: an agent gave no action, or one that there is not.
            EngineFailure: the engine's own process died or hung.
        """
        if not self.agents:
            raise gym.error.ResetNeeded("no match is being played: call reset() before step()")
        native = []
        for agent, seat in self.seats.items():
            if agent not in actions:
                raise UserError(f"step() needs an action of every agent; there is none of {agent}")
            if not 0 <= actions[agent] < len(seat.names):
                raise UserError(f"{agent}: there is no action {actions[agent]!r}: 0 to {len(seat.names) - 1}")
            native.append(seat.native(int(actions[agent])))
        agents, self.agents = self.agents, []
        result = self._session.step(native)
        self._steps += 1
        seen = self._look()
        parts = {}
        for agent, seat in self.seats.items():
            goals = result.goals if seat.side == "left" else -result.goals
            parts[agent] = seat.pay(seen[seat.side], goals, seat.names[actions[agent]])
        truncated = not result.done and self._steps == self.max_steps
        if not (result.done or truncated):
            self.agents = agents
        rewards = {agent: sum(terms.values(), 0.0) for agent, terms in parts.items()}
        return (
            self._observe(seen),
            rewards,
            dict.fromkeys(agents, result.done),
            dict.fromkeys(agents, truncated),
            self._infos(seen, parts),
        )

    def match(self, agent: str | None = None) -> State:
        """All that can be seen of the match now: as it is, or as an agent sees it."""
        state = self._session.state
        return state if agent is None else self.seats[agent].look(state)

    def render(self) -> np.ndarray | str | None:
        """The picture of the pitch with every controlled player marked, or the match in words."""
        if self.render_mode is None or self._session.kick_off is None:
            return None
        if self.render_mode == "ansi":
            return write_state(self.match(), 0)
        return painter_for(self.width).paint(self.match(), None)

    def close(self) -> None:
        """Give the engine back."""
        self._session.close()

    def _look(self) -> dict[str, State]:
        state = self._session.state
        return {"left": state, "right": state.flipped()}

    def _observe(self, seen: Mapping[str, State]) -> dict[str, Any]:
        return {agent: seat.observe(seen[seat.side], self._session) for agent, seat in self.seats.items()}

    def _infos(self, seen: Mapping[str, State], parts: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
        return {agent: {**tell(seen[seat.side]), "rewards": dict(parts[agent])} for agent, seat in self.seats.items()}
