"""ChatEnv: any Gymnasium world as a conversation. Messages come out, the text of a reply goes in."""

# What users hand in is checked, whatever its type says; NumPy's and Gymnasium's types are partly unknown.
# pyright: reportUnnecessaryIsInstance=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal

import gymnasium as gym
from gymnasium.spaces import Discrete, Text

from lmmr1.envs.chat_spec import ChatSpec, Speaking, describe_actions, describe_observation
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import (
    Message,
    Part,
    Solution,
    Solvable,
    StopReason,
    message_text,
    system,
    text_part,
    user,
)
from lmmr1.envs.reply import REPLY_FORMATS, Orders, Reply, ReplyFormat, quote, read_orders
from lmmr1.envs.rewards.composition import (
    REWARD_MODES,
    RewardMode,
    RewardRule,
    check_rule,
    compose_reward,
    total_reward,
)
from lmmr1.envs.rewards.format import format_reward, lmmr1_format_reward
from lmmr1.envs.rewards.penalties import Penalties
from lmmr1.envs.spaces import Chat, Utterance

MAX_REPLY_LENGTH = 1 << 20


class ChatEnv(gym.Wrapper[list[Message], str, Any, Any], gym.utils.RecordConstructorArgs):
    """A Gymnasium environment whose observations are messages and whose actions are replies.

    ``reset`` returns the opening messages, ``step`` the new ones only. One reply is one turn: it is taken
    apart once (``reply.py``), the actions that its answer names run as native steps, and their rewards add
    up. A reply that is malformed, or that names no legal action, takes no native step; the next message
    says so, and the turn is spent. In a world whose action is a text, one answer is one native step, and a
    malformed reply is graded by whatever answer can be found outside of its thought (maybe none).

    ``info`` of every step holds, beside what the world reported last (in a turn without a native step, that
    of an earlier one):

    * ``reward_parts``: {"task", "format", "invalid"} and each penalty that is on, weighted floats whose sum is the
      reward;
    * ``reply``: the ``Reply``; ``actions``: the names of the actions run; ``native_steps``: their number;
    * ``turn``: 1 for the first reply; ``success``: what the world says, or None if it says nothing;
    * ``stop_reason``: a ``StopReason`` when the episode has ended, else None.

    Args:
        env: the world; anything made by ``gym.make``.
        spec: how it is spoken to; None takes ``env.unwrapped.chat_spec``, or builds one from the spaces.
        instructions: "full" opens with a system message (rules and reply format), "brief" with the
            observation alone.
        reply_format: a key of ``REPLY_FORMATS``.
        reward: "default" pays the format of an honest try only (``format_reward``); "lmmr1-paper" pays it by LMM-R1's
            own rule, 0.5 whatever the answer is worth.
        reward_mode: "additive" or "gated", see ``compose_reward``.
        format_weight: what a well-formed reply is worth.
        invalid_reward: added in each turn that takes no native step.
        penalties: for length and repetition; a ``Penalties``, or a mapping with its keys.
        needs_thought: whether the form of a reply with an empty thought earns nothing; None takes the spec's.
        max_turns: the episode is truncated after this many replies; None for no limit.
        max_actions: how many actions one answer may hold; None takes the spec's.

    Raises:
        UserError: an argument is wrong, or the action space cannot be spoken to.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        spec: ChatSpec | None = None,
        instructions: Literal["full", "brief"] = "full",
        reply_format: str = "think_answer",
        reward: RewardRule = "default",
        reward_mode: RewardMode = "additive",
        format_weight: float = 0.5,
        invalid_reward: float = 0.0,
        penalties: Penalties | Mapping[str, Any] | None = None,
        needs_thought: bool | None = None,
        max_turns: int | None = None,
        max_actions: int | None = None,
    ) -> None:
        """See the class."""
        gym.utils.RecordConstructorArgs.__init__(
            self,
            spec=spec,
            instructions=instructions,
            reply_format=reply_format,
            reward=reward,
            reward_mode=reward_mode,
            format_weight=format_weight,
            invalid_reward=invalid_reward,
            penalties=penalties,
            needs_thought=needs_thought,
            max_turns=max_turns,
            max_actions=max_actions,
        )
        super().__init__(env)
        _check_choice("instructions", instructions, ("full", "brief"))
        _check_choice("reply_format", reply_format, tuple(REPLY_FORMATS))
        _check_choice("reward_mode", reward_mode, REWARD_MODES)
        for name, weight in (("format_weight", format_weight), ("invalid_reward", invalid_reward)):
            if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
                raise UserError(f"{name} must be a number, not {weight!r}")
        check_rule(reward, reward_mode, format_weight)
        if needs_thought not in (None, True, False):
            raise UserError(f"needs_thought must be true, false or None, not {needs_thought!r}")
        for name, limit in (("max_turns", max_turns), ("max_actions", max_actions)):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
                raise UserError(f"{name} must be a whole number of at least 1, or None, not {limit!r}")
        if spec is not None and not isinstance(spec, ChatSpec):
            raise UserError(f"spec must be a ChatSpec or None, not {spec!r}")
        if spec is None:
            world = env.unwrapped
            spec = world.chat_spec if isinstance(world, Speaking) else ChatSpec.default_for(env)
        describe_actions(env.action_space)  # raises for a space that cannot be spoken to
        self.chat_spec = spec
        self.instructions = instructions
        self.reply_format: ReplyFormat = REPLY_FORMATS[reply_format]
        self.reward: RewardRule = reward
        self.reward_mode: RewardMode = reward_mode
        self.format_weight = format_weight
        self.invalid_reward = invalid_reward
        self.penalties: Penalties = Penalties.read(penalties)
        self.needs_thought: bool = spec.needs_thought if needs_thought is None else needs_thought
        self.max_turns = max_turns
        self.max_actions: int = spec.max_actions if max_actions is None else max_actions
        self._answers_are_actions = isinstance(env.action_space, (Utterance, Text))
        self._check_spec(spec)
        self.observation_space = Chat()
        self.action_space = Utterance(MAX_REPLY_LENGTH)
        self._turn = 0
        self._running = False
        self._last_seen: tuple[Any, dict[str, Any]] = (None, {})
        self._shown = ""

    def _check_spec(self, spec: ChatSpec) -> None:
        space: Any = self.env.action_space
        if self._answers_are_actions and self.max_actions > 1:
            raise UserError("max_actions must be 1 in a world whose action is a text")
        if spec.action_names is None:
            return
        if not isinstance(space, Discrete):
            raise UserError(f"action_names need a Discrete action space, not {space}")
        if len(spec.action_names) != space.n:
            raise UserError(f"{len(spec.action_names)} action_names were given for the {space.n} actions of {space}")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: passed on to the world.
            options: passed on to the world.

        Returns:
            The opening messages, and the world's own info.
        """
        self._last_seen = self.env.reset(seed=seed, options=options)
        self._turn, self._running = 0, True
        opening = self._open()
        self._shown = _text_of(opening)
        return opening, dict(self._last_seen[1])

    def _open(self) -> list[Message]:
        own = self.chat_spec.opening
        opening = [user(*self._describe())] if own is None else own(*self._last_seen)
        if self.instructions == "brief":
            return [message for message in opening if message["role"] != "system"]
        told = any(message["role"] == "system" for message in opening)
        return opening if told else [system(self.instruction_text()), *opening]

    def instruction_text(self) -> str:
        """The text of the system message: the world's instructions, then those of the reply format."""
        lines = [self.chat_spec.instructions]
        if self.max_actions > 1:
            separator = "commas" if isinstance(self.env.action_space, Discrete) else "semicolons"
            lines.append(f"One answer may hold up to {self.max_actions} actions, separated by {separator}.")
        return "\n".join([*lines, self.reply_format.instructions])

    def step(self, action: str) -> tuple[list[Message], float, bool, bool, dict[str, Any]]:
        """Take one turn.

        Args:
            action: the text of the reply.

        Returns:
            The new messages, the reward, terminated, truncated (never both), and the info.

        Raises:
            gymnasium.error.ResetNeeded: no episode is running.
            UserError: the reply is not a string.
        """
        if not self._running:
            raise gym.error.ResetNeeded("no episode is running: call reset() before step()")
        if not isinstance(action, str):
            raise UserError(f"a reply must be a string, not {type(action).__name__}")
        reply = self.reply_format.parse(action)
        orders = self._read_orders(reply)
        names: list[str] = []
        task, terminated, truncated = 0.0, False, False
        for native_action, name in zip(orders.actions, orders.names, strict=True):
            observation, reward, terminated, truncated, native_info = self.env.step(native_action)
            if terminated not in (True, False) or truncated not in (True, False):
                raise TypeError(
                    f"step() returned terminated={str(terminated):.40} and truncated={str(truncated):.40}, not bools"
                )
            self._last_seen = observation, native_info
            task += float(reward)
            names.append(name)
            if terminated or truncated:
                break
        self._turn += 1
        stop_reason = self._stop_reason(bool(terminated), bool(truncated))
        self._running = stop_reason is None
        native_info = self._last_seen[1]
        success = bool(native_info["success"]) if native_info.get("success") is not None else None
        parts = compose_reward(
            task,
            self._is_well_formed(reply, success, bool(names)),
            not names,
            mode=self.reward_mode,
            format_weight=self.format_weight,
            invalid_reward=self.invalid_reward,
            penalties=self.penalties.parts(action),
        )
        info: dict[str, Any] = {
            **native_info,
            "reward_parts": parts,
            "reply": reply,
            "actions": names,
            "native_steps": len(names),
            "turn": self._turn,
            "success": success,
            "stop_reason": stop_reason,
        }
        messages = [user(*self._describe(orders.problem))]
        self._shown = _text_of(messages)
        ended = stop_reason is StopReason.TASK_ENDED
        return messages, total_reward(parts), ended, stop_reason is not None and not ended, info

    def _is_well_formed(self, reply: Reply, success: bool | None, acted: bool) -> bool:
        if self.reward == "lmmr1-paper":
            return lmmr1_format_reward(reply.text) > 0
        # Whoever could be paid for the form without an action would never act: such a turn can be had without end.
        return (
            acted and format_reward(reply, shown=self._shown, success=success, thoughtless=not self.needs_thought) > 0
        )

    def _read_orders(self, reply: Reply) -> Orders:
        space = self.env.action_space
        if not self._answers_are_actions:
            if reply.problem is not None:
                return Orders(problem=reply.problem)
            return read_orders(reply.answer, space, self.chat_spec.action_names, self.max_actions)
        # The answer of a text world is its action, so a malformed reply has to be graded as well. What the
        # world's space does not hold (too long, odd characters) is graded as no answer at all.
        if space.contains(reply.answer):
            return Orders((reply.answer,), (reply.answer,), reply.problem)
        problem = reply.problem or f'The answer "{quote(reply.answer)}" is too long or holds characters not allowed.'
        return Orders(("",), ("",), problem) if space.contains("") else Orders(problem=problem)

    def _stop_reason(self, terminated: bool, truncated: bool) -> StopReason | None:
        if terminated:
            return StopReason.TASK_ENDED
        if truncated:
            return StopReason.STEP_LIMIT
        return StopReason.TURN_LIMIT if self._turn == self.max_turns else None

    def _describe(self, problem: str | None = None) -> list[Part]:
        observation, info = self._last_seen
        if self.chat_spec.describe is not None:
            parts = list(self.chat_spec.describe(observation, info))
        else:
            frame: Any = self.env.render() if self.env.render_mode in ("rgb_array", "ansi") else None
            parts = describe_observation(observation, self.env.observation_space, frame)
        return parts if problem is None else [text_part(f"{problem}\n"), *parts]

    def solution(self) -> Solution:
        """What an expert would say now, its answer cut to as many actions as one answer may hold.

        Raises:
            UserError: the world does not know its solution.
        """
        world = self.env.unwrapped
        if not isinstance(world, Solvable):
            raise UserError(f"{type(world).__name__} does not know its solution: it has no method solution()")
        solution = world.solution()
        if not isinstance(self.env.action_space, Discrete):
            return solution
        actions = solution.answer.split(",")[: self.max_actions]
        return Solution(solution.thought, ",".join(actions).strip())

    def write_reply(self, thought: str, answer: str) -> str:
        """Write a reply in this environment's reply format.

        Raises:
            UserError: the thought or the answer holds a tag of the format, or the answer is empty.
        """
        return self.reply_format.write(thought, answer)


