"""ParallelChat: any PettingZoo environment as conversations, one for each agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict, Discrete, Space, Text

from lmmr1.envs.chat import MAX_REPLY_LENGTH
from lmmr1.envs.chat_spec import ChatSpec, describe_actions, describe_observation
from lmmr1.envs.errors import MissingExtraError, UserError
from lmmr1.envs.messages import Message, Part, is_image, message_text, system, text_part, user
from lmmr1.envs.reply import REPLY_FORMATS, Orders, Reply, read_orders
from lmmr1.envs.rewards.composition import (
    PAPER_FORMAT_WEIGHT,
    RewardRule,
    check_rule,
    compose_reward,
    total_reward,
)
from lmmr1.envs.rewards.format import format_reward, lmmr1_format_reward
from lmmr1.envs.spaces import Chat, Utterance

try:
    from pettingzoo import AECEnv, ParallelEnv
    from pettingzoo.utils.conversions import aec_to_parallel, turn_based_aec_to_parallel_wrapper
except ModuleNotFoundError as error:
    raise MissingExtraError("ParallelChat", "pettingzoo", "games") from error

MASK, SEEN = "action_mask", "observation"  # PettingZoo's names in the observation of a game that has illegal moves


@runtime_checkable
class SpeakingTeam(Protocol):
    """A world of several agents that says itself how each of them is spoken to."""

    @property
    def chat_specs(self) -> Mapping[str, ChatSpec]:
        """How each agent is spoken to, by agent."""
        ...


class ParallelChat(ParallelEnv[str, Any, Any]):
    """A PettingZoo environment whose agents speak.

    What `ChatEnv` is to one agent. Each agent reads its own messages and answers with one action. All answers of a turn
    are played in the same step. An AEC environment is converted: where its agents act at once into a parallel one, else
    turn by turn: then only the agent in ``acting`` is heard, the others look on.

    Whoever's reply names no legal action is told why in its next message. Where all act at once the world goes on, and
    ``idle`` is played for that agent; in a game of turns nothing is played, and the same agent is asked again.

    ``info`` of each agent holds, beside what the world reports: ``reward_parts`` ("task", "format", "invalid", weighted
    floats whose sum is the reward), ``reply`` (the `Reply`; None for who was not heard), ``actions`` (the names, at
    most one) and ``turn``.

    Args:
        env: the environment; one with a ``chat_specs`` mapping says itself how its agents are spoken to, any other is
            described by its spaces. Of an observation with an "action_mask", as PettingZoo's games give it, the mask is
            told as the legal actions.
        specs: how agents are spoken to, over what the environment says.
        reply_format: a key of ``REPLY_FORMATS``.
        reward: see ``ChatEnv``.
        format_weight: what a well-formed reply that names a legal action is worth.
        invalid_reward: added for a reply that names none.
        idle: the action that is played for such a reply where all act at once; None for the first legal one.
        max_turns: the episode is truncated after so many turns; None for no limit.

    Raises:
        UserError: it is no PettingZoo environment, an argument is wrong, or an action space cannot be spoken to.
    """

    def __init__(
        self,
        env: ParallelEnv[str, Any, Any] | AECEnv[str, Any, Any],
        *,
        specs: Mapping[str, ChatSpec] | None = None,
        reply_format: str = "think_answer",
        reward: RewardRule = "default",
        format_weight: float = PAPER_FORMAT_WEIGHT,
        invalid_reward: float = 0.0,
        idle: int | None = None,
        max_turns: int | None = None,
    ) -> None:
        """See the class."""
        if reply_format not in REPLY_FORMATS:
            raise UserError(f"reply_format must be one of {', '.join(REPLY_FORMATS)}, not {reply_format!r}")
        if max_turns is not None and (isinstance(max_turns, bool) or not isinstance(max_turns, int) or max_turns < 1):
            raise UserError(f"max_turns must be a whole number of at least 1, or None, not {max_turns!r}")
        check_rule(reward, "additive", format_weight)
        self.env: Any = _as_parallel(env)
        self.metadata = {**self.env.metadata, "name": f"{self.env.metadata.get('name', type(env).__name__)}_chat"}
        self.render_mode = self.env.render_mode
        self.possible_agents: list[str] = list(self.env.possible_agents)
        self.reply_format = REPLY_FORMATS[reply_format]
        self.reward: RewardRule = reward
        self.format_weight, self.invalid_reward = format_weight, invalid_reward
        self.idle, self.max_turns = idle, max_turns
        world = env.unwrapped
        own = world.chat_specs if isinstance(world, SpeakingTeam) else {}
        self.chat_specs: dict[str, ChatSpec] = {
            agent: (specs or {}).get(agent) or own.get(agent) or self._default_spec(agent)
            for agent in self.possible_agents
        }
        self.observation_spaces: dict[str, Space[Any]] = {agent: Chat() for agent in self.possible_agents}
        self.action_spaces: dict[str, Space[Any]] = {
            agent: Utterance(MAX_REPLY_LENGTH) for agent in self.possible_agents
        }
        self._shown: dict[str, str] = {}
        self._last_seen: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self._turn, self._stopped = 0, True  # PettingZoo's conversions have no agents before the first reset

    def _default_spec(self, agent: str) -> ChatSpec:
        name = self.env.metadata.get("name", type(self.env.unwrapped).__name__)
        told = f'You are "{agent}" in the game {name}, with {len(self.possible_agents)} agents. '
        return ChatSpec(told + describe_actions(self.env.action_space(agent)))

    @property
    def unwrapped(self) -> ParallelEnv[str, Any, Any]:
        """This environment: its agents are others than the world's own."""
        return self

    @property
    def agents(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Who is playing; nobody once the episode is over."""
        return [] if self._stopped else list(self.env.agents)

    @property
    def acting(self) -> list[str]:
        """Who is heard in the next step: all that play, or in a game of turns one of them."""
        if isinstance(self.env, turn_based_aec_to_parallel_wrapper) and self.agents:
            return [self.env.aec_env.agent_selection]
        return self.agents

    def observation_space(self, agent: str) -> Space[Any]:
        """Messages."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The text of a reply."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, list[Message]], dict[str, dict[str, Any]]]:
        """Start an episode; returns the opening messages and the information, by agent."""
        self._turn, self._stopped = 0, False
        self._last_seen = observations, infos = self.env.reset(seed=seed, options=options)
        chats = self._describe(observations, infos, {})
        for agent, messages in chats.items():
            told = f"{self.chat_specs[agent].instructions}\n{self.reply_format.instructions}"
            messages.insert(0, system(told))
        return chats, {agent: dict(info) for agent, info in infos.items()}

    def step(
        self, actions: Mapping[str, str]
    ) -> tuple[dict[str, list[Message]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one turn.

        Args:
            actions: the text of each agent's reply; of an agent that is not in ``acting`` none is needed.

        Raises:
            gymnasium.error.ResetNeeded: no episode is running.
            UserError: an agent that acts gave no reply, or one that is no string.
        """
        agents, acting = self.agents, self.acting
        if not agents:
            raise gym.error.ResetNeeded("no episode is running: call reset() before step()")
        replies, orders = {}, {}
        for agent in acting:
            if not isinstance(actions.get(agent), str):
                raise UserError(f"step() needs the reply of every agent as a string; {agent} gave none")
            replies[agent] = self.reply_format.parse(actions[agent])
            orders[agent] = self._read(agent, replies[agent])
        self._turn += 1
        if acting != agents and not orders[acting[0]].actions:
            observations, infos = self._last_seen
            paid, terminated, truncated = (dict.fromkeys(agents, value) for value in (0.0, False, False))
        else:
            native = {
                agent: order.actions[0] if order.actions else self._idle(agent) for agent, order in orders.items()
            }
            observations, paid, terminated, truncated, infos = self.env.step(native)
            self._last_seen = observations, infos
        if self._turn == self.max_turns and self.agents:
            self._stopped = True
            truncated = {agent: not terminated[agent] for agent in agents}
        infos = {agent: dict(infos.get(agent, {})) for agent in agents}
        rewards = {}
        for agent in agents:
            parts = self._pay(agent, float(paid[agent]), replies.get(agent), orders.get(agent), infos[agent])
            rewards[agent] = total_reward(parts)
            names = list(orders[agent].names) if agent in orders else []
            infos[agent] |= {
                "reward_parts": parts,
                "reply": replies.get(agent),
                "actions": names,
                "turn": self._turn,
            }
        problems = {agent: order.problem for agent, order in orders.items() if order.problem is not None}
        seen = {agent: observations[agent] for agent in agents if agent in observations}
        ended, stopped = ({agent: bool(flag[agent]) for agent in agents} for flag in (terminated, truncated))
        return self._describe(seen, infos, problems), rewards, ended, stopped, infos

    def _read(self, agent: str, reply: Reply) -> Orders:
        space, names = self.env.action_space(agent), self.chat_specs[agent].action_names
        if isinstance(space, (Utterance, Text)):
            problem = reply.problem or ("" if space.contains(reply.answer) else "The answer cannot be passed on.")
            return Orders(problem=problem) if problem else Orders((reply.answer,), (reply.answer,))
        if reply.problem is not None:
            return Orders(problem=reply.problem)
        orders = read_orders(reply.answer, space, names, 1)
        legal = self._legal(agent)
        if orders.actions and legal is not None and orders.actions[0] not in legal:
            told = ", ".join(self._names(agent, legal))
            return Orders(problem=f"{orders.names[0]} is not legal now; the legal actions are {told}.")
        return orders

    def _legal(self, agent: str) -> list[int] | None:
        observation, space = self._last_seen[0].get(agent), self.env.action_space(agent)
        if not (isinstance(observation, Mapping) and MASK in observation and isinstance(space, Discrete)):
            return None
        return [int(space.start) + int(index) for index in np.flatnonzero(observation[MASK])]

    def legal_actions(self, agent: str) -> list[int]:
        """The actions that an agent may take now, by their number; empty where they are no list."""
        legal, space = self._legal(agent), self.env.action_space(agent)
        if legal is None and isinstance(space, Discrete):
            return list(range(int(space.start), int(space.start + space.n)))
        return legal or []

    def action_name(self, agent: str, action: int) -> str:
        """What an agent calls an action."""
        names, start = self.chat_specs[agent].action_names, int(self.env.action_space(agent).start)
        return str(action) if names is None else names[action - start]

    def _names(self, agent: str, actions: list[int]) -> list[str]:
        return [self.action_name(agent, action) for action in actions]

    def _idle(self, agent: str) -> Any:
        if self.idle is not None:
            return self.idle
        space, legal = self.env.action_space(agent), self._legal(agent)
        if legal:
            return legal[0]
        if isinstance(space, Discrete):
            return int(space.start)
        return "" if isinstance(space, (Utterance, Text)) else np.zeros(space.shape, space.dtype)

    def _pay(
        self, agent: str, task: float, reply: Reply | None, orders: Orders | None, info: Mapping[str, Any]
    ) -> dict[str, float]:
        acted = orders is not None and bool(orders.names)
        if reply is None:
            well_formed = False
        elif self.reward == "lmmr1-paper":
            well_formed = lmmr1_format_reward(reply.text) > 0
        else:
            thoughtless = not self.chat_specs[agent].needs_thought
            shown, success = self._shown[agent], info.get("success")
            well_formed = acted and format_reward(reply, shown=shown, success=success, thoughtless=thoughtless) > 0
        return compose_reward(
            task,
            well_formed,
            reply is not None and not acted,
            mode="additive",
            format_weight=self.format_weight,
            invalid_reward=self.invalid_reward,
        )

    def render(self) -> Any:
        """What the world renders."""
        return self.env.render()

    def close(self) -> None:
        """Close the world."""
        self.env.close()

    def _describe(
        self, observations: Mapping[str, Any], infos: Mapping[str, dict[str, Any]], problems: Mapping[str, str]
    ) -> dict[str, list[Message]]:
        chats = {}
        for agent, observation in observations.items():
            parts = self._parts(agent, observation, infos.get(agent, {}))
            if agent in problems:
                parts = [text_part(f"{problems[agent]}\n"), *parts]
            chats[agent] = [user(*parts)]
            self._shown[agent] = message_text(chats[agent][0])
        return chats

    def _parts(self, agent: str, observation: Any, info: dict[str, Any]) -> list[Part]:
        describe = self.chat_specs[agent].describe
        if describe is not None:
            return list(describe(observation, info))
        space = self.env.observation_space(agent)
        if isinstance(observation, Mapping) and isinstance(space, Dict) and {MASK, SEEN} <= set(space.spaces):
            observation, space = observation[SEEN], space.spaces[SEEN]
        frame: Any = self.env.render() if self.render_mode == "rgb_array" else None
        parts = describe_observation(observation, space, np.asarray(frame) if is_image(frame) else None)
        legal = self._legal(agent)
        if legal is not None and agent in self.acting:
            parts.append(text_part(f"\nThe legal actions are {', '.join(self._names(agent, legal))}."))
        return parts


def _as_parallel(env: Any) -> ParallelEnv[str, Any, Any]:
    if isinstance(env, ParallelEnv):
        return env
    if not isinstance(env, AECEnv):
        raise UserError(f"ParallelChat needs a PettingZoo environment, not a {type(env).__name__}")
    return aec_to_parallel(env) if env.metadata.get("is_parallelizable") else turn_based_aec_to_parallel_wrapper(env)
