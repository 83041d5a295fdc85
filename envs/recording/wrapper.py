"""RecordChat: films of some of the episodes that anybody plays in a conversation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, Solution
from lmmr1.envs.reply import ReplyFormat

from .film import check_film, write_film
from .page import BASE_SIZE
from .reel import Reel
from .scene import tell_outcome


class RecordChat(gym.Wrapper[list[Message], str, list[Message], str], gym.utils.RecordConstructorArgs):
    """A ``ChatEnv`` that films episodes, whoever plays them: ``env = RecordChat(env, "films", every=100)``.

    Each film is written when its episode ends, as ``FOLDER/episode-000000.mp4``, numbered from 0 by the episodes that
    were begun. One that is cut short, by ``reset`` or ``close``, is written as far as it came. Everything else is the
    environment's own; agents and rollouts take it as they take the ``ChatEnv``.

    Args:
        env: the conversation.
        folder: where the films go; made when the first one is written.
        every: film the episodes 0, ``every``, 2 ``every``, ...
        trigger: or those whose number it says yes to; stands in place of ``every``.
        ending: "mp4" (needs ``lmmr1[video]``) or "gif".
        size: width and height in pixels, even numbers.
        title: the head of every page; the environment's id by default.
        seconds_per_scene: how long a turn stays, beside the time that its thought is said in.

    Raises:
        UserError: ``env`` is no ``ChatEnv``, or an argument is out of range.
        MissingExtraError: an MP4 is asked for without PyAV.
    """

    def __init__(
        self,
        env: ChatEnv,
        folder: str | Path,
        *,
        every: int = 1,
        trigger: Callable[[int], bool] | None = None,
        ending: Literal["mp4", "gif"] = "mp4",
        size: tuple[int, int] = BASE_SIZE,
        title: str | None = None,
        seconds_per_scene: float = 1.2,
    ) -> None:
        """See the class."""
        gym.utils.RecordConstructorArgs.__init__(
            self,
            folder=folder,
            every=every,
            trigger=trigger,
            ending=ending,
            size=size,
            title=title,
            seconds_per_scene=seconds_per_scene,
        )
        if not isinstance(env, ChatEnv):
            raise UserError(f"RecordChat films a ChatEnv, not {type(env).__name__}: wrap it first, ChatEnv(env)")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UserError(f"every must be a whole number of at least 1, not {every!r}")
        super().__init__(env)
        self.chat, self.folder = env, Path(folder)
        check_film(self._path_of(0, ending), size, seconds_per_scene)
        self.ending, self.size, self.seconds_per_scene = ending, size, seconds_per_scene
        self.title = title or (env.spec.id if env.spec is not None else type(env.unwrapped).__name__)
        self.trigger = trigger if trigger is not None else lambda number: number % every == 0
        self.films: list[Path] = []
        self._begun = 0
        self._reel: Reel | None = None
        self._messages: list[Message] = []

    def _path_of(self, number: int, ending: str) -> Path:
        return self.folder / f"episode-{number:06d}.{ending}"

    @property
    def chat_spec(self) -> ChatSpec:
        """How the world is spoken to."""
        return self.chat.chat_spec

    @property
    def reply_format(self) -> ReplyFormat:
        """How a reply is written."""
        return self.chat.reply_format

    def solution(self) -> Solution:
        """What an expert would say now; see `ChatEnv.solution`."""
        return self.chat.solution()

    def write_reply(self, thought: str, answer: str) -> str:
        """Write a reply in the environment's reply format; see `ChatEnv.write_reply`."""
        return self.chat.write_reply(thought, answer)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """Start an episode; see `ChatEnv.reset`."""
        self._cut()
        messages, info = self.chat.reset(seed=seed, options=options)
        if self.trigger(self._begun):
            self._reel = Reel(f"{self.title}, episode {self._begun}")
        self._begun += 1
        self._messages = messages
        return messages, info

    def step(self, action: str) -> tuple[list[Message], float, bool, bool, dict[str, Any]]:
        """Take one turn; see `ChatEnv.step`."""
        messages, reward, terminated, truncated, info = self.chat.step(action)
        if self._reel is not None:
            reply = info["reply"]
            self._reel.add(
                self._messages,
                thought=reply.thought,
                answer=reply.answer if reply.answer or reply.well_formed else reply.text,
                actions=info["actions"],
                reward=float(reward),
                reward_parts=info["reward_parts"],
            )
            self._messages = messages
            if terminated or truncated:
                self._write(tell_outcome(info["stop_reason"], info["success"]), info["success"])
        return messages, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Write the film of an episode that is under way, and close the environment."""
        self._cut()
        self.chat.close()

    def _cut(self) -> None:
        if self._reel is not None and self._reel.num_turns:
            self._write(f"Cut short after {self._reel.num_turns} turns", None)
        self._reel = None

    def _write(self, outcome: str, success: bool | None) -> None:
        reel, self._reel = self._reel, None
        assert reel is not None
        path = self._path_of(self._begun - 1, self.ending)
        scenes = reel.end(self._messages, outcome, success)
        self.films.append(write_film(scenes, path, self.size, self.seconds_per_scene))