def make_chat(id: str, *, chat: Mapping[str, Any] | None = None, **kwargs: Any) -> ChatEnv:
    """Make a world by its id and speak to it: ``ChatEnv(gym.make(id, **kwargs), **chat)``.

    Args:
        id: a registered id, or "module:id" to import a module that registers it first.
        chat: arguments of ``ChatEnv``.
        **kwargs: arguments of the world.

    Raises:
        UserError: see ``make_world``; or an argument of ``chat`` is unknown.
    """
    chat = {} if chat is None else dict(chat)
    check_names(chat)
    return ChatEnv(make_world(id, **kwargs), **chat)


def check_names(chat: Mapping[str, Any]) -> None:
    """Refuse, with a ``UserError``, what is no argument of ``ChatEnv``."""
    known = list(inspect.signature(ChatEnv.__init__).parameters)[2:]
    for name in chat:
        if name not in known:
            raise UserError(f"chat: unknown argument {name!r}{_suggest(str(name), known)}; known: {', '.join(known)}")


def make_world(id: str, *, passive_checker: bool = True, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make a world by its id: ``gym.make``, with one line for what the user got wrong.

    Args:
        id: a registered id, or "module:id".
        passive_checker: whether Gymnasium's wrapper that looks at the first calls may be put around it.
        **kwargs: arguments of the world.

    Raises:
        UserError: the id is unknown (the message lists close matches), its module cannot be imported, an
            argument has an unknown name, or the world cannot be made with what was given.
    """
    try:
        return gym.make(id, disable_env_checker=None if passive_checker else True, **kwargs)
    except (gym.error.UnregisteredEnv, gym.error.DeprecatedEnv) as error:
        raise UserError(f"unknown environment {id!r}{_suggest(id, list(gym.registry))}") from error
    except ModuleNotFoundError as error:
        # Gymnasium raises it anew, without the name, for the module before the colon; others are bugs in there.
        module, cause = id.partition(":")[0], error.__cause__
        if not isinstance(cause, ModuleNotFoundError) or cause.name != module:
            raise
        raise UserError(f"cannot import the module {module!r} of the environment {id!r}") from error
    except UserError:
        raise
    except gym.error.Error as error:  # an id that is none, a render mode or a package that the world lacks
        raise UserError(f"environment {id!r}: {_first_line(error)}") from error
    except Exception as error:
        reason = _first_line(error).partition(" was raised from")[0]
        if isinstance(error, TypeError) and "unexpected keyword argument" in reason:
            raise UserError(f"{id}: {reason}") from error
        if not kwargs:
            raise
        # Worlds check their arguments in many ways, and some not at all: the arguments are what the user chose.
        given = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        raise UserError(f"{id} cannot be made with {given}: {type(error).__name__}: {reason}") from error


def _text_of(messages: list[Message]) -> str:
    return "\n".join(message_text(message) for message in messages)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _suggest(name: str, known: list[str]) -> str:
    folded = {other.casefold(): other for other in known}
    matches = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(folded[match] for match in matches)}?" if matches else ""


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
