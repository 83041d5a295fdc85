"""Who plays in a league: a whole team's worth of agents behind one policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete

from lmmr1.agents.base import Agent, Conversation
from lmmr1.agents.players.football import Rule, find_rule
from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.football.actions import action_names
from lmmr1.envs.football.state import State
from lmmr1.envs.isolation.local import LocalEnv
from lmmr1.envs.messages import system, user
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.envs.reply import REPLY_FORMATS, read_orders


@dataclass(frozen=True)
class Sight:
    """What one of a contestant's players has before it.

    Attributes:
        agent: its name in the environment.
        seat: its place among the controlled players of its team.
        state: the match, with its own team as the left one.
        observation: what the environment gave it.
        info: the same of the information.
        spec: how the match is spoken about with it.
        action_set: whose numbers its actions are.
    """

    agent: str
    seat: int
    state: State
    observation: Any
    info: dict[str, Any]
    spec: ChatSpec
    action_set: str


class Contestant(Protocol):
    """A policy that plays all controlled players of one team.

    Attributes:
        name: in the table; differs from every other one's.
    """

    name: str

    def begin(self, entropy: tuple[int, ...]) -> None:
        """A match begins; whatever is drawn in it follows from these numbers."""
        ...

    def act(self, sights: Sequence[Sight]) -> list[int]:
        """The number of an action for each of its players."""
        ...


class RuleContestant:
    """Plays by a rule, each player for itself.

    Args:
        rule: a rule, or the name of one of `RULES`.
        name: in the table; the rule's by default.

    Raises:
        UserError: there is no rule of that name.
    """

    def __init__(self, rule: Rule | str, name: str | None = None) -> None:
        self.rule = find_rule(rule) if isinstance(rule, str) else rule
        self.name = name or (rule if isinstance(rule, str) else rule.__name__)
        self._rng = np.random.default_rng(0)

    def begin(self, entropy: tuple[int, ...]) -> None:
        """Seed the rule's generator."""
        self._rng = np.random.default_rng(np.random.SeedSequence(entropy))

    def act(self, sights: Sequence[Sight]) -> list[int]:
        """What the rule says.

        Raises:
            UserError: the rule names an action that the environment's set lacks.
        """
        return [self._choose(sight) for sight in sights]

    def _choose(self, sight: Sight) -> int:
        name, names = self.rule(sight.state, sight.seat, self._rng), action_names(sight.action_set)
        if name not in names:
            raise UserError(
                f"{self.name} plays {name!r}, which the action set {sight.action_set!r} lacks: make the environment "
                "with another action_set"
            )
        return names.index(name)


@dataclass
class SpeakingContestant:
    """Plays by talking: any `Agent`, a policy with a model above all, sees its players' messages and answers them.

    Every turn is a conversation of its own: the instructions and what is to be seen now. An answer of several actions
    is played one after the other before the agent is asked again; one that cannot be read is played as idleness.

    Attributes:
        agent: who speaks.
        name: in the table; the agent's own by default.
        reply_format: a key of `REPLY_FORMATS`.
        greedy: whether it says the likeliest thing.
        unread: so many replies could not be read, in all matches so far.
        replies: of so many.
    """

    agent: Agent
    name: str = ""
    reply_format: str = "think_answer"
    greedy: bool = True
    unread: int = 0
    replies: int = 0
    _entropy: tuple[int, ...] = ()
    _turn: int = 0
    _plans: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the agent's name."""
        self.name = self.name or self.agent.name

    def begin(self, entropy: tuple[int, ...]) -> None:
        """Forget the last match."""
        self._entropy, self._turn, self._plans = entropy, 0, {}

    def act(self, sights: Sequence[Sight]) -> list[int]:
        """Ask the agent for those players whose plan is played."""
        asking = [sight for sight in sights if not self._plans.get(sight.agent)]
        if asking:
            conversations = [self._converse(sight) for sight in asking]
            for sight, reply in zip(asking, self.agent.act(conversations, greedy=self.greedy), strict=True):
                self._plans[sight.agent] = self._read(sight, reply.text)
            self._turn += 1
        return [self._plans[sight.agent].pop(0) for sight in sights]

    def _converse(self, sight: Sight) -> Conversation:
        spec, replies = sight.spec, REPLY_FORMATS[self.reply_format]
        assert spec.describe is not None
        lines = [spec.instructions]
        if spec.max_actions > 1:
            lines.append(f"One answer may hold up to {spec.max_actions} actions, separated by commas.")
        messages = [
            system("\n".join((*lines, replies.instructions))),
            user(*spec.describe(sight.observation, sight.info)),
        ]
        key = (*self._entropy, self._turn, sight.seat)
        return Conversation(_NOWHERE, messages, list(messages), key)

    def _read(self, sight: Sight, text: str) -> list[int]:
        reply, names = REPLY_FORMATS[self.reply_format].parse(text), sight.spec.action_names
        assert names is not None
        orders = read_orders(reply.answer, Discrete(len(names)), names, sight.spec.max_actions)
        self.replies += 1
        if reply.problem is None and orders.problem is None:
            return [int(action) for action in orders.actions]
        self.unread += 1
        return [action_names(sight.action_set).index("idle")]


# The players of a match do not live in a ChatEnv of their own.
_NOWHERE = LocalEnv(EnvironmentConfig("LMMR1/Football-v0"))
