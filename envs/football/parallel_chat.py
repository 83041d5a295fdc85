"""Two teams that are spoken to: messages for each agent, and the texts of their replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Space
from pettingzoo import ParallelEnv

from lmmr1.envs.chat import MAX_REPLY_LENGTH
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, message_text, system, text_part, user
from lmmr1.envs.reply import REPLY_FORMATS, Orders, read_orders
from lmmr1.envs.rewards.composition import compose_reward, total_reward
from lmmr1.envs.rewards.format import format_reward
from lmmr1.envs.spaces import Chat, Utterance

from .parallel import FootballParallelEnv

IDLE = 0


class FootballParallelChat(ParallelEnv[str, Any, Any]):
    """A match between agents that speak: what `ChatEnv` is to an environment of one agent.

    Each agent reads its own messages (what it sees, in the words and the picture of its own side) and answers with one
    action. All answers of a turn are played in the same step. Whoever's reply names no action stands idle for the step
    and is told why in its next message.

    ``info`` of each agent holds, beside what `FootballParallelEnv` reports: ``reward_parts`` ("task", "format",
    "invalid", weighted, whose sum is the reward), ``reply`` (the `Reply`) and ``actions`` (the names, at most one).

    Args:
        env: the match.
        reply_format: a key of ``REPLY_FORMATS``.
        format_weight: what a well-formed reply is worth.
        invalid_reward: added for a reply that names no action.

    Raises:
        UserError: there is no such format of replies.
    """

    def __init__(
        self,
        env: FootballParallelEnv,
        *,
        reply_format: str = "think_answer",
        format_weight: float = 0.5,
        invalid_reward: float = 0.0,
    ) -> None:
        """See the class."""
        if reply_format not in REPLY_FORMATS:
            raise UserError(f"reply_format must be one of {', '.join(REPLY_FORMATS)}, not {reply_format!r}")
        self.env = env
        self.metadata = {**env.metadata, "name": "football_chat_v0"}
        self.render_mode = env.render_mode
        self.possible_agents = env.possible_agents
        self.reply_format = REPLY_FORMATS[reply_format]
        self.format_weight, self.invalid_reward = format_weight, invalid_reward
        self.observation_spaces: dict[str, Space[Any]] = {agent: Chat() for agent in self.possible_agents}
        self.action_spaces: dict[str, Space[Any]] = {
            agent: Utterance(MAX_REPLY_LENGTH) for agent in self.possible_agents
        }
        self._shown: dict[str, str] = {}

    @property
    def agents(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Who is playing; nobody once the match is over."""
        return self.env.agents

    def observation_space(self, agent: str) -> Space[Any]:
        """Messages."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The text of a reply."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, list[Message]], dict[str, dict[str, Any]]]:
        """Start a match; returns the opening messages and the information, by agent."""
        observations, infos = self.env.reset(seed, options)
        chats = {}
        for agent, messages in self._describe(observations, infos, {}).items():
            told = f"{self.env.chat_specs[agent].instructions}\n{self.reply_format.instructions}"
            chats[agent] = [system(told), *messages]
        return chats, infos

    def step(
        self, actions: Mapping[str, str]
    ) -> tuple[dict[str, list[Message]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one turn of every agent.

        Raises:
            gymnasium.error.ResetNeeded: no match is being played.
            UserError: an agent gave no reply, or one that is no string.
        """
        agents = list(self.agents)
        if not agents:
            raise gym.error.ResetNeeded("no match is being played: call reset() before step()")
        replies, orders = {}, {}
        for agent in agents:
            if not isinstance(actions.get(agent), str):
                raise UserError(f"step() needs the reply of every agent as a string; {agent} gave none")
            replies[agent] = reply = self.reply_format.parse(actions[agent])
            names = self.env.chat_specs[agent].action_names
            orders[agent] = (
                read_orders(reply.answer, self.env.action_space(agent), names, 1)
                if reply.problem is None
                else Orders(problem=reply.problem)
            )
        native = {agent: (order.actions or (IDLE,))[0] for agent, order in orders.items()}
        observations, paid, terminated, truncated, infos = self.env.step(native)
        rewards = {}
        for agent in agents:
            honest = format_reward(replies[agent], shown=self._shown[agent], success=infos[agent]["success"])
            parts = compose_reward(
                paid[agent],
                honest > 0,
                not orders[agent].names,
                mode="additive",
                format_weight=self.format_weight,
                invalid_reward=self.invalid_reward,
            )
            rewards[agent] = total_reward(parts)
            infos[agent] |= {"reward_parts": parts, "reply": replies[agent], "actions": list(orders[agent].names)}
        problems = {agent: order.problem for agent, order in orders.items() if order.problem is not None}
        return self._describe(observations, infos, problems), rewards, terminated, truncated, infos

    def render(self) -> Any:
        """See `FootballParallelEnv.render`."""
        return self.env.render()

    def close(self) -> None:
        """Give the engine back."""
        self.env.close()

    def _describe(
        self, observations: Mapping[str, Any], infos: Mapping[str, dict[str, Any]], problems: Mapping[str, str]
    ) -> dict[str, list[Message]]:
        chats = {}
        for agent, observation in observations.items():
            describe = self.env.chat_specs[agent].describe
            assert describe is not None
            parts = describe(observation, infos[agent])
            if agent in problems:
                parts = [text_part(f"{problems[agent]}\n"), *parts]
            chats[agent] = [user(*parts)]
            self._shown[agent] = message_text(chats[agent][0])
        return chats
