"""`lmmr1 play ENV_ID`: be the agent, or watch one, at the terminal or in a window."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from gymnasium.spaces import Text

from lmmr1.agents.players.human import tell_reward
from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_images
from lmmr1.envs.recording.film import check_film
from lmmr1.envs.spaces import Utterance
from lmmr1.envs.terminal import Terminal, has_colours

from .. import settings
from ..evaluating.agents import HELP, HUMAN, load_agent
from .game import Game, action_keys, arrow_actions, describe_keys, tell_end

_EPILOG = """\
Type an answer (Up, its number, or its arrow key, then Enter), or a whole reply with its tags; ? asks the expert, an
empty line or q stops. In a window keys act at once, Tab types an answer, and Escape or q stops.
Arguments of the environment: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `play`."""
    parser = commands.add_parser("play", help="play an environment yourself", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("id", metavar="ENV_ID", help="an id of this package or of any Gymnasium environment")
    parser.add_argument("--window", action="store_true", help="in a window, with keys for the actions")
    parser.add_argument("--agent", metavar="WHO", help=f"watch an agent: {HELP}")
    parser.add_argument("--delay", type=float, default=0.8, metavar="SECONDS", help="of a watched turn (default: 0.8)")
    parser.add_argument("--record", type=Path, metavar="FILM", help="write a film of it, .mp4 or .gif")
    parser.add_argument("--seed", type=int, metavar="S", help="of the problem (default: another one each time)")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play until the player stops; the exit code."""
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed must be at least 0, not {arguments.seed}")
    if not 0 <= arguments.delay <= 60:
        raise UserError(f"--delay must be from 0 to 60 seconds, not {arguments.delay}")
    if arguments.record is not None:
        check_film(arguments.record, (1280, 720), 1.2)
    env = _make(arguments, pictured=arguments.window or has_colours())
    watched = arguments.agent not in (None, HUMAN)
    agent = load_agent(arguments.agent)[0] if watched else None
    game = Game(env, arguments.id, arguments.seed, agent, arguments.record)
    try:
        if arguments.window:
            from .window import play_in_window

            play_in_window(game, arguments.delay)
        else:
            play_in_terminal(game, arguments.delay)
    finally:
        film = game.end()
        if film is not None:
            print(f"the film is {film}")
    return 0


def _make(arguments: argparse.Namespace, *, pictured: bool) -> ChatEnv:
    """The environment, drawing in pixels or in characters what its messages do not show, where it can."""
    plain = settings.environment_from(arguments.id, arguments.override).make()
    # A world of text draws its text, and one whose messages have pictures shows them already.
    in_words = isinstance(plain.env.action_space, Utterance | Text)
    if pictured and not in_words and any(message_images(message) for message in plain.reset(seed=0)[0]):
        return plain
    mode = "rgb_array" if pictured and not in_words else "ansi"
    if mode not in plain.unwrapped.metadata.get("render_modes", ()):
        return plain
    plain.close()
    return settings.environment_from(arguments.id, arguments.override, render_mode=mode).make()


def play_in_terminal(game: Game, delay: float = 0.0) -> None:
    """Show messages, read answers from standard input or let the agent play, until the episode or the input ends."""
    terminal = Terminal()
    keys = action_keys(game.env)
    if terminal.is_typed_at and game.agent is None:
        print("Type your answer, then Enter. ? asks the expert, an empty line or q stops.")
        if keys:
            print(f"Actions: {', '.join(describe_keys(keys, arrow_actions(keys)))}")
        print()
    game.begin()
    while game.conversation is not None:
        terminal.show(game.messages, game.rendered)
        if game.agent is None:
            if not _answer(game, terminal, keys):
                return
        else:
            game.watch()
            if game.episode.turns:
                said = game.episode.turns[-1].text
                print(f"{game.agent.name}> {terminal.wrap(said)}")
            time.sleep(delay if sys.stdout.isatty() else 0.0)
        if game.episode.turns:
            print(tell_reward(game.episode.turns))
    terminal.show(game.messages, game.rendered)
    episode = game.episode
    print(f"{tell_end(episode)} after {len(episode.turns)} turns, {episode.total_reward:g} in all")


def _answer(game: Game, terminal: Terminal, keys: dict[str, str]) -> bool:
    """Read until a turn was taken; whether the player goes on."""
    while True:
        line = terminal.read(keys=keys)
        if line in ("", "q"):
            return False
        if line == "?":
            print(game.hint())
            continue
        try:
            game.answer(line)
        except UserError as error:
            print(error)
            continue
        return True
