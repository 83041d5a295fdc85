"""A game that is played: episodes one after the other, by a person or by an agent that is watched."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from lmmr1.agents.base import Conversation
from lmmr1.agents.players.human import write_typed
from lmmr1.agents.playing import Next, Playing, Rules, Seat
from lmmr1.agents.rollout import derive_seed
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.places import reset_all, step_all
from lmmr1.envs.messages import Message, StopReason
from lmmr1.envs.recording import Scene, write_film

if TYPE_CHECKING:
    from lmmr1.agents.base import Agent, AgentReply
    from lmmr1.agents.episode import Episode

# A random stream of its own, for the problems after the first one.
PLAY_STREAM = 16
# More than anybody types.
MOST_TURNS = 100_000
# The keys of actions by their number: digits, then letters; q stops and is no action.
KEYS = string.digits + string.ascii_lowercase.replace("q", "")
# The arrow keys, and what actions in their direction are called.
MOVES = {
    "up": ("up", "top", "north"),
    "down": ("down", "bottom", "south"),
    "left": ("left", "west"),
    "right": ("right", "east"),
}


class Game:
    """Episodes in one environment, each begun by `begin`.

    Args:
        env: where.
        title: of the window and of the film.
        seed: of the first problem; None: another one each time.
        agent: who plays; None: whoever calls `say`.
        film: where a film of all episodes goes; None: nowhere.
    """

    def __init__(
        self, env: ChatEnv, title: str, seed: int | None, agent: Agent | None = None, film: Path | None = None
    ) -> None:
        self.env, self.title, self.agent, self.film = env, title, agent, film
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._number = 0
        self._playing: Playing | None = None
        self._scenes: list[Scene] = []

    def begin(self) -> None:
        """Start the next episode.

        Raises:
            UserError: the environment cannot be reset.
        """
        seed = self._seed if self._number == 0 else derive_seed(self._seed, PLAY_STREAM, self._number)
        rules = Rules(self.agent.context if self.agent is not None else "conversation", MOST_TURNS)
        self._playing = Playing(Seat(self.env, self.title, seed, (seed, PLAY_STREAM, self._number), 0), rules)
        self._number += 1
        [opening] = reset_all([(self.env, seed)])
        if self._playing.open(opening) is Next.NOTHING:
            raise UserError(f"{self.title} cannot be reset: {self.episode.failure}")

    @property
    def episode(self) -> Episode:
        """The episode under way, or the one that ended last."""
        assert self._playing is not None
        return self._playing.episode

    @property
    def conversation(self) -> Conversation | None:
        """What waits for a reply; None when the episode has ended."""
        return None if self._playing is None else self._playing.conversation

    @property
    def messages(self) -> list[Message]:
        """What was said last to whoever plays."""
        return self.episode.final_messages if self.conversation is None else self.conversation.new_messages

    @property
    def rendered(self) -> str | None:
        """What the environment draws in characters, where it does."""
        shown = self.env.render() if self.env.render_mode == "ansi" else None
        return shown if isinstance(shown, str) else None

    def answer(self, line: str) -> None:
        """Take what a person typed: an answer, or a whole reply with its tags.

        Raises:
            UserError: it cannot be said in the environment's reply format; the turn is not spent.
        """
        from lmmr1.agents.base import AgentReply

        assert self.conversation is not None
        self._take(AgentReply(write_typed(self.conversation, line)))

    def watch(self) -> None:
        """Let the agent take a turn."""
        assert self.agent is not None and self.conversation is not None
        [reply] = self.agent.act([self.conversation], greedy=True)
        self._take(reply)

    def _take(self, reply: AgentReply) -> None:
        playing = self._playing
        assert playing is not None
        if not playing.overflows(reply):
            outcome = reply.fault
            if outcome is None:
                [outcome] = step_all([(self.env, reply.text)])
            playing.take(reply, outcome)
        if self.conversation is None:
            self._keep()

    def hint(self) -> str:
        """What the expert would do now, or why that is not known."""
        try:
            solution = self.env.solution()
        except UserError as error:
            return str(error)
        return f"the expert: {solution.thought}\n{solution.answer}" if solution.thought else solution.answer

    def scenes(self) -> list[Scene]:
        """The episode so far as scenes; the last one says how it ended, or that it goes on."""
        from lmmr1.evaluation.reporting.films import episode_scenes

        return episode_scenes(self.episode, self.title)

    def _keep(self) -> None:
        if self.film is not None and self.episode.turns:
            self._scenes += self.scenes()

    def end(self) -> Path | None:
        """Write the film, the episode under way included, and close the environment; the film's path."""
        if self.conversation is not None:
            self.episode.stop_reason = StopReason.TURN_LIMIT  # cut short by whoever plays
            self.episode.final_messages = self.messages
            self._keep()
        self.env.close()
        if self.film is None or not self._scenes:
            return None
        return write_film(self._scenes, self.film)


def tell_end(episode: Episode) -> str:
    """How an episode ended, in a word or two."""
    if episode.failure is not None:
        return f"failed ({episode.failure})"
    if episode.stop_reason is StopReason.TASK_ENDED and episode.success is not None:
        return "solved" if episode.success else "not solved"
    return "ended" if episode.stop_reason is StopReason.TASK_ENDED else f"stopped ({episode.stop_reason.value})"


def action_keys(env: ChatEnv) -> dict[str, str]:
    """The keys of the actions of a world that has a list of them: {key: action}; empty for all other worlds.

    A digit or letter for each by its number; actions that have no names are their numbers, and are typed.
    """
    names = env.chat_spec.action_names
    space = env.unwrapped.action_space
    if names is None and isinstance(space, gym.spaces.Discrete):
        names = tuple(str(int(space.start) + index) for index in range(int(space.n)))
    if names is None or len(names) > len(KEYS):
        return {}
    own = {name.casefold(): name for name in names if len(name) == 1}  # such as 1 to 4: a key is what it says
    free = (key for key in KEYS if key not in own)
    return {name.casefold() if name.casefold() in own else next(free): name for name in names}


def arrow_of(name: str) -> str | None:
    """Which arrow key stands for an action of such a name: a key of `MOVES`, as in "Up" and "move_up"; else None."""
    words = name.casefold().replace("-", "_").replace(" ", "_").split("_")
    found = [move for move, called in MOVES.items() if any(name in words for name in called)]
    return found[0] if len(found) == 1 and len(words) <= 2 else None


def describe_keys(keys: Mapping[str, str], arrows: Mapping[str, str]) -> list[str]:
    """A line for each action: its keys and its name."""
    back = {name: move for move, name in arrows.items()}
    return [f"{key}{' or arrow' if name in back else ''}: {name}" for key, name in keys.items()]


def arrow_actions(keys: Mapping[str, str]) -> dict[str, str]:
    """The actions that have an arrow key: {"up": action}; none where two actions claim the same one."""
    claims: dict[str, list[str]] = {}
    for name in keys.values():
        move = arrow_of(name)
        if move is not None:
            claims.setdefault(move, []).append(name)
    exact = {move: next((n for n in names if n.casefold() == move), names[0]) for move, names in claims.items()}
    return {move: name for move, name in exact.items() if len(claims[move]) == 1 or name.casefold() == move}
